#include "daemon/external_keys.h"

#include <chrono>

#include "base/external_kms_limits.h"

namespace coffer {

void ExternalKeyWatch::start() {
  thread_ = std::thread([this] { watch(); });
}

ExternalKeyWatch::~ExternalKeyWatch() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  end_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void ExternalKeyWatch::watch() {
  std::unique_lock lock(mutex_);
  while (!end_.wait_for(lock, std::chrono::milliseconds(kExternalWatchMs), [&] { return ending_; })) {
    lock.unlock();
    look();
    lock.lock();
  }
}

void ExternalKeyWatch::look() {
  kms_.check_keys();
  for (const std::string& key_arn : kms_.ending_keys()) end_key(key_arn);
}

// What was written under it before is sealed by the data keys in memory, which are the last to go.
void ExternalKeyWatch::end_key(const std::string& key_arn) {
  log_(LogLevel::kWarning, "the external KMS does not serve a key any more: what is in memory of it goes");
  users_.hold(key_arn);
  users_.drop_pages(key_arn);
  const Status sealed = users_.seal_dirty(key_arn);
  if (!sealed.ok()) log_(LogLevel::kError, "sealing what was written under an ending key: " + sealed.error().message);
  users_.wipe(key_arn);
  users_.drop_pages(key_arn);
  kms_.forget(key_arn);
  users_.wipe(key_arn);  // what was opened before the KMS said no, and came to memory after the first time
  users_.release(key_arn);
}

}  // namespace coffer
