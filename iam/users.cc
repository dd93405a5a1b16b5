#include "iam/users.h"

#include <algorithm>

#include "base/policy_limits.h"

namespace coffer {
namespace {

Error no_user(std::string_view name) {
  return {Code::kNotFound, "The user with name " + std::string(name) + " cannot be found."};
}
Error no_key(std::string_view id) {
  return {Code::kNotFound, "The Access Key with id " + std::string(id) + " cannot be found."};
}

bool is_name(std::string_view name, std::size_t size_max) {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("+=,.@_-").find(c) != std::string_view::npos;
  };
  return !name.empty() && name.size() <= size_max && std::all_of(name.begin(), name.end(), fits);
}

// In place of a policy that this version cannot read: nobody is let in by what it may have said.
std::shared_ptr<const Policy> deny_everything() {
  static constexpr std::string_view kText = R"({"Statement":{"Effect":"Deny","Action":"*","Resource":"*"}})";
  return std::make_shared<const Policy>(parse_policy(kText, PolicyKind::kIdentity).value());
}

IdentityPolicies read_policies(const UserRecord& user) {
  IdentityPolicies out;
  for (const auto& [name, text] : user.policies) {
    auto policy = parse_policy(text, PolicyKind::kIdentity);
    out.push_back(policy.ok() ? std::make_shared<const Policy>(*std::move(policy)) : deny_everything());
  }
  return out;
}

}  // namespace

Principal UserRecord::principal() const {
  if (name == kRootUser) return Principal::root_of(account);
  return {account, "arn:aws:iam::" + account.str() + ":user/" + name};
}

Status check_user_name(std::string_view name) {
  if (is_name(name, kUserNameSizeMax)) return {};
  return Error{Code::kInvalidArgument, "A user's name has 1 to 64 letters, digits and characters of +=,.@_-"};
}

Status check_policy_name(std::string_view name) {
  if (is_name(name, kPolicyNameSizeMax)) return {};
  return Error{Code::kInvalidArgument, "A policy's name has 1 to 128 letters, digits and characters of +=,.@_-"};
}

Result<std::unique_ptr<Users>> Users::open(UserRecords& records) {
  std::unique_ptr<Users> users(new Users(records));
  COFFER_ASSIGN(auto loaded, records.load_users());
  if (loaded.size() > kUsersMax) return Error{Code::kLimit, "the store holds more users than this version can"};
  for (UserRecord& user : loaded) users->show(std::move(user));
  return users;
}

void Users::show(UserRecord user) {
  const Name name{user.account, user.name};
  std::erase_if(keys_, [&](const auto& key) { return key.second == name; });
  for (const UserKey& key : user.keys) keys_.insert_or_assign(key.id, name);
  policies_.insert_or_assign(user.principal().arn, read_policies(user));
  users_.insert_or_assign(name, std::move(user));
}

IdentityPolicies Users::policies_of(const Principal& principal) const {
  std::shared_lock lock(mutex_);
  const auto found = policies_.find(principal.arn);
  return found == policies_.end() ? IdentityPolicies() : found->second;
}

std::optional<Users::Caller> Users::find_key(std::string_view access_key_id) const {
  std::shared_lock lock(mutex_);
  const auto owner = keys_.find(access_key_id);
  if (owner == keys_.end()) return std::nullopt;
  const UserRecord& user = users_.at(owner->second);
  for (const UserKey& key : user.keys)
    if (key.id == access_key_id && key.active) return Caller{user.principal(), key.secret};
  return std::nullopt;
}

Result<UserRecord> Users::find(const AccountId& account, std::string_view name) const {
  std::shared_lock lock(mutex_);
  const auto found = users_.find({account, std::string(name)});
  if (found == users_.end()) return no_user(name);
  return found->second;
}

std::vector<UserRecord> Users::list(const AccountId& account) const {
  std::shared_lock lock(mutex_);
  std::vector<UserRecord> out;
  for (const auto& [name, user] : users_)
    if (name.first == account) out.push_back(user);
  return out;
}

