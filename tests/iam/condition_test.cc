#include "iam/condition.h"

#include <gtest/gtest.h>

namespace coffer {
namespace {

struct Row {
  const char* name;                  // of the operator
  std::vector<std::string> wanted;   // by the policy
  std::vector<std::string> said;     // by the request; none: the key is absent
  bool expected;
};

bool outcome(const Row& row) {
  auto condition = parse_condition_operator(row.name);
  EXPECT_TRUE(condition) << row.name;
  condition->key = "k";
  condition->values = row.wanted;
  PolicyContext context;
  for (const auto& value : row.said) context.add("K", value);
  return holds(*condition, context, /*has_variables=*/false);
}

std::string shown(const Row& row) {
  std::string out(row.name);
  for (const auto& value : row.wanted) out += " wanted=" + value;
  for (const auto& value : row.said) out += " said=" + value;
  return out;
}

TEST(Condition, OperatorsCompareAsIamSays) {
  const std::vector<Row> rows = {
      {"StringEquals", {"aws:kms"}, {"aws:kms"}, true},
      {"StringEquals", {"aws:kms"}, {"AWS:KMS"}, false},
      {"StringEquals", {"a", "b"}, {"b"}, true},
      {"StringEquals", {"a*"}, {"ab"}, false},
      {"StringNotEquals", {"a"}, {"b"}, true},
      {"StringNotEquals", {"a", "b"}, {"b"}, false},
      {"StringEqualsIgnoreCase", {"True"}, {"true"}, true},
      {"StringNotEqualsIgnoreCase", {"True"}, {"true"}, false},
      {"StringLike", {"arn:aws:s3:::b/*"}, {"arn:aws:s3:::b/k"}, true},
      {"StringLike", {"a?c", "x"}, {"abc"}, true},
      {"StringLike", {"a?c"}, {"ABC"}, false},
      {"StringNotLike", {"arn:aws:s3:::b/*"}, {"arn:aws:s3:::c/k"}, true},
      {"StringNotLike", {"arn:aws:s3:::b/*"}, {"arn:aws:s3:::b/k"}, false},
      {"NumericEquals", {"7"}, {"7.0"}, true},
      {"NumericNotEquals", {"7"}, {"8"}, true},
      {"NumericLessThan", {"7"}, {"6"}, true},
      {"NumericLessThan", {"7"}, {"7"}, false},
      {"NumericLessThanEquals", {"7"}, {"7"}, true},
      {"NumericGreaterThan", {"7"}, {"30"}, true},
      {"NumericGreaterThan", {"7"}, {"7"}, false},
      {"NumericGreaterThanEquals", {"7"}, {"7"}, true},
      {"NumericEquals", {"7"}, {"seven"}, false},
      {"DateLessThan", {"2030-01-01T00:00:00Z"}, {"2029-12-31T23:59:59Z"}, true},
      {"DateLessThan", {"2030-01-01T00:00:00Z"}, {"2030-01-01T00:00:00Z"}, false},
      {"DateLessThanEquals", {"2030-01-01"}, {"2030-01-01T00:00:00Z"}, true},
      {"DateGreaterThan", {"1893456000"}, {"2030-01-01T00:00:01Z"}, true},
      {"DateGreaterThanEquals", {"2030-01-01T01:00:00+01:00"}, {"2030-01-01T00:00:00Z"}, true},
      {"DateEquals", {"2030-01-01T00:00:00.000Z"}, {"2030-01-01T00:00:00Z"}, true},
      {"DateNotEquals", {"2030-01-01"}, {"2030-01-02"}, true},
      {"Bool", {"true"}, {"true"}, true},
      {"Bool", {"false"}, {"true"}, false},
      {"BinaryEquals", {"QUJD"}, {"QUJD"}, true},
      {"IpAddress", {"203.0.113.0/24"}, {"203.0.113.77"}, true},
      {"IpAddress", {"203.0.113.0/24"}, {"203.0.114.1"}, false},
      {"IpAddress", {"203.0.113.7"}, {"203.0.113.7"}, true},
      {"IpAddress", {"2001:db8::/32"}, {"2001:db8:1::1"}, true},
      {"IpAddress", {"0.0.0.0/0"}, {"2001:db8::1"}, false},
      {"NotIpAddress", {"203.0.113.0/24"}, {"198.51.100.1"}, true},
      {"ArnEquals", {"arn:aws:iam::000000000000:user/*"}, {"arn:aws:iam::000000000000:user/a"}, true},
      {"ArnLike", {"arn:aws:iam::*:user/a"}, {"arn:aws:iam::000000000000:user/a"}, true},
      {"ArnLike", {"arn:aws:*:user/a"}, {"arn:aws:iam::000000000000:user/a"}, false},
      {"ArnNotEquals", {"arn:aws:iam::*:user/a"}, {"arn:aws:iam::000000000000:user/b"}, true},
      {"ArnNotLike", {"arn:aws:iam::*:user/a"}, {"arn:aws:iam::000000000000:user/a"}, false},
      {"Null", {"true"}, {}, true},
      {"Null", {"true"}, {"x"}, false},
      {"Null", {"false"}, {}, false},
      {"Null", {"false"}, {"x"}, true},
      {"ForAnyValue:StringEquals", {"a"}, {"b", "a"}, true},
      {"ForAnyValue:StringEquals", {"a"}, {"b", "c"}, false},
      {"ForAnyValue:StringNotEquals", {"a"}, {"a", "b"}, true},
      {"ForAllValues:StringEquals", {"a", "b"}, {"a", "b"}, true},
      {"ForAllValues:StringEquals", {"a", "b"}, {"a", "c"}, false},
      {"ForAllValues:StringLike", {"a*"}, {"ab", "ac"}, true},
      {"ForAllValues:StringNotEquals", {"a"}, {"b", "a"}, false},
  };
  for (const Row& row : rows) EXPECT_EQ(outcome(row), row.expected) << shown(row);
}

// Each operator without its key in the request: negated ones hold, others do not, and IfExists makes all hold.
TEST(Condition, AnAbsentKeyHoldsForNegationsAndIfExistsAlone) {
  struct Expected {
    const char* name;
    const char* value;
    bool alone;
  };
  const std::vector<Expected> operators = {
      {"StringEquals", "a", false},          {"StringNotEquals", "a", true},
      {"StringEqualsIgnoreCase", "a", false}, {"StringNotEqualsIgnoreCase", "a", true},
      {"StringLike", "a", false},            {"StringNotLike", "a", true},
      {"NumericEquals", "1", false},         {"NumericNotEquals", "1", true},
      {"NumericLessThan", "1", false},       {"NumericGreaterThan", "1", false},
      {"DateEquals", "2030-01-01", false},   {"DateNotEquals", "2030-01-01", true},
      {"DateLessThan", "2030-01-01", false}, {"Bool", "true", false},
      {"BinaryEquals", "QUJD", false},       {"IpAddress", "0.0.0.0/0", false},
      {"NotIpAddress", "0.0.0.0/0", true},   {"ArnEquals", "*", false},
      {"ArnLike", "*", false},               {"ArnNotEquals", "*", true},
      {"ArnNotLike", "*", true},
  };
  for (const auto& [name, value, alone] : operators) {
    const std::string plain(name);
    EXPECT_EQ(outcome({name, {value}, {}, false}), alone) << name;
    EXPECT_TRUE(outcome({(plain + "IfExists").c_str(), {value}, {}, false})) << name;
    EXPECT_FALSE(outcome({("ForAnyValue:" + plain).c_str(), {value}, {}, false})) << name;
    EXPECT_TRUE(outcome({("ForAllValues:" + plain).c_str(), {value}, {}, false})) << name;
    EXPECT_TRUE(outcome({("ForAnyValue:" + plain + "IfExists").c_str(), {value}, {}, false})) << name;
  }
}

TEST(Condition, UnknownOperatorsAreNone) {
  for (const char* name : {"", "StringEqual", "stringequals", "StringEqualsIfExist", "ForAnyValue:", "ForSome:Bool",
                           "NullIfExists", "ForAnyValue:Null", "IfExistsStringEquals", "StringEqualsIfExistsIfExists",
                           "ForAllValues:ForAnyValue:StringEquals"})
    EXPECT_FALSE(parse_condition_operator(name)) << name;
}

TEST(Condition, ValuesThatTheOperatorCannotReadAreNone) {
  const auto fits = [](const char* name, const char* value) {
    return is_condition_value(*parse_condition_operator(name), value);
  };
  EXPECT_TRUE(fits("NumericLessThan", "-1.5"));
  EXPECT_FALSE(fits("NumericLessThan", "1x"));
  EXPECT_FALSE(fits("NumericLessThan", "inf"));
  EXPECT_TRUE(fits("Bool", "True"));
  EXPECT_FALSE(fits("Bool", "yes"));
  EXPECT_FALSE(fits("Null", ""));
  EXPECT_FALSE(fits("IpAddress", "203.0.113.0/33"));
  EXPECT_FALSE(fits("IpAddress", "203.0.113"));
  EXPECT_FALSE(fits("DateEquals", "2030-13-01"));
  EXPECT_FALSE(fits("DateEquals", "2030-01-01T00:00:00"));
  EXPECT_FALSE(fits("BinaryEquals", "%%%"));
  EXPECT_FALSE(fits("ArnLike", "bucket"));
}

TEST(Condition, KeysThatNoRequestHasAreNone) {
  EXPECT_TRUE(is_condition_key("s3:x-amz-server-side-encryption", PolicyKind::kBucket));
  EXPECT_FALSE(is_condition_key("s3:x-amz-server-side-encrpytion", PolicyKind::kBucket));
  EXPECT_FALSE(is_condition_key("kms:viaservice", PolicyKind::kBucket));
  EXPECT_TRUE(is_condition_key("kms:encryptioncontext:aws:s3:arn", PolicyKind::kKey));
  EXPECT_FALSE(is_condition_key("kms:encryptioncontext:", PolicyKind::kKey));
  EXPECT_TRUE(is_condition_key("aws:principalarn", PolicyKind::kKey));
  EXPECT_TRUE(is_condition_key("ec2:region", PolicyKind::kIdentity));
  EXPECT_FALSE(is_condition_key("aws:principalarm", PolicyKind::kIdentity));
  EXPECT_FALSE(is_condition_key("region", PolicyKind::kIdentity));
}

TEST(Condition, VariablesStandForThemselvesAlone) {
  PolicyContext context;
  context.add("aws:username", "a*");
  context.add("aws:TagKeys", "x");
  context.add("aws:TagKeys", "y");
  EXPECT_EQ(fill_in("home/${aws:username}", context, Wildcards::kLiteral), "home/a*");
  EXPECT_EQ(fill_in("home/${AWS:UserName}", context, Wildcards::kLiteral), "home/a*");
  EXPECT_EQ(fill_in("${aws:PrincipalTag/team, 'none'}", context, Wildcards::kLiteral), "none");
  EXPECT_FALSE(fill_in("${aws:PrincipalTag/team}", context, Wildcards::kLiteral));
  EXPECT_FALSE(fill_in("${aws:TagKeys}", context, Wildcards::kLiteral));
  EXPECT_EQ(fill_in("${*}${?}${$}", context, Wildcards::kCompiled), "*?$");

  auto condition = *parse_condition_operator("StringLike");
  condition.key = "k";
  condition.values = {"${aws:username}"};
  PolicyContext said = context;
  said.add("k", "ab");
  EXPECT_FALSE(holds(condition, said, /*has_variables=*/true));
  PolicyContext exact = context;
  exact.add("k", "a*");
  EXPECT_TRUE(holds(condition, exact, /*has_variables=*/true));
}

TEST(Condition, TheCallerSaysWhoItIs) {
  PolicyContext context;
  const auto account = AccountId::parse("111122223333").value();
  add_caller(context, {account, "arn:aws:iam::111122223333:user/team/ann"}, 1'700'000'000'000'000'000);
  EXPECT_EQ(context.find("aws:username")->front(), "ann");
  EXPECT_EQ(context.find("aws:principalaccount")->front(), "111122223333");
  EXPECT_EQ(context.find("aws:principaltype")->front(), "User");
  EXPECT_EQ(context.find("aws:currenttime")->front(), "2023-11-14T22:13:20Z");
  EXPECT_EQ(context.find("aws:epochtime")->front(), "1700000000");
  EXPECT_EQ(context.find("aws:principalisawsservice")->front(), "false");
}

TEST(Condition, TheRequestSaysHowAndWhereItCame) {
  const auto account = AccountId::parse("111122223333").value();
  const auto region = Region::parse("eu-west-1").value();
  PolicyContext context, by_service;
  add_request(context, region, account, CalledBy::kCaller, "aws-cli/2");
  EXPECT_EQ(context.find("aws:requestedregion")->front(), "eu-west-1");
  EXPECT_EQ(context.find("aws:resourceaccount")->front(), "111122223333");
  EXPECT_EQ(context.find("aws:securetransport")->front(), "true");
  EXPECT_EQ(context.find("aws:viaawsservice")->front(), "false");
  EXPECT_EQ(context.find("aws:useragent")->front(), "aws-cli/2");
  add_request(by_service, region, account, CalledBy::kService, "");
  EXPECT_EQ(by_service.find("aws:viaawsservice")->front(), "true");
  EXPECT_EQ(by_service.find("aws:useragent"), nullptr);
}

}  // namespace
}  // namespace coffer
