#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/limits.h"
#include "store/catalog.h"
#include "store/statements.h"

namespace coffer {

// What the catalog's source files share. `mutex` guards all of it and the connection.
struct Catalog::State {
  State(Disk& below, const KeySchedule& schedule, const AeadSuite& ciphers, std::shared_ptr<SealedDatabase> sealed,
        std::unique_ptr<SealedDatabase::Reader> own_reader = nullptr)
      : disk(below),
        keys(schedule),
        suite(ciphers),
        database(std::move(sealed)),
        reader(std::move(own_reader)),
        statements(*database, reader ? reader->connection() : database->connection()),
        name_key(keys.purpose_key(Purpose::kNameHash)) {}

  // Shorthand for the verbs: state_->query("SELECT ...", arguments).
  template <Lasting... Arguments>
  Query query(SqlText sql, Arguments&&... arguments) {
    return statements.query(sql, std::forward<Arguments>(arguments)...);
  }

  Disk& disk;
  const KeySchedule& keys;
  const AeadSuite& suite;
  std::mutex mutex;
  std::shared_ptr<SealedDatabase> database;
  std::unique_ptr<SealedDatabase::Reader> reader;  // of a catalog that shows commits alone
  Statements statements;  // ends before the connection
  Key name_key;
  bool journal_made = false;  // its table is there, and the format says so
};

// While one is there SQLite zeroes the pages that it frees, and not only what it deletes from a page. For every change of
// a table with secrets, kms_materials and meta, with State::mutex held and before a Savepoint: a page that such a table
// frees at any other time keeps copies of its rows. Ask begun() before the first change.
class ErasedPages {
 public:
  explicit ErasedPages(Statements& statements)
      : statements_(statements), begun_(statements.begin_erasing()) {}
  ~ErasedPages() { statements_.end_erasing(); }
  ErasedPages(const ErasedPages&) = delete;
  ErasedPages& operator=(const ErasedPages&) = delete;
  const Status& begun() const { return begun_; }

 private:
  Statements& statements_;
  const Status begun_;
};

inline constexpr std::uint64_t kFormatVersion = 1;     // of a new store
inline constexpr std::uint64_t kFormatOfPolicies = 2;  // once it holds users or policies
inline constexpr std::uint64_t kFormatOfJournal = 3;   // once it kept chunks until their data files were synced
inline constexpr int kMapRowBits = 24;  // of a map row's id; the inode is above them
static_assert(kMapRowMax == (1U << kMapRowBits) - 1);

Status make_tables(Statements& statements);
// From now on the store is of this format at least: earlier versions refuse it.
Status raise_format(Catalog& catalog, std::uint64_t version);

// SipHash-2-4 of a name under the store's key, cut to 62 bits. At least 3: 0 means "from the start" to list(), and 1
// and 2 are left to callers for "." and "..".
std::uint64_t name_hash(const Key& key, std::string_view name);

// The columns of kInodeColumns, from `first` on.
Inode inode_at(Query& row, int first);

Result<Bucket> bucket_at(Query& row);

// --- what catalog_verify.cc finds and catalog_mend.cc puts right ---

bool is_possible_name(std::string_view name);

// An inode whose links are not as promised.
struct WrongLinks {
  InodeNumber ino = 0;
  std::uint32_t folders = 0;  // directories in it
  bool adrift = false;        // a directory that the root does not lead to
};
Result<bool> reaches_root(Statements& statements, InodeNumber ino);

struct CountedNumber {
  std::string name;         // in meta; where it is not recorded nothing is promised
  std::uint64_t found = 0;
  bool exact = false;       // else it has to be greater
};
Result<std::vector<CountedNumber>> counted_numbers(Statements& statements);

}  // namespace coffer
