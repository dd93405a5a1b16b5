#include <algorithm>

#include "base/encoding.h"
#include "store/store_state.h"

// Commits. A commit is a prefix of the answered requests, because a freeze waits for the operations under way and keeps
// new ones out while it collects what is in memory. No sync of a disk happens inside a freeze, but for a checkpoint's
// last frames.
namespace coffer {

Status Store::State::flush_changed() {
  std::vector<std::shared_ptr<OpenObject>> changed;
  {
    std::lock_guard lock(changed_mutex);
    changed = changed_objects;
  }
  Status first;
  for (const auto& object : changed) {
    Gate::Pass pass(gate);
    std::unique_lock lock(object->mutex);
    if (auto flushed = flush_or_starve(*object); !flushed && first) first = std::move(flushed);
    renew_header(object);
  }
  return first;
}

Status Store::State::flush_or_starve(OpenObject& object) {
  auto flushed = object.flush();
  if (flushed || flushed.code() != Code::kNoSpace) return flushed;
  parts.scarce = was_full = true;
  space_left = 0;
  return {};
}

Status Store::State::flush_frozen() {
  std::uint64_t still_dirty = 0;
  for (const auto& object : changed_objects) {
    std::unique_lock lock(object->mutex);
    COFFER_TRY(flush_or_starve(*object));
    if (object->header_due()) queue_header(object->ino());
    object->starved = object->has_dirty_chunks();
    if (object->starved) ++still_dirty;
  }
  starved = still_dirty;
  return {};
}

Status Store::State::write_out_frozen() {
  std::vector<std::shared_ptr<OpenObject>> still_changed;
  for (const auto& object : changed_objects) {
    std::unique_lock object_lock(object->mutex);
    std::lock_guard lock(catalog.mutex());
    COFFER_TRY(object->write_out());
    object->listed = object->starved;
    if (object->listed) still_changed.push_back(object);
    if (object->awaits_round || !object->unsettled()) continue;
    object->awaits_round = true;
    unsettled.push_back(object);
  }
  changed_objects = std::move(still_changed);
  return {};
}

Result<Store::State::Frozen> Store::State::commit(Commit kind, const std::function<Status()>& work) {
  COFFER_TRY(ready());
  if (kind != Commit::kCarry) COFFER_TRY(hook());
  COFFER_TRY(flush_changed());
  Gate::Freeze freeze(gate);
  COFFER_TRY(flush_frozen());
  {
    // Refused here it costs nothing; in the middle of it, the store.
    std::lock_guard lock(catalog.mutex());
    COFFER_TRY(catalog.database().reserve_for_commit(kCommitPages));
  }
  DataFiles::Batch unsynced;
  auto data = DataFilesAre::kLeft;
  if (kind == Commit::kRound || kind == Commit::kCheckpoint) {
    unsynced = files.take_unsynced();
    data = unsynced.empty() ? DataFilesAre::kSynced : DataFilesAre::kToBeSynced;
  }
  if (kind == Commit::kRound && keeps_data_frozen(unsynced)) {
    files.put_back(std::exchange(unsynced, {}));
    data = DataFilesAre::kKept;
  } else if (data != DataFilesAre::kLeft) {
    journal.forget_written();
  }
  if (kind == Commit::kCheckpoint && !unsynced.empty()) {
    auto done = files.sync(std::exchange(unsynced, {}));
    if (!done) poison(done.error());
    COFFER_TRY(std::move(done));
    data = DataFilesAre::kSynced;
  }
  auto frozen = commit_frozen(kind, data, std::move(unsynced));
  // Part of what was answered is in a transaction that did not end, and no longer in memory as changed.
  if (!frozen) poison(frozen.error());
  if (frozen && work) COFFER_TRY(work());
  return frozen;
}

// Nothing changes content now, but readers load map rows.
std::uint64_t Store::State::begin_round_frozen() {
  for (auto& object : unsettled) {
    std::unique_lock lock(object->mutex);
    object->awaits_round = false;
    object->begin_round();
    in_round.push_back(std::move(object));
  }
  unsettled.clear();
  return ++parts.rounds_begun;
}

// A new file needs its name on the disk, too. And blocks that were not synced must be there to be taken once more after a
// power cut. On a disk that syncs at once, a second sync costs less than a second copy. What a checkpoint begins with syncs
// all files, so that little is left for its freeze.
bool Store::State::keeps_data_frozen(const DataFiles::Batch& unsynced) {
  if (unsynced.empty() || was_full || pin_next || disk_syncs_at_once() || !journal.fits()) return false;
  const bool any_new = std::any_of(unsynced.begin(), unsynced.end(), [](const auto& file) { return file.second; });
  const auto space = disk.space();
  if (any_new || !space || space->available < kSpaceScarce) return false;
  std::lock_guard lock(catalog.mutex());
  return catalog.database().reserve(journal.pages()).ok();
}

// What a commit tells of data files takes room of the log, which deleting on a full disk needs more.
bool Store::State::has_room_to_tell() {
  if (was_full) return false;
  const auto space = disk.space();
  return space && space->available >= kSpaceToTell;
}

Result<Store::State::Frozen> Store::State::commit_frozen(Commit kind, DataFilesAre data, DataFiles::Batch unsynced) {
  COFFER_TRY(write_out_frozen());
  const bool whole = data == DataFilesAre::kSynced || data == DataFilesAre::kKept;
  const bool begins_round = kind == Commit::kRound || kind == Commit::kCheckpoint;
  Frozen frozen;
  frozen.changes = changes;
  if (begins_round) frozen.round = begin_round_frozen();
  std::lock_guard lock(catalog.mutex());
  if (data == DataFilesAre::kKept) COFFER_TRY(journal.put_locked(catalog));
  if (kind == Commit::kCarry || data == DataFilesAre::kSynced) COFFER_TRY(journal.clear_locked(catalog));
  COFFER_TRY(inodes.flush_locked());
  if (inode_count != recorded_inodes) {
    COFFER_TRY(catalog.set_number("inodes", inode_count));
    recorded_inodes = inode_count;
  }
  if (begins_round) COFFER_TRY(catalog.set_number("commit_counter", commit_state.counter + 1));
  if (kind == Commit::kCheckpoint && ending) COFFER_TRY(catalog.set_number("ended_at", commit_state.counter + 1));
  SealedDatabase::DataSynced data_synced;
  data_synced.up_to = synced;
  data_synced.this_commit = whole;
  const auto rows = std::exchange(parts.written_rows, {});
  if (!whole && !rows.empty()) {
    data_synced.unsynced = rows;
    data_synced.tell = has_room_to_tell();
  }
  COFFER_ASSIGN(frozen.point, catalog.commit(data_synced));
  if (whole) synced = frozen.point;
  committed_changes = frozen.changes;
  // If it fails, the checkpoint copies everything in its freeze; the commit has not failed.
  if (kind == Commit::kRound && pin_next.exchange(false)) (void)catalog.database().pin();
  if (kind == Commit::kCheckpoint) COFFER_TRY(catalog.database().checkpoint_rest());
  frozen.digest = hex(catalog.database().last_tag());
  frozen.unsynced = std::move(unsynced);
  if (!begins_round) return frozen;

  std::lock_guard garbage_lock(garbage_mutex);
  garbage_in_round.insert(garbage_in_round.end(), garbage_new.begin(), garbage_new.end());
  garbage_new.clear();
  return frozen;
}

Status Store::State::soft_commit() {
  std::lock_guard lock(commit_mutex);
  COFFER_TRY(commit(Commit::kSoft));
  return {};
}

Status Store::State::sync_data(const DataFiles::Batch& batch) {
  const auto begin = clock.monotonic_ns();
  if (auto done = files.sync(batch); !done) {
    poison(done.error());
    return done;
  }
  data_sync_ns = clock.monotonic_ns() - begin;
  return {};
}

bool Store::State::disk_syncs_at_once() const { return data_sync_ns > 0 && data_sync_ns < kJournalWorthNs; }

// Then the commit that follows names no unsynced data, unless others write meanwhile, and no second one has to say that the
// data is synced. Outside of a freeze: a file written after this took it is in the next batch (DataFiles::wrote).
Status Store::State::sync_data_first() {
  COFFER_TRY(ready());
  DataFiles::Batch unsynced;
  {
    std::lock_guard lock(commit_mutex);
    COFFER_TRY(flush_changed());
    unsynced = files.take_unsynced();
  }
  return unsynced.empty() ? Status() : sync_data(unsynced);
}

Status Store::State::run_round() {
  // A checkpoint meanwhile would count on data files that are still being synced here.
  const std::lock_guard alone(round_mutex);
  if (disk_syncs_at_once()) COFFER_TRY(sync_data_first());
  Frozen frozen;
  {
    std::lock_guard lock(commit_mutex);
    COFFER_ASSIGN(frozen, commit(Commit::kRound));
  }
  if (!frozen.unsynced.empty()) {
    COFFER_TRY(sync_data(frozen.unsynced));
    std::lock_guard lock(commit_mutex);
    synced = frozen.point;
    COFFER_ASSIGN(const auto carrying, commit(Commit::kCarry));
    frozen.digest = carrying.digest;
  }
  if (auto log_synced = catalog.database().sync_log(); !log_synced) {
    poison(log_synced.error());
    return log_synced;
  }
  std::lock_guard lock(commit_mutex);
  end_round(frozen);
  return {};
}

void Store::State::end_round(const Frozen& frozen) {
  parts.rounds_ended = frozen.round;
  durable_changes = frozen.changes;
  durable_point = frozen.point.value;
  for (const auto& object : in_round) {
    std::unique_lock lock(object->mutex);
    object->end_round();
    if (!object->worth_punching()) continue;
    std::lock_guard garbage_lock(garbage_mutex);
    punchable.push_back(object->ino());
  }
  in_round.clear();
  {
    std::lock_guard lock(garbage_mutex);
    garbage_ready.insert(garbage_ready.end(), garbage_in_round.begin(), garbage_in_round.end());
    garbage_in_round.clear();
  }
  std::lock_guard lock(state_mutex);
  ++commit_state.counter;
  commit_state.digest = frozen.digest;
}

// Whoever comes while a round runs shares the next one: the running one may not cover it.
Status Store::State::durable_commit() {
  std::unique_lock lock(rounds_mutex);
  const auto wanted = rounds_started + 1;
  while (rounds_finished < wanted) {
    if (round_running) {
      round_ended.wait(lock);
      continue;
    }
    round_running = true;
    const auto number = ++rounds_started;
    lock.unlock();
    auto status = run_round();
    lock.lock();
    round_running = false;
    rounds_finished = number;
    round_status = std::move(status);
    round_ended.notify_all();
  }
  return round_status;
}

Status Store::State::durable_commit_or_checkpoint() {
  bool has_room = false;
  {
    std::lock_guard lock(catalog.mutex());
    has_room = catalog.database().reserve(0).ok();
  }
  if (has_room || catalog.database().log_bytes() < kLogWorthEmptying) return durable_commit();
  return checkpoint();
}

Status Store::State::checkpoint() {
  pin_next = true;
  COFFER_TRY(durable_commit());
  if (auto beside = catalog.database().checkpoint_beside({durable_point}); !beside) {
    poison(beside.error());
    return beside;
  }
  const std::lock_guard alone(round_mutex);
  std::lock_guard lock(commit_mutex);
  COFFER_ASSIGN(const auto frozen, commit(Commit::kCheckpoint));
  end_round(frozen);
  checkpointed_counter = commit_state.counter;
  return {};
}

// --- verbs ---

Status Store::sync(InodeNumber ino) {
  auto& s = *state_;
  COFFER_TRY(s.ready());
  COFFER_TRY(s.inodes.get(ino));
  if (s.durable_changes != s.changes || s.starved > 0) COFFER_TRY(s.durable_commit_or_checkpoint());
  if (s.starved == 0) return {};
  const auto object = s.objects.find(ino);
  if (!object) return {};
  std::shared_lock lock(object->mutex);
  return object->starved ? disk_full() : Status();
}

Status Store::sync_all() {
  COFFER_TRY(state_->durable_commit_or_checkpoint());
  return state_->starved > 0 ? disk_full() : Status();
}

Status Store::commit_soon() {
  auto& s = *state_;
  COFFER_TRY(s.ready());
  if (s.changes == s.committed_changes && s.starved == 0) return {};
  bool early = false;
  {
    std::lock_guard lock(s.commit_mutex);
    COFFER_TRY(s.commit(State::Commit::kSoft));
    early = s.unsettled.size() > kUnsettledRowsMax || s.parts.map_rows > 2 * kMapRowsCached;
  }
  return early ? s.durable_commit() : Status();
}

Status Store::checkpoint_if_due() {
  auto& s = *state_;
  COFFER_TRY(s.ready());
  // A checkpoint would make a copy of the catalog, or a scrub's look at it, begin anew.
  if (s.catalog.database().log_bytes() <= (s.copying || s.scrubbing ? kWalBytesHeldMax : kWalBytesMax)) return {};
  return s.checkpoint();
}

Status Store::State::remove_garbage_files() {
  for (std::size_t i = 0; i < kGarbageStep; ++i) {
    std::uint64_t file = 0;
    {
      std::lock_guard lock(garbage_mutex);
      if (garbage_ready.empty()) break;
      file = garbage_ready.front();
      garbage_ready.pop_front();
    }
    COFFER_TRY(files.remove(file));
    Gate::Pass pass(gate);
    std::lock_guard lock(catalog.mutex());
    if (auto room = reserve_pages_locked(kGarbagePages); !room) {
      // Its bytes are free; the catalog forgets it when there is room for that.
      std::lock_guard garbage_lock(garbage_mutex);
      garbage_ready.push_back(file);
      return room;
    }
    COFFER_TRY(checked(catalog.remove_garbage(file)));
    touch();
  }
  return {};
}

Status Store::collect_garbage() {
  auto& s = *state_;
  COFFER_TRY(s.ready());
  COFFER_TRY(s.with_room([&] { return s.remove_garbage_files(); }));
  for (std::size_t i = 0; i < kGarbageStep; ++i) {
    InodeNumber ino = 0;
    {
      std::lock_guard lock(s.garbage_mutex);
      if (s.punchable.empty()) break;
      ino = s.punchable.front();
      s.punchable.pop_front();
    }
    const auto object = s.objects.find(ino);  // kept in memory until it is punched, or gone
    if (object && object->worth_punching()) COFFER_TRY(s.punch_freed(*object, kPunchSlotsMin));
  }
  return {};
}

// Inside of the Gate: which slots are free is known when a commit has its frames in the log, and not while it runs.
// Commits and whoever waits for them get in between.
Status Store::State::punch_freed(OpenObject& object, std::size_t slots_min) {
  for (bool all = false; !all;) {
    Gate::Pass pass(gate);
    COFFER_TRY(ready());
    std::unique_lock lock(object.mutex);
    COFFER_ASSIGN(all, object.punch_freed(slots_min));
  }
  return {};
}

}  // namespace coffer
