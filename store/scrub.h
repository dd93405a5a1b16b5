#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "base/check_report.h"
#include "crypto/keyring.h"
#include "store/catalog.h"
#include "store/disk.h"
#include "store/file_header.h"
#include "store/object_check.h"

namespace coffer {

// One check of a whole store beside its users: what fsck asks of an unmounted one. It reads the last commit over a
// connection of its own, a bounded piece at a time. What does not open there may have changed meanwhile: it counts as
// damage once it did not open while nothing could change. One thread steps; progress(), report() and place() may come
// from others.
class Scrub {
 public:
  struct Parts {
    Catalog& catalog;
    Disk& disk;
    Keyring& keyring;
    const FileHeaders& headers;
    const Principal& principal;
    const std::atomic<bool>& interrupted;  // a step ends soon after, with kBusy
    // Calls it while nothing changes and all that was answered is in the last commit.
    std::function<Status(const std::function<Status()>&)> at_rest;
    std::function<bool(const std::string& kms_key_arn)> held;
    std::mutex& keys;  // held while data keys are in use
  };
  // `place`: of an earlier one of this store that did not end, or empty. The catalog is checked anew, and so are the
  // objects in which damage was found; then it goes on where that one was.
  static Result<std::unique_ptr<Scrub>> begin(Parts parts, BytesView place);

  // True: there is more to do. After a failure the same step may be tried again.
  Result<bool> step();

  struct Progress {
    std::uint64_t done = 0, total = 0;  // bytes
  };
  Progress progress() const;
  CheckReport report() const;
  Bytes place() const;

 private:
  enum class Phase { kPages, kLog, kCopy, kTables, kAgain, kObjects, kFolders, kHistory, kDone };
  // Some of an object's map rows, all of one commit.
  struct Piece {
    bool there = false;
    Inode inode;
    ContentRow content;
    std::optional<Error> wrong;  // with what the catalog says of it
    ObjectSeals seals;
    std::vector<std::pair<std::uint32_t, ChunkRow>> rows;
    bool more = false;
  };
  struct Bad {
    std::uint64_t chunk = 0;
    std::string why;
  };

  explicit Scrub(Parts parts) : parts_(std::move(parts)) {}
  Status piece();
  void leave_out_the_rest();
  Status resume(BytesView place);

  Status pages();
  Status log();
  Status copy();
  Status tables();
  Status again();
  Status objects();
  Status object_piece(InodeNumber ino, std::uint32_t& row, bool counted, bool& more);
  Status read_piece(InodeNumber ino, std::uint32_t row, bool whole, Piece& piece);
  Status check_rows(const Piece& piece, std::vector<Bad>& bad, std::uint64_t& chunks);
  Status recheck(const Piece& suspect, const std::pair<std::uint32_t, ChunkRow>& row);
  Status unlock_held(Piece& piece, std::unique_lock<std::mutex>& in_use);
  Status second_copy(const Piece& piece);
  Status folder(unsigned number);
  Status history();

  // `work` reads through reader_, all of one commit.
  Status look(const std::function<Status()>& work);
  void damage(std::string object, std::string what);
  void tell(std::string object, std::string what);  // with mutex_
  Status object_damage(InodeNumber ino, const std::string& what);
  void read_bytes(std::uint64_t bytes);

  const Parts parts_;
  std::unique_ptr<Catalog> reader_;
  Phase phase_ = Phase::kPages;
  std::uint32_t page_ = 1;
  unsigned folder_ = 0;
  std::vector<InodeNumber> again_;

  mutable std::mutex mutex_;  // all below
  CheckReport report_;
  Progress progress_;
  InodeNumber after_ = 0, ino_ = 0;  // objects before are done; one is on its way, before row_
  std::uint32_t row_ = 0;
  std::set<InodeNumber> damaged_;
};

}  // namespace coffer
