#include "store/written_rows.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "base/limits.h"
#include "tests/store/store_rig.h"

// A commit that the log has whole counts after a kill, if all that it names is in data files. A disk that went away and
// came back within one boot has the log perhaps, and the data not.
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
  EXPECT_EQ(fold(Bytes{0x01, 0x02, 0x03}), 0x00030201u);
  Bytes sectors(1024 + 4);
  sectors[0] = 1, sectors[4] = 2, sectors[512] = 4, sectors[1023] = 8, sectors[1027] = 16;
  EXPECT_EQ(fold(sectors), 0x10000005u);
  sectors[1024] = 32;
  sectors.pop_back();
  EXPECT_EQ(fold(sectors), 0x25u);
}

TEST(Fold, ShowsWhichSectorIsLost) {
  for (const std::size_t size : {1u, 3u, 512u, 513u, 4097u, kChunkSize - 510, kChunkSize}) {
    const auto whole = some_bytes(size, 1);
    for (std::size_t sector = 0; sector < size; sector += 512) {
      auto torn = whole;
      std::fill_n(torn.begin() + static_cast<std::ptrdiff_t>(sector), std::min<std::size_t>(512, size - sector),
                  std::uint8_t{0});
      EXPECT_NE(fold(torn), fold(whole)) << size << " " << sector;
    }
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
  EXPECT_TRUE(refused(18, {0x20})) << "another one is named than is written";
  EXPECT_TRUE(refused(50, {2})) << "more written than named";
  EXPECT_TRUE(refused(53, {0x00, 0x40})) << "the chunk size, which is 0";
  const auto twice = encode_rows(std::vector{row_with({{4, 100, 5}, {6, 100, 5}})})[0];
  auto same = twice;
  same[59] = 4;
  EXPECT_TRUE(decode_rows(twice).ok());
  EXPECT_FALSE(decode_rows(same).ok());
  for (std::size_t size = 0; size < sound.size(); ++size)
    EXPECT_FALSE(decode_rows(BytesView(sound).first(size)).ok()) << size;
}

TEST(WrittenRows, AreAskedForInTheFileThatTheyAreOf) {
  SimulatedDisk disk;
  for (const auto* folder : {"objects", "objects/01", "objects/02"}) ASSERT_TRUE(disk.make_folder(folder).ok());
  const auto put = [&](std::uint64_t file, std::uint32_t row, std::uint64_t seed) {
    const auto bytes = some_bytes(kChunkSize, seed);
    const auto opened = disk.open(data_file_name(file), OpenMode::kCreate);
    EXPECT_TRUE(opened.ok() && (*opened)->pwrite(slot_offset(row, 0, kChunkSize), bytes).ok());
    WrittenRow written{file, row, kChunkSize, {}, {{0, kChunkSize, fold(bytes)}}};
    written.named.set(0);
    return written;
  };
  const auto first = put(1, 0, 1), second = put(2, 1, 2);
  const WrittenRow emptied{2, 0, kChunkSize, {}, {}};
  auto lost = second;
  lost.written[0].fold ^= 1;
  auto gone = second;
  gone.file = 0x102;  // objects/02 has none of this number
  EXPECT_TRUE(are_in_data_files(std::vector{first, emptied, second}, disk));
  EXPECT_FALSE(are_in_data_files(std::vector{first, emptied, lost}, disk));
  EXPECT_FALSE(are_in_data_files(std::vector{gone}, disk));
  EXPECT_TRUE(are_in_data_files(std::vector{lost, second}, disk)) << "written again";
  EXPECT_TRUE(are_in_data_files(std::vector{lost, gone, WrittenRow(), first}, disk)) << "told no more";
  EXPECT_FALSE(are_in_data_files(std::vector{WrittenRow(), lost}, disk));
  auto left = second;
  left.named.reset();
  left.written.clear();
  EXPECT_TRUE(are_in_data_files(std::vector{lost, left}, disk)) << "named no more";
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
    rig_.kill();
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
    // The third of the slots it was overwritten in: 0 to 2 have the old bytes.
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

TEST_F(DiskThatWentAway, ARowThatWasPunchedIsNotAskedForInAnotherFile) {
  const auto large = make("large", some_bytes(130 * kChunkSize, 3));
  ASSERT_TRUE(store().sync_all().ok());
  ASSERT_TRUE(store().write(synced_, 0, old_).ok());
  ASSERT_TRUE(store().write(large, 128 * kChunkSize, some_bytes(kChunkSize, 4)).ok());
  ASSERT_TRUE(store().fallocate(large, FallocateMode::kPunchHole, 0, 128 * kChunkSize).ok());
  ASSERT_TRUE(store().commit_soon().ok());
  rig_.kill();
  rig_.open();
  EXPECT_TRUE(std::ranges::equal(BytesView(*read_all(store(), synced_)).first(old_.size()), old_));
}

// What was told while there was room is taken back when there is none.
TEST_F(DiskThatWentAway, ADiskThatFillsUpMakesNoKillLookLikeIt) {
  for (std::uint64_t i = 0; i < 300; ++i)  // every slot has its blocks
    ASSERT_TRUE(store().write(synced_, 0, some_bytes(kChunkSize, 3000 + i)).ok());
  ASSERT_TRUE(store().sync_all().ok());
  ASSERT_TRUE(store().write(synced_, 0, some_bytes(kChunkSize, 5)).ok());
  ASSERT_TRUE(store().commit_soon().ok());
  const auto durable = store().commit_state().counter;
  rig_.disk.set_capacity(rig_.disk.used_bytes() + (7 << 20));
  for (std::uint64_t i = 0; i < 300; ++i) {
    ASSERT_TRUE(store().write(synced_, 0, some_bytes(kChunkSize, 10 + i)).ok());
    if (i % 50 == 49) {
      ASSERT_TRUE(store().commit_soon().ok());
    }
  }
  ASSERT_EQ(store().commit_state().counter, durable) << "or there is nothing to be asked";
  rig_.kill();
  rig_.open();
  EXPECT_TRUE(
      std::ranges::equal(BytesView(*read_all(store(), synced_)).first(kChunkSize), some_bytes(kChunkSize, 309)));
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
