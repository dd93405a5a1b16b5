#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "base/log.h"
#include "crypto/local_kms.h"
#include "store/store.h"

namespace coffer {

// The threads that give the store its time: soft commits every kCommitIntervalMs; beside them, so that a slow disk does
// not delay those, durable commits, checkpoints and garbage every kDurableIntervalMs; resealing as long as there is
// any, half of the time at most; KMS keys whose time has come, hourly. Its end stops them.
class Housekeeper {
 public:
  Housekeeper(Store& store, LocalKms& kms, Log log);
  ~Housekeeper();

 private:
  void commit_softly();
  void commit_durably();
  void work_behind();
  bool wait_ms(std::int64_t time);  // false: it is time to end
  void report(const char* what, const Status& status);

  Store& store_;
  LocalKms& kms_;
  const Log log_;
  std::mutex mutex_;  // guards ending_, reported_
  std::condition_variable end_;
  bool ending_ = false;
  bool reported_ = false;
  std::thread soft_, durable_, behind_;
};

}  // namespace coffer
