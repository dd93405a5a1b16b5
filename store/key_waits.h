#pragma once

#include "base/result.h"
#include "base/sse_rule.h"

namespace coffer {

// Told by a Store before a thread waits for a data key, which takes as long as the KMS does, and when that is over. Whoever
// serves with few threads, and a KMS that may take its time, lets others take their place.
class KeyWaits {
 public:
  virtual ~KeyWaits() = default;
  virtual Status begin() = 0;  // an error: too many wait. The caller fails with it, and end() does not follow
  virtual void end() = 0;

  // Of this thread, for as long as it lives or until it is told otherwise; of threads that say nothing nobody is told.
  static void tell_of_this_thread(KeyWaits* told);
};

// One such wait of this thread, as long as it lives. Under SSE-S3 there is none.
class KeyWait {
 public:
  explicit KeyWait(SseAlgorithm algorithm);
  ~KeyWait();
  KeyWait(const KeyWait&) = delete;
  KeyWait& operator=(const KeyWait&) = delete;
  const Status& begun() const { return begun_; }

 private:
  KeyWaits* told_;
  Status begun_;
};

}  // namespace coffer
