#pragma once

#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "store/disk.h"

namespace coffer {

// The data files in use: a bounded number of descriptors, and which files hold bytes that no sync covers yet.
// Thread-safe.
class DataFiles {
 public:
  explicit DataFiles(Disk& disk) : disk_(disk) {}

  Result<std::shared_ptr<DiskFile>> open(std::uint64_t file, OpenMode mode);
  Status remove(std::uint64_t file);  // fine if it is not there

  // Called after bytes of it were written and before a map entry names them: whoever takes it meanwhile syncs either these
  // bytes or what nothing names.
  void wrote(std::uint64_t file);

  // Files written since the last take, and whether their names are new.
  using Batch = std::map<std::uint64_t, bool>;
  Batch take_unsynced();
  void put_back(const Batch& batch);  // as if it had not been taken
  Status sync(const Batch& batch);  // a failure is final

 private:
  struct Open {
    std::shared_ptr<DiskFile> handle;
    std::list<std::uint64_t>::iterator place;
  };

  Disk& disk_;
  std::mutex mutex_;  // all below
  std::unordered_map<std::uint64_t, Open> open_;
  std::list<std::uint64_t> recent_;  // the last used first
  Batch unsynced_;
};

}  // namespace coffer
