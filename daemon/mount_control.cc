#include "daemon/mount_control.h"

#include <unistd.h>

namespace coffer {
namespace {

std::string_view state_name(ExternalKms::Condition::State state) {
  switch (state) {
    case ExternalKms::Condition::State::kUntried: return "untried";
    case ExternalKms::Condition::State::kAnswers: return "answers";
    case ExternalKms::Condition::State::kAway: return "away";
  }
  return "";
}

}  // namespace

void StoreMountControl::tell_of(const ExternalKms& kms, std::string endpoint) {
  external_ = &kms;
  endpoint_ = std::move(endpoint);
}

Result<MountStatus> StoreMountControl::status() {
  MountStatus out;
  out.store = place_.store;
  out.dir = place_.dir;
  out.socket = place_.socket;
  out.pid = getpid();
  const Store::CommitState commit = store_.commit_state();
  out.commit_counter = commit.counter;
  out.commit_digest = commit.digest;
  if (const Store::ResealProgress reseal = store_.reseal_progress(); reseal.waiting > 0) {
    out.jobs.push_back({"reseal", reseal.done, reseal.done + reseal.waiting});
  }
  if (const auto scrub = store_.scrub_state(); scrub.running) {
    out.jobs.push_back({"scrub", scrub.done, scrub.total});
  }
  out.poisoned = store_.poisoned();
  out.crypto = suite_.describe();
  const Store::MemoryUse memory = store_.memory_use();
  out.cache = {
      {"open_objects", memory.open_objects}, {"dirty_bytes", memory.dirty_bytes}, {"log_bytes", memory.log_bytes}};
  if (external_ != nullptr) {
    const ExternalKms::Condition kms = external_->condition();
    out.external_kms = ExternalKmsStatus{endpoint_,    std::string(state_name(kms.state)), kms.calls, kms.failures,
                                         kms.under_way, kms.last_failure};
  }
  return out;
}

Result<ObjectInfo> StoreMountControl::inspect(std::string_view bucket, std::string_view key) {
  const auto name = BucketName::parse(bucket);
  if (!name.ok()) return Error{Code::kNoSuchBucket, "the bucket does not exist"};
  COFFER_TRY(store_.find_bucket(*name));
  COFFER_ASSIGN(const InodeNumber ino, store_.resolve(bucket, key));
  COFFER_ASSIGN(const Sealing sealing, store_.sealing(ino));
  const Envelope& envelope = sealing.envelope;
  ObjectInfo out;
  out.bucket = bucket;
  out.key = key;
  out.sse = sse_name(envelope.algorithm);
  out.kms_key_arn = envelope.kms_key_arn;
  out.bucket_key = envelope.bucket_key();
  out.chunk_size = envelope.chunk_size;
  out.size = sealing.size;
  for (const EnvelopeLayer& layer : envelope.layers) {
    out.layers.push_back({"AES-256-GCM", std::string(key_source_name(layer.source))});
  }
  out.context = {{"aws:s3:arn", envelope.context_arn}};
  out.reseal_pending = sealing.reseal_pending;
  return out;
}

Result<std::uint64_t> StoreMountControl::reseal(const BucketName& bucket, std::string_view prefix, Reseal what) {
  const bool anew = what == Reseal::kNewDataKeys;
  return store_.queue_reseal(bucket, prefix, anew ? ResealScope::kNewDataKeys : ResealScope::kWhatIsDue);
}

Status StoreMountControl::scrub(std::int64_t rate_mib, Scrub from) {
  const bool anew = from == Scrub::kTheBeginning;
  return store_.start_scrub(rate_mib, anew ? Store::ScrubFrom::kTheBeginning : Store::ScrubFrom::kWhereItWas);
}

Result<MountControl::ScrubStatus> StoreMountControl::scrub_status() {
  auto state = store_.scrub_state();
  ScrubStatus out;
  out.job = {"scrub", state.done, state.total};
  out.running = state.running;
  out.report = std::move(state.report);
  if (state.failure) out.failure = state.failure->message;
  return out;
}

}  // namespace coffer
