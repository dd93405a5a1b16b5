#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/check_report.h"
#include "crypto/kms_records.h"
#include "iam/users.h"
#include "store/inode.h"
#include "store/sealed_database.h"

namespace coffer {

// How an object's bytes are sealed and where they are. One per regular file that ever had content; absent for an empty
// file that nothing was written to yet only before its first commit: create issues the envelope at once.
struct ContentRow {
  InodeNumber ino = 0;
  Bytes envelope;                     // encoded Envelope, current
  std::optional<Bytes> next_envelope; // while the object is being resealed
  std::uint64_t rule_version = 0;     // of the bucket's rule when `envelope` was issued
  std::uint64_t next_rule_version = 0;
  std::uint64_t seals_leased = 0;     // under `envelope`; see kSealLease
  std::uint64_t next_seals_leased = 0;
  std::uint64_t file = 0;             // data file number; 0: none, the content is inline or all holes
  std::optional<Bytes> inline_chunk;  // encoded by ChunkMap: entry of chunk 0 and its ciphertext
};

// A chunk as its data file has it, from a durable commit until that file is synced.
struct JournaledChunk {
  InodeNumber ino = 0;
  std::uint64_t chunk = 0;
  Bytes seal, ciphertext;
};

// The catalog: buckets, rules, names, inodes, chunk maps, KMS records, in one sealed SQLite database. The only file that
// speaks SQL about tables. Every verb expects mutex() to be held by the caller, except the KmsRecords and UserRecords ones, which take it. Verbs check
// before they write; several verbs that belong together go into a Savepoint. Errors: kNotFound, kExists, kDamaged, kNoSpace, kIo, kPoisoned.
class Catalog final : public KmsRecords, public UserRecords {
 public:
  // Makes the tables, the root directory (owner uid:gid, 0755) and the meta values, and commits them durably.
  // disk, keys and suite outlive the Catalog.
  static Result<std::unique_ptr<Catalog>> create(Disk& disk, const KeySchedule& keys, const AeadSuite& suite,
                                                 const Realm& realm, std::string_view boot_id);
  static Result<std::unique_ptr<Catalog>> open(Disk& disk, const KeySchedule& keys, const AeadSuite& suite,
                                               std::string_view boot_id);
  ~Catalog() override;

  std::mutex& mutex();
  SealedDatabase& database();
  // The open transaction is gone, and with it all since the last commit. Verbs that write say kPoisoned from then on, those
  // that read show the last commit. mutex() need not be held.
  bool is_lost() const;
  Result<CommitPoint> commit(SealedDatabase::DataSynced data_synced);  // of database(); its failure may be the loss

  // All that is written between its making and keep() or its end: kept, or taken back.
  class Savepoint {
   public:
    explicit Savepoint(Catalog& catalog);
    ~Savepoint();  // rolls back unless kept
    Status keep();
    Savepoint(const Savepoint&) = delete;
    Savepoint& operator=(const Savepoint&) = delete;

   private:
    Catalog& catalog_;
    bool open_ = true;
  };

  // The same catalog once more over a connection of its own, with a mutex of its own: between look() and the end of what
  // it returns, all that is read is of one commit. What writes fails. kBusy from any verb: end the look and begin again
  // (SealedDatabase::Reader). This catalog's mutex() is not held by whoever uses it.
  Result<std::unique_ptr<Catalog>> reader(const std::atomic<bool>& interrupted);
  class Look {
   public:
    explicit Look(Catalog& reader);
    ~Look();
    Look(const Look&) = delete;
    Look& operator=(const Look&) = delete;
    const Status& begun() const { return begun_; }

   private:
    Catalog& reader_;
    Status begun_;
  };

  // --- meta ---
  Result<Realm> realm();
  Result<std::uint64_t> number(std::string_view name, std::uint64_t if_absent = 0);
  Status set_number(std::string_view name, std::uint64_t value);
  Result<std::optional<Bytes>> blob(std::string_view name);
  Status set_blob(std::string_view name, BytesView value);
  Status remove_blob(std::string_view name);
  // All single values of another catalog of the same store but those about keyslots.json, a copy like this one, and the journal.
  // Both mutexes are held.
  Status copy_values(Catalog& from);

