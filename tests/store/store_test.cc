#include "store/store.h"

#include <gtest/gtest.h>

#include "base/limits.h"
#include "store/chunk_map.h"
#include "tests/store/store_rig.h"

namespace coffer {
namespace {

using testing::read_all;
using testing::some_bytes;
using testing::StoreRig;

const NewInode kFileAttributes{0644, 1000, 1000, 0};
const NewInode kDirectoryAttributes{0755, 1000, 1000, 0};

class StoreTest : public ::testing::Test {
 protected:
  void SetUp() override { make_bucket("bucket"); }

  void make_bucket(std::string_view name) {
    const auto made = store().make_directory(kRootInode, name, kDirectoryAttributes);
    ASSERT_TRUE(made.ok()) << made.error().message;
    bucket = made->ino;
  }
  Store& store() { return rig.store(); }
  InodeNumber create(std::string_view name) { return create_in(bucket, name); }
  InodeNumber create_in(InodeNumber parent, std::string_view name) {
    const auto made = store().create(parent, name, kFileAttributes);
    EXPECT_TRUE(made.ok()) << made.error().message;
    return made.ok() ? made->ino : 0;
  }
  InodeNumber directory(InodeNumber parent, std::string_view name) {
    const auto made = store().make_directory(parent, name, kDirectoryAttributes);
    EXPECT_TRUE(made.ok());
    return made.ok() ? made->ino : 0;
  }
  void put(InodeNumber ino, BytesView bytes, std::uint64_t offset = 0) {
    const auto written = store().write(ino, offset, bytes);
    ASSERT_TRUE(written.ok()) << written.error().message;
  }
  InodeNumber find(std::string_view path) {
    const auto found = store().resolve("bucket", path);
    return found.ok() ? *found : 0;
  }
  void expect_content(InodeNumber ino, BytesView expected) {
    const auto got = read_all(store(), ino);
    ASSERT_TRUE(got.ok()) << got.error().message;
    ASSERT_EQ(got->size(), expected.size());
    EXPECT_TRUE(std::equal(expected.begin(), expected.end(), got->begin()));
  }
  Code code_of(const Status& status) { return status.ok() ? Code::kBusy : status.code(); }
  // The one data file there is.
  std::string data_file() {
    for (const auto& [name, bytes] : rig.disk.snapshot())
      if (name.starts_with("objects/")) return name;
    return "";
  }

