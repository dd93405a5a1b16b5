#include <algorithm>

#include "base/secret_bytes.h"
#include "store/store_state.h"

// Content: reading, writing, truncating, and the keys that takes.
namespace coffer {
namespace {

// A retry is rare: a key wiped, or another envelope issued, between two locks; each durable commit frees what was
// missing.
constexpr int kAttempts = 8;
constexpr std::int64_t kRelatimeNs = std::int64_t{24} * 3600 * 1'000'000'000;
constexpr std::size_t kCopyStep = 1 << 20;

Error too_busy() { return {Code::kBusy, "the object changes faster than it can be prepared"}; }

Status check_range(std::uint64_t offset, std::uint64_t size) {
  if (offset <= kObjectSizeMax && size <= kObjectSizeMax - offset) return {};
  return Error{Code::kFileTooLarge, "an object has at most 16 TiB"};
}

}  // namespace

Error key_held() { return {Code::kKeyDisabled, "the object's KMS key is being taken out of service"}; }

Result<std::shared_ptr<OpenObject>> Store::State::object(InodeNumber ino) {
  if (auto known = objects.find(ino)) return known;
  std::lock_guard lock(catalog.mutex());
  return object_locked(ino);
}

Result<std::shared_ptr<OpenObject>> Store::State::object_locked(InodeNumber ino) {
  if (auto known = objects.find(ino)) return known;
  COFFER_ASSIGN(const auto inode, inodes.get_locked(ino));
  if (inodes.read(inode).kind == FileKind::kDirectory) return Error{Code::kIsDirectory, "a directory has no content"};
  COFFER_ASSIGN(auto loaded, OpenObject::load_locked(parts, keyring.store_id(), ino));
  objects.put(loaded);
  return loaded;
}

// The current envelope's key must serve. The next one's may fail: what is under it answers so itself, and writes stay
// under the current one.
Status Store::State::ensure_key(OpenObject& object, Access access, Actor as) {
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    std::shared_ptr<const Envelope> current, next;
    bool current_open = false, next_open = false;
    {
      std::shared_lock lock(object.mutex);
      current = object.current().envelope;
      current_open = object.current().aead != nullptr;
      if (object.next()) {
        next = object.next()->envelope;
        next_open = object.next()->aead != nullptr;
      }
    }
    if (next && !ensure_cipher(object, next, next_open, access, as) && next_open) {
      Gate::Pass pass(gate);
      std::unique_lock lock(object.mutex);
      COFFER_TRY(object.flush());
      object.unlocked(next, nullptr);
    }
    COFFER_TRY(ensure_cipher(object, current, current_open, access, as));
    // Its place may have been taken by one that was wrapped anew, or by the next one: then that one's key counts.
    std::shared_lock lock(object.mutex);
    if (object.current().envelope == current) return {};
  }
  return too_busy();
}

Status Store::State::ensure_cipher(OpenObject& object, const std::shared_ptr<const Envelope>& envelope, bool unlocked,
                                   Access access, Actor as) {
  COFFER_TRY(keyring.usable(*envelope, acting(as)));
  // While a key is taken out of service, dirty pages of the kernel still come in to be sealed.
  const bool may_pass = access == Access::kWrite && unlocked;
  if (!may_pass && held(envelope->kms_key_arn)) return key_held();
  if (unlocked) return {};
  const KeyWait wait(envelope->algorithm);
  COFFER_TRY(wait.begun());
  std::lock_guard key_lock(object.key_mutex);
  const auto open = [&](const KeptEnvelope& kept) { return kept.envelope == envelope && kept.aead; };
  {
    std::shared_lock lock(object.mutex);
    if (open(object.current()) || (object.next() && open(*object.next()))) return {};
  }
  COFFER_ASSIGN(auto aead, keyring.unlock(*envelope, acting(as)));
  std::unique_lock lock(object.mutex);
  if (held(envelope->kms_key_arn)) return key_held();
  object.unlocked(envelope, std::move(aead));
  return {};
}

