#pragma once

#include "admin/control.h"
#include "crypto/keyring.h"
#include "daemon/kernel_cache.h"
#include "store/store.h"

namespace coffer {

// The server's buckets are the store's, and directories of the mount: what changes one, changes the other at once.
class StoreBucketControl final : public BucketControl {
 public:
  // Buckets made here belong to `uid` and `gid`, the mounter.
  StoreBucketControl(Store& store, const Keyring& keyring, KernelCache& cache, std::uint32_t uid, std::uint32_t gid)
      : store_(store), keyring_(keyring), cache_(cache), uid_(uid), gid_(gid) {}

  Status create_bucket(const BucketName& bucket, const Principal& caller) override;
  Status delete_bucket(const BucketName& bucket) override;
  Result<BucketInfo> find_bucket(const BucketName& bucket) override;
  Result<std::vector<BucketInfo>> list_buckets() override;
  Result<SseRule> rule(const BucketName& bucket) override;
  Status put_rule(const BucketName& bucket, const SseRule& rule) override;
  Status reset_rule(const BucketName& bucket) override;

 private:
  Store& store_;
  const Keyring& keyring_;
  KernelCache& cache_;
  const std::uint32_t uid_, gid_;
};

}  // namespace coffer
