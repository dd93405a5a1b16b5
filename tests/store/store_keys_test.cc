#include <gtest/gtest.h>

#include "base/limits.h"
#include "tests/store/store_rig.h"

namespace coffer {
namespace {

using testing::read_all;
using testing::some_bytes;
using testing::StoreRig;

const NewInode kFileAttributes{0644, 1000, 1000, 0};

SseRule kms_rule(std::string key, SseAlgorithm algorithm = SseAlgorithm::kAwsKms, bool bucket_key = false) {
  SseRule rule;
  rule.algorithm = algorithm;
  rule.kms_key = std::move(key);
  rule.bucket_key_enabled = bucket_key;
  return rule;
}

class StoreKeysTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto made = store().create_bucket(name, NewInode{0755, 1, 1, 0});
    ASSERT_TRUE(made.ok());
    bucket = made->ino;
    key = rig.kms().create_key("one")->arn;
    other_key = rig.kms().create_key("other")->arn;
    ASSERT_TRUE(store().sync_all().ok());
  }
  Store& store() { return rig.store(); }
  InodeNumber create(std::string_view leaf, BytesView bytes) {
    const auto made = store().create(bucket, leaf, kFileAttributes);
    EXPECT_TRUE(made.ok()) << made.error().message;
    if (!made.ok()) return 0;
    EXPECT_TRUE(store().write(made->ino, 0, bytes).ok());
    return made->ino;
  }
  void put_rule(const SseRule& rule) { ASSERT_TRUE(store().put_rule(name, rule).ok()); }
  InodeNumber find(std::string_view leaf) { return *store().resolve(name.str(), leaf); }
  void touch(InodeNumber ino, Bytes& bytes, std::uint64_t at = 0) {
    bytes[at] ^= 0xff;
    const auto written = store().write(ino, at, BytesView(bytes).subspan(at, 1));
    ASSERT_TRUE(written.ok()) << written.error().message;
  }
  void expect_content(InodeNumber ino, const Bytes& expected) {
    const auto got = read_all(store(), ino);
    ASSERT_TRUE(got.ok()) << got.error().message;
    EXPECT_TRUE(*got == expected);
  }
  int reseal_all() {
    int steps = 0;
    for (; steps < 10'000; ++steps) {
      const auto more = store().reseal_step();
      EXPECT_TRUE(more.ok());
      if (!more.ok() || !*more) break;
    }
    return steps;
  }
  SseAlgorithm algorithm_of(InodeNumber ino) { return store().sealing(ino)->envelope.algorithm; }
  Code read_code(InodeNumber ino) {
    const auto got = read_all(store(), ino);
    return got.ok() ? Code::kBusy : got.code();
  }
  std::uint64_t calls(const std::string& operation) { return rig.kms().call_counts()[operation]; }

  StoreRig rig;
  const BucketName name = *BucketName::parse("bucket");
  InodeNumber bucket = 0;
  std::string key, other_key;
};

// --- the default binds when content begins ---

TEST_F(StoreKeysTest, EachDefaultMakesItsOwnEnvelope) {
  const auto plain = create("aes", some_bytes(10, 1));
  put_rule(kms_rule(key));
  const auto kms = create("kms", some_bytes(10, 1));
  put_rule(kms_rule(key, SseAlgorithm::kAwsKms, true));
  const auto bucket_key = create("bucket-key", some_bytes(10, 1));
  EXPECT_EQ(algorithm_of(plain), SseAlgorithm::kAes256);
  EXPECT_EQ(algorithm_of(kms), SseAlgorithm::kAwsKms);
  EXPECT_EQ(store().sealing(kms)->envelope.kms_key_arn, key);
  EXPECT_EQ(store().sealing(kms)->envelope.context_arn, "arn:aws:s3:::bucket/kms");
  EXPECT_EQ(store().sealing(bucket_key)->envelope.context_arn, "arn:aws:s3:::bucket");
  EXPECT_EQ(as_text(*store().xattr(kms, "user.s3.server-side-encryption")), "aws:kms");
  EXPECT_EQ(as_text(*store().xattr(kms, "user.s3.server-side-encryption-aws-kms-key-id")), key);
  EXPECT_FALSE(store().xattr(kms, "user.s3.server-side-encryption-bucket-key-enabled").ok());
  EXPECT_EQ(as_text(*store().xattr(bucket_key, "user.s3.server-side-encryption-bucket-key-enabled")), "true");
}

