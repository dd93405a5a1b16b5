#pragma once

#include <mutex>
#include <string>

#include "store/catalog.h"

namespace coffer {

// Numbers that are never used twice. The catalog records them in leases; the first is durable before the store answers,
// and the next is recorded while half of the one before is left, so that what a crash takes back was not used yet.
// Thread-safe.
class Numbers {
 public:
  Numbers(Catalog& catalog, std::string name, std::uint64_t first)
      : catalog_(catalog), name_(std::move(name)), first_(first) {}
  Status open_locked();          // Catalog::mutex() is held
  Result<std::uint64_t> take();  // takes Catalog::mutex() when a lease ends

 private:
  static constexpr std::uint64_t kLease = 1 << 20;  // half of it: more than is created between two durable commits

  Catalog& catalog_;
  const std::string name_;
  const std::uint64_t first_;
  std::mutex mutex_;  // before Catalog::mutex(): next_ and end_
  std::uint64_t next_ = 0, end_ = 0;
};

}  // namespace coffer
