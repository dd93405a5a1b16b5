#include "store/data_files.h"

#include <set>
#include <string>

#include "base/limits.h"
#include "store/chunk_map.h"

namespace coffer {
namespace {

// Up to this many files, syncing each costs less than syncing the whole file system (25 ms for 300 files, measured).
constexpr std::size_t kSingleSyncsMax = 8;

}  // namespace

Result<std::shared_ptr<DiskFile>> DataFiles::open(std::uint64_t file, OpenMode mode) {
  std::lock_guard lock(mutex_);
  if (auto known = open_.find(file); known != open_.end()) {
    recent_.splice(recent_.begin(), recent_, known->second.place);
    return known->second.handle;
  }
  if (mode == OpenMode::kCreate) unsynced_[file] = true;
  COFFER_ASSIGN(std::shared_ptr<DiskFile> handle, disk_.open(data_file_name(file), mode));
  while (open_.size() >= kOpenDataFiles) {
    open_.erase(recent_.back());
    recent_.pop_back();
  }
  recent_.push_front(file);
  open_[file] = {handle, recent_.begin()};
  return handle;
}

Status DataFiles::remove(std::uint64_t file) {
  std::lock_guard lock(mutex_);
  if (auto known = open_.find(file); known != open_.end()) {
    recent_.erase(known->second.place);
    open_.erase(known);
  }
  unsynced_.erase(file);
  auto removed = disk_.remove(data_file_name(file));
  if (!removed && removed.code() == Code::kNotFound) return {};
  return removed;
}

void DataFiles::wrote(std::uint64_t file) {
  std::lock_guard lock(mutex_);
  unsynced_.try_emplace(file, false);
}

DataFiles::Batch DataFiles::take_unsynced() {
  std::lock_guard lock(mutex_);
  return std::exchange(unsynced_, {});
}

void DataFiles::put_back(const Batch& batch) {
  std::lock_guard lock(mutex_);
  for (const auto& [file, is_new] : batch) {
    auto& known = unsynced_[file];
    known = known || is_new;
  }
}

Status DataFiles::sync(const Batch& batch) {
  if (batch.size() > kSingleSyncsMax) return disk_.sync_all();
  std::set<std::string> folders;
  for (const auto& [file, is_new] : batch) {
    auto handle = open(file, OpenMode::kExisting);
    // Made for a write that failed before its first byte, or collected since.
    if (!handle && handle.code() == Code::kNotFound) continue;
    if (!handle) return std::move(handle).error();
    COFFER_TRY((*handle)->sync());
    if (is_new) folders.insert(data_file_folder(file));
  }
  for (const auto& folder : folders) COFFER_TRY(disk_.sync_folder(folder));
  return {};
}

}  // namespace coffer
