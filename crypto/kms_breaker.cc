#include "crypto/kms_breaker.h"

#include <algorithm>
#include <utility>

#include "base/external_kms_limits.h"

namespace coffer {

KmsBreaker::Leave KmsBreaker::ask() {
  const std::lock_guard lock(mutex_);
  if (!away_) return Leave::kAsk;
  if (trying_ || clock_.monotonic_ns() < again_ns_) return Leave::kNo;
  trying_ = true;
  return Leave::kTry;
}

bool KmsBreaker::answered() {
  const std::lock_guard lock(mutex_);
  trying_ = false;
  rest_ms_ = 0;
  return std::exchange(away_, false);
}

bool KmsBreaker::failed() {
  const std::lock_guard lock(mutex_);
  const std::int64_t now = clock_.monotonic_ns();
  // Of calls that were under way together the first one counts.
  if (!away_ || trying_) rest_ms_ = std::clamp(2 * rest_ms_, kExternalRestMsMin, kExternalRestMsMax);
  trying_ = false;
  again_ns_ = now + rest_ms_ * 1'000'000;
  return !std::exchange(away_, true);
}

bool KmsBreaker::away() const {
  const std::lock_guard lock(mutex_);
  return away_;
}

}  // namespace coffer
