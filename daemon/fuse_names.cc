#include <fcntl.h>
#include <linux/fs.h>

#include <optional>

#include "daemon/fuse_state.h"
#include "daemon/posix_acl.h"

// Names: what makes, moves and removes them.
namespace coffer {
namespace {

// What a new inode starts with: the caller's, or its directory's, owner, rights and lists.
Result<NewInode> start_of(fuse_req_t req, InodeNumber parent, mode_t mode) {
  const fuse_ctx& caller = *fuse_req_ctx(req);
  Store& store = state_of(req).store;
  const bool directory = S_ISDIR(mode);
  NewInode start;
  start.mode = mode & 07777;
  start.uid = caller.uid;
  start.gid = caller.gid;

  COFFER_ASSIGN(const Inode parent_inode, store.get(parent));
  if ((parent_inode.mode & S_ISGID) != 0) {
    start.gid = parent_inode.gid;
    if (directory) start.mode |= S_ISGID;
  }
  if (S_ISLNK(mode)) return start;

  const Result<Bytes> inherited = store.xattr(parent, kDefaultAclName);
  if (!inherited.ok()) {
    if (inherited.code() != Code::kNoAttribute) return inherited.error();
    start.mode &= ~static_cast<std::uint32_t>(caller.umask);
    return start;
  }
  COFFER_ASSIGN(const PosixAcl inheritable, PosixAcl::decode(*inherited));
  const PosixAcl access = inheritable.inherited(mode);
  start.mode = (start.mode & ~0777U) | access.mode_bits();
  if (!access.only_mode()) start.xattrs.push_back({std::string(kAccessAclName), access.encode()});
  if (directory) start.xattrs.push_back({std::string(kDefaultAclName), inheritable.encode()});
  return start;
}

void reply_entry(fuse_req_t req, const Result<Inode>& inode) {
  if (!inode.ok()) return reply_error(req, inode.error());
  FuseShell::State& state = state_of(req);
  const fuse_entry_param entry = state.to_entry(*inode);
  const InodeNumber ino = inode->ino;
  if (fuse_reply_entry(req, &entry) == -ENOENT) state.store.forget(ino, 1);  // nobody waits for it any more
}

void lookup(fuse_req_t req, fuse_ino_t parent, const char* name) {
  const Result<Inode> inode = state_of(req).store.lookup(parent, name);
  if (!inode.ok() && inode.code() == Code::kNotFound) {
    const fuse_entry_param nothing = no_entry();
    fuse_reply_entry(req, &nothing);
    return;
  }
  reply_entry(req, inode);
}

std::optional<FileKind> kind_of(mode_t mode) {
  switch (mode & S_IFMT) {
    case 0:
    case S_IFREG: return FileKind::kFile;
    case S_IFIFO: return FileKind::kFifo;
    case S_IFSOCK: return FileKind::kSocket;
    case S_IFCHR: return FileKind::kCharDevice;
    case S_IFBLK: return FileKind::kBlockDevice;
    default: return std::nullopt;
  }
}

Result<Inode> make_node(fuse_req_t req, InodeNumber parent, const char* name, mode_t mode, dev_t rdev) {
  Store& store = state_of(req).store;
  const auto kind = kind_of(mode);
  if (!kind) return Error{Code::kInvalidArgument, "no such kind of file"};
  COFFER_ASSIGN(NewInode start, start_of(req, parent, mode));
  start.rdev = rdev;
  start.as = state_of(req).actor(req);
  return store.make_node(parent, name, *kind, start);
}

Result<Inode> make_directory(fuse_req_t req, InodeNumber parent, const char* name, mode_t mode) {
  COFFER_ASSIGN(NewInode start, start_of(req, parent, mode | S_IFDIR));
  start.as = state_of(req).actor(req);
  return state_of(req).store.make_directory(parent, name, start);
}

Result<Inode> make_symlink(fuse_req_t req, InodeNumber parent, const char* name, const char* target) {
  COFFER_ASSIGN(const NewInode start, start_of(req, parent, S_IFLNK | 0777));
  return state_of(req).store.make_symlink(parent, name, target, start);
}

Result<Inode> create_file(fuse_req_t req, InodeNumber parent, const char* name, mode_t mode) {
  COFFER_ASSIGN(NewInode start, start_of(req, parent, mode));
  start.as = state_of(req).actor(req);
  return state_of(req).store.create(parent, name, start);
}

void mknod(fuse_req_t req, fuse_ino_t parent, const char* name, mode_t mode, dev_t rdev) {
  reply_entry(req, make_node(req, parent, name, mode, rdev));
}

void mkdir(fuse_req_t req, fuse_ino_t parent, const char* name, mode_t mode) {
  reply_entry(req, make_directory(req, parent, name, mode));
}

void symlink(fuse_req_t req, const char* target, fuse_ino_t parent, const char* name) {
  reply_entry(req, make_symlink(req, parent, name, target));
}

void link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char* name) {
  reply_entry(req, state_of(req).store.link(ino, parent, name));
}

void create(fuse_req_t req, fuse_ino_t parent, const char* name, mode_t mode, fuse_file_info* handle) {
  FuseShell::State& state = state_of(req);
  const Result<Inode> inode = create_file(req, parent, name, mode);
  if (!inode.ok()) return reply_error(req, inode.error());
  const fuse_entry_param entry = state.to_entry(*inode);
  const InodeNumber ino = inode->ino;
  const int flags = handle->flags;
  handle->keep_cache = 1;
  state.remember_actor(req, handle);
  state.opened(ino, flags);
  if (fuse_reply_create(req, &entry, handle) == -ENOENT) {
    state.closed(ino, flags);
    state.store.release(ino);
    state.store.forget(ino, 1);
  }
}

void unlink(fuse_req_t req, fuse_ino_t parent, const char* name) {
  reply_status(req, state_of(req).store.unlink(parent, name));
}

void rmdir(fuse_req_t req, fuse_ino_t parent, const char* name) {
  reply_status(req, state_of(req).store.remove_directory(parent, name));
}

void rename(fuse_req_t req, fuse_ino_t parent, const char* name, fuse_ino_t new_parent, const char* new_name,
            unsigned flags) {
  std::optional<RenameMode> mode;
  if (flags == 0) mode = RenameMode::kReplace;
  if (flags == RENAME_NOREPLACE) mode = RenameMode::kNoReplace;
  if (flags == RENAME_EXCHANGE) mode = RenameMode::kExchange;
  if (!mode) {
    fuse_reply_err(req, EINVAL);
    return;
  }
  reply_status(req, state_of(req).store.rename(parent, name, new_parent, new_name, *mode));
}

void readlink(fuse_req_t req, fuse_ino_t ino) {
  FuseShell::State& state = state_of(req);
  const Result<std::string> target = state.store.read_symlink(ino);
  if (!target.ok()) return reply_error(req, target.error());
  state.accessed(ino, state.access_times.files);
  fuse_reply_readlink(req, target->c_str());
}

}  // namespace

void add_name_handlers(fuse_lowlevel_ops& table) {
  table.lookup = lookup;
  table.mknod = mknod;
  table.mkdir = mkdir;
  table.symlink = symlink;
  table.link = link;
  table.create = create;
  table.unlink = unlink;
  table.rmdir = rmdir;
  table.rename = rename;
  table.readlink = readlink;
}

}  // namespace coffer
