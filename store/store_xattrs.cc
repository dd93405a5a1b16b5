#include "store/store_state.h"

// Extended attributes.
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

}  // namespace

Status check_xattr(const XattrEdit& edit) {
  if (edit.name.starts_with(kOurs))
    return Error{Code::kNotPermitted, "user.s3.* says how an object is sealed; it is not set and stays"};
  if (edit.name.empty() || edit.name.size() > kXattrNameSizeMax)
    return Error{Code::kOutOfRange, "an attribute's name has 1 to 255 bytes"};
  if (edit.value && edit.value->size() > kXattrSizeMax)
    return Error{Code::kLimit, "an attribute has at most 64 KiB"};
  return {};
}

// The old value's pages change too.
std::uint64_t xattr_pages(const std::vector<XattrEdit>& edits) {
  std::uint64_t pages = 0;
  for (const auto& edit : edits)
    pages += kNamePages + (kXattrSizeMax + (edit.value ? edit.value->size() : 0)) / kPageSize;
  return pages;
}

Status Store::State::edit_xattrs_locked(InodeNumber ino, const std::vector<XattrEdit>& edits) {
  for (const auto& [name, value] : edits) {
    const auto old = catalog.xattr(ino, name);
    if (!old && old.code() != Code::kNoAttribute) return old.error();
    if (!value) {
      if (old) COFFER_TRY(catalog.remove_xattr(ino, name));
      continue;
    }
    COFFER_ASSIGN(const auto all, catalog.xattr_bytes(ino));
    const auto without = old ? all - old->size() - name.size() : all;
    if (without + name.size() + value->size() > kXattrsSizeMax)
      return Error{Code::kLimit, "the attributes of one file have at most 1 MiB"};
    COFFER_TRY(catalog.set_xattr(ino, name, *value));
  }
  return {};
}

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
  const std::vector<XattrEdit> edits = {{std::string(name), to_bytes(value)}};
  COFFER_TRY(check_xattr(edits.front()));
  const auto size_before = [&]() -> Result<std::size_t> {
    std::lock_guard lock(s.catalog.mutex());
    COFFER_ASSIGN(const auto old, s.catalog.xattr(ino, name));
    return old.size();
  }();
  const bool replaces = size_before && value.size() <= *size_before;
  COFFER_TRY(s.claim_pages(1 + value.size() / kPageSize, replaces ? RoomFor::kReplacing : RoomFor::kGrowing));
  return s.with_room([&]() -> Status {
    Gate::Pass pass(s.gate);
    std::lock_guard lock(s.catalog.mutex());
    COFFER_ASSIGN(const auto handle, s.inodes.get_locked(ino));
    const auto old = s.catalog.xattr(ino, name);
    if (!old && old.code() != Code::kNoAttribute) return old.error();
    if (old && mode == XattrMode::kCreate) return Error{Code::kExists, "the attribute is there"};
    if (!old && mode == XattrMode::kReplace) return no_attribute();
    COFFER_TRY(s.reserve_pages_locked(xattr_pages(edits)));
    COFFER_TRY(s.edit_xattrs_locked(ino, edits));
    const auto now = s.clock.wall_ns();
    s.inodes.edit(handle, [&](Inode& i) { i.ctime_ns = now; });
    s.touch();
    return {};
  });
}

Status Store::remove_xattr(InodeNumber ino, std::string_view name) {
  auto& s = *state_;
  COFFER_TRY(s.ready());
  const std::vector<XattrEdit> edits = {{std::string(name), std::nullopt}};
  COFFER_TRY(check_xattr(edits.front()));
  return s.with_room([&]() -> Status {
    Gate::Pass pass(s.gate);
    std::lock_guard lock(s.catalog.mutex());
    COFFER_ASSIGN(const auto handle, s.inodes.get_locked(ino));
    COFFER_TRY(s.catalog.xattr(ino, name));
    COFFER_TRY(s.reserve_pages_locked(xattr_pages(edits)));
    COFFER_TRY(s.edit_xattrs_locked(ino, edits));
    const auto now = s.clock.wall_ns();
    s.inodes.edit(handle, [&](Inode& i) { i.ctime_ns = now; });
    s.touch();
    return {};
  });
}

}  // namespace coffer
