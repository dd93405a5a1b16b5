#include "daemon/key_control.h"

#include <gmock/gmock.h>

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
    return done(control.import_material(key, parameters.token, wrapped, expires_ns, call));
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
  ASSERT_TRUE(control.delete_imported_material(key, call).ok());
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
