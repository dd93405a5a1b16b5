#include "store/page_tags.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <random>

#include "tests/store/sealed_rig.h"

namespace coffer::testing {
namespace {

constexpr std::uint32_t kLeaf = TagNode::kChildren;
constexpr std::size_t kBlock = 4096;

PageTag some_tag(std::mt19937_64& random) {
  PageTag tag;
  for (auto& byte : tag) byte = static_cast<std::uint8_t>(random());
  return tag;
}

// A tree, the root in use, and what it must answer.
class PageTagsTest : public ::testing::Test {
 protected:
  void open(Disk& disk) {
    auto file = disk.open("coffer.tags", OpenMode::kCreate);
    ASSERT_TRUE(file.ok());
    ASSERT_TRUE(disk.sync_folder("").ok());
    tags_ = std::make_unique<PageTags>(*std::move(file), test_keys(), test_suite(), root_);
  }
  void open() { open(disk_); }

  void set(std::uint32_t page) {
    const PageTag tag = some_tag(random_);
    ASSERT_TRUE(tags_->set(page, tag).ok());
    newest_[page] = tag;
  }
  void set_up_to(std::uint32_t pages) {
    for (std::uint32_t page = 1; page <= pages; ++page) set(page);
  }
  void go_over() {
    const auto root = tags_->write();
    ASSERT_TRUE(root.ok());
    tags_->begin();
    root_ = *root;
    in_use_ = newest_;
  }
  void expect(const std::map<std::uint32_t, PageTag>& tags) {
    for (const auto& [page, tag] : tags) {
      const auto found = tags_->get(page);
      ASSERT_TRUE(found.ok()) << page << ": " << found.error().message;
      ASSERT_EQ(*found, tag) << page;
    }
  }

