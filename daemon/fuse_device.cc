#include "daemon/fuse_device.h"

#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cassert>
#include <cerrno>
#include <cstring>
#include <ctime>

namespace coffer {
namespace fuse_wire {
namespace {

// The fixed part that follows the header, by value: requests are not aligned for it in every buffer.
template <class Fixed>
std::optional<Fixed> fixed_part(BytesView request) {
  if (request.size() < sizeof(fuse_in_header) + sizeof(Fixed)) return std::nullopt;
  Fixed part;
  std::memcpy(&part, request.data() + sizeof(fuse_in_header), sizeof(Fixed));
  return part;
}

std::optional<fuse_in_header> header_of(BytesView request) {
  if (request.size() < sizeof(fuse_in_header)) return std::nullopt;
  fuse_in_header header;
  std::memcpy(&header, request.data(), sizeof(header));
  return header;
}

// More than a few chunks are sealed or opened while another thread takes the next request.
constexpr std::uint32_t kLongTransfer = 64 * 1024;

}  // namespace

std::optional<InitOffer> init_offer(BytesView request) {
  const auto header = header_of(request);
  const auto init = fixed_part<fuse_init_in>(request);
  if (!header || header->opcode != FUSE_INIT || !init) return std::nullopt;
  return InitOffer{header->unique, init->flags};
}

bool ask_for_killpriv(const InitOffer& offer, const iovec* message, int count) {
  if ((offer.flags & FUSE_HANDLE_KILLPRIV_V2) == 0 || count < 2) return false;
  fuse_out_header header;
  if (message[0].iov_len < sizeof(header) || message[1].iov_len < sizeof(fuse_init_out)) return false;
  std::memcpy(&header, message[0].iov_base, sizeof(header));
  if (header.unique != offer.unique || header.error != 0) return false;
  fuse_init_out reply;
  std::memcpy(&reply, message[1].iov_base, sizeof(reply));
  if (reply.major != FUSE_KERNEL_VERSION) return false;
  reply.flags |= FUSE_HANDLE_KILLPRIV_V2;
  std::memcpy(message[1].iov_base, &reply, sizeof(reply));
  return true;
}

bool kills_privileges(BytesView request) {
  const auto header = header_of(request);
  if (!header) return false;
  if (header->opcode == FUSE_WRITE) {
    const auto write = fixed_part<fuse_write_in>(request);
    return write && (write->write_flags & FUSE_WRITE_KILL_SUIDGID) != 0;
  }
  if (header->opcode == FUSE_OPEN) {
    const auto open = fixed_part<fuse_open_in>(request);
    return open && (open->open_flags & FUSE_OPEN_KILL_SUIDGID) != 0;
  }
  if (header->opcode == FUSE_SETATTR) {
    const auto setattr = fixed_part<fuse_setattr_in>(request);
    return setattr && (setattr->valid & FATTR_KILL_SUIDGID) != 0;
  }
  return false;  // what CREATE makes has no privileges yet
}

std::uint32_t caller(BytesView request) {
  const auto header = header_of(request);
  return header ? header->pid : 0;
}

Effort effort(BytesView request) {
  const auto header = header_of(request);
  if (!header) return Effort::kShort;
  const auto long_if = [](bool is_long) { return is_long ? Effort::kLong : Effort::kShort; };
  switch (header->opcode) {
    case FUSE_FSYNC:
    case FUSE_FSYNCDIR: return Effort::kFlush;
    case FUSE_FALLOCATE:
    case FUSE_COPY_FILE_RANGE:
    case FUSE_LSEEK: return Effort::kLong;
    case FUSE_READ: {
      const auto read = fixed_part<fuse_read_in>(request);
      return long_if(read && read->size > kLongTransfer);
    }
    case FUSE_WRITE: return long_if(request.size() > kLongTransfer);
    case FUSE_SETATTR: {
      const auto setattr = fixed_part<fuse_setattr_in>(request);
      return long_if(setattr && (setattr->valid & FATTR_SIZE) != 0);
    }
    default: return Effort::kShort;
  }
}

}  // namespace fuse_wire

namespace {

// libfuse gives a handler its request without these flags; the thread that received it also serves it.
thread_local bool current_request_kills_privileges = false;

std::int64_t now_ns() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}

// A sleeper hears of a request this much later than a poller would have.
constexpr std::int64_t kWakeUpNs = 100'000;
// One program at a time is the rule; a second one is noticed after so many requests.
constexpr unsigned kAskEvery = 8;

}  // namespace

FuseDevice::FuseDevice(std::uint32_t poll_us)
    : poll_ns_(std::int64_t{poll_us} * 1000), wake_fd_(eventfd(0, EFD_CLOEXEC)) {
  assert(wake_fd_ >= 0);
}

FuseDevice::~FuseDevice() { ::close(wake_fd_); }

ssize_t FuseDevice::receive(int fd, void* into, std::size_t size) {
  ssize_t got = ::read(fd, into, size);
  came_at_once_ = got >= 0;
  if (got < 0 && errno == EAGAIN && !spin(fd, into, size, &got)) got = sleep(fd, into, size);
  if (got < 0) return got;
  const BytesView request(static_cast<const std::uint8_t*>(into), static_cast<std::size_t>(got));
  current_request_kills_privileges = fuse_wire::kills_privileges(request);
  if (const auto offer = fuse_wire::init_offer(request)) offer_ = offer;
  return got;
}

bool FuseDevice::spin(int fd, void* into, std::size_t size, ssize_t* got) {
  if (!coming_ || poll_ns_ == 0) return false;
  const std::int64_t until = now_ns() + poll_ns_;
  do {
    *got = ::read(fd, into, size);
    if (*got >= 0 || errno != EAGAIN) return true;
  } while (now_ns() < until);
  coming_ = false;
  return false;
}

ssize_t FuseDevice::sleep(int fd, void* into, std::size_t size) {
  const std::int64_t asleep = now_ns();
  pollfd waiting[2] = {{fd, POLLIN, 0}, {wake_fd_, POLLIN, 0}};
  for (;;) {
    if (poll(waiting, 2, /*timeout=*/-1) < 0) return -1;
    if ((waiting[1].revents & POLLIN) != 0) {
      errno = EINTR;
      return -1;
    }
    const ssize_t got = ::read(fd, into, size);
    if (got < 0 && errno == EAGAIN) continue;  // an interrupted request left before it was read
    coming_ = now_ns() - asleep < poll_ns_ + kWakeUpNs;
    return got;
  }
}

ssize_t FuseDevice::send(int fd, const iovec* message, int count) {
  if (offer_ && fuse_wire::ask_for_killpriv(*offer_, message, count)) offer_.reset();
  return writev(fd, message, count);
}

void FuseDevice::wake() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(wake_fd_, &one, sizeof(one));
  assert(written == sizeof(one));
}

bool FuseDevice::crowded(int fd, bool ask) {
  if (!ask && !crowded_ && ++since_asked_ < kAskEvery) return false;
  since_asked_ = 0;
  pollfd one = {fd, POLLIN, 0};
  crowded_ = poll(&one, 1, /*timeout=*/0) > 0 && (one.revents & POLLIN) != 0;
  return crowded_;
}

bool FuseDevice::request_kills_privileges() { return current_request_kills_privileges; }

}  // namespace coffer
