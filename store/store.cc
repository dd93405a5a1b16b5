#include "store/store.h"

#include <algorithm>
#include <charconv>

#include "base/encoding.h"
#include "store/catalog_repair.h"
#include "store/data_folders.h"
#include "store/store_state.h"

// Opening a store, what is left over from before, and the small verbs.
namespace coffer {
namespace {

constexpr std::size_t kSweepPage = 256;
// At most this much is handed out between two looks at the disk: others write to it too.
constexpr std::uint64_t kSpaceStep = 8 << 20;

// Of the reserve this part is for deleting and the catalog alone.
constexpr std::uint64_t kReservePartKept = 8;

// What writers leave free for overwriting and deleting: less where the disk is small.
std::uint64_t reserve_of(const Disk::Space& space) { return std::min(kSpaceReserve, space.total / 8); }

}  // namespace

Store::Store(std::unique_ptr<State> state) : state_(std::move(state)) {}
Store::~Store() = default;

Result<std::unique_ptr<Store>> Store::open(Catalog& catalog, Disk& disk, Keyring& keyring, const Clock& clock, Log log,
                                           Principal principal) {
  std::unique_lock lock(catalog.mutex());
  COFFER_ASSIGN(Realm realm, catalog.realm());
  lock.unlock();
  auto state = std::make_unique<State>(catalog, disk, keyring, clock, std::move(log), std::move(principal), std::move(realm.region));
  COFFER_TRY(state->start());
  return std::unique_ptr<Store>(new Store(std::move(state)));
}

Status Store::State::start() {
  if (is_restoring(disk))
    return Error{Code::kDamaged, "a repair of this store did not end: run `coffer fsck STORE --repair` again"};
  bool ended_well = false;
  {
    std::lock_guard lock(catalog.mutex());
    COFFER_TRY(settle_journal_locked(catalog, disk));
    COFFER_TRY(inode_numbers.open_locked());
    COFFER_TRY(file_numbers.open_locked());
    COFFER_ASSIGN(inode_count, catalog.number("inodes", 1));
    COFFER_ASSIGN(commit_state.counter, catalog.number("commit_counter"));
    COFFER_ASSIGN(const auto ended_at, catalog.number("ended_at"));
    ended_well = ended_at != 0 && ended_at == commit_state.counter;
    synced = catalog.database().last();
    find_copy_locked();
  }
  const auto rows_max = (disk.file_size_max() / kChunkSize - 1) / kSlotsPerRow;
  content_end_max = std::min(kObjectSizeMax, rows_max * kChunksPerRow * kChunkSize);
  // Some programs that copy folders leave out the empty ones.
  COFFER_TRY(make_data_folders(disk));
  // After a kill the catalog may name bytes that only the page cache has.
  COFFER_TRY(disk.sync_all());
  COFFER_TRY(durable_commit());
  COFFER_TRY(sweep());
  COFFER_TRY(queue_garbage());
  if (!ended_well) COFFER_TRY(sweep_files());
  COFFER_TRY(durable_commit());
  return {};
}

// Inodes whose last name went while they were open, before the store ended.
Status Store::State::sweep() {
  while (true) {
    Gate::Pass pass(gate);
    std::vector<InodeNumber> inodes_left;
    {
      std::lock_guard lock(catalog.mutex());
      COFFER_ASSIGN(inodes_left, catalog.unlinked_inodes(kSweepPage));
    }
    if (inodes_left.empty()) return {};
    for (const auto ino : inodes_left) {
      unlinked.insert(ino);
      COFFER_TRY(reap(ino));
    }
  }
}

// Data files whose removal was still to come.
Status Store::State::queue_garbage() {
  std::lock_guard lock(catalog.mutex());
  COFFER_ASSIGN(const auto waiting, catalog.garbage(SIZE_MAX >> 1));
  const auto fresh = std::set(garbage_new.begin(), garbage_new.end());
  for (const auto file : waiting)
    if (!fresh.contains(file)) garbage_ready.push_back(file);
  return {};
}

// Data files that nothing names: a kill left those that no commit had seen yet, a power cut brought removed ones back.
Status Store::State::sweep_files() {
  for (std::uint64_t number = 0; number < kDataFileFolders; ++number) {
    COFFER_ASSIGN(const auto names, disk.list(data_file_folder(number)));
    for (const auto& name : names) {
      const auto file = parse_data_file(name);
      if (!file) continue;
      {
        std::lock_guard lock(catalog.mutex());
        COFFER_ASSIGN(const bool named, catalog.names_data_file(*file));
        if (named) continue;
      }
      // A folder of such a name is nobody's, and no reason not to mount.
      if (auto removed = files.remove(*file); !removed && removed.code() != Code::kIsDirectory) return removed;
    }
  }
  return {};
}

Status Store::State::ready() {
  if (catalog.is_lost()) poison({Code::kPoisoned, "the catalog lost its open transaction"});
  if (!is_poisoned) return {};
  std::lock_guard lock(poison_mutex);
  return Error{Code::kPoisoned, "the store stopped at an earlier failure: " + poison_reason};
}

void Store::State::poison(const Error& why) {
  if (catalog.is_lost()) follow_catalog();
  {
    std::lock_guard lock(poison_mutex);
    if (is_poisoned.exchange(true)) return;
    poison_reason = why.message;
  }
  log(LogLevel::kError, "the store can promise nothing any more and refuses changes: " + why.message);
}

// What is in memory and in no commit would otherwise be read with what the last commit says of the rest.
void Store::State::follow_catalog() {
  if (has_followed_catalog.exchange(true)) return;
  objects.forget_all();
  inodes.forget_all();
}

Status Store::State::claim_space(std::uint64_t bytes, RoomFor use) {
  return claim(bytes, [&] { return look_for_space(bytes, use); });
}

Status Store::State::claim_pages(std::uint64_t pages, RoomFor use) {
  return claim(pages * kPageSize, [&] {
    return has_free_pages(pages) ? Status() : look_for_space(pages * kPageSize, use);
  });
}

Status Store::State::claim(std::uint64_t bytes, const std::function<Status()>& look) {
  const auto wanted = static_cast<std::int64_t>(bytes);
  if (space_left.fetch_sub(wanted) >= wanted) return {};
  auto found = look();
  if (found || found.code() != Code::kNoSpace) return found;
  if (give_up_copy()) found = look();
  if (found || found.code() != Code::kNoSpace || !owes_space()) return found;
  COFFER_TRY(give_back());
  return look();
}

bool Store::State::has_free_pages(std::uint64_t pages) const {
  return catalog.database().free_pages() >= pages + kFreePagesKept;
}

// Whether it replaces is asked only where the answer counts: while there is plenty, the first line is all.
Status Store::State::claim_for_content(OpenObject& object, std::uint64_t offset, std::uint64_t size) {
  const auto wanted = static_cast<std::int64_t>(size);
  if (space_left.fetch_sub(wanted) >= wanted) return {};
  auto use = RoomFor::kGrowing;
  bool in_catalog = false;
  {
    std::unique_lock lock(object.mutex);
    COFFER_ASSIGN(const bool replaces, object.stores(offset, size));
    if (replaces) use = RoomFor::kReplacing;
    in_catalog = object.file() == 0 && offset + size <= kInlineSizeMax;
  }
  return in_catalog ? claim_pages(kContentPages, use) : claim_space(size, use);
}

Error disk_full() { return {Code::kNoSpace, "the disk is full"}; }

Status Store::State::look_for_space(std::uint64_t bytes, RoomFor use) {
  std::lock_guard lock(space_mutex);
  space_left = 0;
  COFFER_ASSIGN(const auto space, disk.space());
  const auto kept = reserve_of(space);
  const auto left = [&](std::uint64_t kept_back) {
    kept_back += parts.dirty_bytes;
    return space.available > kept_back ? space.available - kept_back : 0;
  };
  parts.scarce = left(kept) < kSpaceScarce;
  if (left(kept) >= bytes) {
    space_left = static_cast<std::int64_t>(std::min(left(kept), std::max(kSpaceStep, bytes)) - bytes);
    return {};
  }
  switch (use) {
    case RoomFor::kGrowing: break;
    case RoomFor::kReplacing:
      if (left(kept / kReservePartKept) >= bytes) return {};
      break;
  }
  return disk_full();
}

bool Store::State::owes_space() const {
  if (is_poisoned) return false;
  if (changes != durable_changes) return true;
  std::lock_guard lock(garbage_mutex);
  return !garbage_new.empty() || !garbage_in_round.empty() || !garbage_ready.empty();
}

Status Store::State::give_back() {
  COFFER_TRY(durable_commit());
  for (const auto& object : objects.all()) COFFER_TRY(punch_freed(*object, /*slots_min=*/1));
  return remove_garbage_files();
}

Status Store::State::reserve_pages_locked(std::uint64_t pages) {
  return catalog.database().reserve(static_cast<std::uint32_t>(std::min<std::uint64_t>(pages, UINT32_MAX)));
}

Result<Usage> Store::usage() {
  Usage usage;
  COFFER_ASSIGN(usage.space, state_->disk.space());
  usage.space.available -= std::min(reserve_of(usage.space), usage.space.available);
  usage.inodes = state_->inode_count;
  return usage;
}

bool Store::poisoned() const { return state_->is_poisoned || state_->catalog.is_lost(); }
bool Store::dirty() const { return state_->changes != state_->durable_changes || state_->starved > 0; }

Store::CommitState Store::commit_state() const {
  std::lock_guard lock(state_->state_mutex);
  return state_->commit_state;
}

Status Store::finish() {
  COFFER_TRY(state_->ready());
  state_->put_down_scrub();
  // Names that were removed must not come back where the next start looks for none.
  if (auto done = state_->disk.sync_all(); !done) {
    state_->poison(done.error());
    return done;
  }
  state_->ending = true;
  auto ended = state_->checkpoint();
  state_->ending = false;
  COFFER_TRY(std::move(ended));
  state_->copy_at_end();
  return state_->starved > 0 ? disk_full() : Status();
}

void Store::before_commit(std::function<Status()> hook) {
  std::lock_guard lock(state_->commit_mutex);
  state_->hook = std::move(hook);
}

Store::MemoryUse Store::memory_use() const {
  MemoryUse use;
  use.open_objects = state_->objects.size();
  use.dirty_bytes = state_->parts.dirty_bytes;
  use.log_bytes = state_->catalog.database().log_bytes();
  return use;
}

// --- references and attributes ---

void Store::forget(InodeNumber ino, std::uint64_t references) {
  if (!state_->inodes.unrefer(ino, references)) return;
  (void)state_->reap_if_unreferenced(ino);  // what fails is swept when the store is opened next
}

void Store::release(InodeNumber ino) {
  if (!state_->inodes.closed(ino)) return;
  (void)state_->reap_if_unreferenced(ino);
}

Result<Inode> Store::get(InodeNumber ino) {
  COFFER_ASSIGN(const auto handle, state_->inodes.get(ino));
  return state_->inodes.read(handle);
}

Result<Inode> Store::change(InodeNumber ino, const InodeChange& change) {
  auto& s = *state_;
  COFFER_TRY(s.ready());
  COFFER_ASSIGN(const auto handle, s.inodes.get(ino));
  for (const auto& edit : change.xattrs) COFFER_TRY(check_xattr(edit));
  if (change.size) COFFER_TRY(s.checked(s.resize(ino, *change.size, change.as)));
  return s.with_room([&]() -> Result<Inode> {
    Gate::Pass pass(s.gate);
    std::lock_guard lock(s.catalog.mutex());
    COFFER_TRY(s.reserve_pages_locked(1 + xattr_pages(change.xattrs)));
    if (!change.xattrs.empty()) {
      Catalog::Savepoint savepoint(s.catalog);
      COFFER_TRY(s.edit_xattrs_locked(ino, change.xattrs));
      COFFER_TRY(savepoint.keep());
    }
    const auto now = s.clock.wall_ns();
    s.inodes.edit(handle, [&](Inode& inode) {
      inode.mode = change.mode.value_or(inode.mode) & 07777;
      inode.uid = change.uid.value_or(inode.uid);
      inode.gid = change.gid.value_or(inode.gid);
      inode.atime_ns = change.atime_ns.value_or(inode.atime_ns);
      inode.mtime_ns = change.mtime_ns.value_or(inode.mtime_ns);
      inode.ctime_ns = change.ctime_ns.value_or(now);
    });
    s.touch();
    return s.inodes.read(handle);
  });
}

}  // namespace coffer
