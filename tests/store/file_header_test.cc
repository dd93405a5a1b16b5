#include "store/file_header.h"

#include <gtest/gtest.h>

#include "tests/store/store_rig.h"

namespace coffer {
namespace {

using testing::SimulatedDisk;
using testing::some_bytes;
using testing::StoreRig;

constexpr std::size_t kHalf = kChunkSize / 2;

class FileHeaderTest : public ::testing::Test {
 protected:
  FileHeader header(std::uint64_t sequence) {
    FileHeader made;
    made.sequence = sequence;
    made.inode.ino = 77;
    made.inode.mode = 0640;
    made.inode.size = 12345;
    made.inode.mtime_ns = -5;
    made.bucket = "a-bucket";
    made.path = "folder/name";
    made.rule_version = 3;
    made.envelope = Bytes(300, 'e');
    return made;
  }
  Result<std::optional<FileHeader>> read(std::uint64_t number = 9) { return headers_.read(*file_, number); }

  SimulatedDisk disk_;
  KeySchedule keys_{Key::random(), StoreId{1, 2, 3}};
  FileHeaders headers_{keys_, StoreRig::suite()};
  std::unique_ptr<DiskFile> file_ = *disk_.open("file", OpenMode::kCreate);
};

TEST_F(FileHeaderTest, WhatWasWrittenIsRead) {
  EXPECT_FALSE(read()->has_value());
  auto written = header(1);
  written.next_envelope = Bytes(200, 'n');
  written.next_rule_version = 4;
  ASSERT_TRUE(headers_.write(*file_, 9, written).ok());
  const auto found = **read();
  EXPECT_EQ(found.inode.ino, 77U);
  EXPECT_EQ(found.inode.mode, 0640U);
  EXPECT_EQ(found.inode.size, 12345U);
  EXPECT_EQ(found.inode.mtime_ns, -5);
  EXPECT_EQ(found.bucket, "a-bucket");
  EXPECT_EQ(found.path, "folder/name");
  EXPECT_FALSE(found.path_cut);
  EXPECT_EQ(found.rule_version, 3U);
  EXPECT_EQ(found.envelope, written.envelope);
  EXPECT_EQ(found.next_envelope, written.next_envelope);
}

TEST_F(FileHeaderTest, ATornNewHalfLeavesTheOldOne) {
  ASSERT_TRUE(headers_.write(*file_, 9, header(1)).ok());
  auto next = header(2);
  next.path = "renamed";
  ASSERT_TRUE(headers_.write(*file_, 9, next).ok());
  EXPECT_EQ((**read()).path, "renamed");
  disk_.flip_bit("file", 100);
  EXPECT_EQ((**read()).path, "folder/name");
  disk_.flip_bit("file", kHalf + 100);
  EXPECT_EQ(read().code(), Code::kDamaged);
}

TEST_F(FileHeaderTest, EveryBitCountsAndSoDoesThePlace) {
  ASSERT_TRUE(headers_.write(*file_, 9, header(1)).ok());
  const auto size = disk_.bytes("file").size();
  for (std::size_t at = kHalf; at < size; at += 3) {
    disk_.flip_bit("file", at, at % 8);
    EXPECT_EQ(read().code(), Code::kDamaged) << at;
    disk_.flip_bit("file", at, at % 8);
  }
  ASSERT_TRUE(read()->has_value());
  EXPECT_EQ(read(/*number=*/10).code(), Code::kDamaged) << "of another file";
  // The half moved to the other half's place.
  auto bytes = disk_.bytes("file");
  std::copy(bytes.begin() + kHalf, bytes.end(), bytes.begin());
  std::fill(bytes.begin() + kHalf, bytes.end(), std::uint8_t{0});
  disk_.set_bytes("file", bytes);
  file_ = *disk_.open("file", OpenMode::kExisting);
  EXPECT_EQ(read().code(), Code::kDamaged);
}

TEST_F(FileHeaderTest, AnotherStoreReadsNothing) {
  ASSERT_TRUE(headers_.write(*file_, 9, header(1)).ok());
  const KeySchedule other(Key::random(), StoreId{1, 2, 3});
  EXPECT_EQ(FileHeaders(other, StoreRig::suite()).read(*file_, 9).code(), Code::kDamaged);
}

TEST_F(FileHeaderTest, OfALongPathItsEndIsKept) {
  auto written = header(1);
  written.path = std::string(9000, 'p') + "/end";
  ASSERT_TRUE(headers_.write(*file_, 9, written).ok());
  EXPECT_LE(disk_.bytes("file").size(), kChunkSize);
  const auto found = **read();
  EXPECT_TRUE(found.path_cut);
  EXPECT_TRUE(found.path.ends_with("pp/end"));
  EXPECT_EQ(found.envelope, written.envelope);
  written.envelope.resize(9000);
  EXPECT_EQ(headers_.write(*file_, 9, written).code(), Code::kLimit);
}

// --- what the store writes ---

class StoreHeaderTest : public ::testing::Test {
 protected:
  StoreHeaderTest() { bucket_ = rig_.store().make_directory(kRootInode, "bucket", {})->ino; }
  InodeNumber create(InodeNumber parent, const std::string& name, std::size_t size) {
    const auto made = rig_.store().create(parent, name, {.mode = 0600});
    EXPECT_TRUE(made.ok());
    EXPECT_TRUE(rig_.store().write(made->ino, 0, some_bytes(size, 1)).ok());
    return made->ino;
  }
  FileHeader header_of(InodeNumber ino) {
    std::lock_guard lock(rig_.catalog().mutex());
    const auto number = rig_.catalog().content(ino)->file;
    const auto file = rig_.disk.open(data_file_name(number), OpenMode::kExisting);
    EXPECT_TRUE(file.ok());
    const auto header = headers_.read(**file, number);
    EXPECT_TRUE(header.ok() && *header) << "no header";
    return header.ok() && *header ? **header : FileHeader{};
  }

