#include "store/store_state.h"

// Extended attributes, an object's sealing, and keys that stop serving.
namespace coffer {
namespace {

constexpr std::string_view kOurs = "user.s3.";
constexpr std::string_view kAlgorithm = "user.s3.server-side-encryption";
constexpr std::string_view kKmsKey = "user.s3.server-side-encryption-aws-kms-key-id";
constexpr std::string_view kBucketKey = "user.s3.server-side-encryption-bucket-key-enabled";

Error no_attribute() { return {Code::kNoAttribute, "no such attribute"}; }

Result<Bytes> sealing_attribute(const Envelope& envelope, std::string_view name) {
  if (name == kAlgorithm) return to_bytes(as_bytes(sse_name(envelope.algorithm)));
  if (name == kKmsKey && !envelope.kms_key_arn.empty()) return to_bytes(as_bytes(envelope.kms_key_arn));
  if (name == kBucketKey && envelope.bucket_key()) return to_bytes(as_bytes("true"));
  return no_attribute();
}

bool is_under(const OpenObject& object, const std::string& arn) {
  return object.current().envelope->kms_key_arn == arn ||
         (object.next() && object.next()->envelope->kms_key_arn == arn);
}

}  // namespace

Result<Bytes> Store::xattr(InodeNumber ino, std::string_view name) {
  auto& s = *state_;
  COFFER_ASSIGN(const auto handle, s.inodes.get(ino));
  if (name.starts_with(kOurs)) {
    if (s.inodes.read(handle).kind != FileKind::kFile) return no_attribute();
    COFFER_ASSIGN(const auto object, s.object(ino));
    std::shared_lock lock(object->mutex);
    return sealing_attribute(*object->current().envelope, name);
  }
  std::lock_guard lock(s.catalog.mutex());
  return s.catalog.xattr(ino, name);
}

Result<std::vector<std::string>> Store::xattr_names(InodeNumber ino) {
  COFFER_TRY(state_->inodes.get(ino));
  std::lock_guard lock(state_->catalog.mutex());
  return state_->catalog.xattr_names(ino);
}

Status Store::set_xattr(InodeNumber ino, std::string_view name, BytesView value, XattrMode mode) {
  auto& s = *state_;
  COFFER_TRY(s.ready());
  if (name.starts_with(kOurs))
    return Error{Code::kNotPermitted, "user.s3.* says how an object is sealed; it is not set"};
  if (name.empty() || name.size() > kXattrNameSizeMax)
    return Error{Code::kOutOfRange, "an attribute's name has 1 to 255 bytes"};
  if (value.size() > kXattrSizeMax) return Error{Code::kLimit, "an attribute has at most 64 KiB"};
  COFFER_TRY(s.claim_space(value.size() + kPageSize));
  Gate::Pass pass(s.gate);
  std::lock_guard lock(s.catalog.mutex());
  COFFER_ASSIGN(const auto handle, s.inodes.get_locked(ino));
  const auto old = s.catalog.xattr(ino, name);
  if (!old && old.code() != Code::kNoAttribute) return s.checked(Status(old.error()));
  if (old && mode == XattrMode::kCreate) return Error{Code::kExists, "the attribute is there"};
  if (!old && mode == XattrMode::kReplace) return no_attribute();
  COFFER_ASSIGN(const auto all, s.catalog.xattr_bytes(ino));
  const auto without = old ? all - old->size() - name.size() : all;
  if (without + name.size() + value.size() > kXattrsSizeMax)
    return Error{Code::kNoSpace, "the attributes of one file have at most 1 MiB"};
  COFFER_TRY(s.reserve_pages_locked(kNamePages + (value.size() + kXattrSizeMax) / kPageSize));
  COFFER_TRY(s.checked(s.catalog.set_xattr(ino, name, value)));
  const auto now = s.clock.wall_ns();
  s.inodes.edit(handle, [&](Inode& i) { i.ctime_ns = now; });
  s.touch();
  return {};
}

Status Store::remove_xattr(InodeNumber ino, std::string_view name) {
  auto& s = *state_;
  COFFER_TRY(s.ready());
  if (name.starts_with(kOurs)) return Error{Code::kNotPermitted, "user.s3.* says how an object is sealed; it stays"};
  Gate::Pass pass(s.gate);
  std::lock_guard lock(s.catalog.mutex());
  COFFER_ASSIGN(const auto handle, s.inodes.get_locked(ino));
  COFFER_TRY(s.reserve_pages_locked(kNamePages + kXattrSizeMax / kPageSize));
  COFFER_TRY(s.checked(s.catalog.remove_xattr(ino, name)));
  const auto now = s.clock.wall_ns();
  s.inodes.edit(handle, [&](Inode& i) { i.ctime_ns = now; });
  s.touch();
  return {};
}

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
  Subject subject{inode.ino, generation, object.current().envelope->chunk_size, bucket.name, ""};
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
    object->wipe_keys(&kms_key_arn);
  }
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
      return !envelope || envelope->kms_key_arn == kms_key_arn;
    };
    if (concerns(row->envelope) || (row->next_envelope && concerns(*row->next_envelope))) found.push_back(ino);
  }
  return found;
}

}  // namespace coffer
