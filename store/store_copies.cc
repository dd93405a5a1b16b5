#include "base/clock.h"
#include "store/store_state.h"

// The catalog's sealed copy: at the end of a mount, and in between after a checkpoint. It is the first thing to give up
// on a full disk, and no failure of it is one of the store's.
namespace coffer {

// With Catalog::mutex().
void Store::State::find_copy_locked() {
  (void)disk.remove(kCatalogCopyNewName);  // of a process that was killed
  const auto head = read_catalog_copy(disk, keyring.keys(), keyring.suite());
  copy_there = head.ok() || head.code() != Code::kNotFound;
  checkpointed_counter = commit_state.counter;
  nothing_since_copy = head.ok() && head->commit_counter == commit_state.counter;
  copy_looked_ns = clock.monotonic_ns();
  const auto still = catalog.database().still();
  copied_point = nothing_since_copy && still ? still->point : CommitPoint{};
}

// Takes no lock: a copy under way sees it before its next step.
bool Store::State::give_up_copy() {
  if (!copy_there.exchange(false)) return false;
  copy_given_up = true;
  (void)disk.remove(kCatalogCopyNewName);
  (void)disk.remove(kCatalogCopyName);
  log(LogLevel::kWarning, "the disk is full: the second copy of the catalog was removed, to be made again when there is room");
  return true;
}

Status Store::State::begin_copy() {
  copy_given_up = false;
  copy_looked_ns = clock.monotonic_ns();
  COFFER_ASSIGN(copy, CatalogCopy::begin(disk, keyring.keys(), keyring.suite(), catalog.database(),
                                         checkpointed_counter, clock.wall_ns()));
  copying = copy != nullptr;
  if (copying) copy_there = true;
  return {};
}

// True: there is more to do.
Result<bool> Store::State::step_copy() {
  if (copy_given_up) return Error{Code::kNoSpace, "its room was needed"};
  COFFER_ASSIGN(const bool more, copy->step());
  if (more) return true;
  copied_point = copy->point();
  copy.reset();
  copying = false;
  return false;
}

void Store::State::end_copy(const Error& why) {
  copy.reset();
  copying = false;
  if (why.code == Code::kBusy) return;  // again after the next checkpoint's rest
  const auto level = why.code == Code::kDamaged ? LogLevel::kError : LogLevel::kWarning;
  log(level, "no new copy of the catalog was made: " + why.message);
}

bool Store::copy_step() {
  auto& s = *state_;
  std::lock_guard lock(s.copy_mutex);
  if (s.is_poisoned) return false;
  if (!s.copy) {
    const auto age = s.clock.monotonic_ns() - s.copy_looked_ns;
    if (age < kCatalogCopySeconds * kNsPerSecond) return false;
    if (age >= kCatalogCopySecondsMax * kNsPerSecond && s.catalog.database().log_bytes() > 0 && !s.checkpoint())
      return false;
    const auto still = s.catalog.database().still();
    if (!still || still->point <= s.copied_point) return false;
    if (auto begun = s.begin_copy(); !begun) s.end_copy(begun.error());
    return s.copy != nullptr;
  }
  const auto stepped = s.step_copy();
  if (!stepped) s.end_copy(stepped.error());
  return true;
}

void Store::State::copy_at_end() {
  std::lock_guard lock(copy_mutex);
  if (nothing_since_copy && changes == 0 && copy_there) return;
  copy.reset();
  if (auto begun = begin_copy(); !begun) return end_copy(begun.error());
  if (!copy) return;
  if (copy->pages() > kCatalogCopyAtEndMax / kPageSize) {
    return end_copy({Code::kLimit, "the catalog is too large to be copied while an unmount waits"});
  }
  while (true) {
    const auto more = step_copy();
    if (!more) return end_copy(more.error());
    if (!*more) return;
  }
}

}  // namespace coffer
