#include "store/catalog_copy.h"

#include <gtest/gtest.h>

#include "store/sealed_log.h"
#include "store/sealed_pages.h"
#include "store/superblock.h"
#include "tests/store/store_rig.h"

namespace coffer {
namespace {

using testing::SimulatedDisk;
using testing::some_bytes;
using testing::StoreRig;

class CatalogCopyTest : public ::testing::Test {
 protected:
  CatalogCopyTest() { bucket_ = rig_.store().make_directory(kRootInode, "bucket", {})->ino; }

  void create(const std::string& name, std::size_t size = 3000) {
    const auto made = rig_.store().create(bucket_, name, {.mode = 0600});
    ASSERT_TRUE(made.ok());
    ASSERT_TRUE(rig_.store().write(made->ino, 0, some_bytes(size, 1)).ok());
  }
  bool has_copy() { return rig_.disk.snapshot().contains(std::string(kCatalogCopyName)); }
  bool has_part() { return rig_.disk.snapshot().contains(std::string(kCatalogCopyNewName)); }
  Result<CatalogCopyHead> head() { return read_catalog_copy(rig_.disk, rig_.keyring().keys(), rig_.suite()); }
  void finish() { ASSERT_TRUE(rig_.store().finish().ok()); }
  // Puts the copy in place of the catalog, which the rig then opens.
  void restore() {
    const auto found = head();
    ASSERT_TRUE(found.ok());
    ASSERT_TRUE(write_out_catalog_copy(rig_.disk, *found, ".new").ok());
    rig_.drop();
    for (const auto name : {kDatabaseName, kLogName, kTagsName})
      ASSERT_TRUE(rig_.disk.rename(std::string(name) + ".new", name).ok());
    rig_.open();
  }
  void pass_time() { rig_.clock.advance_ns((kCatalogCopySeconds + 1) * 1'000'000'000); }

  StoreRig rig_;
  InodeNumber bucket_ = 0;
};

TEST_F(CatalogCopyTest, AnEndedMountLeavesACopyThatIsTheCatalog) {
  for (int i = 0; i < 50; ++i) create("file " + std::to_string(i));
  EXPECT_FALSE(has_copy());
  finish();
  ASSERT_TRUE(head().ok()) << head().error().message;
  EXPECT_EQ(head()->commit_counter, rig_.store().commit_state().counter);
  EXPECT_FALSE(has_part());
  restore();
  EXPECT_TRUE(rig_.catalog().verify_files().ok());
  for (int i = 0; i < 50; ++i) {
    const auto found = rig_.store().lookup(bucket_, "file " + std::to_string(i));
    ASSERT_TRUE(found.ok()) << i;
    EXPECT_EQ(*testing::read_all(rig_.store(), found->ino), some_bytes(3000, 1));
  }
}

TEST_F(CatalogCopyTest, ACopyIsAsOldAsItsCheckpoint) {
  create("before");
  finish();
  create("after");
  ASSERT_TRUE(rig_.store().sync_all().ok());
  restore();
  EXPECT_TRUE(rig_.store().lookup(bucket_, "before").ok());
  EXPECT_EQ(rig_.store().lookup(bucket_, "after").code(), Code::kNotFound);
}

TEST_F(CatalogCopyTest, AMountThatChangedNothingMakesNone) {
  create("file");
  finish();
  const auto first = head()->made_ns;
  rig_.drop();
  rig_.clock.advance_ns(1'000'000'000);
  rig_.open();
  finish();
  EXPECT_EQ(head()->made_ns, first);
  create("another");
  rig_.clock.advance_ns(1'000'000'000);
  finish();
  EXPECT_GT(head()->made_ns, first);
}

TEST_F(CatalogCopyTest, AfterAKillTheNextMountsEndMakesOneAgain) {
  create("file");
  finish();
  rig_.reopen();
  create("another");
  ASSERT_TRUE(rig_.store().sync_all().ok());
  rig_.kill();
  rig_.open();
  finish();
  restore();
  EXPECT_TRUE(rig_.store().lookup(bucket_, "another").ok());
}

TEST_F(CatalogCopyTest, BesideTheWriterOneIsMadeAfterMinutesAndACheckpoint) {
  EXPECT_FALSE(rig_.store().copy_step());
  create("file");
  pass_time();
  EXPECT_FALSE(rig_.store().copy_step()) << "coffer.db holds nothing that the last one did not";
  rig_.clock.advance_ns(kCatalogCopySecondsMax * 1'000'000'000);
  for (int i = 0; rig_.store().copy_step(); ++i) create("more " + std::to_string(i));
  ASSERT_TRUE(has_copy()) << "after an hour it makes a checkpoint by itself";
  EXPECT_FALSE(rig_.store().copy_step());
  restore();
  EXPECT_TRUE(rig_.store().lookup(bucket_, "file").ok());
}

TEST_F(CatalogCopyTest, ACheckpointInBetweenSpoilsNoCopy) {
  create("file");
  finish();
  const auto first = rig_.disk.bytes(std::string(kCatalogCopyName));
  for (int i = 0; i < 2000; ++i) create("file " + std::to_string(i), 8000);
  finish();
  const auto second = rig_.disk.bytes(std::string(kCatalogCopyName));
  ASSERT_GT(second.size(), 2 * kCatalogCopyStep) << "not made in one step";
  auto copy = CatalogCopy::begin(rig_.disk, rig_.keyring().keys(), rig_.suite(), rig_.catalog().database(), 1, 1);
  ASSERT_TRUE(copy.ok() && *copy);
  ASSERT_TRUE(*(*copy)->step());
  create("in between");
  finish();
  const auto third = rig_.disk.bytes(std::string(kCatalogCopyName));
  EXPECT_EQ((*copy)->step().code(), Code::kBusy);
  copy->reset();
  EXPECT_EQ(rig_.disk.bytes(std::string(kCatalogCopyName)), third);
  EXPECT_FALSE(has_part());
}

TEST_F(CatalogCopyTest, ADamagedPageNeverReplacesACopy) {
  for (int i = 0; i < 100; ++i) create("file " + std::to_string(i));
  finish();
  const auto before = rig_.disk.bytes(std::string(kCatalogCopyName));
  rig_.disk.flip_bit(std::string(kDatabaseName), 20 * kPageSize + 5);
  auto copy = CatalogCopy::begin(rig_.disk, rig_.keyring().keys(), rig_.suite(), rig_.catalog().database(), 1, 1);
  ASSERT_TRUE(copy.ok() && *copy);
  EXPECT_EQ((*copy)->step().code(), Code::kDamaged);
  copy->reset();
  EXPECT_EQ(rig_.disk.bytes(std::string(kCatalogCopyName)), before);
}

// The n-th failure, and the n-th power cut, until none happens: there is always one whole copy, and the mount ends well.
TEST_F(CatalogCopyTest, WhateverFailsOneWholeCopyStays) {
  create("file");
  finish();
  using Fault = SimulatedDisk::Fault;
  for (const auto fault : {Fault::kIo, Fault::kNoSpace, Fault::kTorn, Fault::kPowerOff}) {
    for (std::uint64_t n = 1; n < 200; ++n) {
      create("file " + std::to_string(static_cast<int>(fault)) + " " + std::to_string(n));
      finish();
      {
        rig_.disk.fail_at(n, fault);
        auto copy = CatalogCopy::begin(rig_.disk, rig_.keyring().keys(), rig_.suite(), rig_.catalog().database(), n, 1);
        ASSERT_TRUE(!copy || *copy);
        while (copy) {
          const auto more = (*copy)->step();
          if (!more || !*more) break;
        }
      }
      const bool happened = rig_.disk.fault_happened();
      rig_.disk.fail_never();
      if (fault == Fault::kPowerOff && happened) {
        rig_.crash(n);
        rig_.open();
      }
      const auto found = head();
      ASSERT_TRUE(found.ok()) << "n = " << n << ": " << found.error().message;
      restore();
      ASSERT_TRUE(rig_.catalog().verify_files().ok());
      ASSERT_TRUE(rig_.store().lookup(bucket_, "file").ok());
      if (!happened) break;
      ASSERT_LT(n, 199U) << "it never ends";
    }
  }
}

TEST_F(CatalogCopyTest, AFullDiskTakesTheCopysRoomBeforeItRefusesAWriter) {
  for (int i = 0; i < 500; ++i) create("file " + std::to_string(i), 8000);
  finish();
  ASSERT_TRUE(has_copy());
  std::uint64_t used = 0;
  for (const auto& [name, bytes] : rig_.disk.snapshot()) used += bytes.size();
  rig_.disk.set_capacity(used + (1 << 20));
  InodeNumber ino = rig_.store().create(bucket_, "large", {})->ino;
  Status written;
  for (std::uint64_t at = 0; written && has_copy() && at < used; at += 1 << 20)
    written = rig_.store().write(ino, at, some_bytes(1 << 20, at));
  EXPECT_TRUE(written.ok()) << written.error().message;
  EXPECT_FALSE(has_copy());
  EXPECT_FALSE(rig_.store().poisoned());
  finish();
  EXPECT_FALSE(has_copy()) << "no room for it";
  EXPECT_FALSE(has_part());
}

TEST_F(CatalogCopyTest, EveryPartOfTheHeadCounts) {
  create("file");
  finish();
  const std::string name(kCatalogCopyName);
  for (std::size_t at = 0; at < 5 * kPageSize; at += 509) {
    rig_.disk.flip_bit(name, at, at % 8);
    EXPECT_EQ(head().code(), Code::kDamaged) << at;
    rig_.disk.flip_bit(name, at, at % 8);
  }
  const KeySchedule other(Key::random(), rig_.keyring().store_id());
  EXPECT_EQ(read_catalog_copy(rig_.disk, other, rig_.suite()).code(), Code::kDamaged);
  EXPECT_TRUE(head().ok());
}

TEST_F(CatalogCopyTest, RemovingLeavesNone) {
  create("file");
  finish();
  ASSERT_TRUE(rig_.disk.open(kCatalogCopyNewName, OpenMode::kCreate).ok());
  ASSERT_TRUE(remove_catalog_copies(rig_.disk).ok());
  EXPECT_FALSE(has_copy());
  EXPECT_FALSE(has_part());
  EXPECT_TRUE(remove_catalog_copies(rig_.disk).ok());
}

}  // namespace
}  // namespace coffer
