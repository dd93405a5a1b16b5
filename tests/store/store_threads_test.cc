#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "base/limits.h"
#include "tests/store/store_rig.h"

namespace coffer {
namespace {

using testing::read_all;
using testing::some_bytes;
using testing::StoreRig;

// Everything at once; under ThreadSanitizer it is the proof that the lock order holds.
TEST(StoreThreads, OperationsCommitsAndResealsRunBesideEachOther) {
  StoreRig rig;
  auto& store = rig.store();
  const auto name = *BucketName::parse("bucket");
  const auto bucket = store.create_bucket(name, NewInode{0755, 1, 1, 0})->ino;
  const auto key = rig.kms().create_key("")->arn;
  const auto shared = store.create(bucket, "shared", NewInode{0644, 1, 1, 0})->ino;
  constexpr std::size_t kSharedSize = 40 * kChunkSize;
  ASSERT_TRUE(store.write(shared, 0, Bytes(kSharedSize, 1)).ok());

  std::atomic<bool> stop{false};
  std::atomic<int> failures{0};
  const auto check = [&](bool good) {
    if (!good) ++failures;
  };
  const auto writer = [&](std::uint64_t id) {
    for (std::uint64_t i = 0; i < 40; ++i) {
      const auto leaf = "w" + std::to_string(id) + "-" + std::to_string(i);
      const auto made = store.create(bucket, leaf, NewInode{0644, 1, 1, 0});
      check(made.ok());
      if (!made.ok()) continue;
      const auto bytes = some_bytes(100 + i * 1500, id * 1000 + i);
      check(store.write(made->ino, 0, bytes).ok());
      check(store.rename(bucket, leaf, bucket, leaf + "x", RenameMode::kReplace).ok());
      if (i % 10 == 0) check(store.sync(made->ino).ok());
      const auto got = read_all(store, made->ino);
      check(got.ok() && *got == bytes);
      check(store.write(shared, (id * 7 + i) % 30 * kChunkSize, Bytes(kChunkSize + 10, 1)).ok());
      store.release(made->ino);
      if (i % 3 == 0) check(store.unlink(bucket, leaf + "x").ok());
      store.forget(made->ino, 1);
    }
  };
  std::vector<std::thread> writers, others;
  for (std::uint64_t id = 0; id < 3; ++id) writers.emplace_back(writer, id);
  others.emplace_back([&] {
    while (!stop) {
      check(store.commit_soon().ok());
      check(store.collect_garbage().ok());
      std::this_thread::yield();
    }
  });
  others.emplace_back([&] {
    while (!stop) {
      check(store.reseal_step().ok());
      std::this_thread::yield();
    }
  });
  others.emplace_back([&] {
    for (int i = 0; !stop; ++i) {
      SseRule rule;
      rule.algorithm = i % 2 == 0 ? SseAlgorithm::kAwsKms : SseAlgorithm::kAes256;
      if (i % 2 == 0) rule.kms_key = key;
      check(store.put_rule(name, rule).ok());
      store.hold_key("arn:aws:kms:us-east-1:000000000000:key/none");
      check(store.seal_dirty(key).ok());
      std::this_thread::yield();
    }
  });
  others.emplace_back([&] {
    while (!stop) {
      const auto got = read_all(store, shared);
      check(got.ok() && *got == Bytes(kSharedSize, 1));
      check(store.read_directory_plus(bucket, 0, 1000, [](const DirectoryEntry&, const Inode&) { return false; }).ok());
      check(store.seek(shared, 0, SeekFor::kData).ok());
      std::this_thread::yield();
    }
  });
  for (auto& thread : writers) thread.join();
  stop = true;
  for (auto& thread : others) thread.join();
  EXPECT_EQ(failures, 0);
  ASSERT_TRUE(store.sync_all().ok());
  rig.reopen();
  for (std::uint64_t id = 0; id < 3; ++id)
    for (std::uint64_t i = 0; i < 40; ++i) {
      const auto found = rig.store().resolve("bucket", "w" + std::to_string(id) + "-" + std::to_string(i) + "x");
      ASSERT_EQ(found.ok(), i % 3 != 0);
      if (found.ok()) {
        EXPECT_EQ(*read_all(rig.store(), *found), some_bytes(100 + i * 1500, id * 1000 + i));
      }
    }
}

}  // namespace
}  // namespace coffer