  StoreRig rig;
  InodeNumber bucket = 0;
};

TEST_F(StoreTest, BytesComeBackAtEverySizeBeforeAndAfterReopening) {
  constexpr std::size_t kRow = std::size_t{kChunksPerRow} * kChunkSize;
  const std::size_t sizes[] = {0,
                               1,
                               kInlineSizeMax - 1,
                               kInlineSizeMax,
                               kInlineSizeMax + 1,
                               kChunkSize - 1,
                               kChunkSize,
                               kChunkSize + 1,
                               3 * kChunkSize,
                               kRow - 1,
                               kRow,
                               kRow + 1};
  for (const auto size : sizes) {
    const auto ino = create("f" + std::to_string(size));
    put(ino, some_bytes(size, size));
    expect_content(ino, some_bytes(size, size));
    EXPECT_EQ(store().get(ino)->allocated, size);
  }
  ASSERT_TRUE(store().sync_all().ok());
  for (const auto size : sizes) expect_content(find("f" + std::to_string(size)), some_bytes(size, size));
  rig.reopen();
  for (const auto size : sizes) {
    expect_content(find("f" + std::to_string(size)), some_bytes(size, size));
    EXPECT_EQ(store().get(find("f" + std::to_string(size)))->allocated, size);
  }
}

TEST_F(StoreTest, WritesAtEveryEdgeLeaveTheirNeighboursAlone) {
  const std::uint64_t size = 3 * kChunkSize + 100;
  const std::uint64_t edges[] = {0,   1, kChunkSize - 1, kChunkSize, kChunkSize + 1, 3 * kChunkSize - 1, 3 * kChunkSize,
                                 size};
  for (const auto from : edges)
    for (const auto to : edges) {
      if (from >= to) continue;
      const auto ino = create("f" + std::to_string(from) + "-" + std::to_string(to));
      auto expected = some_bytes(size, 1);
      put(ino, expected);
      const auto patch = some_bytes(to - from, 2);
      put(ino, patch, from);
      std::copy(patch.begin(), patch.end(), expected.begin() + static_cast<std::ptrdiff_t>(from));
      expect_content(ino, expected);
      ASSERT_TRUE(store().commit_soon().ok());
      expect_content(ino, expected);
    }
}

TEST_F(StoreTest, BytesNeverWrittenReadAsZeros) {
  const auto ino = create("f");
  const auto tail = some_bytes(10, 1);
  put(ino, tail, 5 * kChunkSize + 3);
  Bytes expected(5 * kChunkSize + 13);
  std::copy(tail.begin(), tail.end(), expected.end() - 10);
  expect_content(ino, expected);
  EXPECT_LT(store().get(ino)->allocated, 2 * kChunkSize);
  ASSERT_TRUE(store().sync_all().ok());
  rig.reopen();
  expect_content(find("f"), expected);
}

TEST_F(StoreTest, ShrinkingForgetsWhatWasBehind) {
  for (const std::uint64_t size : {std::uint64_t{1}, std::uint64_t{kChunkSize - 1}, std::uint64_t{kChunkSize},
                                   std::uint64_t{kChunkSize + 1}, std::uint64_t{130 * kChunkSize + 7}}) {
    const auto ino = create("f" + std::to_string(size));
    const auto old_size = 300 * std::uint64_t{kChunkSize};
    auto expected = some_bytes(old_size, 3);
    put(ino, expected);
    ASSERT_TRUE(store().commit_soon().ok());
    InodeChange shrink, grow;
    shrink.size = size;
    grow.size = old_size;
    ASSERT_TRUE(store().change(ino, shrink).ok());
    EXPECT_EQ(store().get(ino)->allocated, size);
    ASSERT_TRUE(store().change(ino, grow).ok());
    std::fill(expected.begin() + static_cast<std::ptrdiff_t>(size), expected.end(), std::uint8_t{0});
    expect_content(ino, expected);
    ASSERT_TRUE(store().sync_all().ok());
    rig.reopen();
    expect_content(find("f" + std::to_string(size)), expected);
  }
}

TEST_F(StoreTest, PunchedRangesReadAsZerosAndGiveSpaceBack) {
  const std::uint64_t size = 4 * kChunkSize + 50;
  const std::uint64_t edges[] = {0,    1,         kChunkSize, kChunkSize + 1, 3 * kChunkSize, 4 * kChunkSize + 10,
                                 size, size + 100};
  for (const auto from : edges)
    for (const auto to : edges) {
      if (from >= to) continue;
      const auto name = "f" + std::to_string(from) + "-" + std::to_string(to);
      const auto ino = create(name);
      auto expected = some_bytes(size, 4);
      put(ino, expected);
      if (from % 2 == 0) {
        ASSERT_TRUE(store().commit_soon().ok());
      }
      ASSERT_TRUE(store().fallocate(ino, FallocateMode::kPunchHole, from, to - from).ok());
      const auto end = std::min<std::uint64_t>(to, size);
      if (from < end)
        std::fill(expected.begin() + static_cast<std::ptrdiff_t>(from),
                  expected.begin() + static_cast<std::ptrdiff_t>(end), std::uint8_t{0});
      expect_content(ino, expected);
      ASSERT_TRUE(store().commit_soon().ok());
      expect_content(ino, expected);
    }
  const auto ino = create("whole");
  put(ino, some_bytes(size, 5));
  ASSERT_TRUE(store().fallocate(ino, FallocateMode::kPunchHole, 0, size).ok());
  EXPECT_EQ(store().get(ino)->allocated, 0U);
}

TEST_F(StoreTest, ASparseFileOfTerabytesIsCutEmptiedAndRemovedWithoutRoomForItsHoles) {
  InodeChange grow;
  grow.size = kObjectSizeMax;
  const auto ino = create("f"), other = create("other");
  for (const auto file : {ino, other}) {
    put(file, some_bytes(5 * kChunkSize, 1));
    ASSERT_TRUE(store().change(file, grow).ok());
  }
  ASSERT_TRUE(store().sync_all().ok());
  rig.disk.set_capacity(64 << 20);
  const auto cut_to = [&](std::uint64_t size) {
    InodeChange cut;
    cut.size = size;
    return store().change(ino, cut).ok() && store().sync_all().ok();
  };
  EXPECT_TRUE(store().fallocate(ino, FallocateMode::kPunchHole, kChunkSize, kObjectSizeMax - kChunkSize).ok());
  EXPECT_TRUE(cut_to(kObjectSizeMax / 2));
  EXPECT_TRUE(cut_to(0));
  ASSERT_TRUE(store().unlink(bucket, "other").ok());
  store().forget(other, 1);
  store().release(other);
  EXPECT_TRUE(store().sync_all().ok());
  EXPECT_FALSE(store().get(other).ok());
  EXPECT_LT(rig.disk.bytes("coffer.db").size(), 8U << 20);
}

TEST_F(StoreTest, SeekTellsDataFromHolesAlsoBeforeACommit) {
  const auto ino = create("f");
  put(ino, some_bytes(10, 1), 2 * kChunkSize);
  put(ino, some_bytes(kChunkSize, 1), 200 * std::uint64_t{kChunkSize});
  InodeChange grow;
  grow.size = 300 * std::uint64_t{kChunkSize};
  ASSERT_TRUE(store().change(ino, grow).ok());
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(*store().seek(ino, 0, SeekFor::kData), 2 * kChunkSize);
    EXPECT_EQ(*store().seek(ino, 2 * kChunkSize + 5, SeekFor::kData), 2 * kChunkSize + 5);
    EXPECT_EQ(*store().seek(ino, 2 * kChunkSize, SeekFor::kHole), 3 * kChunkSize);
    EXPECT_EQ(*store().seek(ino, 3 * kChunkSize, SeekFor::kData), 200 * std::uint64_t{kChunkSize});
    EXPECT_EQ(*store().seek(ino, 200 * std::uint64_t{kChunkSize}, SeekFor::kHole), 201 * std::uint64_t{kChunkSize});
    EXPECT_EQ(store().seek(ino, 201 * std::uint64_t{kChunkSize}, SeekFor::kData).code(), Code::kNotFound);
    EXPECT_EQ(store().seek(ino, grow.size.value(), SeekFor::kHole).code(), Code::kNotFound);
    ASSERT_TRUE(store().commit_soon().ok());
  }
}

TEST_F(StoreTest, CopiedRangesAreEqual) {
  const auto from = create("from"), to = create("to");
  const auto bytes = some_bytes(5 * kChunkSize + 17, 8);
  put(from, bytes);
  EXPECT_EQ(*store().copy_range(from, 0, to, 0, bytes.size() + 1000), bytes.size());
  expect_content(to, bytes);
}

TEST_F(StoreTest, OverwritingOneRowForEverNeverRunsOutOfSlots) {
  const auto ino = create("f");
  Bytes last;
  for (int round = 0; round < 12; ++round) {
    last = some_bytes(kChunksPerRow * std::size_t{kChunkSize}, static_cast<std::uint64_t>(round));
    put(ino, last);
    ASSERT_TRUE(store().commit_soon().ok());
  }
  expect_content(ino, last);
}

// --- names ---

TEST_F(StoreTest, RootHoldsBucketsAlone) {
  EXPECT_EQ(store().create(kRootInode, "file", kFileAttributes).code(), Code::kNotPermitted);
  EXPECT_EQ(store().make_symlink(kRootInode, "link", "x", kFileAttributes).code(), Code::kNotPermitted);
  EXPECT_EQ(store().make_node(kRootInode, "fifo", FileKind::kFifo, kFileAttributes).code(), Code::kNotPermitted);
  EXPECT_EQ(store().make_directory(kRootInode, "No", kDirectoryAttributes).code(), Code::kInvalidBucketName);
  EXPECT_EQ(store().make_directory(kRootInode, "bucket", kDirectoryAttributes).code(), Code::kExists);
  const auto sub = directory(bucket, "sub");
  EXPECT_EQ(code_of(store().rename(bucket, "sub", kRootInode, "other", RenameMode::kReplace)), Code::kNotPermitted);
  EXPECT_EQ(code_of(store().rename(kRootInode, "bucket", kRootInode, "other", RenameMode::kReplace)),
            Code::kNotPermitted);
  EXPECT_EQ(code_of(store().rename(kRootInode, "bucket", sub, "other", RenameMode::kReplace)), Code::kNotPermitted);
}

TEST_F(StoreTest, NothingCrossesBuckets) {
  const auto ino = create("f");
  const auto first = bucket;
  make_bucket("second");
  EXPECT_EQ(code_of(store().rename(first, "f", bucket, "f", RenameMode::kReplace)), Code::kCrossesBuckets);
  EXPECT_EQ(store().link(ino, bucket, "f").code(), Code::kCrossesBuckets);
}

TEST_F(StoreTest, NamesAreChecked) {
  EXPECT_EQ(store().create(bucket, "", kFileAttributes).code(), Code::kInvalidArgument);
  EXPECT_EQ(store().create(bucket, "..", kFileAttributes).code(), Code::kInvalidArgument);
  EXPECT_EQ(store().create(bucket, "a/b", kFileAttributes).code(), Code::kInvalidArgument);
  EXPECT_EQ(store().create(bucket, std::string(256, 'x'), kFileAttributes).code(), Code::kNameTooLong);
  EXPECT_TRUE(store().create(bucket, std::string(255, 'x'), kFileAttributes).ok());
  EXPECT_EQ(store().create(bucket, std::string(255, 'x'), kFileAttributes).code(), Code::kExists);
}

TEST_F(StoreTest, LinkCountsFollowTheTree) {
  EXPECT_EQ(store().get(kRootInode)->nlink, 3U);
  const auto a = directory(bucket, "a"), b = directory(bucket, "b");
  directory(a, "sub");
  EXPECT_EQ(store().get(bucket)->nlink, 4U);
  EXPECT_EQ(store().get(a)->nlink, 3U);
  ASSERT_TRUE(store().rename(a, "sub", b, "sub", RenameMode::kReplace).ok());
  EXPECT_EQ(store().get(a)->nlink, 2U);
  EXPECT_EQ(store().get(b)->nlink, 3U);
  const auto ino = create("f");
  ASSERT_TRUE(store().link(ino, a, "again").ok());
  EXPECT_EQ(store().get(ino)->nlink, 2U);
  EXPECT_EQ(store().link(a, bucket, "dirlink").code(), Code::kNotPermitted);
  ASSERT_TRUE(store().sync_all().ok());
  rig.reopen();
  EXPECT_EQ(store().get(b)->nlink, 3U);
  EXPECT_EQ(store().get(ino)->nlink, 2U);
  rig.drop();
}

TEST_F(StoreTest, RenameRefusesWhatPosixRefuses) {
  const auto a = directory(bucket, "a"), inner = directory(a, "inner");
  create("f");
  EXPECT_EQ(code_of(store().rename(bucket, "a", inner, "a", RenameMode::kReplace)), Code::kInvalidArgument);
  EXPECT_EQ(code_of(store().rename(bucket, "a", a, "x", RenameMode::kReplace)), Code::kInvalidArgument);
  EXPECT_EQ(code_of(store().rename(a, "inner", bucket, "a", RenameMode::kExchange)), Code::kInvalidArgument);
  EXPECT_EQ(code_of(store().rename(a, "inner", bucket, "f", RenameMode::kReplace)), Code::kNotDirectory);
  EXPECT_EQ(code_of(store().rename(bucket, "f", bucket, "a", RenameMode::kReplace)), Code::kIsDirectory);
  directory(bucket, "b");
  EXPECT_EQ(code_of(store().rename(bucket, "b", bucket, "a", RenameMode::kReplace)), Code::kNotEmpty);
  EXPECT_EQ(code_of(store().rename(bucket, "b", bucket, "f", RenameMode::kNoReplace)), Code::kExists);
  EXPECT_EQ(code_of(store().rename(bucket, "b", bucket, "nothing", RenameMode::kExchange)), Code::kNotFound);
  EXPECT_EQ(code_of(store().remove_directory(bucket, "a")), Code::kNotEmpty);
  EXPECT_EQ(code_of(store().unlink(bucket, "a")), Code::kIsDirectory);
  EXPECT_EQ(code_of(store().remove_directory(bucket, "f")), Code::kNotDirectory);
  EXPECT_EQ(code_of(store().delete_bucket(*BucketName::parse("bucket"))), Code::kNotEmpty);
}

TEST_F(StoreTest, RenameReplacesAndExchanges) {
  const auto f = create("f"), g = create("g");
  put(f, some_bytes(100, 1));
  put(g, some_bytes(200, 2));
  ASSERT_TRUE(store().rename(bucket, "f", bucket, "g", RenameMode::kExchange).ok());
  EXPECT_EQ(find("f"), g);
  EXPECT_EQ(find("g"), f);
  ASSERT_TRUE(store().rename(bucket, "f", bucket, "g", RenameMode::kReplace).ok());
  EXPECT_EQ(find("f"), 0U);
  EXPECT_EQ(find("g"), g);
  EXPECT_EQ(store().get(f)->nlink, 0U);
  expect_content(f, some_bytes(100, 1));
}

TEST_F(StoreTest, UnlinkedObjectLivesWhileItIsReferenced) {
  const auto ino = create("f");
  const auto bytes = some_bytes(3 * kChunkSize, 1);
  put(ino, bytes);
  ASSERT_TRUE(store().unlink(bucket, "f").ok());
  expect_content(ino, bytes);
  store().forget(ino, 1);
  expect_content(ino, bytes);
  store().release(ino);
  EXPECT_EQ(store().get(ino).code(), Code::kNotFound);
  ASSERT_TRUE(store().sync_all().ok());
  ASSERT_TRUE(store().collect_garbage().ok());
  EXPECT_EQ(data_file(), "");
}

TEST_F(StoreTest, UnlinkedObjectsAndTheirFilesAreSweptAfterAKill) {
  const auto ino = create("f");
  put(ino, some_bytes(3 * kChunkSize, 1));
  ASSERT_TRUE(store().unlink(bucket, "f").ok());
  ASSERT_TRUE(store().commit_soon().ok());
  rig.kill();
  rig.open();
  EXPECT_EQ(store().get(ino).code(), Code::kNotFound);
  ASSERT_TRUE(store().collect_garbage().ok());
  EXPECT_EQ(data_file(), "");
}

TEST_F(StoreTest, OrphanedDataFilesAreSweptAtTheStart) {
  const auto ino = create("f");
  ASSERT_TRUE(store().sync_all().ok());
  put(ino, some_bytes(3 * kChunkSize, 1));  // written at once, named by nothing yet
  EXPECT_NE(data_file(), "");
  rig.kill();
  rig.open();
  EXPECT_EQ(data_file(), "");
}

TEST_F(StoreTest, DataFilesOfNobodyAreLookedForUnlessTheStoreEndedInOrder) {
  put(create("f"), some_bytes(3 * kChunkSize, 1));
  ASSERT_TRUE(store().finish().ok());
  rig.drop();
  const auto stray = data_file_name(0x777);
  ASSERT_TRUE(rig.disk.open(stray, OpenMode::kCreate).ok());
  rig.open();
  EXPECT_TRUE(rig.disk.open(stray, OpenMode::kExisting).ok()) << "nothing was to be looked for";
  rig.kill();
  rig.open();
  EXPECT_EQ(rig.disk.open(stray, OpenMode::kExisting).code(), Code::kNotFound) << "killed, though nothing had changed";
  EXPECT_NE(data_file(), "");
}

// An unlink of a data file may come back, where the record that it went does not.
TEST_F(StoreTest, RemovedDataFilesStayRemovedWhenThePowerFailsAfterTheEnd) {
  const auto ino = create("f");
  put(ino, some_bytes(3 * kChunkSize, 1));
  ASSERT_TRUE(store().sync_all().ok());
  ASSERT_TRUE(store().unlink(bucket, "f").ok());
  store().forget(ino, 1);
  store().release(ino);
  ASSERT_TRUE(store().sync_all().ok());
  ASSERT_TRUE(store().collect_garbage().ok());
  ASSERT_EQ(data_file(), "");
  ASSERT_TRUE(store().finish().ok());
  rig.crash(1, testing::SimulatedDisk::Keep::kNothing);
  EXPECT_EQ(data_file(), "");
  rig.open();
}

TEST_F(StoreTest, AnEarlierCatalogBesideNewerDataFilesBeginsNewOnesEmpty) {
  ASSERT_TRUE(store().finish().ok());
  rig.drop();
  const auto before = rig.disk.snapshot();
  rig.open();
  put(create("f"), some_bytes(20 * kChunkSize, 1));
  ASSERT_TRUE(store().finish().ok());
  const auto newer = data_file();
  rig.drop();
  for (const auto& [name, bytes] : before)
    if (!name.starts_with("objects/")) rig.disk.set_bytes(name, bytes);
  rig.open();
  EXPECT_EQ(data_file(), newer) << "the earlier day ended in order";
  const auto ino = create("g");
  put(ino, some_bytes(kInlineSizeMax + 1, 2));
  EXPECT_EQ(data_file(), newer) << "its number is given out again";
  EXPECT_LT(rig.disk.bytes(newer).size(), 3 * kChunkSize);
  expect_content(ino, some_bytes(kInlineSizeMax + 1, 2));
}

TEST_F(StoreTest, ListingShowsWhatTheInodesAreNow) {
  const auto ino = create("f");
  put(ino, some_bytes(1234, 1));
  create("g");
  std::size_t seen = 0;
  ASSERT_TRUE(store()
                  .read_directory_plus(bucket, 0, 100,
                                       [&](const DirectoryEntry& entry, const Inode& inode) {
                                         if (entry.name == "f") {
                                           EXPECT_EQ(inode.size, 1234U);
                                         }
                                         ++seen;
                                         return true;
                                       })
                  .ok());
  EXPECT_EQ(seen, 2U);
  const auto entries = store().read_directory(bucket, 0, 1);
  ASSERT_EQ(entries->size(), 1U);
  EXPECT_EQ(store().read_directory(bucket, entries->back().cookie, 10)->size(), 1U);
}

TEST_F(StoreTest, TimesFollowTheOperations) {
  const auto ino = create("f");
  const auto made = *store().get(ino);
  rig.clock.advance_ns(1000);
  put(ino, some_bytes(10, 1));
  EXPECT_EQ(store().get(ino)->mtime_ns, made.mtime_ns + 1000);
  rig.clock.advance_ns(1000);
  Bytes into(10);
  ASSERT_TRUE(store().read(ino, 0, into).ok());
  EXPECT_EQ(store().get(ino)->atime_ns, made.atime_ns) << "nobody said that it counts";
  EXPECT_TRUE(store().accessed(ino, AccessTimes::kRelative));
  EXPECT_EQ(store().get(ino)->atime_ns, made.mtime_ns + 2000);
  rig.clock.advance_ns(1000);
  EXPECT_FALSE(store().accessed(ino, AccessTimes::kRelative)) << "newer than the last change, and of today";
  EXPECT_EQ(store().get(ino)->atime_ns, made.mtime_ns + 2000);
  EXPECT_TRUE(store().accessed(ino, AccessTimes::kAlways));
  EXPECT_EQ(store().get(ino)->atime_ns, made.mtime_ns + 3000);
  InodeChange mode;
  mode.mode = 0600;
  ASSERT_TRUE(store().change(ino, mode).ok());
  EXPECT_EQ(store().get(ino)->ctime_ns, made.mtime_ns + 3000);
  EXPECT_EQ(store().get(ino)->mode, 0600U);
}

TEST_F(StoreTest, AttributesAreKeptAndOursCannotBeSet) {
  const auto ino = create("f");
  const auto value = some_bytes(100, 1);
  ASSERT_TRUE(store().set_xattr(ino, "user.a", value, XattrMode::kCreate).ok());
  EXPECT_EQ(code_of(store().set_xattr(ino, "user.a", value, XattrMode::kCreate)), Code::kExists);
  EXPECT_EQ(code_of(store().set_xattr(ino, "user.b", value, XattrMode::kReplace)), Code::kNoAttribute);
  EXPECT_EQ(*store().xattr(ino, "user.a"), value);
  EXPECT_EQ(as_text(*store().xattr(ino, "user.s3.server-side-encryption")), "AES256");
  EXPECT_EQ(store().xattr(ino, "user.s3.server-side-encryption-aws-kms-key-id").code(), Code::kNoAttribute);
  EXPECT_EQ(store().xattr(bucket, "user.s3.server-side-encryption").code(), Code::kNoAttribute);
  EXPECT_EQ(code_of(store().set_xattr(ino, "user.s3.x", value, XattrMode::kAny)), Code::kNotPermitted);
  EXPECT_EQ(code_of(store().remove_xattr(ino, "user.s3.server-side-encryption")), Code::kNotPermitted);
  EXPECT_EQ(store().xattr_names(ino)->size(), 1U);
  ASSERT_TRUE(store().remove_xattr(ino, "user.a").ok());
  EXPECT_EQ(code_of(store().remove_xattr(ino, "user.a")), Code::kNoAttribute);
}

TEST_F(StoreTest, AModeAndTheListThatGoesWithItChangeTogetherOrNotAtAll) {
  const auto ino = create("f");
  InodeChange change;
  change.mode = 0600;
  change.xattrs = {{"system.posix_acl_access", some_bytes(44, 1)}, {"security.capability", std::nullopt}};
  ASSERT_TRUE(store().change(ino, change).ok());
  EXPECT_EQ(store().get(ino)->mode, 0600U);
  EXPECT_EQ(*store().xattr(ino, "system.posix_acl_access"), some_bytes(44, 1));

  for (int i = 0; i < 15; ++i) {
    ASSERT_TRUE(store().set_xattr(ino, "user." + std::to_string(i), Bytes(kXattrSizeMax), XattrMode::kAny).ok());
  }
  change.mode = 0755;
  change.xattrs = {{"system.posix_acl_access", some_bytes(44, 2)}, {"user.more", Bytes(kXattrSizeMax)}};
  EXPECT_EQ(store().change(ino, change).code(), Code::kLimit);
  EXPECT_EQ(store().get(ino)->mode, 0600U);
  EXPECT_EQ(*store().xattr(ino, "system.posix_acl_access"), some_bytes(44, 1));
  change.xattrs = {{"user.s3.x", Bytes()}};
  EXPECT_EQ(store().change(ino, change).code(), Code::kNotPermitted);
  EXPECT_EQ(store().get(ino)->mode, 0600U);
}

TEST_F(StoreTest, WhatIsMadeHasItsListsFromTheStartOrIsNotMade) {
  auto attributes = kDirectoryAttributes;
  attributes.xattrs = {{"system.posix_acl_default", some_bytes(44, 1)}};
  const auto made = store().make_directory(bucket, "d", attributes);
  ASSERT_TRUE(made.ok());
  EXPECT_EQ(*store().xattr(made->ino, "system.posix_acl_default"), some_bytes(44, 1));

  for (int i = 0; i < 16; ++i) attributes.xattrs.push_back({"user." + std::to_string(i), Bytes(kXattrSizeMax)});
  EXPECT_EQ(store().make_directory(bucket, "e", attributes).code(), Code::kLimit);
  EXPECT_EQ(store().create(bucket, "f", attributes).code(), Code::kLimit);
  EXPECT_EQ(store().make_node(bucket, "g", FileKind::kFifo, attributes).code(), Code::kLimit);
  EXPECT_EQ(store().make_directory(kRootInode, "bucket-2", attributes).code(), Code::kLimit);
  EXPECT_EQ(store().read_directory(bucket, 0, 100)->size(), 1U);
  EXPECT_EQ(store().list_buckets()->size(), 1U);
}

TEST_F(StoreTest, SymbolicLinksKeepTheirTarget) {
  const auto link = store().make_symlink(bucket, "l", "../x", kFileAttributes);
  ASSERT_TRUE(link.ok());
  EXPECT_EQ(*store().read_symlink(link->ino), "../x");
  EXPECT_EQ(link->size, 4U);
  EXPECT_EQ(store().make_symlink(bucket, "m", std::string(4096, 'x'), kFileAttributes).code(), Code::kNameTooLong);
}

// --- durability ---

TEST_F(StoreTest, SyncedBytesSurvivePowerLoss) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const auto name = "f" + std::to_string(seed);
    const auto ino = create(name);
    const auto size = (seed % 3) * 2 * kChunkSize + 100;
    put(ino, some_bytes(size, seed));
    ASSERT_TRUE(store().sync(ino).ok());
    rig.crash(seed);
    rig.open();
    expect_content(find(name), some_bytes(size, seed));
  }
}

