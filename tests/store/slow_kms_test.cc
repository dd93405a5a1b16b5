#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <optional>

#include "store/key_waits.h"
#include "tests/store/store_rig.h"

// While a KMS thinks about the key of one object, everything else goes on: no lock but that object's own is held across
// the call.
namespace coffer {
namespace {

using testing::read_all;
using testing::some_bytes;
using testing::StoreRig;

const NewInode kAttributes{0644, 1, 1, 0};
constexpr auto kPatience = std::chrono::seconds(60);  // what stalls would stall for ever

SseRule under(const std::string& key, SseAlgorithm algorithm = SseAlgorithm::kAwsKms, bool bucket_key = false) {
  SseRule rule;
  rule.algorithm = algorithm;
  if (algorithm != SseAlgorithm::kAes256) rule.kms_key = key;
  rule.bucket_key_enabled = bucket_key;
  return rule;
}

// Two buckets under one key, opened anew: of all objects only those named `cached` have their keys in memory.
class SlowKms : public ::testing::Test {
 protected:
  void SetUp() override {
    key_ = rig_.kms().create_key("")->arn;
    other_key_ = rig_.kms().create_key("")->arn;
    for (const auto& bucket : {waiting_, beside_}) {
      ASSERT_TRUE(store().create_bucket(bucket, NewInode{0755, 1, 1, 0}).ok());
      make(bucket, "plain");
      ASSERT_TRUE(store().put_rule(bucket, under(key_)).ok());
      for (const auto* leaf : {"cold", "cached", "moved", "removed"}) make(bucket, leaf);
    }
    ASSERT_TRUE(store().sync_all().ok());
    rig_.reopen();
    for (const auto& bucket : {waiting_, beside_}) ASSERT_TRUE(read_all(store(), find(bucket, "cached")).ok());
  }

  Store& store() { return rig_.store(); }
  InodeNumber root_of(const BucketName& bucket) { return *store().resolve(bucket.str(), ""); }
  InodeNumber find(const BucketName& bucket, std::string_view leaf) { return *store().resolve(bucket.str(), leaf); }
  void make(const BucketName& bucket, std::string_view leaf) {
    const auto made = store().create(root_of(bucket), leaf, kAttributes);
    ASSERT_TRUE(made.ok());
    ASSERT_TRUE(store().write(made->ino, 0, content_).ok());
    store().release(made->ino);
    store().forget(made->ino, 1);
  }
  template <class T>
  static Status status_of(const Result<T>& result) {
    return result.ok() ? Status() : Status(result.error());
  }

  // `waits` calls the KMS; what others do meanwhile ends before it does.
  void expect_no_stall(const std::function<Status()>& waits) {
    std::future<Status> others;
    bool is_waiting = false;
    rig_.kms_calls().wait_at(1, [&] {
      is_waiting = true;
      others = std::async(std::launch::async, [&] { return others_do(); });
      EXPECT_EQ(others.wait_for(kPatience), std::future_status::ready) << "a lock is held across the KMS: " << doing_.load();
    });
    const auto done = waits();
    EXPECT_TRUE(done.ok()) << done.error().message;
    ASSERT_TRUE(is_waiting) << "no call of the KMS";
    const auto beside = others.get();
    EXPECT_TRUE(beside.ok()) << doing_.load() << ": " << beside.error().message;
    rig_.kms_calls().fail_never();
    ASSERT_TRUE(store().sync_all().ok());
    rig_.reopen();
    EXPECT_TRUE(*read_all(store(), find(waiting_, "cold")) == content_ || cold_was_emptied_);
    EXPECT_TRUE(*read_all(store(), find(waiting_, "cached")) == content_);
  }

