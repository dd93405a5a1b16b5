#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "store/disk.h"

namespace coffer {
namespace {

class RealDisk : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "coffer-disk-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    auto disk = open_real_disk(folder_);
    ASSERT_TRUE(disk.ok());
    disk_ = std::move(disk).value();
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string folder_;
  std::unique_ptr<Disk> disk_;
};

TEST_F(RealDisk, ReadsBackWhatItWrote) {
  auto file = disk_->open("a", OpenMode::kCreate);
  ASSERT_TRUE(file.ok());
  ASSERT_TRUE((*file)->pwrite(10, as_bytes("hello")).ok());
  ASSERT_TRUE((*file)->sync().ok());
  Bytes read(100, 0xff);
  ASSERT_EQ((*file)->pread(10, read).value(), 5u);
  EXPECT_EQ(as_text(BytesView(read).first(5)), "hello");
  EXPECT_EQ((*file)->size().value(), 15u);
  ASSERT_TRUE((*file)->truncate(3).ok());
  EXPECT_EQ((*file)->pread(3, read).value(), 0u);
}

TEST_F(RealDisk, MakesFilesForTheOwnerAlone) {
  ASSERT_TRUE(disk_->open("a", OpenMode::kCreate).ok());
  struct stat info;
  ASSERT_EQ(::stat((folder_ + "/a").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST_F(RealDisk, MissingFileIsNotFound) {
  EXPECT_EQ(disk_->open("a", OpenMode::kExisting).code(), Code::kNotFound);
  EXPECT_EQ(disk_->remove("a").code(), Code::kNotFound);
  EXPECT_EQ(disk_->rename("a", "b").code(), Code::kNotFound);
  EXPECT_EQ(disk_->list("f").code(), Code::kNotFound);
}

TEST_F(RealDisk, FollowsNoSymbolicLinkAndLeavesItsFolderNever) {
  std::filesystem::create_symlink("/etc/passwd", folder_ + "/link");
  std::filesystem::create_symlink("/etc", folder_ + "/links");
  EXPECT_FALSE(disk_->open("link", OpenMode::kExisting).ok());
  EXPECT_FALSE(disk_->open("links/passwd", OpenMode::kExisting).ok());
  EXPECT_FALSE(disk_->open("../passwd", OpenMode::kExisting).ok());
  EXPECT_FALSE(disk_->list("links").ok());
}

TEST_F(RealDisk, FoldersListWhatIsInThem) {
  ASSERT_TRUE(disk_->make_folder("f").ok());
  ASSERT_TRUE(disk_->make_folder("f").ok()) << "made twice is fine";
  ASSERT_TRUE(disk_->open("f/b", OpenMode::kCreate).ok());
  ASSERT_TRUE(disk_->open("f/a", OpenMode::kCreate).ok());
  ASSERT_TRUE(disk_->rename("f/b", "f/c").ok());
  ASSERT_TRUE(disk_->sync_folder("f").ok());
  ASSERT_TRUE(disk_->sync_folder("").ok());
  ASSERT_TRUE(disk_->sync_all().ok());
  auto names = disk_->list("f").value();
  std::sort(names.begin(), names.end());
  EXPECT_EQ(names, (std::vector<std::string>{"a", "c"}));
  ASSERT_TRUE(disk_->remove("f/a").ok());
  EXPECT_EQ(disk_->list("").value(), std::vector<std::string>{"f"});
  EXPECT_GT(disk_->space()->total, 0u);
}

TEST_F(RealDisk, PunchedBytesAreZerosAndTheSizeStays) {
  auto file = disk_->open("a", OpenMode::kCreate);
  ASSERT_TRUE(file.ok());
  ASSERT_TRUE((*file)->allocate(0, 16384).ok());
  EXPECT_EQ((*file)->size().value(), 16384u);
  ASSERT_TRUE((*file)->pwrite(0, Bytes(16384, 'x')).ok());
  ASSERT_TRUE((*file)->punch(4096, 4096).ok());
  Bytes read(16384);
  ASSERT_EQ((*file)->pread(0, read).value(), 16384u);
  EXPECT_EQ(std::count(read.begin(), read.end(), 0), 4096);
  EXPECT_EQ(std::count(read.begin() + 4096, read.begin() + 8192, 0), 4096);
}

}  // namespace
}  // namespace coffer
