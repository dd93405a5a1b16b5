#include "daemon/options.h"

#include <gtest/gtest.h>

namespace coffer {
namespace {

Result<std::variant<DaemonOptions, HelpText>> parse(std::vector<const char*> words) {
  words.insert(words.begin(), "cofferd");
  return parse_command_line(static_cast<int>(words.size()), words.data());
}

DaemonOptions parsed(std::vector<const char*> words) {
  auto command = parse(std::move(words));
  EXPECT_TRUE(command.ok()) << command.error().message;
  return std::get<DaemonOptions>(std::move(*command));
}

std::string refusal(std::vector<const char*> words) {
  const auto command = parse(std::move(words));
  if (command.ok()) return "accepted";
  EXPECT_EQ(command.code(), Code::kInvalidArgument);
  EXPECT_EQ(command.error().message.find('\n'), std::string::npos) << "one line";
  return command.error().message;
}

TEST(Options, StoreAndMountPointAreEnough) {
  const DaemonOptions options = parsed({"/s", "/m"});
  EXPECT_EQ(options.store, "/s");
  EXPECT_EQ(options.dir, "/m");
  EXPECT_FALSE(options.foreground);
  EXPECT_EQ(options.min_commit, 0U);
  EXPECT_NE(refusal({}), "accepted");
  EXPECT_NE(refusal({"/s"}), "accepted");
  EXPECT_NE(refusal({"/s", "/m", "/n"}), "accepted");
}

TEST(Options, EveryFlagArrives) {
  const DaemonOptions options = parsed({"-f", "--key-file", "k", "--admin-socket", "/run/a.sock", "--listen",
                                        "127.0.0.1:9000", "--min-commit", "12", "--", "/s", "/m"});
  EXPECT_TRUE(options.foreground);
  EXPECT_EQ(options.unlock.key_file, "k");
  EXPECT_EQ(options.admin_socket, "/run/a.sock");
  EXPECT_EQ(options.listen_port, 9000);
  EXPECT_EQ(options.min_commit, 12U);
  EXPECT_EQ(parsed({"--passphrase-file", "p", "/s", "/m"}).unlock.passphrase_file, "p");
}

TEST(Options, AnExternalKmsHasItsFiles) {
  const DaemonOptions options = parsed({"/s", "/m", "--kms-endpoint", "https://kms.example", "--kms-credentials-file", "c",
                                        "--kms-ca-file", "a"});
  EXPECT_EQ(options.kms.endpoint, "https://kms.example");
  EXPECT_EQ(options.kms.credentials_file, "c");
  EXPECT_EQ(options.kms.ca_file, "a");
  EXPECT_EQ(parsed({"/s", "/m"}).kms.endpoint, std::nullopt);
  EXPECT_NE(refusal({"/s", "/m", "--kms-credentials-file", "c"}), "accepted");
  EXPECT_NE(refusal({"/s", "/m", "--kms-ca-file", "a"}), "accepted");
}

TEST(Options, OursAreTakenOutOfTheMountOptions) {
  const DaemonOptions options =
      parsed({"/s", "/m", "-o", "allow_other,poll-us=0,audit-files=7,principal=arn:aws:iam::123456789012:user/a", "-o",
              "noatime,,context=a\\,b"});
  EXPECT_EQ(options.mount_options, (std::vector<std::string>{"allow_other", "noatime", "context=a\\,b"}));
  EXPECT_EQ(options.poll_us, 0U);
  EXPECT_EQ(options.audit_files, 7U);
  ASSERT_TRUE(options.principal);
  EXPECT_EQ(options.principal->arn, "arn:aws:iam::123456789012:user/a");
  EXPECT_EQ(options.principal->account.str(), "123456789012");
}

TEST(Options, RefusesWhatCannotMeanAnything) {
  EXPECT_NE(refusal({"/s", "/m", "-o", "poll-us=x"}), "accepted");
  EXPECT_NE(refusal({"/s", "/m", "-o", "poll-us=-1"}), "accepted");
  EXPECT_NE(refusal({"/s", "/m", "-o", "poll-us=1001"}), "accepted");
  EXPECT_NE(refusal({"/s", "/m", "-o", "audit-files=1"}), "accepted") << "one that is written, and one that is whole";
  EXPECT_NE(refusal({"/s", "/m", "-o", "audit-files="}), "accepted");
  EXPECT_NE(refusal({"/s", "/m", "-o", "principal=me"}), "accepted");
  EXPECT_NE(refusal({"/s", "/m", "-o", "principal=arn:aws:iam::12:root"}), "accepted");
  EXPECT_NE(refusal({"/s", "/m", "-o", "fsname=x"}), "accepted");
  EXPECT_NE(refusal({"/s", "/m", "--listen", "0.0.0.0:80"}), "accepted") << "loopback alone";
  EXPECT_NE(refusal({"/s", "/m", "--listen", "127.0.0.1:0"}), "accepted");
  EXPECT_NE(refusal({"/s", "/m", "--listen", "127.0.0.1:70000"}), "accepted");
  for (const char* counter : {"many", "-1", "1x", "18446744073709551616"})
    EXPECT_NE(refusal({"/s", "/m", "--min-commit", counter}), "accepted") << counter;
  EXPECT_NE(refusal({"/s", "/m", "--key-file", "k", "--passphrase-file", "p"}), "accepted");
}

TEST(Options, WhatComesLaterIsRefusedByName) {
  EXPECT_NE(refusal({"/s", "/m", "-o", "uid-map="}).find("takes a file"), std::string::npos);
}

TEST(Options, HelpAndVersionNeedNothingElse) {
  for (const char* flag : {"--help", "--version"}) {
    const auto command = parse({flag});
    ASSERT_TRUE(command.ok());
    EXPECT_NE(std::get<HelpText>(*command).text, "");
  }
}

TEST(Options, TheStarterIsFoundOnAWrongCommandLine) {
  const char* words[] = {"cofferd", "--wrong", "--ready-fd", "3"};
  EXPECT_EQ(find_ready_fd(4, words), 3);
  EXPECT_EQ(find_ready_fd(3, words), std::nullopt);
  EXPECT_EQ(find_ready_fd(2, words), std::nullopt);
}

}  // namespace
}  // namespace coffer
