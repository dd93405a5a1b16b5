#include "store/store_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/limits.h"
#include "store/opened_store.h"

namespace coffer {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class StoreFolderTest : public ::testing::Test {
 protected:
  StoreFolderTest() {
    std::string pattern = ::testing::TempDir() + "/store-folder-XXXXXX";
    top_ = mkdtemp(pattern.data());
    store_ = top_ + "/store";
  }
  ~StoreFolderTest() override { fs::remove_all(top_); }

  UnlockSecret secret() const { return KeyFile{key_.duplicate()}; }
  Status create() { return StoreFolder::create(store_, secret(), realm_); }
  Result<std::unique_ptr<OpenedStore>> open(std::uint64_t commit_counter_min = 0) {
    return OpenedStore::open(store_, secret(), clock_, {commit_counter_min, /*wait_seconds=*/0});
  }

  static void commit(OpenedStore& opened) {
    SealedDatabase::DataSynced all;
    all.this_commit = true;
    ASSERT_TRUE(opened.catalog->database().commit(all).ok());
    ASSERT_TRUE(opened.catalog->database().sync_log().ok());
  }

  static mode_t mode_of(const std::string& path) {
    struct stat status {};
    EXPECT_EQ(stat(path.c_str(), &status), 0) << path;
    return status.st_mode & 07777;
  }

  static void write(const std::string& path, std::string_view bytes) { std::ofstream(path, std::ios::binary) << bytes; }
  static std::string read(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  std::string top_, store_;
  Key key_ = Key::random();
  Realm realm_{*AccountId::parse("123456789012"), *Region::parse("eu-central-1")};
  SystemClock clock_;
};

TEST_F(StoreFolderTest, AStoreIsMadeInAMissingFolderAndInAnEmptyOne) {
  for (bool there : {false, true}) {
    store_ = top_ + (there ? "/there" : "/missing");
    if (there) fs::create_directory(store_);
    auto made = create();
    ASSERT_TRUE(made.ok()) << made.error().message;
    EXPECT_EQ(mode_of(store_), 0700U);
    EXPECT_EQ(mode_of(store_ + "/keyslots.json"), 0600U);
    EXPECT_EQ(mode_of(store_ + "/coffer.db"), 0600U);
    int folders = 0;
    for (const auto& folder : fs::directory_iterator(store_ + "/objects")) folders += folder.is_directory() ? 1 : 0;
    EXPECT_EQ(folders, 256);
    auto opened = open();
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    EXPECT_EQ((*opened)->catalog->realm()->region, realm_.region);
    EXPECT_EQ((*opened)->folder->path(), fs::canonical(store_));
  }
}

TEST_F(StoreFolderTest, AFolderWithAnythingInItIsRefusedAndLeftAlone) {
  fs::create_directory(store_);
  write(store_ + "/letter", "dear");
  EXPECT_EQ(create().code(), Code::kNotEmpty);
  EXPECT_EQ(read(store_ + "/letter"), "dear");
  EXPECT_EQ(std::distance(fs::directory_iterator(store_), {}), 1);
}

TEST_F(StoreFolderTest, AStoreIsNotMadeOverAStore) {
  ASSERT_TRUE(create().ok());
  auto slots = read(store_ + "/keyslots.json");
  EXPECT_EQ(create().code(), Code::kNotEmpty);
  EXPECT_EQ(read(store_ + "/keyslots.json"), slots);
  EXPECT_TRUE(open().ok());
}

TEST_F(StoreFolderTest, AFileIsNoFolder) {
  write(store_, "a file");
  EXPECT_EQ(create().code(), Code::kNotDirectory);
  EXPECT_EQ(open().code(), Code::kNoStore);
  EXPECT_EQ(read(store_), "a file");
}

// Ends the process's ability to write beyond a size, as a full disk would.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t size) {
    previous_handler_ = std::signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &previous_);
    rlimit limit{size, previous_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &previous_);
    std::signal(SIGXFSZ, previous_handler_);
  }

 private:
  rlimit previous_{};
  void (*previous_handler_)(int) = nullptr;
};

TEST_F(StoreFolderTest, ACreateThatFailsHalfWayLeavesNothing) {
  for (bool there : {false, true}) {
    for (rlim_t size : {0, 5000}) {
      if (there) fs::create_directory(store_);
      Status made;
      {
        FileSizeLimit limit(size);
        made = create();
      }
      ASSERT_FALSE(made.ok()) << size;
      EXPECT_EQ(fs::exists(store_), there) << size;
      EXPECT_TRUE(!there || fs::is_empty(store_)) << size;
      fs::remove(store_);
    }
  }
  EXPECT_TRUE(create().ok());
}

TEST_F(StoreFolderTest, OneProcessHasAStoreAtATime) {
  ASSERT_TRUE(create().ok());
  auto first = StoreFolder::open(store_, /*wait_seconds=*/0);
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(StoreFolder::open(store_, /*wait_seconds=*/0).code(), Code::kInUse);
  EXPECT_EQ(open().code(), Code::kInUse);
  EXPECT_EQ(create().code(), Code::kInUse);
  first->reset();
  EXPECT_TRUE(open().ok());
}

TEST_F(StoreFolderTest, OpenWaitsForADaemonThatIsEnding) {
  ASSERT_TRUE(create().ok());
  auto first = StoreFolder::open(store_, /*wait_seconds=*/0);
  ASSERT_TRUE(first.ok());
  Result<std::unique_ptr<StoreFolder>> second = Error{Code::kInUse, ""};
  std::thread waiting([&] { second = StoreFolder::open(store_, /*wait_seconds=*/60); });
  first->reset();
  waiting.join();
  EXPECT_TRUE(second.ok());
}

