#include "store/inode_cache.h"

#include <algorithm>

#include "base/limits.h"

namespace coffer {

Result<InodeCache::Handle> InodeCache::get(InodeNumber ino) {
  {
    std::lock_guard lock(mutex_);
    if (auto known = cells_.find(ino); known != cells_.end()) {
      recent_.splice(recent_.begin(), recent_, known->second->place);
      return known->second;
    }
  }
  std::lock_guard catalog_lock(catalog_.mutex());
  return get_locked(ino);
}

Result<InodeCache::Handle> InodeCache::get_locked(InodeNumber ino) {
  {
    std::lock_guard lock(mutex_);
    if (auto known = cells_.find(ino); known != cells_.end()) {
      recent_.splice(recent_.begin(), recent_, known->second->place);
      return known->second;
    }
  }
  const auto inode = catalog_.inode(ino);
  // Whoever has its number has seen it: then it went with what the last commit does not have.
  if (!inode && inode.code() == Code::kNotFound && catalog_.is_lost())
    return Error{Code::kPoisoned, "it was made after the last commit, and the commit that was to keep it failed"};
  if (!inode) return inode.error();
  return keep(*inode);
}

std::optional<Inode> InodeCache::find(InodeNumber ino) {
  std::lock_guard lock(mutex_);
  const auto known = cells_.find(ino);
  if (known == cells_.end()) return std::nullopt;
  return known->second->inode;
}

InodeCache::Handle InodeCache::insert_locked(const Inode& inode) { return keep(inode); }

void InodeCache::remove_locked(InodeNumber ino) {
  std::lock_guard lock(mutex_);
  dirty_.erase(ino);
  const auto known = cells_.find(ino);
  if (known == cells_.end()) return;
  known->second->removed = true;
  recent_.erase(known->second->place);
  cells_.erase(known);
}

void InodeCache::forget_all() {
  std::lock_guard lock(mutex_);
  for (const auto& [ino, cell] : cells_) cell->removed = true;
  cells_.clear();
  recent_.clear();
  dirty_.clear();
}

Inode InodeCache::read(const Handle& handle) const {
  std::lock_guard lock(mutex_);
  return handle->inode;
}

// A file has one remembered name: of its links the one in the directory it was last put into.
void InodeCache::named(const Handle& handle, InodeNumber parent, std::string_view name) {
  std::lock_guard lock(mutex_);
  if (handle->inode.parent == parent && handle->name != name) handle->name = name;
}

std::string InodeCache::name(const Handle& handle) const {
  std::lock_guard lock(mutex_);
  return handle->name;
}

Status InodeCache::flush_locked() {
  std::vector<Inode> changed;
  {
    std::lock_guard lock(mutex_);
    changed.reserve(dirty_.size());
    for (const auto ino : dirty_) changed.push_back(cells_.at(ino)->inode);
    dirty_.clear();
  }
  for (const auto& inode : changed) {
    const auto written = catalog_.update_inode(inode);
    if (written) continue;
    std::lock_guard lock(mutex_);
    for (const auto& again : changed)
      if (cells_.contains(again.ino)) dirty_.insert(again.ino);
    return written;
  }
  return {};
}

InodeCache::Handle InodeCache::keep(const Inode& inode) {
  std::lock_guard lock(mutex_);
  auto& cell = cells_[inode.ino];
  if (cell) return cell;
  cell = std::make_shared<Cell>();
  cell->inode = inode;
  recent_.push_front(inode.ino);
  cell->place = recent_.begin();
  auto handle = cell;
  evict();
  return handle;
}

void InodeCache::evict() {
  for (std::size_t i = 0; i < kEvictionLook && cells_.size() > kInodesCached; ++i) {
    const auto oldest = cells_.find(recent_.back());
    const bool in_use = oldest->second.use_count() > 1 || dirty_.contains(oldest->first);
    if (in_use) {
      recent_.splice(recent_.begin(), recent_, oldest->second->place);
      continue;
    }
    recent_.pop_back();
    cells_.erase(oldest);
  }
}

void InodeCache::refer(InodeNumber ino, std::uint64_t lookups) {
  std::lock_guard lock(mutex_);
  references_[ino].lookups += lookups;
}

void InodeCache::opened(InodeNumber ino) {
  std::lock_guard lock(mutex_);
  ++references_[ino].opens;
}

bool InodeCache::unrefer(InodeNumber ino, std::uint64_t lookups) {
  std::lock_guard lock(mutex_);
  const auto place = references_.find(ino);
  if (place == references_.end()) return false;
  place->second.lookups -= std::min(lookups, place->second.lookups);
  return drop_if_unused(place);
}

bool InodeCache::closed(InodeNumber ino) {
  std::lock_guard lock(mutex_);
  const auto place = references_.find(ino);
  if (place == references_.end()) return false;
  if (place->second.opens > 0) --place->second.opens;
  return drop_if_unused(place);
}

bool InodeCache::drop_if_unused(std::unordered_map<InodeNumber, References>::iterator place) {
  if (place->second.lookups > 0 || place->second.opens > 0) return false;
  references_.erase(place);
  return true;
}

bool InodeCache::referenced(InodeNumber ino) const {
  std::lock_guard lock(mutex_);
  return references_.contains(ino);
}

std::vector<InodeNumber> InodeCache::references() const {
  std::lock_guard lock(mutex_);
  std::vector<InodeNumber> all;
  all.reserve(references_.size());
  for (const auto& [ino, unused] : references_) all.push_back(ino);
  return all;
}

}  // namespace coffer
