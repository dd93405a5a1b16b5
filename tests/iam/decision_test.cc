#include "iam/decision.h"

#include <gtest/gtest.h>

#include <random>

namespace coffer {
namespace {

const AccountId kOwner = AccountId::parse("111122223333").value();
const AccountId kOther = AccountId::parse("444455556666").value();
const Principal kRoot = Principal::root_of(kOwner);
const Principal kAnn{kOwner, "arn:aws:iam::111122223333:user/ann"};
const Principal kBob{kOwner, "arn:aws:iam::111122223333:user/bob"};
const Principal kEve{kOther, "arn:aws:iam::444455556666:user/eve"};
const Principal kOtherRoot = Principal::root_of(kOther);
const std::string kBucketArn = "arn:aws:s3:::b";
const std::string kObjectArn = "arn:aws:s3:::b/key";
const std::string kKeyArn = "arn:aws:kms:us-east-1:111122223333:key/1";

Policy read(const std::string& statements, PolicyKind kind) {
  auto policy = parse_policy(R"({"Version":"2012-10-17","Statement":[)" + statements + "]}", kind, kBucketArn);
  EXPECT_TRUE(policy.ok()) << (policy.ok() ? "" : policy.error().message) << " in " << statements;
  return *policy;
}

std::string statement(const std::string& effect, const std::string& principal, const std::string& action,
                      const std::string& resource, const std::string& condition = "") {
  std::string out = R"({"Effect":")" + effect + "\"";
  if (!principal.empty()) out += R"(,"Principal":)" + principal;
  out += R"(,"Action":")" + action + R"(","Resource":")" + resource + "\"";
  if (!condition.empty()) out += R"(,"Condition":)" + condition;
  return out + "}";
}

IdentityPolicies identity(const std::string& statements) {
  if (statements.empty()) return {};
  return {std::make_shared<const Policy>(read(statements, PolicyKind::kIdentity))};
}

constexpr const char* kAllow = "Allow";
constexpr const char* kDeny = "Deny";
const std::string kAnyone = R"("*")";
const std::string kAnnArn = R"({"AWS":"arn:aws:iam::111122223333:user/ann"})";
const std::string kOwnerAccount = R"({"AWS":"111122223333"})";
const std::string kOtherAccount = R"({"AWS":"arn:aws:iam::444455556666:root"})";
const std::string kEveArn = R"({"AWS":"arn:aws:iam::444455556666:user/eve"})";
const std::string kPutAction = "s3:PutEncryptionConfiguration";

// Every pair of what an identity policy and a bucket's policy may say to a caller, and what comes of it.
TEST(Decision, BucketsInTheirAccountNeedOneAllowAndAcrossAccountsBoth) {  // SEED-30..32, 34..36
  struct Side {
    const char* name;
    bool allows, denies;
  };
  const std::vector<Side> sides = {{"nothing", false, false}, {"allow", true, false}, {"deny", false, true}, {"both", true, true}};
  for (const Principal& caller : {kAnn, kRoot, kEve, kOtherRoot}) {
    for (const Side& own : sides) {
      for (const Side& bucket : sides) {
        for (const bool directory : {false, true}) {
          std::string own_text, bucket_text;
          const auto add = [](std::string& text, const std::string& more) { text += (text.empty() ? "" : ",") + more; };
          if (own.allows) add(own_text, statement(kAllow, "", kPutAction, kBucketArn));
          if (own.denies) add(own_text, statement(kDeny, "", "s3:*", kBucketArn));
          const auto who = R"({"AWS":")" + caller.arn + "\"}";
          if (bucket.allows) add(bucket_text, statement(kAllow, who, kPutAction, kBucketArn));
          if (bucket.denies) add(bucket_text, statement(kDeny, kAnyone, "s3:Put*", kBucketArn));
          PolicyContext context;
          const PolicyRequest request{caller, kPutAction, kBucketArn, context};
          std::optional<Policy> policy;
          if (!bucket_text.empty()) policy = read(bucket_text, PolicyKind::kBucket);
          const auto verdict = decide_bucket(request, kOwner, identity(own_text), policy ? &*policy : nullptr, directory);

          const bool home = caller.account == kOwner;
          const bool by_identity = own.allows || is_account_root(caller);
          const bool denied = own.denies || bucket.denies;
          bool expected = false;
          if (directory) {
            expected = home && by_identity && !denied;
          } else if (home) {
            expected = (by_identity || bucket.allows) && !denied;
          } else {
            expected = by_identity && bucket.allows && !denied;
          }
          EXPECT_EQ(verdict == Verdict::kAllowed, expected)
              << caller.arn << " identity: " << own.name << " bucket: " << bucket.name << " directory: " << directory;
          if (denied) {
            EXPECT_TRUE(verdict == Verdict::kDeniedByIdentity || verdict == Verdict::kDeniedByResource);
          }
        }
      }
    }
  }
}

