#pragma once

#include <sys/types.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/bytes.h"

namespace coffer {

// What the kernel's requests say that libfuse 3.14 does not pass on, and the replies it cannot ask for: arithmetic on
// the bytes of linux/fuse.h alone.
namespace fuse_wire {

// The INIT request's number and the flags it offers; nothing for other requests.
struct InitOffer {
  std::uint64_t unique = 0;
  std::uint32_t flags = 0;
};
std::optional<InitOffer> init_offer(BytesView request);

// Adds FUSE_HANDLE_KILLPRIV_V2 to the reply to `offer`, where it was offered: without it the writeback cache sends a
// GETXATTR before every write(2). Other messages stay as they are. Whether it was added.
bool ask_for_killpriv(const InitOffer& offer, const iovec* message, int count);

// WRITE, OPEN, CREATE or SETATTR that takes set-user-id, set-group-id and file capabilities away.
bool kills_privileges(BytesView request);

// The thread that asks; 0 for the kernel itself, and where we cannot see it.
std::uint32_t caller(BytesView request);

// What serving a request takes: little; a wait for the disk; or so much that others are served better meanwhile.
enum class Effort { kShort, kFlush, kLong };
Effort effort(BytesView request);

}  // namespace fuse_wire

// /dev/fuse, between the kernel and libfuse. One thread at a time receives; replies and notifications may come from
// any. A receiver polls before it sleeps, as long as requests keep coming: a round trip then costs 16-30 us instead
// of 73-121 us.
class FuseDevice {
 public:
  explicit FuseDevice(std::uint32_t poll_us);
  ~FuseDevice();
  FuseDevice(const FuseDevice&) = delete;
  FuseDevice& operator=(const FuseDevice&) = delete;

  // The next request: its size; or -1 and errno, as read(2): ENODEV when unmounted, EINTR after wake().
  ssize_t receive(int fd, void* into, std::size_t size);
  ssize_t send(int fd, const iovec* message, int count);
  // Ends receive() now, and each later one.
  void wake();
  // Whether another request waits already, of the receiving thread. Where none did it is not asked each time, unless it
  // must be known: a system call costs a tenth of a round trip.
  bool crowded(int fd, bool ask);
  // Whether the request received last had been there before it was asked for.
  bool came_at_once() const { return came_at_once_; }

  // Of the request this thread received last.
  static bool request_kills_privileges();

 private:
  bool spin(int fd, void* into, std::size_t size, ssize_t* got);
  ssize_t sleep(int fd, void* into, std::size_t size);

  const std::int64_t poll_ns_;
  int wake_fd_;
  // Of the receiving thread.
  bool coming_ = false;          // the last request came soon after the one before
  bool came_at_once_ = false;    // the last request
  bool crowded_ = false;         // when it was asked last
  unsigned since_asked_ = 0;     // requests
  std::optional<fuse_wire::InitOffer> offer_;
};

}  // namespace coffer
