#include "daemon/key_control.h"

#include <gmock/gmock.h>

#include "tests/support/fake_identities.h"
#include "tests/support/local_kms_fixture.h"
#include "tests/support/material_wrapping.h"

namespace coffer {
namespace {

using testing::ElementsAre;

// Writes down what happens, and what state the key was in then.
class RecordedUsers final : public KeyUsers {
 public:
  RecordedUsers(const std::unique_ptr<LocalKms>& kms, std::vector<std::string>& steps) : kms_(kms), steps_(steps) {}
  void hold(const std::string& arn) override { note("hold", arn); }
  void drop_pages(const std::string& arn) override { note("drop pages", arn); }
  Status seal_dirty(const std::string& arn) override {
    note("seal", arn);
    return sealing;
  }
  void wipe(const std::string& arn) override { note("wipe", arn); }
  void release(const std::string& arn) override { note("release", arn); }

  Status sealing;

 private:
  void note(const std::string& step, const std::string& arn) {
    steps_.push_back(step + " " + std::string(key_state_name(kms_->describe(arn)->state)));
  }
  const std::unique_ptr<LocalKms>& kms_;
  std::vector<std::string>& steps_;
};

class KeyControlTest : public LocalKmsTest {
 protected:
  KeyState state(const std::string& key) { return kms->describe(key)->state; }

  std::vector<std::string> steps;
  RecordedUsers users{kms, steps};
  Status durability;
  const std::function<Status()> make_durable = [this] {
    steps.push_back("durable");
    return durability;
  };
  static Status done(const Result<KeyMetadata>& result) { return result.ok() ? Status() : Status(result.error()); }
  // Brings 32 bytes into a key, as a caller would.
  Status import(const std::string& key, std::optional<std::int64_t> expires_ns = {}) {
    COFFER_ASSIGN(const auto parameters, control.parameters_for_import(key, ImportWrapping::kOaepSha256, 2048, call));
    const Bytes wrapped = wrap_material_for(parameters.public_key, ImportWrapping::kOaepSha256, Bytes(32, 7));
    return done(control.import_material(key, parameters.token, wrapped, expires_ns, "", call));
  }