struct KeyRow {
  const Principal& caller;
  std::string key_policy, own;
  bool granted, expected;
};

// KMS Developer Guide, "Default key policy" and "Allowing users in other accounts to use a KMS key".
TEST(Decision, AKeysPolicyIsTheRootOfTrust) {
  const std::string decrypt = "kms:Decrypt";
  const auto own = statement(kAllow, "", "kms:*", "*");
  const auto own_deny = statement(kDeny, "", decrypt, kKeyArn);
  const auto to = [&](const std::string& who) { return statement(kAllow, who, "kms:*", "*"); };
  const auto deny = [&](const std::string& who) { return statement(kDeny, who, decrypt, "*"); };
  const std::vector<KeyRow> rows = {
      // The default policy passes the say on to the account.
      {kRoot, to(kOwnerAccount), "", false, true},
      {kAnn, to(kOwnerAccount), "", false, false},
      {kAnn, to(kOwnerAccount), own, false, true},
      {kAnn, to(kOwnerAccount), own + "," + own_deny, false, false},
      {kEve, to(kOwnerAccount), own, false, false},
      {kOtherRoot, to(kOwnerAccount), "", false, false},
      // Without the account in it, users' own policies say nothing, and neither does being the account's root.
      {kAnn, to(kAnnArn), "", false, true},
      {kBob, to(kAnnArn), own, false, false},
      {kRoot, to(kAnnArn), "", false, false},
      // Other accounts need both.
      {kEve, to(kOtherAccount), "", false, false},
      {kEve, to(kOtherAccount), own, false, true},
      {kOtherRoot, to(kOtherAccount), "", false, true},
      {kEve, to(kEveArn), "", false, false},
      {kEve, to(kEveArn), own, false, true},
      {kEve, to(kAnyone), "", false, false},
      {kEve, to(kAnyone), own, false, true},
      {kAnn, to(kAnyone), "", false, true},
      // Deny decides, whoever else allows.
      {kRoot, to(kOwnerAccount) + "," + deny(kAnyone), "", false, false},
      {kAnn, to(kAnnArn) + "," + deny(kAnnArn), own, true, false},
      {kAnn, to(kAnnArn) + "," + deny(kOwnerAccount), own, false, false},
      {kAnn, to(kAnnArn) + "," + deny(R"({"AWS":"arn:aws:iam::111122223333:user/bob"})"), "", false, true},
      // Grants add.
      {kBob, to(kAnnArn), "", true, true},
      {kEve, to(kAnnArn), "", true, true},
      {kEve, to(kAnnArn), own_deny, true, false},
  };
  for (const KeyRow& row : rows) {
    PolicyContext context;
    const PolicyRequest request{row.caller, decrypt, kKeyArn, context};
    const auto verdict = decide_key(request, kOwner, identity(row.own), read(row.key_policy, PolicyKind::kKey), row.granted);
    EXPECT_EQ(verdict == Verdict::kAllowed, row.expected)
        << row.caller.arn << " key: " << row.key_policy << " own: " << row.own << " granted: " << row.granted;
  }
}

