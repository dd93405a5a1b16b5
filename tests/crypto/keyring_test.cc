#include "crypto/keyring.h"

#include <gtest/gtest.h>

#include "base/limits.h"
#include "crypto/bucket_keys.h"
#include "tests/support/local_kms_fixture.h"

namespace coffer {
namespace {

class KeyringTest : public LocalKmsTest {
 protected:
  KeyringTest() : arn(make_key()), bucket_keys(*kms, suite, clock), keyring(schedule, suite, *kms, bucket_keys) {}

  SseRule rule(SseAlgorithm algorithm, bool bucket_key = false) const {
    SseRule made;
    made.algorithm = algorithm;
    if (algorithm != SseAlgorithm::kAes256) made.kms_key = arn;
    made.bucket_key_enabled = bucket_key;
    return made;
  }
  std::vector<SseRule> all_rules() const {
    std::vector<SseRule> rules = {rule(SseAlgorithm::kAes256), rule(SseAlgorithm::kAwsKms),
                                  rule(SseAlgorithm::kAwsKms, /*bucket_key=*/true)};
    if (suite.can_double()) rules.push_back(rule(SseAlgorithm::kAwsKmsDsse));
    return rules;
  }
  Keyring::Issued issue(const SseRule& sse_rule) {
    auto issued = keyring.issue(sse_rule, subject, owner);
    EXPECT_TRUE(issued.ok()) << issued.error().message;
    return *std::move(issued);
  }

