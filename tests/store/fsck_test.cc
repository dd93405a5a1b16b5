#include "store/fsck.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "store/chunk_map.h"
#include "store/opened_store.h"

namespace coffer {
namespace {

namespace fs = std::filesystem;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr InodeNumber kBucketInode = 2;
constexpr std::uint32_t kChunk = kChunkSize;

// A store with three objects, written here without the Store: inline under AES256, in a data file under aws:kms, and in
// a data file under aws:kms:dsse.
class FsckTest : public ::testing::Test {
 protected:
  FsckTest() {
    std::string pattern = ::testing::TempDir() + "/fsck-XXXXXX";
    top_ = mkdtemp(pattern.data());
    path_ = top_ + "/store";
    EXPECT_TRUE(StoreFolder::create(path_, KeyFile{key_.duplicate()}, realm_).ok());
    open();
    add_bucket();
    key_id_ = opened_->kms->create_key("the objects'")->key_id;
    add_inline(10, "small", SseRule{}, 1000);
    add_file(11, "large", {SseAlgorithm::kAwsKms, key_id_, false, {}}, 130 * kChunk + 5);
    add_file(12, "twice", {SseAlgorithm::kAwsKmsDsse, key_id_, false, {}}, 2 * kChunk);
  }
  ~FsckTest() override {
    opened_.reset();
    fs::remove_all(top_);
  }

  void open() {
    opened_.reset();
    auto opened = OpenedStore::open(path_, KeyFile{key_.duplicate()}, clock_, {});
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    opened_ = *std::move(opened);
  }

  void commit() {
    SealedDatabase::DataSynced all;
    all.this_commit = true;
    ASSERT_TRUE(opened_->catalog->database().commit(all).ok());
    ASSERT_TRUE(opened_->catalog->database().sync_log().ok());
  }

  static std::vector<std::string> lines(const CheckReport& report) {
    std::vector<std::string> lines;
    for (const auto& one : report.damage) lines.push_back(one.line());
    return lines;
  }

  CheckReport check(FsckMode mode = FsckMode::kCheck) {
    auto report = fsck(*opened_->catalog, opened_->folder->disk(), *opened_->keyring, principal_, mode, clock_,
                       [this](std::uint64_t done, std::uint64_t total) {
                         done_ = done;
                         total_ = total;
                       });
    EXPECT_TRUE(report.ok()) << report.error().message;
    return report.ok() ? *report : CheckReport{};
  }

  void add_bucket() {
    auto& catalog = *opened_->catalog;
    Inode directory;
    directory.ino = directory.bucket = kBucketInode;
    directory.kind = FileKind::kDirectory;
    directory.nlink = 2;
    directory.parent = kRootInode;
    ASSERT_TRUE(catalog.insert_inode(directory).ok());
    ASSERT_TRUE(catalog.insert_name(kRootInode, bucket_.str(), kBucketInode, FileKind::kDirectory).ok());
    ASSERT_TRUE(catalog.insert_bucket({kBucketInode, bucket_, principal_.account, 0, SseRule{}, 1}).ok());
    auto root = *catalog.inode(kRootInode);
    root.nlink = 3;
    ASSERT_TRUE(catalog.update_inode(root).ok());
  }

  void add_inode(InodeNumber ino, const std::string& name, std::uint64_t size) {
    Inode inode;
    inode.ino = ino;
    inode.nlink = 1;
    inode.size = inode.allocated = size;
    inode.bucket = inode.parent = kBucketInode;
    ASSERT_TRUE(opened_->catalog->insert_inode(inode).ok());
    ASSERT_TRUE(opened_->catalog->insert_name(kBucketInode, name, ino, FileKind::kFile).ok());
  }

  Keyring::Issued issue(InodeNumber ino, const SseRule& rule, std::uint32_t generation = 1) {
    auto issued = opened_->keyring->issue(rule, {ino, generation, kChunk, realm_, bucket_, "key"}, principal_);
    EXPECT_TRUE(issued.ok()) << issued.error().message;
    return *std::move(issued);
  }