  Status others_do() {
    for (const auto& bucket : {waiting_, beside_}) COFFER_TRY(work_in(bucket));
    doing_ = "stat and rename of the object that waits";
    COFFER_TRY(status_of(store().get(find(waiting_, "cold"))));
    COFFER_TRY(store().rename(root_of(waiting_), "cold", root_of(waiting_), "renamed", RenameMode::kNoReplace));
    COFFER_TRY(store().rename(root_of(waiting_), "renamed", root_of(waiting_), "cold", RenameMode::kReplace));
    doing_ = "creating and deleting a bucket";
    COFFER_TRY(status_of(store().create_bucket(third_, NewInode{0755, 1, 1, 0})));
    COFFER_TRY(store().delete_bucket(third_));
    doing_ = "a create that needs the KMS itself, under a Bucket Key of another bucket";
    COFFER_TRY(store().put_rule(beside_, under(key_, SseAlgorithm::kAwsKms, /*bucket_key=*/true)));
    COFFER_TRY(create_and_remove(beside_));
    doing_ = "PutBucketEncryption in the same bucket, to and fro";
    const auto rule = store().find_bucket(waiting_)->rule;
    COFFER_TRY(store().put_rule(waiting_, under("", SseAlgorithm::kAes256)));
    COFFER_TRY(create_and_remove(waiting_));
    COFFER_TRY(store().put_rule(waiting_, rule));
    doing_ = "the end of another key";
    store().hold_key(other_key_);
    COFFER_TRY(store().seal_dirty(other_key_));
    store().wipe_key(other_key_);
    COFFER_TRY(rig_.kms().disable(other_key_));
    COFFER_TRY(rig_.kms().enable(other_key_));
    store().release_key(other_key_);
    doing_ = "commits, garbage and a checkpoint";
    COFFER_TRY(store().commit_soon());
    COFFER_TRY(store().sync(find(beside_, "cached")));
    COFFER_TRY(store().collect_garbage());
    COFFER_TRY(store().finish());
    doing_ = "another store";
    StoreRig another(2);
    return another.store().sync_all();
  }