TEST_F(StoreTest, CommittedBytesSurviveAKill) {
  const auto ino = create("f");
  put(ino, some_bytes(5 * kChunkSize + 1, 7));
  ASSERT_TRUE(store().commit_soon().ok());
  rig.kill();
  rig.open();
  expect_content(find("f"), some_bytes(5 * kChunkSize + 1, 7));
}

TEST_F(StoreTest, OverwritesAfterASyncDoNotHurtWhatWasSynced) {
  const auto before = some_bytes(40 * kChunkSize, 1);
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const auto name = "f" + std::to_string(seed);
    const auto ino = create(name);
    put(ino, before);
    ASSERT_TRUE(store().sync(ino).ok());
    for (std::uint64_t round = 0; round < 8; ++round) {
      put(ino, some_bytes(40 * kChunkSize, 100 + round));
      if (round % 2 == 0) {
        ASSERT_TRUE(store().commit_soon().ok());
      }
    }
    rig.crash(seed);
    rig.open();
    const auto got = read_all(store(), find(name));
    ASSERT_TRUE(got.ok()) << got.error().message;
    bool known = *got == before;
    for (std::uint64_t round = 0; round < 8; ++round) known |= *got == some_bytes(40 * kChunkSize, 100 + round);
    EXPECT_TRUE(known);
  }
}

