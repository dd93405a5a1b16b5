#include "crypto/bucket_keys.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>

#include "base/limits.h"
#include "tests/support/local_kms_fixture.h"
#include "tests/support/manual_clock.h"

namespace coffer {
namespace {

constexpr std::int64_t kLifetimeNs = kBucketKeySecondsMax * 1'000'000'000;

class BucketKeysTest : public LocalKmsTest {
 protected:
  BucketKeysTest() : arn(make_key()) { restart(); }

  void restart() {
    bucket_keys = nullptr;
    reopen();
    bucket_keys = std::make_unique<BucketKeys>(*kms, suite, clock);
  }
  std::uint64_t generated() { return calls("GenerateDataKey"); }

  std::string arn;
  EncryptionContext bucket{{"aws:s3:arn", "arn:aws:s3:::bucket"}};
  EncryptionContext other_bucket{{"aws:s3:arn", "arn:aws:s3:::other"}};
  std::unique_ptr<BucketKeys> bucket_keys;
};

TEST_F(BucketKeysTest, AThousandObjectsCostOneCallAndReadingThemAfterARestartOneMore) {  // BK-01, 03, 12
  std::vector<DataKey> made;
  std::set<Bytes> distinct;
  for (int i = 0; i < 1000; ++i) {
    auto key = bucket_keys->generate_data_key(arn, bucket, owner);
    ASSERT_TRUE(key.ok());
    EXPECT_EQ(key->key_arn, arn);
    distinct.insert(to_bytes(key->plaintext.view()));
    made.push_back(*std::move(key));
  }
  EXPECT_EQ(distinct.size(), 1000U);
  EXPECT_EQ(generated(), 1U);
  EXPECT_EQ(calls("Decrypt"), 0U);
  restart();
  for (const DataKey& key : made) {
    const auto opened = bucket_keys->decrypt(key.blob, bucket, owner);
    ASSERT_TRUE(opened.ok());
    EXPECT_TRUE(equal_constant_time(*opened, key.plaintext));
  }
  EXPECT_EQ(calls("Decrypt"), 1U);
}

TEST_F(BucketKeysTest, ANameInAnotherAccountServesItsObjectsWithOneCallToo) {  // BK-03, SEED-26
  const auto theirs = kms->create_key({.description = "theirs"}, stranger.account);
  ASSERT_TRUE(kms->create_alias("alias/same", arn).ok());
  ASSERT_TRUE(kms->create_alias("alias/same", theirs->key_id, stranger.account).ok());
  for (const std::string& name : {std::string("alias/same"), theirs->key_id, std::string(kAwsManagedAlias)}) {
    const auto before = generated();
    for (int i = 0; i < 100; ++i) ASSERT_TRUE(bucket_keys->generate_data_key(name, bucket, stranger).ok());
    EXPECT_EQ(generated() - before, 1U) << name;
  }
}

TEST_F(BucketKeysTest, ABucketKeyLivesForItsLifetimeAndNoLonger) {  // BK-02
  ASSERT_TRUE(bucket_keys->generate_data_key(arn, bucket, owner).ok());
  clock.advance_ns(kLifetimeNs - 1);
  const auto early = bucket_keys->generate_data_key(arn, bucket, owner);
  EXPECT_EQ(generated(), 1U);
  clock.advance_ns(1);
  const auto late = bucket_keys->generate_data_key(arn, bucket, owner);
  EXPECT_EQ(generated(), 2U);
  for (const auto* key : {&early, &late}) EXPECT_TRUE(bucket_keys->decrypt((*key)->blob, bucket, owner).ok());
  EXPECT_EQ(calls("Decrypt"), 2U);
  clock.advance_ns(kLifetimeNs);
  EXPECT_TRUE(bucket_keys->decrypt(early->blob, bucket, owner).ok());
  EXPECT_EQ(calls("Decrypt"), 3U);
}

TEST_F(BucketKeysTest, BucketsKeysAndPrincipalsShareNothing) {  // BK-04, 05
  const std::string second = make_key();
  Principal colleague{realm.account, "arn:aws:iam::000000000000:user/colleague"};
  constexpr auto kForBoth = R"({"Statement":{"Effect":"Allow","Principal":{"AWS":)"
                           R"(["arn:aws:iam::000000000000:root","arn:aws:iam::000000000000:user/colleague"]},)"
                           R"("Action":"kms:*","Resource":"*"}})";
  const auto put = kms->put_key_policy(arn, kForBoth, LocalKms::LockOut::kRefuse, {owner});
  ASSERT_TRUE(put.ok()) << put.error().message;
  ASSERT_TRUE(bucket_keys->generate_data_key(arn, bucket, owner).ok());
  ASSERT_TRUE(bucket_keys->generate_data_key(arn, other_bucket, owner).ok());
  ASSERT_TRUE(bucket_keys->generate_data_key(second, bucket, owner).ok());
  ASSERT_TRUE(bucket_keys->generate_data_key(arn, bucket, colleague).ok());
  EXPECT_EQ(generated(), 4U);

  const auto key = bucket_keys->generate_data_key(arn, bucket, owner);
  ASSERT_TRUE(bucket_keys->decrypt(key->blob, bucket, owner).ok());
  ASSERT_TRUE(bucket_keys->decrypt(key->blob, bucket, colleague).ok());
  EXPECT_EQ(calls("Decrypt"), 2U);
  EXPECT_EQ(bucket_keys->generate_data_key(arn, bucket, stranger).code(), Code::kKeyDenied);
  EXPECT_EQ(bucket_keys->decrypt(key->blob, bucket, stranger).code(), Code::kKeyDenied);
}

TEST_F(BucketKeysTest, ABlobOpensOnlyUnderItsBucketAndUnchanged) {
  const auto key = bucket_keys->generate_data_key(arn, bucket, owner);
  ASSERT_TRUE(bucket_keys->decrypt(key->blob, bucket, owner).ok());  // its bucket-level key is in memory now
  EXPECT_EQ(bucket_keys->decrypt(key->blob, other_bucket, owner).code(), Code::kInvalidCiphertext);
  for (std::size_t bit = 0; bit < key->blob.size() * 8; ++bit) {
    Bytes blob = key->blob;
    blob[bit / 8] ^= static_cast<std::uint8_t>(1 << (bit % 8));
    EXPECT_EQ(bucket_keys->decrypt(blob, bucket, owner).code(), Code::kInvalidCiphertext) << bit;
  }
  for (std::size_t size = 0; size < key->blob.size(); ++size)
    EXPECT_EQ(bucket_keys->decrypt(BytesView(key->blob).first(size), bucket, owner).code(), Code::kInvalidCiphertext);
}

TEST_F(BucketKeysTest, AnotherObjectsWrapUnderTheSameBucketKeyIsAnotherKey) {
  const auto one = bucket_keys->generate_data_key(arn, bucket, owner),
             other = bucket_keys->generate_data_key(arn, bucket, owner);
  const auto opened = bucket_keys->decrypt(one->blob, bucket, owner);
  EXPECT_FALSE(equal_constant_time(*opened, other->plaintext));
}

TEST_F(BucketKeysTest, ADisabledKeyMakesNothingAlthoughItsBucketKeyIsInMemory) {  // BK-06
  ASSERT_TRUE(bucket_keys->generate_data_key(arn, bucket, owner).ok());
  ASSERT_TRUE(kms->disable(arn).ok());
  EXPECT_EQ(bucket_keys->generate_data_key(arn, bucket, owner).code(), Code::kKeyDisabled);
  EXPECT_EQ(bucket_keys->usable(arn, context, owner).code(), Code::kKeyDisabled);
  ASSERT_TRUE(kms->enable(arn).ok());
  EXPECT_TRUE(bucket_keys->generate_data_key(arn, bucket, owner).ok());
}

TEST_F(BucketKeysTest, FlushForgetsBothDirections) {
  const auto key = bucket_keys->generate_data_key(arn, bucket, owner);
  ASSERT_TRUE(bucket_keys->decrypt(key->blob, bucket, owner).ok());
  bucket_keys->flush(arn);
  ASSERT_TRUE(kms->disable(arn).ok());
  EXPECT_EQ(bucket_keys->decrypt(key->blob, bucket, owner).code(), Code::kKeyDisabled);
  ASSERT_TRUE(kms->enable(arn).ok());
  ASSERT_TRUE(bucket_keys->decrypt(key->blob, bucket, owner).ok());
  ASSERT_TRUE(bucket_keys->generate_data_key(arn, bucket, owner).ok());
  EXPECT_EQ(generated(), 2U);
}

TEST_F(BucketKeysTest, ErrorsAreNotRemembered) {
  EXPECT_EQ(bucket_keys->generate_data_key("alias/none", bucket, owner).code(), Code::kKeyMissing);
  ASSERT_TRUE(kms->create_alias("alias/none", arn).ok());
  EXPECT_TRUE(bucket_keys->generate_data_key("alias/none", bucket, owner).ok());
}

TEST_F(BucketKeysTest, MoreBucketsThanFitLetTheOldestGo) {
  const auto context_of = [](std::size_t i) {
    return EncryptionContext{{"aws:s3:arn", "arn:aws:s3:::bucket-" + std::to_string(i)}};
  };
  for (std::size_t i = 0; i <= kBucketKeysCached; ++i) {
    clock.advance_ns(1);
    ASSERT_TRUE(bucket_keys->generate_data_key(arn, context_of(i), owner).ok());
  }
  const std::uint64_t before = generated();
  ASSERT_TRUE(bucket_keys->generate_data_key(arn, context_of(kBucketKeysCached), owner).ok());
  ASSERT_TRUE(bucket_keys->generate_data_key(arn, context_of(1), owner).ok());
  EXPECT_EQ(generated(), before);
  ASSERT_TRUE(bucket_keys->generate_data_key(arn, context_of(0), owner).ok());
  EXPECT_EQ(generated(), before + 1);
}

// A Kms whose calls wait until they are let go, and answer as they are told.
class GatedKms final : public Kms {
 public:
  Result<DataKey> generate_data_key(std::string_view, const EncryptionContext&, const Principal&) override {
    std::unique_lock lock(mutex_);
    ++calls_;
    changed_.notify_all();
    changed_.wait(lock, [&] { return open_; });
    if (failing_) return Error{Code::kKmsAway, "away"};
    return DataKey{Key::random(), Bytes(16, 7), "arn:aws:kms:us-east-1:000000000000:key/x"};
  }
  Result<Key> decrypt(BytesView, const EncryptionContext&, const Principal&) override { return Key::random(); }
  Result<WrappedDataKey> encrypt(std::string_view, const Key&, const EncryptionContext&, const Principal&) override {
    return Error{Code::kUnsupported, "not asked for in these tests"};
  }
  Status usable(std::string_view, const EncryptionContext&, const Principal&) const override { return {}; }
  std::string key_arn_of(BytesView) const override { return {}; }
  bool is_current(BytesView, std::string_view, const Principal&) const override { return true; }

