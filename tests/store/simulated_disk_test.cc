#include "tests/support/simulated_disk.h"

#include <gtest/gtest.h>

#include <set>

namespace coffer::testing {
namespace {

std::unique_ptr<DiskFile> open_file(Disk& disk, std::string_view name) {
  auto file = disk.open(name, OpenMode::kCreate);
  EXPECT_TRUE(file.ok());
  return std::move(file).value();
}

TEST(SimulatedDisk, KillKeepsWhatWasNeverSynced) {
  SimulatedDisk disk;
  auto file = open_file(disk, "a");
  ASSERT_TRUE(file->pwrite(0, as_bytes("hello")).ok());
  disk.kill();
  EXPECT_EQ(file->pwrite(0, as_bytes("x")).code(), Code::kIo);
  disk.start();
  EXPECT_EQ(file->pwrite(0, as_bytes("x")).code(), Code::kIo) << "a handle from before the kill is dead";
  EXPECT_EQ(as_text(disk.bytes("a")), "hello");
}

TEST(SimulatedDisk, SyncedBytesUnderSyncedNamesSurviveEveryCrash) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    SimulatedDisk disk(seed);
    ASSERT_TRUE(disk.make_folder("f").ok());
    ASSERT_TRUE(disk.sync_folder("").ok());
    auto file = open_file(disk, "f/a");
    ASSERT_TRUE(file->pwrite(0, Bytes(5000, 'a')).ok());
    ASSERT_TRUE(file->sync().ok());
    ASSERT_TRUE(disk.sync_folder("f").ok());
    ASSERT_TRUE(file->pwrite(4096, Bytes(904, 'b')).ok());
    disk.crash(seed);
    disk.start();
    const Bytes after = disk.bytes("f/a");
    ASSERT_EQ(after.size(), 5000u);
    EXPECT_EQ(Bytes(after.begin(), after.begin() + 4096), Bytes(4096, 'a'));
  }
}

TEST(SimulatedDisk, UnsyncedWritesAreTornAtSectorsAndReordered) {
  std::set<std::string> outcomes;
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    SimulatedDisk disk(seed);
    auto file = open_file(disk, "a");
    ASSERT_TRUE(file->pwrite(0, Bytes(1024, '0')).ok());
    ASSERT_TRUE(file->sync().ok());
    ASSERT_TRUE(disk.sync_folder("").ok());
    ASSERT_TRUE(file->pwrite(0, Bytes(1024, '1')).ok());
    ASSERT_TRUE(file->pwrite(0, Bytes(1024, '2')).ok());
    disk.crash(seed);
    const Bytes after = disk.bytes("a");
    EXPECT_EQ(Bytes(after.begin(), after.begin() + 512), Bytes(512, after[0]));
    outcomes.insert({static_cast<char>(after[0]), static_cast<char>(after[1023])});
  }
  EXPECT_EQ(outcomes.size(), 9u) << "each sector may show each version";
}

// Data files and the catalog's are on one disk: a cut in between must be able to show either without the other.
TEST(SimulatedDisk, UnsyncedWritesAndNamesOfTwoFilesReachTheDiskInAnyOrder) {
  std::set<std::string> bytes, names;
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    SimulatedDisk disk(seed);
    ASSERT_TRUE(disk.make_folder("f").ok());
    auto first = open_file(disk, "first"), second = open_file(disk, "f/second");
    ASSERT_TRUE(disk.sync_all().ok());
    ASSERT_TRUE(first->pwrite(0, as_bytes("1")).ok());
    ASSERT_TRUE(second->pwrite(0, as_bytes("2")).ok());
    open_file(disk, "made");
    open_file(disk, "f/made");
    disk.crash(seed);
    bytes.insert(std::string(as_text(disk.bytes("first"))) + "," + std::string(as_text(disk.bytes("f/second"))));
    const auto files = disk.snapshot();
    names.insert(std::to_string(files.count("made")) + "," + std::to_string(files.count("f/made")));
  }
  EXPECT_EQ(bytes, (std::set<std::string>{",", "1,", ",2", "1,2"}));
  EXPECT_EQ(names, (std::set<std::string>{"0,0", "0,1", "1,0", "1,1"}));
}

TEST(SimulatedDisk, ANameIsDurableOnlyAfterItsFolderIsSynced) {
  int lost = 0, kept = 0;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    SimulatedDisk disk(seed);
    auto file = open_file(disk, "a");
    ASSERT_TRUE(file->pwrite(0, as_bytes("x")).ok());
    ASSERT_TRUE(file->sync().ok());
    disk.crash(seed);
    disk.start();
    disk.snapshot().contains("a") ? ++kept : ++lost;
  }
  EXPECT_GT(lost, 0);
  EXPECT_GT(kept, 0);
}

TEST(SimulatedDisk, ARenameIsOneChange) {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    SimulatedDisk disk(seed);
    disk.restore({{"old", to_bytes(as_bytes("old"))}, {"new", to_bytes(as_bytes("new"))}});
    ASSERT_TRUE(disk.rename("new", "old").ok());
    disk.crash(seed);
    const auto files = disk.snapshot();
    ASSERT_TRUE(files.contains("old"));
    EXPECT_EQ(as_text(files.at("old")), files.contains("new") ? "old" : "new");
  }
}

