#pragma once

#include "admin/control.h"
#include "base/log.h"
#include "crypto/keyring.h"
#include "crypto/local_kms.h"
#include "daemon/kernel_cache.h"
#include "store/store.h"

namespace coffer {

// The server's buckets are the store's, and directories of the mount: what changes one, changes the other at once.
class StoreBucketControl final : public BucketControl {
 public:
  // Buckets made here belong to `uid` and `gid`, the mounter.
  // calls: where the calls go that S3 makes for a caller, in front of kms.
  StoreBucketControl(Store& store, const Keyring& keyring, LocalKms& kms, Kms& calls, KernelCache& cache, Region region,
                     std::uint32_t uid, std::uint32_t gid, Log log)
      : store_(store),
        keyring_(keyring),
        kms_(kms),
        calls_(calls),
        cache_(cache),
        region_(std::move(region)),
        uid_(uid),
        gid_(gid),
        log_(std::move(log)) {}

  Status create_bucket(const BucketName& bucket, const Principal& caller) override;
  Status delete_bucket(const BucketName& bucket) override;
  Result<BucketInfo> find_bucket(const BucketName& bucket) override;
  Result<std::vector<BucketInfo>> list_buckets() override;
  Result<SseRule> rule(const BucketName& bucket) override;
  Status put_rule(const BucketName& bucket, const SseRule& rule) override;
  Status put_directory_rule(const BucketName& bucket, const SseRule& rule, const Principal& caller) override;
  Status reset_rule(const BucketName& bucket) override;

 private:
  Status try_key(const BucketName& bucket, std::string_view key_arn, const Principal& caller);

  Store& store_;
  const Keyring& keyring_;
  LocalKms& kms_;
  Kms& calls_;
  KernelCache& cache_;
  const Region region_;
  const std::uint32_t uid_, gid_;
  const Log log_;
};

}  // namespace coffer
