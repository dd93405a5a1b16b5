#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/secret_bytes.h"
#include "crypto/key_schedule.h"
#include "crypto/kms.h"
#include "crypto/kms_access.h"
#include "crypto/kms_records.h"
#include "iam/decision.h"

namespace coffer {

// A KMS in this process: symmetric keys with versioned material, wrapped under the store's root. Holds all its
// records in memory (limits.h: kKmsKeysMax), writes each change through KmsRecords before it takes effect. Thread-safe.
// Errors carry KMS's own message texts (S3.md rows KMS-10..25).
//
// What uses keys names who asks, and is checked. What manages them does what it is told: who lets callers in asks
// authorize() first. Names without an account (an id, an alias) are the store's account's there.
class LocalKms final : public Kms {
 public:
  static Result<std::unique_ptr<LocalKms>> open(const KeySchedule& keys, const AeadSuite& suite, KmsRecords& records,
                                                const Clock& clock, Realm realm);
  ~LocalKms() override;

  // Kms. generate_data_key and encrypt under alias/aws/s3 make that key on its first use, in the principal's account.
  Result<DataKey> generate_data_key(std::string_view key, const EncryptionContext& context,
                                    const Principal& principal) override;
  Result<WrappedDataKey> encrypt(std::string_view key, const Key& data_key, const EncryptionContext& context,
                                 const Principal& principal) override;
  Result<Key> decrypt(BytesView blob, const EncryptionContext& context, const Principal& principal) override;
  Status usable(std::string_view key_arn, const EncryptionContext& context, const Principal& principal) const override;
  std::string key_arn_of(BytesView blob) const override;
  bool is_current(BytesView blob, std::string_view key, const Principal& principal) const override;

  // --- using keys, as the wire has it: any length, KeyId optional on Decrypt ---
  struct WireDataKey {
    SecretBytes plaintext;
    Bytes blob;
    std::string key_arn, material_id;
  };
  Result<WireDataKey> generate_bytes(std::string_view key, std::size_t size, const EncryptionContext& context,
                                     const KmsCall& call);
  struct WireDecrypted {
    SecretBytes plaintext;
    std::string key_arn, material_id;
  };
  Result<WireDecrypted> decrypt_bytes(BytesView blob, const EncryptionContext& context, const KmsCall& call,
                                      std::string_view expected_key /* empty: any */);
  struct WireEncrypted {
    Bytes blob;
    std::string key_arn, material_id;
  };
  Result<WireEncrypted> encrypt_bytes(std::string_view key, BytesView plaintext, const EncryptionContext& context,
                                      const KmsCall& call);
  struct ReEncryption {
    BytesView blob;
    std::string_view source_key;  // empty: whichever the blob is under
    EncryptionContext source_context;
    std::string_view destination_key;
    EncryptionContext destination_context;
  };
  struct WireReEncrypted {
    WireEncrypted encrypted;
    std::string source_key_arn, source_material_id;
  };
  Result<WireReEncrypted> re_encrypt(const ReEncryption& request, const KmsCall& call);
  Result<SecretBytes> random_bytes(std::size_t size) const;  // 1 to 1024

  // --- managing keys ---
  // The key that `key` names in the caller's account, if the caller may do `action` ("kms:DisableKey") with it; no call
  // is counted. more: condition keys of this operation alone. kKeyMissing, kKeyDenied.
  Result<KeyMetadata> authorize(std::string_view action, std::string_view key, const KmsCall& call,
                                const ConditionKeys& more = {}) const;
  // The same, and nobody is asked whether the caller may: for who asks by using the key.
  Result<KeyMetadata> find(std::string_view key, const AccountId& account) const;
  // authorize of an operation on no key. resource: an alias's ARN, or *.
  Status authorize_account(std::string_view action, const KmsCall& call, const std::string& resource = "*",
                           const ConditionKeys& more = {}) const;
  // Whose policies are asked, of every call from now on; until then callers have none. Outlives the KMS.
  void consult(const Identities& identities);