  static ChunkEntry seal(const Keyring::Issued& issued, std::uint64_t chunk, std::uint8_t slot, MutableBytes bytes) {
    ChunkEntry entry;
    entry.length = static_cast<std::uint32_t>(bytes.size());
    entry.slot = slot;
    entry.parity = parity_of(issued.envelope);
    entry.layers = static_cast<std::uint8_t>(issued.envelope.layers.size());
    EXPECT_TRUE(issued.aead->seal(chunk_aad(issued.envelope, chunk, entry.length), bytes, bytes, entry.seal()).ok());
    return entry;
  }

  void add_inline(InodeNumber ino, const std::string& name, const SseRule& rule, std::uint32_t size) {
    add_inode(ino, name, size);
    auto issued = issue(ino, rule);
    InlineChunk chunk;
    chunk.ciphertext = Bytes(size, 'p');
    chunk.entry = seal(issued, 0, 0, chunk.ciphertext);
    ContentRow content;
    content.ino = ino;
    content.envelope = issued.envelope.encode();
    content.inline_chunk = chunk.encode();
    ASSERT_TRUE(opened_->catalog->put_content(content).ok());
  }

  // The data file's number is the inode's. Chunk i of a row is in slot 2 i + 1.
  void add_file(InodeNumber ino, const std::string& name, const SseRule& rule, std::uint64_t size) {
    add_inode(ino, name, size);
    auto issued = issue(ino, rule);
    auto file = opened_->folder->disk().open(data_file_name(ino), OpenMode::kCreate);
    ASSERT_TRUE(file.ok());
    std::map<std::uint32_t, ChunkRow> rows;
    for (std::uint64_t chunk = 0; chunk * kChunk < size; ++chunk) {
      Bytes bytes(std::min<std::uint64_t>(kChunk, size - chunk * kChunk), 'p');
      const auto slot = static_cast<std::uint8_t>(2 * index_in_row(chunk) + 1);
      rows[row_of(chunk)].set(index_in_row(chunk), seal(issued, chunk, slot, bytes));
      ASSERT_TRUE((*file)->pwrite(slot_offset(row_of(chunk), slot, kChunk), bytes).ok());
    }
    for (const auto& [number, row] : rows)
      ASSERT_TRUE(opened_->catalog->put_map_row(ino, number, row.encode(kChunk)).ok());
    ContentRow content;
    content.ino = ino;
    content.envelope = issued.envelope.encode();
    content.file = ino;
    ASSERT_TRUE(opened_->catalog->put_content(content).ok());
  }

  std::string data_file(InodeNumber ino) const { return path_ + "/" + data_file_name(ino); }

  static void flip(const std::string& file, std::uint64_t offset) {
    std::fstream stream(file, std::ios::binary | std::ios::in | std::ios::out);
    stream.seekg(static_cast<std::streamoff>(offset));
    const auto byte = static_cast<char>(stream.get() ^ 1);
    stream.seekp(static_cast<std::streamoff>(offset));
    stream.put(byte);
    ASSERT_TRUE(stream.good()) << file;
  }

