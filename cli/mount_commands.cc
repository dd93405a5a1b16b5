#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/clock.h"
#include "base/descriptor.h"
#include "base/exit_code.h"
#include "base/limits.h"
#include "cli/commands.h"
#include "cli/daemon_process.h"
#include "cli/progress.h"

namespace coffer {
namespace {

Error failed(const std::string& what, int error, const std::string& next) {
  return {Code::kIo, what + ": " + std::strerror(error) + ": " + next};
}

Result<MountPoint> mount_named(const std::string& dir) {
  COFFER_ASSIGN(const auto table, read_mountinfo());
  return coffer_mount_at(table, clean_path(dir));
}

// The whole store's sync: 0, or the errno.
int sync_mount(const std::string& dir) {
  const Descriptor root(::open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  return root.valid() && ::fsync(root.get()) == 0 ? 0 : errno;
}

Error not_durable(const std::string& dir, int error) {
  return failed("not all of " + dir + " could be made durable", error,
                "see to the disk below the store, then run `coffer fsck`");
}

Error busy(const std::string& dir) {
  return {Code::kBusy, dir + " is busy: close what is open in it (`fuser -vm " + dir + "` names it) and try again"};
}

// fusermount3 unmounts for those who are not root.
Status unmount_as_user(const std::string& dir) {
  const pid_t child = ::fork();
  if (child < 0) return failed("cannot start fusermount3", errno, "try again");
  if (child == 0) {
    const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    ::dup2(null, STDERR_FILENO);
    ::execlp("fusermount3", "fusermount3", "-u", "--", dir.c_str(), nullptr);
    ::_exit(127);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  if (WIFEXITED(status) && WEXITSTATUS(status) == 127) {
    return Error{Code::kIo, "fusermount3 is missing: install the package fuse3"};
  }
  return busy(dir);
}

Status unmount(const std::string& dir) {
  if (::umount2(dir.c_str(), UMOUNT_NOFOLLOW) == 0) return {};
  if (errno == EBUSY) return busy(dir);
  if (errno == EPERM) return unmount_as_user(dir);
  return failed("cannot unmount " + dir, errno, "see `coffer status`");
}

bool mounted_again(const std::string& store) {
  const auto table = read_mountinfo();
  return table.ok() && std::any_of(table->begin(), table->end(),
                                   [&](const MountPoint& mount) { return mount.is_coffer() && mount.source == store; });
}

// The daemon holds a lock on the store's folder until its last byte is durable.
Status wait_for_daemon(const std::string& store, Console& console) {
  const SystemClock clock;
  Progress progress(console, clock, "making all durable");
  const Descriptor folder(::open(store.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.valid()) return failed("cannot open " + store, errno, "the daemon may still be writing to it");
  while (::flock(folder.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR)
      return failed("cannot lock " + store, errno, "the daemon may still be writing");
    if (mounted_again(store)) return {};  // by someone else, who could not before the daemon had ended
    progress.show(0, 0);
    ::poll(nullptr, 0, static_cast<int>(kUnmountPollMs));
  }
  return {};
}

}  // namespace

Status sync_mount(const MountPoint& mount) {
  if (const int error = sync_mount(mount.dir); error != 0) return not_durable(mount.dir, error);
  return {};
}

Result<int> run_command(const MountOptions& options, Console& console) {
  if (options.foreground) return run_daemon_in_foreground(options);
  return start_daemon(options, console);
}

Result<int> run_command(const SyncOptions& options, Console&) {
  COFFER_ASSIGN(const MountPoint mount, mount_named(options.dir));
  COFFER_TRY(sync_mount(mount));
  return kExitDone;
}

Result<int> run_command(const UnmountOptions& options, Console& console) {
  COFFER_ASSIGN(const MountPoint mount, mount_named(options.dir));
  const int error = sync_mount(mount.dir);  // while there still is someone to say that it failed
  COFFER_TRY(unmount(mount.dir));
  COFFER_TRY(wait_for_daemon(mount.source, console));
  if (error != 0 && error != ENOTCONN) return not_durable(mount.dir, error);
  return kExitDone;
}

}  // namespace coffer
