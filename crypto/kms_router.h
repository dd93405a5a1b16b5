#pragma once

#include "crypto/external_kms.h"
#include "crypto/local_kms.h"

namespace coffer {

// Two KMSs as one. An ARN that the local KMS does not know names a key of the external one; ids, alias names and what is
// local stay here. What has been wrapped is opened by who wrapped it: its blob says who that was.
class KmsRouter final : public Kms {
 public:
  KmsRouter(LocalKms& local, ExternalKms& external) : local_(local), external_(external) {}

  Result<DataKey> generate_data_key(std::string_view key, const EncryptionContext& context,
                                    const Principal& principal) override;
  Result<WrappedDataKey> encrypt(std::string_view key, const Key& data_key, const EncryptionContext& context,
                                 const Principal& principal) override;
  Result<Key> decrypt(BytesView blob, const EncryptionContext& context, const Principal& principal) override;
  Status usable(std::string_view key_arn, const EncryptionContext& context, const Principal& principal) const override;
  std::string key_arn_of(BytesView blob) const override;
  bool is_current(BytesView blob, std::string_view key, const Principal& principal) const override;

 private:
  bool is_elsewhere(std::string_view key, const EncryptionContext& context, const Principal& principal) const;

  LocalKms& local_;
  ExternalKms& external_;
};

}  // namespace coffer
