#include "store/written_rows.h"

#include <gtest/gtest.h>

#include "base/limits.h"
#include "tests/store/store_rig.h"

// A commit that the log has whole counts after a kill, if all that it names is in data files. A disk that went away and came
// back within one boot has the log perhaps, and the data not.
namespace coffer {
namespace {

using testing::read_all;
using testing::SimulatedDisk;
using testing::some_bytes;
using testing::StoreRig;
using Keep = SimulatedDisk::Keep;

WrittenRow row_with(std::initializer_list<WrittenRow::Slot> written) {
  WrittenRow row{7, 3, kChunkSize, {}, written};
  for (const auto& slot : written) row.named.set(slot.slot);
  return row;
}

TEST(Fold, IsTheExclusiveOrOfTheFirstWordOfEachSector) {
  EXPECT_EQ(fold({}), 0u);
  EXPECT_EQ(fold(Bytes{0x01, 0x02, 0x03, 0x04, 0xff}), 0x04030201u);
  EXPECT_EQ(fold(Bytes{0x01, 0x02, 0x03}), 0u);
  Bytes sectors(1024 + 4);
  sectors[0] = 1, sectors[4] = 2, sectors[512] = 4, sectors[1023] = 8, sectors[1027] = 16;
  EXPECT_EQ(fold(sectors), 0x10000005u);
  sectors.pop_back();
  EXPECT_EQ(fold(sectors), 5u);
}

TEST(Fold, ShowsWhichSectorIsLost) {
  const auto whole = some_bytes(kChunkSize, 1);
  for (std::size_t sector = 0; sector < kChunkSize; sector += 512) {
    auto torn = whole;
    std::fill_n(torn.begin() + static_cast<std::ptrdiff_t>(sector), 512, std::uint8_t{0});
    EXPECT_NE(fold(torn), fold(whole)) << sector;
  }
}

TEST(WrittenRows, ComeBackAsTheyWere) {
  auto last = row_with({{255, kChunkSize, 0xfffffffe}, {0, 1, 2}, {9, kChunkSize - 1, 0}});
  last.named.set(100);
  const std::vector<WrittenRow> rows{row_with({}), row_with({{1, 5, 6}}), last};
  const auto contents = encode_rows(rows);
  ASSERT_EQ(contents.size(), 1u);
  const auto back = decode_rows(contents[0]);
  ASSERT_TRUE(back.ok()) << back.error().message;
  ASSERT_EQ(back->size(), rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    EXPECT_EQ((*back)[i].file, 7u);
    EXPECT_EQ((*back)[i].row, 3u);
    EXPECT_EQ((*back)[i].chunk_size, kChunkSize);
    EXPECT_EQ((*back)[i].named, rows[i].named);
    ASSERT_EQ((*back)[i].written.size(), rows[i].written.size());
    for (std::size_t k = 0; k < rows[i].written.size(); ++k) {
      EXPECT_EQ((*back)[i].written[k].slot, rows[i].written[k].slot);
      EXPECT_EQ((*back)[i].written[k].length, rows[i].written[k].length);
      EXPECT_EQ((*back)[i].written[k].fold, rows[i].written[k].fold);
    }
  }
}

TEST(WrittenRows, OfManyFillFramesAndNoneIsLost) {
  std::vector<WrittenRow> rows;
  for (std::uint32_t number = 0; number < 300; ++number) {
    WrittenRow row{1, number, kChunkSizeMax, {}, {}};
    for (std::uint32_t slot = 0; slot < number % 257; ++slot) {
      row.named.set(slot);
      row.written.push_back({static_cast<std::uint8_t>(slot), kChunkSizeMax, slot});
    }
    rows.push_back(row);
  }
  std::uint32_t next = 0;
  for (const auto& content : encode_rows(rows)) {
    ASSERT_LE(content.size(), kPageContentSize);
    Bytes frame = content;
    frame.resize(kPageContentSize);  // as a frame has it
    const auto back = decode_rows(frame);
    ASSERT_TRUE(back.ok()) << back.error().message;
    for (const auto& row : *back) {
      EXPECT_EQ(row.row, next);
      EXPECT_EQ(row.written.size(), next % 257);
      ++next;
    }
  }
  EXPECT_EQ(next, rows.size());
}

TEST(WrittenRows, OfAFrameWithoutAnyAreNone) {
  const auto rows = decode_rows(Bytes(kPageContentSize));
  ASSERT_TRUE(rows.ok());
  EXPECT_TRUE(rows->empty());
}

TEST(WrittenRows, ThatNobodyWritesAreDamage) {
  const auto sound = encode_rows(std::vector{row_with({{4, 100, 5}})})[0];
  ASSERT_TRUE(decode_rows(sound).ok());
  const auto refused = [&](std::size_t at, std::initializer_list<std::uint8_t> bytes) {
    auto changed = sound;
    std::copy(bytes.begin(), bytes.end(), changed.begin() + static_cast<std::ptrdiff_t>(at));
    const auto rows = decode_rows(changed);
    return !rows.ok() && rows.code() == Code::kDamaged;
  };
  EXPECT_TRUE(refused(0, {2})) << "more rows than there are";
  EXPECT_TRUE(refused(0, {0})) << "fewer";
  EXPECT_TRUE(refused(2, {0, 0, 0, 0, 0, 0, 0, 0})) << "file 0";
  EXPECT_TRUE(refused(14, {0, 0, 0, 0})) << "no chunk size";
  EXPECT_TRUE(refused(14, {1, 0, 1, 0})) << "a chunk size above the greatest";
  EXPECT_TRUE(refused(14, {99, 0, 0, 0})) << "longer than a chunk";
  EXPECT_TRUE(refused(18, {0})) << "written and not named";
  EXPECT_TRUE(refused(50, {2})) << "more written than named";
  for (std::size_t size = 0; size < sound.size(); ++size)
    EXPECT_FALSE(decode_rows(BytesView(sound).first(size)).ok()) << size;
}

// --- what they are for ---

class DiskThatWentAway : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(store().create_bucket(*BucketName::parse("bucket"), NewInode{0755, 1, 1, 0}).ok());
    synced_ = make("synced", old_);
    ASSERT_TRUE(store().sync_all().ok());
    ASSERT_TRUE(store().write(synced_, 0, new_).ok());
    later_ = make("later", new_);
    ASSERT_TRUE(store().commit_soon().ok());
  }

