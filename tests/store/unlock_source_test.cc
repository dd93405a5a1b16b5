#include "store/unlock_source.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/limits.h"

namespace coffer {
namespace {

class UnlockSource : public testing::Test {
 protected:
  UnlockSource() : folder_(std::filesystem::temp_directory_path() / "coffer-unlock-XXXXXX") {
    EXPECT_NE(mkdtemp(folder_.data()), nullptr);
    unsetenv("CREDENTIALS_DIRECTORY");
  }
  ~UnlockSource() override {
    unsetenv("CREDENTIALS_DIRECTORY");
    std::filesystem::remove_all(folder_);
  }

  std::string write(const std::string& name, const std::string& content) const {
    const std::string path = folder_ + "/" + name;
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    std::ofstream(path, std::ios::binary) << content;
    return path;
  }

  std::string folder_;
};

std::string key_of(const Result<UnlockSecret>& secret) {
  if (!secret.ok()) return std::string(code_name(secret.code()));
  const auto* key = std::get_if<KeyFile>(&*secret);
  return key == nullptr ? "a passphrase" : std::string(as_text(key->key.view()));
}

std::string passphrase_of(const Result<UnlockSecret>& secret) {
  if (!secret.ok()) return std::string(code_name(secret.code()));
  const auto* passphrase = std::get_if<Passphrase>(&*secret);
  return passphrase == nullptr ? "a key" : std::string(as_text(passphrase->text.view()));
}

const std::string kKeyA(32, 'a'), kKeyB(32, 'b'), kKeyC(32, 'c');

TEST_F(UnlockSource, APassphraseIsTheFirstLineWithoutItsEnd) {
  for (const std::string content : {"pass word", "pass word\n", "pass word\r\n", "pass word\nsecond\n"}) {
    EXPECT_EQ(passphrase_of(read_passphrase_file(write("p", content))), "pass word") << content;
  }
  EXPECT_EQ(passphrase_of(read_passphrase_file(write("p", " \t\xff\n"))), " \t\xff");
}

TEST_F(UnlockSource, AnEmptyOrEndlessPassphraseIsRefused) {
  for (const std::string& content : {std::string(), std::string("\n"), std::string("\r\n"), std::string("\nsecond\n"),
                                     std::string(kPassphraseSizeMax + 1, 'x')}) {
    const auto refused = read_passphrase_file(write("p", content));
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.code(), Code::kWrongUnlock);
  }
  EXPECT_TRUE(read_passphrase_file(write("p", std::string(kPassphraseSizeMax, 'x'))).ok());
  EXPECT_EQ(read_passphrase_file(folder_ + "/none").code(), Code::kNoUnlock);
}

TEST_F(UnlockSource, AKeyFileIsThirtyTwoBytesAndNothingElse) {
  EXPECT_EQ(key_of(read_key_file(write("k", kKeyA))), kKeyA);
  for (const std::size_t size : {0U, 31U, 33U, 4096U}) {
    EXPECT_EQ(read_key_file(write("k", std::string(size, 'a'))).code(), Code::kWrongUnlock) << size;
  }
  EXPECT_EQ(read_key_file(folder_ + "/none").code(), Code::kNoUnlock);
  EXPECT_EQ(read_key_file(folder_).code(), Code::kNoUnlock);
}

TEST_F(UnlockSource, SecretsComeThroughPipesToo) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  ASSERT_EQ(::write(ends[1], kKeyA.data(), 20), 20);
  ASSERT_EQ(::write(ends[1], kKeyA.data(), 12), 12);
  close(ends[1]);
  EXPECT_EQ(key_of(read_key_file("/dev/fd/" + std::to_string(ends[0]))), kKeyA);
  close(ends[0]);
}

TEST_F(UnlockSource, TheFlagsWinThenTheStoreThenTheCredentialsDirectory) {
  write("store/keyslots.json", "{}");
  const std::string store = folder_ + "/store";
  const std::string flag_key = write("flag.key", kKeyA), flag_passphrase = write("flag.pass", "word\n");
  write("store/unlock.key", kKeyB);
  write("given/coffer.key", kKeyC);
  setenv("CREDENTIALS_DIRECTORY", (folder_ + "/given").c_str(), /*overwrite=*/1);
  EXPECT_EQ(key_of(find_unlock(store, {{}, flag_key})), kKeyA);
  EXPECT_EQ(passphrase_of(find_unlock(store, {flag_passphrase, {}})), "word");
  EXPECT_EQ(key_of(find_unlock(store, {})), kKeyB);
  std::filesystem::remove(store + "/unlock.key");
  EXPECT_EQ(key_of(find_unlock(store, {})), kKeyC);
}

TEST_F(UnlockSource, AFlagThatDoesNotServeIsNeverPassedOver) {
  write("store/keyslots.json", "{}");
  write("store/unlock.key", kKeyB);
  EXPECT_EQ(find_unlock(folder_ + "/store", {{}, folder_ + "/none"}).code(), Code::kNoUnlock);
  EXPECT_EQ(find_unlock(folder_ + "/store", {folder_ + "/none", {}}).code(), Code::kNoUnlock);
}

TEST_F(UnlockSource, NothingToUnlockWithIsSaidWithoutATerminal) {
  write("store/keyslots.json", "{}");
  const int before = dup(STDIN_FILENO);
  ASSERT_NE(std::freopen("/dev/null", "r", stdin), nullptr);
  EXPECT_EQ(find_unlock(folder_ + "/store", {}).code(), Code::kNoUnlock);
  dup2(before, STDIN_FILENO);
  close(before);
}

TEST_F(UnlockSource, AFolderWithoutAStoreIsNamedBeforeAnySecretIsAskedFor) {
  EXPECT_EQ(find_unlock(folder_, {}).code(), Code::kNoStore);
  EXPECT_EQ(find_unlock(folder_ + "/none", {{}, "/none"}).code(), Code::kNoStore);
}

}  // namespace
}  // namespace coffer
