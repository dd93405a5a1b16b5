#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/kms_grant.h"
#include "crypto/kms_records.h"
#include "iam/decision.h"

namespace coffer {

// Who may do what with a KMS key: its policy, the caller's own policies, and grants (KMS Developer Guide, "Determining
// access to keys").

// KMS-44: the account has all the say.
std::string default_key_policy(const AccountId& account);
// Of the key behind alias/aws/s3: everybody of the account, through S3 alone.
std::string aws_managed_key_policy(const AccountId& account, const Region& region);
// What GetKeyPolicy answers.
std::string policy_text(const KmsKeyRecord& record, const Region& region);

using ConditionKeys = std::vector<std::pair<std::string, std::string>>;

// What a call says of itself beyond its caller.
struct KeyCall {
  std::string_view action;  // kms:Decrypt
  enum class Via { kWire, kS3 } via = Via::kWire;
  const EncryptionContext* context = nullptr;  // null: the operation has none
  std::string_view named_as = {};              // as the request names the key
  ConditionKeys more = {};                     // of this operation alone
  std::string_view user_agent = {};
};

// kKeyDenied, with KMS's words.
Status check_key_access(const KmsKeyRecord& record, const KeyCall& call, const Principal& caller,
                        const Identities* identities, const Region& region, std::int64_t now_ns);
// The same of an operation on no key; resource: * or an alias's ARN.
Status check_account_access(const KeyCall& call, const std::string& resource, const Principal& caller,
                            const Identities* identities, const Region& region, std::int64_t now_ns);
// What all calls on grants say, and what those that put a key's policy do.
ConditionKeys grant_keys();
ConditionKeys policy_keys(bool may_lock_out);
// What CreateKey, TagResource and UntagResource say of the key to be, and of tags.
ConditionKeys condition_keys(const NewKey& key);
ConditionKeys condition_keys(const std::vector<KeyTag>& tags);
ConditionKeys condition_keys(const std::vector<std::string>& tag_names);

// Whether the caller may give this grant: by the key's policy and its own, or because a grant it has covers all of it.
Status check_may_grant(const KmsKeyRecord& record, const NewGrant& grant, const KeyCall& call, const Principal& caller,
                       const Identities* identities, const Region& region, std::int64_t now_ns);
// Whether the caller may retire this grant: whom it names for that, and in the account of the key or of a retiring
// account's root whoever its own policies let. The key's policy has no say (KMS Developer Guide, "Retiring and revoking
// grants").
Status check_may_retire(const KmsKeyRecord& record, const NewGrant& grant, const KeyCall& call, const Principal& caller,
                        const Identities* identities, const Region& region, std::int64_t now_ns);
// Of a grant's terms: principals, operations (KMS-42). kInvalidArgument.
Status check_grant(const NewGrant& grant);

}  // namespace coffer