Result<Keyring::Issued> Store::State::issue(const SseRule& rule, const Subject& subject, Actor as) {
  const KeyWait wait(rule.algorithm);
  COFFER_TRY(wait.begun());
  return keyring.issue(rule, subject, acting(as));
}

Result<std::uint64_t> Store::State::map_pages_locked(InodeNumber ino, const ContentRange& range) {
  constexpr std::uint64_t kRowSize = std::uint64_t{kChunksPerRow} * kChunkSize;
  if (range.size == 0) return kMapRowPages;
  const auto first = range.offset / kRowSize, last = (range.offset + range.size - 1) / kRowSize;
  const auto spanned = last - first + 1;
  if (range.rows == MapRows::kMade || spanned <= kMapRowsUncounted) return kMapRowPages * (spanned + 1);
  const auto to = std::min<std::uint64_t>(last, kMapRowMax);
  COFFER_ASSIGN(const auto found, catalog.count_map_rows(ino, static_cast<std::uint32_t>(first),
                                                         static_cast<std::uint32_t>(to)));
  return kMapRowPages * (found + 1);
}

Status Store::State::change_content(const std::shared_ptr<OpenObject>& object, const ContentRange& range,
                                    const std::function<Result<Progress>()>& change, Actor as) {
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    COFFER_TRY(ready());
    COFFER_TRY(ensure_key(*object, Access::kWrite, as));
    {
      Gate::Pass pass(gate);
      COFFER_TRY(ready());  // the commit that it waited for may have failed
      std::unique_lock lock(object->mutex);
      if (object->gone()) return no_such_file();
      if (!object->current().aead) continue;
      {
        std::lock_guard catalog_lock(catalog.mutex());
        COFFER_ASSIGN(const auto map_pages, map_pages_locked(object->ino(), range));
        COFFER_TRY(reserve_pages_locked(kNamePages + kQueuePages + map_pages));
      }
      list_changed(object);
      touch();
      COFFER_ASSIGN(const auto progress, change());
      if (progress == Progress::kDone) {
        note_modified(*object);
        renew_header(object);
        return {};
      }
    }
    COFFER_TRY(durable_commit());
  }
  return too_busy();
}

void Store::State::list_changed(const std::shared_ptr<OpenObject>& object) {
  std::lock_guard lock(changed_mutex);
  if (std::exchange(object->listed, true)) return;
  changed_objects.push_back(object);
}

Status Store::State::relieve_pressure() {
  if (parts.dirty_bytes <= kDirtyBytesMax) return {};
  COFFER_TRY(flush_changed());
  return parts.dirty_bytes > kDirtyBytesMax && starved > 0 ? disk_full() : Status();
}

// Another envelope, under the current default, and no content. The KMS is asked with nothing locked.
Status Store::State::reissue(const std::shared_ptr<OpenObject>& object, Actor as) {
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    std::uint32_t generation = 0;
    {
      std::shared_lock lock(object->mutex);
      generation = object->newest_generation();
    }
    COFFER_ASSIGN(const auto bucket, bucket_of(inodes.read(object->inode()).bucket));
    COFFER_ASSIGN(auto subject, subject_of(*object, generation + 1));
    subject.chunk_size = kChunkSize;
    COFFER_ASSIGN(auto issued, issue(bucket.rule, subject, as));
    auto fresh = KeptEnvelope::issued(std::move(issued), bucket.rule_version);

    Gate::Pass pass(gate);
    std::unique_lock lock(object->mutex);
    if (object->gone()) return no_such_file();
    if (object->newest_generation() != generation) continue;
    ContentRow row;
    row.ino = object->ino();
    row.envelope = fresh.encoded;
    row.rule_version = fresh.rule_version;
    row.seals_leased = fresh.seals_leased;
    const auto old_file = object->file();
    {
      std::lock_guard catalog_lock(catalog.mutex());
      COFFER_ASSIGN(const auto map_pages, map_pages_locked(object->ino(), {0, inodes.read(object->inode()).size}));
      COFFER_TRY(reserve_pages_locked(kNamePages + map_pages));
      Catalog::Savepoint savepoint(catalog);
      if (old_file != 0) COFFER_TRY(catalog.add_garbage(old_file));
      COFFER_TRY(catalog.remove_map_rows(object->ino(), 0));
      COFFER_TRY(catalog.dequeue_reseal(object->ino()));
      COFFER_TRY(catalog.put_content(row));
      COFFER_TRY(savepoint.keep());
    }
    object->restart(std::move(fresh));
    touch();
    std::lock_guard garbage_lock(garbage_mutex);
    if (old_file != 0) garbage_new.push_back(old_file);
    return {};
  }
  return too_busy();
}

