#include "admin/credentials_file.h"

#include <gtest/gtest.h>

#include "base/limits.h"

namespace coffer {
namespace {

const Principal kRoot = Principal::root_of(*AccountId::parse("000000000000"));

TEST(CredentialsFile, ReadsWhatItPrints) {
  CredentialsFile file;
  const auto made = make_access_key(kRoot);
  ASSERT_TRUE(made.ok());
  file.add("coffer", {made->id, SecretBytes(made->secret.view()), kRoot});
  file.add("other", {"AKIAOTHER", SecretBytes(as_bytes("a+/=b")), kRoot});
  const auto text = file.print();
  EXPECT_TRUE(text.starts_with("[coffer]\naws_access_key_id = " + made->id + "\naws_secret_access_key = ")) << text;
  const auto read = CredentialsFile::parse(text, kRoot);
  ASSERT_TRUE(read.ok()) << read.error().message;
  ASSERT_NE(read->find(made->id), nullptr);
  EXPECT_TRUE(equal_constant_time(read->find(made->id)->secret.view(), made->secret.view()));
  EXPECT_EQ(read->profile("coffer"), read->find(made->id).get());
  EXPECT_EQ(as_text(read->profile("other")->secret.view()), "a+/=b");
  EXPECT_EQ(read->find("AKIAOTHER")->principal, kRoot);
}

TEST(CredentialsFile, ReadsWhatAwssToolsWrite) {
  const auto read = CredentialsFile::parse(
      "# comment\r\n; another\r\n\r\n [ coffer ] \r\nregion=us-east-1\r\naws_secret_access_key=s=s\r\n"
      "  aws_access_key_id\t=\tAKIA1  \r\n[empty-last]\naws_access_key_id=AKIA2\naws_secret_access_key=t",
      kRoot);
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(as_text(read->find("AKIA1")->secret.view()), "s=s");
  EXPECT_EQ(read->profile("coffer")->id, "AKIA1");
  EXPECT_EQ(as_text(read->find("AKIA2")->secret.view()), "t");
  EXPECT_EQ(read->profile("none"), nullptr);
}

TEST(CredentialsFile, FindsNobodyByNoName) {
  const auto empty = CredentialsFile::parse("", kRoot);
  ASSERT_TRUE(empty.ok());
  EXPECT_EQ(empty->find(""), nullptr);
  EXPECT_EQ(empty->find("AKIA1"), nullptr);
}

TEST(CredentialsFile, RefusesWhatIsNotWhole) {
  for (const auto& text : std::vector<std::string>{
           "aws_access_key_id = AKIA1\n", "[a]\n", "[a]\naws_access_key_id = AKIA1\n",
           "[a]\naws_secret_access_key = s\n", "[a\n", "[a]\nnonsense\n", "[a]\naws_access_key_id = A B\n",
           "[a]\naws_access_key_id = \naws_secret_access_key = s\n", "[a]\naws_access_key_id = AKIA1\n[b]\n",
           "[a]\naws_access_key_id = AKIA1\naws_secret_access_key = s\n[b]\naws_access_key_id = AKIA1\n"
           "aws_secret_access_key = t\n",
           std::string(kCredentialsFileMax + 1, '\n')}) {
    const auto read = CredentialsFile::parse(text, kRoot);
    ASSERT_FALSE(read.ok()) << text.substr(0, 60);
    EXPECT_EQ(read.code(), Code::kInvalidArgument);
  }
}

TEST(CredentialsFile, ErrorsDoNotRepeatSecrets) {
  const auto read = CredentialsFile::parse("[a]\naws_access_key_id = AKIA1\naws_secret_access_key hunter2\n", kRoot);
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.error().message, "credentials, line 3: expected [profile] or name = value");
}

TEST(CredentialsFile, NewKeysLookLikeAwssAndDiffer) {
  const auto one = make_access_key(kRoot), two = make_access_key(kRoot);
  ASSERT_TRUE(one.ok() && two.ok());
  EXPECT_EQ(one->id.size(), 20U);
  EXPECT_EQ(one->secret.size(), 40U);
  EXPECT_NE(one->id, two->id);
  EXPECT_FALSE(equal_constant_time(one->secret.view(), two->secret.view()));
}

}  // namespace
}  // namespace coffer
