#include "daemon/external_keys.h"

#include <gmock/gmock.h>

#include "base/external_kms_limits.h"
#include "tests/support/elsewhere_kms.h"
#include "tests/support/local_kms_fixture.h"

namespace coffer {
namespace {

using testing::ElementsAre;

class RecordedUsers final : public KeyUsers {
 public:
  void hold(const std::string& arn) override { note("hold ", arn); }
  void drop_pages(const std::string& arn) override { note("drop pages ", arn); }
  Status seal_dirty(const std::string& arn) override {
    note("seal ", arn);
    return sealing;
  }
  void wipe(const std::string& arn) override { note("wipe ", arn); }
  void release(const std::string& arn) override { note("release ", arn); }

  Status sealing;
  std::vector<std::string> steps;

 private:
  void note(const std::string& step, const std::string& arn) { steps.push_back(step + arn); }
};

class ExternalKeyWatchTest : public LocalKmsTest {
 protected:
  ExternalKeyWatchTest()
      : arn(make_key()),
        wire(*kms, owner),
        external(wire, clock, log_nowhere(), [](std::int64_t) {}),
        watch(external, users, [this](LogLevel, std::string_view line) { logged.emplace_back(line); }) {}

  std::vector<std::string> logged;
  std::string arn;
  ElsewhereKms wire;
  ExternalKms external;
  RecordedUsers users;
  ExternalKeyWatch watch;
};

TEST_F(ExternalKeyWatchTest, AKeyThatServesIsLeftAlone) {
  ASSERT_TRUE(external.generate_data_key(arn, context, owner).ok());
  watch.look();
  clock.advance_ns((kExternalCheckSeconds + 1) * 1'000'000'000);
  watch.look();
  EXPECT_THAT(users.steps, ElementsAre());
}

TEST_F(ExternalKeyWatchTest, AKeyThatIsDisabledThereEndsInOrderAndOnce) {
  ASSERT_TRUE(external.generate_data_key(arn, context, owner).ok());
  ASSERT_TRUE(kms->disable(arn).ok());
  watch.look();
  EXPECT_THAT(users.steps, ElementsAre()) << "nobody has asked";
  clock.advance_ns((kExternalCheckSeconds + 1) * 1'000'000'000);
  watch.look();
  const auto in_order = ElementsAre("hold " + arn, "drop pages " + arn, "seal " + arn, "wipe " + arn,
                                    "drop pages " + arn, "wipe " + arn, "release " + arn);
  EXPECT_THAT(users.steps, in_order);
  watch.look();
  EXPECT_THAT(users.steps, in_order);
  EXPECT_THAT(logged, ElementsAre(testing::Not(testing::HasSubstr(arn)))) << "no key's name in a log";
}

TEST_F(ExternalKeyWatchTest, WhatCannotBeSealedKeepsNoKeyAlive) {
  ASSERT_TRUE(external.generate_data_key(arn, context, owner).ok());
  ASSERT_TRUE(kms->disable(arn).ok());
  EXPECT_FALSE(external.generate_data_key(arn, context, owner).ok());
  users.sealing = Error{Code::kNoSpace, "full"};
  watch.look();
  EXPECT_EQ(users.steps.back(), "release " + arn);
  EXPECT_THAT(users.steps, testing::Contains("wipe " + arn));
  EXPECT_EQ(logged.size(), 2U);
}

TEST_F(ExternalKeyWatchTest, WhileTheKmsIsAwayKeysGoOn) {
  ASSERT_TRUE(external.generate_data_key(arn, context, owner).ok());
  clock.advance_ns((kExternalCheckSeconds + 1) * 1'000'000'000);
  wire.next_silence(kExternalAttempts);
  watch.look();
  EXPECT_THAT(users.steps, ElementsAre());
}

}  // namespace
}  // namespace coffer
