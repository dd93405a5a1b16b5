#include "store/store_state.h"

// The second copies at the beginning of data files. Written when a file is made and again, behind the users' backs,
// when the object has another name or envelope. Nothing waits for them, nothing counts on them, and no sync is made for
// them: what they cannot say is what a lost catalog said better.
namespace coffer {

// The round that makes a new file durable syncs its header along. A full disk does without.
void Store::State::renew_header(const std::shared_ptr<OpenObject>& object) {
  if (!object->header_due()) return;
  const auto inode = inodes.read(object->inode());
  const auto bucket = bucket_of(inode.bucket);
  if (!bucket) return;
  if (space_left.fetch_sub(kPageSize) < static_cast<std::int64_t>(kPageSize) &&
      !look_for_space(kPageSize, RoomFor::kGrowing)) {
    return;
  }
  std::string path;
  {
    std::lock_guard lock(catalog.mutex());
    if (auto above = key_path_locked(inode.parent)) path = *std::move(above);
  }
  (void)object->write_header(headers, bucket->name.str(), path + inodes.name(object->inode()));
}

void Store::State::queue_header(InodeNumber ino) {
  std::lock_guard lock(headers_mutex);
  if (headers_due.size() < kHeadersDueMax) headers_due.insert(ino);
}

bool Store::renew_headers() {
  auto& s = *state_;
  std::vector<InodeNumber> due;
  {
    std::lock_guard lock(s.headers_mutex);
    for (auto first = s.headers_due.begin(); first != s.headers_due.end() && due.size() < kGarbageStep;) {
      due.push_back(*first);
      first = s.headers_due.erase(first);
    }
  }
  if (s.is_poisoned) return false;
  for (const auto ino : due) {
    const auto object = s.object(ino);
    if (!object) continue;  // gone since
    Gate::Pass pass(s.gate);
    std::unique_lock lock((*object)->mutex);
    (*object)->want_header();
    s.renew_header(*object);
  }
  return !due.empty();
}

}  // namespace coffer
