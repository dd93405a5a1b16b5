#include "daemon/admin_socket.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

namespace coffer {
namespace {

class AdminSocketTest : public testing::Test {
 protected:
  void SetUp() override {
    // Not TempDir(): it may be longer than a socket's path.
    std::string name = "/tmp/admin_socket.XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
    std::filesystem::create_directory(store());
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string store() const { return folder_ + "/store"; }
  std::string usual() const { return store() + "/admin.sock"; }

  static bool answers(const std::string& path) {
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
    const bool connected = connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
    close(fd);
    return connected;
  }
  static mode_t mode(const std::string& path) {
    struct stat attributes = {};
    lstat(path.c_str(), &attributes);
    return attributes.st_mode;
  }

  std::string folder_;
};

TEST_F(AdminSocketTest, ListensForTheOwnerAloneAndLeavesNothing) {
  {
    const auto listening = AdminSocket::listen({store(), std::nullopt, std::nullopt});
    ASSERT_TRUE(listening.ok()) << listening.error().message;
    EXPECT_EQ((*listening)->path(), usual());
    EXPECT_EQ(mode(usual()), S_IFSOCK | 0600U);
    EXPECT_TRUE(answers(usual()));
  }
  EXPECT_FALSE(std::filesystem::exists(std::filesystem::symlink_status(usual())));
}

TEST_F(AdminSocketTest, ElsewhereItIsLinkedFromTheStore) {
  const std::string elsewhere = folder_ + "/a.sock";
  {
    const auto listening = AdminSocket::listen({store(), elsewhere, std::nullopt});
    ASSERT_TRUE(listening.ok());
    EXPECT_EQ((*listening)->path(), elsewhere);
    EXPECT_EQ(std::filesystem::read_symlink(usual()), elsewhere);
    EXPECT_TRUE(answers(usual()));
  }
  EXPECT_TRUE(std::filesystem::is_empty(store()));
  EXPECT_FALSE(std::filesystem::exists(elsewhere));
}

TEST_F(AdminSocketTest, ASocketThatWasHandedOverStays) {
  const auto handed = AdminSocket::listen({store(), folder_ + "/a.sock", std::nullopt});
  ASSERT_TRUE(handed.ok());
  {
    const auto taken = AdminSocket::listen({store(), std::nullopt, dup((*handed)->fd())});
    ASSERT_TRUE(taken.ok());
    EXPECT_EQ((*taken)->path(), folder_ + "/a.sock");
    EXPECT_TRUE(answers(usual()));
  }
  EXPECT_TRUE(answers(folder_ + "/a.sock"));
}

TEST_F(AdminSocketTest, AStaleSocketIsReplacedALiveOneIsNot) {
  const int dead = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, usual().c_str(), sizeof(address.sun_path) - 1);
  ASSERT_EQ(bind(dead, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  close(dead);
  const auto first = AdminSocket::listen({store(), std::nullopt, std::nullopt});
  ASSERT_TRUE(first.ok()) << first.error().message;
  EXPECT_EQ(AdminSocket::listen({store(), std::nullopt, std::nullopt}).code(), Code::kInUse);
  EXPECT_TRUE(answers(usual()));
}

TEST_F(AdminSocketTest, AFileInItsPlaceIsNotTouched) {
  std::ofstream(usual()) << "precious";
  EXPECT_EQ(AdminSocket::listen({store(), std::nullopt, std::nullopt}).code(), Code::kIo);
  EXPECT_EQ(std::filesystem::file_size(usual()), 8U);
}

TEST_F(AdminSocketTest, APathTooLongForASocketNamesTheWayOut) {
  const AdminSocket::Place place{"/" + std::string(100, 'x'), std::nullopt, std::nullopt};
  const Status checked = AdminSocket::check(place);
  ASSERT_FALSE(checked.ok());
  EXPECT_EQ(checked.code(), Code::kInvalidArgument);
  EXPECT_NE(checked.error().message.find("--admin-socket"), std::string::npos);
  EXPECT_TRUE(AdminSocket::check({place.store, "/tmp/a.sock", std::nullopt}).ok());
}

}  // namespace
}  // namespace coffer
