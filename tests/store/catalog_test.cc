#include "store/catalog.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <set>
#include <thread>

#include "base/limits.h"
#include "store/sealed_replay.h"
#include "tests/support/simulated_disk.h"

namespace coffer {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr InodeNumber kBucketInode = 2;
constexpr InodeNumber kFileInode = 10;

Inode file_inode(InodeNumber ino) {
  Inode inode;
  inode.ino = ino;
  inode.mode = 0644;
  inode.nlink = 1;
  inode.bucket = kBucketInode;
  inode.parent = kBucketInode;
  return inode;
}

Bytes bytes_of(std::string_view text) { return to_bytes(as_bytes(text)); }

class CatalogTest : public ::testing::Test {
 protected:
  CatalogTest() : catalog_(create()) {}

  std::unique_ptr<Catalog> create() {
    auto created = Catalog::create(disk_, keys_, suite_, realm_, "boot");
    EXPECT_TRUE(created.ok()) << created.error().message;
    return *std::move(created);
  }

  // Commits, ends the catalog, and opens what is on the disk.
  Result<std::unique_ptr<Catalog>> reopened() {
    commit();
    catalog_.reset();
    return Catalog::open(disk_, keys_, suite_, "boot");
  }
  void reopen() { catalog_ = *reopened(); }

  void commit() {
    SealedDatabase::DataSynced all;
    all.this_commit = true;
    ASSERT_TRUE(catalog_->database().commit(all).ok());
    ASSERT_TRUE(catalog_->database().sync_log().ok());
  }

  // Behind the verbs' back.
  void plant(const std::string& sql) {
    char* error = nullptr;
    sqlite3_exec(catalog_->database().connection(), sql.c_str(), nullptr, nullptr, &error);
    ASSERT_EQ(error, nullptr) << error << " in " << sql;
  }

  std::uint64_t page_count() {
    sqlite3_stmt* statement = nullptr;
    sqlite3_prepare_v2(catalog_->database().connection(), "PRAGMA page_count", -1, &statement, nullptr);
    EXPECT_EQ(sqlite3_step(statement), SQLITE_ROW);
    const auto pages = static_cast<std::uint64_t>(sqlite3_column_int64(statement, 0));
    sqlite3_finalize(statement);
    return pages;
  }

  Bucket bucket(InodeNumber ino, std::string_view name) {
    return {ino, *BucketName::parse(name), realm_.account, /*created_ns=*/7, SseRule{}, /*rule_version=*/1};
  }

  testing::SimulatedDisk disk_;
  KeySchedule keys_{Key::random(), StoreId{1, 2, 3}};
  AeadSuite suite_ = *AeadSuite::detect();
  Realm realm_{*AccountId::parse("123456789012"), *Region::parse("eu-central-1")};
  std::unique_ptr<Catalog> catalog_;
};

// --- what is erased ---

// What else goes may stay in a free page until another needs it: overwriting those costs four pages for each small
// object.
class ErasedPagesTest : public CatalogTest {
 protected:
  // Of coffer.db, once everything is in it.
  int pages_with(std::string_view word) {
    commit();
    EXPECT_TRUE(catalog_->database().checkpoint_rest().ok());
    catalog_.reset();
    int found = 0;
    {
      const auto files = *open_sealed_files(disk_, keys_, suite_, "boot");
      Bytes content(kPageSize);
      for (std::uint32_t page = 1; page <= files->pages().pages(); ++page) {
        EXPECT_TRUE(files->pages().read(page, content).ok()) << page;
        found += as_text(content).find(word) == std::string_view::npos ? 0 : 1;
      }
    }
    catalog_ = *Catalog::open(disk_, keys_, suite_, "boot");
    return found;
  }
  static std::string many(std::string_view word, std::size_t size) {
    std::string text;
    while (text.size() < size) text += word;
    return text;
  }
  Status save_user(const std::string& key_secret, const std::string& policy) {
    UserRecord user{realm_.account, "ann"};
    user.keys.push_back({"COFF0", std::make_shared<const SecretBytes>(bytes_of(key_secret)), true, 0});
    if (!policy.empty()) user.policies["default"] = policy;
    return catalog_->save_user(user);
  }
};

TEST_F(ErasedPagesTest, PagesOfAUserAreOverwrittenWhenTheyAreFreedAndThoseOfOthersAreNot) {
  ASSERT_TRUE(save_user("key of ann", many("policy of ann ", 4 * kPageSize)).ok());
  plant("CREATE TABLE other AS SELECT CAST('" + many("another thing ", 4 * kPageSize) + "' AS BLOB)");
  EXPECT_GE(pages_with("policy of ann"), 4);
  EXPECT_GE(pages_with("another thing"), 4);
  ASSERT_TRUE(save_user("key of ann", "").ok());
  EXPECT_EQ(pages_with("policy of ann"), 0);
  EXPECT_EQ(pages_with("key of ann"), 1);
  ASSERT_TRUE(catalog_->remove_user(realm_.account, "ann").ok());
  plant("DROP TABLE other");
  EXPECT_EQ(pages_with("key of ann"), 0);
  EXPECT_GE(pages_with("another thing"), 3);
}

TEST_F(ErasedPagesTest, NoPageThatOtherRowsOfTheTableGaveUpKeepsACopy) {
  for (InodeNumber bucket = 100; bucket < 160; ++bucket) {
    ASSERT_TRUE(catalog_->put_bucket_policy(bucket, many("policy ", 700)).ok());
    if (bucket == 130) {
      ASSERT_TRUE(save_user("key of ann", "").ok());
    }
  }
  commit();
  for (InodeNumber bucket = 100; bucket < 160; ++bucket) ASSERT_TRUE(catalog_->remove_bucket_policy(bucket).ok());
  EXPECT_EQ(pages_with("key of ann"), 1);
  ASSERT_TRUE(catalog_->remove_user(realm_.account, "ann").ok());
  EXPECT_EQ(pages_with("key of ann"), 0);
}

TEST_F(ErasedPagesTest, MaterialOfAKeyThatIsDeletedIsInNoPage) {
  std::vector<KmsKeyRecord> records;
  for (int i = 0; i < 60; ++i) {
    const auto id = "key " + std::to_string(i);
    KmsKeyRecord record{KeyMetadata{.key_id = id,
                                    .arn = id,
                                    .account = realm_.account,
                                    .description = "",
                                    .deletion_ns = {},
                                    .current_material_id = ""}};
    record.materials.push_back({"material", 0, bytes_of("material of " + id + many(".", 150))});
    ASSERT_TRUE(catalog_->save_key(record).ok());
    records.push_back(std::move(record));
  }
  EXPECT_EQ(pages_with("material of key 30."), 1);
  for (auto& record : records) {
    record.materials.clear();
    ASSERT_TRUE(catalog_->save_key(record).ok());
  }
  EXPECT_EQ(pages_with("material of key"), 0);
}

// --- meta ---

TEST_F(CatalogTest, MetaComesBackAfterReopening) {
  ASSERT_TRUE(catalog_->set_number("n", 5).ok());
  ASSERT_TRUE(catalog_->set_number("n", 6).ok());
  ASSERT_TRUE(catalog_->set_blob("b", bytes_of("bytes")).ok());
  ASSERT_TRUE(catalog_->set_blob("empty", {}).ok());
  reopen();
  EXPECT_EQ(*catalog_->number("n"), 6U);
  EXPECT_EQ(*catalog_->number("absent", 9), 9U);
  EXPECT_EQ(**catalog_->blob("b"), bytes_of("bytes"));
  EXPECT_EQ(**catalog_->blob("empty"), Bytes());
  ASSERT_TRUE(catalog_->remove_blob("b").ok());
  EXPECT_FALSE(catalog_->blob("b")->has_value());
  auto realm = catalog_->realm();
  EXPECT_EQ(realm->account, realm_.account);
  EXPECT_EQ(realm->region, realm_.region);
}

TEST_F(CatalogTest, NumbersReachTheirLimitAndNoFurther) {
  constexpr std::uint64_t kMax = INT64_MAX;
  ASSERT_TRUE(catalog_->set_number("n", kMax).ok());
  EXPECT_EQ(*catalog_->number("n"), kMax);
  EXPECT_EQ(catalog_->set_number("n", kMax + 1).code(), Code::kInvalidArgument);
  EXPECT_EQ(*catalog_->number("n"), kMax);
}

TEST_F(CatalogTest, MetaOfAnotherTypeIsDamage) {
  ASSERT_TRUE(catalog_->set_blob("v", bytes_of("x")).ok());
  EXPECT_EQ(catalog_->number("v").code(), Code::kDamaged);
  ASSERT_TRUE(catalog_->set_number("v", 1).ok());
  EXPECT_EQ(catalog_->blob("v").code(), Code::kDamaged);
  plant("UPDATE meta SET value = -1 WHERE name = 'v'");
  EXPECT_EQ(catalog_->number("v").code(), Code::kDamaged);
  plant("UPDATE meta SET value = 'no region' WHERE name = 'region'");
  EXPECT_EQ(catalog_->realm().code(), Code::kDamaged);
  plant("DELETE FROM meta WHERE name = 'account'");
  EXPECT_EQ(catalog_->realm().code(), Code::kDamaged);
}

TEST_F(CatalogTest, ANewerFormatIsRefused) {
  ASSERT_TRUE(catalog_->set_number("format_version", 4).ok());
  auto opened = reopened();
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.code(), Code::kUnsupported);
  EXPECT_THAT(opened.error().message, HasSubstr("newer"));
}