TEST_F(StoreTest, BucketsAndRulesAreDurableWhenTheyAnswer) {
  SseRule rule;
  rule.algorithm = SseAlgorithm::kAwsKms;
  ASSERT_TRUE(store().put_rule(*BucketName::parse("bucket"), rule).ok());
  rig.crash(5);
  rig.open();
  EXPECT_EQ(store().find_bucket(*BucketName::parse("bucket"))->rule, rule);
  ASSERT_TRUE(store().delete_bucket(*BucketName::parse("bucket")).ok());
  rig.crash(6);
  rig.open();
  EXPECT_EQ(store().find_bucket(*BucketName::parse("bucket")).code(), Code::kNoSuchBucket);
}

TEST_F(StoreTest, AFileHas65000NamesAtMost) {
  const auto ino = create("f");
  for (std::uint32_t names = 1; names < kLinksMax; ++names) {
    ASSERT_TRUE(store().link(ino, bucket, "link-" + std::to_string(names)).ok());
    store().forget(ino, 1);
    if (names % 5000 == 0) {
      ASSERT_TRUE(store().commit_soon().ok());
    }
  }
  EXPECT_EQ(store().link(ino, bucket, "one more").code(), Code::kTooManyLinks);
  EXPECT_EQ(store().get(ino)->nlink, 65000U);
  ASSERT_TRUE(store().unlink(bucket, "link-17").ok());
  EXPECT_TRUE(store().link(ino, bucket, "one more").ok());
}