TEST_F(StoreKeysTest, DsseComesBackAfterReopening) {
  if (!StoreRig::suite().can_double()) GTEST_SKIP() << "one AES-256-GCM library alone works on this machine";
  put_rule(kms_rule(key, SseAlgorithm::kAwsKmsDsse));
  const auto small = some_bytes(100, 1), large = some_bytes(200 * std::size_t{kChunkSize} + 5, 2);
  create("small", small);
  create("large", large);
  ASSERT_TRUE(store().sync_all().ok());
  rig.reopen();
  EXPECT_EQ(store().sealing(find("large"))->envelope.layers.size(), 2U);
  expect_content(find("small"), small);
  expect_content(find("large"), large);
}

TEST_F(StoreKeysTest, TruncationToZeroTakesTheCurrentDefault) {
  const auto ino = create("f", some_bytes(5 * kChunkSize, 1));
  put_rule(kms_rule(key));
  ASSERT_TRUE(store().open_object(ino, /*truncate=*/true).ok());
  EXPECT_EQ(algorithm_of(ino), SseAlgorithm::kAwsKms);
  EXPECT_EQ(store().sealing(ino)->envelope.generation, 2U);
  EXPECT_EQ(store().get(ino)->size, 0U);
  const auto bytes = some_bytes(3 * kChunkSize, 2);
  ASSERT_TRUE(store().write(ino, 0, bytes).ok());
  ASSERT_TRUE(store().sync(ino).ok());
  rig.crash(1);
  rig.open();
  expect_content(find("f"), bytes);
}

TEST_F(StoreKeysTest, BucketKeySparesTheKms) {
  put_rule(kms_rule(key, SseAlgorithm::kAwsKms, true));
  const auto before = calls("GenerateDataKey");
  for (int i = 0; i < 50; ++i) create("f" + std::to_string(i), some_bytes(100, 1));
  EXPECT_LE(calls("GenerateDataKey") - before, 2U);
  ASSERT_TRUE(store().sync_all().ok());
  rig.reopen();
  const auto opened = calls("Decrypt");
  for (int i = 0; i < 50; ++i) expect_content(find("f" + std::to_string(i)), some_bytes(100, 1));
  EXPECT_LE(calls("Decrypt") - opened, 2U);
}

TEST_F(StoreKeysTest, NothingIsCreatedWhenTheKeyOfTheDefaultFails) {
  put_rule(kms_rule(key));
  ASSERT_TRUE(rig.kms().disable(key).ok());
  EXPECT_EQ(store().create(bucket, "f", kFileAttributes).code(), Code::kKeyDisabled);
  EXPECT_TRUE(store().read_directory(bucket, 0, 10)->empty());
  EXPECT_FALSE(store().poisoned());
}

// --- the reseal queue ---

TEST_F(StoreKeysTest, ModifiedObjectComesUnderTheCurrentDefaultAndUntouchedOnesStay) {
  auto large = some_bytes(200 * std::size_t{kChunkSize} + 5, 1), small = some_bytes(100, 2);
  const auto untouched = create("untouched", small);
  create("large", large);
  create("small", small);
  put_rule(kms_rule(key));
  touch(find("large"), large, 77);
  touch(find("small"), small);
  EXPECT_EQ(algorithm_of(find("large")), SseAlgorithm::kAes256);
  EXPECT_TRUE(store().sealing(find("large"))->reseal_pending);
  EXPECT_EQ(store().reseal_progress().waiting, 2U);
  reseal_all();
  EXPECT_EQ(store().reseal_progress().waiting, 0U);
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(algorithm_of(find("large")), SseAlgorithm::kAwsKms);
    EXPECT_EQ(algorithm_of(find("small")), SseAlgorithm::kAwsKms);
    EXPECT_EQ(algorithm_of(untouched), SseAlgorithm::kAes256);
    EXPECT_FALSE(store().sealing(find("large"))->reseal_pending);
    expect_content(find("large"), large);
    expect_content(find("small"), small);
    ASSERT_TRUE(store().sync_all().ok());
    rig.reopen();
  }
}

