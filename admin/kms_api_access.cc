#include "admin/kms_api.h"
#include "admin/kms_error.h"
#include "admin/kms_shapes.h"
#include "base/policy_limits.h"
#include "iam/policy.h"

// Who may use keys: policies and grants (KMS-42..45).
namespace coffer {
namespace {

using nlohmann::json;

constexpr JsonMembers::Sizes kPolicySizes{1, kKeyPolicySizeMax}, kKeyPolicyNameSizes{1, 128};
constexpr JsonMembers::Sizes kPrincipalSizes{1, 256}, kGrantIdSizes{1, 128}, kGrantTokenSizes{1, 8192};
constexpr JsonMembers::Sizes kGrantNameSizes{1, kGrantNameSizeMax}, kOperationSizes{1, 64};
constexpr const char* kDefault = "default";

JsonError malformed_key_policy(const std::string& message) {
  return {400, "MalformedPolicyDocumentException", message};
}

// KMS-45: a key has one policy.
void take_policy_name(JsonMembers& members) {
  const auto name = members.text("PolicyName", kKeyPolicyNameSizes);
  if (name && *name != kDefault) members.refuse({400, "NotFoundException", "No such policy exists"});
}

void take_constraints(JsonMembers& members, const json& request, NewGrant& grant) {
  const auto found = request.find("Constraints");
  if (found == request.end() || found->is_null()) return;
  if (!found->is_object()) return members.refuse(serialization_error("Constraints must be an object."));
  JsonMembers constraints(*found);
  grant.equals = constraints.text_map("EncryptionContextEquals");
  grant.subset = constraints.text_map("EncryptionContextSubset");
  if (constraints.error()) members.refuse(*constraints.error());
}

json grant_json(const ListedGrant& listed) {
  const auto& [arn, account, grant] = listed;
  const NewGrant& terms = grant.terms;
  json out = {{"KeyId", arn},
              {"GrantId", grant.grant_id},
              {"CreationDate", epoch_seconds(grant.created_ns)},
              {"GranteePrincipal", terms.grantee},
              {"IssuingAccount", Principal::root_of(account).arn},
              {"Operations", terms.operations}};
  if (!terms.name.empty()) out["Name"] = terms.name;
  if (!terms.retiring.empty()) out["RetiringPrincipal"] = terms.retiring;
  if (!terms.equals.empty()) out["Constraints"]["EncryptionContextEquals"] = terms.equals;
  if (!terms.subset.empty()) out["Constraints"]["EncryptionContextSubset"] = terms.subset;
  return out;
}

JsonAnswer grants_page(std::vector<ListedGrant> grants, std::int64_t limit, const std::optional<std::string>& marker) {
  return print_json(page_of(
      std::move(grants), "Grants", static_cast<std::size_t>(limit), marker,
      [](const auto& listed) { return listed.grant.grant_id; }, grant_json));
}

}  // namespace

JsonAnswer KmsApi::get_key_policy(Request request, const KmsCall& caller) {
  JsonMembers members(request);
  const auto key_id = members.required_text("KeyId", kKeyIdSizes);
  take_policy_name(members);
  if (members.error()) return *members.error();
  const auto policy = kms_.access.key_policy(key_id, caller);
  if (!policy.ok()) return to_kms(policy.error());
  return print_json({{"Policy", *policy}, {"PolicyName", kDefault}});
}

JsonAnswer KmsApi::list_key_policies(Request request, const KmsCall& caller) {
  JsonMembers members(request);
  const auto key_id = members.required_text("KeyId", kKeyIdSizes);
  members.integer("Limit", 1, 1000);
  members.text("Marker", kMarkerSizes);
  if (members.error()) return *members.error();
  const auto allowed = kms_.access.check_key_policy(key_id, caller);
  if (!allowed.ok()) return to_kms(allowed.error());
  return print_json({{"PolicyNames", {kDefault}}, {"Truncated", false}});
}

JsonAnswer KmsApi::put_key_policy(Request request, const KmsCall& caller) {
  JsonMembers members(request);
  const auto key_id = members.required_text("KeyId", kKeyIdSizes);
  take_policy_name(members);
  const auto text = members.required_text("Policy", kPolicySizes);
  const bool bypass = members.flag("BypassPolicyLockoutSafetyCheck");
  if (members.error()) return *members.error();
  using LockOut = KeyAccessControl::LockOut;
  const auto put = kms_.access.put_key_policy(key_id, text, bypass ? LockOut::kAllow : LockOut::kRefuse, caller);
  if (!put.ok() && put.code() == Code::kInvalidArgument) return malformed_key_policy(put.error().message);
  return nothing_or(put);
}

JsonAnswer KmsApi::create_grant(Request request, const KmsCall& caller) {
  JsonMembers members(request);
  const auto key_id = members.required_text("KeyId", kKeyIdSizes);
  NewGrant terms;
  terms.grantee = members.required_text("GranteePrincipal", kPrincipalSizes);
  terms.retiring = members.text("RetiringPrincipal", kPrincipalSizes).value_or("");
  terms.name = members.text("Name", kGrantNameSizes).value_or("");
  members.require("Operations");
  terms.operations = members.texts("Operations", kOperationSizes);
  take_constraints(members, request, terms);
  const auto call = take_call(members, caller);
  if (members.error()) return *members.error();
  const auto grant = kms_.access.create_grant(key_id, terms, call);
  if (!grant.ok()) return to_kms(grant.error());
  return print_json({{"GrantId", grant->grant_id}, {"GrantToken", grant->token}});
}

JsonAnswer KmsApi::list_grants(Request request, const KmsCall& caller) {
  JsonMembers members(request);
  const auto key_id = members.required_text("KeyId", kKeyIdSizes);
  const auto limit = members.integer("Limit", 1, 100).value_or(50);
  const auto marker = members.text("Marker", kMarkerSizes);
  const auto grant_id = members.text("GrantId", kGrantIdSizes);
  const auto grantee = members.text("GranteePrincipal", kPrincipalSizes);
  if (members.error()) return *members.error();
  auto grants = kms_.access.list_grants(key_id, caller);
  if (!grants.ok()) return to_kms(grants.error());
  std::erase_if(*grants, [&](const ListedGrant& listed) {
    return (grant_id && listed.grant.grant_id != *grant_id) || (grantee && listed.grant.terms.grantee != *grantee);
  });
  return grants_page(*std::move(grants), limit, marker);
}

JsonAnswer KmsApi::list_retirable_grants(Request request, const KmsCall& caller) {
  JsonMembers members(request);
  const auto principal = members.required_text("RetiringPrincipal", kPrincipalSizes);
  const auto limit = members.integer("Limit", 1, 100).value_or(50);
  const auto marker = members.text("Marker", kMarkerSizes);
  if (members.error()) return *members.error();
  auto grants = kms_.access.list_retirable_grants(principal, caller);
  if (!grants.ok()) return to_kms(grants.error());
  return grants_page(*std::move(grants), limit, marker);
}

JsonAnswer KmsApi::revoke_grant(Request request, const KmsCall& caller) {
  JsonMembers members(request);
  const auto key_id = members.required_text("KeyId", kKeyIdSizes);
  const auto grant_id = members.required_text("GrantId", kGrantIdSizes);
  const auto call = take_call(members, caller);
  if (members.error()) return *members.error();
  return nothing_or(kms_.access.revoke_grant(key_id, grant_id, call));
}

JsonAnswer KmsApi::retire_grant(Request request, const KmsCall& caller) {
  JsonMembers members(request);
  const auto token = members.text("GrantToken", kGrantTokenSizes);
  const auto key_id = members.text("KeyId", kKeyIdSizes);
  const auto grant_id = members.text("GrantId", kGrantIdSizes);
  const auto call = take_call(members, caller);
  if (members.error()) return *members.error();
  if (!token && (!key_id || !grant_id)) return validation_error("Grant token OR (grant ID, key ID) must be specified");
  return nothing_or(
      kms_.access.retire_grant(token.value_or(""), key_id.value_or(""), grant_id.value_or(""), call));
}

}  // namespace coffer