  // Every verb, with objects whose keys are in memory or that need none.
  Status work_in(const BucketName& bucket) {
    const auto root = root_of(bucket);
    const auto cached = find(bucket, "cached"), plain = find(bucket, "plain");
    doing_ = "reading under a key that is cached, and under none of the KMS";
    for (const auto ino : {cached, plain}) {
      COFFER_TRY(store().open_object(ino, /*truncate=*/false));
      COFFER_TRY(status_of(read_all(store(), ino)));
      store().release(ino);
    }
    doing_ = "writing under a key that is cached";
    COFFER_TRY(store().write(cached, 100, BytesView(content_).subspan(100, 50)));
    COFFER_TRY(store().write(plain, 0, some_bytes(3000, 4)));
    COFFER_TRY(store().fallocate(plain, FallocateMode::kPunchHole, 0, kChunkSize));
    COFFER_TRY(status_of(store().copy_range(cached, 0, plain, 0, 100)));
    COFFER_TRY(status_of(store().seek(plain, 0, SeekFor::kData)));
    doing_ = "attributes and listing";
    COFFER_TRY(status_of(store().get(find(bucket, "removed"))));
    InodeChange change;
    change.mode = 0600;
    COFFER_TRY(status_of(store().change(find(bucket, "removed"), change)));
    COFFER_TRY(store().set_xattr(cached, "user.note", some_bytes(10, 5), XattrMode::kAny));
    COFFER_TRY(status_of(store().sealing(cached)));
    COFFER_TRY(status_of(store().read_directory(root, 0, 100)));
    COFFER_TRY(status_of(store().list_buckets()));
    COFFER_TRY(status_of(store().usage()));
    doing_ = "names of objects whose keys nobody has";
    COFFER_TRY(store().unlink(root, "removed"));
    COFFER_TRY(store().rename(root, "moved", root, "moved-away", RenameMode::kReplace));
    COFFER_TRY(status_of(store().link(find(bucket, "moved-away"), root, "linked")));
    COFFER_TRY(status_of(store().make_directory(root, "d", NewInode{0755, 1, 1, 0})));
    COFFER_TRY(store().remove_directory(root, "d"));
    return status_of(store().make_symlink(root, "symlink", "cached", NewInode{0777, 1, 1, 0}));
  }
  Status create_and_remove(const BucketName& bucket) {
    COFFER_ASSIGN(const auto made, store().create(root_of(bucket), "new", kAttributes));
    COFFER_TRY(store().write(made.ino, 0, some_bytes(20'000, 6)));
    store().release(made.ino);
    store().forget(made.ino, 1);
    return store().unlink(root_of(bucket), "new");
  }

  StoreRig rig_;
  const BucketName waiting_ = *BucketName::parse("waiting"), beside_ = *BucketName::parse("beside"),
                   third_ = *BucketName::parse("third");
  const Bytes content_ = some_bytes(3 * kChunkSize + 7, 3);
  std::string key_, other_key_;
  std::atomic<const char*> doing_{"nothing yet"};
  bool cold_was_emptied_ = false;
};

TEST_F(SlowKms, StallsNobodyWhileAnObjectIsOpened) {
  const auto cold = find(waiting_, "cold");
  expect_no_stall([&] { return store().open_object(cold, /*truncate=*/false); });
}

TEST_F(SlowKms, StallsNobodyWhileAnObjectIsRead) {
  const auto cold = find(waiting_, "cold");
  expect_no_stall([&] { return status_of(read_all(store(), cold)); });
}

TEST_F(SlowKms, StallsNobodyWhileAnObjectIsWritten) {
  const auto cold = find(waiting_, "cold");
  expect_no_stall([&] { return store().write(cold, 5, BytesView(content_).subspan(5, 1)); });
}

TEST_F(SlowKms, StallsNobodyWhileAnObjectIsCreated) {
  expect_no_stall([&] { return status_of(store().create(root_of(waiting_), "slow", kAttributes)); });
}

TEST_F(SlowKms, StallsNobodyWhileABucketKeyIsMade) {
  ASSERT_TRUE(store().put_rule(waiting_, under(key_, SseAlgorithm::kAwsKms, /*bucket_key=*/true)).ok());
  expect_no_stall([&] { return status_of(store().create(root_of(waiting_), "slow", kAttributes)); });
}

TEST_F(SlowKms, StallsNobodyWhileAnObjectIsCreatedUnderDsse) {
  if (!StoreRig::suite().can_double()) GTEST_SKIP() << "one AES-256-GCM library alone works on this machine";
  ASSERT_TRUE(store().put_rule(waiting_, under(key_, SseAlgorithm::kAwsKmsDsse)).ok());
  expect_no_stall([&] { return status_of(store().create(root_of(waiting_), "slow", kAttributes)); });
}

TEST_F(SlowKms, StallsNobodyWhileAnObjectIsTruncatedByItsOpen) {
  const auto cold = find(waiting_, "cold");
  cold_was_emptied_ = true;
  expect_no_stall([&] { return store().open_object(cold, /*truncate=*/true); });
}

TEST_F(SlowKms, StallsNobodyWhileAnObjectIsWrappedAnew) {
  ASSERT_TRUE(store().put_rule(waiting_, under(other_key_)).ok());
  ASSERT_TRUE(store().queue_reseal(waiting_, "cold").ok());
  expect_no_stall([&] { return status_of(store().reseal_step()); });
}

// Counts waits, and refuses them when it is told to.
struct CountedWaits final : KeyWaits {
  CountedWaits() { tell_of_this_thread(this); }
  ~CountedWaits() override { tell_of_this_thread(nullptr); }
  Status begin() override {
    if (refuses) return Error{Code::kKmsAway, "too many wait"};
    ++begun;
    return {};
  }
  void end() override { ++ended; }
  int begun = 0, ended = 0;
  bool refuses = false;
};

TEST_F(SlowKms, IsToldOfBeforeAThreadWaitsForIt) {
  const auto cold = find(waiting_, "cold"), cached = find(waiting_, "cached"), plain = find(waiting_, "plain");
  const auto root = root_of(waiting_);
  CountedWaits waits;
  rig_.kms_calls().wait_at(1, [&] { EXPECT_EQ(waits.begun - waits.ended, 1); });
  ASSERT_TRUE(store().open_object(cold, /*truncate=*/false).ok());
  EXPECT_EQ(waits.begun, 1);
  rig_.kms_calls().wait_at(1, [&] { EXPECT_EQ(waits.begun - waits.ended, 1); });
  ASSERT_TRUE(store().create(root, "created", kAttributes).ok());
  EXPECT_EQ(waits.begun, 2);
  ASSERT_TRUE(store().open_object(cached, /*truncate=*/true).ok());
  EXPECT_EQ(waits.begun, 3);
  ASSERT_TRUE(read_all(store(), cold).ok());
  ASSERT_TRUE(read_all(store(), plain).ok());
  EXPECT_EQ(waits.begun, 3) << "nobody waits for a key in memory, or for none of the KMS";
  EXPECT_EQ(waits.ended, 3);
}

TEST_F(SlowKms, IsNotWaitedForByMoreThanMay) {
  const auto cold = find(waiting_, "cold"), cached = find(waiting_, "cached");
  const auto root = root_of(waiting_);
  CountedWaits waits;
  waits.refuses = true;
  EXPECT_EQ(store().open_object(cold, /*truncate=*/false).code(), Code::kKmsAway);
  EXPECT_EQ(store().create(root, "created", kAttributes).code(), Code::kKmsAway);
  EXPECT_EQ(store().open_object(cold, /*truncate=*/true).code(), Code::kKmsAway);
  EXPECT_TRUE(*read_all(store(), cached) == content_);
  EXPECT_EQ(waits.ended, 0);
  waits.refuses = false;
  EXPECT_TRUE(*read_all(store(), cold) == content_) << "what was refused changed nothing";
}

TEST_F(SlowKms, StallsNobodyWhileDataIsSealedAnew) {
  ASSERT_TRUE(store().queue_reseal(waiting_, "cold", ResealScope::kNewDataKeys).ok());
  expect_no_stall([&] { return status_of(store().reseal_step()); });
}

}  // namespace
}  // namespace coffer