  SimulatedDisk disk_;
  std::mt19937_64 random_{1};
  TagNode root_;
  std::unique_ptr<PageTags> tags_;
  std::map<std::uint32_t, PageTag> newest_, in_use_;
};

TEST_F(PageTagsTest, EveryPageUpToTheLargestDatabaseHasItsPlace) {
  std::string folder = ::testing::TempDir() + "/page-tags-XXXXXX";
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  {
    const auto real = std::move(open_real_disk(folder)).value();  // the file is all of holes, 37 GB of them
    open(*real);
    constexpr std::uint32_t kOne = kLeaf * kLeaf, kTwo = kOne * kLeaf, kSqliteMax = 0x3fffffff;
    for (const std::uint32_t edge : {1u, kLeaf, 2 * kLeaf, kOne, kTwo, 2 * kTwo, kSqliteMax})
      for (const std::uint32_t page : {edge, edge + 1, edge + 2}) set(page);
    expect(newest_);
    go_over();
    expect(newest_);
    open(*real);
    expect(newest_);
    EXPECT_EQ(tags_->get(3 * kTwo).value(), PageTag{}) << "there was never such a page";
    EXPECT_TRUE(tags_->verify().ok());
    EXPECT_TRUE(tags_->check_size(kSqliteMax + 2).ok());
    EXPECT_EQ(tags_->check_size(kSqliteMax + 3 * kLeaf).code(), Code::kDamaged);
  }
  std::filesystem::remove_all(folder);
}

TEST_F(PageTagsTest, APowerCutAtAnyTimeLeavesTheRootInUseWhole) {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(seed);
    disk_.restore({});
    root_ = {};
    newest_.clear();
    open();
    set_up_to(5 * kLeaf);
    go_over();
    for (std::uint64_t round = 0; round < seed % 3; ++round) {
      for (int i = 0; i < 20; ++i) set(1 + static_cast<std::uint32_t>(random_() % (7 * kLeaf)));
      go_over();
    }
    for (int step = 0; step < 3; ++step) {
      for (int i = 0; i < 20; ++i) set(1 + static_cast<std::uint32_t>(random_() % (7 * kLeaf)));
      if (step == 0) {
        ASSERT_TRUE(tags_->write_leaves().ok());
      }
    }
    disk_.fail_at(1 + random_() % 12, SimulatedDisk::Fault::kPowerOff);
    (void)tags_->write();
    disk_.crash(seed);
    disk_.start();
    open();
    EXPECT_TRUE(tags_->verify().ok());
    newest_ = in_use_;
    expect(in_use_);
    set_up_to(20);
    go_over();
    open();
    expect(in_use_);
  }
}

TEST_F(PageTagsTest, AFailedWriteIsTriedAgainWithNothingLost) {
  open();
  set_up_to(5 * kLeaf);
  go_over();
  for (std::uint64_t call = 1; call < 10; ++call) {
    for (std::uint32_t page = 1; page < 5 * kLeaf; page += 100) set(page);
    disk_.fail_at(call, SimulatedDisk::Fault::kTorn);
    const bool failed = !tags_->write().ok();
    EXPECT_EQ(failed, disk_.fault_happened());
    disk_.fail_never();
    set(7);
    go_over();
    open();
    expect(newest_);
  }
}

TEST_F(PageTagsTest, MoreNodesThanStayInMemoryAreReadAgain) {
  open();
  const auto leaves = static_cast<std::uint32_t>(kTagNodesCached) + 100;
  for (int round = 0; round < 2; ++round) {
    for (std::uint32_t leaf = 0; leaf < leaves; ++leaf) set(leaf * kLeaf + 1 + leaf % kLeaf);
    expect(newest_);
    go_over();
    expect(newest_);
  }
  open();
  expect(newest_);
  EXPECT_TRUE(tags_->verify().ok());
}

TEST_F(PageTagsTest, AFlippedBitOfANodeInUseIsNamedAndChangesNothing) {
  open();
  set_up_to(2 * kLeaf);
  go_over();
  go_over();  // without changes nothing moves
  const Bytes whole = disk_.bytes("coffer.tags");
  for (const std::size_t block : {2u, 4u, 6u, 8u}) {  // level 2, level 1, both leaves: first places
    for (const std::size_t byte : {0u, 2000u, 4055u, 4056u, 4079u, 4080u, 4095u}) {
      SCOPED_TRACE(block * kBlock + byte);
      disk_.set_bytes("coffer.tags", whole);
      disk_.flip_bit("coffer.tags", block * kBlock + byte);
      open();
      const std::uint32_t page = block == 8 ? kLeaf + 1 : 1;
      const std::string message = "coffer.tags: block " + std::to_string(block) + " is damaged, or an old one put back";
      for (const Status& found : {Status(tags_->get(page).error()), tags_->set(page, {}), tags_->verify()}) {
        EXPECT_EQ(found.code(), Code::kDamaged);
        EXPECT_EQ(found.error().message, message);
      }
      if (block >= 6) {
        EXPECT_TRUE(tags_->get(block == 8 ? 1 : kLeaf + 1).ok()) << "the other leaf";
      }
    }
  }
}

TEST_F(PageTagsTest, SwappedNodesAreRefused) {
  open();
  set_up_to(2 * kLeaf);
  go_over();
  const Bytes whole = disk_.bytes("coffer.tags");
  for (const std::size_t from : {2u, 4u, 6u, 8u}) {
    for (const std::size_t to : {2u, 4u, 6u, 8u}) {
      if (from == to) continue;
      Bytes swapped = whole;
      std::copy_n(whole.begin() + static_cast<std::ptrdiff_t>(from * kBlock), kBlock,
                  swapped.begin() + static_cast<std::ptrdiff_t>(to * kBlock));
      disk_.set_bytes("coffer.tags", swapped);
      open();
      EXPECT_EQ(tags_->verify().code(), Code::kDamaged) << from << " over " << to;
      EXPECT_EQ(tags_->get(to == 8 ? kLeaf + 1 : 1).code(), Code::kDamaged) << from << " over " << to;
    }
  }
}

TEST_F(PageTagsTest, WhatIsReservedIsWrittenOnAFullDisk) {
  open();
  set_up_to(10);
  go_over();
  const auto fill = [this](std::uint64_t blocks) {
    const auto space = disk_.space().value();
    disk_.set_capacity(space.total - space.available + blocks * kBlock);
  };
  fill(3);
  EXPECT_EQ(tags_->reserve(5 * kLeaf).code(), Code::kNoSpace);
  fill(20);
  ASSERT_TRUE(tags_->reserve(5 * kLeaf).ok());
  fill(0);
  for (int round = 0; round < 3; ++round) {
    set_up_to(5 * kLeaf);
    ASSERT_NO_FATAL_FAILURE(go_over());
  }
  expect(newest_);
}

}  // namespace
}  // namespace coffer::testing