TEST_F(StoreKeysTest, ResealGoesOnAfterAKillAtEveryStep) {
  if (!StoreRig::suite().can_double()) GTEST_SKIP() << "one AES-256-GCM library alone works on this machine";
  auto bytes = some_bytes(300 * std::size_t{kChunkSize} + 5, 1);
  create("f", bytes);
  put_rule(kms_rule(key, SseAlgorithm::kAwsKmsDsse));
  touch(find("f"), bytes, 5);
  ASSERT_TRUE(store().commit_soon().ok());
  int steps = 0;
  for (; steps < 100; ++steps) {
    const auto more = store().reseal_step();
    ASSERT_TRUE(more.ok());
    if (!*more) break;
    ASSERT_TRUE(store().commit_soon().ok());
    rig.kill();
    rig.open();
    expect_content(find("f"), bytes);
  }
  EXPECT_GT(steps, 5);
  EXPECT_EQ(algorithm_of(find("f")), SseAlgorithm::kAwsKmsDsse);
  EXPECT_EQ(store().sealing(find("f"))->envelope.generation, 2U);
}

TEST_F(StoreKeysTest, WritesDuringAResealAreKept) {
  auto bytes = some_bytes(300 * std::size_t{kChunkSize} + 5, 1);
  const auto ino = create("f", bytes);
  put_rule(kms_rule(key));
  touch(ino, bytes);
  for (std::uint64_t step = 0; step < 30; ++step) {
    ASSERT_TRUE(store().reseal_step().ok());
    touch(ino, bytes, step * 10 * kChunkSize + step);
    if (step % 5 == 0) {
      ASSERT_TRUE(store().sync_all().ok());
    }
  }
  reseal_all();
  EXPECT_EQ(algorithm_of(ino), SseAlgorithm::kAwsKms);
  expect_content(ino, bytes);
  ASSERT_TRUE(store().sync_all().ok());
  rig.reopen();
  expect_content(find("f"), bytes);
}

