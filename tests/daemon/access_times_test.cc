#include "daemon/access_times.h"

#include <gtest/gtest.h>

namespace coffer {
namespace {

std::optional<AccessTimes> of_files(std::vector<std::string> options) { return AccessTimePolicy::of(options).files; }

TEST(AccessTimes, AreRelativeUnlessToldOtherwise) {
  EXPECT_EQ(of_files({}), AccessTimes::kRelative);
  EXPECT_EQ(of_files({"allow_other", "relatime"}), AccessTimes::kRelative);
  EXPECT_EQ(of_files({"strictatime"}), AccessTimes::kAlways);
  EXPECT_EQ(of_files({"noatime"}), std::nullopt);
  EXPECT_EQ(AccessTimePolicy::of({"noatime"}).directories, std::nullopt);
}

TEST(AccessTimes, TheLastOptionWins) {
  EXPECT_EQ(of_files({"noatime", "atime"}), AccessTimes::kRelative);
  EXPECT_EQ(of_files({"strictatime", "relatime"}), AccessTimes::kRelative);
  EXPECT_EQ(of_files({"ro", "rw", "strictatime"}), AccessTimes::kAlways);
}

TEST(AccessTimes, OfDirectoriesCanBeLeftOutAlone) {
  const AccessTimePolicy policy = AccessTimePolicy::of({"nodiratime"});
  EXPECT_EQ(policy.files, AccessTimes::kRelative);
  EXPECT_EQ(policy.directories, std::nullopt);
}

TEST(AccessTimes, StandStillOnAReadOnlyMount) {
  EXPECT_EQ(of_files({"ro", "strictatime"}), std::nullopt);
  EXPECT_EQ(AccessTimePolicy::of({"ro"}).directories, std::nullopt);
}

}  // namespace
}  // namespace coffer
