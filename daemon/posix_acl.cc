#include "daemon/posix_acl.h"

#include <algorithm>
#include <tuple>

#include "base/limits.h"
#include "base/wire.h"

namespace coffer {
namespace {

// linux/posix_acl.h and linux/posix_acl_xattr.h.
constexpr std::uint32_t kAclVersion = 2;
constexpr std::uint16_t kUserObject = 0x01, kUser = 0x02, kGroupObject = 0x04, kGroup = 0x08, kMask = 0x10,
                        kOther = 0x20;
constexpr std::uint32_t kNoId = 0xffffffff;
constexpr std::size_t kEntrySize = 8;

Error invalid() { return {Code::kInvalidArgument, "not an access control list"}; }

bool names_someone(std::uint16_t tag) { return tag == kUser || tag == kGroup; }

}  // namespace

Result<PosixAcl> PosixAcl::decode(BytesView value) {
  WireReader in(value);
  if (in.u32() != kAclVersion || in.left() % kEntrySize != 0 || value.size() > kXattrSizeMax) return invalid();
  PosixAcl acl;
  while (in.ok() && in.left() > 0) {
    const std::uint16_t tag = in.u16();
    const std::uint16_t permissions = in.u16();
    const std::uint32_t id = in.u32();
    acl.entries_.push_back({tag, permissions, names_someone(tag) ? id : kNoId});
  }
  // Ascending tags, and within named users and groups no name twice, is what every library writes.
  std::stable_sort(acl.entries_.begin(), acl.entries_.end(),
                   [](const Entry& a, const Entry& b) { return std::tie(a.tag, a.id) < std::tie(b.tag, b.id); });
  bool named = false;
  for (std::size_t i = 0; i < acl.entries_.size(); ++i) {
    const Entry& entry = acl.entries_[i];
    const bool known = entry.tag == kUserObject || entry.tag == kUser || entry.tag == kGroupObject ||
                       entry.tag == kGroup || entry.tag == kMask || entry.tag == kOther;
    if (!known || entry.permissions > 7 || (names_someone(entry.tag) && entry.id == kNoId)) return invalid();
    if (i > 0 && acl.entries_[i - 1].tag == entry.tag && acl.entries_[i - 1].id == entry.id) return invalid();
    named = named || names_someone(entry.tag);
  }
  if (!acl.find(kUserObject) || !acl.find(kGroupObject) || !acl.find(kOther)) return invalid();
  if (named && !acl.find(kMask)) return invalid();
  return acl;
}

Bytes PosixAcl::encode() const {
  WireWriter out;
  out.u32(kAclVersion);
  for (const Entry& entry : entries_) out.u16(entry.tag).u16(entry.permissions).u32(entry.id);
  return std::move(out).take();
}

const PosixAcl::Entry* PosixAcl::find(std::uint16_t tag) const {
  const auto found = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& e) { return e.tag == tag; });
  return found == entries_.end() ? nullptr : &*found;
}

std::uint32_t PosixAcl::mode_bits() const {
  const Entry* group = find(kMask) ? find(kMask) : find(kGroupObject);
  return static_cast<std::uint32_t>(find(kUserObject)->permissions << 6 | group->permissions << 3 |
                                    find(kOther)->permissions);
}

bool PosixAcl::only_mode() const { return entries_.size() == 3; }

PosixAcl PosixAcl::with_mode(std::uint32_t mode) const {
  PosixAcl acl = *this;
  const bool masked = find(kMask) != nullptr;
  for (Entry& entry : acl.entries_) {
    if (entry.tag == kUserObject) entry.permissions = mode >> 6 & 7;
    if (entry.tag == (masked ? kMask : kGroupObject)) entry.permissions = mode >> 3 & 7;
    if (entry.tag == kOther) entry.permissions = mode & 7;
  }
  return acl;
}

PosixAcl PosixAcl::inherited(std::uint32_t mode) const { return with_mode(mode & mode_bits()); }

}  // namespace coffer
