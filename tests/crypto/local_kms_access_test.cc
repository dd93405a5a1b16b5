#include <gmock/gmock.h>

#include "base/policy_limits.h"
#include "crypto/bucket_keys.h"
#include "tests/support/fake_identities.h"
#include "tests/support/local_kms_fixture.h"

namespace coffer {
namespace {

using testing::HasSubstr;

class LocalKmsAccessTest : public LocalKmsTest {
 protected:
  LocalKmsAccessTest() { kms->consult(identities); }
  void restart() {
    reopen();
    kms->consult(identities);
  }

  static std::string statement(const std::string& effect, const Principal& who, const std::string& action,
                               const std::string& condition = "") {
    return R"({"Effect":")" + effect + R"(","Principal":{"AWS":")" + who.arn + R"("},"Action":")" + action +
           R"(","Resource":"*")" + (condition.empty() ? "" : ",\"Condition\":" + condition) + "}";
  }
  std::string owners() const { return statement("Allow", owner, "kms:*"); }
  Status put(const std::string& key, const std::string& statements,
             LocalKms::LockOut lock_out = LocalKms::LockOut::kRefuse) {
    return kms->put_key_policy(key, R"({"Version":"2012-10-17","Statement":[)" + statements + "]}", lock_out, {owner});
  }
  bool may_decrypt(const std::string& key, const Principal& caller) { return kms->usable(key, context, caller).ok(); }

  FakeIdentities identities;
  Principal ann{realm.account, "arn:aws:iam::000000000000:user/ann"};
  Principal eve{stranger.account, "arn:aws:iam::999999999999:user/eve"};
};

TEST_F(LocalKmsAccessTest, ANewKeyHasTheDefaultPolicy) {  // KMS-44
  const auto policy = kms->key_policy(make_key(), {owner});
  ASSERT_TRUE(policy.ok());
  EXPECT_THAT(*policy, HasSubstr("\"Id\" : \"key-default-1\""));
  EXPECT_THAT(*policy, HasSubstr("arn:aws:iam::000000000000:root"));
  EXPECT_THAT(*policy, HasSubstr("\"Action\" : \"kms:*\""));
}

TEST_F(LocalKmsAccessTest, UnderTheDefaultPolicyUsersHaveWhatTheirOwnPoliciesSay) {
  const auto key = make_key();
  EXPECT_FALSE(may_decrypt(key, ann));
  identities.allow(ann, "kms:Decrypt");
  EXPECT_TRUE(may_decrypt(key, ann));
  EXPECT_EQ(kms->generate_data_key(key, context, ann).code(), Code::kKeyDenied);
  identities.deny(ann, "kms:*");
  EXPECT_FALSE(may_decrypt(key, ann));
  EXPECT_TRUE(may_decrypt(key, owner));
}

TEST_F(LocalKmsAccessTest, ADenialSaysWhoWhatAndWhy) {  // KMS-26, KMS-33
  const auto key = make_key();
  const auto refused = kms->generate_data_key(key, context, ann);
  EXPECT_EQ(refused.code(), Code::kKeyDenied);
  EXPECT_EQ(refused.error().message,
            "User: arn:aws:iam::000000000000:user/ann is not authorized to perform: kms:GenerateDataKey on resource: " +
                key + " because no identity-based policy allows the kms:GenerateDataKey action");
  expect_error(kms->generate_data_key(key, context, stranger), Code::kKeyDenied,
               "User: arn:aws:iam::999999999999:root is not authorized to perform: kms:GenerateDataKey on this resource "
               "because the resource does not exist in this Region, no resource-based policies allow access, or a "
               "resource-based policy explicitly denies access");
}

TEST_F(LocalKmsAccessTest, APolicyThatNamesAnotherAccountLetsItInByBothPolicies) {
  const auto key = make_key();
  ASSERT_TRUE(put(key, owners() + "," + statement("Allow", stranger, "kms:Decrypt")).ok());
  EXPECT_TRUE(may_decrypt(key, stranger));
  EXPECT_FALSE(may_decrypt(key, eve));
  identities.allow(eve, "kms:*");
  EXPECT_TRUE(may_decrypt(key, eve));
  EXPECT_EQ(kms->authorize("kms:DisableKey", key, {eve}).code(), Code::kKeyDenied);
}

