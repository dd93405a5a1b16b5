#include "cli/access_key.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "tests/cli/fake_server.h"

namespace coffer {
namespace {

Realm realm() { return {*AccountId::parse("111122223333"), *Region::parse("eu-north-7")}; }

TEST(AccessKey, WhatInitWritesIsReadBack) {
  const ScratchFolder scratch;
  ASSERT_TRUE(write_signing_key(scratch.path(), realm()).ok());
  const std::string path = scratch.path() + "/credentials";
  struct stat found {};
  ASSERT_EQ(stat(path.c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 07777, 0600U);
  const auto read = read_signing_key(path);
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->key.id.size(), 20U);
  EXPECT_EQ(read->key.secret.size(), 40U);
  EXPECT_EQ(read->region, "eu-north-7");
}

TEST(AccessKey, AFileThatIsThereIsNeverOverwritten) {
  const ScratchFolder scratch;
  std::ofstream(scratch.path() + "/credentials") << "mine";
  EXPECT_FALSE(write_signing_key(scratch.path(), realm()).ok());
  EXPECT_EQ(read_file(scratch.path() + "/credentials"), "mine");
}

TEST(AccessKey, NoKeyToReadIsAnAccessDenied) {
  const ScratchFolder scratch;
  const std::string path = scratch.path() + "/credentials";
  EXPECT_EQ(read_signing_key(path).code(), Code::kAccessDenied);
  std::ofstream(path) << "[other]\naws_access_key_id = COFFX\naws_secret_access_key = y\n";
  EXPECT_EQ(read_signing_key(path).code(), Code::kAccessDenied);
  std::ofstream(path) << "garbage";
  EXPECT_EQ(read_signing_key(path).code(), Code::kAccessDenied);
}

TEST(AccessKey, TheRegionIsThatOfOurProfileOrTheUsualOne) {
  const ScratchFolder scratch;
  const std::string path = scratch.path() + "/credentials";
  const std::string key = "aws_access_key_id = COFFX\naws_secret_access_key = y\n";
  std::ofstream(path) << "[coffer]\n" << key;
  EXPECT_EQ(read_signing_key(path)->region, "us-east-1");
  std::ofstream(path) << "[coffer]\n"
                      << key << "[other]\naws_access_key_id = COFFZ\naws_secret_access_key = y\nregion = a-b-1\n";
  EXPECT_EQ(read_signing_key(path)->region, "us-east-1");
}

}  // namespace
}  // namespace coffer
