#pragma once

#include "admin/control.h"
#include "base/clock.h"
#include "iam/users.h"
#include "store/store.h"

namespace coffer {

// Who may do what, by users' policies and those of the store's buckets; and what SigV4 is checked against: the access
// keys of STORE/credentials, and users'.
class StoreAccessControl final : public AccessControl, public BucketPolicyControl, public Credentials {
 public:
  StoreAccessControl(Store& store, const Users& users, const Credentials& owner, const Clock& clock, Realm realm)
      : store_(store), users_(users), owner_(owner), clock_(clock), realm_(std::move(realm)) {}

  Status authorize(const Request& request) override;
  Status authorize_bucket(const Request& request, const BucketInfo& bucket) override;
  Status authorize_store(const Request& request) override;
  Status authorize_account(const Request& request, const AccountId& account) override;

  Result<std::optional<std::string>> bucket_policy(const BucketName& bucket) override;
  Status put_bucket_policy(const BucketName& bucket, std::string_view text) override;
  Status delete_bucket_policy(const BucketName& bucket) override;

  std::shared_ptr<const AccessKey> find(std::string_view access_key_id) const override;

 private:
  PolicyContext context_of(const Request& request, const AccountId& resource_account) const;
  Status decide_by_identity(const Request& request, const AccountId& resource_account) const;

  Store& store_;
  const Users& users_;
  const Credentials& owner_;
  const Clock& clock_;
  const Realm realm_;
};

}  // namespace coffer