  const KmsCall call{owner};
  KmsKeyControl control{*kms, users, make_durable};
  KmsAliasControl aliases{*kms, make_durable};
  KmsTagControl tags{*kms, make_durable};
  KmsRotationControl rotations{*kms, make_durable};
};

TEST_F(KeyControlTest, DisablingEndsEverythingInOrder) {
  const std::string key = make_key();
  ASSERT_TRUE(control.disable_key(key, call).ok());
  EXPECT_THAT(steps, ElementsAre("hold Enabled", "drop pages Enabled", "seal Enabled", "wipe Enabled",
                                 "drop pages Disabled", "wipe Disabled", "durable", "release Disabled"));
}

TEST_F(KeyControlTest, SchedulingDeletionEndsEverythingInOrder) {
  const std::string key = make_key();
  const auto scheduled = control.schedule_key_deletion(key, 7, call);
  ASSERT_TRUE(scheduled.ok());
  EXPECT_EQ(scheduled->state, KeyState::kPendingDeletion);
  EXPECT_THAT(steps,
              ElementsAre("hold Enabled", "drop pages Enabled", "seal Enabled", "wipe Enabled",
                          "drop pages PendingDeletion", "wipe PendingDeletion", "durable", "release PendingDeletion"));
}

TEST_F(KeyControlTest, EnablingDropsWhatTheKernelCouldNotWriteBackAndLetsWaitersGoOn) {
  const std::string key = make_key();
  ASSERT_TRUE(control.disable_key(key, call).ok());
  steps.clear();
  ASSERT_TRUE(control.enable_key(key, call).ok());
  EXPECT_THAT(steps, ElementsAre("drop pages Enabled", "release Enabled", "durable"));
}

TEST_F(KeyControlTest, AKeyWhoseWritesCannotBeSealedGoesOnServing) {
  const std::string key = make_key();
  users.sealing = Error{Code::kNoSpace, "full"};
  const Status disabled = control.disable_key(key, call);
  ASSERT_FALSE(disabled.ok());
  EXPECT_EQ(disabled.code(), Code::kNoSpace);
  EXPECT_EQ(state(key), KeyState::kEnabled);
  EXPECT_EQ(steps.back(), "release Enabled");
}

TEST_F(KeyControlTest, ARefusedChangeReleasesTheKey) {
  const std::string key = make_key();
  EXPECT_FALSE(control.schedule_key_deletion(key, 6, call).ok()) << "seven days at least";
  EXPECT_EQ(state(key), KeyState::kEnabled);
  EXPECT_EQ(steps.back(), "release Enabled");
}

TEST_F(KeyControlTest, AnUnknownKeyHoldsNothing) {
  EXPECT_FALSE(control.disable_key("arn:aws:kms:us-east-1:000000000000:key/none", call).ok());
  EXPECT_TRUE(steps.empty());
}

TEST_F(KeyControlTest, EveryChangeIsDurableWhenItReturns) {
  const auto made = control.create_key({.description = "k"}, call);
  ASSERT_TRUE(made.ok());
  const std::string key = made->arn;
  const std::vector<std::function<Status()>> changes = {
      [&] { return done(rotations.rotate_key(key, call)); },
      [&] { return rotations.enable_rotation(key, 100, call); },
      [&] { return rotations.disable_rotation(key, call); },
      [&] {
        return tags.tag_key(key, {{"a", "b"}}, call);
      },
      [&] { return tags.untag_key(key, {"a"}, call); },
      [&] { return control.update_description(key, "other", call); },
      [&] { return aliases.create_alias("alias/a", key, call); },
      [&] { return aliases.update_alias("alias/a", key, call); },
      [&] { return aliases.delete_alias("alias/a", call); },
      [&] { return control.disable_key(key, call); },
      [&] { return control.enable_key(key, call); },
      [&] { return done(control.schedule_key_deletion(key, 7, call)); },
      [&] { return done(control.cancel_key_deletion(key, call)); },
  };
  EXPECT_THAT(steps, ElementsAre("durable"));
  for (std::size_t i = 0; i < changes.size(); ++i) {
    steps.clear();
    EXPECT_TRUE(changes[i]().ok()) << i;
    EXPECT_EQ(std::count(steps.begin(), steps.end(), "durable"), 1) << i;
  }
}

TEST_F(KeyControlTest, AChangeThatCannotBeMadeDurableSaysSo) {
  durability = Error{Code::kPoisoned, "poisoned"};
  EXPECT_EQ(control.create_key({.description = "k"}, call).code(), Code::kPoisoned);
}

TEST_F(KeyControlTest, DeletingImportedMaterialEndsEverythingInOrderAndImportingRevives) {
  const std::string key = control.create_key({.description = "", .origin = KeyOrigin::kExternal}, call)->arn;
  ASSERT_TRUE(import(key).ok());
  steps.clear();
  ASSERT_TRUE(control.delete_imported_material(key, "", call).ok());
  EXPECT_THAT(steps, ElementsAre("hold Enabled", "drop pages Enabled", "seal Enabled", "wipe Enabled",
                                 "drop pages PendingImport", "wipe PendingImport", "durable", "release PendingImport"));
  steps.clear();
  ASSERT_TRUE(import(key).ok());
  EXPECT_THAT(steps, ElementsAre("drop pages Enabled", "release Enabled", "durable"));
}

TEST_F(KeyControlTest, MaterialThatExpiresTakesEverythingReadableAlong) {
  const std::string key = control.create_key({.description = "", .origin = KeyOrigin::kExternal}, call)->arn;
  ASSERT_TRUE(import(key, clock.wall_ns() + 1).ok());
  steps.clear();
  ASSERT_TRUE(control.tend().ok());
  EXPECT_THAT(steps, ElementsAre()) << "its time has not come";
  clock.advance_ns(1);
  ASSERT_TRUE(control.tend().ok());
  EXPECT_THAT(steps, ElementsAre("hold Enabled", "drop pages Enabled", "seal Enabled", "wipe Enabled",
                                 "drop pages PendingImport", "wipe PendingImport", "durable", "release PendingImport"));
}

TEST_F(KeyControlTest, KeysTurnAndGoWhenTheirTimeComes) {
  constexpr std::int64_t kDayNs = std::int64_t{86'400} * 1'000'000'000;
  const std::string turning = make_key(), going = make_key();
  ASSERT_TRUE(rotations.enable_rotation(turning, 90, call).ok());
  ASSERT_TRUE(control.schedule_key_deletion(going, 7, call).ok());
  clock.advance_ns(90 * kDayNs);
  steps.clear();
  ASSERT_TRUE(control.tend().ok());
  EXPECT_THAT(steps, ElementsAre("durable"));
  EXPECT_EQ(rotations.list_rotations(turning, call)->all.size(), 2U);
  EXPECT_EQ(control.describe_key(going, call).code(), Code::kKeyMissing);
}

TEST_F(KeyControlTest, AnotherAccountChangesNothing) {
  const std::string key = make_key();
  const KmsCall foreign{stranger};
  const auto before = *kms->describe(key);
  for (const Code code :
       {control.disable_key(key, foreign).code(), control.describe_key(key, foreign).code(),
        control.update_description(key, "x", foreign).code(), control.schedule_key_deletion(key, 7, foreign).code(),
        rotations.rotate_key(key, foreign).code(), rotations.enable_rotation(key, 90, foreign).code(),
        tags.tag_key(key, {{"a", "b"}}, foreign).code(), aliases.create_alias("alias/a", key, foreign).code()})
    EXPECT_EQ(code, Code::kKeyDenied);
  EXPECT_EQ(*kms->describe(key), before);
  EXPECT_TRUE(steps.empty());
}

class KeyConditionTest : public KeyControlTest {
 protected:
  KeyConditionTest() { kms->consult(ann_s); }
  using Refusal = std::optional<Code>;
  template <class R>
  static Refusal refusal(const R& result) {
    return result.ok() ? Refusal() : result.code();
  }

  // Ann may do everything, but for what the condition says; or what it says alone.
  void deny(const std::string& action, const std::string& condition) {
    allow("");
    ann_s.deny(ann.caller, action, condition);
  }
  void allow(const std::string& condition) {
    ann_s.policies.clear();
    ann_s.allow(ann.caller, "kms:*", condition);
  }

  FakeIdentities ann_s;
  const KmsCall ann{.caller = {realm.account, "arn:aws:iam::000000000000:user/ann"}, .user_agent = "aws-cli/2"};
  KmsDataKeyControl data_keys{*kms};
};

TEST_F(KeyConditionTest, OperationsOnNoKeySayWhereTheyGo) {
  const std::string key = make_key();
  const std::vector<std::function<Refusal()>> calls = {
      [&] { return refusal(control.create_key({}, ann)); },
      [&] { return refusal(control.list_keys(ann)); },
      [&] { return refusal(control.list_retirable_grants("arn:aws:iam::000000000000:user/ann", ann)); },
      [&] { return refusal(aliases.create_alias("alias/a", key, ann)); },
      [&] { return refusal(aliases.update_alias("alias/a", key, ann)); },
      [&] { return refusal(aliases.list_aliases("", ann)); },
      [&] { return refusal(aliases.delete_alias("alias/a", ann)); },
      [&] { return refusal(data_keys.random_bytes(8, ann)); },
  };
  const std::string said =
      R"({"StringEquals":{"aws:RequestedRegion":"us-east-1","aws:ResourceAccount":"000000000000",)"
      R"("kms:CallerAccount":"000000000000","aws:UserAgent":"aws-cli/2"},)"
      R"("Bool":{"aws:SecureTransport":"true","aws:ViaAWSService":"false"}})";
  for (std::size_t i = 0; i < calls.size(); ++i) {
    ann_s.policies.clear();
    EXPECT_EQ(calls[i](), Code::kKeyDenied) << i << ": a user whom no policy allows it";
    allow(R"({"StringEquals":{"aws:RequestedRegion":"eu-west-1"}})");
    EXPECT_EQ(calls[i](), Code::kKeyDenied) << i;
    allow(said);
    EXPECT_EQ(calls[i](), std::nullopt) << i;
  }
}

TEST_F(KeyConditionTest, CreateKeySaysWhatTheKeyIsToBe) {
  const NewKey plain{.description = ""}, tagged{.description = "", .tags = {{"team", "red"}, {"cost", "1"}}},
      external{.description = "", .origin = KeyOrigin::kExternal};
  struct Case {
    std::string condition;
    bool plain, tagged, external;  // whether it may be made
  };
  for (const auto& c : std::vector<Case>{
           {R"({"StringEquals":{"kms:KeyOrigin":"EXTERNAL"}})", true, true, false},
           {R"({"StringEquals":{"kms:KeySpec":"SYMMETRIC_DEFAULT"}})", false, false, false},
           {R"({"StringEquals":{"kms:CustomerMasterKeySpec":"SYMMETRIC_DEFAULT"}})", false, false, false},
           {R"({"StringEquals":{"kms:KeyUsage":"ENCRYPT_DECRYPT"}})", false, false, false},
           {R"({"StringEquals":{"kms:CustomerMasterKeyUsage":"ENCRYPT_DECRYPT"}})", false, false, false},
           {R"({"Bool":{"kms:MultiRegion":"false"}})", false, false, false},
           {R"({"Bool":{"kms:BypassPolicyLockoutSafetyCheck":"false"}})", false, false, false},
           {R"({"Bool":{"kms:BypassPolicyLockoutSafetyCheck":"true"}})", true, true, true},
           {R"({"Null":{"aws:TagKeys":"true"}})", false, true, false},
           {R"({"StringEquals":{"aws:RequestTag/team":"red"}})", true, false, true},
           {R"({"StringNotEquals":{"aws:RequestTag/team":"red"}})", false, true, false},
           {R"({"ForAnyValue:StringEquals":{"aws:TagKeys":"cost"}})", true, false, true}}) {
    deny("kms:CreateKey", c.condition);
    EXPECT_EQ(control.create_key(plain, ann).ok(), c.plain) << c.condition;
    EXPECT_EQ(control.create_key(tagged, ann).ok(), c.tagged) << c.condition;
    EXPECT_EQ(control.create_key(external, ann).ok(), c.external) << c.condition;
  }
}

TEST_F(KeyConditionTest, ADenyCanGuardTags) {
  const std::string key = make_key();
  deny("kms:*", R"({"ForAnyValue:StringLike":{"aws:TagKeys":"guarded*"}})");
  EXPECT_TRUE(tags.tag_key(key, {{"free", "1"}}, ann).ok());
  EXPECT_EQ(tags.tag_key(key, {{"free", "1"}, {"guarded", "1"}}, ann).code(), Code::kKeyDenied);
  EXPECT_TRUE(tags.untag_key(key, {"free"}, ann).ok());
  EXPECT_EQ(tags.untag_key(key, {"guarded"}, ann).code(), Code::kKeyDenied);
  deny("kms:TagResource", R"({"StringEquals":{"aws:RequestTag/team":"red"}})");
  EXPECT_EQ(tags.tag_key(key, {{"team", "red"}}, ann).code(), Code::kKeyDenied);
  EXPECT_TRUE(tags.tag_key(key, {{"team", "blue"}}, ann).ok());
  EXPECT_TRUE(tags.untag_key(key, {"team"}, ann).ok()) << "it says no value";
}

TEST_F(KeyConditionTest, EveryUseAndChangeOfAKeySaysItsUserAgent) {
  const std::string key = make_key();
  const auto blob = data_keys.generate_data_key(key, 8, context, call)->blob;
  const NewGrant terms{.name = "", .grantee = "arn:aws:iam::000000000000:user/bob", .retiring = "", .operations = {"Decrypt"}};
  const auto policy = *control.key_policy(key, call);
  const std::vector<std::function<Refusal()>> calls = {
      [&] { return refusal(data_keys.generate_data_key(key, 8, context, ann)); },
      [&] { return refusal(data_keys.decrypt(blob, context, ann, key)); },
      [&] { return refusal(data_keys.encrypt(key, blob, context, ann)); },
      [&] { return refusal(data_keys.re_encrypt({blob, "", context, key, context}, ann)); },
      [&] { return refusal(control.describe_key(key, ann)); },
      [&] { return refusal(control.create_grant(key, terms, ann)); },
      [&] { return refusal(control.put_key_policy(key, policy, KeyAccessControl::LockOut::kRefuse, ann)); },
  };
  for (std::size_t i = 0; i < calls.size(); ++i) {
    deny("kms:*", R"({"StringEquals":{"aws:UserAgent":"aws-cli/2"}})");
    EXPECT_EQ(calls[i](), Code::kKeyDenied) << i;
    allow(R"({"StringEquals":{"aws:UserAgent":"aws-cli/2"}})");
    EXPECT_EQ(calls[i](), std::nullopt) << i;
  }
}

TEST_F(KeyConditionTest, KeyPoliciesAndGrantsSayTheirOwn) {  // KMS-42, KMS-45
  const std::string key = make_key();
  const auto policy = *control.key_policy(key, call);
  using LockOut = KeyAccessControl::LockOut;
  allow(R"({"Bool":{"kms:BypassPolicyLockoutSafetyCheck":"false"}})");
  EXPECT_TRUE(control.put_key_policy(key, policy, LockOut::kRefuse, ann).ok());
  EXPECT_EQ(control.put_key_policy(key, policy, LockOut::kAllow, ann).code(), Code::kKeyDenied);
  const NewGrant terms{.name = "", .grantee = "arn:aws:iam::000000000000:user/bob", .retiring = "", .operations = {"Decrypt"}};
  deny("kms:*Grant*", R"({"Bool":{"kms:GrantIsForAWSResource":"false"}})");
  EXPECT_EQ(control.create_grant(key, terms, ann).code(), Code::kKeyDenied);
  const auto made = control.create_grant(key, terms, call);
  ASSERT_TRUE(made.ok());
  EXPECT_EQ(control.list_grants(key, ann).code(), Code::kKeyDenied);
  EXPECT_EQ(control.revoke_grant(key, made->grant_id, ann).code(), Code::kKeyDenied);
  struct Case {
    std::string action, condition;
    std::function<Refusal()> call;
  };
  for (const auto& c : std::vector<Case>{
           {"kms:CreateGrant", R"({"ForAnyValue:StringEquals":{"kms:GrantOperations":"Decrypt"}})",
            [&] { return refusal(control.create_grant(key, terms, ann)); }},
           {"kms:EnableKeyRotation", R"({"NumericLessThan":{"kms:RotationPeriodInDays":"180"}})",
            [&] { return refusal(rotations.enable_rotation(key, 90, ann)); }},
           {"kms:ScheduleKeyDeletion",
            R"({"NumericLessThan":{"kms:ScheduleKeyDeletionPendingWindowInDays":"30"}})",
            [&] { return refusal(done(control.schedule_key_deletion(key, 7, ann))); }}}) {
    deny(c.action, c.condition);
    EXPECT_EQ(c.call(), Code::kKeyDenied) << c.action;
    deny("kms:Nothing", c.condition);
    EXPECT_EQ(c.call(), std::nullopt) << c.action;
  }
}

TEST_F(KeyControlTest, WhatChangesNothingDisturbsNobody) {  // KMS-21
  const std::string key = make_key();
  const auto grant = kms->create_grant(
      key, {.name = "", .grantee = owner.arn, .retiring = owner.arn, .operations = {"Decrypt"}}, call);
  const KmsCall dry{owner, /*dry_run=*/true};
  EXPECT_EQ(control.create_grant(key, grant->terms, dry).code(), Code::kDryRun);
  EXPECT_EQ(control.revoke_grant(key, grant->grant_id, dry).code(), Code::kDryRun);
  EXPECT_EQ(control.revoke_grant(key, "none", dry).code(), Code::kNotFound);
  EXPECT_EQ(control.retire_grant(grant->token, "", "", dry).code(), Code::kDryRun);
  EXPECT_EQ(control.put_key_policy(key, "{}", KeyAccessControl::LockOut::kRefuse, call).code(), Code::kInvalidArgument);
  EXPECT_THAT(steps, ElementsAre());
  EXPECT_EQ(control.list_grants(key, call)->size(), 1U);
  ASSERT_TRUE(control.revoke_grant(key, grant->grant_id, call).ok());
  EXPECT_EQ(steps.front(), "hold Enabled");
}

TEST_F(KeyControlTest, NamingAKeyOrItsMaterialInARequestIsNoDescribeKey) {
  const std::string key = control.create_key({.description = "", .origin = KeyOrigin::kExternal}, call)->arn;
  ASSERT_TRUE(import(key).ok());
  const std::string other = make_key(), material = kms->describe(key)->current_material_id;
  ASSERT_TRUE(aliases.create_alias("alias/a", key, call).ok());
  ASSERT_TRUE(aliases.create_alias("alias/b", other, call).ok());
  FakeIdentities identities;
  kms->consult(identities);
  const KmsCall ann{{realm.account, "arn:aws:iam::000000000000:user/ann"}};
  for (const char* action : {"kms:ListAliases", "kms:DeleteImportedKeyMaterial", "kms:ImportKeyMaterial"})
    identities.allow(ann.caller, action);
  const auto described = calls("DescribeKey");
  ASSERT_EQ(aliases.list_aliases(key, ann)->size(), 1U);
  EXPECT_EQ(aliases.list_aliases(key, ann)->at(0).name, "alias/a");
  EXPECT_EQ(aliases.list_aliases("", ann)->size(), 2U);
  EXPECT_EQ(aliases.list_aliases("arn:aws:kms:us-east-1:000000000000:key/none", ann).code(), Code::kKeyMissing);
  identities.allow({stranger.account, "arn:aws:iam::999999999999:user/eve"}, "kms:*");
  EXPECT_EQ(aliases.list_aliases(key, {{stranger.account, "arn:aws:iam::999999999999:user/eve"}}).code(),
            Code::kKeyMissing);
  EXPECT_EQ(control.import_material(key, {}, {}, {}, std::string(64, '0'), ann).code(), Code::kWrongMaterial);
  EXPECT_EQ(control.delete_imported_material(key, std::string(64, '0'), ann).code(), Code::kNotFound);
  EXPECT_EQ(calls("DescribeKey"), described);
  EXPECT_TRUE(control.delete_imported_material(key, material, ann).ok());
}

TEST_F(KeyControlTest, DataKeysGoOverTheWireAndBack) {
  KmsDataKeyControl data_keys(*kms);
  const std::string key = make_key();
  const auto made = data_keys.generate_data_key(key, 24, context, call);
  ASSERT_TRUE(made.ok());
  EXPECT_EQ(made->plaintext.size(), 24U);
  const auto opened = data_keys.decrypt(made->blob, context, call, key);
  ASSERT_TRUE(opened.ok());
  EXPECT_TRUE(equal_constant_time(opened->plaintext.view(), made->plaintext.view()));
  EXPECT_EQ(data_keys.decrypt(made->blob, {}, call, key).code(), Code::kInvalidCiphertext);
  EXPECT_EQ(data_keys.call_counts()->at("GenerateDataKey"), 1U);
}

}  // namespace
}  // namespace coffer