Status Store::State::truncate_to_zero(const std::shared_ptr<OpenObject>& object, Actor as) {
  const auto inode = inodes.read(object->inode());
  COFFER_ASSIGN(const auto bucket, bucket_of(inode.bucket));
  bool same_rule = false;
  {
    std::shared_lock lock(object->mutex);
    same_rule = object->current().rule_version == bucket.rule_version && !object->next();
  }
  if (inode.size > 0 || !same_rule) return with_room([&] { return reissue(object, as); });
  return with_room([&]() -> Status {
    Gate::Pass pass(gate);
    {
      std::lock_guard lock(catalog.mutex());
      COFFER_TRY(reserve_pages_locked(1));
    }
    const auto now = clock.wall_ns();
    inodes.edit(object->inode(), [&](Inode& i) { i.mtime_ns = i.ctime_ns = now; });
    touch();
    return {};
  });
}

Status Store::State::resize(InodeNumber ino, std::uint64_t size, Actor as) {
  COFFER_TRY(check_range(size, 0));
  COFFER_ASSIGN(const auto target, object(ino));
  if (size == 0) return truncate_to_zero(target, as);
  const auto old = inodes.read(target->inode()).size;
  const ContentRange between{std::min(old, size), old > size ? old - size : size - old};
  return with_room([&] { return change_content(target, between, [&] { return target->resize(size); }, as); });
}

bool Store::accessed(InodeNumber ino, AccessTimes times) {
  auto& s = *state_;
  const auto handle = s.inodes.get(ino);
  if (!handle || s.is_poisoned) return false;
  const auto inode = s.inodes.read(*handle);
  const auto now = s.clock.wall_ns();
  const bool newest = inode.atime_ns > inode.mtime_ns && inode.atime_ns > inode.ctime_ns;
  if (times == AccessTimes::kRelative && newest && inode.atime_ns > now - kRelatimeNs) return false;
  Gate::Pass pass(s.gate);
  {
    std::lock_guard lock(s.catalog.mutex());
    if (!s.reserve_pages_locked(1)) return false;
  }
  s.inodes.edit(*handle, [&](Inode& i) { i.atime_ns = now; });
  s.touch();
  return true;
}

// --- verbs ---

Status Store::open_object(InodeNumber ino, bool truncate, Actor as) {
  auto& s = *state_;
  COFFER_ASSIGN(const auto object, s.object(ino));
  if (truncate) {
    COFFER_TRY(s.ready());
    COFFER_TRY(s.checked(s.truncate_to_zero(object, as)));
  } else {
    COFFER_TRY(s.ensure_key(*object, Access::kOpen, as));
  }
  s.inodes.opened(ino);
  return {};
}

