#include "store/log_index.h"

namespace coffer {

volatile void* LogIndex::region(int number, std::size_t size, bool extend) {
  const std::lock_guard lock(mutex_);
  const auto index = static_cast<std::size_t>(number);
  while (extend && regions_.size() <= index) regions_.push_back(std::make_unique<std::uint8_t[]>(size));
  return index < regions_.size() ? regions_[index].get() : nullptr;
}

bool LogIndex::lock_shared(Holder& holder, int first, int count) {
  const std::lock_guard lock(mutex_);
  const std::uint8_t wanted = mask(first, count);
  if ((exclusive_ & wanted & ~holder.exclusive) != 0) return false;
  for (int i = first; i < first + count; ++i) {
    if ((holder.shared & mask(i, 1)) == 0) ++sharers_[static_cast<std::size_t>(i)];
  }
  holder.shared |= wanted;
  return true;
}

bool LogIndex::lock_exclusive(Holder& holder, int first, int count) {
  const std::lock_guard lock(mutex_);
  const std::uint8_t wanted = mask(first, count);
  if ((exclusive_ & wanted & ~holder.exclusive) != 0) return false;
  for (int i = first; i < first + count; ++i) {
    const int own = (holder.shared & mask(i, 1)) != 0 ? 1 : 0;
    if (sharers_[static_cast<std::size_t>(i)] > own) return false;
  }
  exclusive_ |= wanted;
  holder.exclusive |= wanted;
  return true;
}

void LogIndex::unlock(Holder& holder, int first, int count) {
  const std::lock_guard lock(mutex_);
  for (int i = first; i < first + count; ++i) {
    const std::uint8_t bit = mask(i, 1);
    if ((holder.shared & bit) != 0) --sharers_[static_cast<std::size_t>(i)];
    if ((holder.exclusive & bit) != 0) exclusive_ &= static_cast<std::uint8_t>(~bit);
    holder.shared &= static_cast<std::uint8_t>(~bit);
    holder.exclusive &= static_cast<std::uint8_t>(~bit);
  }
}

void LogIndex::barrier() {
  __sync_synchronize();  // not std::atomic_thread_fence: g++ refuses it under ThreadSanitizer
  const std::lock_guard lock(mutex_);
}

}  // namespace coffer
