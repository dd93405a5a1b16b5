#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/names.h"
#include "base/result.h"
#include "base/secret_bytes.h"
#include "iam/decision.h"

namespace coffer {

struct UserKey {
  std::string id;
  std::shared_ptr<const SecretBytes> secret;
  bool active = true;
  std::int64_t created_ns = 0;  // wall clock
};

// Somebody who may call: a user of an account, or, by the name root, the account itself.
struct UserRecord {
  AccountId account;
  std::string name;
  std::int64_t created_ns = 0;                  // wall clock
  std::vector<UserKey> keys = {};               // oldest first
  std::map<std::string, std::string> policies = {};  // documents by their names

  Principal principal() const;
};

// Where users are kept; the store's catalog implements it. Thread-safe. A save is part of the store's next commit.
class UserRecords {
 public:
  virtual ~UserRecords() = default;
  virtual Result<std::vector<UserRecord>> load_users() = 0;
  virtual Status save_user(const UserRecord& user) = 0;  // insert or replace
  virtual Status remove_user(const AccountId& account, std::string_view name) = 0;
};

inline constexpr std::string_view kRootUser = "root";
// IAM: 1 to 64 letters, digits and + = , . @ _ - each. kInvalidArgument.
Status check_user_name(std::string_view name);
Status check_policy_name(std::string_view name);

// The users of all accounts, in memory; each change is written before it takes effect. Thread-safe. Who asks is the
// caller's business. kNotFound, kExists, kNotEmpty, kLimit, kInvalidArgument.
class Users final : public Identities {
 public:
  static Result<std::unique_ptr<Users>> open(UserRecords& records);

  IdentityPolicies policies_of(const Principal& principal) const override;
  struct Caller {
    Principal principal;
    std::shared_ptr<const SecretBytes> secret;
  };
  std::optional<Caller> find_key(std::string_view access_key_id) const;  // an active one

  Result<UserRecord> find(const AccountId& account, std::string_view name) const;
  std::vector<UserRecord> list(const AccountId& account) const;  // by name
  Status create(const AccountId& account, std::string_view name, std::int64_t now_ns);
  Status remove(const AccountId& account, std::string_view name);  // kNotEmpty: it has keys or policies
  Status add_key(const AccountId& account, std::string_view name, UserKey key);
  Status remove_key(const AccountId& account, std::string_view name, std::string_view id);
  Status switch_key(const AccountId& account, std::string_view name, std::string_view id, bool active);
  Status put_policy(const AccountId& account, std::string_view name, std::string_view policy, std::string_view text);
  Status remove_policy(const AccountId& account, std::string_view name, std::string_view policy);

 private:
  using Name = std::pair<AccountId, std::string>;
  explicit Users(UserRecords& records) : records_(records) {}
  void show(UserRecord user);
  // Applies a change to a copy, saves it, and only then shows it.
  template <class Change>
  Status edit(const AccountId& account, std::string_view name, Change change);

  UserRecords& records_;
  std::mutex change_;                // one change at a time, its save included; taken before mutex_
  mutable std::shared_mutex mutex_;  // guards all below
  std::map<Name, UserRecord> users_;
  std::map<std::string, Name, std::less<>> keys_;  // whose each access key is
  std::map<std::string, IdentityPolicies, std::less<>> policies_;  // by ARN
};

}  // namespace coffer
