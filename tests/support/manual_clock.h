#pragma once

#include <atomic>
#include <cstdint>

#include "base/clock.h"

namespace coffer {

// A clock that stands still until it is moved. Thread-safe.
class ManualClock final : public Clock {
 public:
  std::int64_t wall_ns() const override { return wall_; }
  std::int64_t monotonic_ns() const override { return monotonic_ += tick_; }
  void advance_ns(std::int64_t by) {
    wall_ += by;
    monotonic_ += by;
  }
  void set_wall_ns(std::int64_t wall) { wall_ = wall; }
  void tick_ns(std::int64_t by) { tick_ = by; }  // from now on each call of monotonic_ns() advances it by that

 private:
  std::atomic<std::int64_t> wall_{1'767'225'600'000'000'000};  // 2026-01-01
  mutable std::atomic<std::int64_t> monotonic_{1'000'000'000};
  std::atomic<std::int64_t> tick_{0};
};

}  // namespace coffer
