#include "daemon/fuse_unmount.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

namespace coffer {

bool unmount_dir(const std::string& dir, bool lazily) {
  if (umount2(dir.c_str(), UMOUNT_NOFOLLOW | (lazily ? MNT_DETACH : 0)) == 0) return true;
  if (geteuid() == 0) return false;
  const pid_t child = fork();
  if (child == 0) {  // other threads are gone: only calls that are safe after fork
    const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    dup2(null, STDERR_FILENO);
    execlp("fusermount3", "fusermount3", "-u", lazily ? "-z" : "-q", "--", dir.c_str(), nullptr);
    _exit(1);
  }
  int status = 1;
  while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return child > 0 && status == 0;
}

}  // namespace coffer