// Rows that a truncation cut off without reading them can be written again, once that is durable.
TEST_F(StoreTest, WhatWasCutOffUnreadCanBeWrittenAgain) {
  const auto ino = create("f");
  put(ino, some_bytes(130 * kChunkSize, 1));
  ASSERT_TRUE(store().sync_all().ok());
  for (const bool committed : {false, true}) {
    rig.reopen();
    InodeChange change;
    change.size = kChunkSize;
    ASSERT_TRUE(store().change(ino, change).ok());
    if (committed) {
      ASSERT_TRUE(store().commit_soon().ok());
    }
    change.size = 130 * kChunkSize;
    ASSERT_TRUE(store().change(ino, change).ok());
    put(ino, some_bytes(kChunkSize, 2), 128 * kChunkSize);
    auto expected = some_bytes(kChunkSize, 1);
    expected.resize(130 * kChunkSize);
    const auto written = some_bytes(kChunkSize, 2);
    std::copy(written.begin(), written.end(), expected.begin() + 128 * kChunkSize);
    expect_content(ino, expected);
    ASSERT_TRUE(store().commit_soon().ok());
    rig.kill();
    rig.open();
    expect_content(ino, expected);
    put(ino, some_bytes(130 * kChunkSize, 1));
    ASSERT_TRUE(store().sync_all().ok());
  }
}