  // --- inodes and names ---
  Result<Inode> inode(InodeNumber ino);
  Status insert_inode(const Inode& inode);
  Status update_inode(const Inode& inode);
  Status remove_inode(InodeNumber ino);  // its xattrs, content row and map rows too
  Result<std::vector<InodeNumber>> unlinked_inodes(std::size_t limit);  // nlink == 0, left by a crash

  Result<DirectoryEntry> find_name(InodeNumber parent, std::string_view name);
  Status insert_name(InodeNumber parent, std::string_view name, InodeNumber ino, FileKind kind);
  Status remove_name(InodeNumber parent, std::string_view name);
  Status replace_name(InodeNumber parent, std::string_view name, InodeNumber ino, FileKind kind);  // insert or retarget
  Result<bool> directory_empty(InodeNumber parent);
  Result<std::vector<DirectoryEntry>> list(InodeNumber parent, std::uint64_t after_cookie, std::size_t limit);
  struct EntryWithInode {
    DirectoryEntry entry;
    Inode inode;
  };
  Result<std::vector<EntryWithInode>> list_with_inodes(InodeNumber parent, std::uint64_t after_cookie, std::size_t limit);
  // Every name of an inode: (parent, name). Reads all names there are.
  Result<std::vector<std::pair<InodeNumber, std::string>>> names_of(InodeNumber ino);
  // Any name of an inode: (parent, name). For inspect; kNotFound when unlinked.
  Result<std::pair<InodeNumber, std::string>> any_name(InodeNumber ino);

  Result<std::string> symlink_target(InodeNumber ino);
  Status set_symlink_target(InodeNumber ino, std::string_view target);

  // --- extended attributes ---
  Result<Bytes> xattr(InodeNumber ino, std::string_view name);  // kNoAttribute
  Result<std::vector<std::string>> xattr_names(InodeNumber ino);
  Result<std::uint64_t> xattr_bytes(InodeNumber ino);  // of all names and values together
  Status set_xattr(InodeNumber ino, std::string_view name, BytesView value);
  Status remove_xattr(InodeNumber ino, std::string_view name);  // kNoAttribute

  // --- content ---
  Result<ContentRow> content(InodeNumber ino);  // kNotFound
  Result<Bytes> envelope(InodeNumber ino);      // of content(), without reading inline bytes
  struct Sealed {
    Bytes envelope;
    std::optional<Bytes> next_envelope;
    std::uint64_t rule_version = 0;
  };
  Result<Sealed> sealed(InodeNumber ino);       // the same
  Status put_content(const ContentRow& row);    // insert or replace
  // Another envelope of the same generation; the rest of the row stays as it is. kNotFound.
  Status put_envelope(InodeNumber ino, BytesView envelope, std::uint64_t rule_version);
  Status put_leases(InodeNumber ino, std::uint64_t leased, std::uint64_t next_leased);
  Result<std::optional<Bytes>> map_row(InodeNumber ino, std::uint32_t row);
  Result<std::vector<std::uint32_t>> map_rows(InodeNumber ino, std::uint32_t from, std::size_t limit);  // row numbers that exist, ascending
  Result<std::uint64_t> count_map_rows(InodeNumber ino, std::uint32_t from, std::uint32_t to);  // from <= row <= to
  Status put_map_row(InodeNumber ino, std::uint32_t row, BytesView encoded);
  Status remove_map_row(InodeNumber ino, std::uint32_t row);
  Status remove_map_rows(InodeNumber ino, std::uint32_t from);  // row >= from
  // Every inode, in ascending order.
  Result<std::vector<InodeNumber>> inodes_after(InodeNumber after, std::size_t limit);
  // Every regular file in ascending inode order, for fsck and reseal: inode and its content row if it has one.
  Result<std::vector<InodeNumber>> files_after(InodeNumber after, std::size_t limit);
  struct Census {
    std::uint64_t inodes = 0, allocated = 0;  // allocated: bytes of all inodes together
  };
  Result<Census> census();  // reads every inode

  // --- data files to remove once a durable commit no longer names them ---
  Status add_garbage(std::uint64_t file);
  Result<std::vector<std::uint64_t>> garbage(std::size_t limit);
  Status remove_garbage(std::uint64_t file);
  Result<bool> names_data_file(std::uint64_t file);  // some content row, or the garbage list, has it

