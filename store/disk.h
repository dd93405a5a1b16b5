#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace coffer {

// What was never written, or was punched, reads as zeros.
inline bool all_zeros(BytesView bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::uint8_t byte) { return byte == 0; });
}

// One open file of the store's folder. Thread-safe as pread and pwrite are.
class DiskFile {
 public:
  virtual ~DiskFile() = default;
  // Bytes read; fewer than asked for only at the end of the file.
  virtual Result<std::size_t> pread(std::uint64_t offset, MutableBytes into) = 0;
  virtual Status pwrite(std::uint64_t offset, BytesView bytes) = 0;  // all or an error; a torn write may remain
  virtual Status sync() = 0;                                         // fdatasync(2); a failure is final (the store poisons)
  virtual Status truncate(std::uint64_t size) = 0;
  virtual Status allocate(std::uint64_t offset, std::uint64_t size) = 0;  // blocks are there afterwards; the size may grow
  virtual Status punch(std::uint64_t offset, std::uint64_t size) = 0;     // reads as zeros; the size stays
  virtual Result<std::uint64_t> size() = 0;
};

enum class OpenMode { kExisting, kCreate };  // kCreate: made if missing

// The store's folder: the one place that touches storage, beside nothing. Names are relative, with '/' between.
class Disk {
 public:
  virtual ~Disk() = default;
  virtual Result<std::unique_ptr<DiskFile>> open(std::string_view name, OpenMode mode) = 0;  // kNotFound
  virtual Status remove(std::string_view name) = 0;                                          // kNotFound
  virtual Status rename(std::string_view from, std::string_view to) = 0;                     // replaces
  virtual Status make_folder(std::string_view name) = 0;                                     // fine if it is there
  virtual Result<std::vector<std::string>> list(std::string_view folder) = 0;                // names within it
  virtual Status sync_folder(std::string_view folder) = 0;  // names made and removed in it; "" is the store's own
  virtual Status sync_all() = 0;                            // syncfs(2): everything, names too
  struct Space {
    std::uint64_t total = 0, free = 0, available = 0;  // bytes; available: to this user
  };
  virtual Result<Space> space() = 0;
  virtual std::uint64_t file_size_max() = 0;  // bytes; the largest number there is where nobody knows
};

// A folder of the host's file system. Every file is opened close-on-exec, without following a symbolic link, mode 0600.
Result<std::unique_ptr<Disk>> open_real_disk(const std::string& folder);

}  // namespace coffer