TEST_F(CatalogTest, ACatalogWithoutItsFormatIsDamaged) {
  plant("DELETE FROM meta WHERE name = 'format_version'");
  EXPECT_EQ(reopened().code(), Code::kDamaged);
}

TEST_F(CatalogTest, ACatalogThatNamesAnotherStoreIsDamaged) {
  ASSERT_TRUE(catalog_->set_blob("store_id", Bytes(16, 9)).ok());
  EXPECT_EQ(reopened().code(), Code::kDamaged);
}

// --- inodes ---

TEST_F(CatalogTest, ANewStoreHasARootDirectory) {
  auto root = catalog_->inode(kRootInode);
  ASSERT_TRUE(root.ok());
  EXPECT_EQ(root->kind, FileKind::kDirectory);
  EXPECT_EQ(root->mode, 0755U);
  EXPECT_EQ(root->nlink, 2U);
  EXPECT_EQ(root->bucket, 0U);
  EXPECT_TRUE(*catalog_->directory_empty(kRootInode));
  EXPECT_THAT(*catalog_->verify(), IsEmpty());
}

TEST_F(CatalogTest, InodesKeepEdgeValues) {
  Inode most;
  most.ino = kInodeMax;
  most.kind = FileKind::kBlockDevice;
  most.mode = 07777;
  most.uid = most.gid = most.nlink = UINT32_MAX;
  most.size = kObjectSizeMax;
  most.allocated = kObjectSizeMax;
  most.rdev = INT64_MAX;
  most.atime_ns = INT64_MAX;
  most.mtime_ns = INT64_MIN;
  most.ctime_ns = -1;
  most.bucket = most.parent = kInodeMax;
  ASSERT_TRUE(catalog_->insert_inode(most).ok());
  reopen();
  auto found = catalog_->inode(kInodeMax);
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->kind, most.kind);
  EXPECT_EQ(found->mode, most.mode);
  EXPECT_EQ(found->uid, most.uid);
  EXPECT_EQ(found->gid, most.gid);
  EXPECT_EQ(found->nlink, most.nlink);
  EXPECT_EQ(found->size, most.size);
  EXPECT_EQ(found->allocated, most.allocated);
  EXPECT_EQ(found->rdev, most.rdev);
  EXPECT_EQ(found->atime_ns, most.atime_ns);
  EXPECT_EQ(found->mtime_ns, most.mtime_ns);
  EXPECT_EQ(found->ctime_ns, most.ctime_ns);
  EXPECT_EQ(found->bucket, most.bucket);
  EXPECT_EQ(found->parent, most.parent);
}

TEST_F(CatalogTest, InodeVerbsSayWhatIsWrong) {
  EXPECT_EQ(catalog_->inode(kFileInode).code(), Code::kNotFound);
  EXPECT_EQ(catalog_->update_inode(file_inode(kFileInode)).code(), Code::kNotFound);
  EXPECT_EQ(catalog_->remove_inode(kFileInode).code(), Code::kNotFound);
  ASSERT_TRUE(catalog_->insert_inode(file_inode(kFileInode)).ok());
  EXPECT_EQ(catalog_->insert_inode(file_inode(kFileInode)).code(), Code::kExists);
  EXPECT_EQ(catalog_->insert_inode(file_inode(kInodeMax + 1)).code(), Code::kLimit);
  EXPECT_EQ(catalog_->insert_inode(file_inode(0)).code(), Code::kLimit);
}

TEST_F(CatalogTest, UpdatedInodesComeBack) {
  auto inode = file_inode(kFileInode);
  ASSERT_TRUE(catalog_->insert_inode(inode).ok());
  inode.size = 12345;
  inode.nlink = 0;
  ASSERT_TRUE(catalog_->update_inode(inode).ok());
  EXPECT_EQ(catalog_->inode(kFileInode)->size, 12345U);
  EXPECT_THAT(*catalog_->unlinked_inodes(10), ElementsAre(kFileInode));
  inode.nlink = 1;
  ASSERT_TRUE(catalog_->update_inode(inode).ok());
  EXPECT_THAT(*catalog_->unlinked_inodes(10), IsEmpty());
}

