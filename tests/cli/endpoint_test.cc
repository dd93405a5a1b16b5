#include "cli/endpoint.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/cli/fake_server.h"

namespace coffer {
namespace {

MountPoint mount(const std::string& dir, const std::string& store, const std::string& device) {
  return {device, dir, "fuse.coffer", store, 1000};
}

const std::vector<MountPoint> kOne = {mount("/mnt/a", "/stores/a", "0:50")};
const std::vector<MountPoint> kTwo = {mount("/mnt/a", "/stores/a", "0:50"), mount("/mnt/b", "/stores/b", "0:51")};

TEST(Endpoint, TheFlagWinsOverTheEnvironmentAndTheMounts) {
  const auto found = find_endpoint({"/run/flag.sock", {}}, {"/run/env.sock", {}}, kTwo, 1000);
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->socket, "/run/flag.sock");
  EXPECT_EQ(found->credentials, "/run/credentials");
}

TEST(Endpoint, TheEnvironmentWinsOverTheMounts) {
  const auto found = find_endpoint({}, {"/run/env.sock", {}}, kOne, 1000);
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->socket, "/run/env.sock");
  EXPECT_EQ(found->credentials, "/run/credentials");
}

TEST(Endpoint, TheOnlyMountIsMeant) {
  const auto found = find_endpoint({}, {}, kOne, 1000);
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->socket, "/stores/a/admin.sock");
  EXPECT_EQ(found->credentials, "/stores/a/credentials");
}

TEST(Endpoint, SeveralMountsAreListed) {
  const auto found = find_endpoint({}, {}, kTwo, 1000);
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(found.code(), Code::kInvalidArgument);
  EXPECT_NE(found.error().message.find("/mnt/a (/stores/a/admin.sock)"), std::string::npos);
  EXPECT_NE(found.error().message.find("/mnt/b (/stores/b/admin.sock)"), std::string::npos);
}

TEST(Endpoint, NoMountIsNoSocket) {
  for (const auto& found : {find_endpoint({}, {}, {}, 1000), find_endpoint({}, {}, kOne, 1001)}) {
    ASSERT_FALSE(found.ok());
    EXPECT_EQ(found.code(), Code::kInvalidArgument);
    EXPECT_NE(found.error().message.find("coffer mount"), std::string::npos);
  }
}

TEST(Endpoint, CredentialsComeFromTheFlagThenTheEnvironmentThenTheStore) {
  EXPECT_EQ(find_endpoint({{}, "/flag"}, {{}, "/env"}, kOne, 1000)->credentials, "/flag");
  EXPECT_EQ(find_endpoint({{}, {}}, {{}, "/env"}, kOne, 1000)->credentials, "/env");
  EXPECT_EQ(find_endpoint({"socket-here", {}}, {}, kOne, 1000)->credentials, "./credentials");
}

TEST(Endpoint, ADirectoryThatWasNamedDecidesUnlessASocketWasNamed) {
  EXPECT_EQ(endpoint_of(kOne[0], {}, {"/run/env.sock", {}}).socket, "/stores/a/admin.sock");
  EXPECT_EQ(endpoint_of(kOne[0], {"/run/flag.sock", {}}, {}).socket, "/run/flag.sock");
}

TEST(Endpoint, TooLongAPathIsFollowedWhereItLeadsToAShortOne) {
  const ScratchFolder scratch;
  const std::string folder = scratch.path() + "/" + std::string(120, 'f');
  ASSERT_EQ(mkdir(folder.c_str(), 0700), 0);
  const std::string socket = folder + "/admin.sock";
  const auto refused = socket_address(socket);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.code(), Code::kInvalidArgument);
  EXPECT_NE(refused.error().message.find("--admin-socket"), std::string::npos);
  ASSERT_EQ(symlink("/run/short.sock", socket.c_str()), 0);
  EXPECT_EQ(*socket_address(socket), "/run/short.sock");
  EXPECT_EQ(*socket_address("/run/any.sock"), "/run/any.sock");
}

}  // namespace
}  // namespace coffer