TEST_F(StoreKeysTest, FailingKeyOfTheNewDefaultLosesNothingAndIsTriedAgain) {
  auto bytes = some_bytes(5 * kChunkSize, 1);
  const auto ino = create("f", bytes);
  put_rule(kms_rule(key));
  ASSERT_TRUE(rig.kms().disable(key).ok());
  touch(ino, bytes);
  EXPECT_LE(reseal_all(), 3);
  EXPECT_EQ(algorithm_of(ino), SseAlgorithm::kAes256);
  EXPECT_TRUE(store().sealing(ino)->reseal_pending);
  touch(ino, bytes, 100);
  expect_content(ino, bytes);
  ASSERT_TRUE(store().sync(ino).ok());
  rig.crash(3);
  rig.open();
  expect_content(find("f"), bytes);
  ASSERT_TRUE(rig.kms().enable(key).ok());
  rig.clock.advance_ns((kResealRetrySeconds + 1) * 1'000'000'000);
  reseal_all();
  EXPECT_EQ(algorithm_of(find("f")), SseAlgorithm::kAwsKms);
  expect_content(find("f"), bytes);
}

TEST_F(StoreKeysTest, KeyThatFailsMidwayLeavesWhatIsNotUnderItReadable) {
  auto bytes = some_bytes(300 * std::size_t{kChunkSize}, 1);
  const auto ino = create("f", bytes);
  put_rule(kms_rule(key));
  touch(ino, bytes, 299 * std::uint64_t{kChunkSize});
  ASSERT_TRUE(store().reseal_step().ok());  // the envelope is issued
  ASSERT_TRUE(store().reseal_step().ok());  // 64 chunks move
  store().hold_key(key);
  ASSERT_TRUE(store().seal_dirty(key).ok());
  store().wipe_key(key);
  ASSERT_TRUE(rig.kms().disable(key).ok());
  store().release_key(key);
  Bytes into(kChunkSize);
  ASSERT_TRUE(store().read(ino, 250 * std::uint64_t{kChunkSize}, into).ok());
  EXPECT_EQ(store().read(ino, 0, into).code(), Code::kKeyDisabled);
  EXPECT_EQ(into, Bytes(kChunkSize, 0));
  touch(ino, bytes, 250 * std::uint64_t{kChunkSize});
  ASSERT_TRUE(rig.kms().enable(key).ok());
  expect_content(ino, bytes);
  store().release_key(key);
  reseal_all();
  EXPECT_EQ(algorithm_of(ino), SseAlgorithm::kAwsKms);
  expect_content(ino, bytes);
}

TEST_F(StoreKeysTest, RuleThatChangesMidwayIsReachedInTheEnd) {
  auto bytes = some_bytes(200 * std::size_t{kChunkSize}, 1);
  const auto ino = create("f", bytes);
  put_rule(kms_rule(key));
  touch(ino, bytes);
  ASSERT_TRUE(store().reseal_step().ok());
  ASSERT_TRUE(store().reseal_step().ok());
  put_rule(kms_rule(other_key));
  reseal_all();
  EXPECT_EQ(store().sealing(ino)->envelope.kms_key_arn, other_key);
  EXPECT_EQ(store().sealing(ino)->envelope.generation, 2U);  // of the first move; the second rule only wraps anew
  expect_content(ino, bytes);
}

TEST_F(StoreKeysTest, QueueTakesUntouchedObjectsByPrefix) {
  create("apple", some_bytes(10, 1));
  create("apricot", some_bytes(10, 2));
  create("banana", some_bytes(10, 3));
  put_rule(kms_rule(key));
  create("april", some_bytes(10, 4));
  EXPECT_EQ(*store().queue_reseal(name, "ap"), 2U);
  reseal_all();
  EXPECT_EQ(algorithm_of(find("apple")), SseAlgorithm::kAwsKms);
  EXPECT_EQ(algorithm_of(find("banana")), SseAlgorithm::kAes256);
}

// --- a key that stops serving ---

TEST_F(StoreKeysTest, DisabledKeyStopsReadsAndNothingElseAndEnablingBringsAllBack) {
  put_rule(kms_rule(key));
  auto bytes = some_bytes(3 * kChunkSize + 5, 1);
  const auto ino = create("f", bytes);
  const auto inline_bytes = some_bytes(50, 2);
  const auto small = create("small", inline_bytes);
  EXPECT_EQ(store().objects_under(key).size(), 2U);
  store().hold_key(key);
  EXPECT_EQ(read_code(ino), Code::kKeyDisabled);
  EXPECT_EQ(store().open_object(ino, false).code(), Code::kKeyDisabled);
  touch(ino, bytes, 17);  // a dirty page of the kernel's, on its way
  ASSERT_TRUE(store().seal_dirty(key).ok());
  store().wipe_key(key);
  EXPECT_FALSE(store().write(ino, 0, bytes).ok());
  ASSERT_TRUE(rig.kms().disable(key).ok());
  store().release_key(key);
  EXPECT_EQ(read_code(ino), Code::kKeyDisabled);
  EXPECT_EQ(read_code(small), Code::kKeyDisabled);
  EXPECT_EQ(store().open_object(ino, false).code(), Code::kKeyDisabled);
  EXPECT_EQ(store().get(ino)->size, bytes.size());
  ASSERT_TRUE(store().rename(bucket, "f", bucket, "g", RenameMode::kReplace).ok());
  ASSERT_TRUE(store().unlink(bucket, "small").ok());
  ASSERT_TRUE(store().sync_all().ok());
  rig.reopen();
  EXPECT_EQ(read_code(find("g")), Code::kKeyDisabled);
  ASSERT_TRUE(rig.kms().enable(key).ok());
  expect_content(find("g"), bytes);
}

TEST_F(StoreKeysTest, TruncationNeedsOnlyTheCurrentDefaultsKey) {
  put_rule(kms_rule(key));
  const auto ino = create("f", some_bytes(100, 1));
  put_rule(SseRule());
  ASSERT_TRUE(rig.kms().disable(key).ok());
  store().wipe_key(key);
  EXPECT_FALSE(store().open_object(ino, /*truncate=*/false).ok());
  ASSERT_TRUE(store().open_object(ino, /*truncate=*/true).ok());
  const auto bytes = some_bytes(10, 2);
  ASSERT_TRUE(store().write(ino, 0, bytes).ok());
  expect_content(ino, bytes);
}

}  // namespace
}  // namespace coffer
