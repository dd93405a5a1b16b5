#include <gtest/gtest.h>

#include "tests/store/sealed_rig.h"
#include "tests/support/effort.h"

namespace coffer::testing {
namespace {

using Fault = SimulatedDisk::Fault;
using Counted = SimulatedDisk::Counted;

constexpr int kSteps = 14;
constexpr std::uint64_t kSeeds = 4;

std::string place(std::uint64_t seed, std::uint64_t call) {
  return "seed " + std::to_string(seed) + ", call " + std::to_string(call);
}

void expect_reopens(SealedRig& rig, const std::string& boot, std::uint64_t oldest) {
  const Status reopened = rig.reopen(boot);
  ASSERT_TRUE(reopened.ok()) << reopened.error().message;
  rig.expect_a_commit(oldest);
}

// And the store goes on as if nothing had been.
void expect_goes_on(SealedRig& rig, const std::string& boot) {
  EXPECT_EQ(rig.work(4), 0);
  const std::uint64_t answered = rig.last_answered();
  rig.kill();
  expect_reopens(rig, boot, answered);
}

// Every n-th changing call of the same work is the last one.
template <class End>
void for_every_call(Fault fault, Counted counted, const End& end, std::uint64_t seeds = kSeeds) {
  for (std::uint64_t seed = 0; seed < testing::rounds(seeds); ++seed) {
    for (std::uint64_t call = 1;; ++call) {
      SCOPED_TRACE(place(seed, call));
      SealedRig rig(seed);
      ASSERT_TRUE(rig.create().ok());
      rig.disk().fail_at(call, fault, counted);
      const int failures = rig.work(kSteps);
      if (!rig.disk().fault_happened()) break;
      end(rig, seed * 1000 + call, failures);
      if (::testing::Test::HasFailure()) return;
    }
  }
}

TEST(SealedCrash, APowerCutAtAnyCallLeavesACommitAtOrAfterTheLastDurableOne) {
  for_every_call(Fault::kPowerOff, Counted::kChanges, [](SealedRig& rig, std::uint64_t seed, int) {
    const std::uint64_t durable = rig.durable();
    rig.cut_power(seed);
    expect_reopens(rig, "boot-2", durable);
    expect_goes_on(rig, "boot-2");
  });
}

TEST(SealedCrash, ADiskThatLostItsCacheWithinABootLosesNothingDurable) {
  for_every_call(Fault::kPowerOff, Counted::kChanges, [](SealedRig& rig, std::uint64_t seed, int) {
    const std::uint64_t durable = rig.durable();
    rig.cut_power(seed);
    expect_reopens(rig, "boot-1", durable);
    expect_goes_on(rig, "boot-1");
  });
}

TEST(SealedCrash, AKillAtAnyCallKeepsEveryAnsweredCommit) {
  for_every_call(Fault::kIo, Counted::kChanges, [](SealedRig& rig, std::uint64_t, int) {
    const std::uint64_t answered = rig.last_answered();
    rig.kill();
    expect_reopens(rig, "boot-1", answered);
    expect_goes_on(rig, "boot-1");
  });
}

TEST(SealedCrash, AFailureOfAnyCallIsReportedAndKeepsEveryAnsweredCommit) {
  for (const Fault fault : {Fault::kIo, Fault::kNoSpace, Fault::kTorn}) {
    for (const Counted counted : {Counted::kChanges, Counted::kEveryCall}) {
      for_every_call(
          fault, counted,
          [&](SealedRig& rig, std::uint64_t, int failures) {
            // A read may fail for a checkpoint's pin alone, and that costs nothing but a smaller checkpoint.
            EXPECT_GE(failures, counted == Counted::kChanges ? 1 : 0) << "a failure nobody heard of";
            const std::uint64_t answered = rig.last_answered();
            rig.close();
            expect_reopens(rig, "boot-1", answered);
            expect_goes_on(rig, "boot-1");
          },
          /*seeds=*/1);
    }
  }
}

TEST(SealedCrash, AFailedSyncIsNeverFollowedByADurableCommit) {
  for_every_call(Fault::kIo, Counted::kChanges, [](SealedRig& rig, std::uint64_t seed, int) {
    const std::uint64_t durable = rig.durable();
    rig.cut_power(seed);
    expect_reopens(rig, "boot-2", durable);
  });
}

// The replay itself is cut short, at each of its calls.
void cut_the_replay_short(const std::string& first_boot, bool by_kill) {
  for (std::uint64_t seed = 0; seed < testing::rounds(12); ++seed) {
    for (std::uint64_t call = 1;; ++call) {
      SCOPED_TRACE(place(seed, call));
      SealedRig rig(seed);
      ASSERT_TRUE(rig.create().ok());
      ASSERT_EQ(rig.work(kSteps), 0);
      const std::uint64_t durable = rig.durable();
      by_kill ? rig.kill() : rig.cut_power(seed);
      rig.disk().fail_at(call, Fault::kPowerOff);
      const bool reopened = rig.reopen(first_boot).ok();
      const bool is_past_the_end = !rig.disk().fault_happened();
      EXPECT_EQ(reopened, is_past_the_end);
      rig.cut_power(seed + call);
      expect_reopens(rig, "boot-3", durable);
      expect_goes_on(rig, "boot-3");
      if (::testing::Test::HasFailure()) return;
      if (is_past_the_end) break;
    }
  }
}

TEST(SealedCrash, APowerCutInTheReplayAfterAKillLosesNothingDurable) { cut_the_replay_short("boot-1", true); }
TEST(SealedCrash, APowerCutInTheReplayAfterAPowerCutLosesNothingDurable) { cut_the_replay_short("boot-2", false); }

TEST(SealedCrash, ManyCrashesInARowNeverLoseADurableCommit) {
  for (std::uint64_t seed = 100; seed < 110; ++seed) {
    SCOPED_TRACE(place(seed, 0));
    SealedRig rig(seed);
    ASSERT_TRUE(rig.create().ok());
    for (int crash = 0; crash < 15; ++crash) {
      rig.disk().fail_at(1 + rig.random()() % 60, Fault::kPowerOff);
      rig.work(30);
      const std::uint64_t durable = rig.durable();
      rig.cut_power(seed * 100 + static_cast<std::uint64_t>(crash));
      ASSERT_NO_FATAL_FAILURE(expect_reopens(rig, "boot-" + std::to_string(crash), durable));
    }
  }
}

TEST(SealedCrash, AReservedTransactionCommitsOnAFullDisk) {
  for (std::uint64_t free_blocks = 0; free_blocks < 700; free_blocks += 50) {
    SealedRig rig;
    ASSERT_TRUE(rig.create().ok());
    const auto space = rig.disk().space().value();
    rig.disk().set_capacity(space.total - space.available + free_blocks * 4096);
    std::uint64_t answered = 0;
    for (int i = 0; i < 200; ++i) {
      const Status reserved = rig.database().reserve(8);
      if (!reserved.ok()) {
        EXPECT_EQ(reserved.code(), Code::kNoSpace);
        break;
      }
      ASSERT_TRUE(rig.put(i, std::string(8000, 'x')).ok());
      if (i % 10 == 9) {
        const Status committed = rig.commit_durably();
        ASSERT_TRUE(committed.ok()) << committed.error().message;
      }
      answered = rig.last_answered();
    }
    ASSERT_TRUE(rig.commit_durably().ok());
    const Status copied = rig.database().checkpoint_rest();
    ASSERT_TRUE(copied.ok()) << copied.error().message;
    rig.kill();
    expect_reopens(rig, "boot-1", answered);
  }
}

TEST(SealedCrash, AFullDiskRefusesTheCommitAndKeepsTheRest) {
  SealedRig rig;
  ASSERT_TRUE(rig.create().ok());
  ASSERT_EQ(rig.work(5), 0);
  ASSERT_TRUE(rig.commit_durably().ok());
  const std::uint64_t answered = rig.last_answered();
  rig.disk().set_capacity(rig.disk().space()->total - rig.disk().space()->available);
  ASSERT_TRUE(rig.run("CREATE TABLE big AS SELECT randomblob(4000000)").ok());
  const auto refused = rig.database().commit({});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.code(), Code::kNoSpace);
  EXPECT_TRUE(rig.database().is_transaction_lost());
  EXPECT_EQ(rig.database().commit({}).code(), Code::kPoisoned);
  rig.kill();
  expect_reopens(rig, "boot-1", answered);
}

}  // namespace
}  // namespace coffer::testing