TEST_F(LocalKmsAccessTest, AnotherAccountUsesAKeyAndNeverManagesIt) {
  const auto key = make_key();
  ASSERT_TRUE(put(key, owners() + "," + statement("Allow", stranger, "kms:*")).ok());
  identities.allow(eve, "kms:*");
  for (const Principal& caller : {stranger, eve}) {
    for (const char* action : {"kms:DescribeKey", "kms:ListGrants", "kms:RevokeGrant", "kms:GetKeyRotationStatus"})
      EXPECT_TRUE(kms->authorize(action, key, {caller}).ok()) << action;
    EXPECT_TRUE(may_decrypt(key, caller));
    EXPECT_TRUE(kms->generate_data_key(key, context, caller).ok());
    EXPECT_TRUE(kms->create_grant(key, {.name = "", .grantee = eve.arn, .retiring = "", .operations = {"Decrypt"}},
                                  {caller}).ok());
    for (const char* action : {"kms:ScheduleKeyDeletion", "kms:DisableKey", "kms:PutKeyPolicy", "kms:GetKeyPolicy",
                               "kms:CreateAlias", "kms:TagResource", "kms:RotateKeyOnDemand", "kms:ListKeyRotations"})
      EXPECT_EQ(kms->authorize(action, key, {caller}).code(), Code::kKeyDenied) << action;
    EXPECT_EQ(kms->put_key_policy(key, "{}", LocalKms::LockOut::kAllow, {caller}).code(), Code::kKeyDenied);
  }
}

TEST_F(LocalKmsAccessTest, ConditionsSeeContextServiceAndAccount) {
  const auto key = make_key();
  const auto blob = kms->generate_data_key(key, context, owner)->blob;
  ASSERT_TRUE(put(key, owners() + "," +
                           statement("Allow", ann, "kms:Decrypt",
                                     R"({"StringEquals":{"kms:ViaService":"s3.us-east-1.amazonaws.com",)"
                                     R"("kms:EncryptionContext:aws:s3:arn":"arn:aws:s3:::bucket/key",)"
                                     R"("kms:CallerAccount":"000000000000"}})"))
                  .ok());
  EXPECT_TRUE(may_decrypt(key, ann));
  EXPECT_TRUE(kms->decrypt(blob, context, ann).ok());
  EXPECT_FALSE(kms->usable(key, {{"aws:s3:arn", "arn:aws:s3:::bucket/other"}}, ann).ok());
  EXPECT_EQ(kms->decrypt_bytes(blob, context, {ann}, "").code(), Code::kKeyDenied) << "not through S3";
}

TEST_F(LocalKmsAccessTest, APolicyThatLocksItsMakerOutIsRefusedUnlessThatIsWanted) {  // KMS-45
  const auto key = make_key();
  const auto shut = statement("Allow", ann, "kms:*");
  expect_error(put(key, shut), Code::kInvalidArgument,
               "The new key policy will not allow you to update the key policy in the future.");
  EXPECT_TRUE(may_decrypt(key, owner));
  ASSERT_TRUE(put(key, shut, LocalKms::LockOut::kAllow).ok());
  EXPECT_FALSE(may_decrypt(key, owner));
  EXPECT_TRUE(may_decrypt(key, ann));
  EXPECT_EQ(put(key, owners()).code(), Code::kKeyDenied);
}

TEST_F(LocalKmsAccessTest, PoliciesAndGrantsOutliveARestart) {
  const auto key = make_key();
  ASSERT_TRUE(put(key, owners() + "," + statement("Deny", ann, "kms:Decrypt")).ok());
  ASSERT_TRUE(
      kms->create_grant(key, {.name = "", .grantee = eve.arn, .retiring = "", .operations = {"Decrypt"}}, {owner})
          .ok());
  identities.allow(ann, "kms:*");
  restart();
  EXPECT_FALSE(may_decrypt(key, ann));
  EXPECT_TRUE(may_decrypt(key, eve));
}

TEST_F(LocalKmsAccessTest, APolicyThatCannotBeReadLetsNobodyIn) {
  const auto key = make_key();
  records.keys.begin()->second.policy =
      R"({"Statement":{"Effect":"Allow","Principal":"*","Action":"kms:*","Newer":1}})";
  restart();
  EXPECT_FALSE(may_decrypt(key, owner));
}

