#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

#include "base/log.h"
#include "crypto/external_kms.h"
#include "daemon/key_control.h"

namespace coffer {

// Watches the external KMS's keys that serve: asks about each from time to time, and takes what is in memory of one
// that is refused, as the local KMS's DisableKey does. A key that serves again needs nothing: it is asked for at the
// next use.
class ExternalKeyWatch {
 public:
  ExternalKeyWatch(ExternalKms& kms, KeyUsers& users, Log log) : kms_(kms), users_(users), log_(std::move(log)) {}
  ~ExternalKeyWatch();
  ExternalKeyWatch(const ExternalKeyWatch&) = delete;
  ExternalKeyWatch& operator=(const ExternalKeyWatch&) = delete;

  void start();  // a thread that looks every second
  void look();

 private:
  void end_key(const std::string& key_arn);
  void watch();

  ExternalKms& kms_;
  KeyUsers& users_;
  const Log log_;
  std::mutex mutex_;  // guards ending_
  bool ending_ = false;
  std::condition_variable end_;
  std::thread thread_;
};

}  // namespace coffer
