#include "crypto/local_kms.h"

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <thread>

#include "base/limits.h"
#include "tests/support/local_kms_fixture.h"

namespace coffer {
namespace {

constexpr std::string_view kUnknownId = "11111111-2222-3333-4444-555555555555";

std::string key_id_of(const std::string& arn) { return arn.substr(arn.find("key/") + 4); }

TEST_F(LocalKmsTest, DecryptGivesBackWhatGenerateDataKeyMade) {
  const std::string arn = make_key();
  const auto made = kms->generate_data_key(arn, context, owner);
  ASSERT_TRUE(made.ok());
  EXPECT_EQ(made->key_arn, arn);
  const auto opened = kms->decrypt(made->blob, context, owner);
  ASSERT_TRUE(opened.ok());
  EXPECT_TRUE(equal_constant_time(*opened, made->plaintext));
}

TEST_F(LocalKmsTest, EveryDataKeyAndEveryBlobIsAnother) {
  const std::string arn = make_key();
  const auto one = kms->generate_data_key(arn, context, owner), other = kms->generate_data_key(arn, context, owner);
  EXPECT_FALSE(equal_constant_time(one->plaintext, other->plaintext));
  EXPECT_NE(one->blob, other->blob);
}

TEST_F(LocalKmsTest, ABlobOpensOnlyUnderItsOwnContext) {
  const auto made = kms->generate_data_key(make_key(), context, owner);
  for (const EncryptionContext& other :
       {EncryptionContext{}, EncryptionContext{{"aws:s3:arn", "arn:aws:s3:::bucket/other"}},
        EncryptionContext{{"aws:s3:arn", "arn:aws:s3:::bucket/key"}, {"more", ""}},
        EncryptionContext{{"AWS:s3:arn", "arn:aws:s3:::bucket/key"}}})
    expect_error(kms->decrypt(made->blob, other, owner), Code::kInvalidCiphertext, "");
}

TEST_F(LocalKmsTest, EveryChangedBitOfABlobIsRefused) {
  const auto made = kms->generate_data_key(make_key(), context, owner);
  for (std::size_t bit = 0; bit < made->blob.size() * 8; ++bit) {
    Bytes blob = made->blob;
    blob[bit / 8] ^= static_cast<std::uint8_t>(1 << (bit % 8));
    expect_error(kms->decrypt(blob, context, owner), Code::kInvalidCiphertext, "");
  }
  for (std::size_t size = 0; size < made->blob.size(); ++size)
    expect_error(kms->decrypt(BytesView(made->blob).first(size), context, owner), Code::kInvalidCiphertext, "");
}

TEST_F(LocalKmsTest, AKeyIsFoundByIdArnAliasAndAliasArn) {
  const std::string arn = make_key();
  ASSERT_TRUE(kms->create_alias("alias/mine", arn).ok());
  for (const std::string& name :
       {key_id_of(arn), arn, std::string("alias/mine"), std::string("arn:aws:kms:us-east-1:000000000000:alias/mine")}) {
    const auto made = kms->generate_data_key(name, context, owner);
    ASSERT_TRUE(made.ok()) << name;
    EXPECT_EQ(made->key_arn, arn);
    EXPECT_TRUE(kms->is_current(made->blob, name, owner));
    const KmsCall call{owner};
    EXPECT_EQ(kms->authorize("kms:DescribeKey", name, call)->arn, arn);
    const auto sealed = kms->encrypt_bytes(name, Bytes(5, 1), context, call);
    ASSERT_TRUE(sealed.ok()) << name;
    EXPECT_EQ(sealed->key_arn, arn);
    EXPECT_TRUE(kms->decrypt_bytes(sealed->blob, context, call, name).ok()) << name;
    const auto moved = kms->re_encrypt({sealed->blob, name, context, name, context}, call);
    ASSERT_TRUE(moved.ok()) << name;
    EXPECT_EQ(moved->encrypted.key_arn, arn);
  }
}

TEST_F(LocalKmsTest, AMissingKeyIsMissingInTheWordsOfKms) {  // KMS-10..13
  const auto error = [&](std::string_view key, std::string_view message) {
    expect_error(kms->generate_data_key(key, context, owner), Code::kKeyMissing, message);
    expect_error(kms->describe(key), Code::kKeyMissing, message);
  };
  const std::string unknown(kUnknownId);
  error("fake-key-id", "Invalid keyId 'fake-key-id'");
  error("11111111222233334444555555555555", "Invalid keyId '11111111222233334444555555555555'");
  error("", "Invalid keyId ''");
  error(unknown, "Key 'arn:aws:kms:us-east-1:000000000000:key/" + unknown + "' does not exist");
  error("arn:aws:kms:us-east-1:000000000000:key/" + unknown,
        "Key 'arn:aws:kms:us-east-1:000000000000:key/" + unknown + "' does not exist");
  error("arn:aws:kms:eu-west-9:000000000000:key/" + unknown, "Invalid arn eu-west-9");
  error("alias/none", "Alias arn:aws:kms:us-east-1:000000000000:alias/none is not found.");
  error("arn:aws:kms:us-east-1:000000000000:alias/none",
        "Alias arn:aws:kms:us-east-1:000000000000:alias/none is not found.");
}

TEST_F(LocalKmsTest, ADisabledKeyNeitherMakesNorOpensUntilItIsEnabled) {  // KMS-14
  const std::string arn = make_key();
  const auto made = kms->generate_data_key(arn, context, owner);
  ASSERT_TRUE(kms->disable(arn).ok());
  expect_error(kms->generate_data_key(arn, context, owner), Code::kKeyDisabled, arn + " is disabled.");
  expect_error(kms->decrypt(made->blob, context, owner), Code::kKeyDisabled, arn + " is disabled.");
  expect_error(kms->usable(arn, context, owner), Code::kKeyDisabled, arn + " is disabled.");
  expect_error(kms->rotate(arn), Code::kKeyDisabled, arn + " is disabled.");
  ASSERT_TRUE(kms->enable(arn).ok());
  EXPECT_TRUE(kms->decrypt(made->blob, context, owner).ok());
  EXPECT_TRUE(kms->usable(arn, context, owner).ok());
}

TEST_F(LocalKmsTest, AKeyPendingDeletionServesNothingAndCancelLeavesItDisabled) {  // KMS-15, KMS-16
  const std::string arn = make_key();
  const auto made = kms->generate_data_key(arn, context, owner);
  expect_error(kms->cancel_deletion(arn), Code::kKeyState, arn + " is not pending deletion.");
  const auto scheduled = kms->schedule_deletion(arn, 7);
  ASSERT_TRUE(scheduled.ok());
  EXPECT_EQ(scheduled->state, KeyState::kPendingDeletion);
  EXPECT_EQ(scheduled->deletion_ns, clock.wall_ns() + 7 * kDayNs);
  const std::string pending = arn + " is pending deletion.";
  expect_error(kms->generate_data_key(arn, context, owner), Code::kKeyPendingDeletion, pending);
  expect_error(kms->decrypt(made->blob, context, owner), Code::kKeyPendingDeletion, pending);
  expect_error(kms->usable(arn, context, owner), Code::kKeyPendingDeletion, pending);
  expect_error(kms->enable(arn), Code::kKeyPendingDeletion, pending);
  expect_error(kms->disable(arn), Code::kKeyPendingDeletion, pending);
  expect_error(kms->schedule_deletion(arn, 7), Code::kKeyPendingDeletion, pending);
  expect_error(kms->create_alias("alias/late", arn), Code::kKeyPendingDeletion, pending);

  const auto cancelled = kms->cancel_deletion(arn);
  ASSERT_TRUE(cancelled.ok());
  EXPECT_EQ(cancelled->state, KeyState::kDisabled);
  EXPECT_FALSE(cancelled->deletion_ns);
  ASSERT_TRUE(kms->enable(arn).ok());
  EXPECT_TRUE(kms->decrypt(made->blob, context, owner).ok());
}

TEST_F(LocalKmsTest, DeletionHappensWhenTheWindowIsOverAndTakesTheMaterial) {
  const std::string arn = make_key();
  ASSERT_TRUE(kms->create_alias("alias/gone", arn).ok());
  const auto made = kms->generate_data_key(arn, context, owner);
  ASSERT_TRUE(kms->schedule_deletion(arn, 7).ok());
  clock.advance_ns(7 * kDayNs - 1);
  ASSERT_TRUE(kms->delete_expired().ok());
  EXPECT_EQ(kms->list_keys().size(), 1U);
  clock.advance_ns(1);
  ASSERT_TRUE(kms->delete_expired().ok());
  EXPECT_TRUE(records.keys.at(key_id_of(arn)).materials.empty());
  for (bool restarted : {false, true}) {
    if (restarted) reopen();
    const std::string missing = "Key '" + arn + "' does not exist";
    expect_error(kms->decrypt(made->blob, context, owner), Code::kKeyMissing, missing);
    expect_error(kms->usable(arn, context, owner), Code::kKeyMissing, missing);
    expect_error(kms->cancel_deletion(arn), Code::kKeyMissing, missing);
    expect_error(kms->describe("alias/gone"), Code::kKeyMissing,
                 "Alias arn:aws:kms:us-east-1:000000000000:alias/gone is not found.");
    EXPECT_TRUE(kms->list_keys().empty());
    EXPECT_TRUE(kms->list_aliases().empty());
  }
  EXPECT_TRUE(kms->create_alias("alias/gone", make_key()).ok());
}

TEST_F(LocalKmsTest, TheDeletionWindowIsSevenToThirtyDays) {
  const std::string arn = make_key();
  expect_error(
      kms->schedule_deletion(arn, 6), Code::kInvalidArgument,
      "1 validation error detected: Value '6' at 'pendingWindowInDays' failed to satisfy constraint: Member must "
      "have value greater than or equal to 7");
  EXPECT_EQ(kms->schedule_deletion(arn, 31).code(), Code::kInvalidArgument);
  EXPECT_EQ(kms->schedule_deletion(arn, -1).code(), Code::kInvalidArgument);
  EXPECT_EQ(kms->describe(arn)->state, KeyState::kEnabled);
  EXPECT_TRUE(kms->schedule_deletion(arn, 30).ok());
}

TEST_F(LocalKmsTest, RotationAddsMaterialAndOldBlobsStayReadable) {  // KMS-40
  const std::string arn = make_key();
  const auto before = kms->generate_bytes(arn, 32, context, {owner});
  ASSERT_TRUE(kms->rotate(arn).ok());
  reopen();
  const auto after = kms->generate_bytes(arn, 32, context, {owner});
  EXPECT_NE(before->material_id, after->material_id);
  EXPECT_EQ(kms->describe(arn)->current_material_id, after->material_id);
  EXPECT_EQ(kms->decrypt_bytes(before->blob, context, {owner}, "")->material_id, before->material_id);
  EXPECT_EQ(kms->decrypt_bytes(after->blob, context, {owner}, "")->material_id, after->material_id);
}

TEST_F(LocalKmsTest, TwentyFiveRotationsAndNoMore) {  // KMS-25
  const std::string arn = make_key();
  for (std::size_t i = 0; i < kOnDemandRotationsMax; ++i) ASSERT_TRUE(kms->rotate(arn).ok());
  expect_error(kms->rotate(arn), Code::kLimit,
               "The on-demand rotations limit has been reached for the given keyId. No more on-demand rotations can be "
               "performed for this key: " +
                   arn);
}

TEST_F(LocalKmsTest, TheWireMakesAnyLengthUpTo1024) {
  const std::string arn = make_key();
  for (std::size_t size : {1U, 16U, 32U, 1024U}) {
    const auto made = kms->generate_bytes(arn, size, context, {owner});
    ASSERT_TRUE(made.ok());
    const auto opened = kms->decrypt_bytes(made->blob, context, {owner}, "");
    ASSERT_TRUE(opened.ok());
    EXPECT_EQ(to_bytes(opened->plaintext.view()), to_bytes(made->plaintext.view()));
    EXPECT_EQ(opened->key_arn, arn);
    if (size == 32) continue;
    EXPECT_EQ(kms->decrypt(made->blob, context, owner).code(), Code::kInvalidCiphertext);
  }
  expect_error(kms->generate_bytes(arn, 1025, context, {owner}), Code::kInvalidArgument,
               "1 validation error detected: Value '1025' at 'numberOfBytes' failed to satisfy constraint: Member must "
               "have value less than or equal to 1024");
  EXPECT_EQ(kms->generate_bytes(arn, 0, context, {owner}).code(), Code::kInvalidArgument);
}

TEST_F(LocalKmsTest, DecryptUnderANamedKeyRefusesAnothersBlob) {
  const std::string arn = make_key(), other = make_key();
  const auto made = kms->generate_bytes(arn, 32, context, {owner});
  EXPECT_TRUE(kms->decrypt_bytes(made->blob, context, {owner}, arn).ok());
  expect_error(kms->decrypt_bytes(made->blob, context, {owner}, other), Code::kIncorrectKey,
               "The key ID in the request does not identify a CMK that can perform this operation.");
  expect_error(kms->decrypt_bytes(made->blob, context, {owner}, "fake"), Code::kKeyMissing, "Invalid keyId 'fake'");
}

TEST_F(LocalKmsTest, AnotherAccountIsDenied) {
  const std::string arn = make_key();
  const auto made = kms->generate_data_key(arn, context, owner);
  EXPECT_EQ(kms->generate_data_key(arn, context, stranger).code(), Code::kKeyDenied);
  EXPECT_EQ(kms->decrypt(made->blob, context, stranger).code(), Code::kKeyDenied);
  EXPECT_EQ(kms->usable(arn, context, stranger).code(), Code::kKeyDenied);
  EXPECT_NE(kms->usable(arn, context, stranger).error().message.find(stranger.arn), std::string::npos);
}

TEST_F(LocalKmsTest, TheAwsManagedKeyIsMadeOnFirstUseOnceAndForAll) {  // OBJ-04, PBE-12
  EXPECT_EQ(kms->describe("alias/aws/s3").code(), Code::kKeyMissing);
  EXPECT_TRUE(kms->list_keys().empty());
  const auto first = kms->generate_data_key("alias/aws/s3", context, owner);
  ASSERT_TRUE(first.ok());
  const auto second = kms->generate_data_key("arn:aws:kms:us-east-1:000000000000:alias/aws/s3", context, owner);
  EXPECT_EQ(first->key_arn, second->key_arn);
  const auto metadata = kms->describe("alias/aws/s3");
  EXPECT_EQ(metadata->manager, KeyManager::kAws);
  EXPECT_EQ(metadata->description, "Default key that protects my S3 objects when no other key is defined");
  EXPECT_EQ(kms->disable("alias/aws/s3").code(), Code::kUnsupported);
  EXPECT_EQ(kms->rotate("alias/aws/s3").code(), Code::kUnsupported);
  EXPECT_EQ(kms->schedule_deletion("alias/aws/s3", 7).code(), Code::kUnsupported);
  reopen();
  EXPECT_EQ(kms->describe("alias/aws/s3")->arn, first->key_arn);
}

TEST_F(LocalKmsTest, ThreadsThatMeetAtTheAwsManagedKeyMakeOne) {
  std::vector<std::thread> threads;
  std::atomic<int> made = 0;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] { made += kms->generate_data_key("alias/aws/s3", context, owner).ok() ? 1 : 0; });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(made, 4);
  EXPECT_EQ(kms->list_keys().size(), 1U);
}

