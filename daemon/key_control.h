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
class KmsKeyControl final : public KeyControl {
 public:
  // make_durable: a durable commit of everything answered so far.
  KmsKeyControl(LocalKms& kms, KeyUsers& users, std::function<Status()> make_durable)
      : kms_(kms), users_(users), make_durable_(std::move(make_durable)) {}

  Result<KeyMetadata> create_key(std::string_view description) override;
  Result<KeyMetadata> describe_key(std::string_view key) override;
  Result<std::vector<KeyMetadata>> list_keys() override;
  Status enable_key(std::string_view key) override;
  Status disable_key(std::string_view key) override;
  Status rotate_key(std::string_view key) override;
  Result<KeyMetadata> schedule_key_deletion(std::string_view key, int days) override;
  Result<KeyMetadata> cancel_key_deletion(std::string_view key) override;

 private:
  Status end_key(std::string_view key, const std::function<Status()>& switch_state);

  LocalKms& kms_;
  KeyUsers& users_;
  const std::function<Status()> make_durable_;
};

class KmsAliasControl final : public AliasControl {
 public:
  KmsAliasControl(LocalKms& kms, std::function<Status()> make_durable)
      : kms_(kms), make_durable_(std::move(make_durable)) {}
  Status create_alias(std::string_view name, std::string_view key) override;
  Result<std::vector<KeyAlias>> list_aliases() override;

 private:
  LocalKms& kms_;
  const std::function<Status()> make_durable_;
};

class KmsDataKeyControl final : public DataKeyControl {
 public:
  explicit KmsDataKeyControl(LocalKms& kms) : kms_(kms) {}
  Result<Generated> generate_data_key(std::string_view key, std::size_t size, const EncryptionContext& context,
                                      const Principal& caller) override;
  Result<Decrypted> decrypt(BytesView blob, const EncryptionContext& context, const Principal& caller,
                            std::string_view expected_key) override;
  Result<std::map<std::string, std::uint64_t>> call_counts() override { return kms_.call_counts(); }

 private:
  LocalKms& kms_;
};

}  // namespace coffer
