#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "store/open_object.h"

namespace coffer {

// The objects in memory by inode number. Unused ones are kept up to kOpenObjectsCached, the least recently used go
// first. Thread-safe; its lock is the innermost.
class OpenObjects {
 public:
  std::shared_ptr<OpenObject> find(InodeNumber ino);
  void put(std::shared_ptr<OpenObject> object);  // Catalog::mutex() is held, so that two loads give one identity
  void remove(InodeNumber ino);
  void forget_all();
  std::vector<std::shared_ptr<OpenObject>> all() const;
  std::size_t size() const;

 private:
  struct Kept {
    std::shared_ptr<OpenObject> object;
    std::list<InodeNumber>::iterator place;
  };
  void evict();
  static bool evictable(const Kept& kept);

  mutable std::mutex mutex_;
  std::unordered_map<InodeNumber, Kept> objects_;
  std::list<InodeNumber> recent_;  // the last used first
};

}  // namespace coffer