Status Users::create(const AccountId& account, std::string_view name, std::int64_t now_ns) {
  COFFER_TRY(check_user_name(name));
  std::lock_guard changing(change_);
  {
    std::shared_lock lock(mutex_);
    if (users_.contains({account, std::string(name)}))
      return Error{Code::kExists, "User with name " + std::string(name) + " already exists."};
    if (users_.size() >= kUsersMax) return Error{Code::kLimit, "Cannot exceed quota for Users: " + std::to_string(kUsersMax)};
  }
  UserRecord user{account, std::string(name), now_ns};
  COFFER_TRY(records_.save_user(user));
  std::unique_lock lock(mutex_);
  show(std::move(user));
  return {};
}

Status Users::remove(const AccountId& account, std::string_view name) {
  std::lock_guard changing(change_);
  COFFER_ASSIGN(const UserRecord user, find(account, name));
  if (!user.keys.empty()) return Error{Code::kNotEmpty, "Cannot delete entity, must delete access keys first."};
  if (!user.policies.empty()) return Error{Code::kNotEmpty, "Cannot delete entity, must delete policies first."};
  COFFER_TRY(records_.remove_user(account, name));
  std::unique_lock lock(mutex_);
  policies_.erase(user.principal().arn);
  users_.erase({account, std::string(name)});
  return {};
}

template <class Change>
Status Users::edit(const AccountId& account, std::string_view name, Change change) {
  std::lock_guard changing(change_);
  COFFER_ASSIGN(UserRecord user, find(account, name));
  COFFER_TRY(change(user));
  COFFER_TRY(records_.save_user(user));
  std::unique_lock lock(mutex_);
  show(std::move(user));
  return {};
}

Status Users::add_key(const AccountId& account, std::string_view name, UserKey key) {
  return edit(account, name, [&](UserRecord& user) -> Status {
    if (user.keys.size() >= kUserKeysMax)
      return Error{Code::kLimit, "Cannot exceed quota for AccessKeysPerUser: " + std::to_string(kUserKeysMax)};
    user.keys.push_back(std::move(key));
    return {};
  });
}

Status Users::remove_key(const AccountId& account, std::string_view name, std::string_view id) {
  return edit(account, name, [&](UserRecord& user) -> Status {
    const auto removed = std::erase_if(user.keys, [&](const UserKey& key) { return key.id == id; });
    return removed > 0 ? Status() : no_key(id);
  });
}

Status Users::switch_key(const AccountId& account, std::string_view name, std::string_view id, bool active) {
  return edit(account, name, [&](UserRecord& user) -> Status {
    for (UserKey& key : user.keys) {
      if (key.id != id) continue;
      key.active = active;
      return {};
    }
    return no_key(id);
  });
}

Status Users::put_policy(const AccountId& account, std::string_view name, std::string_view policy,
                         std::string_view text) {
  COFFER_TRY(check_policy_name(policy));
  COFFER_TRY(parse_policy(text, PolicyKind::kIdentity));
  return edit(account, name, [&](UserRecord& user) -> Status {
    if (user.name == kRootUser)
      return Error{Code::kInvalidArgument, "An account's root may do all that its account may: it has no policies"};
    user.policies.insert_or_assign(std::string(policy), std::string(text));
    if (user.policies.size() > kUserPoliciesMax)
      return Error{Code::kLimit, "Cannot exceed quota for PoliciesPerUser: " + std::to_string(kUserPoliciesMax)};
    return {};
  });
}

Status Users::remove_policy(const AccountId& account, std::string_view name, std::string_view policy) {
  return edit(account, name, [&](UserRecord& user) -> Status {
    if (user.policies.erase(std::string(policy)) > 0) return {};
    return Error{Code::kNotFound, "The user policy with name " + std::string(policy) + " cannot be found."};
  });
}

}  // namespace coffer
