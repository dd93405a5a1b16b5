#include <fstream>

#include "base/encoding.h"
#include "base/exit_code.h"
#include "base/policy_limits.h"
#include "cli/commands.h"
#include "cli/json.h"

// Users, their access keys, and the policies of users and buckets.
namespace coffer {
namespace {

Json user_of(const AccessOptions& options) {
  Json input = {{"UserName", options.user}};
  if (options.account) input["Account"] = *options.account;
  return input;
}

Json policy_of(const AccessOptions& options) {
  Json input = user_of(options);
  input["PolicyName"] = options.policy;
  return input;
}

// A file of AWS's own format: give it to --credentials, or to AWS's tools.
void print_profile(const Json& key, const std::string& region, Console& console) {
  console.out << "[coffer]\n"
              << "aws_access_key_id = " << text_at(key, "AccessKeyId") << '\n'
              << "aws_secret_access_key = " << text_at(key, "SecretAccessKey") << '\n'
              << "region = " << region << '\n';
}

Result<int> create_key(ApiClient& client, const AccessOptions& options, Json shown, Console& console) {
  COFFER_ASSIGN(const Json answer, client.coffer("CreateAccessKey", user_of(options)));
  if (!options.json) {
    print_profile(member_at(answer, "AccessKey"), client.region(), console);
    return kExitDone;
  }
  shown["AccessKey"] = member_at(answer, "AccessKey");
  print_json(console.out, shown);
  return kExitDone;
}

Result<int> create_user(ApiClient& client, const AccessOptions& options, Console& console) {
  COFFER_ASSIGN(Json answer, client.coffer("CreateUser", user_of(options)));
  return create_key(client, options, std::move(answer), console);
}

// With the keys and policies that IAM wants deleted first.
Result<int> delete_user(ApiClient& client, const AccessOptions& options) {
  COFFER_ASSIGN(const Json keys, client.coffer("ListAccessKeys", user_of(options)));
  for (const auto& key : member_at(keys, "AccessKeyMetadata")) {
    Json input = user_of(options);
    input["AccessKeyId"] = text_at(key, "AccessKeyId");
    COFFER_TRY(client.coffer("DeleteAccessKey", input));
  }
  COFFER_ASSIGN(const Json policies, client.coffer("ListUserPolicies", user_of(options)));
  for (const auto& name : member_at(policies, "PolicyNames")) {
    Json input = user_of(options);
    input["PolicyName"] = name;
    COFFER_TRY(client.coffer("DeleteUserPolicy", input));
  }
  COFFER_TRY(client.coffer("DeleteUser", user_of(options)));
  return kExitDone;
}

Result<int> print_list(const Json& answer, std::string_view member, std::string_view first, std::string_view second,
                       const AccessOptions& options, Console& console) {
  if (options.json) {
    print_json(console.out, answer);
    return kExitDone;
  }
  for (const auto& item : member_at(answer, member)) {
    if (item.is_string()) {
      console.out << item.get<std::string>() << '\n';
    } else {
      console.out << text_at(item, first) << '\t' << text_at(item, second) << '\n';
    }
  }
  return kExitDone;
}

Result<std::string> read_policy(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return Error{Code::kInvalidArgument, "cannot read the policy in " + path};
  std::string text(kKeyPolicySizeMax + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  return text;
}

std::string bucket_target(const AccessOptions& options) {
  return "/" + percent_encode(*options.bucket, Slash::kEncode) + "?policy=";
}

Result<int> put_policy(ApiClient& client, const AccessOptions& options) {
  COFFER_ASSIGN(const std::string text, read_policy(options.file));
  if (options.bucket) {
    COFFER_TRY(client.s3("PUT", bucket_target(options), text));
    return kExitDone;
  }
  Json input = policy_of(options);
  input["PolicyDocument"] = text;
  COFFER_TRY(client.coffer("PutUserPolicy", input));
  return kExitDone;
}

Result<int> get_policy(ApiClient& client, const AccessOptions& options, Console& console) {
  if (options.bucket) {
    COFFER_ASSIGN(const std::string text, client.s3("GET", bucket_target(options)));
    console.out << text << '\n';
    return kExitDone;
  }
  COFFER_ASSIGN(const Json answer, client.coffer("GetUserPolicy", policy_of(options)));
  console.out << text_at(answer, "PolicyDocument") << '\n';
  return kExitDone;
}

Result<int> delete_policy(ApiClient& client, const AccessOptions& options) {
  if (options.bucket) {
    COFFER_TRY(client.s3("DELETE", bucket_target(options)));
  } else {
    COFFER_TRY(client.coffer("DeleteUserPolicy", policy_of(options)));
  }
  return kExitDone;
}

}  // namespace

Result<int> run_command(const AccessOptions& options, Console& console) {
  using Verb = AccessOptions::Verb;
  const bool policy =
      options.verb == Verb::kPutPolicy || options.verb == Verb::kGetPolicy || options.verb == Verb::kDeletePolicy;
  if (policy && options.bucket.has_value() == !options.user.empty())
    return Error{Code::kInvalidArgument, "give --user USER or --bucket BUCKET: whose policy it is"};
  COFFER_ASSIGN(ApiClient client, connect(options.endpoint));
  switch (options.verb) {
    case Verb::kCreateUser: return create_user(client, options, console);
    case Verb::kDeleteUser: return delete_user(client, options);
    case Verb::kListUsers: {
      Json input = Json::object();
      if (options.account) input["Account"] = *options.account;
      COFFER_ASSIGN(const Json users, client.coffer("ListUsers", input));
      return print_list(users, "Users", "UserName", "Arn", options, console);
    }
    case Verb::kCreateKey: return create_key(client, options, Json::object(), console);
    case Verb::kListKeys: {
      COFFER_ASSIGN(const Json keys, client.coffer("ListAccessKeys", user_of(options)));
      return print_list(keys, "AccessKeyMetadata", "AccessKeyId", "Status", options, console);
    }
    case Verb::kDeleteKey: {
      Json input = user_of(options);
      input["AccessKeyId"] = options.access_key;
      COFFER_TRY(client.coffer("DeleteAccessKey", input));
      return kExitDone;
    }
    case Verb::kListPolicies: {
      COFFER_ASSIGN(const Json names, client.coffer("ListUserPolicies", user_of(options)));
      return print_list(names, "PolicyNames", "", "", options, console);
    }
    case Verb::kPutPolicy: return put_policy(client, options);
    case Verb::kGetPolicy: return get_policy(client, options, console);
    case Verb::kDeletePolicy: return delete_policy(client, options);
  }
  return kExitUsage;
}

Result<std::string> read_policy_file(const std::string& path) { return read_policy(path); }

}  // namespace coffer
