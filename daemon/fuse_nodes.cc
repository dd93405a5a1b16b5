#include <sys/sysmacros.h>

#include "base/clock.h"
#include "base/limits.h"
#include "daemon/fuse_state.h"
#include "daemon/posix_acl.h"

// Inodes: attributes, references, the file system's size.
namespace coffer {

std::uint32_t type_bits(FileKind kind) {
  switch (kind) {
    case FileKind::kFile: return S_IFREG;
    case FileKind::kDirectory: return S_IFDIR;
    case FileKind::kSymlink: return S_IFLNK;
    case FileKind::kFifo: return S_IFIFO;
    case FileKind::kSocket: return S_IFSOCK;
    case FileKind::kCharDevice: return S_IFCHR;
    case FileKind::kBlockDevice: return S_IFBLK;
  }
  return 0;
}

namespace {

constexpr std::uint32_t kRootMode = 0755;
constexpr std::string_view kCapabilities = "security.capability";

// This program is the only writer, and says so when it changes what the kernel knows: a year is for ever. A write takes
// set-id bits away without telling the kernel's cache, so attributes that have them are asked for each time.
constexpr double kCachedSeconds = 365.0 * 24 * 3600;
double attribute_seconds(const Inode& inode) {
  return inode.kind == FileKind::kFile && (inode.mode & (S_ISUID | S_ISGID)) != 0 ? 0 : kCachedSeconds;
}

timespec to_timespec(std::int64_t ns) {
  std::int64_t seconds = ns / kNsPerSecond;
  if (ns % kNsPerSecond < 0) --seconds;  // before 1970 nanoseconds count up all the same
  return {.tv_sec = seconds, .tv_nsec = ns - seconds * kNsPerSecond};
}

// The nearest time there is: 64 bits of nanoseconds reach from 1677 to 2262.
std::int64_t to_ns(const timespec& time) {
  std::int64_t ns = 0;
  if (!__builtin_mul_overflow(time.tv_sec, kNsPerSecond, &ns) && !__builtin_add_overflow(ns, time.tv_nsec, &ns))
    return ns;
  return time.tv_sec < 0 ? INT64_MIN : INT64_MAX;
}

// What a write, a truncation or a change of owner leaves of a mode. Set-group-id without group execution is not a
// privilege, but mandatory locking of old.
std::uint32_t without_privileges(std::uint32_t mode) {
  mode &= ~static_cast<std::uint32_t>(S_ISUID);
  if ((mode & S_IXGRP) != 0) mode &= ~static_cast<std::uint32_t>(S_ISGID);
  return mode;
}

InodeChange to_change(const struct stat& wanted, int valid, std::int64_t now) {
  InodeChange change;
  if ((valid & FUSE_SET_ATTR_MODE) != 0) change.mode = wanted.st_mode & 07777;
  if ((valid & FUSE_SET_ATTR_UID) != 0) change.uid = wanted.st_uid;
  if ((valid & FUSE_SET_ATTR_GID) != 0) change.gid = wanted.st_gid;
  if ((valid & FUSE_SET_ATTR_SIZE) != 0) change.size = static_cast<std::uint64_t>(wanted.st_size);
  if ((valid & FUSE_SET_ATTR_ATIME) != 0) change.atime_ns = to_ns(wanted.st_atim);
  if ((valid & FUSE_SET_ATTR_MTIME) != 0) change.mtime_ns = to_ns(wanted.st_mtim);
  if ((valid & FUSE_SET_ATTR_CTIME) != 0) change.ctime_ns = to_ns(wanted.st_ctim);
  if ((valid & FUSE_SET_ATTR_ATIME_NOW) != 0) change.atime_ns = now;
  if ((valid & FUSE_SET_ATTR_MTIME_NOW) != 0) change.mtime_ns = now;
  return change;
}

void take_privileges(Store& store, const Inode& from, InodeChange& change) {
  if (from.kind == FileKind::kDirectory) return;
  const std::uint32_t left = without_privileges(from.mode);
  if (!change.mode && left != from.mode) change.mode = left;
  if (store.xattr(from.ino, kCapabilities).ok()) change.xattrs.push_back({std::string(kCapabilities), std::nullopt});
}

Result<Inode> set_attributes(FuseShell::State& state, InodeNumber ino, InodeChange change, bool kill_privileges) {
  if (ino == kRootInode && (change.mode || change.uid || change.gid)) {
    return Error{Code::kNotPermitted, "the root directory belongs to the mounter"};
  }
  COFFER_ASSIGN(const Inode before, state.store.get(ino));
  if (kill_privileges) take_privileges(state.store, before, change);
  if (change.mode && *change.mode != before.mode) {
    COFFER_ASSIGN(auto list, list_with_mode(state.store, ino, *change.mode));
    if (list) change.xattrs.push_back({std::string(kAccessAclName), std::move(list)});
  }
  return state.store.change(ino, change);
}

void getattr(fuse_req_t req, fuse_ino_t ino, fuse_file_info*) {
  FuseShell::State& state = state_of(req);
  const Result<Inode> inode = state.store.get(ino);
  if (!inode.ok()) return reply_error(req, inode.error());
  const struct stat attributes = state.to_stat(*inode);
  fuse_reply_attr(req, &attributes, attribute_seconds(*inode));
}

void setattr(fuse_req_t req, fuse_ino_t ino, struct stat* wanted, int valid, fuse_file_info* handle) {
  FuseShell::State& state = state_of(req);
  auto change = to_change(*wanted, valid, state.clock.wall_ns());
  change.as = handle == nullptr ? state.actor(req) : state.actor(handle);
  const Result<Inode> inode = set_attributes(state, ino, std::move(change), FuseDevice::request_kills_privileges());
  if (!inode.ok()) return reply_error(req, inode.error());
  const struct stat attributes = state.to_stat(*inode);
  fuse_reply_attr(req, &attributes, attribute_seconds(*inode));
}

void forget(fuse_req_t req, fuse_ino_t ino, std::uint64_t references) {
  state_of(req).store.forget(ino, references);
  fuse_reply_none(req);
}

void forget_multi(fuse_req_t req, size_t count, fuse_forget_data* forgets) {
  Store& store = state_of(req).store;
  for (size_t i = 0; i < count; ++i) store.forget(forgets[i].ino, forgets[i].nlookup);
  fuse_reply_none(req);
}

void statfs(fuse_req_t req, fuse_ino_t) {
  const Result<Usage> usage = state_of(req).store.usage();
  if (!usage.ok()) return reply_error(req, usage.error());
  struct statvfs answer = {};
  answer.f_bsize = answer.f_frsize = kPageSize;
  answer.f_blocks = usage->space.total / kPageSize;
  answer.f_bfree = usage->space.free / kPageSize;
  answer.f_bavail = usage->space.available / kPageSize;
  // An inode costs at least one page's worth of what is free, in the worst case.
  answer.f_ffree = answer.f_favail = answer.f_bavail;
  answer.f_files = usage->inodes + answer.f_ffree;
  answer.f_namemax = kNameSizeMax;
  fuse_reply_statfs(req, &answer);
}

}  // namespace

struct stat FuseShell::State::to_stat(const Inode& inode) const {
  const bool root = inode.ino == kRootInode;
  struct stat out = {};
  out.st_ino = inode.ino;
  out.st_mode = type_bits(inode.kind) | (root ? kRootMode : inode.mode);
  out.st_nlink = inode.nlink;
  out.st_uid = root ? uid : inode.uid;
  out.st_gid = root ? gid : inode.gid;
  out.st_rdev = inode.rdev;
  out.st_size = static_cast<off_t>(inode.size);
  out.st_blocks = static_cast<blkcnt_t>((inode.allocated + 511) / 512);
  out.st_blksize = kChunkSize;
  out.st_atim = to_timespec(inode.atime_ns);
  out.st_mtim = to_timespec(inode.mtime_ns);
  out.st_ctim = to_timespec(inode.ctime_ns);
  return out;
}

fuse_entry_param FuseShell::State::to_entry(const Inode& inode) const {
  fuse_entry_param entry = {};
  entry.ino = inode.ino;
  entry.attr = to_stat(inode);
  entry.attr_timeout = attribute_seconds(inode);
  entry.entry_timeout = kCachedSeconds;
  return entry;
}

fuse_entry_param no_entry() {
  fuse_entry_param entry = {};
  entry.entry_timeout = kCachedSeconds;
  return entry;
}

// The kernel keeps attributes for as long as it likes, and asks again only after a read it could not answer itself.
void FuseShell::State::accessed(InodeNumber ino, const std::optional<AccessTimes>& times) {
  if (!times || !store.accessed(ino, *times)) return;
  notifier->post([this, ino] { fuse_lowlevel_notify_inval_inode(session, ino, /*off=*/-1, /*len=*/0); });
}

void FuseShell::State::drop_privileges(InodeNumber ino) {
  const Result<Inode> inode = store.get(ino);
  InodeChange change;
  if (inode.ok()) take_privileges(store, *inode, change);
  if (!change.mode && change.xattrs.empty()) return;
  if (const Result<Inode> after = store.change(ino, change); !after.ok()) {
    log(LogLevel::kWarning, "a write could not take set-user-id away: " + after.error().message);
  }
}

void add_node_handlers(fuse_lowlevel_ops& table) {
  table.getattr = getattr;
  table.setattr = setattr;
  table.forget = forget;
  table.forget_multi = forget_multi;
  table.statfs = statfs;
}

}  // namespace coffer