Result<std::size_t> Store::read(InodeNumber ino, std::uint64_t offset, MutableBytes into, Actor as) {
  auto& s = *state_;
  COFFER_ASSIGN(const auto object, s.object(ino));
  COFFER_TRY(s.ensure_key(*object, Access::kRead, as));
  const auto size = s.inodes.read(object->inode()).size;
  if (offset >= size) return std::size_t{0};
  const auto wanted = std::min<std::uint64_t>(into.size(), size - offset);
  {
    std::shared_lock lock(object->mutex);
    if (object->loaded(offset, wanted)) return object->read(offset, into.first(wanted));
  }
  std::unique_lock lock(object->mutex);
  COFFER_TRY(object->load(offset, wanted));
  return object->read(offset, into.first(wanted));
}

Status Store::write(InodeNumber ino, std::uint64_t offset, BytesView bytes, Actor as) {
  auto& s = *state_;
  COFFER_TRY(s.ready());
  if (bytes.empty()) return {};
  COFFER_TRY(check_range(offset, bytes.size()));
  if (offset + bytes.size() > s.content_end_max)
    return Error{Code::kFileTooLarge, "the file system below the store keeps no file that large"};
  COFFER_ASSIGN(const auto object, s.object(ino));
  COFFER_TRY(s.relieve_pressure());
  COFFER_TRY(s.claim_for_content(*object, offset, bytes.size()));
  const ContentRange touched{offset, bytes.size(), MapRows::kMade};
  return s.with_room(
      [&] { return s.change_content(object, touched, [&] { return object->write(offset, bytes); }, as); });
}

Status Store::fallocate(InodeNumber ino, FallocateMode mode, std::uint64_t offset, std::uint64_t size, Actor as) {
  auto& s = *state_;
  COFFER_TRY(s.ready());
  if (size == 0) return Error{Code::kInvalidArgument, "nothing to allocate"};
  COFFER_TRY(check_range(offset, size));
  COFFER_ASSIGN(const auto object, s.object(ino));
  const bool allocates = mode == FallocateMode::kAllocate || mode == FallocateMode::kAllocateKeepSize;
  const bool grows = mode == FallocateMode::kAllocate || mode == FallocateMode::kZero;
  if (allocates) COFFER_TRY(s.claim_for_content(*object, offset, size));
  const auto change = [&]() -> Result<Progress> {
    if (!allocates) {
      COFFER_ASSIGN(const auto punched, object->punch(offset, size));
      if (punched == Progress::kNeedsDurableCommit) return punched;
    }
    if (!grows || offset + size <= s.inodes.read(object->inode()).size) return Progress::kDone;
    return object->resize(offset + size);
  };
  const ContentRange touched{offset, size};
  return s.with_room([&] { return s.change_content(object, touched, change, as); });
}

Result<std::uint64_t> Store::seek(InodeNumber ino, std::uint64_t offset, SeekFor what) {
  auto& s = *state_;
  const Error behind{Code::kNotFound, "nothing there"};
  COFFER_ASSIGN(const auto object, s.object(ino));
  std::unique_lock lock(object->mutex);
  if (offset >= s.inodes.read(object->inode()).size) return behind;
  switch (what) {
    case SeekFor::kHole: return object->next_hole(offset);
    case SeekFor::kData: break;
  }
  COFFER_ASSIGN(const auto data, object->next_data(offset));
  if (!data) return behind;
  return *data;
}

Result<std::uint64_t> Store::copy_range(InodeNumber from, std::uint64_t from_offset, InodeNumber to,
                                        std::uint64_t to_offset, std::uint64_t size, Actor from_as, Actor to_as) {
  SecretBytes buffer(std::min<std::uint64_t>(size, kCopyStep));
  std::uint64_t done = 0;
  while (done < size) {
    const auto wanted = std::min<std::uint64_t>(size - done, buffer.size());
    auto got = read(from, from_offset + done, buffer.span().first(wanted), from_as);
    if (!got && done == 0) return std::move(got).error();
    if (!got || *got == 0) break;
    auto written = write(to, to_offset + done, buffer.view().first(*got), to_as);
    if (!written && done == 0) return std::move(written).error();
    if (!written) break;
    done += *got;
  }
  return done;
}

}  // namespace coffer
