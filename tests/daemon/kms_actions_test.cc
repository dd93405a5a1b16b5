#include <gmock/gmock.h>

#include "daemon/key_control.h"
#include "tests/support/fake_identities.h"
#include "tests/support/local_kms_fixture.h"
#include "tests/support/material_wrapping.h"

// Which operation asks for which action, of whom.
namespace coffer {
namespace {

class NobodyUsesKeys final : public KeyUsers {
 public:
  void hold(const std::string&) override {}
  void drop_pages(const std::string&) override {}
  Status seal_dirty(const std::string&) override { return {}; }
  void wipe(const std::string&) override {}
  void release(const std::string&) override {}
};

template <class T>
Status done(const Result<T>& result) {
  return result.ok() ? Status() : Status(result.error());
}

class KmsActionsTest : public LocalKmsTest {
 protected:
  KmsActionsTest() { kms->consult(identities); }

  // An operation on a key of its own, which is named by its ARN, that succeeds for whoever may do it.
  struct Operation {
    std::string action;
    std::function<Status(const std::string& key, const KmsCall& call)> perform;
    enum class Across { kNo, kYes, kNoKey } across = Across::kNo;  // for callers of another account
  };
  std::vector<Operation> operations();

  std::string new_key(const std::string& action) {
    const bool imports = action.find("Import") != std::string::npos;
    const auto origin = imports ? KeyOrigin::kExternal : KeyOrigin::kAwsKms;
    return kms->create_key({.description = "", .origin = origin}, realm.account)->arn;
  }
  // Brings the key into the state that the operation is for.
  Status make_ready(const std::string& action, const std::string& key) {
    if (action == "kms:DeleteImportedKeyMaterial") return import(key, call);
    if (action == "kms:CancelKeyDeletion") return done(kms->schedule_deletion(key, 7));
    if (action == "kms:DisableKeyRotation") return kms->enable_rotation(key, 90);
    return {};
  }
  std::string key_for(const std::string& action) {
    const std::string key = new_key(action);
    EXPECT_TRUE(make_ready(action, key).ok()) << action;
    return key;
  }
  // With parameters that the owner asks for.
  Status import(const std::string& key, const KmsCall& by) {
    COFFER_ASSIGN(const auto offer, kms->parameters_for_import(key, ImportWrapping::kOaepSha256, 2048));
    const Bytes wrapped = wrap_material_for(offer.public_key, ImportWrapping::kOaepSha256, Bytes(32, 7));
    return done(keys.import_material(key, offer.token, wrapped, {}, "", by));
  }
  std::string alias_of(const std::string& key) {
    const std::string name = "alias/" + key.substr(key.rfind('/') + 1);
    if (!kms->describe(name).ok()) {
      EXPECT_TRUE(kms->create_alias(name, key).ok());
    }
    return name;
  }
  Bytes sealed_under(const std::string& key) { return kms->encrypt_bytes(key, Bytes(5, 1), {}, call)->blob; }
  KeyGrant grant_on(const std::string& key) {
    return kms->create_grant(key, {.name = "", .grantee = owner.arn, .retiring = "", .operations = {"Decrypt"}}, call)
        .value();
  }
  bool has_statement(const Status& refused, const std::string& action) {
    return !refused.ok() && refused.code() == Code::kKeyDenied &&
           refused.error().message.find("not authorized to perform: " + action + " ") != std::string::npos;
  }

