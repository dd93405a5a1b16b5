#include "base/clock.h"
#include "tests/support/manual_clock.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>

namespace coffer {
namespace {

TEST(SystemClock, TellsTheTimeAndNeverGoesBack) {
  const SystemClock clock;
  EXPECT_LE(std::abs(clock.wall_ns() / 1'000'000'000 - std::int64_t{time(nullptr)}), 1);
  std::int64_t before = clock.monotonic_ns();
  for (int i = 0; i < 1000; ++i) {
    const std::int64_t now = clock.monotonic_ns();
    EXPECT_GE(now, before);
    before = now;
  }
}

TEST(ManualClock, MovesWhenItIsMoved) {
  ManualClock clock;
  const std::int64_t wall = clock.wall_ns(), monotonic = clock.monotonic_ns();
  EXPECT_EQ(clock.wall_ns(), wall);
  clock.advance_ns(5);
  EXPECT_EQ(clock.wall_ns(), wall + 5);
  EXPECT_EQ(clock.monotonic_ns(), monotonic + 5);
  clock.set_wall_ns(1);
  EXPECT_EQ(clock.wall_ns(), 1);
  EXPECT_EQ(clock.monotonic_ns(), monotonic + 5);
}

}  // namespace
}  // namespace coffer
