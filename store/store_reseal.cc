#include "store/store_state.h"

// The reseal queue: objects modified under an older default come under the current one, a bounded step at a time.
namespace coffer {
namespace {

constexpr std::size_t kWalkPage = 256;

}  // namespace

Result<bool> Store::reseal_step() {
  auto& s = *state_;
  COFFER_TRY(s.ready());
  std::optional<InodeNumber> first;
  {
    std::lock_guard lock(s.catalog.mutex());
    COFFER_ASSIGN(first, s.catalog.next_reseal());
  }
  if (!first) return false;
  {
    // Postponed objects stand at the back: one at the front means that all are.
    std::lock_guard lock(s.reseal_mutex);
    const auto waits = s.postponed.find(*first);
    if (waits != s.postponed.end() && s.clock.monotonic_ns() < waits->second) return false;
  }
  auto done = s.checked(s.reseal_one(*first));
  if (done) return done;
  if (done.code() == Code::kPoisoned) return done;
  COFFER_TRY(s.postpone(*first, done.error()));
  return true;
}

Result<bool> Store::State::reseal_one(InodeNumber ino) {
  const auto found = object(ino);
  if (!found && found.code() != Code::kNotFound) return found.error();
  if (!found || inodes.read((*found)->inode()).nlink == 0) {
    COFFER_TRY(dequeue(ino));
    return true;
  }
  const auto object = *found;
  COFFER_ASSIGN(const auto bucket, bucket_of(inodes.read(object->inode()).bucket));
  std::shared_ptr<const Envelope> next;
  bool due = false;
  {
    std::shared_lock lock(object->mutex);
    if (object->next()) next = object->next()->envelope;
    due = object->current().rule_version != bucket.rule_version || object->seals_run_out();
  }
  if (!next && !due) {
    COFFER_TRY(dequeue_unless_due(*object));
    return true;
  }
  COFFER_TRY(ensure_key(*object, Access::kOpen));
  if (!next) return begin_reseal(object, bucket);

  bool next_open = false;
  {
    std::shared_lock lock(object->mutex);
    next_open = object->next() && object->next()->envelope == next && object->next()->aead;
  }
  if (auto opened = ensure_cipher(*object, next, next_open, Access::kOpen); !opened) {
    // Nothing is under it yet: another default may serve better.
    Gate::Pass pass(gate);
    std::unique_lock lock(object->mutex);
    COFFER_ASSIGN(const bool used, object->anything_under_next());
    if (!used && object->next() && object->next()->envelope == next) {
      COFFER_TRY(object->abandon_reseal());
      list_changed(object);
      touch();
    }
    return std::move(opened).error();
  }

  auto step = OpenObject::Reseal::kMoved;
  {
    Gate::Pass pass(gate);
    std::unique_lock lock(object->mutex);
    const bool ready_to_move = !object->gone() && object->next() && object->next()->aead && object->current().aead;
    if (!ready_to_move) return true;
    {
      std::lock_guard catalog_lock(catalog.mutex());
      COFFER_TRY(reserve_pages_locked(kNamePages + 3 * kResealStepChunks));
    }
    list_changed(object);
    touch();
    COFFER_ASSIGN(step, object->reseal_some());
    if (step == OpenObject::Reseal::kComplete) {
      COFFER_TRY(object->finish_reseal());
      queue_header(ino);
      std::lock_guard reseal_lock(reseal_mutex);
      ++resealed;
      postponed.erase(ino);
    }
  }
  // If the rule changed in between, the object stays in the queue and begins again.
  if (step == OpenObject::Reseal::kNeedsDurableCommit) COFFER_TRY(durable_commit());
  return true;
}

Result<bool> Store::State::begin_reseal(const std::shared_ptr<OpenObject>& object, const Bucket& bucket) {
  std::uint32_t generation = 0;
  {
    std::shared_lock lock(object->mutex);
    generation = object->newest_generation();
  }
  COFFER_ASSIGN(const auto subject, subject_of(*object, generation + 1));
  COFFER_ASSIGN(auto issued, keyring.issue(bucket.rule, subject, principal));
  Gate::Pass pass(gate);
  std::unique_lock lock(object->mutex);
  if (object->gone() || object->next() || object->newest_generation() != generation) return true;
  COFFER_TRY(object->begin_reseal(KeptEnvelope::issued(std::move(issued), bucket.rule_version)));
  queue_header(object->ino());
  list_changed(object);
  touch();
  return true;
}

Status Store::State::dequeue(InodeNumber ino) {
  Gate::Pass pass(gate);
  std::lock_guard lock(catalog.mutex());
  COFFER_TRY(catalog.dequeue_reseal(ino));
  touch();
  std::lock_guard reseal_lock(reseal_mutex);
  postponed.erase(ino);
  return {};
}

// Decided with the object locked: a write that finds it due again waits, and enqueues it afterwards.
Status Store::State::dequeue_unless_due(OpenObject& object) {
  Gate::Pass pass(gate);
  std::unique_lock lock(object.mutex);
  COFFER_ASSIGN(const auto bucket, bucket_of(inodes.read(object.inode()).bucket));
  if (object.current().rule_version != bucket.rule_version || object.seals_run_out() || object.next()) return {};
  std::lock_guard catalog_lock(catalog.mutex());
  COFFER_TRY(catalog.dequeue_reseal(object.ino()));
  object.queued_for = 0;
  touch();
  return {};
}

Status Store::State::postpone(InodeNumber ino, const Error& why) {
  log(LogLevel::kWarning, "an object could not be resealed and waits: " + why.message);
  {
    std::lock_guard lock(reseal_mutex);
    postponed[ino] = clock.monotonic_ns() + kResealRetrySeconds * 1'000'000'000;
  }
  Gate::Pass pass(gate);
  std::lock_guard lock(catalog.mutex());
  COFFER_TRY(checked(catalog.postpone_reseal(ino)));
  touch();
  return {};
}

Store::ResealProgress Store::reseal_progress() const {
  ResealProgress progress;
  {
    std::lock_guard lock(state_->catalog.mutex());
    progress.waiting = state_->catalog.reseal_count().ok() ? *state_->catalog.reseal_count() : 0;
  }
  std::lock_guard lock(state_->reseal_mutex);
  progress.done = state_->resealed;
  return progress;
}

// Adds the bucket's objects whose keys begin with the prefix and that are under an older default.
Result<std::uint64_t> Store::queue_reseal(const BucketName& name, std::string_view prefix) {
  auto& s = *state_;
  COFFER_TRY(s.ready());
  COFFER_ASSIGN(const auto bucket, find_bucket(name));
  std::uint64_t queued = 0;
  std::vector<std::pair<InodeNumber, std::string>> directories{{bucket.ino, ""}};
  while (!directories.empty()) {
    const auto [directory, path] = std::move(directories.back());
    directories.pop_back();
    for (std::uint64_t cookie = 0;;) {
      Gate::Pass pass(s.gate);
      std::lock_guard lock(s.catalog.mutex());
      COFFER_ASSIGN(const auto entries, s.catalog.list(directory, cookie, kWalkPage));
      for (const auto& entry : entries) {
        cookie = entry.cookie;
        const auto key = path + entry.name;
        if (entry.kind == FileKind::kDirectory) {
          const auto inner = key + "/";
          if (inner.starts_with(prefix) || prefix.starts_with(inner)) directories.emplace_back(entry.ino, inner);
          continue;
        }
        if (entry.kind != FileKind::kFile || !key.starts_with(prefix)) continue;
        COFFER_ASSIGN(const auto row, s.catalog.content(entry.ino));
        if (row.rule_version == bucket.rule_version && !row.next_envelope) continue;
        COFFER_TRY(s.reserve_pages_locked(2));
        COFFER_TRY(s.checked(s.catalog.enqueue_reseal(entry.ino)));
        ++queued;
      }
      s.touch();
      if (entries.size() < kWalkPage) break;
    }
  }
  return queued;
}

}  // namespace coffer