TEST_F(CatalogTest, InodeColumnsOutOfRangeAreDamage) {
  ASSERT_TRUE(catalog_->insert_inode(file_inode(kFileInode)).ok());
  for (std::string change :
       {"kind = 0", "kind = 8", "mode = 4096", "mode = -1", "uid = 4294967296", "gid = -1", "nlink = 4294967296",
        "size = 17592186044417", "size = -1", "allocated = -1", "rdev = -1", "bucket = 549755813888", "parent = -1"}) {
    Catalog::Savepoint undo(*catalog_);
    plant("UPDATE inodes SET " + change + " WHERE ino = 10");
    EXPECT_EQ(catalog_->inode(kFileInode).code(), Code::kDamaged) << change;
    EXPECT_FALSE(catalog_->verify()->empty()) << change;
  }
  EXPECT_TRUE(catalog_->inode(kFileInode).ok());
}

TEST_F(CatalogTest, RemovingAnInodeTakesAllItsRows) {
  ASSERT_TRUE(catalog_->insert_inode(file_inode(kFileInode)).ok());
  ContentRow content;
  content.ino = kFileInode;
  ASSERT_TRUE(catalog_->put_content(content).ok());
  ASSERT_TRUE(catalog_->put_map_row(kFileInode, 3, bytes_of("row")).ok());
  ASSERT_TRUE(catalog_->set_xattr(kFileInode, "user.a", bytes_of("v")).ok());
  ASSERT_TRUE(catalog_->enqueue_reseal(kFileInode).ok());
  ASSERT_TRUE(catalog_->remove_inode(kFileInode).ok());
  EXPECT_EQ(catalog_->inode(kFileInode).code(), Code::kNotFound);
  EXPECT_EQ(catalog_->content(kFileInode).code(), Code::kNotFound);
  EXPECT_FALSE(catalog_->map_row(kFileInode, 3)->has_value());
  EXPECT_THAT(*catalog_->xattr_names(kFileInode), IsEmpty());
  EXPECT_FALSE(*catalog_->reseal_pending(kFileInode));
  EXPECT_THAT(*catalog_->verify(), IsEmpty());
}

TEST_F(CatalogTest, FilesAreListedPageByPageWithoutOtherKinds) {
  for (InodeNumber ino = 10; ino < 20; ++ino) {
    auto inode = file_inode(ino);
    inode.kind = ino % 2 == 0 ? FileKind::kFile : FileKind::kFifo;
    inode.allocated = 100;
    ASSERT_TRUE(catalog_->insert_inode(inode).ok());
  }
  EXPECT_THAT(*catalog_->files_after(0, 3), ElementsAre(10, 12, 14));
  EXPECT_THAT(*catalog_->files_after(14, 3), ElementsAre(16, 18));
  EXPECT_THAT(*catalog_->files_after(18, 3), IsEmpty());
  EXPECT_EQ(catalog_->census()->inodes, 11U);
  EXPECT_EQ(catalog_->census()->allocated, 1000U);
}

// --- names ---

TEST_F(CatalogTest, NamesAreBytes) {
  const std::string names[] = {"a", std::string(kNameSizeMax, 'x'), "\xff\xfe", "with\nline", "a'b\"c;--"};
  for (const auto& name : names) {
    ASSERT_TRUE(catalog_->insert_name(kBucketInode, name, kFileInode, FileKind::kFile).ok());
    EXPECT_EQ(catalog_->insert_name(kBucketInode, name, 11, FileKind::kFile).code(), Code::kExists);
  }
  reopen();
  for (const auto& name : names) {
    auto entry = catalog_->find_name(kBucketInode, name);
    ASSERT_TRUE(entry.ok());
    EXPECT_EQ(entry->name, name);
    EXPECT_EQ(entry->ino, kFileInode);
    EXPECT_EQ(entry->kind, FileKind::kFile);
    EXPECT_GE(entry->cookie, 3U);
    EXPECT_EQ(catalog_->find_name(kFileInode, name).code(), Code::kNotFound);
    ASSERT_TRUE(catalog_->remove_name(kBucketInode, name).ok());
    EXPECT_EQ(catalog_->remove_name(kBucketInode, name).code(), Code::kNotFound);
  }
  EXPECT_TRUE(*catalog_->directory_empty(kBucketInode));
}

TEST_F(CatalogTest, ReplaceInsertsOrRetargets) {
  ASSERT_TRUE(catalog_->replace_name(kBucketInode, "n", 10, FileKind::kFile).ok());
  EXPECT_EQ(catalog_->find_name(kBucketInode, "n")->ino, 10U);
  ASSERT_TRUE(catalog_->replace_name(kBucketInode, "n", 11, FileKind::kDirectory).ok());
  EXPECT_EQ(catalog_->find_name(kBucketInode, "n")->ino, 11U);
  EXPECT_EQ(catalog_->find_name(kBucketInode, "n")->kind, FileKind::kDirectory);
  EXPECT_EQ(catalog_->list(kBucketInode, 0, 10)->size(), 1U);
}

TEST_F(CatalogTest, EveryLastingNameIsListedOnceWhileOthersComeAndGo) {
  std::set<std::string> lasting;
  for (int i = 0; i < 100; ++i) {
    auto name = "lasting-" + std::to_string(i);
    lasting.insert(name);
    ASSERT_TRUE(catalog_->insert_name(kBucketInode, name, 100 + i, FileKind::kFile).ok());
    ASSERT_TRUE(catalog_->insert_name(kBucketInode, "leaving-" + std::to_string(i), 300 + i, FileKind::kFile).ok());
  }
  std::multiset<std::string> listed;
  std::uint64_t cookie = 0;
  for (int page = 0;; ++page) {
    auto entries = catalog_->list(kBucketInode, cookie, 7);
    ASSERT_TRUE(entries.ok());
    if (entries->empty()) break;
    ASSERT_LE(entries->size(), 7U);
    for (const auto& entry : *entries) {
      EXPECT_GT(entry.cookie, cookie);
      cookie = entry.cookie;
      if (lasting.contains(entry.name)) listed.insert(entry.name);
    }
    ASSERT_TRUE(
        catalog_->insert_name(kBucketInode, "coming-" + std::to_string(page), 500 + page, FileKind::kFile).ok());
    (void)catalog_->remove_name(kBucketInode, "leaving-" + std::to_string(page)).ok();
  }
  EXPECT_EQ(listed, std::multiset<std::string>(lasting.begin(), lasting.end()));
  EXPECT_THAT(*catalog_->list(kBucketInode, UINT64_MAX, 7), IsEmpty());
}