// S3 User Guide: "Requiring server-side encryption", and with DSSE-KMS. The header alone counts.
TEST(Decision, TheUserGuidesEncryptionPoliciesDenyAsTheySay) {  // DSSE-10
  const auto deny_unless = [](const std::string& test, const std::string& value) {
    return statement(kDeny, kAnyone, "s3:PutObject", "arn:aws:s3:::b/*",
                     R"({")" + test + R"(":{"s3:x-amz-server-side-encryption":")" + value + "\"}}");
  };
  struct Row {
    std::string policy;
    std::optional<std::string> header;
    bool denied;
  };
  const std::string sse_kms_key = "arn:aws:kms:us-east-1:111122223333:key/1";
  const auto deny_without_key = statement(kDeny, kAnyone, "s3:PutObject", "arn:aws:s3:::b/*",
                                          R"({"Null":{"s3:x-amz-server-side-encryption-aws-kms-key-id":"true"}})");
  const std::vector<Row> rows = {
      {deny_unless("StringNotEquals", "aws:kms"), std::nullopt, true},
      {deny_unless("StringNotEquals", "aws:kms"), "AES256", true},
      {deny_unless("StringNotEquals", "aws:kms"), "aws:kms", false},
      {deny_unless("StringNotEqualsIfExists", "aws:kms"), std::nullopt, true},
      {deny_unless("StringNotEquals", "aws:kms:dsse"), "aws:kms", true},
      {deny_unless("StringNotEquals", "aws:kms:dsse"), "aws:kms:dsse", false},
      {deny_unless("StringEquals", "AES256"), "AES256", true},
      {deny_unless("StringEquals", "AES256"), std::nullopt, false},
      {deny_unless("StringNotLike", "aws:kms*"), "aws:kms:dsse", false},
      {deny_unless("Null", "true"), std::nullopt, true},
      {deny_unless("Null", "true"), "AES256", false},
      {deny_without_key, "aws:kms", true},
  };
  for (const Row& row : rows) {
    PolicyContext context;
    if (row.header) context.add("s3:x-amz-server-side-encryption", *row.header);
    const PolicyRequest request{kRoot, "s3:PutObject", kObjectArn, context};
    const auto policy = read(row.policy, PolicyKind::kBucket);
    EXPECT_EQ(decide_bucket(request, kOwner, {}, &policy, false) == Verdict::kDeniedByResource, row.denied)
        << row.policy << " " << row.header.value_or("-");
  }
}

