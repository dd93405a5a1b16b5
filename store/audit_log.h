#pragma once

#include <mutex>
#include <span>

#include "base/clock.h"
#include "base/limits.h"
#include "store/audit_reader.h"

namespace coffer {

// The writer of the audit trail (docs/FORMAT.md section 12). What it cannot write it counts, and tells with the next
// record: nothing that is to be recorded waits for a disk that is full. Thread-safe.
class AuditLog {
 public:
  struct Limits {
    std::uint64_t file_bytes = kAuditFileBytesMax, files = kAuditFilesKept;
  };
  // known: what the catalog says; a store that never had a trail says nothing. A torn end is cut off, and counted.
  // Damage is no reason not to go on: damage() tells it, and the trail goes on in another file. disk, keys, suite and
  // clock outlive it.
  static Result<std::unique_ptr<AuditLog>> open(Disk& disk, const KeySchedule& keys, const AeadSuite& suite,
                                                const Clock& clock, const AuditEnd& known, Limits limits);

  const std::optional<Error>& damage() const { return damage_; }

  // All of them are in the trail when it returns, and survive a kill. kNoSpace, kIo: some or all of them are not, and
  // are counted as missing. Each at most kAuditRecordMax bytes, asserted.
  Status append(std::span<const std::string> records);
  // What was appended survives a power cut. After a failure the next record begins another file.
  Status sync();
  AuditEnd end() const;

  // Files before this one go. It is what a durable commit said of `first`.
  Status prune(std::uint64_t first);

  Result<AuditPage> read(const AuditPlace& from, std::size_t limit) const;
  Result<AuditVerdict> verify() const;

 private:
  AuditLog(Disk& disk, const KeySchedule& keys, const AeadSuite& suite, const Clock& clock, Limits limits)
      : disk_(disk), keys_(keys), suite_(suite), clock_(clock), limits_(limits) {}
  Status begin_file();
  Status write(AuditFrame frame);

  Disk& disk_;
  const KeySchedule& keys_;
  const AeadSuite& suite_;
  const Clock& clock_;
  const Limits limits_;
  std::optional<Error> damage_;

  mutable std::mutex kept_mutex_;  // while files are read that prune() would remove. Comes first
  mutable std::mutex mutex_;       // all below
  std::optional<AuditFile> file_;  // none: the next record begins one
  AuditEnd end_;
  AuditPlace synced_;
  std::uint64_t last_number_ = 0;  // of all files there ever were
  std::uint64_t missing_ = 0, cuts_ = 0;
  bool names_synced_ = true;
};

}  // namespace coffer
