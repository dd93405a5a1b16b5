#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <thread>

#include "base/limits.h"
#include "tests/store/store_rig.h"

namespace coffer {
namespace {

using testing::read_all;
using testing::some_bytes;
using testing::StoreRig;

// A durable commit has taken what is to be synced when a writer's bytes reach their file: they are synced all the same.
TEST(StoreThreads, BytesWrittenWhileTheDataIsSyncedAreSyncedToo) {
  StoreRig rig;
  rig.sync_at_once();
  auto& store = rig.store();
  const auto bucket = store.create_bucket(*BucketName::parse("bucket"), NewInode{0755, 1, 1, 0})->ino;
  const auto made = [&](const char* name) {
    const auto ino = store.create(bucket, name, NewInode{0644, 1, 1, 0})->ino;
    EXPECT_TRUE(store.write(ino, 0, some_bytes(4 * kChunkSize, ino)).ok());
    return ino;
  };
  const auto late = made("late"), other = made("other");
  ASSERT_TRUE(store.sync_all().ok());
  const auto file_of = [&](InodeNumber ino) {
    const std::lock_guard lock(rig.catalog().mutex());
    return data_file_name(rig.catalog().content(ino)->file);
  };
  const auto late_file = file_of(late), other_file = file_of(other);
  ASSERT_LT(late_file, other_file) << "they are synced in this order";

  const auto fresh = some_bytes(kWriteBatchChunks * kChunkSize, 3);
  std::promise<void> writing, synced;
  std::thread writer;
  rig.disk.before_write(late_file, [&] {
    writing.set_value();
    synced.get_future().wait();
  });
  // While the round flushes `other`, whose chunk waits in memory, the writer comes as far as its bytes.
  rig.disk.before_write(other_file, [&] {
    writer = std::thread([&] { EXPECT_TRUE(store.write(late, 0, fresh).ok()); });
    writing.get_future().wait();
  });
  rig.disk.before_sync(other_file, [&] { synced.set_value(); });
  ASSERT_TRUE(store.write(other, 5, some_bytes(10, 4)).ok());
  ASSERT_TRUE(store.sync(other).ok());
  writer.join();
  ASSERT_TRUE(store.sync(late).ok());
  rig.crash(1, testing::SimulatedDisk::Keep::kNothing);
  rig.open();
  const auto kept = read_all(rig.store(), *rig.store().resolve("bucket", "late"));
  ASSERT_TRUE(kept.ok()) << kept.error().message;
  EXPECT_EQ(*kept, fresh);
}

// The slots that a commit leaves are given back or written again when it is in the log, and not before, nor if it
// fails. `act` comes while it writes there.
void expect_the_commit_before(std::size_t chunks, bool failing, const std::function<void(Store&, InodeNumber)>& act) {
  StoreRig rig;
  auto& store = rig.store();
  const auto bucket = store.create_bucket(*BucketName::parse("bucket"), NewInode{0755, 1, 1, 0})->ino;
  const auto ino = store.create(bucket, "file", NewInode{0644, 1, 1, 0})->ino;
  const auto bytes = [&](std::uint64_t seed) { return some_bytes(chunks * kChunkSize, seed); };
  for (const std::uint64_t seed : {1, 2}) {
    ASSERT_TRUE(store.write(ino, 0, bytes(seed)).ok());
    ASSERT_TRUE(store.sync_all().ok());  // the second has something to be punched
  }
  ASSERT_TRUE(store.write(ino, 0, bytes(3)).ok());
  ASSERT_TRUE(store.commit_soon().ok());
  ASSERT_TRUE(store.write(ino, 0, bytes(4)).ok());
  std::thread acting;
  rig.disk.before_write("coffer.db-wal", [&] {
    acting = std::thread([&] { act(store, ino); });
    std::this_thread::sleep_for(std::chrono::milliseconds(100));  // enough for it, were it let
    failing ? rig.disk.fail_at(1, testing::SimulatedDisk::Fault::kIo) : rig.disk.kill();
  });
  EXPECT_FALSE(store.commit_soon().ok());
  acting.join();
  if (failing) {
    const auto read = read_all(store, ino);
    EXPECT_TRUE(read.ok() && *read == bytes(3)) << (read ? "other bytes" : read.error().message);
  }
  rig.kill();
  rig.open();
  const auto kept = read_all(rig.store(), ino);
  ASSERT_TRUE(kept.ok()) << kept.error().message;
  EXPECT_EQ(*kept, bytes(3));
}

TEST(StoreThreads, SlotsThatACommitLeavesArePunchedOnceItIsThere) {
  const auto punch = [](Store& store, InodeNumber) { (void)store.collect_garbage(); };
  expect_the_commit_before(40, /*failing=*/false, punch);
  expect_the_commit_before(40, /*failing=*/true, punch);
}

TEST(StoreThreads, AWriteThatWaitedForACommitThatFailedIsRefused) {
  const auto fresh = some_bytes(84 * kChunkSize, 5);
  expect_the_commit_before(84, /*failing=*/true, [&](Store& store, InodeNumber ino) {
    EXPECT_EQ(store.write(ino, 0, fresh).code(), Code::kPoisoned);
  });
}

// Everything at once; under ThreadSanitizer it is the proof that the lock order holds.
TEST(StoreThreads, OperationsCommitsAndResealsRunBesideEachOther) {
  StoreRig rig;
  rig.sync_at_once();
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