TEST(SimulatedDisk, AFailedSyncMayLoseWhatALaterOneCannotBringBack) {
  int lost = 0;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    SimulatedDisk disk(seed);
    auto file = open_file(disk, "a");
    ASSERT_TRUE(disk.sync_folder("").ok());
    ASSERT_TRUE(file->pwrite(0, as_bytes("x")).ok());
    disk.fail_at(1, SimulatedDisk::Fault::kIo);
    EXPECT_EQ(file->sync().code(), Code::kIo);
    EXPECT_TRUE(file->sync().ok());
    disk.crash(seed);
    lost += disk.bytes("a").empty() ? 1 : 0;
  }
  EXPECT_GT(lost, 0);
}

TEST(SimulatedDisk, FailsTheCallItWasAskedTo) {
  SimulatedDisk disk;
  auto file = open_file(disk, "a");
  disk.fail_at(2, SimulatedDisk::Fault::kNoSpace);
  EXPECT_TRUE(file->pwrite(0, as_bytes("one")).ok());
  EXPECT_FALSE(disk.fault_happened());
  EXPECT_EQ(file->pwrite(0, as_bytes("two")).code(), Code::kNoSpace);
  EXPECT_TRUE(disk.fault_happened());
  EXPECT_EQ(as_text(disk.bytes("a")), "one");
  disk.fail_at(1, SimulatedDisk::Fault::kTorn);
  EXPECT_EQ(file->pwrite(0, Bytes(64 * 512, '3')).code(), Code::kIo);
  const Bytes torn = disk.bytes("a");
  const auto threes = std::count(torn.begin(), torn.end(), '3');
  EXPECT_GT(threes, 0);
  EXPECT_LT(threes, 64 * 512);
}

TEST(SimulatedDisk, AFailedSyncOfEverythingMayLoseWhatALaterOneCannotBringBack) {
  int lost_bytes = 0, lost_names = 0;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    SimulatedDisk disk(seed);
    auto file = open_file(disk, "a");
    ASSERT_TRUE(disk.sync_folder("").ok());
    ASSERT_TRUE(file->pwrite(0, as_bytes("x")).ok());
    open_file(disk, "b");
    disk.fail_at(1, SimulatedDisk::Fault::kIo);
    EXPECT_EQ(disk.sync_all().code(), Code::kIo);
    EXPECT_EQ(disk.fault_place(), "sync all ");
    EXPECT_TRUE(disk.sync_all().ok());
    disk.crash(seed);
    lost_bytes += disk.bytes("a").empty() ? 1 : 0;
    lost_names += disk.snapshot().contains("b") ? 0 : 1;
  }
  EXPECT_GT(lost_bytes, 0);
  EXPECT_GT(lost_names, 0);
}

TEST(SimulatedDisk, AShortWriteLeavesItsBeginning) {
  SimulatedDisk disk;
  auto file = open_file(disk, "a");
  disk.fail_at(1, SimulatedDisk::Fault::kShort);
  EXPECT_EQ(file->pwrite(0, Bytes(1000, 's')).code(), Code::kNoSpace);
  EXPECT_LT(disk.bytes("a").size(), 1000u);
  EXPECT_EQ(disk.bytes("a"), Bytes(disk.bytes("a").size(), 's'));
}

TEST(SimulatedDisk, AnImagePutBackForgetsWhatCameAfterItAndKnowsWhatWasSynced) {
  SimulatedDisk disk;
  auto file = open_file(disk, "a");
  ASSERT_TRUE(disk.sync_folder("").ok());
  ASSERT_TRUE(file->pwrite(0, as_bytes("one")).ok());
  const auto image = disk.image();
  ASSERT_TRUE(file->sync().ok());
  for (const auto keep : {SimulatedDisk::Keep::kNothing, SimulatedDisk::Keep::kEverything}) {
    disk.put_back(*image);
    EXPECT_EQ(as_text(disk.bytes("a")), "one");
    disk.crash(1, keep);
    EXPECT_EQ(as_text(disk.bytes("a")), keep == SimulatedDisk::Keep::kNothing ? "" : "one");
  }
}

TEST(SimulatedDisk, FullDiskRefusesGrowthAlone) {
  SimulatedDisk disk;
  disk.set_capacity(8192);
  auto file = open_file(disk, "a");
  ASSERT_TRUE(file->pwrite(0, Bytes(8192, '1')).ok());
  EXPECT_EQ(file->pwrite(8192, as_bytes("x")).code(), Code::kNoSpace);
  EXPECT_TRUE(file->pwrite(0, Bytes(8192, '2')).ok());
  ASSERT_TRUE(file->punch(0, 4096).ok());
  EXPECT_EQ(disk.space()->available, 4096u);
  EXPECT_TRUE(file->pwrite(8192, as_bytes("x")).ok());
}

}  // namespace
}  // namespace coffer::testing
