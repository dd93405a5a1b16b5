#pragma once

#include <functional>
#include <optional>

#include "crypto/kms.h"

namespace coffer {

// One call of a KMS that was answered, or refused.
struct KmsUse {
  std::string_view operation;  // GenerateDataKey, Encrypt, Decrypt
  std::string key;             // as the call named it; Decrypt names none
  std::string key_arn;         // that served; empty where nobody knows
  EncryptionContext context;
  Principal principal;
  std::optional<Error> error;
};

// A Kms in front of a Kms that tells of each call that reaches it, once it is answered. What costs no call is not told.
class ObservedKms final : public Kms {
 public:
  explicit ObservedKms(Kms& behind) : behind_(behind) {}
  // Before others use it. Called by whoever calls the KMS; may not block for long.
  void observe(std::function<void(KmsUse)> tell) { tell_ = std::move(tell); }

  Result<DataKey> generate_data_key(std::string_view key, const EncryptionContext& context,
                                    const Principal& principal) override;
  Result<WrappedDataKey> encrypt(std::string_view key, const Key& data_key, const EncryptionContext& context,
                                 const Principal& principal) override;
  Result<Key> decrypt(BytesView blob, const EncryptionContext& context, const Principal& principal) override;
  Status usable(std::string_view key_arn, const EncryptionContext& context,
                const Principal& principal) const override {
    return behind_.usable(key_arn, context, principal);
  }
  std::string key_arn_of(BytesView blob) const override { return behind_.key_arn_of(blob); }
  bool is_current(BytesView blob, std::string_view key, const Principal& principal) const override {
    return behind_.is_current(blob, key, principal);
  }

 private:
  Kms& behind_;
  std::function<void(KmsUse)> tell_;
};

}  // namespace coffer
