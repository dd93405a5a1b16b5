#include "cli/command_line.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

namespace coffer {
namespace {

template <class Options>
Options parsed(const std::vector<std::string>& arguments) {
  const auto command = parse_command_line(arguments);
  EXPECT_TRUE(command.ok()) << (command.ok() ? "" : command.error().message);
  if (!command.ok() || !std::holds_alternative<Options>(*command)) {
    ADD_FAILURE() << "another kind of command";
    return {};
  }
  return std::get<Options>(*command);
}

std::string refusal(const std::vector<std::string>& arguments) {
  const auto command = parse_command_line(arguments);
  EXPECT_FALSE(command.ok());
  if (command.ok()) return "";
  EXPECT_EQ(command.code(), Code::kInvalidArgument);
  return command.error().message;
}

// Every command, with the least it needs.
const std::vector<std::vector<std::string>> kCommands = {
    {"init", "S"},
    {"mount", "S", "D"},
    {"unmount", "D"},
    {"sync", "D"},
    {"status"},
    {"bucket", "create", "b"},
    {"bucket", "list"},
    {"bucket", "delete", "b"},
    {"encryption", "put", "b", "--sse", "AES256"},
    {"encryption", "get", "b"},
    {"encryption", "delete", "b"},
    {"kms", "create-key"},
    {"kms", "list-keys"},
    {"kms", "list-aliases"},
    {"kms", "stats"},
    {"kms", "describe-key", "k"},
    {"kms", "enable-key", "k"},
    {"kms", "disable-key", "k"},
    {"kms", "rotate-key", "k"},
    {"kms", "enable-key-rotation", "k"},
    {"kms", "disable-key-rotation", "k"},
    {"kms", "get-key-rotation-status", "k"},
    {"kms", "list-key-rotations", "k"},
    {"kms", "update-key-description", "k", "d"},
    {"kms", "tag-resource", "k", "a=b"},
    {"kms", "untag-resource", "k", "a"},
    {"kms", "list-resource-tags", "k"},
    {"kms", "import-key-material", "k", "F"},
    {"kms", "delete-imported-key-material", "k"},
    {"kms", "update-alias", "alias/a", "k"},
    {"kms", "delete-alias", "alias/a"},
    {"kms", "cancel-key-deletion", "k"},
    {"kms", "schedule-key-deletion", "k"},
    {"kms", "create-alias", "alias/a", "k"},
    {"kms", "check-bucket", "b"},
    {"kms", "get-key-policy", "k"},
    {"kms", "put-key-policy", "k", "F"},
    {"kms", "list-grants", "k"},
    {"user", "create", "u"},
    {"user", "list"},
    {"user", "delete", "u"},
    {"user", "create-key", "u"},
    {"user", "list-keys", "u"},
    {"user", "delete-key", "u", "ID"},
    {"policy", "put", "F", "--user", "u", "--name", "n"},
    {"policy", "get", "--bucket", "b"},
    {"policy", "list", "--user", "u"},
    {"policy", "delete", "--user", "u"},
    {"audit", "show", "--last", "3", "--follow"},
    {"audit", "export", "--json"},
    {"audit", "verify", "S"},
    {"inspect", "P"},
    {"cat", "S", "b/k"},
    {"fsck", "S"},
    {"fsck", "S", "--repair", "--json"},
    {"reseal", "D/b"},
    {"scrub", "D"},
    {"scrub", "D", "--rate", "10", "--restart", "--json"},
    {"unlock", "list", "S"},
    {"unlock", "add", "S"},
    {"unlock", "remove", "S", "ID"},
    {"unlock", "rekey", "S"},
};

TEST(CommandLine, EveryCommandParsesWithTheLeastItNeeds) {
  for (const auto& arguments : kCommands) EXPECT_TRUE(parse_command_line(arguments).ok()) << arguments[0];
}

TEST(CommandLine, EveryCommandHasHelpAndVersion) {
  for (auto arguments : kCommands) {
    constexpr std::array<std::string_view, 7> kGroups = {"audit", "bucket", "encryption", "kms",
                                                         "policy", "unlock", "user"};
    const bool has_verb = std::find(kGroups.begin(), kGroups.end(), arguments[0]) != kGroups.end();
    const std::size_t words = has_verb ? 2 : 1;
    arguments.resize(words);
    arguments.push_back("--help");
    EXPECT_NE(parsed<HelpOptions>(arguments).text.find("coffer " + arguments[0]), std::string::npos) << arguments[0];
    arguments.back() = "--version";
    EXPECT_EQ(parsed<HelpOptions>(arguments).text, "coffer " COFFER_VERSION "\n") << arguments[0];
  }
  EXPECT_EQ(parsed<HelpOptions>({"--version"}).text, "coffer " COFFER_VERSION "\n");
  EXPECT_NE(parsed<HelpOptions>({"--help"}).text.find("Exit codes"), std::string::npos);
}

TEST(CommandLine, WhatCannotBeACommandSaysWhereTheHelpIs) {
  const std::vector<std::vector<std::string>> wrong = {
      {},
      {"frobnicate"},
      {"bucket"},
      {"bucket", "create"},
      {"bucket", "create", ""},
      {"bucket", "list", "--frobnicate"},
      {"mount", "S"},
      {"mount", "S", "D", "E"},
      {"encryption", "put", "b"},
      {"encryption", "put", "b", "f.xml", "--sse", "AES256"},
      {"encryption", "put", "b", "--sse", "rot13"},
      {"encryption", "put", "b", "f.xml", "--bucket-key"},
      {"encryption", "put", "b", "f.xml", "--key", "k"},
      {"kms", "schedule-key-deletion", "k", "--days", "6"},
      {"kms", "schedule-key-deletion", "k", "--days", "31"},
      {"cat", "S", "b/k", "--key-file", "f", "--passphrase-file", "g"},
      {"scrub", "D", "--rate", "0"},
      {"scrub", "D", "--rate", "fast"},
  };
  for (const auto& arguments : wrong) {
    const std::string message = refusal(arguments);
    EXPECT_NE(message.find("--help`"), std::string::npos) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  }
  EXPECT_EQ(refusal({"polish", "D"}), "there is no command 'polish': see `coffer --help`");
  EXPECT_EQ(refusal({"unlock", "mend", "S"}), "there is no command 'mend': see `coffer unlock --help`");
  EXPECT_NE(refusal({"bucket", "create"}).find("`coffer bucket create --help`"), std::string::npos);
}

TEST(CommandLine, InitKnowsItsDefaults) {
  const auto plain = parsed<InitOptions>({"init", "S"});
  EXPECT_EQ(plain.account_id, "000000000000");
  EXPECT_EQ(plain.region, "us-east-1");
  EXPECT_FALSE(plain.unlock.key_file || plain.unlock.passphrase_file);
  const auto full =
      parsed<InitOptions>({"init", "S", "--account-id", "111122223333", "--region", "eu-west-1", "--key-file", "f"});
  EXPECT_EQ(full.account_id, "111122223333");
  EXPECT_EQ(full.region, "eu-west-1");
  EXPECT_EQ(full.unlock.key_file, "f");
}

TEST(CommandLine, MountPassesTheDaemonsFlagsOnAsTheyStand) {
  const auto options =
      parsed<MountOptions>({"mount", "S", "D", "-f", "-o", "ro,allow_other", "-o", "poll-us=50", "--admin-socket",
                            "/run/s", "--listen", "127.0.0.1:9000", "--min-commit", "12", "--passphrase-file", "p"});
  EXPECT_TRUE(options.foreground);
  EXPECT_EQ(options.unlock.passphrase_file, "p");
  EXPECT_EQ(options.daemon_flags,
            (std::vector<std::string>{"-o", "ro,allow_other", "-o", "poll-us=50", "--admin-socket", "/run/s",
                                      "--listen", "127.0.0.1:9000", "--min-commit", "12"}));
}

TEST(CommandLine, NamesOfCommandsAreNamesOfBucketsAndStoresToo) {
  EXPECT_EQ(parsed<BucketOptions>({"bucket", "create", "list"}).bucket, "list");
  EXPECT_EQ(parsed<FsckOptions>({"fsck", "mount"}).store, "mount");
  EXPECT_EQ(parsed<UnmountOptions>({"unmount", "unmount"}).dir, "unmount");
}

TEST(CommandLine, EncryptionTakesAFileOrAnAlgorithm) {
  EXPECT_EQ(parsed<EncryptionOptions>({"encryption", "put", "b", "f.xml"}).file, "f.xml");
  const auto by_flags =
      parsed<EncryptionOptions>({"encryption", "put", "b", "--sse", "aws:kms", "--key", "alias/a", "--bucket-key"});
  EXPECT_EQ(by_flags.sse, "aws:kms");
  EXPECT_EQ(by_flags.key, "alias/a");
  EXPECT_TRUE(by_flags.bucket_key);
}

TEST(CommandLine, ScheduledDeletionIsThirtyDaysAwayUnlessSaid) {
  EXPECT_EQ(parsed<KmsOptions>({"kms", "schedule-key-deletion", "k"}).days, 30);
  EXPECT_EQ(parsed<KmsOptions>({"kms", "schedule-key-deletion", "k", "--days", "7"}).days, 7);
}

TEST(CommandLine, InspectTellsAMountedPathFromAStore) {
  EXPECT_FALSE(parsed<InspectOptions>({"inspect", "P"}).object);
  EXPECT_EQ(parsed<InspectOptions>({"inspect", "S", "b/k", "--json"}).object, "b/k");
}

}  // namespace
}  // namespace coffer
