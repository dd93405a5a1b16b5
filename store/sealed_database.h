#pragma once

#include <atomic>
#include <compare>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "crypto/aead_suite.h"
#include "crypto/key_schedule.h"
#include "store/disk.h"
#include "store/written_rows.h"

struct sqlite3;

namespace coffer {

// A place in the log: everything committed up to it. Grows for ever, across log generations and mounts.
struct CommitPoint {
  std::uint64_t value = 0;
  auto operator<=>(const CommitPoint&) const = default;
};

// The catalog's SQLite database with every byte of it sealed: coffer.db, coffer.db-wal and coffer.tags through a VFS of
// ours over Disk (docs/FORMAT.md). One write transaction is always open; commit() ends it and begins the next. One
// writer: the caller's lock guards connection(), commit() and their statements. sync_log() and checkpoint_beside() may
// run beside it.
//
// Two kinds of commit come from two facts: commit() writes log frames and syncs nothing, so a killed process loses
// nothing that was committed; and each commit carries `data_synced`, the point up to which the caller says all data
// files are synced, or what they lack is in the catalog. After a power cut (another boot id, or a data file without the
// bytes that later commits told of) only commits up to the last `data_synced` in the log are used.
class SealedDatabase {
 public:
  enum class Presence { kCreate, kOpen };
  // kOpen replays the log as the boot id and the data files allow; kDamaged when anything does not authenticate, naming
  // the file.
  static Result<std::unique_ptr<SealedDatabase>> open(Disk& disk, const KeySchedule& keys, const AeadSuite& suite,
                                                      Presence presence, std::string_view boot_id);
  virtual ~SealedDatabase() = default;

  virtual sqlite3* connection() = 0;  // inside an open write transaction, always

  // Ends the transaction and begins the next. data_synced: the newest earlier point whose data files are all synced, or
  // kThisCommit when even this commit names no unsynced data. Without changes in the transaction the point stays and
  // nothing is written, unless data_synced advances: then a frame is written to carry it. unsynced: the map rows that
  // this commit changes and does not say are synced. The log tells of them if it is to and has room; else that it does
  // not.
  struct DataSynced {
    CommitPoint up_to;
    bool this_commit = false;
    std::span<const WrittenRow> unsynced{};
    bool tell = true;
  };
  virtual Result<CommitPoint> commit(DataSynced data_synced) = 0;

  // Before an operation of the open transaction: room for so many more changed pages, in the log and in coffer.db,
  // and in the log for kPagesAhead more, which no operation takes from the commits that make it durable, and from the
  // checkpoint that empties the log.
  // kNoSpace costs nothing; a commit() without room loses the transaction.
  virtual Status reserve(std::uint32_t pages) = 0;
  virtual Status reserve_for_commit(std::uint32_t pages) = 0;  // before a commit's own changes: takes what is kept for it
  // Pages of coffer.db that hold nothing, less what reserve() has promised of them: room that takes none of the disk's.
  // Thread-safe.
  virtual std::uint32_t free_pages() const = 0;

  // After it, every commit up to the one last returned before the call survives power loss, as far as its data_synced
  // says.
  virtual Status sync_log() = 0;

  virtual CommitPoint last() const = 0;         // last commit()
  virtual std::uint64_t log_bytes() const = 0;  // in use; the caller checkpoints above kWalBytesMax
  virtual Bytes last_tag() const = 0;           // of the last frame: the digest that `coffer status` shows

  // Marks last() as how far the next checkpoint_beside() copies; nothing while a checkpoint or a reader is at work. With the
  // writer's lock held, after a commit whose data is synced, or will be beside the writer.
  virtual Status pin() = 0;

  // Copies committed pages up to the pinned point into coffer.db and syncs them, beside the writer. Nothing to do, and
  // no error, unless the pinned point is at or before `durable`, which the caller has made durable first (I2).
  virtual Status checkpoint_beside(CommitPoint durable) = 0;
  // The rest, with the writer's lock held and everything committed durable; then the log starts again in place.
  virtual Status checkpoint_rest() = 0;

  // Beside the writer, for whoever copies or checks coffer.db: where no frame of the log is in it yet, and none is on its
  // way, coffer.db, coffer.tags and the log's headers stay as they are until checkpoints() says another number.
  struct Still {
    std::uint64_t checkpoints = 0;
    std::uint32_t pages = 0;  // of coffer.db
    CommitPoint point;        // the last commit in it
  };
  virtual std::optional<Still> still() = 0;
  virtual std::uint64_t checkpoints() const = 0;  // begun so far
  // Whether a page, as coffer.db stores it, is what was last written there. A checkpoint that comes in between may make
  // it fail: ask checkpoints() afterwards.
  virtual Status verify_page(std::uint32_t page) = 0;

  // The same of the pages from `from` on, some at a time, and of the nodes of page tags over them, as the disk has them;
  // no checkpoint comes in between. Each damage is a line. The next page to begin with; 0: that was all.
  virtual Result<std::uint32_t> verify_pages(std::uint32_t from, std::vector<Error>& damage) = 0;
  // Every page in the log, with the caller's lock held.
  virtual Status verify_log() = 0;

  // A connection of its own that shows commits, for whoever reads much beside the writer. One thread's. It ends before
  // the database.
  class Reader {
   public:
    virtual ~Reader() = default;
    virtual sqlite3* connection() = 0;
    // Until end() it shows the last commit, and no checkpoint runs. Where one wants to, or `interrupted` says so,
    // statements fail with kBusy: then end, and begin again. The caller holds no lock of the writer's.
    virtual Status begin() = 0;
    virtual void end() = 0;
  };
  virtual Result<std::unique_ptr<Reader>> reader(const std::atomic<bool>& interrupted) = 0;

  // What a statement's failure means: the precise Error of the disk or of a page that did not authenticate, if that was
  // the cause. sqlite_code is what SQLite returned, extended or not.
  virtual Error explain(int sqlite_code, std::string_view doing) = 0;

  // After an I/O error or a full disk SQLite may have rolled the whole open transaction back. Then every operation
  // since the last commit() is gone, commit() fails, and the store must poison itself.
  virtual bool is_transaction_lost() const = 0;

  // Rolls the open transaction back to how the last commit() left it. Only for poisoning and tests.
  virtual void abandon() = 0;
};

// Reads every page of coffer.db and every frame of the log; the first damage, named. For fsck.
Status verify_sealed_files(Disk& disk, const KeySchedule& keys, const AeadSuite& suite);

}  // namespace coffer
