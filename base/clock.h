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

}  // namespace coffer
