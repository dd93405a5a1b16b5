#include "daemon/mount_point.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace coffer {
namespace {

class MountPointTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "mount_point.XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = std::filesystem::canonical(name).string();
    std::filesystem::create_directory(store());
    std::filesystem::create_directory(dir());
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string store() const { return folder_ + "/store"; }
  std::string dir() const { return folder_ + "/dir"; }

  std::string folder_;
};

TEST_F(MountPointTest, AnEmptyFolderIsFound) {
  std::filesystem::create_directory_symlink(dir(), folder_ + "/link");
  for (const std::string& name : {dir(), dir() + "/", folder_ + "/store/../dir", folder_ + "/link"}) {
    const auto found = find_mount_point(name, store());
    ASSERT_TRUE(found.ok()) << name;
    EXPECT_EQ(*found, dir());
  }
  EXPECT_TRUE(clear_mount_point(dir(), store()).ok());
}

TEST_F(MountPointTest, AFolderInsideTheStoreIsRefused) {
  std::filesystem::create_directory(store() + "/inside");
  std::filesystem::create_directory(store() + "-beside");
  EXPECT_EQ(find_mount_point(store(), store()).code(), Code::kInvalidArgument);
  EXPECT_EQ(find_mount_point(store() + "/inside", store()).code(), Code::kInvalidArgument);
  EXPECT_TRUE(find_mount_point(store() + "-beside", store()).ok());
}

TEST_F(MountPointTest, WhatIsNoFolderIsRefused) {
  std::ofstream(folder_ + "/file") << "x";
  EXPECT_EQ(find_mount_point(folder_ + "/file", store()).code(), Code::kInvalidArgument);
  EXPECT_EQ(find_mount_point(folder_ + "/none", store()).code(), Code::kInvalidArgument);
}

TEST_F(MountPointTest, AFolderInUseIsRefused) {
  std::ofstream(dir() + "/file") << "x";
  EXPECT_EQ(clear_mount_point(dir(), store()).code(), Code::kInvalidArgument);
  EXPECT_TRUE(std::filesystem::exists(dir() + "/file"));
}

TEST(MountPoint, TheUppermostMountCounts) {
  const std::string ours = "36 35 0:40 / /mnt/a\\040b rw,nosuid - fuse.coffer /st\\134ore rw,user_id=0\n";
  const std::string above = "37 36 0:41 / /mnt/a\\040b rw shared:1 - tmpfs none rw\n";
  EXPECT_TRUE(shows_mount(ours, "/st\\ore", "/mnt/a b"));
  EXPECT_FALSE(shows_mount(ours + above, "/st\\ore", "/mnt/a b"));
  EXPECT_TRUE(shows_mount(above + ours, "/st\\ore", "/mnt/a b"));
  EXPECT_FALSE(shows_mount(ours, "/other", "/mnt/a b"));
  EXPECT_FALSE(shows_mount(ours, "/st\\ore", "/mnt"));
  EXPECT_FALSE(shows_mount("36 35 0:40 / /mnt/a rw\nnonsense\n", "/store", "/mnt/a"));
}

}  // namespace
}  // namespace coffer
