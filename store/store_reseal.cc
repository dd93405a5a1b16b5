#include "store/store_state.h"

// The reseal queue: objects modified under an older default, and those somebody named, come under the current one, a
// bounded step at a time.
namespace coffer {
namespace {

constexpr std::size_t kWalkPage = 256;

}  // namespace

Result<bool> Store::reseal_step() {
  auto& s = *state_;
  COFFER_TRY(s.ready());
  for (std::size_t left = kRewrapStepObjects; left > 0; --left) {
    std::optional<Catalog::Resealing> first;
    {
      std::lock_guard lock(s.catalog.mutex());
      COFFER_ASSIGN(first, s.catalog.next_reseal());
    }
    if (!first) return left < kRewrapStepObjects;
    {
      // Postponed objects stand at the back: one at the front means that all are.
      std::lock_guard lock(s.reseal_mutex);
      const auto waits = s.postponed.find(first->ino);
      if (waits != s.postponed.end() && s.clock.monotonic_ns() < waits->second) return left < kRewrapStepObjects;
    }
    const auto done = s.with_room([&] { return s.reseal_one(*first); });
    if (!done && done.code() == Code::kPoisoned) return done.error();
    if (!done && done.code() == Code::kNoSpace) return false;  // another time: no object is to blame
    if (!done) COFFER_TRY(s.postpone(first->ino, done.error()));
    if (!done || *done == State::Resealed::kAgain) return true;
  }
  return true;
}

Result<Store::State::Resealed> Store::State::reseal_one(const Catalog::Resealing& entry) {
  const auto found = object(entry.ino);
  if (!found && found.code() != Code::kNotFound) return found.error();
  if (!found || inodes.read((*found)->inode()).nlink == 0) {
    COFFER_TRY(dequeue(entry.ino));
    return Resealed::kLeftQueue;
  }
  const auto object = *found;
  COFFER_ASSIGN(const auto bucket, bucket_of(inodes.read(object->inode()).bucket));
  std::shared_ptr<const Envelope> next;
  Due due = Due::kNothing;
  {
    std::shared_lock lock(object->mutex);
    if (object->next()) next = object->next()->envelope;
    due = due_locked(*object, bucket, entry.leaving);
  }
  if (!next) {
    switch (due) {
      case Due::kNothing: COFFER_TRY(dequeue_unless_due(*object)); return Resealed::kLeftQueue;
      case Due::kRewrap: return rewrap(object, bucket);
      case Due::kData: break;
    }
  }
  COFFER_TRY(ensure_key(*object, Access::kOpen, nullptr));
  // Each chunk is there twice until a durable commit.
  COFFER_TRY(claim_space(kResealStepChunks * kChunkSize, RoomFor::kReplacing));
  if (next) return move_some(object, next);
  COFFER_TRY(begin_reseal(object, bucket));
  return Resealed::kAgain;
}

// Data keys are made anew where the algorithm says which keys they must have been under from the first, where one has
// sealed enough, and where somebody asked for it.
Store::State::Due Store::State::due_locked(const OpenObject& object, const Bucket& bucket,
                                           std::uint32_t leaving) const {
  const Envelope& envelope = *object.current().envelope;
  if (object.seals_run_out() || envelope.generation <= leaving) return Due::kData;
  if (envelope.algorithm != bucket.rule.algorithm) return Due::kData;
  const bool as_the_rule_says =
      object.current().rule_version == bucket.rule_version && keyring.up_to_date(envelope, bucket.rule, principal);
  return as_the_rule_says ? Due::kNothing : Due::kRewrap;
}

// The KMS is asked with nothing locked. Chunks, generation and counts of seals stay: only what wraps the data keys is
// another.
Result<Store::State::Resealed> Store::State::rewrap(const std::shared_ptr<OpenObject>& object, const Bucket& bucket) {
  std::shared_ptr<const Envelope> envelope;
  {
    std::shared_lock lock(object->mutex);
    envelope = object->current().envelope;
  }
  if (held(envelope->kms_key_arn)) return key_held();
  COFFER_ASSIGN(auto context, context_for(*object, *envelope, bucket));
  COFFER_ASSIGN(auto made, keyring.rewrap(*envelope, bucket.rule, std::move(context), principal));
  const auto fresh = std::make_shared<const Envelope>(std::move(made));
  auto encoded = fresh->encode();

  Gate::Pass pass(gate);
  std::unique_lock lock(object->mutex);
  if (object->gone() || object->next() || object->current().envelope != envelope) return Resealed::kAgain;
  // The cipher in memory goes on under the new key: only while that serves.
  if (held(fresh->kms_key_arn)) return key_held();
  COFFER_TRY(keyring.usable(*fresh, principal));
  bool left_queue = false;
  {
    std::lock_guard catalog_lock(catalog.mutex());
    COFFER_TRY(reserve_pages_locked(kNamePages));
    COFFER_ASSIGN(const auto entry, catalog.resealing(object->ino()));
    const bool wants_data = object->seals_run_out() || (entry && fresh->generation <= entry->leaving);
    left_queue = !wants_data && keyring.up_to_date(*fresh, bucket.rule, principal);
    Catalog::Savepoint savepoint(catalog);
    COFFER_TRY(catalog.put_envelope(object->ino(), encoded, bucket.rule_version));
    if (left_queue) COFFER_TRY(catalog.dequeue_reseal(object->ino()));
    COFFER_TRY(savepoint.keep());
  }
  object->rewrapped(fresh, std::move(encoded), bucket.rule_version);
  queue_header(object->ino());
  touch();
  if (!left_queue) return Resealed::kAgain;
  std::lock_guard reseal_lock(reseal_mutex);
  ++resealed;
  postponed.erase(object->ino());
  return Resealed::kLeftQueue;
}

// A rename keeps the context, and so does this; between the object's ARN and its bucket's it has to change.
Result<std::string> Store::State::context_for(const OpenObject& object, const Envelope& envelope,
                                              const Bucket& bucket) {
  if (envelope.bucket_key() == bucket.rule.uses_bucket_key()) return envelope.context_arn;
  COFFER_ASSIGN(const auto subject, subject_of(object, envelope.generation));
  return context_arn_of(bucket.rule, subject);
}

Result<Store::State::Resealed> Store::State::move_some(const std::shared_ptr<OpenObject>& object,
                                                       const std::shared_ptr<const Envelope>& next) {
  bool next_open = false;
  {
    std::shared_lock lock(object->mutex);
    next_open = object->next() && object->next()->envelope == next && object->next()->aead;
  }
  if (auto opened = ensure_cipher(*object, next, next_open, Access::kOpen, nullptr); !opened) {
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
    COFFER_TRY(ready());  // as in change_content()
    std::unique_lock lock(object->mutex);
    const bool ready_to_move = !object->gone() && object->next() && object->next()->aead && object->current().aead;
    if (!ready_to_move) return Resealed::kAgain;
    {
      std::lock_guard catalog_lock(catalog.mutex());
      COFFER_TRY(reserve_pages_locked(kNamePages + 3 * kResealStepChunks));
    }
    list_changed(object);
    touch();
    COFFER_ASSIGN(step, object->reseal_some());
    if (step == OpenObject::Reseal::kComplete) {
      COFFER_TRY(object->finish_reseal());
      queue_header(object->ino());
      std::lock_guard reseal_lock(reseal_mutex);
      ++resealed;
      postponed.erase(object->ino());
    }
  }
  // If the rule changed in between, the object stays in the queue and begins again.
  if (step == OpenObject::Reseal::kNeedsDurableCommit) COFFER_TRY(durable_commit());
  return Resealed::kAgain;
}

Status Store::State::begin_reseal(const std::shared_ptr<OpenObject>& object, const Bucket& bucket) {
  std::uint32_t generation = 0;
  {
    std::shared_lock lock(object->mutex);
    generation = object->newest_generation();
  }
  COFFER_ASSIGN(const auto subject, subject_of(*object, generation + 1));
  COFFER_ASSIGN(auto issued, keyring.issue(bucket.rule, subject, principal));
  Gate::Pass pass(gate);
  std::unique_lock lock(object->mutex);
  if (object->gone() || object->next() || object->newest_generation() != generation) return {};
  {
    std::lock_guard catalog_lock(catalog.mutex());
    COFFER_TRY(reserve_pages_locked(kNamePages));
  }
  COFFER_TRY(object->begin_reseal(KeptEnvelope::issued(std::move(issued), bucket.rule_version)));
  queue_header(object->ino());
  list_changed(object);
  touch();
  return {};
}

Status Store::State::dequeue(InodeNumber ino) {
  Gate::Pass pass(gate);
  std::lock_guard lock(catalog.mutex());
  COFFER_TRY(reserve_pages_locked(kQueuePages));
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
  std::lock_guard catalog_lock(catalog.mutex());
  COFFER_ASSIGN(const auto entry, catalog.resealing(object.ino()));
  if (object.next() || due_locked(object, bucket, entry ? entry->leaving : 0) != Due::kNothing) return {};
  COFFER_TRY(reserve_pages_locked(kQueuePages));
  COFFER_TRY(catalog.dequeue_reseal(object.ino()));
  object.queued_for = 0;
  touch();
  return {};
}

Status Store::State::postpone(InodeNumber ino, const Error& why) {
  bool first = false;
  {
    std::lock_guard lock(reseal_mutex);
    first = postponed.empty();
    postponed[ino] = clock.monotonic_ns() + kResealRetrySeconds * 1'000'000'000;
  }
  // Once, and not for each of a million objects under one key that fails.
  if (first) log(LogLevel::kWarning, "an object could not be resealed and waits: " + why.message);
  Gate::Pass pass(gate);
  std::lock_guard lock(catalog.mutex());
  COFFER_TRY(reserve_pages_locked(kQueuePages));
  COFFER_TRY(checked(catalog.postpone_reseal(ino)));
  touch();
  return {};
}

Store::ResealProgress Store::reseal_progress() const {
  ResealProgress progress;
  {
    std::lock_guard lock(state_->catalog.mutex());
    const auto waiting = state_->catalog.reseal_count();
    progress.waiting = waiting.ok() ? *waiting : 0;
  }
  std::lock_guard lock(state_->reseal_mutex);
  progress.done = state_->resealed;
  return progress;
}

Status Store::State::enqueue_if_due_locked(InodeNumber ino, const Bucket& bucket, ResealScope what, std::uint64_t& queued) {
  COFFER_ASSIGN(const auto sealed, catalog.sealed(ino));
  std::uint32_t leaving = 0;
  switch (what) {
    case ResealScope::kNewDataKeys: {
      COFFER_ASSIGN(const auto newest, Envelope::decode(sealed.next_envelope.value_or(sealed.envelope)));
      leaving = newest.generation;
      break;
    }
    case ResealScope::kWhatIsDue: {
      // One that does not decode is due too: the queue's log says why it waits.
      const auto envelope = Envelope::decode(sealed.envelope);
      const bool as_the_rule_says = sealed.rule_version == bucket.rule_version && !sealed.next_envelope &&
                                    envelope.ok() && keyring.up_to_date(*envelope, bucket.rule, principal);
      if (as_the_rule_says) return {};
      break;
    }
  }
  COFFER_TRY(reserve_pages_locked(kQueuePages));
  COFFER_TRY(checked(catalog.enqueue_reseal(ino, leaving)));
  ++queued;
  return {};
}

Result<std::uint64_t> Store::queue_reseal(const BucketName& name, std::string_view prefix, ResealScope what) {
  auto& s = *state_;
  COFFER_TRY(s.ready());
  COFFER_ASSIGN(const auto bucket, find_bucket(name));
  // Envelopes issued before this call are in the catalog then, for whoever wants their data keys left behind.
  COFFER_TRY(s.soft_commit());
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
        COFFER_TRY(s.enqueue_if_due_locked(entry.ino, bucket, what, queued));
      }
      s.touch();
      if (entries.size() < kWalkPage) break;
    }
  }
  return queued;
}

}  // namespace coffer
