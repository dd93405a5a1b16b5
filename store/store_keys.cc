#include "store/store_state.h"

// An object's sealing, and keys that stop serving.
namespace coffer {
namespace {

// An empty ARN is every KMS key.
bool is_under(const Envelope& envelope, const std::string& arn) {
  return !envelope.kms_key_arn.empty() && (arn.empty() || envelope.kms_key_arn == arn);
}
bool is_under(const OpenObject& object, const std::string& arn) {
  return is_under(*object.current().envelope, arn) || (object.next() && is_under(*object.next()->envelope, arn));
}

}  // namespace

Result<Sealing> Store::sealing(InodeNumber ino) {
  auto& s = *state_;
  COFFER_ASSIGN(const auto object, s.object(ino));
  Sealing sealing;
  std::shared_lock object_lock(object->mutex);
  const auto inode = s.inodes.read(object->inode());
  sealing.envelope = *object->current().envelope;
  sealing.size = inode.size;
  std::lock_guard lock(s.catalog.mutex());
  COFFER_ASSIGN(const auto bucket, s.catalog.bucket(inode.bucket));
  sealing.bucket = bucket.name.str();
  COFFER_ASSIGN(sealing.reseal_pending, s.catalog.reseal_pending(ino));
  const auto name =
      inode.nlink > 0 ? s.catalog.any_name(ino) : Result<std::pair<InodeNumber, std::string>>(no_such_file());
  if (!name && name.code() != Code::kNotFound) return name.error();
  if (!name) return sealing;
  COFFER_ASSIGN(sealing.key, s.key_path_locked(name->first));
  sealing.key += name->second;
  return sealing;
}

Result<Subject> Store::State::subject_of(const OpenObject& object, std::uint32_t generation) {
  const auto inode = inodes.read(object.inode());
  COFFER_ASSIGN(const auto bucket, bucket_of(inode.bucket));
  Subject subject{inode.ino, generation, object.current().envelope->chunk_size, realm_of(bucket), bucket.name, ""};
  if (inode.nlink == 0) return subject;
  std::lock_guard lock(catalog.mutex());
  const auto name = catalog.any_name(inode.ino);
  if (!name && name.code() == Code::kNotFound) return subject;
  if (!name) return name.error();
  COFFER_ASSIGN(subject.object_key, key_path_locked(name->first));
  subject.object_key += name->second;
  return subject;
}

// --- keys that stop serving ---

bool Store::State::held(const std::string& kms_key_arn) const {
  if (kms_key_arn.empty()) return false;
  std::lock_guard lock(held_mutex);
  return held_keys.contains(kms_key_arn);
}

std::vector<std::shared_ptr<OpenObject>> Store::State::under(const std::string& kms_key_arn) {
  auto all = objects.all();
  std::erase_if(all, [&](const std::shared_ptr<OpenObject>& object) {
    std::shared_lock lock(object->mutex);
    return !is_under(*object, kms_key_arn);
  });
  return all;
}

void Store::hold_key(const std::string& kms_key_arn) {
  std::lock_guard lock(state_->held_mutex);
  state_->held_keys.insert(kms_key_arn);
}

void Store::release_key(const std::string& kms_key_arn) {
  {
    std::lock_guard lock(state_->held_mutex);
    state_->held_keys.erase(kms_key_arn);
  }
  std::lock_guard lock(state_->reseal_mutex);
  state_->postponed.clear();
}

Status Store::seal_dirty(const std::string& kms_key_arn) {
  for (const auto& object : state_->under(kms_key_arn)) {
    Gate::Pass pass(state_->gate);
    std::unique_lock lock(object->mutex);
    COFFER_TRY(object->flush());
  }
  return {};
}

void Store::wipe_key(const std::string& kms_key_arn) {
  for (const auto& object : state_->under(kms_key_arn)) {
    Gate::Pass pass(state_->gate);
    std::unique_lock lock(object->mutex);
    // What cannot be written now is lost with the key, although its write was answered.
    if (auto flushed = object->flush(); !flushed) state_->poison(flushed.error());
    object->wipe_keys(kms_key_arn.empty() ? nullptr : &kms_key_arn);
  }
  // A scrub that has data keys in its hands lays them down; the next step finds the key held.
  std::lock_guard lock(state_->scrub_keys);
}

std::vector<InodeNumber> Store::objects_under(const std::string& kms_key_arn) {
  auto& s = *state_;
  std::vector<InodeNumber> found;
  for (const auto ino : s.inodes.references()) {
    if (const auto object = s.objects.find(ino)) {
      std::shared_lock lock(object->mutex);
      if (is_under(*object, kms_key_arn)) found.push_back(ino);
      continue;
    }
    std::lock_guard lock(s.catalog.mutex());
    const auto row = s.catalog.content(ino);
    if (!row) continue;
    const auto concerns = [&](BytesView encoded) {
      const auto envelope = Envelope::decode(encoded);
      return !envelope || is_under(*envelope, kms_key_arn);
    };
    if (concerns(row->envelope) || (row->next_envelope && concerns(*row->next_envelope))) found.push_back(ino);
  }
  return found;
}

}  // namespace coffer
