#pragma once

#include <functional>

#include "admin/control.h"
#include "base/clock.h"
#include "iam/users.h"

namespace coffer {

// The server's users are the store's.
class StoreUserControl final : public UserControl {
 public:
  // change_callers: runs a change after which some may read less (KmsKeyControl); durable when it returns.
  using ChangeCallers = std::function<Status(const std::function<Status()>&)>;
  StoreUserControl(Users& users, const Clock& clock, ChangeCallers change_callers, std::function<Status()> make_durable)
      : users_(users),
        clock_(clock),
        change_callers_(std::move(change_callers)),
        make_durable_(std::move(make_durable)) {}

  Result<UserInfo> create_user(const AccountId& account, std::string_view name) override;
  Status delete_user(const AccountId& account, std::string_view name) override;
  Result<UserInfo> find_user(const AccountId& account, std::string_view name) override;
  Result<std::vector<UserInfo>> list_users(const AccountId& account) override;
  Result<AccessKey> create_access_key(const AccountId& account, std::string_view name) override;
  Status delete_access_key(const AccountId& account, std::string_view name, std::string_view id) override;
  Status switch_access_key(const AccountId& account, std::string_view name, std::string_view id, bool active) override;
  Status put_user_policy(const AccountId& account, std::string_view name, std::string_view policy,
                         std::string_view text) override;
  Status delete_user_policy(const AccountId& account, std::string_view name, std::string_view policy) override;

 private:
  Users& users_;
  const Clock& clock_;
  const ChangeCallers change_callers_;
  const std::function<Status()> make_durable_;
};

}  // namespace coffer
