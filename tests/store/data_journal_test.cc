#include <gtest/gtest.h>
#include <sqlite3.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <map>
#include <string>
#include <thread>

#include "store/data_journal.h"
#include "tests/store/store_rig.h"

// Few chunks that were overwritten become durable with the catalog's log alone: their data files are not synced, and a
// power cut takes nothing. Many chunks, and those of new files, are synced where they are.
namespace coffer {
namespace {

using testing::read_all;
using testing::SimulatedDisk;
using testing::some_bytes;
using testing::StoreRig;
using Keep = SimulatedDisk::Keep;

const NewInode kAttributes{0644, 1, 1, 0};
constexpr std::uint64_t kFileSize = 130 * kChunkSize;
constexpr const char* kDataFile = "objects/01/0000000000000001";

class DataJournalTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(store().create_bucket(*BucketName::parse("bucket"), NewInode{0755, 1, 1, 0}).ok());
    const auto made = store().create(*store().resolve("bucket", ""), "file", kAttributes);
    ASSERT_TRUE(made.ok());
    ino_ = made->ino;
    content_ = some_bytes(kFileSize, 1);
    ASSERT_TRUE(store().write(ino_, 0, content_).ok());
    ASSERT_TRUE(store().sync(ino_).ok());
    ASSERT_TRUE(is_there(kDataFile));
  }

  Store& store() { return rig_.store(); }
  bool is_there(const std::string& name) { return rig_.disk.snapshot().contains(name); }

  void overwrite(std::uint64_t offset, std::size_t size, std::uint64_t seed) {
    const auto bytes = some_bytes(size, seed);
    ASSERT_TRUE(store().write(ino_, offset, bytes).ok());
    std::copy(bytes.begin(), bytes.end(), content_.begin() + static_cast<std::ptrdiff_t>(offset));
  }

  // The calls of a sync, by verb and file.
  std::map<std::string, std::uint64_t> sync_and_count() {
    std::map<std::string, std::uint64_t> places;
    rig_.disk.count_places(&places);
    EXPECT_TRUE(store().sync(ino_).ok());
    rig_.disk.count_places(nullptr);
    return places;
  }

  std::size_t journaled() {
    const std::lock_guard lock(rig_.catalog().mutex());
    return *rig_.catalog().journal_rows();
  }

  void expect_content() {
    const auto read = read_all(store(), ino_);
    ASSERT_TRUE(read.ok()) << read.error().message;
    EXPECT_EQ(*read, content_);
  }

  void cut_power(Keep keep = Keep::kNothing) {
    rig_.crash(/*seed=*/7, keep);
    rig_.open();
  }

  StoreRig rig_;
  InodeNumber ino_ = 0;
  Bytes content_;
};

TEST_F(DataJournalTest, ASmallOverwriteCostsOneSync) {
  overwrite(5 * kChunkSize + 100, 4096, 2);
  const auto places = sync_and_count();
  EXPECT_EQ(places.count("sync " + std::string(kDataFile)), 0U);
  ASSERT_TRUE(places.contains("sync coffer.db-wal"));
  EXPECT_EQ(places.at("sync coffer.db-wal"), 1U);
  cut_power();
  expect_content();
}

TEST_F(DataJournalTest, SyncsOneAfterTheOtherKeepTheLastOfEachChunk) {
  for (std::uint64_t i = 0; i < 40; ++i) {
    overwrite(i % 7 * kChunkSize, 4096, 100 + i);
    ASSERT_TRUE(store().sync(ino_).ok());
  }
  EXPECT_EQ(journaled(), 7U);
  for (const auto keep : {Keep::kNothing, Keep::kRandomPart, Keep::kEverything}) {
    cut_power(keep);
    expect_content();
    EXPECT_EQ(journaled(), 0U);
  }
}

TEST_F(DataJournalTest, ManyChunksAreSyncedInTheirFile) {
  overwrite(0, kJournalStepMax + kChunkSize, 3);
  EXPECT_EQ(sync_and_count().count("sync " + std::string(kDataFile)), 1U);
  EXPECT_EQ(journaled(), 0U);
  cut_power();
  expect_content();
}

TEST_F(DataJournalTest, ANewFileIsSyncedWithItsName) {
  const auto made = store().create(*store().resolve("bucket", ""), "new", kAttributes);
  ASSERT_TRUE(made.ok());
  const auto bytes = some_bytes(3 * kChunkSize, 4);
  ASSERT_TRUE(store().write(made->ino, 0, bytes).ok());
  ASSERT_TRUE(store().sync(made->ino).ok());
  cut_power();
  EXPECT_EQ(*read_all(store(), made->ino), bytes);
}

