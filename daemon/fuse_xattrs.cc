#include <grp.h>
#include <sys/xattr.h>

#include <algorithm>

#include "base/limits.h"
#include "daemon/fuse_state.h"
#include "daemon/posix_acl.h"

// Extended attributes, and the access control lists among them.
namespace coffer {
namespace {

bool is_acl(std::string_view name) { return name == kAccessAclName || name == kDefaultAclName; }

// xattr(7): the kernel refuses others for its own file systems, and asks a FUSE server for all.
bool has_known_namespace(std::string_view name) {
  constexpr std::string_view kNamespaces[] = {"user.", "trusted.", "security."};
  return std::any_of(std::begin(kNamespaces), std::end(kNamespaces),
                     [&](std::string_view known) { return name.starts_with(known); });
}

bool in_group(fuse_req_t req, gid_t group) {
  const fuse_ctx& caller = *fuse_req_ctx(req);
  if (caller.uid == 0 || caller.gid == group) return true;
  std::vector<gid_t> groups(kGroupsMax);
  const int count = fuse_req_getgroups(req, static_cast<int>(groups.size()), groups.data());
  if (count < 0) return false;
  groups.resize(std::min(groups.size(), static_cast<size_t>(count)));
  return std::find(groups.begin(), groups.end(), group) != groups.end();
}

// acl(5): the list's user, mask and others entries are the permission bits; a list that says no more is not kept.
Status set_access_acl(fuse_req_t req, InodeNumber ino, const PosixAcl& acl) {
  Store& store = state_of(req).store;
  COFFER_ASSIGN(const Inode inode, store.get(ino));
  InodeChange change;
  change.mode = (inode.mode & ~0777U) | acl.mode_bits();
  if (!in_group(req, inode.gid)) *change.mode &= ~static_cast<std::uint32_t>(S_ISGID);
  change.xattrs.push_back({std::string(kAccessAclName), std::nullopt});
  if (!acl.only_mode()) change.xattrs.back().value = acl.encode();
  COFFER_TRY(store.change(ino, change));
  return {};
}

Status set_acl(fuse_req_t req, InodeNumber ino, std::string_view name, BytesView value) {
  if (ino == kRootInode) return Error{Code::kNotPermitted, "the root directory belongs to the mounter"};
  COFFER_ASSIGN(const PosixAcl acl, PosixAcl::decode(value));
  if (name == kAccessAclName) return set_access_acl(req, ino, acl);
  Store& store = state_of(req).store;
  COFFER_ASSIGN(const Inode inode, store.get(ino));
  if (inode.kind != FileKind::kDirectory) return Error{Code::kAccessDenied, "only directories have default lists"};
  return store.set_xattr(ino, kDefaultAclName, acl.encode(), XattrMode::kAny);
}

void setxattr(fuse_req_t req, fuse_ino_t ino, const char* name, const char* value, size_t size, int flags) {
  const BytesView bytes = as_bytes({value, size});
  if (is_acl(name)) return reply_status(req, set_acl(req, ino, name, bytes));
  if (!has_known_namespace(name)) {
    fuse_reply_err(req, EOPNOTSUPP);
    return;
  }
  const XattrMode mode = (flags & XATTR_CREATE) != 0    ? XattrMode::kCreate
                         : (flags & XATTR_REPLACE) != 0 ? XattrMode::kReplace
                                                        : XattrMode::kAny;
  reply_status(req, state_of(req).store.set_xattr(ino, name, bytes, mode));
}

// Both calls answer with a size where they are asked for one.
void reply_sized(fuse_req_t req, BytesView value, size_t room) {
  if (room == 0) {
    fuse_reply_xattr(req, value.size());
  } else if (value.size() > room) {
    fuse_reply_err(req, ERANGE);
  } else {
    fuse_reply_buf(req, reinterpret_cast<const char*>(value.data()), value.size());
  }
}

void getxattr(fuse_req_t req, fuse_ino_t ino, const char* name, size_t room) {
  const Result<Bytes> value = state_of(req).store.xattr(ino, name);
  if (!value.ok()) return reply_error(req, value.error());
  reply_sized(req, *value, room);
}

void listxattr(fuse_req_t req, fuse_ino_t ino, size_t room) {
  const Result<std::vector<std::string>> names = state_of(req).store.xattr_names(ino);
  if (!names.ok()) return reply_error(req, names.error());
  std::string list;
  for (const std::string& name : *names) list.append(name).push_back('\0');
  reply_sized(req, as_bytes(list), room);
}

void removexattr(fuse_req_t req, fuse_ino_t ino, const char* name) {
  const Status removed = state_of(req).store.remove_xattr(ino, name);
  // A list that is not there says what the mode says: removing it is done.
  if (!removed.ok() && removed.code() == Code::kNoAttribute && is_acl(name)) {
    fuse_reply_err(req, 0);
    return;
  }
  reply_status(req, removed);
}

}  // namespace

Result<std::optional<Bytes>> list_with_mode(Store& store, InodeNumber ino, std::uint32_t mode) {
  const Result<Bytes> value = store.xattr(ino, kAccessAclName);
  if (!value.ok() && value.code() == Code::kNoAttribute) return std::optional<Bytes>();
  if (!value.ok()) return value.error();
  COFFER_ASSIGN(const PosixAcl acl, PosixAcl::decode(*value));
  return std::optional<Bytes>(acl.with_mode(mode).encode());
}

void add_xattr_handlers(fuse_lowlevel_ops& table) {
  table.setxattr = setxattr;
  table.getxattr = getxattr;
  table.listxattr = listxattr;
  table.removexattr = removexattr;
}

}  // namespace coffer
