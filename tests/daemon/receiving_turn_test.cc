#include "daemon/receiving_turn.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "base/limits.h"

namespace coffer {
namespace {

using std::chrono::milliseconds;
constexpr auto kLook = std::chrono::microseconds(kLoanLookUs);

// Another thread that wants the turn, and keeps it until it is told.
class Other {
 public:
  explicit Other(ReceivingTurn& turn)
      : thread_([this, &turn] {
          ReceivingTurn::Holder holder(turn);
          holder.take();
          has_it_ = true;
          has_it_.notify_all();
          released_.wait(false);
        }) {}
  ~Other() { release(); }

  bool has_it() const { return has_it_; }
  void wait() { has_it_.wait(false); }
  void release() {
    if (!thread_.joinable()) return;
    released_ = true;
    released_.notify_all();
    thread_.join();
  }

 private:
  std::atomic<bool> has_it_ = false, released_ = false;
  std::thread thread_;  // last: it uses the others
};

// Another thread that takes the turn once, and goes. It ends when it had it.
class Passer {
 public:
  explicit Passer(ReceivingTurn& turn)
      : thread_([this, &turn] {
          ReceivingTurn::Holder holder(turn);
          holder.take();
          has_gone_ = true;
          has_gone_.notify_all();
        }) {}
  ~Passer() { thread_.join(); }

  bool has_gone() const { return has_gone_; }
  void wait() { has_gone_.wait(false); }

 private:
  std::atomic<bool> has_gone_ = false;
  std::thread thread_;  // last: it uses the other
};

TEST(ReceivingTurn, OneHasItUntilItIsGiven) {
  ReceivingTurn turn;
  ReceivingTurn::Holder holder(turn);
  holder.take();
  Other other(turn);
  std::this_thread::sleep_for(milliseconds(20));
  EXPECT_FALSE(other.has_it());
  holder.give();
  other.wait();
}

TEST(ReceivingTurn, AHolderThatGoesGives) {
  ReceivingTurn turn;
  {
    ReceivingTurn::Holder holder(turn);
    holder.take();
  }
  Other(turn).wait();
}

TEST(ReceivingTurn, AShortLoanComesBack) {
  ReceivingTurn turn;
  ReceivingTurn::Holder holder(turn);
  holder.take();
  Passer other(turn);
  auto longest = std::chrono::nanoseconds(0);
  for (int i = 0; i < 1000 && !other.has_gone(); ++i) {
    const auto begin = std::chrono::steady_clock::now();
    holder.lend();
    holder.take();
    longest = std::max(longest, std::chrono::nanoseconds(std::chrono::steady_clock::now() - begin));
  }
  if (other.has_gone()) {
    EXPECT_GE(longest, kLook);  // the machine may stop a thread anywhere
  }
  holder.give();
}

TEST(ReceivingTurn, ALoanThatLastsIsTakenOver) {
  ReceivingTurn turn;
  ReceivingTurn::Holder holder(turn);
  holder.take();
  Other other(turn);
  holder.lend();
  other.wait();
  other.release();
  holder.take();
  EXPECT_FALSE(holder.came_back());
}

TEST(ReceivingTurn, WhoComesDuringALoanTakesItOver) {
  ReceivingTurn turn;
  ReceivingTurn::Holder holder(turn);
  holder.take();
  holder.lend();
  Other(turn).wait();
}

// By whoever watched before, or by another look.
TEST(ReceivingTurn, ALoanAfterAPauseIsWatchedAgain) {
  ReceivingTurn turn;
  ReceivingTurn::Holder holder(turn);
  holder.take();
  Passer other(turn);
  holder.lend();
  holder.take();
  std::this_thread::sleep_for(kLook * (4 * kLoanLooksIdle));
  holder.lend();
  other.wait();
}

// How long another one waits for what is lent: a look at least, where it is a loan.
std::chrono::nanoseconds wait_for_loan(ReceivingTurn& turn) {
  ReceivingTurn::Holder holder(turn), other(turn);
  holder.take();
  holder.lend();
  const auto begin = std::chrono::steady_clock::now();
  other.take();
  return std::chrono::steady_clock::now() - begin;
}

void lend_and_miss(ReceivingTurn& turn) {
  ReceivingTurn::Holder holder(turn);
  holder.take();
  holder.lend();
  holder.take();
  EXPECT_TRUE(holder.came_back());
  holder.was_missed();
}

void lend_and_come_back(ReceivingTurn& turn) {
  ReceivingTurn::Holder holder(turn);
  holder.take();
  holder.lend();
}

TEST(ReceivingTurn, LoansMissedInARowAreFollowedByGifts) {
  ReceivingTurn turn;
  for (unsigned i = 0; i < kLoansMissed; ++i) lend_and_miss(turn);
  auto shortest = std::chrono::nanoseconds::max();
  for (unsigned i = 0; i < kLoansRefused; ++i) shortest = std::min(shortest, wait_for_loan(turn));
  EXPECT_LT(shortest, kLook);
  EXPECT_GE(wait_for_loan(turn), kLook);  // then there are loans again
}

TEST(ReceivingTurn, LoansMissedNowAndThenAreNot) {
  ReceivingTurn turn;
  for (unsigned i = 0; i < 4 * kLoansMissed; ++i) {
    lend_and_miss(turn);
    lend_and_come_back(turn);
  }
  EXPECT_GE(wait_for_loan(turn), kLook);
}

TEST(ReceivingTurn, LoansThatLastAreFollowedByGifts) {
  ReceivingTurn turn;
  for (unsigned i = 0; i < kLoansMissed; ++i) EXPECT_GE(wait_for_loan(turn), kLook);
  EXPECT_LT(std::min({wait_for_loan(turn), wait_for_loan(turn), wait_for_loan(turn)}), kLook);
}

TEST(ReceivingTurn, GivingAfterALoanGives) {
  ReceivingTurn turn;
  auto shortest = std::chrono::nanoseconds::max();
  for (int i = 0; i < 64; ++i) {
    ReceivingTurn::Holder holder(turn), other(turn);
    holder.take();
    holder.lend();
    holder.give();
    const auto begin = std::chrono::steady_clock::now();
    other.take();
    shortest = std::min(shortest, std::chrono::nanoseconds(std::chrono::steady_clock::now() - begin));
  }
  EXPECT_LT(shortest, kLook);
}

TEST(ReceivingTurn, WhoHasItNotCannotGiveIt) {
  ReceivingTurn turn;
  ReceivingTurn::Holder holder(turn);
  holder.take();
  holder.give();
  Other other(turn);
  other.wait();
  holder.give();
  Other third(turn);
  std::this_thread::sleep_for(milliseconds(20));
  EXPECT_FALSE(third.has_it());
  other.release();
  third.wait();
}

TEST(ReceivingTurn, NeverTwoHaveIt) {
  ReceivingTurn turn;
  int taken = 0;  // of whoever has the turn
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      ReceivingTurn::Holder holder(turn);
      for (int i = 0; i < 2000; ++i) {
        holder.take();
        ++taken;
        if (holder.came_back() && i % 97 == 0) holder.was_missed();
        if (i % 5 == 0) holder.give();
        if (i % 5 == 1) holder.lend();
        if (i % 100 == 1) std::this_thread::sleep_for(3 * kLook);  // others take over
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(taken, 8000);
}

}  // namespace
}  // namespace coffer