  // --- who may use keys (local_kms_access.cc); each asks for itself whether the caller may ---
  Result<std::string> key_policy(std::string_view key, const KmsCall& call) const;
  Status check_key_policy(std::string_view key, const KmsCall& call) const;  // whether it may be asked for: ListKeyPolicies
  enum class LockOut { kRefuse, kAllow };
  // kInvalidArgument where it is no policy, or would not let the caller put another (KMS-45).
  Status put_key_policy(std::string_view key, std::string_view policy, LockOut lock_out, const KmsCall& call);
  Result<KeyGrant> create_grant(std::string_view key, NewGrant terms, const KmsCall& call);  // KMS-42
  Result<std::vector<ListedGrant>> list_grants(std::string_view key, const KmsCall& call) const;
  Result<std::vector<ListedGrant>> list_retirable_grants(const std::string& principal, const KmsCall& call) const;
  // The ARN of the key; kNotFound.
  Result<std::string> revoke_grant(std::string_view key, std::string_view grant_id, const KmsCall& call);
  struct GrantName {
    std::string token, key, grant_id;  // the token alone, or both of the others
  };
  Result<std::string> retire_grant(const GrantName& grant, const KmsCall& call);
  Result<std::string> find_retirable(const GrantName& grant, const KmsCall& call) const;  // the same, and nothing changes
  // Whether the caller could put another policy on a new key of its account that has this one.
  Status check_keeps_in(std::string_view policy, const KmsCall& call) const;
  std::string alias_arn(std::string_view name, const AccountId& account) const;

  Result<KeyMetadata> create_key(std::string_view description);
  Result<KeyMetadata> create_key(const NewKey& key, const AccountId& account);
  Result<KeyMetadata> describe(std::string_view key) const;
  std::vector<KeyMetadata> list_keys() const;
  std::vector<KeyMetadata> list_keys(const AccountId& account) const;
  Status enable(std::string_view key);
  Status disable(std::string_view key);
  Status set_description(std::string_view key, std::string_view description);
  Result<KeyMetadata> schedule_deletion(std::string_view key, int days /* 7-30 */);
  Result<KeyMetadata> cancel_deletion(std::string_view key);
  Result<bool> delete_expired();  // drops the material of keys whose window has passed; whether there was one

  std::vector<KeyAlias> list_aliases() const;
  std::vector<KeyAlias> list_aliases(const AccountId& account) const;
  Status create_alias(std::string_view name, std::string_view key);
  Status create_alias(std::string_view name, std::string_view key, const AccountId& account);
  Status update_alias(std::string_view name, std::string_view key, const AccountId& account);
  Status delete_alias(std::string_view name, const AccountId& account);

  Status tag(std::string_view key, const std::vector<KeyTag>& tags);
  Status untag(std::string_view key, const std::vector<std::string>& names);
  Result<std::vector<KeyTag>> list_tags(std::string_view key) const;

  // --- turning keys: new material is added, old blobs stay readable (KMS-40, 41) ---
  Status rotate(std::string_view key);                              // RotateKeyOnDemand
  Status enable_rotation(std::string_view key, std::int64_t days);  // 90-2560
  Status disable_rotation(std::string_view key);
  Result<KeyMetadata> rotation_status(std::string_view key) const;
  Result<std::vector<KeyRotation>> list_rotations(std::string_view key) const;  // oldest first, the first material too
  Result<bool> rotate_due();  // turns every enabled key whose time has come; whether there was one

  // --- imported material (GetParametersForImport and what follows it); the key's origin is kExternal ---
  struct ImportParameters {
    std::string key_arn;
    Bytes public_key;  // DER SubjectPublicKeyInfo
    Bytes token;       // opaque: holds the private key, sealed; good for 24 hours and for this key
    std::int64_t valid_to_ns = 0;
  };
  Result<ImportParameters> parameters_for_import(std::string_view key, ImportWrapping wrapping, int rsa_bits) const;
  // expires_ns: in the future, at most a year ahead; nothing: never. Material that was there before must come again.
  // kInvalidImportToken, kExpiredImportToken, kInvalidCiphertext, kWrongMaterial.
  Result<KeyMetadata> import_material(std::string_view key, BytesView token, BytesView wrapped_material,
                                      std::optional<std::int64_t> expires_ns);
  Result<KeyMetadata> delete_imported_material(std::string_view key);
  std::vector<KeyMetadata> expired_materials() const;      // keys whose imported material is there beyond its time
  Status drop_expired_material(std::string_view key_arn);  // nothing if it was renewed meanwhile

  std::map<std::string, std::uint64_t> call_counts() const;  // since the store was made
  Status save_call_counts();  // called before each commit of the store; no-op when nothing changed

 private:
  struct State;
  explicit LocalKms(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace coffer
