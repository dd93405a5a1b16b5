#pragma once

#include <cstdint>

namespace coffer {

inline constexpr std::int64_t kNsPerSecond = 1'000'000'000;

// The time, as a seam: tests turn it by hand. Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual std::int64_t wall_ns() const = 0;       // since 1970-01-01 UTC
  virtual std::int64_t monotonic_ns() const = 0;  // never goes back
};

class SystemClock final : public Clock {
 public:
  std::int64_t wall_ns() const override;
  std::int64_t monotonic_ns() const override;
};

// A clock that stands still until it is moved.
class ManualClock final : public Clock {
 public:
  std::int64_t wall_ns() const override { return wall_; }
  std::int64_t monotonic_ns() const override { return monotonic_; }
  void advance_ns(std::int64_t by) {
    wall_ += by;
    monotonic_ += by;
  }
  void set_wall_ns(std::int64_t wall) { wall_ = wall; }

 private:
  std::int64_t wall_ = 1'767'225'600'000'000'000;  // 2026-01-01
  std::int64_t monotonic_ = 1'000'000'000;
};

}  // namespace coffer
