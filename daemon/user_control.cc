#include "daemon/user_control.h"

#include "admin/credentials_file.h"

namespace coffer {
namespace {

UserInfo to_info(const UserRecord& user) {
  UserInfo out{user.account, user.name, user.principal().arn, user.created_ns, {}, user.policies};
  for (const UserKey& key : user.keys) out.keys.push_back({key.id, key.active, key.created_ns});
  return out;
}

}  // namespace

Result<UserInfo> StoreUserControl::create_user(const AccountId& account, std::string_view name) {
  COFFER_TRY(users_.create(account, name, clock_.wall_ns()));
  COFFER_TRY(make_durable_());
  return find_user(account, name);
}

Status StoreUserControl::delete_user(const AccountId& account, std::string_view name) {
  COFFER_TRY(users_.remove(account, name));
  return make_durable_();
}

Result<UserInfo> StoreUserControl::find_user(const AccountId& account, std::string_view name) {
  COFFER_ASSIGN(const UserRecord user, users_.find(account, name));
  return to_info(user);
}

Result<std::vector<UserInfo>> StoreUserControl::list_users(const AccountId& account) {
  std::vector<UserInfo> out;
  for (const UserRecord& user : users_.list(account)) out.push_back(to_info(user));
  return out;
}

Result<AccessKey> StoreUserControl::create_access_key(const AccountId& account, std::string_view name) {
  COFFER_ASSIGN(const UserRecord user, users_.find(account, name));
  COFFER_ASSIGN(AccessKey key, make_access_key(user.principal()));
  COFFER_TRY(users_.add_key(account, name,
                            {key.id, std::make_shared<const SecretBytes>(key.secret.view()), true, clock_.wall_ns()}));
  COFFER_TRY(make_durable_());
  return key;
}

Status StoreUserControl::delete_access_key(const AccountId& account, std::string_view name, std::string_view id) {
  COFFER_TRY(users_.remove_key(account, name, id));
  return make_durable_();
}

Status StoreUserControl::switch_access_key(const AccountId& account, std::string_view name, std::string_view id,
                                           bool active) {
  COFFER_TRY(users_.switch_key(account, name, id, active));
  return make_durable_();
}

Status StoreUserControl::put_user_policy(const AccountId& account, std::string_view name, std::string_view policy,
                                         std::string_view text) {
  COFFER_TRY(users_.find(account, name));  // before anybody is disturbed
  return change_callers_([&] { return users_.put_policy(account, name, policy, text); });
}

Status StoreUserControl::delete_user_policy(const AccountId& account, std::string_view name, std::string_view policy) {
  COFFER_TRY(users_.find(account, name));
  return change_callers_([&] { return users_.remove_policy(account, name, policy); });
}

}  // namespace coffer