TEST_F(LocalKmsTest, AnAliasIsCheckedAsKmsChecksIt) {  // KMS-23
  const std::string arn = make_key();
  expect_error(kms->create_alias("mine", arn), Code::kInvalidAliasName,
               "Alias must start with the prefix \"alias/\". Please see "
               "https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html");
  for (const std::string& name : {std::string("alias/"), std::string("alias/aws/mine"), std::string("alias/with blank"),
                                  "alias/" + std::string(251, 'a')})
    EXPECT_EQ(kms->create_alias(name, arn).code(), Code::kInvalidAliasName) << name;
  ASSERT_TRUE(kms->create_alias("alias/mine", arn).ok());
  expect_error(kms->create_alias("alias/mine", arn), Code::kExists,
               "An alias with the name arn:aws:kms:us-east-1:000000000000:alias/mine already exists");
  expect_error(kms->create_alias("alias/second", "alias/mine"), Code::kInvalidArgument,
               "Aliases must refer to keys. Not aliases");
  EXPECT_EQ(kms->create_alias("alias/third", kUnknownId).code(), Code::kKeyMissing);
  EXPECT_EQ(kms->list_aliases().size(), 1U);
}

TEST_F(LocalKmsTest, ARestartForgetsNothing) {
  const std::string arn = make_key(), disabled = make_key();
  const auto made = kms->generate_data_key(arn, context, owner);
  ASSERT_TRUE(kms->create_alias("alias/mine", arn).ok());
  ASSERT_TRUE(kms->disable(disabled).ok());
  ASSERT_TRUE(kms->save_call_counts().ok());
  const auto counts = kms->call_counts();
  reopen();
  EXPECT_EQ(kms->call_counts(), counts);
  EXPECT_TRUE(equal_constant_time(*kms->decrypt(made->blob, context, owner), made->plaintext));
  EXPECT_EQ(kms->describe("alias/mine")->arn, arn);
  EXPECT_EQ(kms->describe(disabled)->state, KeyState::kDisabled);
}