TEST_F(StoreTest, FailedSyncPoisonsAndReadsGoOn) {
  const auto ino = create("f");
  const auto bytes = some_bytes(3 * kChunkSize, 1);
  put(ino, bytes);
  ASSERT_TRUE(store().commit_soon().ok());
  rig.disk.fail_at(1, testing::SimulatedDisk::Fault::kIo);
  for (int i = 0; i < 10 && !store().poisoned(); ++i) (void)store().sync_all();
  ASSERT_TRUE(store().poisoned());
  EXPECT_EQ(code_of(store().sync(ino)), Code::kPoisoned);
  EXPECT_EQ(code_of(store().write(ino, 0, bytes)), Code::kPoisoned);
  EXPECT_EQ(store().create(bucket, "g", kFileAttributes).code(), Code::kPoisoned);
  expect_content(ino, bytes);
}

// A file small enough for the catalog has its bytes there alone.
TEST_F(StoreTest, AfterACommitThatFailedReadsShowTheLastCommit) {
  const auto changed = create("changed"), kept = create("kept");
  const auto old_bytes = some_bytes(3000, 1), large = some_bytes(3 * kChunkSize, 2);
  put(changed, old_bytes);
  put(kept, large);
  ASSERT_TRUE(store().commit_soon().ok());
  put(changed, some_bytes(3000, 3));
  put(kept, some_bytes(3 * kChunkSize, 4));
  const auto lost = create("never committed");
  // Its data first, then the log.
  for (std::uint64_t n = 1; !store().poisoned(); ++n) {
    rig.disk.fail_at(n, testing::SimulatedDisk::Fault::kIo);
    EXPECT_FALSE(store().commit_soon().ok());
    ASSERT_LT(n, 10u);
  }
  EXPECT_EQ(code_of(store().sync_all()), Code::kPoisoned);
  expect_content(changed, old_bytes);
  expect_content(kept, large);
  EXPECT_EQ(find("never committed"), 0u);
  EXPECT_EQ(store().get(lost).code(), Code::kPoisoned) << "open(2) asks this of the file it has just made";
  EXPECT_EQ(code_of(store().open_object(lost, /*truncate=*/false)), Code::kPoisoned);
  EXPECT_EQ(store().lookup(lost, "name").code(), Code::kPoisoned);
  rig.reopen();
  EXPECT_EQ(store().get(lost).code(), Code::kNotFound);
  expect_content(changed, old_bytes);
  expect_content(kept, large);
}

