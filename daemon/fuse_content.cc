#include <fcntl.h>
#include <linux/falloc.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "base/limits.h"
#include "daemon/fuse_state.h"

// Files' bytes.
namespace coffer {
namespace {

bool writes(int flags) { return (flags & O_ACCMODE) != O_RDONLY; }

void open(fuse_req_t req, fuse_ino_t ino, fuse_file_info* handle) {
  FuseShell::State& state = state_of(req);
  const bool truncate = (handle->flags & O_TRUNC) != 0;
  const Status opened = state.store.open_object(ino, truncate, state.actor(req));
  if (!opened.ok()) return reply_error(req, opened.error());
  const int flags = handle->flags;
  if (FuseDevice::request_kills_privileges()) state.drop_privileges(ino);
  if (!writes(flags) && !truncate && (flags & O_NOATIME) == 0) state.accessed(ino, state.access_times.files);
  handle->keep_cache = 1;
  state.remember_actor(req, handle);
  state.opened(ino, flags);
  if (fuse_reply_open(req, handle) == -ENOENT) {  // nobody waits for it any more
    state.closed(ino, flags);
    state.store.release(ino);
  }
}

void release(fuse_req_t req, fuse_ino_t ino, fuse_file_info* handle) {
  FuseShell::State& state = state_of(req);
  state.closed(ino, handle->flags);
  state.store.release(ino);
  fuse_reply_err(req, 0);
}

void read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, fuse_file_info* handle) {
  // One per thread that serves, as large as the kernel's largest request.
  static thread_local Bytes buffer;
  FuseShell::State& state = state_of(req);
  if (buffer.size() < size) buffer.resize(size);
  const Result<std::size_t> got =
      state.store.read(ino, static_cast<std::uint64_t>(offset), MutableBytes(buffer).first(size), state.actor(handle));
  if (!got.ok()) return reply_error(req, got.error());
  if ((handle->flags & (O_NOATIME | O_WRONLY)) == 0) state.accessed(ino, state.access_times.files);
  fuse_reply_buf(req, reinterpret_cast<const char*>(buffer.data()), *got);
}

void write(fuse_req_t req, fuse_ino_t ino, const char* bytes, size_t size, off_t offset, fuse_file_info* handle) {
  FuseShell::State& state = state_of(req);
  const Status written =
      state.store.write(ino, static_cast<std::uint64_t>(offset), as_bytes({bytes, size}), state.actor(handle));
  if (!written.ok()) return reply_error(req, written.error());
  if (FuseDevice::request_kills_privileges()) state.drop_privileges(ino);
  fuse_reply_write(req, size);
}

Status sync_inode(Store& store, InodeNumber ino) { return ino == kRootInode ? store.sync_all() : store.sync(ino); }

void fsync(fuse_req_t req, fuse_ino_t ino, int, fuse_file_info*) {
  reply_status(req, sync_inode(state_of(req).store, ino));
}

std::optional<FallocateMode> fallocate_mode(int mode) {
  switch (mode) {
    case 0: return FallocateMode::kAllocate;
    case FALLOC_FL_KEEP_SIZE: return FallocateMode::kAllocateKeepSize;
    case FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE: return FallocateMode::kPunchHole;
    case FALLOC_FL_ZERO_RANGE: return FallocateMode::kZero;
    case FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE: return FallocateMode::kZeroKeepSize;
    default: return std::nullopt;
  }
}

void fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t size, fuse_file_info* handle) {
  const auto known = fallocate_mode(mode);
  if (!known) {
    fuse_reply_err(req, EOPNOTSUPP);
    return;
  }
  FuseShell::State& state = state_of(req);
  // The kernel says of a write that it takes set-id bits away, of this it does not.
  if (fuse_req_ctx(req)->uid != 0) state.drop_privileges(ino);
  reply_status(req, state.store.fallocate(ino, *known, static_cast<std::uint64_t>(offset),
                                          static_cast<std::uint64_t>(size), state.actor(handle)));
}