TEST_F(StoreFolderTest, WhatIsNoStoreIsToldSo) {
  EXPECT_EQ(open().code(), Code::kNoStore);
  fs::create_directory(store_);
  auto empty = open();
  EXPECT_EQ(empty.code(), Code::kNoStore);
  EXPECT_THAT(empty.error().message, HasSubstr("coffer init"));
  fs::remove(store_);
  ASSERT_TRUE(create().ok());
  fs::rename(store_ + "/keyslots.json", top_ + "/aside");
  auto missing = open();
  EXPECT_EQ(missing.code(), Code::kNoStore);
  EXPECT_THAT(missing.error().message, HasSubstr("keyslots.json"));
  EXPECT_THAT(missing.error().message, HasSubstr("backup"));
  fs::rename(top_ + "/aside", store_ + "/keyslots.json");
  EXPECT_TRUE(open().ok());
}

TEST_F(StoreFolderTest, AMissingLogOrSuperblockIsDamage) {
  ASSERT_TRUE(create().ok());
  for (std::string name : {"coffer.db-wal", "coffer.tags"}) {
    fs::rename(store_ + "/" + name, top_ + "/aside");
    EXPECT_EQ(open().code(), Code::kDamaged) << name;
    fs::remove(store_ + "/" + name);
    fs::rename(top_ + "/aside", store_ + "/" + name);
  }
  EXPECT_TRUE(open().ok());
}

TEST_F(StoreFolderTest, AWrongSecretOpensNothing) {
  ASSERT_TRUE(create().ok());
  key_ = Key::random();
  EXPECT_EQ(open().code(), Code::kWrongUnlock);
}

TEST_F(StoreFolderTest, ADamagedOrHugeKeyslotsFileIsRefused) {
  ASSERT_TRUE(create().ok());
  const auto slots = read(store_ + "/keyslots.json");
  for (std::string damaged : {std::string(), slots.substr(1), slots.substr(0, slots.size() / 2), "[" + slots + "]",
                              std::string(kKeySlotsFileMax + 1, ' ')}) {
    write(store_ + "/keyslots.json", damaged);
    EXPECT_EQ(open().code(), Code::kDamaged) << damaged.substr(0, 100);
  }
  write(store_ + "/keyslots.json", slots);
  EXPECT_TRUE(open().ok());
}

TEST_F(StoreFolderTest, AnOlderKeyslotsFileIsRefusedByName) {
  ASSERT_TRUE(create().ok());
  {
    auto opened = open();
    ASSERT_TRUE(opened.ok());
    ASSERT_TRUE((*opened)->catalog->set_blob("keyslots_hash", Bytes(48, 7)).ok());
    commit(**opened);
  }
  auto refused = open();
  EXPECT_EQ(refused.code(), Code::kDamaged);
  EXPECT_THAT(refused.error().message, HasSubstr("keyslots.json"));
}

TEST_F(StoreFolderTest, AnAnnouncedKeyslotsFileIsTakenAndTheOtherRefusedFromThenOn) {
  ASSERT_TRUE(create().ok());
  const Bytes other(48, 7);
  for (bool changed : {false, true}) {
    Bytes current;
    {
      auto opened = open();
      ASSERT_TRUE(opened.ok());
      current = **(*opened)->catalog->blob("keyslots_hash");
      ASSERT_TRUE((*opened)->catalog->set_blob("keyslots_hash", changed ? other : current).ok());
      ASSERT_TRUE((*opened)->catalog->set_blob("keyslots_next_hash", changed ? current : other).ok());
      commit(**opened);
    }
    for (int times = 0; times < 2; ++times) {
      auto opened = open();
      ASSERT_TRUE(opened.ok()) << opened.error().message;
      EXPECT_EQ(**(*opened)->catalog->blob("keyslots_hash"), current);
      EXPECT_FALSE((*opened)->catalog->blob("keyslots_next_hash")->has_value());
    }
  }
}

TEST_F(StoreFolderTest, AStoreOlderThanDemandedIsRefused) {
  ASSERT_TRUE(create().ok());
  {
    auto opened = open();
    ASSERT_TRUE(opened.ok());
    ASSERT_TRUE((*opened)->catalog->set_number("commit_counter", 41).ok());
    commit(**opened);
  }
  EXPECT_TRUE(open(41).ok());
  auto refused = open(42);
  EXPECT_EQ(refused.code(), Code::kTooOld);
  EXPECT_THAT(refused.error().message, HasSubstr("at commit 41, before the 42 demanded"));
}

TEST_F(StoreFolderTest, TheSealedStoreSaysNothing) {
  ASSERT_TRUE(create().ok());
  for (const auto& entry : fs::recursive_directory_iterator(store_)) {
    if (!entry.is_regular_file()) continue;
    auto bytes = read(entry.path());
    EXPECT_EQ(bytes.find("SQLite format"), bytes.npos) << entry.path();
    EXPECT_EQ(bytes.find("inodes"), bytes.npos) << entry.path();
    EXPECT_EQ(bytes.find("eu-central-1"), bytes.npos) << entry.path();
    EXPECT_EQ(bytes.find(as_text(key_.view())), bytes.npos) << entry.path();
  }
}

TEST(BootId, IsTheSameForAsLongAsTheMachineRuns) {
  EXPECT_FALSE(current_boot_id().empty());
  EXPECT_EQ(current_boot_id(), current_boot_id());
}

}  // namespace
}  // namespace coffer