TEST_F(StoreTest, AReadErrorInTheCatalogPoisonsAndReadsGoOn) {
  for (int i = 0; i < 200; ++i) put(create("f" + std::to_string(i)), some_bytes(3000, i));
  ASSERT_TRUE(store().finish().ok());
  rig.reopen();
  create("not committed");
  bool failed = false;
  for (int i = 0; i < 200 && !failed; ++i) {
    rig.disk.fail_at(1, testing::SimulatedDisk::Fault::kIo, testing::SimulatedDisk::Counted::kEveryCall);
    failed = find("f" + std::to_string(i)) == 0;
  }
  ASSERT_TRUE(failed) << "nothing of the catalog was left to read";
  rig.disk.fail_never();
  EXPECT_TRUE(store().poisoned());
  EXPECT_EQ(store().create(bucket, "g", kFileAttributes).code(), Code::kPoisoned);
  for (int i = 0; i < 200; ++i) expect_content(find("f" + std::to_string(i)), some_bytes(3000, i));
  EXPECT_EQ(find("not committed"), 0u);
}

TEST_F(StoreTest, CheckpointKeepsEverything) {
  const auto ino = create("f");
  for (std::uint64_t i = 0; i < 3000; ++i) {
    put(create("s" + std::to_string(i)), some_bytes(4000, i));
    if (i % 100 == 0) {
      ASSERT_TRUE(store().commit_soon().ok());
    }
    if (i % 100 == 50) {
      ASSERT_TRUE(store().checkpoint_if_due().ok());
    }
  }
  put(ino, some_bytes(kChunkSize, 1));
  ASSERT_TRUE(store().checkpoint_if_due().ok());
  ASSERT_TRUE(store().sync_all().ok());
  rig.crash(1);
  rig.open();
  for (std::uint64_t i = 0; i < 3000; i += 111) expect_content(find("s" + std::to_string(i)), some_bytes(4000, i));
}

TEST_F(StoreTest, FullDiskRefusesWritesAndKeepsWhatIsThere) {
  rig.disk.set_capacity(48 << 20);
  const auto ino = create("f");
  std::uint64_t end = 0;
  const auto piece = some_bytes(1 << 20, 1);
  Status written;
  while ((written = store().write(ino, end, piece)).ok()) {
    end += piece.size();
    ASSERT_LT(end, std::uint64_t{64} << 20);
  }
  EXPECT_EQ(written.code(), Code::kNoSpace);
  EXPECT_FALSE(store().poisoned());
  ASSERT_TRUE(store().sync_all().ok());
  EXPECT_EQ(store().get(ino)->size, end);
  Bytes into(piece.size());
  ASSERT_TRUE(store().read(ino, end - piece.size(), into).ok());
  EXPECT_EQ(into, piece);
  ASSERT_TRUE(store().unlink(bucket, "f").ok());
  store().forget(ino, 1);
  store().release(ino);
  ASSERT_TRUE(store().sync_all().ok());
  ASSERT_TRUE(store().collect_garbage().ok());
  put(create("g"), piece);
}