// KMS Developer Guide, "kms:ViaService", "kms:EncryptionContext", "kms:CallerAccount", as S3's key policies use them.
TEST(Decision, KeyPoliciesOfS3LookAtServiceContextAndAccount) {
  const auto allow_if = [](const std::string& condition) {
    return statement(kAllow, R"({"AWS":"*"})", "kms:Decrypt", "*", condition);
  };
  const std::string via = R"({"StringEquals":{"kms:ViaService":"s3.us-east-1.amazonaws.com","kms:CallerAccount":"111122223333"}})";
  const std::string within = R"({"StringLike":{"kms:EncryptionContext:aws:s3:arn":"arn:aws:s3:::b/*"}})";
  const std::string keys = R"({"ForAllValues:StringEquals":{"kms:EncryptionContextKeys":["aws:s3:arn"]}})";
  struct Row {
    std::string condition;
    std::vector<std::pair<std::string, std::string>> said;
    bool expected;
  };
  const std::vector<Row> rows = {
      {via, {{"kms:ViaService", "s3.us-east-1.amazonaws.com"}, {"kms:CallerAccount", "111122223333"}}, true},
      {via, {{"kms:ViaService", "ebs.us-east-1.amazonaws.com"}, {"kms:CallerAccount", "111122223333"}}, false},
      {via, {{"kms:CallerAccount", "111122223333"}}, false},
      {within, {{"kms:EncryptionContext:aws:s3:arn", "arn:aws:s3:::b/k"}}, true},
      {within, {{"KMS:encryptioncontext:AWS:S3:ARN", "arn:aws:s3:::b/k"}}, true},
      {within, {{"kms:EncryptionContext:aws:s3:arn", "arn:aws:s3:::b"}}, false},
      {within, {}, false},
      {keys, {{"kms:EncryptionContextKeys", "aws:s3:arn"}}, true},
      {keys, {{"kms:EncryptionContextKeys", "aws:s3:arn"}, {"kms:EncryptionContextKeys", "more"}}, false},
  };
  for (const Row& row : rows) {
    PolicyContext context;
    for (const auto& [key, value] : row.said) context.add(key, value);
    const PolicyRequest request{kAnn, "kms:Decrypt", kKeyArn, context};
    const auto verdict = decide_key(request, kOwner, {}, read(allow_if(row.condition), PolicyKind::kKey), false);
    EXPECT_EQ(verdict == Verdict::kAllowed, row.expected) << row.condition;
  }
}

TEST(Decision, ActionsHaveNoCaseAndResourcesHave) {
  PolicyContext context;
  const auto allowed = [&](const std::string& action, const std::string& resource) {
    const PolicyRequest request{kAnn, kPutAction, kBucketArn, context};
    return decide(request, identity(statement(kAllow, "", action, resource))) == Verdict::kAllowed;
  };
  for (const char* action : {"*", "s3:*", "S3:putencryptionconfiguration", "s3:Put*Configuration", "s3:PutEncryptionConfiguratio?"})
    EXPECT_TRUE(allowed(action, "*")) << action;
  for (const char* action : {"kms:*", "s3:Get*", "s3:PutEncryptionConfiguration?", "s3express:*"})
    EXPECT_FALSE(allowed(action, "*")) << action;
  for (const char* resource : {"arn:aws:s3:::b", "arn:aws:s3:::*", "arn:aws:s3:::?", "arn:aws:*"})
    EXPECT_TRUE(allowed("*", resource)) << resource;
  for (const char* resource : {"arn:aws:s3:::B", "arn:aws:s3:::b/*", "arn:aws:kms:*"})
    EXPECT_FALSE(allowed("*", resource)) << resource;
}

TEST(Decision, NotActionNotResourceAndNotPrincipalTurnTheirListsAround) {
  PolicyContext context;
  const PolicyRequest put{kAnn, kPutAction, kBucketArn, context};
  const auto own = [&](const std::string& text) { return decide(put, identity(text)) == Verdict::kAllowed; };
  EXPECT_TRUE(own(R"({"Effect":"Allow","NotAction":"kms:*","Resource":"*"})"));
  EXPECT_FALSE(own(R"({"Effect":"Allow","NotAction":"s3:*","Resource":"*"})"));
  EXPECT_TRUE(own(R"({"Effect":"Allow","Action":"*","NotResource":"arn:aws:s3:::c"})"));
  EXPECT_FALSE(own(R"({"Effect":"Allow","Action":"*","NotResource":"arn:aws:s3:::b"})"));

  const auto policy = read(R"({"Effect":"Deny","NotPrincipal":{"AWS":["arn:aws:iam::111122223333:user/ann",)"
                           R"("arn:aws:iam::111122223333:root"]},"Action":"s3:*","Resource":"arn:aws:s3:::b"})",
                           PolicyKind::kBucket);
  const auto denied = [&](const Principal& caller) {
    const PolicyRequest request{caller, kPutAction, kBucketArn, context};
    return decide_bucket(request, kOwner, identity(statement(kAllow, "", "*", "*")), &policy, false) ==
           Verdict::kDeniedByResource;
  };
  EXPECT_FALSE(denied(kAnn));
  EXPECT_FALSE(denied(kRoot));
  EXPECT_TRUE(denied(kBob));
  EXPECT_TRUE(denied(kEve));
}

TEST(Decision, AVariableIsTheCallersOwn) {
  const auto home = identity(statement(kAllow, "", "s3:*", "arn:aws:s3:::home-${aws:username}"));
  const auto may = [&](const Principal& caller, const std::string& bucket) {
    PolicyContext context;
    add_caller(context, caller, 0);
    return decide({caller, kPutAction, bucket, context}, home) == Verdict::kAllowed;
  };
  EXPECT_TRUE(may(kAnn, "arn:aws:s3:::home-ann"));
  EXPECT_FALSE(may(kAnn, "arn:aws:s3:::home-bob"));
  EXPECT_FALSE(may({kOwner, "arn:aws:iam::111122223333:role/r"}, "arn:aws:s3:::home-"));
}

// Whatever else policies say: where one statement that applies says Deny, nothing is allowed; and nothing is allowed that
// no statement allows.
TEST(Decision, DenyAlwaysWinsAndSilenceNeverAllows) {
  const unsigned seed = 20240617;
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const auto pick = [&](const auto& list) { return list[random() % list.size()]; };
  const std::vector<std::string> principals = {kAnyone, kAnnArn, kOwnerAccount, kOtherAccount, kEveArn};
  const std::vector<std::string> actions = {"kms:*", "kms:Decrypt", "kms:D*", "kms:Encrypt", "*"};
  const std::vector<std::string> conditions = {"", R"({"Bool":{"aws:SecureTransport":"true"}})",
                                               R"({"StringNotEquals":{"kms:ViaService":"x"}})",
                                               R"({"Null":{"aws:SourceIp":"true"}})"};
  const std::vector<Principal> callers = {kRoot, kAnn, kBob, kEve, kOtherRoot};
  int allowed = 0;
  for (int round = 0; round < 3000; ++round) {
    std::string key_text, own_text;
    bool any_allow = false;
    for (auto n = 1 + random() % 4; n > 0; --n) {
      const bool deny = random() % 5 == 0;
      any_allow = any_allow || !deny;
      key_text += (key_text.empty() ? "" : ",") +
                  statement(deny ? kDeny : kAllow, pick(principals), pick(actions), "*", pick(conditions));
    }
    for (auto n = random() % 3; n > 0; --n)
      own_text += (own_text.empty() ? "" : ",") +
                  statement(random() % 4 == 0 ? kDeny : kAllow, "", pick(actions), "*", pick(conditions));
    const Principal caller = pick(callers);
    PolicyContext context;
    if (random() % 2 == 0) context.add("aws:SecureTransport", "true");
    const PolicyRequest request{caller, "kms:Decrypt", kKeyArn, context};
    const bool granted = random() % 4 == 0;

    const auto before = decide_key(request, kOwner, identity(own_text), read(key_text, PolicyKind::kKey), granted);
    allowed += before == Verdict::kAllowed;
    EXPECT_TRUE(before != Verdict::kAllowed || any_allow || granted) << key_text;

    const auto deny_of_key = key_text + "," + statement(kDeny, kAnyone, "kms:Decrypt", "*");
    EXPECT_NE(decide_key(request, kOwner, identity(own_text), read(deny_of_key, PolicyKind::kKey), granted),
              Verdict::kAllowed);
    const auto deny_of_own = own_text + (own_text.empty() ? "" : ",") + statement(kDeny, "", "kms:*", "*");
    EXPECT_EQ(decide_key(request, kOwner, identity(deny_of_own), read(key_text, PolicyKind::kKey), granted),
              Verdict::kDeniedByIdentity);
    // One Allow more takes nothing away.
    const auto more = key_text + "," + statement(kAllow, kAnyone, "*", "*");
    const auto after = decide_key(request, kOwner, identity(own_text), read(more, PolicyKind::kKey), granted);
    EXPECT_TRUE(before != Verdict::kAllowed || after == Verdict::kAllowed) << key_text;
  }
  EXPECT_GT(allowed, 300);  // the property was not true of nothing
}

TEST(Decision, ARefusalSaysWhoWhatAndWhy) {
  PolicyContext context;
  const PolicyRequest request{kAnn, kPutAction, kBucketArn, context};
  EXPECT_EQ(refusal(Verdict::kNotByIdentity, request, Resource::kInQuotes),
            "User: arn:aws:iam::111122223333:user/ann is not authorized to perform: s3:PutEncryptionConfiguration on "
            "resource: \"arn:aws:s3:::b\" because no identity-based policy allows the s3:PutEncryptionConfiguration action");
  EXPECT_EQ(refusal(Verdict::kDeniedByResource, request, Resource::kPlain),
            "User: arn:aws:iam::111122223333:user/ann is not authorized to perform: s3:PutEncryptionConfiguration on "
            "resource: arn:aws:s3:::b with an explicit deny in a resource-based policy");
}

}  // namespace
}  // namespace coffer
