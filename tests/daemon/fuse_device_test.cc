#include "daemon/fuse_device.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/fuse.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <thread>

namespace coffer {
namespace {

template <class Fixed>
Bytes request(std::uint32_t opcode, const Fixed& fixed, std::size_t payload = 0) {
  fuse_in_header header = {};
  header.opcode = opcode;
  header.unique = 7;
  header.len = static_cast<std::uint32_t>(sizeof(header) + sizeof(fixed) + payload);
  Bytes out(header.len);
  std::memcpy(out.data(), &header, sizeof(header));
  std::memcpy(out.data() + sizeof(header), &fixed, sizeof(fixed));
  return out;
}

Bytes init_request(std::uint32_t flags) {
  fuse_init_in init = {};
  init.major = FUSE_KERNEL_VERSION;
  init.minor = FUSE_KERNEL_MINOR_VERSION;
  init.flags = flags;
  return request(FUSE_INIT, init);
}

// A reply as libfuse gives it to writev.
struct Reply {
  explicit Reply(std::uint64_t unique, std::int32_t error = 0) {
    header.unique = unique;
    header.error = error;
    init.major = FUSE_KERNEL_VERSION;
    init.flags = FUSE_ASYNC_READ;
  }
  fuse_out_header header = {};
  fuse_init_out init = {};
  iovec parts[2] = {{&header, sizeof(header)}, {&init, sizeof(init)}};
};

TEST(FuseWire, FindsTheOfferInAnInitRequestAlone) {
  const auto offer = fuse_wire::init_offer(init_request(FUSE_HANDLE_KILLPRIV_V2));
  ASSERT_TRUE(offer);
  EXPECT_EQ(offer->unique, 7U);
  EXPECT_EQ(offer->flags, std::uint32_t{FUSE_HANDLE_KILLPRIV_V2});
  EXPECT_FALSE(fuse_wire::init_offer(request(FUSE_OPEN, fuse_open_in{})));
  EXPECT_FALSE(fuse_wire::init_offer({}));
  Bytes cut = init_request(FUSE_HANDLE_KILLPRIV_V2);
  cut.pop_back();
  EXPECT_FALSE(fuse_wire::init_offer(cut));
}

TEST(FuseWire, TheReplyAsksForKillprivWhereItWasOffered) {
  Reply reply(7);
  EXPECT_TRUE(fuse_wire::ask_for_killpriv({7, FUSE_HANDLE_KILLPRIV_V2}, reply.parts, 2));
  EXPECT_EQ(reply.init.flags, std::uint32_t{FUSE_ASYNC_READ | FUSE_HANDLE_KILLPRIV_V2});
}

TEST(FuseWire, OtherRepliesStayAsTheyAre) {
  const fuse_wire::InitOffer offer{7, FUSE_HANDLE_KILLPRIV_V2};
  Reply another(8);
  EXPECT_FALSE(fuse_wire::ask_for_killpriv(offer, another.parts, 2));
  Reply refused(7, -EPROTO);
  EXPECT_FALSE(fuse_wire::ask_for_killpriv(offer, refused.parts, 2));
  Reply old_kernel(7);
  EXPECT_FALSE(fuse_wire::ask_for_killpriv({7, FUSE_ASYNC_READ}, old_kernel.parts, 2));
  Reply without_body(7);
  EXPECT_FALSE(fuse_wire::ask_for_killpriv(offer, without_body.parts, 1));
  Reply short_body(7);
  short_body.parts[1].iov_len = 8;
  EXPECT_FALSE(fuse_wire::ask_for_killpriv(offer, short_body.parts, 2));
  for (const Reply* reply : {&another, &refused, &old_kernel, &without_body, &short_body}) {
    EXPECT_EQ(reply->init.flags, std::uint32_t{FUSE_ASYNC_READ});
  }
}

TEST(FuseWire, HearsThatPrivilegesGo) {
  fuse_write_in write = {};
  EXPECT_FALSE(fuse_wire::kills_privileges(request(FUSE_WRITE, write)));
  write.write_flags = FUSE_WRITE_CACHE | FUSE_WRITE_KILL_SUIDGID;
  EXPECT_TRUE(fuse_wire::kills_privileges(request(FUSE_WRITE, write)));

  fuse_open_in open = {};
  EXPECT_FALSE(fuse_wire::kills_privileges(request(FUSE_OPEN, open)));
  open.open_flags = FUSE_OPEN_KILL_SUIDGID;
  EXPECT_TRUE(fuse_wire::kills_privileges(request(FUSE_OPEN, open)));

  fuse_setattr_in setattr = {};
  setattr.valid = FATTR_SIZE;
  EXPECT_FALSE(fuse_wire::kills_privileges(request(FUSE_SETATTR, setattr)));
  setattr.valid |= FATTR_KILL_SUIDGID;
  EXPECT_TRUE(fuse_wire::kills_privileges(request(FUSE_SETATTR, setattr)));

  EXPECT_FALSE(fuse_wire::kills_privileges({}));
}

TEST(FuseWire, TellsWhatARequestTakes) {
  using fuse_wire::Effort;
  EXPECT_EQ(fuse_wire::effort(request(FUSE_FSYNC, fuse_fsync_in{})), Effort::kFlush);
  EXPECT_EQ(fuse_wire::effort(request(FUSE_FSYNCDIR, fuse_fsync_in{})), Effort::kFlush);
  fuse_read_in read = {};
  read.size = 4096;
  EXPECT_EQ(fuse_wire::effort(request(FUSE_READ, read)), Effort::kShort);
  read.size = 1 << 20;
  EXPECT_EQ(fuse_wire::effort(request(FUSE_READ, read)), Effort::kLong);
  EXPECT_EQ(fuse_wire::effort(request(FUSE_WRITE, fuse_write_in{}, 4096)), Effort::kShort);
  EXPECT_EQ(fuse_wire::effort(request(FUSE_WRITE, fuse_write_in{}, 1 << 20)), Effort::kLong);
  EXPECT_EQ(fuse_wire::effort(request(FUSE_GETATTR, fuse_getattr_in{})), Effort::kShort);
  EXPECT_EQ(fuse_wire::effort({}), Effort::kShort);
}

TEST(FuseWire, TellsWhoAsks) {
  Bytes asked = request(FUSE_FSYNC, fuse_fsync_in{});
  fuse_in_header header;
  std::memcpy(&header, asked.data(), sizeof(header));
  header.pid = 4711;
  std::memcpy(asked.data(), &header, sizeof(header));
  EXPECT_EQ(fuse_wire::caller(asked), 4711U);
  EXPECT_EQ(fuse_wire::caller({}), 0U);
}

// A datagram socket keeps messages apart as /dev/fuse does.
class FuseDeviceTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, ends_), 0); }
  void TearDown() override {
    close(ends_[0]);
    close(ends_[1]);
  }
  void kernel_sends(const Bytes& bytes) {
    ASSERT_EQ(write(ends_[1], bytes.data(), bytes.size()), ssize_t(bytes.size()));
  }

  int ends_[2] = {-1, -1};
  Bytes buffer_ = Bytes(1 << 16);
};