  StoreRig rig_;
  FileHeaders headers_{rig_.keyring().keys(), rig_.suite()};
  InodeNumber bucket_ = 0;
};

TEST_F(StoreHeaderTest, ADataFileNamesItsObjectFromTheFirstDurableCommitOn) {
  const auto folder = rig_.store().make_directory(bucket_, "folder", {})->ino;
  for (const std::size_t size : {kInlineSizeMax + 1, kChunkSize, 3 * kChunkSize + 1}) {
    const auto ino = create(folder, "of " + std::to_string(size), size);
    ASSERT_TRUE(rig_.store().sync(ino).ok());
    rig_.crash(size);
    rig_.open();
    const auto header = header_of(ino);
    EXPECT_EQ(header.inode.ino, ino);
    EXPECT_EQ(header.bucket, "bucket");
    EXPECT_EQ(header.path, "folder/of " + std::to_string(size));
    EXPECT_EQ(header.envelope, rig_.catalog().content(ino)->envelope);
  }
}

TEST_F(StoreHeaderTest, ARenamedObjectsHeaderFollowsBehind) {
  const auto ino = create(bucket_, "old", kChunkSize);
  ASSERT_TRUE(rig_.store().rename(bucket_, "old", bucket_, "new", RenameMode::kReplace).ok());
  ASSERT_TRUE(rig_.store().sync_all().ok());
  EXPECT_EQ(header_of(ino).path, "old");
  EXPECT_TRUE(rig_.store().renew_headers());
  EXPECT_EQ(header_of(ino).path, "new");
  EXPECT_EQ(header_of(ino).sequence, 2U);
  EXPECT_FALSE(rig_.store().renew_headers());
  rig_.reopen();
  ASSERT_TRUE(rig_.store().rename(bucket_, "new", bucket_, "newer", RenameMode::kReplace).ok());
  EXPECT_TRUE(rig_.store().renew_headers());
  EXPECT_EQ(header_of(ino).path, "newer");
  EXPECT_EQ(header_of(ino).sequence, 3U);
}

TEST_F(StoreHeaderTest, AReplacedContentHasAHeaderWithItsNewEnvelope) {
  const auto ino = create(bucket_, "file", kChunkSize);
  ASSERT_TRUE(rig_.store().sync_all().ok());
  ASSERT_TRUE(rig_.store().lookup(bucket_, "file").ok());
  ASSERT_TRUE(rig_.store().open_object(ino, /*truncate=*/true).ok());
  ASSERT_TRUE(rig_.store().write(ino, 0, some_bytes(kChunkSize, 2)).ok());
  ASSERT_TRUE(rig_.store().sync_all().ok());
  EXPECT_EQ(header_of(ino).envelope, rig_.catalog().content(ino)->envelope);
  EXPECT_EQ(header_of(ino).path, "file");
}

TEST_F(StoreHeaderTest, AResealedObjectsHeaderHasTheNewEnvelopeAlone) {
  const auto ino = create(bucket_, "file", kChunkSize);
  const auto key = rig_.kms().create_key("")->key_id;
  ASSERT_TRUE(rig_.store().put_rule(*BucketName::parse("bucket"), {SseAlgorithm::kAwsKms, key, false, {}}).ok());
  ASSERT_TRUE(rig_.store().queue_reseal(*BucketName::parse("bucket"), "").ok());
  while (*rig_.store().reseal_step()) {
  }
  ASSERT_TRUE(rig_.store().sync_all().ok());
  rig_.store().renew_headers();
  const auto row = *rig_.catalog().content(ino);
  ASSERT_FALSE(row.next_envelope);
  EXPECT_EQ(header_of(ino).envelope, row.envelope);
  EXPECT_FALSE(header_of(ino).next_envelope);
}

TEST_F(StoreHeaderTest, NoSyncIsMadeForAHeader) {
  create(bucket_, "first", kChunkSize);
  ASSERT_TRUE(rig_.store().sync_all().ok());
  ASSERT_TRUE(rig_.store().rename(bucket_, "first", bucket_, "second", RenameMode::kReplace).ok());
  ASSERT_TRUE(rig_.store().commit_soon().ok());
  const auto before = rig_.disk.calls();
  ASSERT_TRUE(rig_.store().renew_headers());
  EXPECT_EQ(rig_.disk.calls(), before + 1) << "one write alone";
}

TEST_F(StoreHeaderTest, AHeaderThatCannotBeWrittenFailsNoWrite) {
  const auto ino = rig_.store().create(bucket_, "file", {})->ino;
  // The chunk is the first change of the disk, its header the second... a new file's name counts too.
  rig_.disk.fail_at(3, SimulatedDisk::Fault::kNoSpace);
  ASSERT_TRUE(rig_.store().write(ino, 0, some_bytes(kChunkSize, 1)).ok());
  EXPECT_TRUE(rig_.disk.fault_happened());
  EXPECT_EQ(*testing::read_all(rig_.store(), ino), some_bytes(kChunkSize, 1));
  EXPECT_FALSE(rig_.store().poisoned());
}

}  // namespace
}  // namespace coffer
