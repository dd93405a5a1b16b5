#include "iam/users.h"

#include <gtest/gtest.h>

#include "base/policy_limits.h"

namespace coffer {
namespace {

class MemoryUserRecords final : public UserRecords {
 public:
  Result<std::vector<UserRecord>> load_users() override {
    std::vector<UserRecord> out;
    for (const auto& [name, user] : users) out.push_back(user);
    return out;
  }
  Status save_user(const UserRecord& user) override {
    if (fail) return Error{Code::kIo, "told to fail"};
    users.insert_or_assign({user.account, user.name}, user);
    return {};
  }
  Status remove_user(const AccountId& account, std::string_view name) override {
    users.erase({account, std::string(name)});
    return {};
  }
  std::map<std::pair<AccountId, std::string>, UserRecord> users;
  bool fail = false;
};

class UsersTest : public testing::Test {
 protected:
  UsersTest() { reopen(); }
  void reopen() { users = Users::open(records).value(); }
  static UserKey key(const std::string& id) {
    return {id, std::make_shared<const SecretBytes>(as_bytes("secret")), true, 0};
  }

  const AccountId account = AccountId::parse("000000000000").value();
  const AccountId other = AccountId::parse("111122223333").value();
  const std::string allow = R"({"Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*"}})";
  MemoryUserRecords records;
  std::unique_ptr<Users> users;
};

TEST_F(UsersTest, AUserIsFoundByItsKeys) {
  ASSERT_TRUE(users->create(account, "ann", 7).ok());
  ASSERT_TRUE(users->add_key(account, "ann", key("AKIA1")).ok());
  reopen();
  const auto caller = users->find_key("AKIA1");
  ASSERT_TRUE(caller);
  EXPECT_EQ(caller->principal.arn, "arn:aws:iam::000000000000:user/ann");
  EXPECT_EQ(as_text(caller->secret->view()), "secret");
  ASSERT_TRUE(users->switch_key(account, "ann", "AKIA1", false).ok());
  EXPECT_FALSE(users->find_key("AKIA1"));
  ASSERT_TRUE(users->switch_key(account, "ann", "AKIA1", true).ok());
  EXPECT_TRUE(users->find_key("AKIA1"));
  ASSERT_TRUE(users->remove_key(account, "ann", "AKIA1").ok());
  EXPECT_FALSE(users->find_key("AKIA1"));
  EXPECT_FALSE(users->find_key(""));
}

TEST_F(UsersTest, AccountsHaveUsersOfTheSameName) {
  ASSERT_TRUE(users->create(account, "ann", 0).ok());
  ASSERT_TRUE(users->create(other, "ann", 0).ok());
  EXPECT_EQ(users->create(other, "ann", 0).code(), Code::kExists);
  EXPECT_EQ(users->list(account).size(), 1U);
  ASSERT_TRUE(users->put_policy(other, "ann", "p", allow).ok());
  EXPECT_EQ(users->policies_of(users->find(other, "ann")->principal()).size(), 1U);
  EXPECT_TRUE(users->policies_of(users->find(account, "ann")->principal()).empty());
}

TEST_F(UsersTest, TheUserNamedRootIsItsAccountAndHasNoPolicies) {
  ASSERT_TRUE(users->create(other, "root", 0).ok());
  EXPECT_EQ(users->find(other, "root")->principal(), Principal::root_of(other));
  EXPECT_EQ(users->put_policy(other, "root", "p", allow).code(), Code::kInvalidArgument);
}

TEST_F(UsersTest, AUserGoesAfterItsKeysAndPolicies) {
  ASSERT_TRUE(users->create(account, "ann", 0).ok());
  ASSERT_TRUE(users->add_key(account, "ann", key("AKIA1")).ok());
  ASSERT_TRUE(users->put_policy(account, "ann", "p", allow).ok());
  EXPECT_EQ(users->remove(account, "ann").code(), Code::kNotEmpty);
  ASSERT_TRUE(users->remove_key(account, "ann", "AKIA1").ok());
  EXPECT_EQ(users->remove(account, "ann").code(), Code::kNotEmpty);
  ASSERT_TRUE(users->remove_policy(account, "ann", "p").ok());
  EXPECT_EQ(users->remove_policy(account, "ann", "p").code(), Code::kNotFound);
  ASSERT_TRUE(users->remove(account, "ann").ok());
  EXPECT_EQ(users->remove(account, "ann").code(), Code::kNotFound);
  EXPECT_TRUE(records.users.empty());
}

TEST_F(UsersTest, NamesKeysAndPoliciesHaveTheirLimits) {
  for (const char* name : {"", "a b", "a/b", "ä"})
    EXPECT_EQ(users->create(account, name, 0).code(), Code::kInvalidArgument);
  EXPECT_EQ(users->create(account, std::string(kUserNameSizeMax + 1, 'a'), 0).code(), Code::kInvalidArgument);
  ASSERT_TRUE(users->create(account, "ann", 0).ok());
  for (std::size_t i = 0; i < kUserKeysMax; ++i)
    ASSERT_TRUE(users->add_key(account, "ann", key("AKIA" + std::to_string(i))).ok());
  EXPECT_EQ(users->add_key(account, "ann", key("AKIAX")).code(), Code::kLimit);
  for (std::size_t i = 0; i < kUserPoliciesMax; ++i)
    ASSERT_TRUE(users->put_policy(account, "ann", "p" + std::to_string(i), allow).ok());
  EXPECT_EQ(users->put_policy(account, "ann", "more", allow).code(), Code::kLimit);
  EXPECT_TRUE(users->put_policy(account, "ann", "p0", allow).ok()) << "in place of the one of this name";
  EXPECT_EQ(users->put_policy(account, "ann", "p0", "{}").code(), Code::kInvalidArgument);
}

TEST_F(UsersTest, AFailedSaveShowsNothing) {
  ASSERT_TRUE(users->create(account, "ann", 0).ok());
  records.fail = true;
  EXPECT_EQ(users->create(account, "bob", 0).code(), Code::kIo);
  EXPECT_EQ(users->add_key(account, "ann", key("AKIA1")).code(), Code::kIo);
  EXPECT_FALSE(users->find_key("AKIA1"));
  EXPECT_EQ(users->find(account, "bob").code(), Code::kNotFound);
}

TEST_F(UsersTest, APolicyThatCannotBeReadDeniesEverything) {
  UserRecord user{account, "ann", 0};
  user.policies = {{"newer", R"({"Statement":{"Effect":"Allow","Action":"*","Resource":"*","Newer":1}})"}};
  records.users.insert_or_assign({account, "ann"}, user);
  reopen();
  const auto principal = user.principal();
  const PolicyContext context;
  EXPECT_EQ(decide({principal, "s3:GetObject", "*", context}, users->policies_of(principal)),
            Verdict::kDeniedByIdentity);
}

}  // namespace
}  // namespace coffer