TEST_F(FuseDeviceTest, ReceivesWhatCameAndWhatIsStillToCome) {
  for (const std::uint32_t poll_us : {0U, 50U}) {
    FuseDevice device(poll_us);
    const Bytes bytes = request(FUSE_GETATTR, fuse_getattr_in{});
    kernel_sends(bytes);
    EXPECT_EQ(device.receive(ends_[0], buffer_.data(), buffer_.size()), ssize_t(bytes.size()));
    std::thread kernel([&] {
      for (int i = 0; i < 100; ++i) {
        while (write(ends_[1], bytes.data(), bytes.size()) < 0) std::this_thread::yield();
      }
    });
    for (int i = 0; i < 100; ++i) {
      EXPECT_EQ(device.receive(ends_[0], buffer_.data(), buffer_.size()), ssize_t(bytes.size()));
    }
    kernel.join();
  }
}

TEST_F(FuseDeviceTest, AsksForKillprivOnceInTheConversation) {
  FuseDevice device(0);
  kernel_sends(init_request(FUSE_HANDLE_KILLPRIV_V2));
  ASSERT_GT(device.receive(ends_[0], buffer_.data(), buffer_.size()), 0);
  Reply reply(7);
  EXPECT_EQ(device.send(ends_[0], reply.parts, 2), ssize_t(sizeof(fuse_out_header) + sizeof(fuse_init_out)));
  EXPECT_NE(reply.init.flags & FUSE_HANDLE_KILLPRIV_V2, 0U);
  Reply later(7);
  device.send(ends_[0], later.parts, 2);
  EXPECT_EQ(later.init.flags & FUSE_HANDLE_KILLPRIV_V2, 0U);
}

TEST_F(FuseDeviceTest, TheThreadThatReceivedKnowsOfPrivileges) {
  FuseDevice device(0);
  fuse_write_in write_in = {};
  write_in.write_flags = FUSE_WRITE_KILL_SUIDGID;
  kernel_sends(request(FUSE_WRITE, write_in));
  ASSERT_GT(device.receive(ends_[0], buffer_.data(), buffer_.size()), 0);
  EXPECT_TRUE(FuseDevice::request_kills_privileges());
  kernel_sends(request(FUSE_WRITE, fuse_write_in{}));
  ASSERT_GT(device.receive(ends_[0], buffer_.data(), buffer_.size()), 0);
  EXPECT_FALSE(FuseDevice::request_kills_privileges());
}

TEST_F(FuseDeviceTest, WakingEndsASleeperAndAllLaterOnes) {
  FuseDevice device(0);
  std::thread waker([&] { device.wake(); });
  EXPECT_EQ(device.receive(ends_[0], buffer_.data(), buffer_.size()), -1);
  EXPECT_EQ(errno, EINTR);
  waker.join();
  EXPECT_EQ(device.receive(ends_[0], buffer_.data(), buffer_.size()), -1);
  EXPECT_EQ(errno, EINTR);
}

}  // namespace
}  // namespace coffer
