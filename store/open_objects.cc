#include "store/open_objects.h"

#include <cassert>

#include "base/limits.h"

namespace coffer {

std::shared_ptr<OpenObject> OpenObjects::find(InodeNumber ino) {
  std::lock_guard lock(mutex_);
  const auto found = objects_.find(ino);
  if (found == objects_.end()) return nullptr;
  recent_.splice(recent_.begin(), recent_, found->second.place);
  return found->second.object;
}

void OpenObjects::put(std::shared_ptr<OpenObject> object) {
  std::lock_guard lock(mutex_);
  const auto ino = object->ino();
  assert(!objects_.contains(ino));
  recent_.push_front(ino);
  objects_[ino] = {std::move(object), recent_.begin()};
  evict();
}

void OpenObjects::remove(InodeNumber ino) {
  std::lock_guard lock(mutex_);
  const auto found = objects_.find(ino);
  if (found == objects_.end()) return;
  recent_.erase(found->second.place);
  objects_.erase(found);
}

void OpenObjects::forget_all() {
  std::lock_guard lock(mutex_);
  objects_.clear();
  recent_.clear();
}

// References are taken under this lock, or copied from one that lives: one alone means that nobody else can get at the object.
void OpenObjects::evict() {
  for (std::size_t i = 0; i < kEvictionLook && objects_.size() > kOpenObjectsCached; ++i) {
    const auto oldest = objects_.find(recent_.back());
    if (!evictable(oldest->second)) {
      recent_.splice(recent_.begin(), recent_, oldest->second.place);
      continue;
    }
    recent_.pop_back();
    objects_.erase(oldest);
  }
}

bool OpenObjects::evictable(const Kept& kept) {
  if (kept.object.use_count() != 1) return false;
  // Free, but for a moment: taken to see what its last user left.
  const std::unique_lock lock(kept.object->mutex, std::try_to_lock);
  return lock.owns_lock() && kept.object->evictable();
}

std::vector<std::shared_ptr<OpenObject>> OpenObjects::all() const {
  std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<OpenObject>> objects;
  objects.reserve(objects_.size());
  for (const auto& [ino, kept] : objects_) objects.push_back(kept.object);
  return objects;
}

std::size_t OpenObjects::size() const {
  std::lock_guard lock(mutex_);
  return objects_.size();
}

}  // namespace coffer