void reply_seek(fuse_req_t req, InodeNumber ino, off_t offset, SeekFor what) {
  const Result<std::uint64_t> found = state_of(req).store.seek(ino, static_cast<std::uint64_t>(offset), what);
  if (found.ok()) {
    fuse_reply_lseek(req, static_cast<off_t>(*found));
  } else {
    fuse_reply_err(req, found.code() == Code::kNotFound ? ENXIO : error_number(found.code()));
  }
}

// The kernel asks before it writes back what it holds dirty. Of files open for writing that is made requests first,
// from the one thread that may wait for it.
void lseek(fuse_req_t req, fuse_ino_t ino, off_t offset, int whence, fuse_file_info*) {
  FuseShell::State& state = state_of(req);
  if (whence != SEEK_DATA && whence != SEEK_HOLE) {
    fuse_reply_err(req, EINVAL);
    return;
  }
  const SeekFor what = whence == SEEK_DATA ? SeekFor::kData : SeekFor::kHole;
  if (!state.open_for_writing(ino)) return reply_seek(req, ino, offset, what);
  state.notifier->post([=, session = state.session] {
    fuse_lowlevel_notify_inval_inode(session, ino, /*off=*/0, /*len=*/0);
    reply_seek(req, ino, offset, what);
  });
}

void copy_file_range(fuse_req_t req, fuse_ino_t from, off_t from_offset, fuse_file_info* from_handle, fuse_ino_t to,
                     off_t to_offset, fuse_file_info* to_handle, size_t size, int flags) {
  if (flags != 0) {
    fuse_reply_err(req, EINVAL);
    return;
  }
  FuseShell::State& state = state_of(req);
  if (fuse_req_ctx(req)->uid != 0) state.drop_privileges(to);  // as of fallocate
  const Result<std::uint64_t> copied =
      state.store.copy_range(from, static_cast<std::uint64_t>(from_offset), to, static_cast<std::uint64_t>(to_offset),
                             std::min(size, kCopyRangeMax), state.actor(from_handle), state.actor(to_handle));
  if (!copied.ok()) return reply_error(req, copied.error());
  fuse_reply_write(req, *copied);
}

}  // namespace

// The handle's number is its opener's uid and one more. One that says nothing is the mount's own.
Actor FuseShell::State::actor(const fuse_file_info* handle) const {
  if (handle == nullptr || handle->fh == 0) return nullptr;
  return options.uids.find(static_cast<std::uint32_t>(handle->fh - 1));
}

void FuseShell::State::remember_actor(fuse_req_t req, fuse_file_info* handle) const {
  if (!options.uids.empty()) handle->fh = std::uint64_t{fuse_req_ctx(req)->uid} + 1;
}

void FuseShell::State::opened(InodeNumber ino, int flags) {
  if (!writes(flags)) return;
  const std::lock_guard lock(writers_mutex);
  ++writers[ino];
}

void FuseShell::State::closed(InodeNumber ino, int flags) {
  if (!writes(flags)) return;
  const std::lock_guard lock(writers_mutex);
  const auto found = writers.find(ino);
  if (found != writers.end() && --found->second == 0) writers.erase(found);
}

bool FuseShell::State::open_for_writing(InodeNumber ino) {
  const std::lock_guard lock(writers_mutex);
  return writers.contains(ino);
}

std::vector<InodeNumber> FuseShell::State::written_objects() {
  const std::lock_guard lock(writers_mutex);
  std::vector<InodeNumber> out;
  out.reserve(writers.size());
  for (const auto& [ino, handles] : writers) out.push_back(ino);
  return out;
}

void add_content_handlers(fuse_lowlevel_ops& table) {
  table.open = open;
  table.release = release;
  table.read = read;
  table.write = write;
  table.fsync = fsync;
  table.fsyncdir = fsync;
  table.fallocate = fallocate;
  table.lseek = lseek;
  table.copy_file_range = copy_file_range;
}

}  // namespace coffer