TEST_F(DataJournalTest, TheJournalEndsWhenItIsFullAndBeginsAnew) {
  std::size_t most = 0;
  bool ended = false;
  for (std::uint64_t i = 0; i < 3 * kJournalBytesMax / kChunkSize; ++i) {
    overwrite(i % 64 * kChunkSize, 4096, 200 + i);
    ASSERT_TRUE(store().sync(ino_).ok());
    ended = ended || journaled() < most;
    most = std::max(most, journaled());
  }
  EXPECT_TRUE(ended);
  EXPECT_LE(most, kJournalBytesMax / kChunkSize);
  cut_power();
  expect_content();
}

TEST_F(DataJournalTest, ACheckpointLeavesNothingInIt) {
  overwrite(0, 4096, 5);
  ASSERT_TRUE(store().sync(ino_).ok());
  EXPECT_EQ(journaled(), 1U);
  ASSERT_TRUE(store().finish().ok());
  EXPECT_EQ(journaled(), 0U);
  cut_power();
  expect_content();
}

// The slot of what was journaled is free after the second sync, and another chunk's after the third write: a kill leaves
// that in the page cache, and what is in the journal must not overwrite it.
TEST_F(DataJournalTest, WhatWasOverwrittenSinceIsNotBroughtBack) {
  for (std::uint64_t i = 0; i < 2 * kSlotsPerRow; ++i) {
    overwrite(i % 3 * kChunkSize, 4096, 300 + i);
    if (i % 5 == 0) {
      ASSERT_TRUE(store().sync(ino_).ok());
    }
    ASSERT_TRUE(store().commit_soon().ok());
    if (i % 50 != 49) continue;
    rig_.kill();
    rig_.open();
    expect_content();
  }
}

TEST_F(DataJournalTest, ACutInTheMiddleOfBringingItBackChangesNothing) {
  for (std::uint64_t i = 0; i < 4; ++i) overwrite(i * kChunkSize, 4096, 400 + i);
  ASSERT_TRUE(store().sync(ino_).ok());
  rig_.crash(/*seed=*/1, Keep::kNothing);
  const auto image = rig_.disk.image();
  for (std::uint64_t n = 1;; ++n) {
    StoreRig again(*image, rig_.boots() + 1);
    again.disk.fail_at(n, SimulatedDisk::Fault::kPowerOff);
    const bool opened = again.try_open().ok();
    const bool cut = again.disk.fault_happened();
    if (cut) {
      again.crash(/*seed=*/n);
      again.open();
    } else {
      ASSERT_TRUE(opened);
    }
    const auto read = read_all(again.store(), ino_);
    ASSERT_TRUE(read.ok()) << n << ": " << read.error().message;
    ASSERT_EQ(*read, content_) << n;
    if (!cut) break;
  }
}

// The map names the chunk before, and the journal is the only place where a power cut leaves that.
TEST_F(DataJournalTest, AWriteThatFailsTakesNothingOutOfIt) {
  overwrite(127 * kChunkSize, kChunkSize, 10);
  ASSERT_TRUE(store().sync(ino_).ok());
  ASSERT_EQ(journaled(), 1U);
  for (std::uint64_t n = 1;; ++n) {
    rig_.disk.fail_at(n, SimulatedDisk::Fault::kIo);
    const bool failed = !store().write(ino_, 127 * kChunkSize, some_bytes(2 * kChunkSize, 11 + n)).ok();
    const bool happened = rig_.disk.fault_happened();
    rig_.disk.fail_never();
    if (!happened) break;
    ASSERT_TRUE(failed) << n;
    overwrite(5 * kChunkSize, 4096, 50 + n);
    ASSERT_TRUE(store().sync(ino_).ok()) << n;
    const auto image = rig_.disk.image();
    StoreRig after(*image, rig_.boots());
    after.crash(/*seed=*/1, Keep::kNothing);
    after.open();
    const auto read = read_all(after.store(), ino_);
    ASSERT_TRUE(read.ok()) << n << ": " << read.error().message;
    ASSERT_EQ(*read, content_) << n;
  }
}

TEST_F(DataJournalTest, ManySmallChunksAreSyncedInTheirFiles) {
  const auto bucket = *store().resolve("bucket", "");
  std::vector<InodeNumber> files;
  for (int i = 0; i < 100; ++i) {
    const auto made = store().create(bucket, "small" + std::to_string(i), kAttributes);
    ASSERT_TRUE(made.ok());
    ASSERT_TRUE(store().write(made->ino, 0, some_bytes(kInlineSizeMax + 10, 1)).ok());
    files.push_back(made->ino);
  }
  ASSERT_TRUE(store().sync_all().ok());
  for (const auto file : files) ASSERT_TRUE(store().write(file, 0, some_bytes(50, 2)).ok());
  ASSERT_TRUE(store().sync_all().ok());
  EXPECT_EQ(journaled(), 0U);
}