  FakeIdentities identities;
  NobodyUsesKeys users;
  const std::function<Status()> make_durable = [] { return Status(); };
  const KmsCall call{owner};
  const Principal ann{realm.account, "arn:aws:iam::000000000000:user/ann"};
  const Principal eve{stranger.account, "arn:aws:iam::999999999999:user/eve"};
  KmsKeyControl keys{*kms, users, make_durable};
  KmsAliasControl aliases{*kms, make_durable};
  KmsTagControl tags{*kms, make_durable};
  KmsRotationControl rotations{*kms, make_durable};
  KmsDataKeyControl data_keys{*kms};
};

std::vector<KmsActionsTest::Operation> KmsActionsTest::operations() {
  using Key = const std::string&;
  using Call = const KmsCall&;
  constexpr auto kYes = Operation::Across::kYes, kNo = Operation::Across::kNo, kNoKey = Operation::Across::kNoKey;
  const std::string policy =
      R"({"Statement":{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"kms:*","Resource":"*"}})";
  return {
      {"kms:CreateKey", [this](Key, Call by) { return done(keys.create_key({.description = ""}, by)); }, kNoKey},
      {"kms:ListKeys", [this](Key, Call by) { return done(keys.list_keys(by)); }, kNoKey},
      {"kms:ListAliases", [this](Key, Call by) { return done(aliases.list_aliases("", by)); }, kNoKey},
      {"kms:ListRetirableGrants",
       [this](Key, Call by) { return done(keys.list_retirable_grants(by.caller.arn, by)); }, kNoKey},
      {"kms:GenerateRandom", [this](Key, Call by) { return done(data_keys.random_bytes(16, by)); }, kNoKey},

      {"kms:DescribeKey", [this](Key key, Call by) { return done(keys.describe_key(key, by)); }, kYes},
      {"kms:UpdateKeyDescription", [this](Key key, Call by) { return keys.update_description(key, "x", by); }, kNo},
      {"kms:EnableKey", [this](Key key, Call by) { return keys.enable_key(key, by); }, kNo},
      {"kms:DisableKey", [this](Key key, Call by) { return keys.disable_key(key, by); }, kNo},
      {"kms:ScheduleKeyDeletion", [this](Key key, Call by) { return done(keys.schedule_key_deletion(key, 7, by)); },
       kNo},
      {"kms:CancelKeyDeletion", [this](Key key, Call by) { return done(keys.cancel_key_deletion(key, by)); }, kNo},

      {"kms:GetParametersForImport",
       [this](Key key, Call by) {
         return done(keys.parameters_for_import(key, ImportWrapping::kOaepSha256, 2048, by));
       },
       kNo},
      {"kms:ImportKeyMaterial", [this](Key key, Call by) { return import(key, by); }, kNo},
      {"kms:DeleteImportedKeyMaterial",
       [this](Key key, Call by) { return done(keys.delete_imported_material(key, "", by)); }, kNo},

      {"kms:GetKeyPolicy", [this](Key key, Call by) { return done(keys.key_policy(key, by)); }, kNo},
      {"kms:ListKeyPolicies", [this](Key key, Call by) { return keys.check_key_policy(key, by); }, kNo},
      {"kms:PutKeyPolicy",
       [this, policy](Key key, Call by) {
         return keys.put_key_policy(key, policy, KeyAccessControl::LockOut::kRefuse, by);
       },
       kNo},
      {"kms:CreateGrant", [this](Key key, Call by) { return done(keys.create_grant(key, grant_on(key).terms, by)); },
       kYes},
      {"kms:ListGrants", [this](Key key, Call by) { return done(keys.list_grants(key, by)); }, kYes},
      {"kms:RevokeGrant", [this](Key key, Call by) { return keys.revoke_grant(key, grant_on(key).grant_id, by); },
       kYes},
      {"kms:RetireGrant",
       [this](Key key, Call by) { return keys.retire_grant("", key, grant_on(key).grant_id, by); }, kNo},

      {"kms:CreateAlias", [this](Key key, Call by) { return aliases.create_alias("alias/new", key, by); }, kNo},
      {"kms:UpdateAlias", [this](Key key, Call by) { return aliases.update_alias(alias_of(key), key, by); }, kNo},
      {"kms:DeleteAlias", [this](Key key, Call by) { return aliases.delete_alias(alias_of(key), by); }, kNo},

      {"kms:TagResource", [this](Key key, Call by) { return tags.tag_key(key, {{"a", "b"}}, by); }, kNo},
      {"kms:UntagResource", [this](Key key, Call by) { return tags.untag_key(key, {"a"}, by); }, kNo},
      {"kms:ListResourceTags", [this](Key key, Call by) { return done(tags.list_tags(key, by)); }, kNo},

      {"kms:EnableKeyRotation", [this](Key key, Call by) { return rotations.enable_rotation(key, 90, by); }, kNo},
      {"kms:DisableKeyRotation", [this](Key key, Call by) { return rotations.disable_rotation(key, by); }, kNo},
      {"kms:GetKeyRotationStatus", [this](Key key, Call by) { return done(rotations.rotation_status(key, by)); },
       kYes},
      {"kms:ListKeyRotations", [this](Key key, Call by) { return done(rotations.list_rotations(key, by)); }, kNo},
      {"kms:RotateKeyOnDemand", [this](Key key, Call by) { return done(rotations.rotate_key(key, by)); }, kNo},

      {"kms:GenerateDataKey",
       [this](Key key, Call by) { return done(data_keys.generate_data_key(key, 32, {}, by)); }, kYes},
      {"kms:GenerateDataKeyWithoutPlaintext",
       [this](Key key, Call by) {
         return done(data_keys.generate_data_key(key, 32, {}, {by.caller, by.dry_run, /*without_plaintext=*/true}));
       },
       kYes},
      {"kms:Encrypt", [this](Key key, Call by) { return done(data_keys.encrypt(key, Bytes(5, 1), {}, by)); }, kYes},
      {"kms:Decrypt", [this](Key key, Call by) { return done(data_keys.decrypt(sealed_under(key), {}, by, "")); },
       kYes},
      {"kms:ReEncryptFrom",
       [this](Key key, Call by) {
         const auto blob = sealed_under(key);
         return done(data_keys.re_encrypt({blob, "", {}, key, {}}, by));
       },
       kYes},
      {"kms:ReEncryptTo",
       [this](Key key, Call by) {
         const auto blob = sealed_under(key);
         return done(data_keys.re_encrypt({blob, "", {}, key, {}}, by));
       },
       kYes}};
}

TEST_F(KmsActionsTest, EveryOperationAsksForItsActionAndForNoOther) {
  const KmsCall by_ann{ann};
  for (const auto& [action, perform, across] : operations()) {
    identities.policies.clear();
    const std::string key = key_for(action);
    identities.allow(ann, action == "kms:ReEncryptTo" ? "kms:ReEncryptFrom" : "kms:ListNothing");
    const Status without = perform(key, by_ann);
    EXPECT_TRUE(has_statement(without, action)) << action << ": " << (without.ok() ? "done" : without.error().message);
    identities.allow(ann, "kms:*");
    identities.deny(ann, action);
    EXPECT_TRUE(has_statement(perform(key, by_ann), action)) << action << " where it alone is denied";

    identities.policies.clear();
    identities.allow(ann, action);
    if (action.starts_with("kms:ReEncrypt")) identities.allow(ann, "kms:ReEncrypt*");
    const Status with = perform(key_for(action), by_ann);
    EXPECT_TRUE(with.ok()) << action << ": " << (with.ok() ? "" : with.error().message);
  }
}

TEST_F(KmsActionsTest, ForAnotherAccountAKeyIsToBeUsedAndNotToBeManaged) {
  const std::string policy =
      R"({"Statement":{"Effect":"Allow","Principal":{"AWS":["000000000000","999999999999"]},)"
      R"("Action":"kms:*","Resource":"*"}})";
  identities.allow(eve, "kms:*");
  for (const auto& [action, perform, across] : operations()) {
    const std::string key = new_key(action);
    ASSERT_TRUE(kms->put_key_policy(key, policy, LocalKms::LockOut::kRefuse, call).ok());
    ASSERT_TRUE(make_ready(action, key).ok());
    const auto before = *kms->describe(key);
    for (const Principal& caller : {eve, stranger}) {
      const Status performed = perform(key, {caller});
      EXPECT_EQ(performed.ok(), across != Operation::Across::kNo)
          << action << " by " << caller.arn << ": " << (performed.ok() ? "done" : performed.error().message);
    }
    EXPECT_EQ(*kms->describe(key), before) << action;
  }
}

// What an operation says of itself beyond its key, and a policy may ask for.
TEST_F(KmsActionsTest, ConditionsSeeWhatTheRequestAsksFor) {
  const KmsCall by_ann{ann};
  const std::string key = make_key(), alias = alias_of(key);
  ASSERT_TRUE(kms->create_alias("alias/other", key).ok());
  const auto grants = [&](std::vector<std::string> allowed) {
    const NewGrant terms{.name = "", .grantee = owner.arn, .retiring = "", .operations = std::move(allowed)};
    return done(keys.create_grant(key, terms, {ann, /*dry_run=*/true}));
  };
  const auto describes = [&](const std::string& name) { return done(keys.describe_key(name, by_ann)); };
  const auto rotates = [&](int days) { return rotations.enable_rotation(key, days, by_ann); };
  const auto schedules = [&](int days) {
    return done(keys.schedule_key_deletion(key_for("kms:ScheduleKeyDeletion"), days, by_ann));
  };
  struct Case {
    std::string action, condition;
    std::function<Status()> denied, let;
  };
  const Case cases[] = {
      {"kms:DescribeKey", R"({"StringEquals":{"kms:RequestAlias":")" + alias + R"("}})",
       [&] { return describes(alias); }, [&] { return describes("alias/other"); }},
      {"kms:DescribeKey", R"({"Null":{"kms:RequestAlias":"true"}})", [&] { return describes(key); },
       [&] { return describes(kms_alias_arn(realm, alias)); }},
      {"kms:CreateGrant", R"({"ForAnyValue:StringEquals":{"kms:GrantOperations":"Decrypt"}})",
       [&] { return grants({"Encrypt", "Decrypt"}); }, [&] { return grants({"Encrypt"}); }},
      {"kms:EnableKeyRotation", R"({"NumericGreaterThan":{"kms:RotationPeriodInDays":"365"}})",
       [&] { return rotates(366); }, [&] { return rotates(365); }},
      {"kms:ScheduleKeyDeletion", R"({"NumericLessThan":{"kms:ScheduleKeyDeletionPendingWindowInDays":"30"}})",
       [&] { return schedules(29); }, [&] { return schedules(30); }}};
  for (const auto& [action, condition, denied, let] : cases) {
    identities.policies.clear();
    identities.allow(ann, "kms:*");
    identities.deny(ann, action, condition);
    EXPECT_TRUE(has_statement(denied(), action)) << condition;
    const Status done_so = let();
    EXPECT_TRUE(done_so.ok() || done_so.code() == Code::kDryRun) << condition << ": " << done_so.error().message;
  }
}

}  // namespace
}  // namespace coffer