TEST_F(LocalKmsAccessTest, AGrantAllowsItsOperationsInItsContextAlone) {  // KMS-42, KMS-43
  const auto key = make_key();
  const auto granted = kms->create_grant(key,
                                         {.name = "n",
                                          .grantee = ann.arn,
                                          .retiring = "",
                                          .operations = {"Decrypt", "GenerateDataKey"},
                                          .equals = context},
                                         {owner});
  ASSERT_TRUE(granted.ok()) << granted.error().message;
  EXPECT_TRUE(may_decrypt(key, ann));
  EXPECT_TRUE(kms->generate_data_key(key, context, ann).ok());
  EXPECT_FALSE(kms->usable(key, {{"aws:s3:arn", "arn:aws:s3:::bucket"}}, ann).ok()) << "the Bucket Key's context";
  EXPECT_EQ(kms->encrypt_bytes(key, Bytes(1), context, {ann}).code(), Code::kKeyDenied);
  EXPECT_FALSE(may_decrypt(key, eve));
  identities.deny(ann, "kms:Decrypt");
  EXPECT_FALSE(may_decrypt(key, ann)) << "an explicit Deny stands above a grant";
}

TEST_F(LocalKmsAccessTest, AGrantOfTheSameNameAndTermsIsTheSameOne) {
  const auto key = make_key();
  const NewGrant terms{.name = "n", .grantee = ann.arn, .retiring = "", .operations = {"Decrypt"}};
  const auto first = kms->create_grant(key, terms, {owner}), second = kms->create_grant(key, terms, {owner});
  EXPECT_EQ(first->grant_id, second->grant_id);
  auto nameless = terms;
  nameless.name = "";
  EXPECT_NE(kms->create_grant(key, nameless, {owner})->grant_id, kms->create_grant(key, nameless, {owner})->grant_id);
  EXPECT_EQ(kms->list_grants(key, {owner})->size(), 3U);
}

TEST_F(LocalKmsAccessTest, AGrantIsRetiredByThoseItNames) {
  const auto key = make_key();
  const NewGrant terms{.name = "", .grantee = ann.arn, .retiring = eve.arn, .operations = {"Decrypt"}};
  const auto grant = kms->create_grant(key, terms, {owner});
  EXPECT_EQ(kms->list_retirable_grants(eve.arn, {owner})->size(), 1U);
  EXPECT_EQ(kms->retire_grant({grant->token, "", ""}, {ann}).code(), Code::kKeyDenied);
  EXPECT_EQ(kms->retire_grant({"", key, "none"}, {eve}).code(), Code::kNotFound);
  EXPECT_TRUE(kms->retire_grant({"", key, grant->grant_id}, {eve}).ok());
  EXPECT_FALSE(may_decrypt(key, ann));
  EXPECT_EQ(kms->revoke_grant(key, grant->grant_id, {owner}).code(), Code::kNotFound);

  auto own = terms;
  own.operations.emplace_back("RetireGrant");
  const auto second = kms->create_grant(key, own, {owner});
  EXPECT_TRUE(kms->retire_grant({second->token, "", ""}, {ann}).ok());
}

TEST_F(LocalKmsAccessTest, WhetherAGrantIsRetiredIsItsAndItsAccountsToSay) {
  const auto key = make_key();
  const Principal bob{realm.account, "arn:aws:iam::000000000000:user/bob"};
  const auto retire = [&](const Principal& caller, const std::string& retiring) {
    const auto made = kms->create_grant(
        key, {.name = "", .grantee = bob.arn, .retiring = retiring, .operations = {"Decrypt", "RetireGrant"}}, {owner});
    const auto found = kms->find_retirable({made->token, "", ""}, {caller});
    const auto retired = kms->retire_grant({made->token, "", ""}, {caller});
    EXPECT_EQ(found.ok(), retired.ok());
    return retired.ok() ? std::string() : retired.error().message;
  };
  EXPECT_EQ(retire(ann, ann.arn), "");
  EXPECT_EQ(retire(bob, ""), "");
  EXPECT_EQ(retire(owner, ""), "");
  EXPECT_THAT(retire(ann, ""), HasSubstr("no identity-based policy allows the kms:RetireGrant action"));
  EXPECT_THAT(retire(eve, ann.arn), HasSubstr("no resource-based policies allow access"));
  EXPECT_THAT(retire(stranger, ""), HasSubstr("no resource-based policies allow access"));
  // An account hands on what it may itself, and nothing else.
  identities.allow(ann, "kms:RetireGrant");
  identities.allow(eve, "kms:RetireGrant");
  EXPECT_EQ(retire(ann, ""), "");
  EXPECT_EQ(retire(eve, stranger.arn), "");
  EXPECT_THAT(retire(eve, ann.arn), HasSubstr("no resource-based policies allow access"));
  // An explicit Deny of the caller's own policies decides, whomever the grant names; the key's policy does not.
  ASSERT_TRUE(put(key, owners() + "," + statement("Deny", bob, "kms:RetireGrant")).ok());
  EXPECT_EQ(retire(bob, ""), "");
  for (const Principal& caller : {ann, bob}) {
    identities.deny(caller, "kms:*");
    EXPECT_THAT(retire(caller, caller.arn), HasSubstr("with an explicit deny in an identity-based policy"));
  }
}

