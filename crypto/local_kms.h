#pragma once

#include <map>
#include <memory>
#include <shared_mutex>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/secret_bytes.h"
#include "crypto/key_schedule.h"
#include "crypto/kms.h"
#include "crypto/kms_records.h"

namespace coffer {

// A KMS in this process: symmetric keys with versioned material, wrapped under the store's root. Holds all its
// records in memory (limits.h: kKmsKeysMax), writes each change through KmsRecords before it takes effect. Thread-safe.
// Errors carry KMS's own message texts (S3.md rows KMS-10..16, 18, 23).
class LocalKms final : public Kms {
 public:
  static Result<std::unique_ptr<LocalKms>> open(const KeySchedule& keys, const AeadSuite& suite, KmsRecords& records,
                                                const Clock& clock, Realm realm);
  ~LocalKms() override;

  // Kms. generate_data_key and encrypt under alias/aws/s3 make that key on its first use.
  Result<DataKey> generate_data_key(std::string_view key, const EncryptionContext& context,
                                    const Principal& principal) override;
  Result<WrappedDataKey> encrypt(std::string_view key, const Key& data_key, const EncryptionContext& context,
                                 const Principal& principal) override;
  Result<Key> decrypt(BytesView blob, const EncryptionContext& context, const Principal& principal) override;
  Status usable(std::string_view key_arn, const Principal& principal) const override;
  bool is_current(BytesView blob, std::string_view key) const override;

  // GenerateDataKey and Decrypt as the wire has them: any length, KeyId optional on Decrypt.
  struct WireDataKey {
    SecretBytes plaintext;
    Bytes blob;
    std::string key_arn, material_id;
  };
  Result<WireDataKey> generate_bytes(std::string_view key, std::size_t size, const EncryptionContext& context,
                                     const Principal& principal);
  struct WireDecrypted {
    SecretBytes plaintext;
    std::string key_arn, material_id;
  };
  Result<WireDecrypted> decrypt_bytes(BytesView blob, const EncryptionContext& context, const Principal& principal,
                                      std::string_view expected_key /* empty: any */);

  Result<KeyMetadata> create_key(std::string_view description);
  Result<KeyMetadata> describe(std::string_view key) const;
  std::vector<KeyMetadata> list_keys() const;
  std::vector<KeyAlias> list_aliases() const;
  Status create_alias(std::string_view name, std::string_view key);
  Status enable(std::string_view key);
  Status disable(std::string_view key);
  Status rotate(std::string_view key);  // RotateKeyOnDemand: adds material, old blobs stay readable
  Result<KeyMetadata> schedule_deletion(std::string_view key, int days /* 7-30 */);
  Result<KeyMetadata> cancel_deletion(std::string_view key);
  Status delete_expired();  // drops the material of keys whose window has passed; called at start and hourly

  std::map<std::string, std::uint64_t> call_counts() const;  // since the store was made
  Status save_call_counts();  // called before each commit of the store; no-op when nothing changed

 private:
  struct State;
  explicit LocalKms(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace coffer