TEST_F(CatalogTest, ListingsWithInodesShowADanglingNameAsDamage) {
  for (InodeNumber ino = 10; ino < 15; ++ino) {
    auto inode = file_inode(ino);
    inode.size = ino;
    ASSERT_TRUE(catalog_->insert_inode(inode).ok());
    ASSERT_TRUE(catalog_->insert_name(kBucketInode, "f" + std::to_string(ino), ino, FileKind::kFile).ok());
  }
  auto entries = catalog_->list_with_inodes(kBucketInode, 0, 10);
  ASSERT_TRUE(entries.ok());
  ASSERT_EQ(entries->size(), 5U);
  for (const auto& [entry, inode] : *entries) {
    EXPECT_EQ(entry.ino, inode.ino);
    EXPECT_EQ(inode.size, inode.ino);
  }
  EXPECT_EQ(catalog_->list_with_inodes(kBucketInode, (*entries)[1].entry.cookie, 10)->size(), 3U);
  plant("DELETE FROM inodes WHERE ino = 12");
  EXPECT_EQ(catalog_->list_with_inodes(kBucketInode, 0, 10).code(), Code::kDamaged);
  EXPECT_EQ(catalog_->list(kBucketInode, 0, 10)->size(), 5U);
}

TEST_F(CatalogTest, AnyNameFindsLinksOutsideTheLastDirectory) {
  auto inode = file_inode(kFileInode);
  ASSERT_TRUE(catalog_->insert_inode(inode).ok());
  EXPECT_EQ(catalog_->any_name(kFileInode).code(), Code::kNotFound);
  ASSERT_TRUE(catalog_->insert_name(5, "elsewhere", kFileInode, FileKind::kFile).ok());
  EXPECT_EQ(*catalog_->any_name(kFileInode), (std::pair<InodeNumber, std::string>(5, "elsewhere")));
  ASSERT_TRUE(catalog_->insert_name(kBucketInode, "here", kFileInode, FileKind::kFile).ok());
  EXPECT_EQ(*catalog_->any_name(kFileInode), (std::pair<InodeNumber, std::string>(kBucketInode, "here")));
  inode.nlink = 0;
  ASSERT_TRUE(catalog_->update_inode(inode).ok());
  ASSERT_TRUE(catalog_->remove_name(kBucketInode, "here").ok());
  ASSERT_TRUE(catalog_->remove_name(5, "elsewhere").ok());
  EXPECT_EQ(catalog_->any_name(kFileInode).code(), Code::kNotFound);
  EXPECT_EQ(catalog_->any_name(999).code(), Code::kNotFound);
}

TEST_F(CatalogTest, SymlinkTargetsComeBack) {
  const std::string longest(kSymlinkSizeMax, 't');
  ASSERT_TRUE(catalog_->set_symlink_target(kFileInode, longest).ok());
  reopen();
  EXPECT_EQ(*catalog_->symlink_target(kFileInode), longest);
  EXPECT_EQ(catalog_->symlink_target(11).code(), Code::kNotFound);
}

TEST_F(CatalogTest, ExtendedAttributesComeBack) {
  const Bytes largest(kXattrSizeMax, 0xab);
  ASSERT_TRUE(catalog_->set_xattr(kFileInode, "user.empty", {}).ok());
  ASSERT_TRUE(catalog_->set_xattr(kFileInode, "user.large", bytes_of("small")).ok());
  ASSERT_TRUE(catalog_->set_xattr(kFileInode, "user.large", largest).ok());
  ASSERT_TRUE(catalog_->set_xattr(11, "user.other", bytes_of("x")).ok());
  reopen();
  EXPECT_EQ(*catalog_->xattr(kFileInode, "user.empty"), Bytes());
  EXPECT_EQ(*catalog_->xattr(kFileInode, "user.large"), largest);
  EXPECT_THAT(*catalog_->xattr_names(kFileInode), ElementsAre("user.empty", "user.large"));
  EXPECT_EQ(*catalog_->xattr_bytes(kFileInode), 20 + kXattrSizeMax);
  EXPECT_EQ(*catalog_->xattr_bytes(12), 0U);
  ASSERT_TRUE(catalog_->remove_xattr(kFileInode, "user.large").ok());
  EXPECT_EQ(catalog_->xattr(kFileInode, "user.large").code(), Code::kNoAttribute);
  EXPECT_EQ(catalog_->remove_xattr(kFileInode, "user.large").code(), Code::kNoAttribute);
}

// --- content ---

TEST_F(CatalogTest, ContentRowsComeBack) {
  ContentRow row;
  row.ino = kFileInode;
  row.envelope = Bytes(600, 1);
  row.next_envelope = Bytes(700, 2);
  row.rule_version = INT64_MAX;
  row.next_rule_version = 5;
  row.seals_leased = kSealsPerKeyMax;
  row.next_seals_leased = 1;
  row.file = INT64_MAX;
  row.inline_chunk = Bytes(kInlineSizeMax + 61, 3);
  ASSERT_TRUE(catalog_->put_content(row).ok());
  reopen();
  auto found = catalog_->content(kFileInode);
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->envelope, row.envelope);
  EXPECT_EQ(found->next_envelope, row.next_envelope);
  EXPECT_EQ(found->rule_version, row.rule_version);
  EXPECT_EQ(found->next_rule_version, row.next_rule_version);
  EXPECT_EQ(found->seals_leased, row.seals_leased);
  EXPECT_EQ(found->next_seals_leased, row.next_seals_leased);
  EXPECT_EQ(found->file, row.file);
  EXPECT_EQ(found->inline_chunk, row.inline_chunk);
  EXPECT_EQ(*catalog_->envelope(kFileInode), row.envelope);

  row.next_envelope.reset();
  row.inline_chunk.reset();
  row.file = 0;
  ASSERT_TRUE(catalog_->put_content(row).ok());
  ASSERT_TRUE(catalog_->put_leases(kFileInode, 17, 18).ok());
  found = catalog_->content(kFileInode);
  EXPECT_EQ(found->next_envelope, std::nullopt);
  EXPECT_EQ(found->inline_chunk, std::nullopt);
  EXPECT_EQ(found->seals_leased, 17U);
  EXPECT_EQ(found->next_seals_leased, 18U);
  EXPECT_EQ(catalog_->content(11).code(), Code::kNotFound);
  EXPECT_EQ(catalog_->envelope(11).code(), Code::kNotFound);
  EXPECT_EQ(catalog_->put_leases(11, 1, 1).code(), Code::kNotFound);
}

