#include "daemon/receiving_turn.h"

#include <cassert>
#include <chrono>
#include <utility>

#include "base/limits.h"

namespace coffer {

void ReceivingTurn::Holder::take() {
  std::unique_lock lock(turn_.mutex_);
  came_back_ = false;
  if (tenure_ != 0 && tenure_ == turn_.tenure_) {
    came_back_ = std::exchange(turn_.is_lent_, false);
    return;
  }
  std::uint64_t seen = turn_.loans_ - (turn_.is_lent_ ? 1 : 0);
  while (turn_.tenure_ != 0) {
    if (turn_.is_watched_ || turn_.loans_ == seen) {
      turn_.changed_.wait(lock);
    } else {  // also where the loan that woke this thread is over: the next need not wake it
      if (turn_.watch(lock)) break;
      seen = turn_.loans_;
    }
  }
  tenure_ = turn_.tenure_ = ++turn_.tenures_;
  turn_.is_lent_ = false;
}

void ReceivingTurn::Holder::give() {
  const std::lock_guard lock(turn_.mutex_);
  if (tenure_ != 0 && tenure_ == turn_.tenure_) turn_.give_locked();
}

void ReceivingTurn::Holder::lend() {
  const std::lock_guard lock(turn_.mutex_);
  assert(tenure_ != 0 && tenure_ == turn_.tenure_);
  if (turn_.gifts_ > 0) {
    --turn_.gifts_;
    turn_.give_locked();
    return;
  }
  if (!std::exchange(turn_.last_was_missed_, false)) turn_.missed_ = 0;
  turn_.is_lent_ = true;
  ++turn_.loans_;
  if (!turn_.is_watched_) turn_.changed_.notify_one();
}

void ReceivingTurn::Holder::was_missed() {
  assert(came_back_);
  const std::lock_guard lock(turn_.mutex_);
  turn_.miss_locked();
}

void ReceivingTurn::give_locked() {
  tenure_ = 0;
  is_lent_ = false;
  changed_.notify_one();
}

void ReceivingTurn::miss_locked() {
  last_was_missed_ = true;
  if (++missed_ < kLoansMissed) return;
  missed_ = 0;
  gifts_ = kLoansRefused;
}

// Looks now and then as long as there are loans, so that a loan need not wake anybody. True once one has lasted, or the
// turn is free.
bool ReceivingTurn::watch(std::unique_lock<std::mutex>& lock) {
  is_watched_ = true;
  bool has_lasted = false;
  for (unsigned idle = 0; tenure_ != 0 && !has_lasted && idle < kLoanLooksIdle;) {
    const bool was_lent = is_lent_;
    const std::uint64_t before = loans_;
    const auto until = std::chrono::steady_clock::now() + std::chrono::microseconds(kLoanLookUs);
    while (tenure_ != 0 && changed_.wait_until(lock, until) == std::cv_status::no_timeout) {}
    has_lasted = tenure_ != 0 && was_lent && is_lent_ && loans_ == before;
    idle = loans_ == before ? idle + 1 : 0;
  }
  is_watched_ = false;
  if (has_lasted) miss_locked();
  return has_lasted || tenure_ == 0;
}

}  // namespace coffer
