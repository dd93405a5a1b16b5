#include "crypto/kms_access.h"

#include <algorithm>
#include <array>

#include "base/policy_limits.h"

namespace coffer {
namespace {

constexpr std::string_view kActionPrefix = "kms:";

constexpr std::array<std::string_view, 9> kGrantOperations = {
    "CreateGrant",     "Decrypt",     "DescribeKey",   "Encrypt",    "GenerateDataKey", "GenerateDataKeyWithoutPlaintext",
    "ReEncryptFrom", "ReEncryptTo", "RetireGrant"};

// What KMS does with a key for callers of other accounts, whatever its policy says (KMS API Reference, "Cross-account
// use" of each operation). RetireGrant is check_may_retire's.
constexpr std::array<std::string_view, 11> kCrossAccountActions = {
    "kms:CreateGrant",
    "kms:Decrypt",
    "kms:DescribeKey",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:GetKeyRotationStatus",
    "kms:ListGrants",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
    "kms:RevokeGrant"};

bool crosses_accounts(std::string_view action) {
  return std::find(kCrossAccountActions.begin(), kCrossAccountActions.end(), action) != kCrossAccountActions.end();
}

bool holds_all(const EncryptionContext& context, const EncryptionContext& wanted) {
  return std::all_of(wanted.begin(), wanted.end(), [&](const auto& pair) {
    const auto found = context.find(pair.first);
    return found != context.end() && found->second == pair.second;
  });
}

bool is_constrained(const NewGrant& grant) { return !grant.equals.empty() || !grant.subset.empty(); }

// Constraints bind the operations that have a context; DescribeKey and those on grants have none.
bool fits_context(const NewGrant& grant, const EncryptionContext* context) {
  if (context == nullptr) return true;
  if (!grant.equals.empty() && *context != grant.equals) return false;
  return holds_all(*context, grant.subset);
}

bool is_grantee(const NewGrant& grant, const Principal& caller) { return grant.grantee == caller.arn; }

bool has_operation(const NewGrant& grant, std::string_view operation) {
  return std::find(grant.operations.begin(), grant.operations.end(), operation) != grant.operations.end();
}

bool is_granted(const KmsKeyRecord& record, const KeyCall& call, const Principal& caller) {
  const auto operation = call.action.substr(kActionPrefix.size());
  // Giving a grant on is check_may_grant's to decide, and retiring one that of whoever it names.
  if (operation == "CreateGrant" || operation == "RetireGrant") return false;
  return std::any_of(record.grants.begin(), record.grants.end(), [&](const KeyGrant& grant) {
    return is_grantee(grant.terms, caller) && has_operation(grant.terms, operation) &&
           fits_context(grant.terms, call.context);
  });
}

bool names_alias_form(std::string_view name) { return name.find("alias/") != std::string_view::npos; }

// Every key here is symmetric, and of one region.
ConditionKeys kind_of_key(KeyOrigin origin) {
  return {{"kms:KeyOrigin", std::string(key_origin_name(origin))},
          {"kms:KeySpec", "SYMMETRIC_DEFAULT"},
          {"kms:CustomerMasterKeySpec", "SYMMETRIC_DEFAULT"},
          {"kms:KeyUsage", "ENCRYPT_DECRYPT"},
          {"kms:CustomerMasterKeyUsage", "ENCRYPT_DECRYPT"},
          {"kms:MultiRegion", "false"}};
}

void add(PolicyContext& context, const ConditionKeys& keys) {
  for (const auto& [name, value] : keys) context.add(name, value);
}

PolicyContext context_of(const KeyCall& call, const Principal& caller, const AccountId& resource_account,
                         const Region& region, std::int64_t now_ns) {
  PolicyContext context;
  add_caller(context, caller, now_ns);
  add_request(context, region, resource_account,
              call.via == KeyCall::Via::kS3 ? CalledBy::kService : CalledBy::kCaller, call.user_agent);
  context.add("kms:CallerAccount", caller.account.str());
  add(context, call.more);
  return context;
}

PolicyContext context_of(const KmsKeyRecord& record, const KeyCall& call, const Principal& caller,
                         const Region& region, std::int64_t now_ns) {
  auto context = context_of(call, caller, record.metadata.account, region, now_ns);
  add(context, kind_of_key(record.metadata.origin));
  for (const KeyTag& tag : record.tags) context.add("aws:ResourceTag/" + tag.name, tag.value);
  if (call.via == KeyCall::Via::kS3) context.add("kms:ViaService", "s3." + region.str() + ".amazonaws.com");
  if (names_alias_form(call.named_as))
    context.add("kms:RequestAlias", std::string(call.named_as.substr(call.named_as.find("alias/"))));
  if (call.context != nullptr) {
    context.add("kms:EncryptionAlgorithm", "SYMMETRIC_DEFAULT");
    for (const auto& [name, value] : *call.context) {
      context.add("kms:EncryptionContextKeys", name);
      context.add("kms:EncryptionContext:" + name, value);
    }
  }
  return context;
}

// A key whose policy nobody touched, asked by the root of its own account, to whom both default policies allow all: what
// every mount does unless it is told otherwise, at each open and each read that the kernel does not answer.
bool is_plain(const KmsKeyRecord& record, const Principal& caller) {
  return record.policy.empty() && caller.account == record.metadata.account && is_account_root(caller);
}

Status to_status(Verdict verdict, const PolicyRequest& request) {
  if (verdict == Verdict::kAllowed) return {};
  if (verdict != Verdict::kNotByResource) return Error{Code::kKeyDenied, refusal(verdict, request, Resource::kPlain)};
  return Error{Code::kKeyDenied, "User: " + request.caller.arn + " is not authorized to perform: " +
                                     std::string(request.action) +
                                     " on this resource because the resource does not exist in this Region, no "
                                     "resource-based policies allow access, or a resource-based policy explicitly "
                                     "denies access"};
}

IdentityPolicies policies_of(const Identities* identities, const Principal& caller) {
  return identities == nullptr ? IdentityPolicies() : identities->policies_of(caller);
}

Status decide(const KmsKeyRecord& record, const KeyCall& call, const Principal& caller, const Identities* identities,
              const Region& region, std::int64_t now_ns, bool granted) {
  const auto context = context_of(record, call, caller, region, now_ns);
  const PolicyRequest request{caller, call.action, record.metadata.arn, context};
  if (caller.account != record.metadata.account && !crosses_accounts(call.action))
    return to_status(Verdict::kNotByResource, request);
  // A policy that this version cannot read lets nobody in.
  if (!record.rules) return to_status(Verdict::kNotByResource, request);
  return to_status(
      decide_key(request, record.metadata.account, policies_of(identities, caller), *record.rules, granted), request);
}

// An ARN of a principal that grants may name.
bool is_principal(const std::string& text) {
  return text.size() <= 256 && (text.starts_with("arn:aws:iam::") || text.starts_with("arn:aws:sts::")) &&
         std::count(text.begin(), text.end(), ':') == 5 && !text.ends_with(':') &&
         AccountId::parse(std::string_view(text).substr(13, 12)).ok();
}

// Whether whoever has `wider` may hand out `grant`: no more operations, and no fewer constraints.
bool covers(const NewGrant& wider, const NewGrant& grant) {
  if (!std::all_of(grant.operations.begin(), grant.operations.end(),
                   [&](const auto& operation) { return has_operation(wider, operation); }))
    return false;
  if (!is_constrained(wider)) return true;
  if (!wider.equals.empty()) return grant.equals == wider.equals;
  return holds_all(grant.equals, wider.subset) || holds_all(grant.subset, wider.subset);
}

}  // namespace

std::string default_key_policy(const AccountId& account) {
  return "{\n"
         "  \"Version\" : \"2012-10-17\",\n"
         "  \"Id\" : \"key-default-1\",\n"
         "  \"Statement\" : [ {\n"
         "    \"Sid\" : \"Enable IAM User Permissions\",\n"
         "    \"Effect\" : \"Allow\",\n"
         "    \"Principal\" : {\n"
         "      \"AWS\" : \"arn:aws:iam::" +
         account.str() +
         ":root\"\n"
         "    },\n"
         "    \"Action\" : \"kms:*\",\n"
         "    \"Resource\" : \"*\"\n"
         "  } ]\n"
         "}";
}

std::string aws_managed_key_policy(const AccountId& account, const Region& region) {
  return "{\n"
         "  \"Version\" : \"2012-10-17\",\n"
         "  \"Id\" : \"auto-s3-2\",\n"
         "  \"Statement\" : [ {\n"
         "    \"Sid\" : \"Allow access through S3 for all principals in the account that are authorized to use S3\",\n"
         "    \"Effect\" : \"Allow\",\n"
         "    \"Principal\" : {\n"
         "      \"AWS\" : \"*\"\n"
         "    },\n"
         "    \"Action\" : [ \"kms:Encrypt\", \"kms:Decrypt\", \"kms:ReEncrypt*\", \"kms:GenerateDataKey*\", "
         "\"kms:DescribeKey\" ],\n"
         "    \"Resource\" : \"*\",\n"
         "    \"Condition\" : {\n"
         "      \"StringEquals\" : {\n"
         "        \"kms:ViaService\" : \"s3." +
         region.str() +
         ".amazonaws.com\",\n"
         "        \"kms:CallerAccount\" : \"" +
         account.str() +
         "\"\n"
         "      }\n"
         "    }\n"
         "  }, {\n"
         "    \"Sid\" : \"Allow direct access to key metadata to the account\",\n"
         "    \"Effect\" : \"Allow\",\n"
         "    \"Principal\" : {\n"
         "      \"AWS\" : \"arn:aws:iam::" +
         account.str() +
         ":root\"\n"
         "    },\n"
         "    \"Action\" : [ \"kms:*\" ],\n"
         "    \"Resource\" : \"*\"\n"
         "  } ]\n"
         "}";
}

std::string policy_text(const KmsKeyRecord& record, const Region& region) {
  if (!record.policy.empty()) return record.policy;
  const bool aws = record.metadata.manager == KeyManager::kAws;
  return aws ? aws_managed_key_policy(record.metadata.account, region) : default_key_policy(record.metadata.account);
}

Status check_key_access(const KmsKeyRecord& record, const KeyCall& call, const Principal& caller,
                        const Identities* identities, const Region& region, std::int64_t now_ns) {
  if (is_plain(record, caller)) return {};
  return decide(record, call, caller, identities, region, now_ns, is_granted(record, call, caller));
}

Status check_account_access(const KeyCall& call, const std::string& resource, const Principal& caller,
                            const Identities* identities, const Region& region, std::int64_t now_ns) {
  if (is_account_root(caller)) return {};
  const auto context = context_of(call, caller, caller.account, region, now_ns);
  const PolicyRequest request{caller, call.action, resource, context};
  return to_status(coffer::decide(request, policies_of(identities, caller)), request);
}

// Every grant here is somebody's own, none a service's.
ConditionKeys grant_keys() { return {{"kms:GrantIsForAWSResource", "false"}}; }

ConditionKeys policy_keys(bool may_lock_out) {
  return {{"kms:BypassPolicyLockoutSafetyCheck", may_lock_out ? "true" : "false"}};
}

ConditionKeys condition_keys(const NewKey& key) {
  auto keys = kind_of_key(key.origin);
  for (auto& more : {policy_keys(key.may_lock_out), condition_keys(key.tags)}) keys.insert(keys.end(), more.begin(), more.end());
  return keys;
}

ConditionKeys condition_keys(const std::vector<KeyTag>& tags) {
  ConditionKeys keys;
  for (const KeyTag& tag : tags) {
    keys.emplace_back("aws:TagKeys", tag.name);
    keys.emplace_back("aws:RequestTag/" + tag.name, tag.value);
  }
  return keys;
}

ConditionKeys condition_keys(const std::vector<std::string>& tag_names) {
  ConditionKeys keys;
  for (const std::string& name : tag_names) keys.emplace_back("aws:TagKeys", name);
  return keys;
}

Status check_may_grant(const KmsKeyRecord& record, const NewGrant& grant, const KeyCall& call, const Principal& caller,
                       const Identities* identities, const Region& region, std::int64_t now_ns) {
  if (is_plain(record, caller)) return {};
  const bool covered = std::any_of(record.grants.begin(), record.grants.end(), [&](const KeyGrant& held) {
    return is_grantee(held.terms, caller) && has_operation(held.terms, "CreateGrant") && covers(held.terms, grant);
  });
  return decide(record, call, caller, identities, region, now_ns, covered);
}

Status check_may_retire(const KmsKeyRecord& record, const NewGrant& grant, const KeyCall& call, const Principal& caller,
                        const Identities* identities, const Region& region, std::int64_t now_ns) {
  const auto context = context_of(record, call, caller, region, now_ns);
  const PolicyRequest request{caller, call.action, record.metadata.arn, context};
  const Verdict own = coffer::decide(request, policies_of(identities, caller));
  if (own == Verdict::kDeniedByIdentity) return to_status(own, request);
  if (grant.retiring == caller.arn || (is_grantee(grant, caller) && has_operation(grant, "RetireGrant"))) return {};
  const bool has_a_say = caller.account == record.metadata.account ||
                         grant.retiring == Principal::root_of(caller.account).arn;
  return to_status(has_a_say ? own : Verdict::kNotByResource, request);
}

Status check_grant(const NewGrant& grant) {
  const auto invalid = [](std::string message) { return Error{Code::kInvalidArgument, std::move(message)}; };
  if (!is_principal(grant.grantee)) return invalid("GranteePrincipal is the ARN of a user, a role or an account's root");
  if (!grant.retiring.empty() && !is_principal(grant.retiring))
    return invalid("RetiringPrincipal is the ARN of a user, a role or an account's root");
  if (grant.operations.empty()) return invalid("A grant allows at least one operation");
  for (const auto& operation : grant.operations)
    if (std::find(kGrantOperations.begin(), kGrantOperations.end(), operation) == kGrantOperations.end())
      return invalid("A grant on a symmetric encryption key cannot allow " + operation);
  if (grant.name.size() > kGrantNameSizeMax) return invalid("A grant's name has at most 256 characters");
  if (!grant.equals.empty() && !grant.subset.empty())
    return invalid("A grant has one constraint: EncryptionContextEquals or EncryptionContextSubset");
  for (const auto* constraint : {&grant.equals, &grant.subset}) {
    if (constraint->size() > kGrantPairsMax) return invalid("A grant's constraint has at most 8 pairs");
    for (const auto& [name, value] : *constraint)
      if (name.size() > kGrantValueSizeMax || value.size() > kGrantValueSizeMax)
        return invalid("A grant's constraint has names and values of at most 384 characters");
  }
  return {};
}

}  // namespace coffer