TEST_F(CatalogTest, ContentOutOfRangeIsDamage) {
  ContentRow row;
  row.ino = kFileInode;
  ASSERT_TRUE(catalog_->put_content(row).ok());
  for (std::string change :
       {"leased = -1", "leased = 4294967297", "next_leased = -1", "file = -1", "rule_version = -1"}) {
    Catalog::Savepoint undo(*catalog_);
    plant("UPDATE contents SET " + change);
    EXPECT_EQ(catalog_->content(kFileInode).code(), Code::kDamaged) << change;
  }
}

TEST_F(CatalogTest, MapRowsStayWithTheirInode) {
  for (InodeNumber ino : {kFileInode - 1, kFileInode, kFileInode + 1, kInodeMax})
    for (std::uint32_t row : {std::uint32_t{0}, std::uint32_t{1}, std::uint32_t{500}, kMapRowMax})
      ASSERT_TRUE(catalog_->put_map_row(ino, row, bytes_of(std::to_string(ino) + "/" + std::to_string(row))).ok());
  EXPECT_EQ(catalog_->put_map_row(kFileInode, kMapRowMax + 1, {}).code(), Code::kLimit);
  reopen();
  EXPECT_EQ(**catalog_->map_row(kFileInode, kMapRowMax), bytes_of("10/16777215"));
  EXPECT_EQ(**catalog_->map_row(kInodeMax, 0), bytes_of("549755813887/0"));
  EXPECT_FALSE(catalog_->map_row(kFileInode, 2)->has_value());
  EXPECT_THAT(*catalog_->map_rows(kFileInode, 0, 3), ElementsAre(0, 1, 500));
  EXPECT_THAT(*catalog_->map_rows(kFileInode, 2, 9), ElementsAre(500, kMapRowMax));
  ASSERT_TRUE(catalog_->remove_map_row(kFileInode, 1).ok());
  ASSERT_TRUE(catalog_->remove_map_rows(kFileInode, 400).ok());
  EXPECT_THAT(*catalog_->map_rows(kFileInode, 0, 9), ElementsAre(0));
  EXPECT_EQ(catalog_->map_rows(kFileInode - 1, 0, 9)->size(), 4U);
  EXPECT_EQ(catalog_->map_rows(kFileInode + 1, 0, 9)->size(), 4U);
}

TEST_F(CatalogTest, DataFilesAreNamedByContentAndGarbage) {
  ContentRow row;
  row.ino = kFileInode;
  row.file = 77;
  ASSERT_TRUE(catalog_->put_content(row).ok());
  ASSERT_TRUE(catalog_->add_garbage(5).ok());
  ASSERT_TRUE(catalog_->add_garbage(5).ok());
  ASSERT_TRUE(catalog_->add_garbage(6).ok());
  EXPECT_TRUE(*catalog_->names_data_file(77));
  EXPECT_TRUE(*catalog_->names_data_file(5));
  EXPECT_FALSE(*catalog_->names_data_file(78));
  EXPECT_FALSE(*catalog_->names_data_file(0));
  EXPECT_THAT(*catalog_->garbage(10), ElementsAre(5, 6));
  ASSERT_TRUE(catalog_->remove_garbage(5).ok());
  EXPECT_FALSE(*catalog_->names_data_file(5));
  row.file = 0;
  ASSERT_TRUE(catalog_->put_content(row).ok());
  EXPECT_FALSE(*catalog_->names_data_file(77));
}

// --- buckets ---

TEST_F(CatalogTest, BucketsKeepTheirRules) {
  auto first = bucket(2, "first-bucket");
  first.rule = {
      SseAlgorithm::kAwsKms, "alias/not there ' \xc3\xa9", true, {BlockedEncryption::kNone, BlockedEncryption::kSseC}};
  ASSERT_TRUE(catalog_->insert_bucket(first).ok());
  ASSERT_TRUE(catalog_->insert_bucket(bucket(3, "another-bucket")).ok());
  EXPECT_EQ(catalog_->insert_bucket(bucket(4, "first-bucket")).code(), Code::kExists);
  EXPECT_EQ(catalog_->insert_bucket(bucket(2, "third-bucket")).code(), Code::kExists);
  reopen();
  auto found = catalog_->bucket(2);
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->name, first.name);
  EXPECT_EQ(found->owner, realm_.account);
  EXPECT_EQ(found->created_ns, 7);
  EXPECT_EQ(found->rule, first.rule);
  EXPECT_EQ(found->rule_version, 1U);
  SseRule twice{SseAlgorithm::kAwsKmsDsse, std::nullopt, false, {}};
  ASSERT_TRUE(catalog_->update_rule(2, twice, 2, std::nullopt).ok());
  EXPECT_EQ(catalog_->bucket(first.name)->rule, twice);
  EXPECT_EQ(catalog_->bucket(first.name)->rule_version, 2U);
  auto all = catalog_->buckets();
  ASSERT_EQ(all->size(), 2U);
  EXPECT_EQ((*all)[0].name.str(), "another-bucket");
  ASSERT_TRUE(catalog_->remove_bucket(2).ok());
  EXPECT_EQ(catalog_->remove_bucket(2).code(), Code::kNoSuchBucket);
  EXPECT_EQ(catalog_->update_rule(2, twice, 3, std::nullopt).code(), Code::kNoSuchBucket);
  EXPECT_EQ(catalog_->bucket(2).code(), Code::kNoSuchBucket);
  EXPECT_EQ(catalog_->bucket(first.name).code(), Code::kNoSuchBucket);
}

TEST_F(CatalogTest, BucketsOutOfRangeAreDamage) {
  ASSERT_TRUE(catalog_->insert_bucket(bucket(2, "a-bucket")).ok());
  for (std::string change :
       {"name = 'X'", "owner = '1'", "algorithm = 'none'", "bucket_key = 2", "blocked = x'03'", "rule_version = -1"}) {
    Catalog::Savepoint undo(*catalog_);
    plant("UPDATE buckets SET " + change);
    EXPECT_EQ(catalog_->bucket(2).code(), Code::kDamaged) << change;
    EXPECT_EQ(catalog_->buckets().code(), Code::kDamaged) << change;
  }
}

// --- the reseal queue ---

TEST_F(CatalogTest, ResealServesTheNewestFirstAndThePostponedLast) {
  EXPECT_EQ(*catalog_->next_reseal(), std::nullopt);
  for (InodeNumber ino : {10, 11, 12}) ASSERT_TRUE(catalog_->enqueue_reseal(ino).ok());
  EXPECT_EQ((*catalog_->next_reseal())->ino, 12U);
  ASSERT_TRUE(catalog_->enqueue_reseal(10).ok());
  EXPECT_EQ((*catalog_->next_reseal())->ino, 10U);
  EXPECT_EQ(*catalog_->reseal_count(), 3U);
  ASSERT_TRUE(catalog_->postpone_reseal(10).ok());
  reopen();
  std::vector<InodeNumber> order;
  while (auto next = *catalog_->next_reseal()) {
    EXPECT_TRUE(*catalog_->reseal_pending(next->ino));
    order.push_back(next->ino);
    ASSERT_TRUE(catalog_->dequeue_reseal(next->ino).ok());
    EXPECT_FALSE(*catalog_->reseal_pending(next->ino));
  }
  EXPECT_THAT(order, ElementsAre(12, 11, 10));
  EXPECT_EQ(*catalog_->reseal_count(), 0U);
}

