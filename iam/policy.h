#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/names.h"
#include "base/result.h"

namespace coffer {

// A policy document of IAM's language (IAM User Guide, "Grammar of the IAM JSON policy language"), read strictly: what is
// not understood is refused when the policy is put, and never passed over when it is asked.

// Whose policy it is: a user's, a bucket's, a KMS key's. The last two name principals.
enum class PolicyKind { kIdentity, kBucket, kKey };

enum class Effect { kAllow, kDeny };

enum class ConditionOperator {
  kStringEquals,
  kStringNotEquals,
  kStringEqualsIgnoreCase,
  kStringNotEqualsIgnoreCase,
  kStringLike,
  kStringNotLike,
  kNumericEquals,
  kNumericNotEquals,
  kNumericLessThan,
  kNumericLessThanEquals,
  kNumericGreaterThan,
  kNumericGreaterThanEquals,
  kDateEquals,
  kDateNotEquals,
  kDateLessThan,
  kDateLessThanEquals,
  kDateGreaterThan,
  kDateGreaterThanEquals,
  kBool,
  kBinaryEquals,
  kIpAddress,
  kNotIpAddress,
  kArnEquals,
  kArnLike,
  kArnNotEquals,
  kArnNotLike,
  kNull,
};

// Of a key with several values: all of them, any of them, or the one there should be.
enum class Quantifier { kNone, kForAllValues, kForAnyValue };

struct Condition {
  ConditionOperator test = ConditionOperator::kNull;
  Quantifier quantifier = Quantifier::kNone;
  bool if_exists = false;
  std::string key;  // lower case: keys are compared without their case
  std::vector<std::string> values;
};

struct PolicyPrincipal {
  // kOther: a service, a federation, a canonical user. Nobody who calls here is one.
  enum class Kind { kAnyone, kAccount, kArn, kOther };
  Kind kind = Kind::kOther;
  std::string text;  // the account's 12 digits, or the ARN
};

// A list, or all but what is in it (NotAction ...).
template <class Item>
struct PolicyList {
  bool all_but = false;
  std::vector<Item> items;
};

struct Statement {
  std::string sid;
  Effect effect = Effect::kDeny;
  PolicyList<PolicyPrincipal> principals;  // empty in an identity's policy
  PolicyList<std::string> actions;         // lower case, with * and ?
  PolicyList<std::string> resources;       // with * and ?
  std::vector<Condition> conditions;       // all must hold
};

struct Policy {
  bool has_variables = false;  // Version 2012-10-17: ${aws:username} and the like stand for what the request says
  std::vector<Statement> statements;
};

// kInvalidArgument, with S3's words for what is wrong. bucket_arn: of a bucket's policy, whose statements must be about
// it and what is in it; else not looked at.
Result<Policy> parse_policy(std::string_view text, PolicyKind kind, std::string_view bucket_arn = {});

}  // namespace coffer
