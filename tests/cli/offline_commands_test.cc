// init, cat, inspect, fsck and unlock list on a store of their own.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "base/limits.h"
#include "cli/json.h"
#include "cli/offline_store.h"
#include "store/store.h"
#include "tests/cli/fake_server.h"

namespace coffer {
namespace {

unsigned mode_of(const std::string& path) {
  struct stat found {};
  EXPECT_EQ(stat(path.c_str(), &found), 0) << path;
  return found.st_mode & 07777;
}

// Writes one object the way the daemon would.
void write_object(const std::string& store, const UnlockFlags& unlock, const std::string& key,
                  const std::string& content) {
  const SystemClock clock;
  auto opened = open_offline(store, unlock, clock);
  ASSERT_TRUE(opened.ok()) << opened.error().message;
  auto& parts = **opened;
  auto files =
      Store::open(*parts.catalog, parts.folder->disk(), *parts.keyring, clock, log_nowhere(), *owner_of(parts));
  ASSERT_TRUE(files.ok()) << files.error().message;
  const NewInode attributes{0700, 0, 0, 0};
  const auto bucket = (*files)->create_bucket(*BucketName::parse("docs"), attributes);
  ASSERT_TRUE(bucket.ok() || bucket.code() == Code::kExists);
  const auto folder = (*files)->find_bucket(*BucketName::parse("docs"));
  ASSERT_TRUE(folder.ok());
  const auto file = (*files)->create(folder->ino, key, attributes);
  ASSERT_TRUE(file.ok()) << file.error().message;
  ASSERT_TRUE((*files)->write(file->ino, 0, as_bytes(content)).ok());
  (*files)->release(file->ino);
  ASSERT_TRUE((*files)->sync_all().ok());
}

class OfflineCommands : public testing::Test {
 protected:
  OfflineCommands() : store_(scratch_.path() + "/store") {}
  const ScratchFolder scratch_;
  const std::string store_;
};

TEST_F(OfflineCommands, InitWritesAKeyFileAndCredentialsForTheOwnerAlone) {
  const Outcome made = run({"init", store_});
  ASSERT_EQ(made.exit, 0) << made.err;
  EXPECT_NE(made.err.find("whoever has this folder has the data"), std::string::npos);
  EXPECT_EQ(mode_of(store_ + "/unlock.key"), 0600U);
  EXPECT_EQ(read_file(store_ + "/unlock.key").size(), 32U);
  EXPECT_EQ(mode_of(store_ + "/credentials"), 0600U);
  EXPECT_EQ(read_file(store_ + "/credentials").find("[coffer]\n"), 0U);
  EXPECT_EQ(run({"fsck", store_}).exit, 0);
}

TEST_F(OfflineCommands, InitRefusesAFolderWithSomethingInIt) {
  std::filesystem::create_directory(store_);
  std::ofstream(store_ + "/mine") << "x";
  const Outcome refused = run({"init", store_});
  EXPECT_EQ(refused.exit, 2);
  EXPECT_EQ(read_file(store_ + "/mine"), "x");
  EXPECT_FALSE(std::filesystem::exists(store_ + "/keyslots.json"));
}

TEST_F(OfflineCommands, InitTakesOnlyWhatCanBeInAnArn) {
  EXPECT_EQ(run({"init", store_, "--account-id", "12"}).exit, 2);
  EXPECT_EQ(run({"init", store_, "--region", "No Region"}).exit, 2);
  EXPECT_FALSE(std::filesystem::exists(store_));
}

TEST_F(OfflineCommands, InitMakesAMissingKeyFileAndUsesOneThatIsThere) {
  const std::string key = scratch_.path() + "/my.key";
  const Outcome made = run({"init", store_, "--key-file", key});
  ASSERT_EQ(made.exit, 0) << made.err;
  EXPECT_EQ(made.err, "");
  EXPECT_EQ(mode_of(key), 0600U);
  EXPECT_FALSE(std::filesystem::exists(store_ + "/unlock.key"));
  const std::string bytes = read_file(key);
  EXPECT_EQ(run({"init", store_ + "2", "--key-file", key}).exit, 0);
  EXPECT_EQ(read_file(key), bytes);
  EXPECT_EQ(run({"fsck", store_ + "2", "--key-file", key}).exit, 0);
}

TEST_F(OfflineCommands, AnInitThatFailsLeavesNothing) {
  const std::string key = scratch_.path() + "/my.key";
  EXPECT_EQ(run({"init", scratch_.path() + "/no/such/store", "--key-file", key}).exit, 1);
  EXPECT_FALSE(std::filesystem::exists(key));
  EXPECT_EQ(run({"init", store_, "--passphrase-file", scratch_.path() + "/none"}).exit, 4);
  std::ofstream(scratch_.path() + "/empty") << "\nsecond line";
  EXPECT_NE(run({"init", store_, "--passphrase-file", scratch_.path() + "/empty"}).exit, 0);
  EXPECT_FALSE(std::filesystem::exists(store_));
}

TEST_F(OfflineCommands, OnlyTheRightSecretOpens) {
  std::ofstream(scratch_.path() + "/right") << "correct horse\n";
  std::ofstream(scratch_.path() + "/wrong") << "battery staple\n";
  ASSERT_EQ(run({"init", store_, "--passphrase-file", scratch_.path() + "/right"}).exit, 0);
  EXPECT_EQ(run({"fsck", store_, "--passphrase-file", scratch_.path() + "/right"}).exit, 0);
  const Outcome wrong = run({"fsck", store_, "--passphrase-file", scratch_.path() + "/wrong"});
  EXPECT_EQ(wrong.exit, 4);
  EXPECT_EQ(run({"fsck", store_, "--key-file", scratch_.path() + "/none"}).exit, 4);
  EXPECT_EQ(run({"fsck", scratch_.path()}).exit, 5);
}

TEST_F(OfflineCommands, CatPrintsExactlyWhatWasWritten) {
  ASSERT_EQ(run({"init", store_}).exit, 0);
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{kInlineSizeMax},
                                 std::size_t{3 * kChunkSize + 1}, kCatPieceSize, kCatPieceSize + 1}) {
    std::string content(size, '\0');
    for (std::size_t i = 0; i < size; ++i) content[i] = static_cast<char>(i * 31 + i / 251);
    const std::string key = "object-" + std::to_string(size);
    write_object(store_, {}, key, content);
    const Outcome printed = run({"cat", store_, "docs/" + key});
    EXPECT_EQ(printed.exit, 0) << printed.err;
    EXPECT_TRUE(printed.out == content) << size;
  }
}