  std::string arn;
  BucketKeys bucket_keys;
  Keyring keyring;
  Subject subject{42, 1, kChunkSize, realm, BucketName::parse("bucket").value(), "dir/object"};
  Bytes aad = Bytes(40, 3), plain = Bytes(100, 5);
};

TEST_F(KeyringTest, EverySchemeOpensWhatItSealedAlsoThroughItsEncoding) {
  for (const SseRule& sse_rule : all_rules()) {
    const auto issued = issue(sse_rule);
    Bytes cipher(plain.size()), seal(issued.envelope.seal_size()), opened(plain.size());
    ASSERT_EQ(issued.aead->seal_size(), seal.size());
    ASSERT_TRUE(issued.aead->seal(aad, plain, cipher, seal).ok());
    const auto decoded = Envelope::decode(issued.envelope.encode());
    ASSERT_TRUE(decoded.ok());
    const auto aead = keyring.unlock(*decoded, owner);
    ASSERT_TRUE(aead.ok()) << aead.error().message;
    ASSERT_TRUE((*aead)->open(aad, cipher, seal, opened).ok());
    EXPECT_EQ(opened, plain);
  }
}

TEST_F(KeyringTest, EachSchemeHasItsOwnEnvelope) {
  const Envelope s3 = issue(rule(SseAlgorithm::kAes256)).envelope;
  EXPECT_EQ(s3.kms_key_arn, "");
  EXPECT_EQ(s3.context_arn, "arn:aws:s3:::bucket/dir/object");
  ASSERT_EQ(s3.layers.size(), 1U);
  EXPECT_EQ(s3.layers[0].source, KeySource::kSseS3);

  const Envelope with_kms = issue(rule(SseAlgorithm::kAwsKms)).envelope;
  EXPECT_EQ(with_kms.kms_key_arn, arn);
  EXPECT_EQ(with_kms.context_arn, "arn:aws:s3:::bucket/dir/object");
  ASSERT_EQ(with_kms.layers.size(), 1U);
  EXPECT_EQ(with_kms.layers[0].source, KeySource::kKms);
  EXPECT_FALSE(with_kms.bucket_key());

  const Envelope with_bucket_key = issue(rule(SseAlgorithm::kAwsKms, /*bucket_key=*/true)).envelope;
  EXPECT_EQ(with_bucket_key.kms_key_arn, arn);
  EXPECT_EQ(with_bucket_key.context_arn, "arn:aws:s3:::bucket");
  EXPECT_TRUE(with_bucket_key.bucket_key());

  if (!suite.can_double()) GTEST_SKIP() << "one AES-GCM library: DSSE is refused here";
  const Envelope dsse = issue(rule(SseAlgorithm::kAwsKmsDsse, /*bucket_key=*/true)).envelope;
  EXPECT_EQ(dsse.kms_key_arn, arn);
  EXPECT_EQ(dsse.context_arn, "arn:aws:s3:::bucket/dir/object");
  ASSERT_EQ(dsse.layers.size(), 2U);
  EXPECT_EQ(dsse.layers[0].source, KeySource::kKms);
  EXPECT_EQ(dsse.layers[1].source, KeySource::kSseS3);
  EXPECT_EQ(dsse.seal_size(), 56U);
}

TEST_F(KeyringTest, ARuleWithoutAKeyUsesTheAwsManagedOne) {  // OBJ-04, DSSE-06
  for (const auto algorithm : {SseAlgorithm::kAwsKms, SseAlgorithm::kAwsKmsDsse}) {
    if (algorithm == SseAlgorithm::kAwsKmsDsse && !suite.can_double()) continue;  // refused on such a machine
    SseRule unnamed = rule(algorithm);
    unnamed.kms_key.reset();
    const auto issued = issue(unnamed);
    EXPECT_EQ(issued.envelope.kms_key_arn, kms->describe("alias/aws/s3")->arn);
  }
}

TEST_F(KeyringTest, KmsCallsAreOnePerObjectAndOnePerBucketUnderABucketKey) {
  for (int i = 0; i < 20; ++i) issue(rule(SseAlgorithm::kAwsKms));
  EXPECT_EQ(calls("GenerateDataKey"), 20U);
  for (int i = 0; i < 20; ++i) issue(rule(SseAlgorithm::kAwsKms, /*bucket_key=*/true));
  EXPECT_EQ(calls("GenerateDataKey"), 21U);
  for (int i = 0; i < 20; ++i) issue(rule(SseAlgorithm::kAes256));
  EXPECT_EQ(calls("GenerateDataKey"), 21U);
}

TEST_F(KeyringTest, OneObjectsCipherOpensNoOthersChunk) {
  for (const SseRule& sse_rule : all_rules()) {
    const auto one = issue(sse_rule), other = issue(sse_rule);
    Bytes cipher(plain.size()), seal(one.envelope.seal_size()), opened(plain.size(), 1);
    ASSERT_TRUE(one.aead->seal(aad, plain, cipher, seal).ok());
    EXPECT_EQ(other.aead->open(aad, cipher, seal, opened).code(), Code::kDamaged);
    EXPECT_EQ(opened, Bytes(plain.size(), 0));
  }
}

// Whatever bit of a stored envelope is changed, it is refused before a cipher exists.
TEST_F(KeyringTest, EveryChangedBitOfAnEnvelopeIsDamage) {
  for (const SseRule& sse_rule : all_rules()) {
    const Bytes encoded = issue(sse_rule).envelope.encode();
    for (std::size_t bit = 0; bit < encoded.size() * 8; ++bit) {
      Bytes changed = encoded;
      changed[bit / 8] ^= static_cast<std::uint8_t>(1 << (bit % 8));
      const auto decoded = Envelope::decode(changed);
      if (!decoded.ok()) {
        EXPECT_EQ(decoded.code(), Code::kDamaged);
        continue;
      }
      const auto aead = keyring.unlock(*decoded, owner);
      ASSERT_FALSE(aead.ok()) << "bit " << bit;
      EXPECT_EQ(aead.code(), Code::kDamaged) << "bit " << bit;
    }
  }
}

TEST_F(KeyringTest, AnEnvelopeWithAnotherObjectsWrappedKeyIsDamage) {
  for (const SseRule& sse_rule : all_rules()) {
    subject.object = 42;
    const Envelope one = issue(sse_rule).envelope;
    subject.object = 43;
    const Envelope other = issue(sse_rule).envelope;
    for (std::size_t layer = 0; layer < one.layers.size(); ++layer) {
      Envelope spliced = one;
      spliced.layers[layer].wrapped_key = other.layers[layer].wrapped_key;
      EXPECT_EQ(keyring.unlock(spliced, owner).code(), Code::kDamaged);
      spliced.layers[layer].commitment = other.layers[layer].commitment;
      EXPECT_EQ(keyring.unlock(spliced, owner).code(), Code::kDamaged);
    }
  }
}

TEST_F(KeyringTest, AnEnvelopeOfAnotherStoreIsDamage) {
  const Envelope envelope = issue(rule(SseAlgorithm::kAes256)).envelope;
  const KeySchedule other(Key::random(), StoreId{9});
  Keyring stranger_keyring(other, suite, *kms, bucket_keys);
  EXPECT_EQ(stranger_keyring.unlock(envelope, owner).code(), Code::kDamaged);
  const KeySchedule same_id(Key::random(), schedule.store_id());
  Keyring impostor(same_id, suite, *kms, bucket_keys);
  EXPECT_EQ(impostor.unlock(envelope, owner).code(), Code::kDamaged);
}

TEST_F(KeyringTest, ADisabledKeyUnlocksNothingAndUsableSaysSo) {
  std::vector<Envelope> envelopes;
  for (const SseRule& sse_rule : all_rules()) envelopes.push_back(issue(sse_rule).envelope);
  for (const Envelope& envelope : envelopes) ASSERT_TRUE(keyring.unlock(envelope, owner).ok());
  ASSERT_TRUE(kms->disable(arn).ok());  // without a flush: the Bucket Key is still in memory
  for (const Envelope& envelope : envelopes) {
    const bool needs_kms = envelope.algorithm != SseAlgorithm::kAes256;
    EXPECT_EQ(keyring.unlock(envelope, owner).ok(), !needs_kms);
    EXPECT_EQ(keyring.usable(envelope, owner).ok(), !needs_kms);
    if (!needs_kms) continue;
    EXPECT_EQ(keyring.unlock(envelope, owner).code(), Code::kKeyDisabled);
    EXPECT_EQ(keyring.usable(envelope, owner).code(), Code::kKeyDisabled);
  }
  for (const SseRule& sse_rule : all_rules())
    EXPECT_EQ(keyring.issue(sse_rule, subject, owner).ok(), sse_rule.algorithm == SseAlgorithm::kAes256);
  ASSERT_TRUE(kms->enable(arn).ok());
  for (const Envelope& envelope : envelopes) EXPECT_TRUE(keyring.unlock(envelope, owner).ok());
}

TEST_F(KeyringTest, AMissingKeyIsMissingAndAStrangerIsDenied) {
  SseRule unknown = rule(SseAlgorithm::kAwsKms);
  unknown.kms_key = "fake-key-id";
  EXPECT_EQ(keyring.issue(unknown, subject, owner).code(), Code::kKeyMissing);
  EXPECT_EQ(keyring.issue(rule(SseAlgorithm::kAwsKms), subject, stranger).code(), Code::kKeyDenied);
  const Envelope envelope = issue(rule(SseAlgorithm::kAwsKms)).envelope;
  EXPECT_EQ(keyring.unlock(envelope, stranger).code(), Code::kKeyDenied);
  EXPECT_EQ(keyring.usable(envelope, stranger).code(), Code::kKeyDenied);
}

TEST_F(KeyringTest, AKeyTooLongForAnEncryptionContextIsRefused) {
  subject.object_key = std::string(kContextSizeMax, 'x');
  EXPECT_EQ(keyring.issue(rule(SseAlgorithm::kAwsKms), subject, owner).code(), Code::kNameTooLong);
  EXPECT_TRUE(keyring.issue(rule(SseAlgorithm::kAwsKms, /*bucket_key=*/true), subject, owner).ok());
}

TEST_F(KeyringTest, TheOuterLayersKeyIsUnrelatedToTheKms) {  // DSSE-01, 03, 09
  if (!suite.can_double()) GTEST_SKIP() << "one AES-GCM library: DSSE is refused here";
  // Not one whose first byte, which is random, is by chance the version of a blob of some KMS.
  auto issued = issue(rule(SseAlgorithm::kAwsKmsDsse));
  while (issued.envelope.layers[1].wrapped_key[0] <= 2) issued = issue(rule(SseAlgorithm::kAwsKmsDsse));
  // The outer wrap opens under the SSE-S3 purpose key alone; the KMS knows nothing of it.
  EXPECT_EQ(issued.envelope.layers[1].wrapped_key.size(), kWrapSize);
  EXPECT_EQ(
      kms->decrypt(issued.envelope.layers[1].wrapped_key, {{"aws:s3:arn", issued.envelope.context_arn}}, owner).code(),
      Code::kInvalidCiphertext);
  const KeySchedule other(Key::random(), schedule.store_id());
  Keyring without_root(other, suite, *kms, bucket_keys);
  EXPECT_EQ(without_root.unlock(issued.envelope, owner).code(), Code::kDamaged);
}

// --- wrapped anew ---

TEST_F(KeyringTest, WrappedAnewAnEnvelopeOpensTheSameChunks) {
  for (const SseRule& sse_rule : all_rules()) {
    const auto issued = issue(sse_rule);
    Bytes cipher(plain.size()), seal(issued.envelope.seal_size()), opened(plain.size());
    ASSERT_TRUE(issued.aead->seal(aad, plain, cipher, seal).ok());
    const auto fresh = keyring.rewrap(issued.envelope, sse_rule, issued.envelope.context_arn, owner);
    ASSERT_TRUE(fresh.ok()) << fresh.error().message;
    EXPECT_EQ(fresh->generation, issued.envelope.generation);
    ASSERT_EQ(fresh->layers.size(), issued.envelope.layers.size());
    for (std::size_t layer = 0; layer < fresh->layers.size(); ++layer) {
      EXPECT_NE(fresh->layers[layer].wrapped_key, issued.envelope.layers[layer].wrapped_key);
      EXPECT_NE(fresh->layers[layer].commitment, issued.envelope.layers[layer].commitment);
    }
    const auto aead = keyring.unlock(*Envelope::decode(fresh->encode()), owner);
    ASSERT_TRUE(aead.ok()) << aead.error().message;
    ASSERT_TRUE((*aead)->open(aad, cipher, seal, opened).ok());
    EXPECT_EQ(opened, plain);
  }
}

TEST_F(KeyringTest, ARotationMakesEveryEnvelopeUnderTheKeyDue) {
  for (const SseRule& sse_rule : all_rules()) {
    const auto issued = issue(sse_rule);
    EXPECT_TRUE(keyring.up_to_date(issued.envelope, sse_rule, owner));
    ASSERT_TRUE(kms->rotate(arn).ok());
    const bool kms_key = sse_rule.algorithm != SseAlgorithm::kAes256;
    EXPECT_EQ(keyring.up_to_date(issued.envelope, sse_rule, owner), !kms_key);
    const auto fresh = keyring.rewrap(issued.envelope, sse_rule, issued.envelope.context_arn, owner);
    ASSERT_TRUE(fresh.ok());
    EXPECT_TRUE(keyring.up_to_date(*fresh, sse_rule, owner));
  }
}

TEST_F(KeyringTest, AnEnvelopeMixedFromTwoWrapsOfOneDataKeyDoesNotOpen) {
  for (const SseRule& sse_rule : all_rules()) {
    const Envelope old = issue(sse_rule).envelope;
    const Envelope fresh = keyring.rewrap(old, sse_rule, old.context_arn, owner).value();
    for (std::size_t layer = 0; layer < old.layers.size(); ++layer) {
      Envelope mixed = fresh;
      mixed.layers[layer].wrapped_key = old.layers[layer].wrapped_key;
      EXPECT_EQ(keyring.unlock(mixed, owner).code(), Code::kDamaged);
      mixed = fresh;
      mixed.layers[layer].commitment = old.layers[layer].commitment;
      EXPECT_EQ(keyring.unlock(mixed, owner).code(), Code::kDamaged);
    }
  }
}

TEST_F(KeyringTest, WhatDoesNotOpenIsNotWrappedAnew) {
  for (const SseRule& sse_rule : all_rules()) {
    Envelope damaged = issue(sse_rule).envelope;
    damaged.layers[0].commitment[0] ^= 1;
    EXPECT_EQ(keyring.rewrap(damaged, sse_rule, damaged.context_arn, owner).code(), Code::kDamaged);
    if (sse_rule.algorithm == SseAlgorithm::kAes256) continue;
    const Envelope whole = issue(sse_rule).envelope;
    ASSERT_TRUE(kms->disable(arn).ok());
    EXPECT_EQ(keyring.rewrap(whole, sse_rule, whole.context_arn, owner).code(), Code::kKeyDisabled);
    EXPECT_EQ(keyring.rewrap(whole, sse_rule, whole.context_arn, stranger).code(), Code::kKeyDenied);
    ASSERT_TRUE(kms->enable(arn).ok());
  }
}

}  // namespace
}  // namespace coffer