  // --- sealed chunks that a durable commit keeps here until their data files are synced: data_journal.h ---
  Status put_journal(std::uint64_t row, const JournaledChunk& chunk);  // insert or replace, from row 1 on
  Status set_journal_rows(std::uint64_t count);                         // from there on rows mean nothing; they stay for the next
  Result<std::uint64_t> journal_rows();
  Result<JournaledChunk> journal(std::uint64_t row);  // kNotFound

  // --- buckets ---
  Result<Bucket> bucket(InodeNumber ino);
  Result<Bucket> bucket(const BucketName& name);  // kNoSuchBucket
  Result<std::vector<Bucket>> buckets();
  Status insert_bucket(const Bucket& bucket);
  Status update_rule(InodeNumber bucket, const SseRule& rule, std::uint64_t rule_version,
                     const std::optional<std::string>& pinned_key);
  Status remove_bucket(InodeNumber bucket);  // and its policy
  Result<std::optional<std::string>> bucket_policy(InodeNumber bucket);
  Status put_bucket_policy(InodeNumber bucket, std::string_view text);
  Status remove_bucket_policy(InodeNumber bucket);

  // --- the reseal queue, newest first ---
  struct Resealing {
    InodeNumber ino = 0;
    std::uint32_t leaving = 0;  // its data is to be under a later generation than this; 0: as its envelope needs
    bool operator==(const Resealing&) const = default;
  };
  Status enqueue_reseal(InodeNumber ino, std::uint32_t leaving = 0);  // moves to the front if it is there
  Result<std::optional<Resealing>> next_reseal();
  Result<std::optional<Resealing>> resealing(InodeNumber ino);
  Result<std::vector<Resealing>> reseal_queue();  // the last to be served first: enqueued in this order it is the same
  Status dequeue_reseal(InodeNumber ino);
  Status postpone_reseal(InodeNumber ino);  // to the back: its key does not serve now
  Result<std::uint64_t> reseal_count();
  Result<bool> reseal_pending(InodeNumber ino);

  // --- KmsRecords ---
  Result<std::vector<KmsKeyRecord>> load_keys() override;
  Result<std::vector<KeyAlias>> load_aliases() override;
  Result<std::map<std::string, std::uint64_t>> load_call_counts() override;
  Status save_key(const KmsKeyRecord& record) override;
  Status save_alias(const KeyAlias& alias) override;
  Status remove_alias(const AccountId& account, std::string_view name) override;
  Status save_call_counts(const std::map<std::string, std::uint64_t>& counts) override;

  // --- UserRecords ---
  Result<std::vector<UserRecord>> load_users() override;
  Status save_user(const UserRecord& user) override;
  Status remove_user(const AccountId& account, std::string_view name) override;

  // Whether every page and log frame of the database authenticates: verify_sealed_files() with what open() was given.
  Status verify_files();
  // Every structural promise of the tables: names lead to inodes, link counts match, maps belong to files, SQLite's own integrity check.
  // Each problem names its object: for fsck's report to the owner.
  // At most kFsckDamageMax.
  Result<std::vector<Damage>> verify();
  // Puts right what of it can be put right without guessing (docs/OPERATIONS.md), in one savepoint: names that lead
  // nowhere, link counts, inodes without a name, which go to lost+found of their bucket. What was done; empty: nothing
  // more can be. One repair may uncover the next: call it again.
  Result<std::vector<Damage>> mend(std::int64_t now_ns);
  // BUCKET/KEY of an inode for a report, whatever state the tables are in: "inode 17" begins it where no names lead to the root.
  // Bytes a terminal could act on are escaped.
  std::string path_of(InodeNumber ino);

 private:
  struct State;
  Result<std::vector<struct WrongLinks>> wrong_links();
  // --- catalog_access.cc ---
  Status put_access(const std::string& name, BytesView value);
  struct AccessChange {
    std::string name;
    Bytes value;               // none: the value goes
    std::uint32_t pages_max;   // of what it changes
  };
  Result<std::vector<AccessChange>> key_access_changes(const KmsKeyRecord& record);
  Status take_key_access(KmsKeyRecord& record);
  explicit Catalog(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// For a report: bytes a terminal could act on are escaped.
std::string printable(std::string_view name);

}  // namespace coffer