// --- the KMS's records ---

KmsKeyRecord kms_record(const Realm& realm, std::string id) {
  KeyMetadata metadata{.key_id = id,
                       .arn = kms_key_arn(realm, id),
                       .account = realm.account,
                       .description = "what it's for",
                       .state = KeyState::kPendingDeletion,
                       .manager = KeyManager::kAws,
                       .created_ns = 5,
                       .deletion_ns = INT64_MAX,
                       .current_material_id = "m2",
                       .origin = KeyOrigin::kAwsKms,
                       .rotation_days = 365,
                       .next_rotation_ns = 7};
  return {metadata,
          {{"m1", 1, Bytes(92, 1), RotationKind::kNone}, {"m2", 2, Bytes(92, 2), RotationKind::kOnDemand}},
          {{"a tag", "its value"}}};
}

TEST_F(CatalogTest, KmsRecordsComeBack) {
  auto record = kms_record(realm_, "k1");
  ASSERT_TRUE(catalog_->save_key(record).ok());
  ASSERT_TRUE(catalog_->save_key(kms_record(realm_, "k0")).ok());
  ASSERT_TRUE(catalog_->save_alias({realm_.account, "alias/a", "k1", 3, 3}).ok());
  ASSERT_TRUE(catalog_->save_alias({realm_.account, "alias/a", "k0", 4, 9}).ok());
  ASSERT_TRUE(catalog_->save_call_counts({{"Decrypt", 7}, {"GenerateDataKey", INT64_MAX}}).ok());
  ASSERT_TRUE(catalog_->save_call_counts({{"Decrypt", 8}}).ok());
  reopen();
  auto keys = catalog_->load_keys();
  ASSERT_EQ(keys->size(), 2U);
  const auto& found = (*keys)[1];
  EXPECT_EQ(found.metadata, record.metadata);
  EXPECT_EQ(found.tags, record.tags);
  EXPECT_FALSE(found.deleted);
  ASSERT_EQ(found.materials.size(), 2U);
  EXPECT_EQ(found.materials[0].material_id, "m1");
  EXPECT_EQ(found.materials[0].rotation, RotationKind::kNone);
  EXPECT_EQ(found.materials[1].wrapped, Bytes(92, 2));
  EXPECT_EQ(found.materials[1].rotation, RotationKind::kOnDemand);
  auto aliases = catalog_->load_aliases();
  ASSERT_EQ(aliases->size(), 1U);
  EXPECT_EQ((*aliases)[0].target_key_id, "k0");
  EXPECT_EQ((*aliases)[0].created_ns, 4);
  EXPECT_EQ((*aliases)[0].updated_ns, 9);
  auto counts = catalog_->load_call_counts();
  EXPECT_EQ(*counts, (std::map<std::string, std::uint64_t>{{"Decrypt", 8}, {"GenerateDataKey", INT64_MAX}}));
}

TEST_F(CatalogTest, ADeletedKeyLosesItsMaterialAndItsTags) {
  auto record = kms_record(realm_, "k");
  ASSERT_TRUE(catalog_->save_key(record).ok());
  record.materials.clear();
  record.tags.clear();
  record.deleted = true;
  ASSERT_TRUE(catalog_->save_key(record).ok());
  auto keys = catalog_->load_keys();
  EXPECT_THAT((*keys)[0].materials, IsEmpty());
  EXPECT_THAT((*keys)[0].tags, IsEmpty());
  EXPECT_TRUE((*keys)[0].deleted);
}

TEST_F(CatalogTest, ImportedMaterialThatIsGoneLeavesItsName) {
  auto record = kms_record(realm_, "k");
  record.metadata.origin = KeyOrigin::kExternal;
  record.metadata.state = KeyState::kEnabled;
  record.metadata.expires_ns = 11;
  record.materials.erase(record.materials.begin());
  record.materials[0].mark = Bytes(64, 3);
  ASSERT_TRUE(catalog_->save_key(record).ok());
  EXPECT_EQ((*catalog_->load_keys())[0].metadata, record.metadata);
  record.metadata.state = KeyState::kPendingImport;
  record.metadata.expires_ns.reset();
  record.metadata.has_material = false;
  record.materials[0].wrapped.clear();
  ASSERT_TRUE(catalog_->save_key(record).ok());
  const auto found = (*catalog_->load_keys())[0];
  EXPECT_EQ(found.metadata, record.metadata);
  EXPECT_EQ(found.materials.at(0).material_id, "m2");
  EXPECT_EQ(found.materials.at(0).mark, Bytes(64, 3));
  EXPECT_FALSE(found.deleted);
}

TEST_F(CatalogTest, EachAccountHasItsOwnAliasOfAName) {
  const auto other = *AccountId::parse("999999999999");
  ASSERT_TRUE(catalog_->save_key(kms_record(realm_, "k")).ok());
  ASSERT_TRUE(catalog_->save_alias({realm_.account, "alias/a", "k"}).ok());
  ASSERT_TRUE(catalog_->save_alias({other, "alias/a", "k"}).ok());
  EXPECT_EQ(catalog_->load_aliases()->size(), 2U);
  ASSERT_TRUE(catalog_->remove_alias(other, "alias/a").ok());
  ASSERT_EQ(catalog_->load_aliases()->size(), 1U);
  EXPECT_EQ((*catalog_->load_aliases())[0].account, realm_.account);
}

TEST_F(CatalogTest, KmsRecordsOutOfRangeAreDamage) {
  ASSERT_TRUE(catalog_->save_key(kms_record(realm_, "k")).ok());
  for (std::string change : {"state = 0", "state = 6", "manager = 0", "manager = 3", "origin = 0", "origin = 3",
                             "account = ''"}) {
    Catalog::Savepoint undo(*catalog_);
    plant("UPDATE kms_keys SET " + change);
    EXPECT_EQ(catalog_->load_keys().code(), Code::kDamaged) << change;
  }
}