  Store& store() { return rig_.store(); }
  InodeNumber make(const char* name, BytesView bytes) {
    const auto made = store().create(*store().resolve("bucket", ""), name, NewInode{0644, 1, 1, 0});
    EXPECT_TRUE(made.ok());
    EXPECT_TRUE(store().write(made->ino, 0, bytes).ok());
    return made->ino;
  }
  // The log reaches the disk, as the kernel writes it back by and by; what else does not is lost.
  void lose(const std::function<Bytes(const std::string& name, Bytes bytes)>& left) {
    rig_.disk.kill();
    rig_.drop();
    rig_.disk.start();
    auto files = rig_.disk.snapshot();
    for (auto& [name, bytes] : files)
      if (name.starts_with("objects/")) bytes = left(name, std::move(bytes));
    rig_.disk.restore(files);
    rig_.open();
  }
  void expect_synced_state() {
    EXPECT_EQ(*read_all(store(), synced_), old_);
    EXPECT_EQ(store().get(later_).code(), Code::kNotFound);
    const auto goes_on = make("afterwards", new_);
    ASSERT_TRUE(store().sync_all().ok());
    rig_.reopen();
    EXPECT_EQ(*read_all(store(), goes_on), new_);
  }

  const Bytes old_ = some_bytes(3 * kChunkSize, 1), new_ = some_bytes(3 * kChunkSize + 100, 2);
  StoreRig rig_;
  InodeNumber synced_ = 0, later_ = 0;
};

TEST_F(DiskThatWentAway, AKillLosesNothingThatWasCommitted) {
  lose([](const auto&, Bytes bytes) { return bytes; });
  EXPECT_EQ(*read_all(store(), synced_), new_);
  EXPECT_EQ(*read_all(store(), later_), new_);
}

TEST_F(DiskThatWentAway, ANewFileThatIsEmptyTakesTheStoreBackToWhatWasSynced) {
  lose([](const std::string& name, Bytes bytes) { return name.ends_with("2") ? Bytes() : bytes; });
  expect_synced_state();
}

TEST_F(DiskThatWentAway, ASectorOfAnOverwriteThatIsLostDoes) {
  bool done = false;
  lose([&](const std::string& name, Bytes bytes) {
    // The third and last of its slots: 0 to 2 have the old bytes.
    const auto at = slot_offset(0, 5, kChunkSize) + 4096;
    if (name.ends_with("1") && (done = bytes.size() > at + 512))
      std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), 512, std::uint8_t{0});
    return bytes;
  });
  ASSERT_TRUE(done);
  expect_synced_state();
}

// Chunks that moved on since, and were overwritten by what no commit names yet, are not asked for.
TEST_F(DiskThatWentAway, ASlotThatALaterCommitLeftMayHaveOtherBytes) {
  for (std::uint64_t i = 0; i < 300; ++i) {
    ASSERT_TRUE(store().write(synced_, 0, some_bytes(kChunkSize, 10 + i)).ok());
    ASSERT_TRUE(store().commit_soon().ok());
  }
  ASSERT_TRUE(store().write(synced_, 0, some_bytes(kChunkSize, 1000)).ok());
  lose([](const auto&, Bytes bytes) { return bytes; });
  const auto got = read_all(store(), synced_);
  ASSERT_TRUE(got.ok());
  EXPECT_TRUE(std::ranges::equal(BytesView(*got).first(kChunkSize), some_bytes(kChunkSize, 309)));
  EXPECT_EQ(*read_all(store(), later_), new_);
}

TEST_F(DiskThatWentAway, WhatIsSyncedLaterIsNotAskedForAgain) {
  ASSERT_TRUE(store().sync_all().ok());
  lose([](const std::string& name, Bytes bytes) { return name.ends_with("2") ? Bytes() : bytes; });
  EXPECT_EQ(store().get(later_)->size, new_.size()) << "damage of one object is told where it is read";
  EXPECT_FALSE(read_all(store(), later_).ok());
  EXPECT_EQ(*read_all(store(), synced_), new_);
}

}  // namespace
}  // namespace coffer