TEST_F(StoreTest, FullDiskOfSmallFilesLetsAllOfThemBeDeleted) {
  rig.disk.set_capacity(32 << 20);
  std::vector<std::string> names;
  const auto bytes = some_bytes(3000, 1);
  for (int i = 0; i < 20'000; ++i) {
    const auto name = "s" + std::to_string(i);
    const auto made = store().create(bucket, name, kFileAttributes);
    if (!made.ok()) {
      ASSERT_EQ(made.code(), Code::kNoSpace);
      break;
    }
    names.push_back(name);
    const auto written = store().write(made->ino, 0, bytes);
    store().release(made->ino);
    store().forget(made->ino, 1);
    if (!written.ok()) {
      ASSERT_EQ(written.code(), Code::kNoSpace);
      break;
    }
    if (i % 50 == 0) {
      ASSERT_TRUE(store().commit_soon().ok());
    }
  }
  EXPECT_GT(names.size(), 500U);
  EXPECT_LT(names.size(), 20'000U);
  ASSERT_TRUE(store().sync_all().ok());
  for (const auto& name : names) {
    const auto gone = store().unlink(bucket, name);
    ASSERT_TRUE(gone.ok()) << gone.error().message;
  }
  ASSERT_TRUE(store().sync_all().ok());
  ASSERT_FALSE(store().poisoned());
  rig.reopen();
  EXPECT_TRUE(store().read_directory(bucket, 0, 10)->empty());
}

// --- damage ---

// Such a write failed when it was sealed, after its answer, and took the whole store's promises with it.
TEST_F(StoreTest, ContentWhoseDataFileWouldBeTooLargeIsRefusedWhenItIsWritten) {
  const auto rows = [](std::uint64_t number) { return number * kChunksPerRow * kChunkSize; };
  rig.disk.set_file_size_max((1 + 3 * std::uint64_t{kSlotsPerRow}) * kChunkSize);
  rig.reopen();
  const auto ino = create("f");
  put(ino, some_bytes(100, 1), rows(3) - 100);
  for (const auto offset : {rows(3) - 99, rows(3), rows(1000)})
    EXPECT_EQ(code_of(store().write(ino, offset, some_bytes(100, 2))), Code::kFileTooLarge);
  InodeChange grow;
  grow.size = kObjectSizeMax;
  EXPECT_TRUE(store().change(ino, grow).ok());
  EXPECT_TRUE(store().sync_all().ok());
  EXPECT_FALSE(store().poisoned());
}

// Room was claimed for every map row the size could have: 13 GB of zeros in the log for a hole of 2 TiB.
TEST_F(StoreTest, HolesTakeNoRoomInTheLogWhenTheyAreCutOffOrPunchedOrRemoved) {
  constexpr std::uint64_t kFar = std::uint64_t{2} << 40;
  constexpr std::size_t kLogMax = 2 << 20;
  const auto log_size = [&] { return rig.disk.bytes("coffer.db-wal").size(); };
  const auto cut_to = [&](InodeNumber of, std::uint64_t size) {
    InodeChange change;
    change.size = size;
    return store().change(of, change).ok();
  };
  const auto ino = create("sparse");
  put(ino, some_bytes(100'000, 1));
  ASSERT_TRUE(cut_to(ino, kFar));
  ASSERT_TRUE(store().sync_all().ok());
  ASSERT_TRUE(store().fallocate(ino, FallocateMode::kPunchHole, 50'000, kFar).ok());
  EXPECT_LT(log_size(), kLogMax);
  ASSERT_TRUE(cut_to(ino, 100'000));
  EXPECT_LT(log_size(), kLogMax);
  ASSERT_TRUE(cut_to(ino, kFar));
  ASSERT_TRUE(cut_to(ino, 0));
  EXPECT_LT(log_size(), kLogMax);
  put(ino, some_bytes(100'000, 2));
  ASSERT_TRUE(cut_to(ino, kFar));
  store().release(ino);
  ASSERT_TRUE(store().unlink(bucket, "sparse").ok());
  store().forget(ino, 1);
  ASSERT_TRUE(store().sync_all().ok());
  EXPECT_LT(log_size(), kLogMax);
}

class DamageTest : public StoreTest {
 protected:
  void SetUp() override {
    StoreTest::SetUp();
    const auto ino = create("f");
    put(ino, bytes);
    ASSERT_TRUE(store().sync_all().ok());
    name = data_file();
  }
  void expect_damaged() {
    rig.reopen();
    Bytes into(bytes.size(), 0xee);
    const auto got = store().read(find("f"), 0, into);
    ASSERT_FALSE(got.ok());
    EXPECT_EQ(got.code(), Code::kDamaged);
    EXPECT_EQ(into, Bytes(bytes.size(), 0));
  }
  const Bytes bytes = some_bytes(3 * kChunkSize, 9);
  std::string name;
};

TEST_F(DamageTest, FlippedBitIsDamage) {
  rig.disk.flip_bit(name, 2 * kChunkSize + 77, 3);
  expect_damaged();
}

TEST_F(DamageTest, SwappedSlotsAreDamage) {
  auto file = rig.disk.bytes(name);
  std::swap_ranges(file.begin() + kChunkSize, file.begin() + 2 * kChunkSize, file.begin() + 2 * kChunkSize);
  rig.disk.set_bytes(name, file);
  expect_damaged();
}

TEST_F(DamageTest, CutDataFileIsDamage) {
  auto file = rig.disk.bytes(name);
  file.resize(file.size() - 1);
  rig.disk.set_bytes(name, file);
  expect_damaged();
}

TEST_F(DamageTest, MissingDataFileIsDamage) {
  ASSERT_TRUE(rig.disk.remove(name).ok());
  expect_damaged();
}

TEST_F(DamageTest, SplicedDataFileOfAnotherObjectIsDamage) {
  const auto other = create("g");
  put(other, some_bytes(3 * kChunkSize, 10));
  ASSERT_TRUE(store().sync_all().ok());
  for (const auto& [other_name, contents] : rig.disk.snapshot())
    if (other_name.starts_with("objects/") && other_name != name) rig.disk.set_bytes(name, contents);
  expect_damaged();
}

}  // namespace
}  // namespace coffer
