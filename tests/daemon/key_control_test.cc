#include "daemon/key_control.h"

#include <gmock/gmock.h>

#include "tests/support/local_kms_fixture.h"

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
  KmsKeyControl control{*kms, users, [this] {
                          steps.push_back("durable");
                          return durability;
                        }};
};

TEST_F(KeyControlTest, DisablingEndsEverythingInOrder) {
  const std::string key = make_key();
  ASSERT_TRUE(control.disable_key(key).ok());
  EXPECT_THAT(steps, ElementsAre("hold Enabled", "drop pages Enabled", "seal Enabled", "wipe Enabled",
                                 "drop pages Disabled", "wipe Disabled", "durable", "release Disabled"));
}

TEST_F(KeyControlTest, SchedulingDeletionEndsEverythingInOrder) {
  const std::string key = make_key();
  const auto scheduled = control.schedule_key_deletion(key, 7);
  ASSERT_TRUE(scheduled.ok());
  EXPECT_EQ(scheduled->state, KeyState::kPendingDeletion);
  EXPECT_THAT(steps,
              ElementsAre("hold Enabled", "drop pages Enabled", "seal Enabled", "wipe Enabled",
                          "drop pages PendingDeletion", "wipe PendingDeletion", "durable", "release PendingDeletion"));
}

TEST_F(KeyControlTest, EnablingDropsWhatTheKernelCouldNotWriteBackAndLetsWaitersGoOn) {
  const std::string key = make_key();
  ASSERT_TRUE(control.disable_key(key).ok());
  steps.clear();
  ASSERT_TRUE(control.enable_key(key).ok());
  EXPECT_THAT(steps, ElementsAre("drop pages Enabled", "release Enabled", "durable"));
}

TEST_F(KeyControlTest, AKeyWhoseWritesCannotBeSealedGoesOnServing) {
  const std::string key = make_key();
  users.sealing = Error{Code::kNoSpace, "full"};
  const Status disabled = control.disable_key(key);
  ASSERT_FALSE(disabled.ok());
  EXPECT_EQ(disabled.code(), Code::kNoSpace);
  EXPECT_EQ(state(key), KeyState::kEnabled);
  EXPECT_EQ(steps.back(), "release Enabled");
}

TEST_F(KeyControlTest, ARefusedChangeReleasesTheKey) {
  const std::string key = make_key();
  EXPECT_FALSE(control.schedule_key_deletion(key, 6).ok()) << "seven days at least";
  EXPECT_EQ(state(key), KeyState::kEnabled);
  EXPECT_EQ(steps.back(), "release Enabled");
}

TEST_F(KeyControlTest, AnUnknownKeyHoldsNothing) {
  EXPECT_FALSE(control.disable_key("arn:aws:kms:us-east-1:000000000000:key/none").ok());
  EXPECT_TRUE(steps.empty());
}

TEST_F(KeyControlTest, EveryChangeIsDurableWhenItReturns) {
  const auto made = control.create_key("k");
  ASSERT_TRUE(made.ok());
  const std::string key = made->arn;
  const std::vector<std::function<Status()>> changes = {
      [&] { return control.rotate_key(key); },
      [&] { return control.disable_key(key); },
      [&] { return control.enable_key(key); },
      [&] {
        return KmsAliasControl(*kms, [&] { return steps.push_back("durable"), Status(); }).create_alias("alias/a", key);
      },
      [&] {
        return control.schedule_key_deletion(key, 7).ok() ? Status() : Status(Error{Code::kIo, ""});
      },
      [&] {
        return control.cancel_key_deletion(key).ok() ? Status() : Status(Error{Code::kIo, ""});
      },
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
  EXPECT_EQ(control.create_key("k").code(), Code::kPoisoned);
}

TEST_F(KeyControlTest, DataKeysGoOverTheWireAndBack) {
  KmsDataKeyControl data_keys(*kms);
  const std::string key = make_key();
  const auto made = data_keys.generate_data_key(key, 24, context, owner);
  ASSERT_TRUE(made.ok());
  EXPECT_EQ(made->plaintext.size(), 24U);
  const auto opened = data_keys.decrypt(made->blob, context, owner, key);
  ASSERT_TRUE(opened.ok());
  EXPECT_TRUE(equal_constant_time(opened->plaintext.view(), made->plaintext.view()));
  EXPECT_EQ(data_keys.decrypt(made->blob, {}, owner, key).code(), Code::kInvalidCiphertext);
  EXPECT_EQ(data_keys.call_counts()->at("GenerateDataKey"), 1U);
}

}  // namespace
}  // namespace coffer