TEST_F(DataJournalTest, ARottenRowCostsItsObjectAlone) {
  const auto other = store().create(*store().resolve("bucket", ""), "other", kAttributes);
  ASSERT_TRUE(other.ok());
  const auto bytes = some_bytes(3 * kChunkSize, 12);
  ASSERT_TRUE(store().write(other->ino, 0, bytes).ok());
  ASSERT_TRUE(store().sync_all().ok());
  overwrite(0, 4096, 13);
  ASSERT_TRUE(store().sync(ino_).ok());
  {
    const std::lock_guard lock(rig_.catalog().mutex());
    auto& database = rig_.catalog().database();
    ASSERT_EQ(sqlite3_exec(database.connection(), "UPDATE journal SET chunk = -1", nullptr, nullptr, nullptr), SQLITE_OK);
    SealedDatabase::DataSynced all;
    all.this_commit = true;
    ASSERT_TRUE(rig_.catalog().commit(all).ok());
    ASSERT_TRUE(database.sync_log().ok());
  }
  cut_power();
  EXPECT_FALSE(read_all(store(), ino_).ok());
  EXPECT_EQ(*read_all(store(), other->ino), bytes);
}

TEST_F(DataJournalTest, WithoutRoomToBringItBackTheStoreWaits) {
  overwrite(129 * kChunkSize, 4096, 14);  // into a slot behind the file's end
  ASSERT_TRUE(store().sync(ino_).ok());
  rig_.crash(/*seed=*/1, Keep::kNothing);
  rig_.disk.set_capacity(rig_.disk.used_bytes());
  const auto opened = rig_.try_open();
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.code(), Code::kNoSpace);
  rig_.drop();
  rig_.disk.set_capacity(std::uint64_t{1} << 40);
  rig_.open();
  expect_content();
}

TEST_F(DataJournalTest, AStoreThatNeedsItSaysSo) {
  const auto format = [&] {
    const std::lock_guard lock(rig_.catalog().mutex());
    return *rig_.catalog().number("format_version");
  };
  EXPECT_LT(format(), 3U);
  overwrite(0, 4096, 6);
  ASSERT_TRUE(store().sync(ino_).ok());
  EXPECT_EQ(format(), 3U);
}

TEST_F(DataJournalTest, WhatIsBroughtBackIsSyncedBeforeItsRowGoes) {
  overwrite(0, 4096, 7);
  ASSERT_TRUE(store().sync(ino_).ok());
  rig_.crash(/*seed=*/1, Keep::kNothing);
  ASSERT_TRUE(rig_.try_open_catalog().ok());
  {
    const std::lock_guard lock(rig_.catalog().mutex());
    ASSERT_TRUE(settle_journal_locked(rig_.catalog(), rig_.disk).ok());
    SealedDatabase::DataSynced all;
    all.this_commit = true;
    ASSERT_TRUE(rig_.catalog().commit(all).ok());
    ASSERT_TRUE(rig_.catalog().database().sync_log().ok());
  }
  cut_power();
  expect_content();
}

// A durable commit that comes while a checkpoint is under way syncs its data files beside it: the checkpoint must not count
// on them before they are.
TEST_F(DataJournalTest, ACheckpointWaitsForTheDataFilesOfARound) {
  overwrite(0, 4096, 8);
  std::future<Status> round;
  std::promise<void> syncing;
  std::shared_ptr<const SimulatedDisk::Image> meanwhile;
  rig_.disk.before_sync("coffer.db", [&] {
    rig_.disk.before_sync(kDataFile, [&] {
      syncing.set_value();
      std::this_thread::sleep_for(std::chrono::milliseconds(300));
      meanwhile = rig_.disk.image();
    });
    round = std::async(std::launch::async, [&] {
      overwrite(0, kJournalStepMax + kChunkSize, 9);
      return store().sync(ino_);
    });
    syncing.get_future().wait();
  });
  ASSERT_TRUE(store().finish().ok());
  ASSERT_TRUE(round.valid());
  EXPECT_TRUE(round.get().ok());

  StoreRig after(*meanwhile, rig_.boots());
  after.crash(/*seed=*/1, Keep::kNothing);
  after.open();
  const auto read = read_all(after.store(), ino_);
  EXPECT_TRUE(read.ok()) << read.error().message;
}

}  // namespace
}  // namespace coffer
