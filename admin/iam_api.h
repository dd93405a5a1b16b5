#pragma once

#include <string_view>

#include "admin/control.h"
#include "admin/json_rpc.h"

namespace coffer {

// Users, their access keys and their policies, for the coffer program: X-Amz-Target Coffer.<Operation>, with IAM's names
// for operations, members and errors, and JSON for IAM's own protocol. Account is the caller's where it is not given.
//
//   CreateUser        {"UserName","Account"}                          -> {"User":{...}}; UserName root: the account itself
//   GetUser           {"UserName","Account"}                          -> {"User":{"UserName","Account","Arn","CreateDate"}}
//   DeleteUser        {"UserName","Account"}                          -> {}
//   ListUsers         {"Account"}                                     -> {"Users":[...]}
//   CreateAccessKey   {"UserName","Account"}  -> {"AccessKey":{"UserName","AccessKeyId","Status","SecretAccessKey"}}
//   DeleteAccessKey   {"UserName","Account","AccessKeyId"}            -> {}
//   UpdateAccessKey   {"UserName","Account","AccessKeyId","Status"}   -> {}; Active or Inactive
//   ListAccessKeys    {"UserName","Account"}                          -> {"AccessKeyMetadata":[...]}
//   PutUserPolicy     {"UserName","Account","PolicyName","PolicyDocument"} -> {}
//   GetUserPolicy     {"UserName","Account","PolicyName"}             -> {"UserName","PolicyName","PolicyDocument"}
//   ListUserPolicies  {"UserName","Account"}                          -> {"PolicyNames":[...]}
//   DeleteUserPolicy  {"UserName","Account","PolicyName"}             -> {}
//
// Thread-safe.
class IamApi {
 public:
  IamApi(UserControl& users, AccessControl& access) : users_(users), access_(access) {}

  JsonAnswer serve(std::string_view operation, std::string_view body, const Principal& caller,
                   std::string_view user_agent);

  static bool knows(std::string_view operation);

 private:
  using Request = const nlohmann::json&;
  struct Row;
  struct Subject;  // the account and the user that a request is about
  static const Row* find(std::string_view operation);

  JsonAnswer create_user(JsonMembers& members, const Subject& subject);
  JsonAnswer get_user(JsonMembers& members, const Subject& subject);
  JsonAnswer delete_user(JsonMembers& members, const Subject& subject);
  JsonAnswer list_users(JsonMembers& members, const Subject& subject);
  JsonAnswer create_access_key(JsonMembers& members, const Subject& subject);
  JsonAnswer delete_access_key(JsonMembers& members, const Subject& subject);
  JsonAnswer update_access_key(JsonMembers& members, const Subject& subject);
  JsonAnswer list_access_keys(JsonMembers& members, const Subject& subject);
  JsonAnswer put_user_policy(JsonMembers& members, const Subject& subject);
  JsonAnswer get_user_policy(JsonMembers& members, const Subject& subject);
  JsonAnswer list_user_policies(JsonMembers& members, const Subject& subject);
  JsonAnswer delete_user_policy(JsonMembers& members, const Subject& subject);

  UserControl& users_;
  AccessControl& access_;
};

}  // namespace coffer
