#include "daemon/housekeeper.h"

#include <algorithm>
#include <chrono>
#include <string>

#include "base/limits.h"

namespace coffer {

Housekeeper::Housekeeper(Store& store, std::function<Status()> tend_keys, AuditTrail& audit, Log log)
    : store_(store),
      tend_keys_(std::move(tend_keys)),
      audit_(audit),
      log_(std::move(log)),
      soft_([this] { commit_softly(); }),
      durable_([this] { commit_durably(); }),
      behind_([this] { work_behind(); }),
      scrub_([this] { scrub(); }) {}

Housekeeper::~Housekeeper() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  end_.notify_all();
  store_.stop_scrub();
  soft_.join();
  durable_.join();
  behind_.join();
  scrub_.join();
}

bool Housekeeper::wait_ms(std::int64_t time) {
  std::unique_lock lock(mutex_);
  return !end_.wait_for(lock, std::chrono::milliseconds(time), [&] { return ending_; });
}

void Housekeeper::report(const char* what, const Status& status) {
  if (status.ok()) return;
  {
    // A poisoned store says so once, not twenty times a second.
    const std::lock_guard lock(mutex_);
    if (status.code() == Code::kPoisoned && reported_) return;
    reported_ = reported_ || status.code() == Code::kPoisoned;
  }
  log_(LogLevel::kError, std::string(what) + ": " + status.error().message);
}

void Housekeeper::commit_softly() {
  while (wait_ms(kCommitIntervalMs)) {
    audit_.write();
    if (store_.dirty()) report("commit", store_.commit_soon());
  }
}

void Housekeeper::commit_durably() {
  report("tending the keys", tend_keys_());
  for (std::int64_t since_durable_ms = 0; wait_ms(kCheckpointLookMs); since_durable_ms += kCheckpointLookMs) {
    report("checkpoint", store_.checkpoint_if_due());
    if (since_durable_ms < kDurableIntervalMs) continue;
    since_durable_ms = 0;
    report("tending the keys", tend_keys_());
    const std::uint64_t audit_first = audit_.first_committed();
    const bool recorded = audit_.sync();
    if (!store_.dirty() && !recorded) continue;
    const Status durable = store_.sync_all();
    report("durable commit", durable);
    if (durable.ok()) audit_.prune(audit_first);
  }
}

void Housekeeper::work_behind() {
  std::int64_t rest_ms = kBehindLookMs;
  while (wait_ms(rest_ms)) {
    const auto begin = std::chrono::steady_clock::now();
    report("removing what no commit names", store_.collect_garbage());
    const bool copied = store_.copy_step(), renewed = store_.renew_headers();
    const Result<bool> step = store_.reseal_step();
    if (!step.ok()) report("resealing", step.error());
    const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begin);
    // As long a rest as the step took: the mount's users come first.
    rest_ms = copied || renewed || (step.ok() && *step) ? std::clamp<std::int64_t>(took.count(), 1, kBehindLookMs) : kBehindLookMs;
  }
}

// A thread of its own: one look at the tables of a large catalog takes seconds.
void Housekeeper::scrub() {
  std::int64_t rest_ms = kBehindLookMs;
  while (wait_ms(rest_ms)) rest_ms = store_.scrub_step().value_or(kBehindLookMs);
}

}  // namespace coffer