TEST_F(LocalKmsAccessTest, WhoHasAGrantHandsOutNoMoreThanIt) {
  const auto key = make_key();
  const NewGrant terms{.name = "",
                       .grantee = ann.arn,
                       .retiring = "",
                       .operations = {"Decrypt", "CreateGrant"},
                       .equals = {},
                       .subset = context};
  ASSERT_TRUE(kms->create_grant(key, terms, {owner}).ok());
  NewGrant handed{
      .name = "", .grantee = eve.arn, .retiring = "", .operations = {"Decrypt"}, .equals = {}, .subset = context};
  EXPECT_TRUE(kms->create_grant(key, handed, {ann}).ok());
  auto more = handed;
  more.operations = {"Encrypt"};
  EXPECT_EQ(kms->create_grant(key, more, {ann}).code(), Code::kKeyDenied);
  auto wider = handed;
  wider.subset.clear();
  EXPECT_EQ(kms->create_grant(key, wider, {ann}).code(), Code::kKeyDenied);
  EXPECT_EQ(kms->create_grant(key, handed, {eve}).code(), Code::kKeyDenied);
}

TEST_F(LocalKmsAccessTest, AGrantThatMakesNoSenseIsRefused) {
  const auto key = make_key();
  const NewGrant good{.name = "", .grantee = ann.arn, .retiring = "", .operations = {"Decrypt"}};
  const auto refused = [&](NewGrant grant) { return kms->create_grant(key, std::move(grant), {owner}).code(); };
  auto grant = good;
  grant.grantee = "ann";
  EXPECT_EQ(refused(grant), Code::kInvalidArgument);
  grant = good;
  grant.operations = {};
  EXPECT_EQ(refused(grant), Code::kInvalidArgument);
  grant.operations = {"Sign"};
  EXPECT_EQ(refused(grant), Code::kInvalidArgument);
  grant = good;
  grant.equals = grant.subset = context;
  EXPECT_EQ(refused(grant), Code::kInvalidArgument);
  for (std::size_t i = 0; i < kKeyGrantsMax; ++i) ASSERT_TRUE(kms->create_grant(key, good, {owner}).ok());
  EXPECT_EQ(refused(good), Code::kLimit);
}

TEST_F(LocalKmsAccessTest, TheAwsManagedKeyServesItsWholeAccountThroughS3) {
  ASSERT_TRUE(kms->generate_data_key("alias/aws/s3", context, owner).ok());
  const auto key = kms->describe("alias/aws/s3")->arn;
  EXPECT_TRUE(may_decrypt(key, ann));
  EXPECT_EQ(kms->generate_bytes(key, 32, context, {ann}).code(), Code::kKeyDenied) << "directly";
  EXPECT_FALSE(may_decrypt(key, stranger));
  EXPECT_EQ(put(key, owners()).code(), Code::kUnsupported);
}

TEST_F(LocalKmsAccessTest, ABucketKeyInMemoryHelpsNobodyWhoIsDenied) {  // BK-14
  BucketKeys bucket_keys(*kms, suite, clock);
  const auto key = make_key();
  const EncryptionContext bucket{{"aws:s3:arn", "arn:aws:s3:::bucket"}};
  identities.allow(ann, "kms:*");
  ASSERT_TRUE(bucket_keys.generate_data_key(key, bucket, ann).ok());
  identities.deny(ann, "kms:Decrypt");
  EXPECT_EQ(bucket_keys.generate_data_key(key, bucket, ann).code(), Code::kKeyDenied);
}

TEST_F(LocalKmsAccessTest, AFailedSaveChangesNothing) {
  const auto key = make_key();
  records.fail_save(1);
  EXPECT_EQ(put(key, owners() + "," + statement("Deny", owner, "kms:Decrypt")).code(), Code::kIo);
  EXPECT_TRUE(may_decrypt(key, owner));
  records.fail_save(1);
  EXPECT_FALSE(
      kms->create_grant(key, {.name = "", .grantee = ann.arn, .retiring = "", .operations = {"Decrypt"}}, {owner})
          .ok());
  EXPECT_FALSE(may_decrypt(key, ann));
}

}  // namespace
}  // namespace coffer
