#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "base/log.h"
#include "daemon/audit_trail.h"
#include "store/store.h"

namespace coffer {

// The threads that give the store its time: soft commits every kCommitIntervalMs; beside them, so that a slow disk does
// not delay those, durable commits, checkpoints and garbage every kDurableIntervalMs; resealing as long as there is
// any, half of the time at most; an online check, at the rate it was asked for; KMS keys whose time has come, with the durable commits; and the audit
// trail, with both kinds of commits. Its end stops them.
class Housekeeper {
 public:
  // tend_keys: what KMS keys do by themselves when their time comes.
  Housekeeper(Store& store, std::function<Status()> tend_keys, AuditTrail& audit, Log log);
  ~Housekeeper();

 private:
  void commit_softly();
  void commit_durably();
  void work_behind();
  void scrub();
  bool wait_ms(std::int64_t time);  // false: it is time to end
  void report(const char* what, const Status& status);

  Store& store_;
  const std::function<Status()> tend_keys_;
  AuditTrail& audit_;
  const Log log_;
  std::mutex mutex_;  // guards ending_, reported_
  std::condition_variable end_;
  bool ending_ = false;
  bool reported_ = false;
  std::thread soft_, durable_, behind_, scrub_;
};

}  // namespace coffer
