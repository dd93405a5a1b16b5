#include "iam/policy.h"

#include <gtest/gtest.h>

#include "base/policy_limits.h"

namespace coffer {
namespace {

constexpr std::string_view kBucketArn = "arn:aws:s3:::b";

Result<Policy> parse(const std::string& text, PolicyKind kind) { return parse_policy(text, kind, kBucketArn); }

// A bucket's policy with one member of its statement replaced, or without it where `value` is empty.
std::string with(const std::string& member, const std::string& value) {
  std::vector<std::pair<std::string, std::string>> members = {{"Effect", R"("Allow")"},
                                                              {"Principal", R"("*")"},
                                                              {"Action", R"("s3:PutEncryptionConfiguration")"},
                                                              {"Resource", R"("arn:aws:s3:::b")"}};
  std::string out;
  bool replaced = false;
  const auto add = [&](const std::string& name, const std::string& text) {
    if (!text.empty()) out += (out.empty() ? "\"" : ",\"") + name + "\":" + text;
  };
  for (const auto& [name, text] : members) {
    replaced = replaced || name == member;
    add(name, name == member ? value : text);
  }
  if (!replaced) add(member, value);
  return R"({"Version":"2012-10-17","Statement":[{)" + out + "}]}";
}

TEST(Policy, IsReadWhole) {
  const auto policy = parse(with("Condition", R"({"StringEquals":{"s3:X-Amz-Acl":["a","b"]},"Bool":{"aws:SecureTransport":true}})"),
                            PolicyKind::kBucket);
  ASSERT_TRUE(policy.ok()) << policy.error().message;
  ASSERT_EQ(policy->statements.size(), 1U);
  const auto& statement = policy->statements[0];
  EXPECT_EQ(statement.effect, Effect::kAllow);
  EXPECT_EQ(statement.principals.items[0].kind, PolicyPrincipal::Kind::kAnyone);
  EXPECT_EQ(statement.actions.items[0], "s3:putencryptionconfiguration");
  ASSERT_EQ(statement.conditions.size(), 2U);
  EXPECT_EQ(statement.conditions[1].key, "s3:x-amz-acl");
  EXPECT_EQ(statement.conditions[0].values[0], "true");
  EXPECT_TRUE(policy->has_variables);
}

TEST(Policy, OneStatementNeedsNoList) {
  EXPECT_TRUE(parse(R"({"Statement":{"Effect":"Deny","Principal":"*","Action":"*","Resource":"arn:aws:s3:::b/*"}})",
                    PolicyKind::kBucket)
                  .ok());
}

// What a bucket's policy may not say, in S3's words.
TEST(Policy, WhatIsNotUnderstoodIsRefused) {
  struct Row {
    std::string text;
    std::string message;
  };
  const std::string json = "Policies must be valid JSON and the first byte must be '{'";
  const std::string syntax = "Invalid policy syntax.";
  const std::vector<Row> rows = {
      {"", json},
      {"[]", json},
      {"{", json},
      {R"({"Statement":[]} x)", json},
      {R"({"Statement":[],"Statement":[]})", json},
      {std::string("{}\0", 3), json},
      {"{}", "Missing required field Statement"},
      {R"({"Statement":[]})", syntax},
      {R"({"Statement":[1]})", syntax},
      {R"({"Statement":"x"})", syntax},
      {R"({"Version":"2013-10-17","Statement":[]})", "The policy must contain a valid version string"},
      {R"({"Version":1,"Statement":[]})", "The policy must contain a valid version string"},
      {R"({"Statements":[]})", "Unknown field Statements"},
      {R"({"Id":1,"Statement":[]})", syntax},
      {with("Effect", ""), "Missing required field Effect"},
      {with("Effect", R"("allow")"), "Invalid effect: allow"},
      {with("Effect", "1"), "Invalid effect: 1"},
      {with("Principal", ""), "Missing required field Principal"},
      {with("Principal", R"("arn:aws:iam::000000000000:root")"), "Invalid principal in policy"},
      {with("Principal", R"({"AWS":"nobody"})"), "Invalid principal in policy"},
      {with("Principal", R"({"AWS":[]})"), "Invalid principal in policy"},
      {with("Principal", R"({"AWS":"arn:aws:iam::000000000000:user/*"})"), "Invalid principal in policy"},
      {with("Principal", R"({"AWS":"arn:aws:iam::00000000000:user/a"})"), "Invalid principal in policy"},
      {with("Principal", R"({"AWS":"arn:aws:iam::000000000000:group/a"})"), "Invalid principal in policy"},
      {with("Principal", R"({"Aws":"*"})"), "Invalid principal in policy"},
      {with("Principal", "{}"), "Invalid principal in policy"},
      {with("NotPrincipal", R"({"AWS":"*"})"), syntax},
      {with("Action", ""), "Missing required field Action"},
      {with("Action", R"("kms:Decrypt")"), "Policy has invalid action"},
      {with("Action", R"("s3")"), "Policy has invalid action"},
      {with("Action", R"("s3:")"), "Policy has invalid action"},
      {with("Action", R"("s3:Put Object")"), "Policy has invalid action"},
      {with("Action", "[]"), "Policy has invalid action"},
      {with("Action", "[1]"), "Policy has invalid action"},
      {with("NotAction", R"("s3:*")"), syntax},
      {with("Resource", ""), "Missing required field Resource"},
      {with("Resource", R"("arn:aws:s3:::c")"), "Policy has invalid resource"},
      {with("Resource", R"("arn:aws:s3:::bb")"), "Policy has invalid resource"},
      {with("Resource", R"("*")"), "Policy has invalid resource"},
      {with("Resource", R"("arn:aws:s3:::b/${aws:username")"), "Policy has invalid resource"},
      {with("NotResource", R"("arn:aws:s3:::b")"), syntax},
      {with("Sid", "1"), syntax},
      {with("Efect", R"("Allow")"), "Unknown field Efect"},
      {with("Condition", "[]"), syntax},
      {with("Condition", R"({"StringEqual":{"s3:x-amz-acl":"a"}})"), "Invalid Condition type : StringEqual"},
      {with("Condition", R"({"StringEquals":{}})"), syntax},
      {with("Condition", R"({"StringEquals":{"s3:x-amz-acl":[]}})"), syntax},
      {with("Condition", R"({"StringEquals":{"s3:x-amz-acl":{}}})"), syntax},
      {with("Condition", R"({"StringEquals":{"s3:nothing":"a"}})"), "Policy has an invalid condition key"},
      {with("Condition", R"({"NumericEquals":{"s3:max-keys":"many"}})"),
       "Invalid condition value for NumericEquals: many"},
  };
  for (const auto& [text, message] : rows) {
    const auto policy = parse(text, PolicyKind::kBucket);
    ASSERT_FALSE(policy.ok()) << text;
    EXPECT_EQ(policy.code(), Code::kInvalidArgument);
    EXPECT_EQ(policy.error().message, message) << text;
  }
}

TEST(Policy, OfAKeyOrAUserHasItsOwnActionsAndResources) {
  const auto statement = [](const std::string& rest) {
    return R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow",)" + rest + "}]}";
  };
  const std::string anyone = R"("Principal":"*",)";
  EXPECT_TRUE(parse(statement(anyone + R"("Action":"kms:*","Resource":"*")"), PolicyKind::kKey).ok());
  EXPECT_FALSE(parse(statement(anyone + R"("Action":"s3:*","Resource":"*")"), PolicyKind::kKey).ok());
  EXPECT_FALSE(parse(statement(R"("Action":"kms:*","Resource":"*")"), PolicyKind::kKey).ok());
  EXPECT_TRUE(parse(statement(R"("Action":["s3:*","ec2:Run*"],"Resource":"*")"), PolicyKind::kIdentity).ok());
  EXPECT_FALSE(parse(statement(anyone + R"("Action":"s3:*","Resource":"*")"), PolicyKind::kIdentity).ok());
  EXPECT_FALSE(parse(statement(R"("Action":"s3*:x","Resource":"*")"), PolicyKind::kIdentity).ok());
  EXPECT_FALSE(parse(statement(R"("Action":"s3:*","Resource":"bucket")"), PolicyKind::kIdentity).ok());
}

TEST(Policy, HasItsLimits) {
  const std::string filler(kBucketPolicySizeMax, ' ');
  EXPECT_FALSE(parse(with("Sid", "\"x\"") + filler, PolicyKind::kBucket).ok());
  EXPECT_FALSE(parse(R"({"Statement":{"Condition":{"a":{"b":[[[[[[[[1]]]]]]]]}}}})", PolicyKind::kBucket).ok());
}

}  // namespace
}  // namespace coffer
