#include "cli/mount_table.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "tests/cli/fake_server.h"

namespace coffer {
namespace {

constexpr std::string_view kTable =
    "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
    "40 22 0:50 / /mnt/a rw,nosuid,nodev,relatime shared:2 - fuse.coffer /stores/a rw,user_id=1000,group_id=1000\n"
    "41 22 0:51 / /mnt/with\\040blank rw - fuse.coffer /stores/b\\011tab rw,user_id=1000,group_id=1000\n"
    "42 22 0:52 / /mnt/theirs rw - fuse.coffer /stores/c rw,user_id=1001,group_id=1001\n"
    "43 40 0:53 / /mnt/a/bucket/over rw - tmpfs tmpfs rw\n"
    "44 22 0:50 / /mnt/bind rw - fuse.coffer /stores/a rw,user_id=1000,group_id=1000\n"
    "45 22 0:54 / /mnt/sshfs rw - fuse.sshfs host:/ rw,user_id=1000,group_id=1000\n"
    "not a line\n";

TEST(MountTable, ReadsWhatTheKernelWrites) {
  const auto table = parse_mountinfo(kTable);
  ASSERT_EQ(table.size(), 7U);
  EXPECT_EQ(table[1].dir, "/mnt/a");
  EXPECT_EQ(table[1].source, "/stores/a");
  EXPECT_EQ(table[1].user, 1000U);
  EXPECT_TRUE(table[1].is_coffer());
  EXPECT_EQ(table[2].dir, "/mnt/with blank");
  EXPECT_EQ(table[2].source, "/stores/b\ttab");
  EXPECT_FALSE(table[0].user);
  EXPECT_FALSE(table[6].is_coffer());
}

TEST(MountTable, AUsersMountsAreEachThereOnce) {
  const auto mine = coffer_mounts_of(parse_mountinfo(kTable), 1000);
  ASSERT_EQ(mine.size(), 2U);
  EXPECT_EQ(mine[0].dir, "/mnt/a");
  EXPECT_EQ(mine[1].dir, "/mnt/with blank");
  EXPECT_TRUE(coffer_mounts_of(parse_mountinfo(kTable), 7).empty());
}

TEST(MountTable, OnlyACofferMountItselfIsOne) {
  const auto table = parse_mountinfo(kTable);
  ASSERT_TRUE(coffer_mount_at(table, "/mnt/a").ok());
  EXPECT_TRUE(coffer_mount_at(table, "/mnt/a/").ok());
  for (const auto* dir : {"/", "/mnt", "/mnt/a/bucket", "/mnt/sshfs", "/nowhere"}) {
    const auto found = coffer_mount_at(table, dir);
    ASSERT_FALSE(found.ok()) << dir;
    EXPECT_EQ(found.code(), Code::kInvalidArgument);
  }
}

TEST(MountTable, APathBelongsToTheNearestMountAboveIt) {
  const auto table = parse_mountinfo(kTable);
  const auto inside = coffer_mount_of(table, "/mnt/a/bucket/some/key");
  ASSERT_TRUE(inside.ok());
  EXPECT_EQ(inside->mount.source, "/stores/a");
  EXPECT_EQ(inside->rest, "bucket/some/key");
  EXPECT_EQ(coffer_mount_of(table, "/mnt/a")->rest, "");
  for (const auto* path : {"/mnt/a/bucket/over/key", "/mnt/another/x", "/etc/passwd"}) {
    EXPECT_FALSE(coffer_mount_of(table, path).ok()) << path;
  }
}

TEST(MountTable, ALaterMountAtTheSamePlaceHidesTheEarlier) {
  const auto table = parse_mountinfo(std::string(kTable) + "46 40 0:55 / /mnt/a rw - tmpfs tmpfs rw\n");
  EXPECT_FALSE(coffer_mount_at(table, "/mnt/a").ok());
  EXPECT_FALSE(coffer_mount_of(table, "/mnt/a/x").ok());
}

TEST(MountTable, CleanPathsFollowLinksAndKeepWhatIsNotThere) {
  const ScratchFolder scratch;
  const std::string real = std::filesystem::canonical(scratch.path());
  std::filesystem::create_directory(real + "/folder");
  std::filesystem::create_directory_symlink(real + "/folder", real + "/link");
  EXPECT_EQ(clean_path(real + "/link"), real + "/folder");
  EXPECT_EQ(clean_path(real + "/link/"), real + "/folder/");
  EXPECT_EQ(clean_path(real + "/link/none/../x"), real + "/folder/none/../x");
  EXPECT_EQ(clean_path(real + "/./link/prefix/"), real + "/folder/prefix/");
  EXPECT_EQ(clean_path("/"), "/");
  EXPECT_EQ(clean_path("no-such-name"), std::filesystem::current_path().string() + "/no-such-name");
}

TEST(MountTable, ThisMachinesOwnTableIsRead) {
  const auto table = read_mountinfo();
  ASSERT_TRUE(table.ok());
  EXPECT_FALSE(table->empty());
}

}  // namespace
}  // namespace coffer
