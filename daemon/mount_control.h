#pragma once

#include <string>

#include "admin/control.h"
#include "crypto/aead_suite.h"
#include "crypto/external_kms.h"
#include "store/store.h"

namespace coffer {

// Coffer's own operations: what the mount is doing, how an object is sealed, the reseal queue, the online check.
class StoreMountControl final : public MountControl {
 public:
  struct Place {
    std::string store, dir, socket;
  };
  StoreMountControl(Store& store, const AeadSuite& suite, Place place)
      : store_(store), suite_(suite), place_(std::move(place)) {}
  void tell_of(const ExternalKms& kms, std::string endpoint);

  Result<MountStatus> status() override;
  Result<ObjectInfo> inspect(std::string_view bucket, std::string_view key) override;
  Result<std::uint64_t> reseal(const BucketName& bucket, std::string_view prefix, Reseal what) override;
  Status scrub(std::int64_t rate_mib, Scrub from) override;
  Result<ScrubStatus> scrub_status() override;

 private:
  Store& store_;
  const AeadSuite& suite_;
  const Place place_;
  const ExternalKms* external_ = nullptr;
  std::string endpoint_;  // external_'s
};

}  // namespace coffer