TEST_F(CatalogTest, AFullDiskRefusesAKeyAndLosesNothing) {
  ASSERT_TRUE(catalog_->set_number("before", 1).ok());
  disk_.set_capacity(0);
  Status saved;
  for (int i = 0; i < 100'000 && saved.ok(); ++i)
    saved = catalog_->save_key(kms_record(realm_, "k" + std::to_string(i)));
  ASSERT_FALSE(saved.ok());
  EXPECT_EQ(saved.code(), Code::kNoSpace);
  disk_.set_capacity(std::uint64_t{1} << 40);
  reopen();
  EXPECT_EQ(*catalog_->number("before"), 1U);
}

TEST_F(CatalogTest, KmsRecordsAreSavedFromAnyThread) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([this, i] {
      for (int round = 0; round < 20; ++round)
        ASSERT_TRUE(catalog_->save_key(kms_record(realm_, "k" + std::to_string(i))).ok());
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(catalog_->load_keys()->size(), 4U);
}

// --- savepoints ---

TEST_F(CatalogTest, WhatIsNotKeptIsTakenBack) {
  {
    Catalog::Savepoint savepoint(*catalog_);
    ASSERT_TRUE(catalog_->set_number("kept", 1).ok());
    {
      Catalog::Savepoint inner(*catalog_);
      ASSERT_TRUE(catalog_->set_number("inner", 1).ok());
    }
    ASSERT_TRUE(savepoint.keep().ok());
  }
  {
    Catalog::Savepoint savepoint(*catalog_);
    ASSERT_TRUE(catalog_->set_number("lost", 1).ok());
    Catalog::Savepoint inner(*catalog_);
    ASSERT_TRUE(catalog_->set_number("lost with it", 1).ok());
    ASSERT_TRUE(inner.keep().ok());
  }
  reopen();
  EXPECT_EQ(*catalog_->number("kept"), 1U);
  EXPECT_EQ(*catalog_->number("inner"), 0U);
  EXPECT_EQ(*catalog_->number("lost"), 0U);
  EXPECT_EQ(*catalog_->number("lost with it"), 0U);
}

TEST_F(CatalogTest, ARefusedVerbLeavesTheSavepointUsable) {
  Catalog::Savepoint savepoint(*catalog_);
  ASSERT_TRUE(catalog_->insert_inode(file_inode(kFileInode)).ok());
  EXPECT_EQ(catalog_->insert_inode(file_inode(kFileInode)).code(), Code::kExists);
  ASSERT_TRUE(catalog_->insert_name(kBucketInode, "n", kFileInode, FileKind::kFile).ok());
  ASSERT_TRUE(savepoint.keep().ok());
  EXPECT_TRUE(catalog_->find_name(kBucketInode, "n").ok());
}

TEST_F(CatalogTest, WhatWasNotCommittedIsGoneAfterReopening) {
  ASSERT_TRUE(catalog_->set_number("committed", 1).ok());
  commit();
  ASSERT_TRUE(catalog_->set_number("pending", 1).ok());
  catalog_.reset();
  catalog_ = *Catalog::open(disk_, keys_, suite_, "boot");
  EXPECT_EQ(*catalog_->number("committed"), 1U);
  EXPECT_EQ(*catalog_->number("pending"), 0U);
}

TEST_F(CatalogTest, ALostTransactionRefusesWritesAndReadsShowTheLastCommit) {
  ASSERT_TRUE(catalog_->set_number("n", 1).ok());
  commit();
  ASSERT_TRUE(catalog_->set_number("n", 2).ok());
  EXPECT_FALSE(catalog_->is_lost());
  {
    Catalog::Savepoint savepoint(*catalog_);
    plant("ROLLBACK");
    EXPECT_EQ(savepoint.keep().code(), Code::kPoisoned);
  }
  EXPECT_TRUE(catalog_->is_lost());
  EXPECT_EQ(catalog_->number("n").value(), 1u);
  EXPECT_TRUE(catalog_->inode(kRootInode).ok());
  EXPECT_EQ(catalog_->set_number("n", 3).code(), Code::kPoisoned);
  {
    Catalog::Savepoint savepoint(*catalog_);
    EXPECT_EQ(catalog_->set_number("n", 4).code(), Code::kPoisoned);
    EXPECT_EQ(savepoint.keep().code(), Code::kPoisoned);
  }
  EXPECT_EQ(catalog_->commit({}).code(), Code::kPoisoned);
  EXPECT_EQ(catalog_->number("n").value(), 1u);
}

// --- damage below ---

TEST_F(CatalogTest, EveryDamagedPageIsNamed) {
  for (InodeNumber ino = 10; ino < 200; ++ino) {
    auto inode = file_inode(ino);
    ASSERT_TRUE(catalog_->insert_inode(inode).ok());
    ASSERT_TRUE(catalog_->set_xattr(ino, "user.a", Bytes(300, 7)).ok());
  }
  commit();
  ASSERT_TRUE(catalog_->database().checkpoint_rest().ok());
  const auto pages = page_count();  // the file may have room for more
  ASSERT_GT(pages, 10U);
  catalog_.reset();
  const auto whole = disk_.snapshot();
  for (std::uint64_t page = 0; page < pages; ++page) {
    disk_.restore(whole);
    disk_.flip_bit("coffer.db", page * kPageSize + 1234);
    auto opened = Catalog::open(disk_, keys_, suite_, "boot");
    if (!opened) {
      EXPECT_EQ(opened.code(), Code::kDamaged) << page;
      continue;
    }
    EXPECT_EQ((*opened)->verify_files().code(), Code::kDamaged) << page;
    auto lines = (*opened)->verify();
    EXPECT_TRUE(!lines.ok() || !lines->empty()) << page;
  }
}

// --- verify ---

class CatalogVerifyTest : public CatalogTest {
 protected:
  // a-bucket/ { folder/ { file, second name } , link }, all sound.
  void SetUp() override {
    auto directory = file_inode(kBucketInode);
    directory.kind = FileKind::kDirectory;
    directory.nlink = 3;
    directory.parent = kRootInode;
    insert(directory, "a-bucket");
    auto root = *catalog_->inode(kRootInode);
    root.nlink = 3;
    ASSERT_TRUE(catalog_->update_inode(root).ok());
    ASSERT_TRUE(catalog_->insert_bucket(bucket(kBucketInode, "a-bucket")).ok());
    directory.ino = 3;
    directory.nlink = 2;
    directory.parent = kBucketInode;
    insert(directory, "folder");
    auto file = file_inode(kFileInode);
    file.parent = 3;
    file.nlink = 2;
    file.size = 5;
    insert(file, "file");
    ASSERT_TRUE(catalog_->insert_name(kBucketInode, "second\nname", kFileInode, FileKind::kFile).ok());
    auto link = file_inode(11);
    link.kind = FileKind::kSymlink;
    insert(link, "link");
    ASSERT_TRUE(catalog_->set_symlink_target(11, "folder/file").ok());
    ContentRow content;
    content.ino = kFileInode;
    content.file = 9;
    ASSERT_TRUE(catalog_->put_content(content).ok());
    ASSERT_TRUE(catalog_->put_map_row(kFileInode, 0, bytes_of("row")).ok());
    ASSERT_TRUE(catalog_->enqueue_reseal(kFileInode).ok());
    ASSERT_TRUE(catalog_->save_key(kms_record(realm_, "k")).ok());
    ASSERT_TRUE(catalog_->save_alias({realm_.account, "alias/a", "k"}).ok());
  }

  void insert(const Inode& inode, std::string_view name) {
    ASSERT_TRUE(catalog_->insert_inode(inode).ok());
    ASSERT_TRUE(catalog_->insert_name(inode.parent, name, inode.ino, inode.kind).ok());
  }
};

TEST_F(CatalogVerifyTest, ASoundCatalogHasNothingToReport) { EXPECT_THAT(*catalog_->verify(), IsEmpty()); }

TEST_F(CatalogVerifyTest, PathsNameObjectsWithoutControlCharacters) {
  EXPECT_EQ(catalog_->path_of(kFileInode), "a-bucket/folder/file");
  ASSERT_TRUE(catalog_->remove_name(3, "file").ok());
  EXPECT_EQ(catalog_->path_of(kFileInode), "a-bucket/second\\x0aname");
  EXPECT_EQ(catalog_->path_of(kRootInode), "the root");
  EXPECT_EQ(catalog_->path_of(4711), "inode 4711");
}

TEST_F(CatalogVerifyTest, EveryBrokenPromiseIsNamed) {
  struct Plant {
    std::string sql, line;
  };
  const Plant plants[] = {
      {"DELETE FROM inodes WHERE ino = 1", "the root directory is missing"},
      {"UPDATE inodes SET bucket = 99 WHERE ino = 11", "a-bucket/link: belongs to no bucket"},
      {"DELETE FROM symlinks", "a-bucket/link: a symbolic link without a target"},
      {"UPDATE symlinks SET ino = 10", "a-bucket/folder/file: a link target without a symbolic link"},
      {"INSERT INTO xattrs VALUES(77, x'61', x'62')", "inode 77: extended attributes without an inode"},
      {"DELETE FROM contents", "a-bucket/folder/file: has a size but no content"},
      {"UPDATE contents SET ino = 3", "a-bucket/folder: content without a file"},
      {"UPDATE contents SET leased = -1", "a-bucket/folder/file: its content row has a value out of range"},
      {"UPDATE contents SET inline = x'00'", "a-bucket/folder/file: has both a data file and inline content"},
      {"INSERT INTO contents(ino, rule_version, next_rule_version, leased, next_leased, file, envelope)"
       " VALUES(12, 0, 0, 0, 0, 9, x'')",
       "a-bucket/folder/file: shares its data file"},
      {"INSERT INTO garbage VALUES(9)", "a-bucket/folder/file: its data file is waiting to be removed"},
      {"INSERT INTO garbage VALUES(-9)", "waits to be removed but is no data file: -9"},
      {"UPDATE contents SET file = 0", "a-bucket/folder/file: a chunk map without a data file"},
      {"INSERT INTO maps VALUES((55 << 24) | 7, x'')", "inode 55: a chunk map without a data file"},
      {"INSERT INTO reseal VALUES(3, 100, 0)", "a-bucket/folder: waits to be resealed"},
      {"DELETE FROM buckets", "a-bucket: in the root, but no bucket"},
      {"UPDATE buckets SET name = 'other-bucket'", "a-bucket: a bucket without its name in the root"},
      {"UPDATE buckets SET ino = 3", "a-bucket/folder: a bucket without a directory in the root"},
      {"UPDATE buckets SET algorithm = 'rot13'", "out of its range"},
      {"UPDATE meta SET value = 'x' WHERE name = 'account'", "account"},
      {"DELETE FROM inodes WHERE ino = 10", "a-bucket/folder/file: leads to no inode"},
      {"UPDATE names SET name = x'612f62' WHERE ino = 11", "not a possible name"},
      {"UPDATE names SET name = x'2e2e' WHERE ino = 11", "not a possible name"},
      {"UPDATE names SET hash = hash + 1 WHERE ino = 11", "a-bucket/link: a name at another name's place"},
      {"UPDATE names SET kind = 4 WHERE ino = 11", "a-bucket/link: of another kind than its inode"},
      {"UPDATE names SET parent = 10 WHERE ino = 11", "in something that is no directory"},
      {"UPDATE inodes SET parent = 1 WHERE ino = 3", "a directory that believes to be elsewhere"},
      {"UPDATE inodes SET bucket = 3 WHERE ino = 11", "a-bucket/link: in another bucket than its directory"},
      {"UPDATE inodes SET nlink = 3 WHERE ino = 10", "a-bucket/folder/file: 3 links promised, 2 found"},
      {"UPDATE inodes SET nlink = 0 WHERE ino = 11", "0 links promised, 1 found"},
      {"UPDATE inodes SET nlink = 7 WHERE ino = 3", "a-bucket/folder: 7 links promised, 2 found"},
      {"DELETE FROM names WHERE ino = 3", "inode 3: a directory with 0 names"},
      {"UPDATE names SET parent = 3 WHERE ino = 3; UPDATE inodes SET parent = 3 WHERE ino = 3",
       "a directory that the root does not lead to"},
      {"UPDATE inodes SET mode = -1 WHERE ino = 11", "inode 11 has a value out of range"},
      {"DELETE FROM kms_keys", "a KMS alias without its key: alias/a"},
      {"DELETE FROM kms_keys", "material of a KMS key that does not exist: k"},
      {"DELETE FROM kms_keys", "tags of a KMS key that does not exist: k"},
      {"UPDATE kms_keys SET current_material = 'm1'", "a KMS key whose current material is not its last: k"},
  };
  for (const auto& [sql, line] : plants) {
    Catalog::Savepoint undo(*catalog_);
    plant(sql);
    auto lines = catalog_->verify();
    ASSERT_TRUE(lines.ok()) << sql << ": " << lines.error().message;
    EXPECT_THAT(*lines, ::testing::Contains(::testing::Property(&Damage::line, HasSubstr(line)))) << sql;
  }
  EXPECT_THAT(*catalog_->verify(), IsEmpty());
}

TEST_F(CatalogVerifyTest, AReportHasAnEnd) {
  for (std::uint64_t i = 0; i < kFsckDamageMax + 10; ++i) ASSERT_TRUE(catalog_->set_xattr(1000 + i, "user.a", {}).ok());
  EXPECT_EQ(catalog_->verify()->size(), kFsckDamageMax);
}

}  // namespace
}  // namespace coffer
