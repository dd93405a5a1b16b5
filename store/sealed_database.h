#pragma once

#include <compare>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "crypto/aead_suite.h"
#include "crypto/key_schedule.h"
#include "store/disk.h"

struct sqlite3;

namespace coffer {

// A place in the log: everything committed up to it. Grows for ever, across log generations and mounts.
struct CommitPoint {
  std::uint64_t value = 0;
  auto operator<=>(const CommitPoint&) const = default;
};

// The catalog's SQLite database with every byte of it sealed: coffer.db, coffer.db-wal and coffer.tags through a VFS of
// ours over Disk (docs/FORMAT.md). One write transaction is always open; commit() ends it and begins the next. One writer:
// the caller's lock guards connection(), commit() and their statements. sync_log() and checkpoint_beside() may run beside it.
//
// Two kinds of commit come from two facts: commit() writes log frames and syncs nothing, so a killed process loses
// nothing that was committed; and each commit carries `data_synced`, the point up to which the caller says all data
// files are synced. After a power cut (another boot id) only commits up to the last `data_synced` in the log are used.
class SealedDatabase {
 public:
  enum class Presence { kCreate, kOpen };
  // kOpen replays the log as the boot id allows; kDamaged when anything does not authenticate, naming the file.
  static Result<std::unique_ptr<SealedDatabase>> open(Disk& disk, const KeySchedule& keys, const AeadSuite& suite,
                                                      Presence presence, std::string_view boot_id);
  virtual ~SealedDatabase() = default;

  virtual sqlite3* connection() = 0;  // inside an open write transaction, always

  // Ends the transaction and begins the next. data_synced: the newest earlier point whose data files are all synced, or
  // kThisCommit when even this commit names no unsynced data. Without changes in the transaction the point stays and nothing is written,
  // unless data_synced advances: then a frame is written to carry it.
  struct DataSynced {
    CommitPoint up_to;
    bool this_commit = false;
  };
  virtual Result<CommitPoint> commit(DataSynced data_synced) = 0;

  // After it, every commit up to the one last returned before the call survives power loss, as far as its data_synced says.
  virtual Status sync_log() = 0;

  virtual CommitPoint last() const = 0;           // last commit()
  virtual std::uint64_t log_bytes() const = 0;    // in use; the caller checkpoints above kWalBytesMax
  virtual Bytes last_tag() const = 0;             // of the last frame: the digest that `coffer status` shows

  // Copies committed pages up to `durable` into coffer.db, beside the writer. The caller has made `durable` durable first (I2).
  virtual Status checkpoint_beside(CommitPoint durable) = 0;
  // The rest, with the writer's lock held and everything committed durable; then the log starts again in place.
  virtual Status checkpoint_rest() = 0;

  // Rolls the open transaction back to how the last commit() left it. Only for poisoning and tests.
  virtual void abandon() = 0;
};

// Reads every page of coffer.db and every frame of the log; the first damage, named. For fsck.
Status verify_sealed_files(Disk& disk, const KeySchedule& keys, const AeadSuite& suite);

}  // namespace coffer
