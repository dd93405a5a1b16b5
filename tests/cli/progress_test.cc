#include "cli/progress.h"
#include "tests/support/manual_clock.h"

#include <gtest/gtest.h>

#include <sstream>

namespace coffer {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

TEST(Progress, ShowsNothingInTheFirstSecond) {
  std::ostringstream out, err;
  const Console console{out, err, /*err_is_terminal=*/true};
  ManualClock clock;
  Progress progress(console, clock, "checking:");
  clock.advance_ns(kSecond - 1);
  progress.show(1, 2);
  EXPECT_EQ(err.str(), "");
}

TEST(Progress, ShowsALineOnATerminalAndTakesItAway) {
  std::ostringstream out, err;
  const Console console{out, err, /*err_is_terminal=*/true};
  ManualClock clock;
  {
    Progress progress(console, clock, "checking:");
    clock.advance_ns(kSecond);
    progress.show(1, 4);
    EXPECT_EQ(err.str(), "\rchecking: 1 of 4 (25 %)\x1b[K");
    progress.show(2, 4);  // too soon for another line
  }
  EXPECT_EQ(err.str(), "\rchecking: 1 of 4 (25 %)\x1b[K\r\x1b[K");
  EXPECT_EQ(out.str(), "");
}

TEST(Progress, IsSilentWhereThereIsNoTerminal) {
  std::ostringstream out, err;
  const Console console{out, err, /*err_is_terminal=*/false};
  ManualClock clock;
  {
    Progress progress(console, clock, "checking:");
    clock.advance_ns(10 * kSecond);
    progress.show(1, 4);
  }
  EXPECT_EQ(err.str(), "");
}

}  // namespace
}  // namespace coffer
