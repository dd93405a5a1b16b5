#pragma once

#include <memory>

#include "base/clock.h"
#include "crypto/aead_suite.h"
#include "crypto/kms.h"

namespace coffer {

// A Kms in front of a Kms: S3's Bucket Keys. generate_data_key makes each object's key from one bucket-level key, which
// the Kms behind makes and opens at most once per lifetime (limits.h: seconds and uses) for each bucket, key ARN and
// principal; the bucket is told by the context's aws:s3:arn. The blob it returns holds the bucket-level key's own blob,
// so a reader needs nothing else, and needs one call of the Kms behind for all objects of one bucket-level key. A
// bucket-level key under material that is no longer current makes no more object keys.
// Thread-safe; no lock is held across a call of the Kms behind.
class BucketKeys final : public Kms {
 public:
  BucketKeys(Kms& behind, const AeadSuite& suite, const Clock& clock);
  ~BucketKeys() override;

  Result<DataKey> generate_data_key(std::string_view key, const EncryptionContext& context,
                                    const Principal& principal) override;
  Result<WrappedDataKey> encrypt(std::string_view key, const Key& data_key, const EncryptionContext& context,
                                 const Principal& principal) override;
  Result<Key> decrypt(BytesView blob, const EncryptionContext& context, const Principal& principal) override;
  Status usable(std::string_view key_arn, const EncryptionContext& context, const Principal& principal) const override;
  std::string key_arn_of(BytesView blob) const override;
  bool is_current(BytesView blob, std::string_view key, const Principal& principal) const override;

  void flush(std::string_view key_arn);  // forget every bucket-level key of this KMS key: it was disabled

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace coffer