TEST_F(LocalKmsTest, ARecordOfAnotherStoreOrKeyGivesNoMaterial) {
  const std::string arn = make_key(), other = make_key();
  const auto made = kms->generate_data_key(arn, context, owner);
  auto& record = records.keys.at(key_id_of(arn));
  const KmsKeyRecord kept = record;
  record.materials[0].wrapped[40] ^= 1;
  reopen();
  EXPECT_EQ(kms->decrypt(made->blob, context, owner).code(), Code::kDamaged);
  record.materials[0].wrapped = records.keys.at(key_id_of(other)).materials[0].wrapped;
  reopen();
  EXPECT_EQ(kms->decrypt(made->blob, context, owner).code(), Code::kDamaged);
  record = kept;
  reopen();
  EXPECT_TRUE(kms->decrypt(made->blob, context, owner).ok());
}

// Each change, with its n-th save failing: nothing has happened, in memory or after a restart.
TEST_F(LocalKmsTest, AChangeThatCannotBeSavedDoesNotHappen) {
  const std::string arn = make_key();
  const auto before = kms->describe(arn);
  const std::vector<std::function<Code()>> changes = {
      [&] { return kms->create_key("").code(); }, [&] { return kms->create_alias("alias/mine", arn).code(); },
      [&] { return kms->disable(arn).code(); }, [&] { return kms->rotate(arn).code(); },
      [&] { return kms->schedule_deletion(arn, 7).code(); }};
  for (const auto& change : changes) {
    records.fail_save(1);
    EXPECT_EQ(change(), Code::kIo);
    for (bool restarted : {false, true}) {
      if (restarted) reopen();
      EXPECT_EQ(kms->list_keys().size(), 1U);
      EXPECT_TRUE(kms->list_aliases().empty());
      EXPECT_EQ(kms->describe(arn)->state, KeyState::kEnabled);
      EXPECT_EQ(kms->describe(arn)->current_material_id, before->current_material_id);
    }
  }
}

