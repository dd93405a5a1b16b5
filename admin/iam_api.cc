#include "admin/iam_api.h"

#include <algorithm>
#include <array>

#include "admin/s3_error.h"
#include "admin/timestamps.h"
#include "base/clock.h"
#include "base/policy_limits.h"
#include "iam/policy.h"

namespace coffer {
namespace {

using nlohmann::json;

constexpr JsonMembers::Sizes kUserNameSizes{1, kUserNameSizeMax}, kUserPolicyNameSizes{1, kPolicyNameSizeMax};
constexpr JsonMembers::Sizes kAccessKeyIdSizes{3, 128}, kDocumentSizes{1, kIdentityPolicySizeMax},
    kAccountSizes{12, 12};

// IAM's names for what goes wrong; the rest is as S3 says it.
JsonError to_iam(const Error& error) {
  if (error.code == Code::kNotFound) return {404, "NoSuchEntity", error.message};
  if (error.code == Code::kExists) return {409, "EntityAlreadyExists", error.message};
  if (error.code == Code::kNotEmpty) return {409, "DeleteConflict", error.message};
  if (error.code == Code::kLimit) return {409, "LimitExceeded", error.message};
  if (error.code == Code::kInvalidArgument) return validation_error(error.message);
  auto s3 = to_s3(error, "");
  return {s3.status, std::move(s3.code), std::move(s3.message)};
}

JsonAnswer iam_nothing_or(const Status& done) {
  if (!done.ok()) return to_iam(done.error());
  return print_json(json::object());
}

json user_json(const UserInfo& user) {
  return {{"UserName", user.name},
          {"Account", user.account.str()},
          {"Arn", user.arn},
          {"CreateDate", iso8601(user.created_ns / kNsPerSecond)}};
}

}  // namespace

struct IamApi::Subject {
  AccountId account;
  std::string user;  // empty where all are meant
};

struct IamApi::Row {
  std::string_view name;
  JsonAnswer (IamApi::*operation)(JsonMembers&, const Subject&);
};

const IamApi::Row* IamApi::find(std::string_view operation) {
  static constexpr std::array<Row, 12> kRows = {{
      {"CreateUser", &IamApi::create_user},
      {"GetUser", &IamApi::get_user},
      {"DeleteUser", &IamApi::delete_user},
      {"ListUsers", &IamApi::list_users},
      {"CreateAccessKey", &IamApi::create_access_key},
      {"DeleteAccessKey", &IamApi::delete_access_key},
      {"UpdateAccessKey", &IamApi::update_access_key},
      {"ListAccessKeys", &IamApi::list_access_keys},
      {"PutUserPolicy", &IamApi::put_user_policy},
      {"GetUserPolicy", &IamApi::get_user_policy},
      {"ListUserPolicies", &IamApi::list_user_policies},
      {"DeleteUserPolicy", &IamApi::delete_user_policy},
  }};
  const auto* row = std::find_if(kRows.begin(), kRows.end(), [&](const Row& r) { return r.name == operation; });
  return row == kRows.end() ? nullptr : row;
}

bool IamApi::knows(std::string_view operation) { return find(operation) != nullptr; }

// Whether the caller may is asked before the rest of the request is read: a stranger learns nothing of users.
JsonAnswer IamApi::serve(std::string_view operation, std::string_view body, const Principal& caller,
                         std::string_view user_agent) {
  const auto* row = find(operation);
  if (row == nullptr) return unknown_operation();
  const auto request = parse_json_object(body);
  if (const auto* error = std::get_if<JsonError>(&request)) return *error;
  JsonMembers members(std::get<json>(request));
  const auto account_text = members.text("Account", kAccountSizes);
  const bool all = operation == "ListUsers";
  const auto user = all ? std::string() : members.required_text("UserName", kUserNameSizes);
  if (members.error()) return *members.error();
  const auto account = account_text ? AccountId::parse(*account_text) : Result<AccountId>(caller.account);
  if (!account.ok()) return validation_error("Account has 12 digits");
  const auto resource = "arn:aws:iam::" + account->str() + ":user/" + (all ? "*" : user);
  const auto action = "iam:" + std::string(operation);
  const auto allowed = access_.authorize_account({action, resource, caller, user_agent}, *account);
  if (!allowed.ok()) return to_iam(allowed.error());
  return (this->*row->operation)(members, {*account, user});
}

JsonAnswer IamApi::create_user(JsonMembers&, const Subject& subject) {
  const auto made = users_.create_user(subject.account, subject.user);
  if (!made.ok()) return to_iam(made.error());
  return print_json({{"User", user_json(*made)}});
}

JsonAnswer IamApi::get_user(JsonMembers&, const Subject& subject) {
  const auto user = users_.find_user(subject.account, subject.user);
  if (!user.ok()) return to_iam(user.error());
  return print_json({{"User", user_json(*user)}});
}

JsonAnswer IamApi::delete_user(JsonMembers&, const Subject& subject) {
  return iam_nothing_or(users_.delete_user(subject.account, subject.user));
}

JsonAnswer IamApi::list_users(JsonMembers&, const Subject& subject) {
  const auto users = users_.list_users(subject.account);
  if (!users.ok()) return to_iam(users.error());
  auto all = json::array();
  for (const auto& user : *users) all.push_back(user_json(user));
  return print_json({{"Users", std::move(all)}});
}

JsonAnswer IamApi::create_access_key(JsonMembers&, const Subject& subject) {
  const auto key = users_.create_access_key(subject.account, subject.user);
  if (!key.ok()) return to_iam(key.error());
  return print_json({{"AccessKey",
                      {{"UserName", subject.user},
                       {"AccessKeyId", key->id},
                       {"Status", "Active"},
                       {"SecretAccessKey", std::string(as_text(key->secret.view()))}}}});
}

JsonAnswer IamApi::delete_access_key(JsonMembers& members, const Subject& subject) {
  const auto id = members.required_text("AccessKeyId", kAccessKeyIdSizes);
  if (members.error()) return *members.error();
  return iam_nothing_or(users_.delete_access_key(subject.account, subject.user, id));
}

JsonAnswer IamApi::update_access_key(JsonMembers& members, const Subject& subject) {
  const auto id = members.required_text("AccessKeyId", kAccessKeyIdSizes);
  members.require("Status");
  const auto status = members.one_of("Status", {"Active", "Inactive"});
  if (members.error()) return *members.error();
  return iam_nothing_or(users_.switch_access_key(subject.account, subject.user, id, status == "Active"));
}

JsonAnswer IamApi::list_access_keys(JsonMembers&, const Subject& subject) {
  const auto user = users_.find_user(subject.account, subject.user);
  if (!user.ok()) return to_iam(user.error());
  auto all = json::array();
  for (const auto& key : user->keys)
    all.push_back({{"UserName", user->name},
                   {"AccessKeyId", key.id},
                   {"Status", key.active ? "Active" : "Inactive"},
                   {"CreateDate", iso8601(key.created_ns / kNsPerSecond)}});
  return print_json({{"AccessKeyMetadata", std::move(all)}});
}

JsonAnswer IamApi::put_user_policy(JsonMembers& members, const Subject& subject) {
  const auto name = members.required_text("PolicyName", kUserPolicyNameSizes);
  const auto text = members.required_text("PolicyDocument", kDocumentSizes);
  if (members.error()) return *members.error();
  const auto policy = parse_policy(text, PolicyKind::kIdentity);
  if (!policy.ok()) return JsonError{400, "MalformedPolicyDocument", policy.error().message};
  return iam_nothing_or(users_.put_user_policy(subject.account, subject.user, name, text));
}

JsonAnswer IamApi::get_user_policy(JsonMembers& members, const Subject& subject) {
  const auto name = members.required_text("PolicyName", kUserPolicyNameSizes);
  if (members.error()) return *members.error();
  const auto user = users_.find_user(subject.account, subject.user);
  if (!user.ok()) return to_iam(user.error());
  const auto found = user->policies.find(name);
  if (found == user->policies.end())
    return to_iam({Code::kNotFound, "The user policy with name " + name + " cannot be found."});
  return print_json({{"UserName", user->name}, {"PolicyName", name}, {"PolicyDocument", found->second}});
}

JsonAnswer IamApi::list_user_policies(JsonMembers&, const Subject& subject) {
  const auto user = users_.find_user(subject.account, subject.user);
  if (!user.ok()) return to_iam(user.error());
  auto names = json::array();
  for (const auto& [name, text] : user->policies) names.push_back(name);
  return print_json({{"PolicyNames", std::move(names)}});
}

JsonAnswer IamApi::delete_user_policy(JsonMembers& members, const Subject& subject) {
  const auto name = members.required_text("PolicyName", kUserPolicyNameSizes);
  if (members.error()) return *members.error();
  return iam_nothing_or(users_.delete_user_policy(subject.account, subject.user, name));
}

}  // namespace coffer
