#pragma once

#include <atomic>
#include <functional>

#include "crypto/kms.h"

namespace coffer::testing {

// A Kms that passes every call on to the one behind it, but for the n-th, which fails or waits as it was told.
class FaultyKms final : public Kms {
 public:
  void stand_before(Kms* behind) { behind_ = behind; }

  // The n-th call from now on (1 is the next) answers kKmsAway.
  void fail_at(std::uint64_t n) { fail_at_ = calls_ + n; }
  // Before the n-th call is passed on, `meanwhile` runs: what others do while a slow KMS thinks.
  void wait_at(std::uint64_t n, std::function<void()> meanwhile) {
    meanwhile_ = std::move(meanwhile);
    wait_at_ = calls_ + n;
  }
  void fail_never() { fail_at_ = wait_at_ = 0; }
  bool failed() const { return failed_; }

  Result<DataKey> generate_data_key(std::string_view key, const EncryptionContext& context,
                                    const Principal& principal) override {
    COFFER_TRY(enter());
    return behind_->generate_data_key(key, context, principal);
  }
  Result<WrappedDataKey> encrypt(std::string_view key, const Key& data_key, const EncryptionContext& context,
                                 const Principal& principal) override {
    COFFER_TRY(enter());
    return behind_->encrypt(key, data_key, context, principal);
  }
  Result<Key> decrypt(BytesView blob, const EncryptionContext& context, const Principal& principal) override {
    COFFER_TRY(enter());
    return behind_->decrypt(blob, context, principal);
  }
  Status usable(std::string_view key_arn, const EncryptionContext& context,
                const Principal& principal) const override {
    return behind_->usable(key_arn, context, principal);
  }
  std::string key_arn_of(BytesView blob) const override { return behind_->key_arn_of(blob); }
  bool is_current(BytesView blob, std::string_view key, const Principal& principal) const override {
    return behind_->is_current(blob, key, principal);
  }

 private:
  Status enter() {
    const auto call = ++calls_;
    if (call == fail_at_) {
      failed_ = true;
      return Error{Code::kKmsAway, "a fault was asked for"};
    }
    if (call == wait_at_) meanwhile_();
    return {};
  }

  Kms* behind_ = nullptr;
  std::atomic<std::uint64_t> calls_{0};
  std::atomic<bool> failed_{false};
  std::uint64_t fail_at_ = 0, wait_at_ = 0;
  std::function<void()> meanwhile_;
};

}  // namespace coffer::testing