  void wait_for_call() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return calls_ > 0; });
  }
  void let_go(bool failing) {
    std::lock_guard lock(mutex_);
    open_ = true;
    failing_ = failing;
    changed_.notify_all();
  }
  int calls() {
    std::lock_guard lock(mutex_);
    return calls_;
  }

 private:
  std::mutex mutex_;  // guards all below
  std::condition_variable changed_;
  bool open_ = false, failing_ = false;
  int calls_ = 0;
};

class GatedBucketKeys : public ::testing::Test {
 protected:
  GatedKms kms;
  const AeadSuite suite = AeadSuite::detect().value();
  ManualClock clock;
  BucketKeys bucket_keys{kms, suite, clock};
  const Principal owner = Principal::root_of(AccountId::parse("000000000000").value());
  const EncryptionContext bucket{{"aws:s3:arn", "arn:aws:s3:::bucket"}};
};

TEST_F(GatedBucketKeys, ThreadsThatMissTogetherMakeOneCall) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] { EXPECT_TRUE(bucket_keys.generate_data_key("key", bucket, owner).ok()); });
  kms.wait_for_call();
  kms.let_go(/*failing=*/false);
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(kms.calls(), 1);
}

TEST_F(GatedBucketKeys, AKeyThatIsLoadedWhileItIsFlushedIsNotKept) {
  std::thread loader([&] { EXPECT_TRUE(bucket_keys.generate_data_key("key", bucket, owner).ok()); });
  kms.wait_for_call();
  bucket_keys.flush("arn:aws:kms:us-east-1:000000000000:key/x");
  kms.let_go(/*failing=*/false);
  loader.join();
  EXPECT_TRUE(bucket_keys.generate_data_key("key", bucket, owner).ok());
  EXPECT_EQ(kms.calls(), 2);
}

TEST_F(GatedBucketKeys, AKmsThatIsAwayIsAnErrorForAllWhoWait) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back(
        [&] { EXPECT_EQ(bucket_keys.generate_data_key("key", bucket, owner).code(), Code::kKmsAway); });
  kms.wait_for_call();
  kms.let_go(/*failing=*/true);
  for (auto& thread : threads) thread.join();
  kms.let_go(/*failing=*/false);
  EXPECT_TRUE(bucket_keys.generate_data_key("key", bucket, owner).ok());
}

}  // namespace
}  // namespace coffer