  static std::string read(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  // Changes object 11's content row, checks, and puts it back.
  template <class Change>
  std::vector<std::string> damage_after(InodeNumber ino, Change change) {
    Catalog::Savepoint undo(*opened_->catalog);
    auto content = *opened_->catalog->content(ino);
    change(content);
    EXPECT_TRUE(opened_->catalog->put_content(content).ok());
    return lines(check());
  }

  std::string top_, path_;
  Key key_ = Key::random();
  SystemClock clock_;
  Principal principal_ = Principal::root_of(*AccountId::parse("123456789012"));
  const Realm realm_{*AccountId::parse("123456789012"), *Region::parse("eu-central-1")};
  BucketName bucket_ = *BucketName::parse("a-bucket");
  std::string key_id_;
  std::unique_ptr<OpenedStore> opened_;
  std::uint64_t done_ = 0, total_ = 0;
};

TEST_F(FsckTest, ASoundStoreIsClean) {
  commit();
  open();
  auto report = check();
  EXPECT_THAT(lines(report), IsEmpty());
  EXPECT_EQ(report.objects, 3U);
  EXPECT_EQ(report.chunks, 1U + 131U + 2U);
  EXPECT_EQ(report.data_files, 2U);
  EXPECT_EQ(report.orphans, 0U);
  EXPECT_EQ(report.objects_unreadable, 0U);
  EXPECT_EQ(done_, total_);
  EXPECT_EQ(total_, 1000U + 132U * kChunk + 5U);
}

TEST_F(FsckTest, CheckingChangesNothing) {
  commit();
  auto files = [this] {
    std::map<std::string, std::string> bytes;
    for (const auto& entry : fs::recursive_directory_iterator(path_))
      if (entry.is_regular_file()) bytes[entry.path()] = read(entry.path());
    return bytes;
  };
  const auto before = files();
  check();
  EXPECT_EQ(files(), before);
}

TEST_F(FsckTest, AFlippedBitIsNamedByObjectAndChunk) {
  const auto first = slot_offset(0, 1, kChunk), last = slot_offset(1, 2 * 2 + 1, kChunk);
  for (auto [offset, chunk] : {std::pair(first, 0), std::pair(first + kChunk - 1, 0), std::pair(last, 130)}) {
    flip(data_file(11), offset);
    EXPECT_THAT(lines(check()), ElementsAre(HasSubstr("a-bucket/large: chunk " + std::to_string(chunk) + ": ")));
    flip(data_file(11), offset);
  }
  // Slots that no map row names mean nothing.
  flip(data_file(11), slot_offset(0, 0, kChunk) + 3);
  EXPECT_THAT(lines(check()), IsEmpty());
}

TEST_F(FsckTest, EitherLayerOfDsseIsChecked) {
  flip(data_file(12), slot_offset(0, 3, kChunk));
  EXPECT_THAT(lines(check()), ElementsAre(HasSubstr("a-bucket/twice: chunk 1: ")));
  flip(data_file(12), slot_offset(0, 3, kChunk));
  auto row = *ChunkRow::decode(**opened_->catalog->map_row(12, 0), kChunk);
  for (std::size_t byte = 0; byte < 2 * kSealSize; ++byte) {
    Catalog::Savepoint undo(*opened_->catalog);
    auto changed = row;
    auto entry = changed.at(0);
    entry.seal()[byte] ^= 1;
    changed.set(0, entry);
    ASSERT_TRUE(opened_->catalog->put_map_row(12, 0, changed.encode(kChunk)).ok());
    EXPECT_THAT(lines(check()), ElementsAre(HasSubstr("a-bucket/twice: chunk 0: "))) << byte;
  }
}

TEST_F(FsckTest, ACutOrLostDataFileIsNamed) {
  fs::resize_file(data_file(11), slot_offset(1, 5, kChunk) + 4);
  EXPECT_THAT(lines(check()), ElementsAre("a-bucket/large: chunk 130: its data file ends before it"));
  fs::remove(data_file(11));
  EXPECT_THAT(lines(check()), ElementsAre(HasSubstr("a-bucket/large: its data file is lost")));
}

TEST_F(FsckTest, SwappedDataFilesAndSwappedChunksAreNamed) {
  fs::rename(data_file(11), top_ + "/aside");
  fs::rename(data_file(12), data_file(11));
  fs::rename(top_ + "/aside", data_file(12));
  auto report = check();
  EXPECT_THAT(lines(report), Contains(HasSubstr("a-bucket/large: chunk 0: ")));
  EXPECT_THAT(lines(report), Contains(HasSubstr("a-bucket/twice: chunk 0: ")));
  fs::rename(data_file(12), top_ + "/aside");
  fs::rename(data_file(11), data_file(12));
  fs::rename(top_ + "/aside", data_file(11));

  auto row = *ChunkRow::decode(**opened_->catalog->map_row(12, 0), kChunk);
  const auto zero = row.at(0), one = row.at(1);
  row.set(0, one);
  row.set(1, zero);
  ASSERT_TRUE(opened_->catalog->put_map_row(12, 0, row.encode(kChunk)).ok());
  EXPECT_EQ(lines(check()).size(), 2U);
}

TEST_F(FsckTest, EveryByteOfAContentRowCounts) {
  const auto content = *opened_->catalog->content(10);
  for (std::size_t byte = 0; byte < content.envelope.size(); byte += 7)
    EXPECT_THAT(damage_after(10, [&](ContentRow& row) { row.envelope[byte] ^= 1; }),
                ElementsAre(HasSubstr("a-bucket/small: ")))
        << byte;
  for (std::size_t byte = 0; byte < content.inline_chunk->size(); byte += 31)
    EXPECT_THAT(damage_after(10, [&](ContentRow& row) { (*row.inline_chunk)[byte] ^= 1; }),
                ElementsAre(HasSubstr("a-bucket/small: ")))
        << byte;
}

TEST_F(FsckTest, AnotherObjectsEnvelopeIsNamed) {
  const auto other = opened_->catalog->content(11)->envelope;
  EXPECT_THAT(damage_after(12, [&](ContentRow& row) { row.envelope = other; }),
              ElementsAre("a-bucket/twice: its envelope is of another object"));
}

TEST_F(FsckTest, AnObjectUnderResealHasTwoEnvelopes) {
  const auto next = issue(12, SseRule{}, 2), later = issue(12, SseRule{}, 3);
  EXPECT_THAT(damage_after(12, [&](ContentRow& row) { row.next_envelope = next.envelope.encode(); }), IsEmpty());
  EXPECT_THAT(damage_after(12, [&](ContentRow& row) { row.next_envelope = later.envelope.encode(); }),
              ElementsAre("a-bucket/twice: its next envelope does not follow the one it has"));
  // A chunk of the new generation, and then the same without its envelope.
  auto row = *ChunkRow::decode(**opened_->catalog->map_row(12, 0), kChunk);
  Bytes bytes(kChunk, 'q');
  row.set(1, seal(next, 1, 100, bytes));
  ASSERT_TRUE(opened_->folder->disk()
                  .open(data_file_name(12), OpenMode::kExisting)
                  .value()
                  ->pwrite(slot_offset(0, 100, kChunk), bytes)
                  .ok());
  ASSERT_TRUE(opened_->catalog->put_map_row(12, 0, row.encode(kChunk)).ok());
  EXPECT_THAT(damage_after(12, [&](ContentRow& content) { content.next_envelope = next.envelope.encode(); }),
              IsEmpty());
  EXPECT_THAT(lines(check()), ElementsAre("a-bucket/twice: chunk 1: sealed under an envelope that is gone"));
}

TEST_F(FsckTest, ADisabledKeyIsNoDamage) {
  ASSERT_TRUE(opened_->kms->disable(key_id_).ok());
  auto report = check();
  EXPECT_THAT(lines(report), IsEmpty());
  EXPECT_EQ(report.objects_unreadable, 2U);
  fs::resize_file(data_file(12), kChunk);
  EXPECT_THAT(lines(check()), Contains(HasSubstr("a-bucket/twice: chunk 0: its data file ends before it")));
}

TEST_F(FsckTest, SizesThatTheChunksContradictAreNamed) {
  auto inode = *opened_->catalog->inode(11);
  {
    Catalog::Savepoint undo(*opened_->catalog);
    --inode.allocated;
    ASSERT_TRUE(opened_->catalog->update_inode(inode).ok());
    EXPECT_THAT(lines(check()), ElementsAre(HasSubstr("a-bucket/large: ")));
    ++inode.allocated;
  }
  --inode.size;
  ASSERT_TRUE(opened_->catalog->update_inode(inode).ok());
  EXPECT_THAT(lines(check()), ElementsAre("a-bucket/large: chunk 130: lies beyond the object's end"));
}

TEST_F(FsckTest, ADamagedMapRowIsNamed) {
  auto encoded = **opened_->catalog->map_row(11, 0);
  encoded[0] = 9;
  ASSERT_TRUE(opened_->catalog->put_map_row(11, 0, encoded).ok());
  EXPECT_THAT(lines(check()), ElementsAre(HasSubstr("a-bucket/large: a chunk map row")));
}

TEST_F(FsckTest, FilesOfNobodyAreOrphansAndGarbageIsNot) {
  for (std::string name : {"objects/63/0000000000000063", "objects/64/0000000000000064", "objects/0b/000000000000000c",
                           "objects/00/README"})
    std::ofstream(path_ + "/" + name) << "x";
  ASSERT_TRUE(opened_->catalog->add_garbage(0x64).ok());
  auto report = check();
  EXPECT_THAT(lines(report), IsEmpty());
  EXPECT_EQ(report.orphans, 3U);
  EXPECT_EQ(report.data_files, 3U);
}

// Copying programs leave them out; the next mount makes it. What was in it is named by object.
TEST_F(FsckTest, AFolderOfNoDataFilesMayBeMissing) {
  fs::remove(path_ + "/objects/aa");
  EXPECT_THAT(lines(check()), ElementsAre());
}

TEST_F(FsckTest, DamageOfTheSealedFilesIsNamed) {
  commit();
  ASSERT_TRUE(opened_->catalog->database().checkpoint_rest().ok());
  flip(path_ + "/coffer.db", 3 * kPageSize + 100);
  EXPECT_THAT(lines(check()), Contains(HasSubstr("coffer.db")));
}

TEST_F(FsckTest, ContradictionsOfTheTablesAreNamed) {
  ASSERT_TRUE(opened_->catalog->remove_name(kBucketInode, "small").ok());
  EXPECT_THAT(lines(check()), ElementsAre("inode 10: 1 links promised, 0 found"));
}

// --- what --repair does to them ---

class MendTest : public FsckTest {
 protected:
  MendTest() { EXPECT_TRUE(catalog().set_number("next_inode", 100).ok()); }
  Catalog& catalog() { return *opened_->catalog; }
  void add_folder(InodeNumber ino, InodeNumber parent, const std::string& name) {
    Inode folder;
    folder.ino = ino;
    folder.kind = FileKind::kDirectory;
    folder.nlink = 2;
    folder.bucket = kBucketInode;
    folder.parent = parent;
    ASSERT_TRUE(catalog().insert_inode(folder).ok());
    ASSERT_TRUE(catalog().insert_name(parent, name, ino, FileKind::kDirectory).ok());
    auto above = *catalog().inode(parent);
    ++above.nlink;
    ASSERT_TRUE(catalog().update_inode(above).ok());
  }
  template <class Change>
  void change_inode(InodeNumber ino, Change change) {
    auto inode = *catalog().inode(ino);
    change(inode);
    ASSERT_TRUE(catalog().update_inode(inode).ok());
  }
  // Named without a repair, told as repaired with one, and not there afterwards; objects are as they were.
  void expect_mended(const std::string& what, std::uint64_t objects = 3) {
    commit();
    EXPECT_THAT(lines(check()), Contains(HasSubstr(what)));
    const auto repaired = check(FsckMode::kRepair);
    EXPECT_FALSE(repaired.damage_remains()) << ::testing::PrintToString(lines(repaired));
    EXPECT_FALSE(repaired.damage.empty());
    open();
    const auto after = check();
    EXPECT_THAT(lines(after), IsEmpty());
    EXPECT_THAT(after.quarantined, IsEmpty());
    EXPECT_EQ(after.objects, objects);
  }
  std::string path(InodeNumber ino) { return catalog().path_of(ino); }
};

TEST_F(MendTest, WrongLinkCountsAreCountedAnew) {
  add_folder(20, kBucketInode, "folder");
  change_inode(10, [](Inode& inode) { inode.nlink = 7; });
  change_inode(11, [](Inode& inode) { inode.nlink = 0; });
  change_inode(20, [](Inode& inode) { inode.nlink = 5; });
  expect_mended("links promised");
  EXPECT_EQ(catalog().inode(10)->nlink, 1U);
  EXPECT_EQ(catalog().inode(11)->nlink, 1U) << "the next mount would have removed it";
  EXPECT_EQ(catalog().inode(20)->nlink, 2U);
}

TEST_F(MendTest, AnInodeWithoutANameIsFoundInLostAndFound) {
  ASSERT_TRUE(catalog().remove_name(kBucketInode, "small").ok());
  expect_mended("1 links promised, 0 found");
  EXPECT_EQ(path(10), "a-bucket/lost+found/unnamed.10");
}

TEST_F(MendTest, AFolderWithoutANameAndALoopOfFoldersAreFoundInLostAndFound) {
  add_folder(20, kBucketInode, "lost");
  add_folder(21, kBucketInode, "one");
  add_folder(22, 21, "two");
  add_folder(23, 20, "inner");
  ASSERT_TRUE(catalog().remove_name(kBucketInode, "lost").ok());
  ASSERT_TRUE(catalog().remove_name(kBucketInode, "one").ok());
  ASSERT_TRUE(catalog().insert_name(22, "one", 21, FileKind::kDirectory).ok());
  change_inode(21, [](Inode& inode) { inode.parent = 22; });
  expect_mended("a directory that the root does not lead to");
  EXPECT_EQ(path(23), "a-bucket/lost+found/unnamed.20/inner");
  EXPECT_THAT(path(22), HasSubstr("a-bucket/lost+found/unnamed.2"));
}

TEST_F(MendTest, NamesThatLeadNowhereOrAreNowhereAreRemovedAndWhatTheyLedToIsFound) {
  ASSERT_TRUE(catalog().insert_name(kBucketInode, "ghost", 99, FileKind::kFile).ok());
  ASSERT_TRUE(catalog().remove_name(kBucketInode, "large").ok());
  ASSERT_TRUE(catalog().insert_name(77, "large", 11, FileKind::kFile).ok());
  expect_mended("leads to no inode");
  EXPECT_FALSE(catalog().find_name(kBucketInode, "ghost").ok());
  EXPECT_EQ(path(11), "a-bucket/lost+found/unnamed.11");
}

TEST_F(MendTest, AnImpossibleNameIsRemoved) {
  ASSERT_TRUE(catalog().remove_name(kBucketInode, "large").ok());
  ASSERT_TRUE(catalog().insert_name(kBucketInode, "a/b", 11, FileKind::kFile).ok());
  expect_mended("not a possible name");
  EXPECT_EQ(path(11), "a-bucket/lost+found/unnamed.11");
}

TEST_F(MendTest, ANameOfAnotherKindAFolderElsewhereAndAnotherBucketFollowWhatIsTrue) {
  add_folder(20, kBucketInode, "folder");
  add_folder(21, 20, "inner");
  ASSERT_TRUE(catalog().replace_name(kBucketInode, "small", 10, FileKind::kFifo).ok());
  change_inode(21, [](Inode& inode) { inode.parent = kBucketInode; });
  change_inode(11, [](Inode& inode) { inode.bucket = 5; });
  expect_mended("of another kind than its inode");
  EXPECT_EQ(catalog().inode(21)->parent, 20U);
  EXPECT_EQ(catalog().inode(11)->bucket, kBucketInode);
}

TEST_F(MendTest, ADataFileInUseIsNoGarbage) {
  ASSERT_TRUE(catalog().add_garbage(11).ok());
  expect_mended("its data file is waiting to be removed");
  EXPECT_TRUE(catalog().garbage(10)->empty());
}

TEST_F(MendTest, RowsOfNothingAreRemoved) {
  ASSERT_TRUE(catalog().set_symlink_target(10, "x").ok());
  ASSERT_TRUE(catalog().set_xattr(99, "user.x", Bytes{1}).ok());
  ASSERT_TRUE(catalog().enqueue_reseal(98).ok());
  expect_mended("extended attributes without an inode");
}

TEST_F(MendTest, ALinkWithoutATargetIsRemovedAndAFileWithoutContentIsEmptied) {
  Inode link;
  link.ino = 30;
  link.kind = FileKind::kSymlink;
  link.nlink = 1;
  link.bucket = link.parent = kBucketInode;
  ASSERT_TRUE(catalog().insert_inode(link).ok());
  ASSERT_TRUE(catalog().insert_name(kBucketInode, "link", 30, FileKind::kSymlink).ok());
  add_inode(31, "hollow", 100);
  expect_mended("has a size but no content", 4);
  EXPECT_FALSE(catalog().inode(30).ok());
  EXPECT_EQ(path(31), "a-bucket/lost+found/hollow.31");
}

TEST_F(MendTest, NumbersThatWouldBeGivenOutTwiceAndAWrongCountAreCountedAnew) {
  ASSERT_TRUE(catalog().set_number("inodes", 50).ok());
  ASSERT_TRUE(catalog().set_number("next_inode", 11).ok());
  ASSERT_TRUE(catalog().set_number("next_file", 12).ok());
  expect_mended("the catalog's number next_inode: 11 recorded, 12 found");
  EXPECT_EQ(*catalog().number("inodes"), 5U);
  EXPECT_EQ(*catalog().number("next_inode"), 13U);
  EXPECT_EQ(*catalog().number("next_file"), 13U);
}

}  // namespace
}  // namespace coffer
