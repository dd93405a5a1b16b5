#pragma once

#include <functional>

#include "admin/control.h"
#include "base/log.h"
#include "crypto/bucket_keys.h"
#include "crypto/local_kms.h"
#include "daemon/kernel_cache.h"
#include "store/store.h"

namespace coffer {

// What ends under a key before its state changes: the steps, as a seam, so that a test can record their order.
class KeyUsers {
 public:
  virtual ~KeyUsers() = default;
  virtual void hold(const std::string& key_arn) = 0;        // no new opens, no uncached reads
  virtual void drop_pages(const std::string& key_arn) = 0;  // the kernel writes back what is dirty, forgets the rest
  virtual Status seal_dirty(const std::string& key_arn) = 0;
  virtual void wipe(
      const std::string& key_arn) = 0;  // seals what is left; data keys, decrypted chunks and Bucket Keys leave memory
  virtual void release(const std::string& key_arn) = 0;
};

class StoreKeyUsers final : public KeyUsers {
 public:
  StoreKeyUsers(Store& store, BucketKeys& bucket_keys, KernelCache& cache, Log log)
      : store_(store), bucket_keys_(bucket_keys), cache_(cache), log_(std::move(log)) {}
  void hold(const std::string& key_arn) override { store_.hold_key(key_arn); }
  void drop_pages(const std::string& key_arn) override;
  Status seal_dirty(const std::string& key_arn) override { return store_.seal_dirty(key_arn); }
  void wipe(const std::string& key_arn) override;
  void release(const std::string& key_arn) override { store_.release_key(key_arn); }

 private:
  Store& store_;
  BucketKeys& bucket_keys_;
  KernelCache& cache_;
  const Log log_;
};

// The server's KMS keys. A key that stops serving takes everything readable under it along before the call returns.
class KmsKeyControl final : public KeyControl, public ImportControl, public KeyAccessControl {
 public:
  // make_durable: a durable commit of everything answered so far.
  KmsKeyControl(LocalKms& kms, KeyUsers& users, std::function<Status()> make_durable)
      : kms_(kms), users_(users), make_durable_(std::move(make_durable)) {}

  Result<KeyMetadata> create_key(const NewKey& key, const KmsCall& call) override;
  Result<KeyMetadata> describe_key(std::string_view key, const KmsCall& call) override;
  Result<std::vector<KeyMetadata>> list_keys(const KmsCall& call) override;
  Status update_description(std::string_view key, std::string_view description, const KmsCall& call) override;
  Status enable_key(std::string_view key, const KmsCall& call) override;
  Status disable_key(std::string_view key, const KmsCall& call) override;
  Result<KeyMetadata> schedule_key_deletion(std::string_view key, int days, const KmsCall& call) override;
  Result<KeyMetadata> cancel_key_deletion(std::string_view key, const KmsCall& call) override;

  Result<Parameters> parameters_for_import(std::string_view key, ImportWrapping wrapping, int rsa_bits,
                                           const KmsCall& call) override;
  Result<KeyMetadata> import_material(std::string_view key, BytesView token, BytesView wrapped_material,
                                      std::optional<std::int64_t> expires_ns, std::string_view material_id,
                                      const KmsCall& call) override;
  Result<KeyMetadata> delete_imported_material(std::string_view key, std::string_view material_id,
                                               const KmsCall& call) override;

  Result<std::string> key_policy(std::string_view key, const KmsCall& call) override;
  Status check_key_policy(std::string_view key, const KmsCall& call) override;
  Status put_key_policy(std::string_view key, std::string_view policy, LockOut lock_out, const KmsCall& call) override;
  Result<KeyGrant> create_grant(std::string_view key, const NewGrant& terms, const KmsCall& call) override;
  Result<std::vector<ListedGrant>> list_grants(std::string_view key, const KmsCall& call) override;
  Result<std::vector<ListedGrant>> list_retirable_grants(const std::string& principal, const KmsCall& call) override;
  Status revoke_grant(std::string_view key, std::string_view grant_id, const KmsCall& call) override;
  Status retire_grant(const std::string& token, const std::string& key, const std::string& grant_id,
                      const KmsCall& call) override;

  // A change of callers' own policies: those it keeps out of keys read nothing any more when it returns.
  Status change_callers(const std::function<Status()>& change);

  // What keys do by themselves when their time comes: expire, turn, be deleted. Durable when it returns.
  Status tend();

 private:
  Status end_key(const std::string& arn, const std::function<Status()>& switch_state);
  void revive(const std::string& arn);

  LocalKms& kms_;
  KeyUsers& users_;
  const std::function<Status()> make_durable_;
};

class KmsAliasControl final : public AliasControl {
 public:
  KmsAliasControl(LocalKms& kms, std::function<Status()> make_durable)
      : kms_(kms), make_durable_(std::move(make_durable)) {}
  Status create_alias(std::string_view name, std::string_view key, const KmsCall& call) override;
  Status update_alias(std::string_view name, std::string_view key, const KmsCall& call) override;
  Status delete_alias(std::string_view name, const KmsCall& call) override;
  Result<std::vector<KeyAlias>> list_aliases(std::string_view key, const KmsCall& call) override;

 private:
  LocalKms& kms_;
  const std::function<Status()> make_durable_;
};

class KmsTagControl final : public TagControl {
 public:
  KmsTagControl(LocalKms& kms, std::function<Status()> make_durable)
      : kms_(kms), make_durable_(std::move(make_durable)) {}
  Status tag_key(std::string_view key, const std::vector<KeyTag>& tags, const KmsCall& call) override;
  Status untag_key(std::string_view key, const std::vector<std::string>& names, const KmsCall& call) override;
  Result<std::vector<KeyTag>> list_tags(std::string_view key, const KmsCall& call) override;

 private:
  LocalKms& kms_;
  const std::function<Status()> make_durable_;
};

class KmsRotationControl final : public RotationControl {
 public:
  KmsRotationControl(LocalKms& kms, std::function<Status()> make_durable)
      : kms_(kms), make_durable_(std::move(make_durable)) {}
  Status enable_rotation(std::string_view key, std::int64_t days, const KmsCall& call) override;
  Status disable_rotation(std::string_view key, const KmsCall& call) override;
  Result<KeyMetadata> rotation_status(std::string_view key, const KmsCall& call) override;
  Result<Rotations> list_rotations(std::string_view key, const KmsCall& call) override;
  Result<KeyMetadata> rotate_key(std::string_view key, const KmsCall& call) override;

 private:
  LocalKms& kms_;
  const std::function<Status()> make_durable_;
};

class KmsDataKeyControl final : public DataKeyControl {
 public:
  explicit KmsDataKeyControl(LocalKms& kms) : kms_(kms) {}
  Result<Generated> generate_data_key(std::string_view key, std::size_t size, const EncryptionContext& context,
                                      const KmsCall& call) override;
  Result<Decrypted> decrypt(BytesView blob, const EncryptionContext& context, const KmsCall& call,
                            std::string_view expected_key) override;
  Result<Encrypted> encrypt(std::string_view key, BytesView plaintext, const EncryptionContext& context,
                            const KmsCall& call) override;
  Result<ReEncrypted> re_encrypt(const ReEncryption& request, const KmsCall& call) override;
  Result<SecretBytes> random_bytes(std::size_t size, const KmsCall& call) override;
  Result<std::map<std::string, std::uint64_t>> call_counts() override { return kms_.call_counts(); }

 private:
  LocalKms& kms_;
};

}  // namespace coffer
