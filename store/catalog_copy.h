#pragma once

#include <memory>
#include <optional>
#include <string>

#include "crypto/aead_suite.h"
#include "crypto/key_schedule.h"
#include "store/disk.h"
#include "store/sealed_database.h"

namespace coffer {

inline constexpr std::string_view kCatalogCopyName = "coffer.copy";
inline constexpr std::string_view kCatalogCopyNewName = "coffer.copy.new";

// What a catalog copy says of itself (docs/FORMAT.md section 10).
struct CatalogCopyHead {
  std::int64_t made_ns = 0;          // wall clock
  std::uint64_t commit_counter = 0;  // of the catalog in it
  std::uint32_t pages = 0;           // of coffer.db
  std::uint64_t tags_size = 0;       // of coffer.tags behind its superblock slots
  Bytes superblocks;                 // coffer.tags' slots, as stored
  Bytes log_headers;                 // coffer.db-wal's, as stored
};

// One copy on its way: the sealed files as they are between two checkpoints, taken a bounded piece at a time beside the
// writer. Every page is opened on the way, so that a damaged catalog never replaces a copy of the whole one. Until
// finish() has renamed it into place the copy before is untouched.
//
// The bytes are written anew and not shared with coffer.db (reflink): one bad block would be in both.
class CatalogCopy {
 public:
  // Nothing where coffer.db is just being written to. kNoSpace: it does not fit; nothing is left of it then.
  static Result<std::unique_ptr<CatalogCopy>> begin(Disk& disk, const KeySchedule& keys, const AeadSuite& suite,
                                                    SealedDatabase& database, std::uint64_t commit_counter,
                                                    std::int64_t now_ns);
  ~CatalogCopy();  // leaves nothing of a copy that was not finished

  std::uint32_t pages() const { return head_.pages; }
  CommitPoint point() const { return still_.point; }
  // kCatalogCopyStep bytes more. True: there is more to do. False: the copy is in place, durably. kBusy: a checkpoint
  // came in between, and it must begin anew. kDamaged: the catalog's own page does not authenticate.
  Result<bool> step();

 private:
  CatalogCopy(Disk& disk, const KeySchedule& keys, const AeadSuite& suite, SealedDatabase& database)
      : disk_(disk), keys_(keys), suite_(suite), database_(database) {}
  Status open(std::uint64_t commit_counter, std::int64_t now_ns);
  Status copy_tags();
  Status copy_pages(std::uint32_t to);
  Status finish();
  Status still_valid() const;

  Disk& disk_;
  const KeySchedule& keys_;
  const AeadSuite& suite_;
  SealedDatabase& database_;
  SealedDatabase::Still still_;
  CatalogCopyHead head_;
  std::unique_ptr<DiskFile> from_, to_;
  std::uint32_t next_ = 1;  // page
  std::uint64_t unsynced_ = 0;
  bool finished_ = false;
};

// The copy in place. kNotFound; kDamaged where its head does not authenticate.
Result<CatalogCopyHead> read_catalog_copy(Disk& disk, const KeySchedule& keys, const AeadSuite& suite);

// One page of the copy, as coffer.db stored it: not opened here.
Result<Bytes> stored_page_of_copy(Disk& disk, const CatalogCopyHead& head, std::uint32_t page);

// Whether everything in it authenticates: its page tags, and each of its pages as they name it. kDamaged, naming the first
// place that does not.
Status verify_catalog_copy(Disk& disk, const KeySchedule& keys, const AeadSuite& suite);

// A block of coffer.tags as the copy has it: not opened here. kNotFound.
Result<Bytes> stored_tags_of_copy(Disk& disk, const CatalogCopyHead& head, std::uint64_t offset);

// The three files that the copy is of, written out under their names with `suffix` behind, synced.
Status write_out_catalog_copy(Disk& disk, const CatalogCopyHead& head, std::string_view suffix);

// No copy is left, whole or begun: for whoever makes what it holds invalid (another root key), or needs its room.
// Durable when it returns.
Status remove_catalog_copies(Disk& disk);

}  // namespace coffer
