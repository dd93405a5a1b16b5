#pragma once

#include <mutex>

#include "base/clock.h"

namespace coffer {

// Whether a service that may be away is asked. After a call that failed nobody asks for a time, which doubles with each
// failure in turn (external_kms_limits.h); then one call alone tries, and the others go on being told no until it is
// back. Thread-safe.
class KmsBreaker {
 public:
  explicit KmsBreaker(const Clock& clock) : clock_(clock) {}

  enum class Leave { kAsk, kTry, kNo };  // kTry: the one that tries
  Leave ask();
  // How it went, once for each leave that was given. Whether that is news: it was away, or was not.
  bool answered();
  bool failed();

  bool away() const;

 private:
  const Clock& clock_;
  mutable std::mutex mutex_;  // guards all below
  bool away_ = false, trying_ = false;
  std::int64_t rest_ms_ = 0, again_ns_ = 0;
};

}  // namespace coffer
