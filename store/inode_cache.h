#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "store/catalog.h"
#include "store/inode.h"

namespace coffer {

// The attributes of inodes in use, ahead of the catalog: changes stay here until flush_locked() at a commit. And who
// refers to which inode. Thread-safe; "_locked" verbs expect Catalog::mutex() to be held, which comes before the
// cache's own lock.
class InodeCache {
 public:
  class Cell;
  using Handle = std::shared_ptr<Cell>;  // holding one keeps the inode's identity

  explicit InodeCache(Catalog& catalog) : catalog_(catalog) {}

  Result<Handle> get(InodeNumber ino);  // takes Catalog::mutex() if it must read; kNotFound
  Result<Handle> get_locked(InodeNumber ino);
  std::optional<Inode> find(InodeNumber ino);  // only if it is in memory
  Handle insert_locked(const Inode& inode);    // the catalog has just been given it
  void remove_locked(InodeNumber ino);         // the catalog has just removed it
  void forget_all();                           // the catalog lost what is here; references stay

  Inode read(const Handle& handle) const;
  // `change` is called with the live inode under the cache's lock.
  template <class Change>
  void edit(const Handle& handle, Change&& change);
  Status flush_locked();  // writes all changes into the catalog

  // The name an inode was last met under, kept as long as it is in memory: second copies are written under it.
  void named(const Handle& handle, InodeNumber parent, std::string_view name);
  std::string name(const Handle& handle) const;  // empty: not known

  // References: the kernel's lookups and open files.
  void refer(InodeNumber ino, std::uint64_t lookups);
  void opened(InodeNumber ino);
  // True when none is left.
  bool unrefer(InodeNumber ino, std::uint64_t lookups);
  bool closed(InodeNumber ino);
  bool referenced(InodeNumber ino) const;
  std::vector<InodeNumber> references() const;

 private:
  struct References {
    std::uint64_t lookups = 0, opens = 0;
  };
  bool drop_if_unused(std::unordered_map<InodeNumber, References>::iterator place);
  Handle keep(const Inode& inode);
  void evict();

  Catalog& catalog_;
  mutable std::mutex mutex_;  // all below, and the inodes of all cells
  std::unordered_map<InodeNumber, Handle> cells_;
  std::list<InodeNumber> recent_;  // the last used first
  std::unordered_set<InodeNumber> dirty_;
  std::unordered_map<InodeNumber, References> references_;
};

class InodeCache::Cell {
 private:
  friend class InodeCache;
  Inode inode;
  std::string name;  // in inode.parent
  bool removed = false;
  std::list<InodeNumber>::iterator place;
};

template <class Change>
void InodeCache::edit(const Handle& handle, Change&& change) {
  std::lock_guard lock(mutex_);
  if (handle->removed) return;
  change(handle->inode);
  dirty_.insert(handle->inode.ino);
}

}  // namespace coffer