TEST_F(OfflineCommands, CatOfWhatIsNotThereIsFive) {
  ASSERT_EQ(run({"init", store_}).exit, 0);
  write_object(store_, {}, "object", "x");
  EXPECT_EQ(run({"cat", store_, "docs/none"}).exit, 5);
  EXPECT_EQ(run({"cat", store_, "none/object"}).exit, 5);
  EXPECT_EQ(run({"cat", store_, "docs"}).exit, 2);
  EXPECT_EQ(run({"cat", store_, "docs/object/deeper"}).exit, 5);
}

TEST_F(OfflineCommands, ADamagedObjectIsThreeAndNothingOfItIsPrinted) {
  ASSERT_EQ(run({"init", store_}).exit, 0);
  write_object(store_, {}, "object", std::string(2 * kChunkSize, 'p'));
  int files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(store_ + "/objects")) {
    if (!entry.is_regular_file()) continue;
    std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(-1, std::ios::end);
    const char last = static_cast<char>(file.get());
    file.seekp(-1, std::ios::end);
    file.put(static_cast<char>(last ^ 1));
    ++files;
  }
  ASSERT_EQ(files, 1);
  const Outcome printed = run({"cat", store_, "docs/object"});
  EXPECT_EQ(printed.exit, 3) << printed.err;
  EXPECT_EQ(printed.out, "");
  const Outcome checked = run({"fsck", store_, "--json"});
  EXPECT_EQ(checked.exit, 3);
  const auto report = parse_json(checked.out);
  ASSERT_TRUE(report.ok()) << checked.out;
  EXPECT_EQ((*report)["damage"].size(), 1U);
}

TEST_F(OfflineCommands, InspectShowsTheEnvelopeInTheAgreedShape) {
  ASSERT_EQ(run({"init", store_}).exit, 0);
  write_object(store_, {}, "object", "hello");
  const Outcome inspected = run({"inspect", store_, "docs/object", "--json"});
  ASSERT_EQ(inspected.exit, 0) << inspected.err;
  const Json expected =
      parse_json(R"({"bucket":"docs","key":"object","sse":"AES256","kms_key_arn":null,"bucket_key":false,
      "chunk_size":16384,"size":5,"layers":[{"cipher":"AES-256-GCM","key_source":"sse-s3"}],
      "context":{"aws:s3:arn":"arn:aws:s3:::docs/object"},"reseal_pending":false})")
          .value();
  EXPECT_EQ(*parse_json(inspected.out), expected) << inspected.out;
}

TEST_F(OfflineCommands, AStoreInUseIsOne) {
  ASSERT_EQ(run({"init", store_}).exit, 0);
  const SystemClock clock;
  const auto opened = open_offline(store_, {}, clock);
  ASSERT_TRUE(opened.ok());
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"cat", store_, "docs/x"}, {"fsck", store_}, {"inspect", store_, "docs/x"}}) {
    const Outcome refused = run(arguments);
    EXPECT_EQ(refused.exit, 1) << arguments[0];
    EXPECT_NE(refused.err.find("in use"), std::string::npos);
  }
}

TEST_F(OfflineCommands, UnlockListNamesEachSlotAndNoSecret) {
  std::ofstream(scratch_.path() + "/pass") << "correct horse\n";
  ASSERT_EQ(run({"init", store_, "--passphrase-file", scratch_.path() + "/pass"}).exit, 0);
  const Outcome listed = run({"unlock", "list", store_, "--json"});
  ASSERT_EQ(listed.exit, 0) << listed.err;
  const Json slots = (*parse_json(listed.out))["slots"];
  ASSERT_EQ(slots.size(), 1U);
  EXPECT_EQ(slots[0]["kind"], "passphrase");
  EXPECT_GE(slots[0]["argon2_ops"], 3);
  EXPECT_GE(slots[0]["argon2_bytes"], 64 * 1024 * 1024);
  EXPECT_EQ(run({"unlock", "list", scratch_.path()}).exit, 5);
}

}  // namespace
}  // namespace coffer