TEST_F(LocalKmsTest, TheAwsManagedKeyIsMadeOnceAlsoWhenItsSavesFail) {
  for (int nth : {1, 2}) {
    records.fail_save(nth);
    EXPECT_EQ(kms->generate_data_key("alias/aws/s3", context, owner).code(), Code::kIo);
  }
  EXPECT_TRUE(kms->generate_data_key("alias/aws/s3", context, owner).ok());
  EXPECT_EQ(kms->list_keys().size(), 1U);
  EXPECT_EQ(kms->list_aliases().size(), 1U);
}

TEST_F(LocalKmsTest, EveryCallIsCountedAndAskingWhetherAKeyIsUsableIsNone) {
  EXPECT_EQ(calls("GenerateDataKey"), 0U);
  EXPECT_EQ(calls("Decrypt"), 0U);
  const std::string arn = make_key();
  const auto made = kms->generate_data_key(arn, context, owner);
  (void)kms->generate_bytes(arn, 5, context, {owner});
  (void)kms->generate_data_key("fake", context, owner);  // refused, and a call all the same
  (void)kms->decrypt(made->blob, context, owner);
  (void)kms->usable(arn, context, owner);
  EXPECT_EQ(calls("CreateKey"), 1U);
  EXPECT_EQ(calls("GenerateDataKey"), 3U);
  EXPECT_EQ(calls("Decrypt"), 1U);
}

TEST_F(LocalKmsTest, CallCountsAreSavedWhenTheyChangedAndOnlyThen) {
  ASSERT_TRUE(kms->save_call_counts().ok());
  EXPECT_EQ(records.saves, 0);
  make_key();
  records.fail_save(1);
  EXPECT_EQ(kms->save_call_counts().code(), Code::kIo);
  ASSERT_TRUE(kms->save_call_counts().ok());
  EXPECT_EQ(records.call_counts.at("CreateKey"), 1U);
  const int saves = records.saves;
  ASSERT_TRUE(kms->save_call_counts().ok());
  EXPECT_EQ(records.saves, saves);
}

TEST_F(LocalKmsTest, AContextAboveEightKibIsRefused) {
  const std::string arn = make_key();
  EXPECT_TRUE(kms->generate_data_key(arn, {{"name", std::string(kContextSizeMax - 4, 'x')}}, owner).ok());
  EXPECT_EQ(kms->generate_data_key(arn, {{"name", std::string(kContextSizeMax - 3, 'x')}}, owner).code(),
            Code::kInvalidArgument);
}

}  // namespace
}  // namespace coffer
