#include <algorithm>

#include "base/encoding.h"
#include "base/policy_limits.h"
#include "crypto/local_kms_state.h"

// Who may use keys: policies and grants.
namespace coffer {
namespace {

Error locks_out() {
  return {Code::kInvalidArgument, "The new key policy will not allow you to update the key policy in the future."};
}

Error no_such_grant(std::string_view id) {
  return {Code::kNotFound, "Grant with the ID " + std::string(id) + " does not exist"};
}

std::string random_hex() {
  Bytes bytes(32);
  fill_random(bytes);
  return hex(bytes);
}

ConditionKeys condition_keys(const NewGrant& grant) {
  ConditionKeys keys = grant_keys();
  keys.emplace_back("kms:GranteePrincipal", grant.grantee);
  for (const auto& operation : grant.operations) keys.emplace_back("kms:GrantOperations", operation);
  if (!grant.retiring.empty()) keys.emplace_back("kms:RetiringPrincipal", grant.retiring);
  if (!grant.equals.empty()) keys.emplace_back("kms:GrantConstraintType", "EncryptionContextEquals");
  if (!grant.subset.empty()) keys.emplace_back("kms:GrantConstraintType", "EncryptionContextSubset");
  return keys;
}

bool remove_grant(KmsKeyRecord& record, std::string_view grant_id) {
  return std::erase_if(record.grants, [&](const KeyGrant& grant) { return grant.grant_id == grant_id; }) > 0;
}

}  // namespace

void LocalKms::consult(const Identities& identities) { state_->identities = &identities; }

Result<KeyMetadata> LocalKms::authorize(std::string_view action, std::string_view key, const KmsCall& call,
                                        const ConditionKeys& more) const {
  std::shared_lock lock(state_->mutex);
  COFFER_ASSIGN(const KmsKeyRecord* record, state_->book.find(key, call.caller.account));
  COFFER_TRY(state_->check_access(*record, by_wire(action, key, call, more), call.caller));
  return record->metadata;
}

Result<KeyMetadata> LocalKms::find(std::string_view key, const AccountId& account) const {
  return state_->metadata_of(key, account);
}

Status LocalKms::authorize_account(std::string_view action, const KmsCall& call, const std::string& resource,
                                   const ConditionKeys& more) const {
  return check_account_access(by_wire(action, {}, call, more), resource, call.caller, state_->identities,
                              state_->book.realm().region, state_->clock.wall_ns());
}

Result<std::string> LocalKms::key_policy(std::string_view key, const KmsCall& call) const {
  state_->count("GetKeyPolicy");
  COFFER_ASSIGN(const KeyMetadata allowed, authorize("kms:GetKeyPolicy", key, call));
  COFFER_ASSIGN(const KmsKeyRecord record, state_->copy_of(allowed.arn, allowed.account));
  return policy_text(record, state_->book.realm().region);
}

Status LocalKms::check_key_policy(std::string_view key, const KmsCall& call) const {
  state_->count("ListKeyPolicies");
  COFFER_TRY(authorize("kms:ListKeyPolicies", key, call));
  return {};
}

Status LocalKms::put_key_policy(std::string_view key, std::string_view policy, LockOut lock_out, const KmsCall& call) {
  state_->count("PutKeyPolicy");
  const bool bypass = lock_out == LockOut::kAllow;
  const ConditionKeys more = policy_keys(bypass);
  COFFER_ASSIGN(const KeyMetadata allowed, authorize("kms:PutKeyPolicy", key, call, more));
  COFFER_ASSIGN(auto rules, parse_policy(policy, PolicyKind::kKey));
  const auto change = [&](KmsKeyRecord& record) -> Result<bool> {
    if (record.metadata.manager != KeyManager::kCustomer)
      return Error{Code::kUnsupported, record.metadata.arn + " is an AWS managed key: only its service may change it"};
    COFFER_TRY(check_not_pending_deletion(record.metadata));
    KmsKeyRecord next = record;
    next.policy = policy;
    next.rules = std::make_shared<const Policy>(std::move(rules));
    next.grants.clear();  // nobody is given the say by a grant
    const auto again = by_wire("kms:PutKeyPolicy", key, call, more);
    if (!bypass && !state_->check_access(next, again, call.caller).ok()) return locks_out();
    record.policy = policy;
    return true;
  };
  auto changed = state_->edit(allowed.arn, change);
  if (!changed.ok()) return std::move(changed).error();
  return {};
}

Result<KeyGrant> LocalKms::create_grant(std::string_view key, NewGrant terms, const KmsCall& call) {
  state_->count("CreateGrant");
  COFFER_TRY(check_grant(terms));
  const auto more = condition_keys(terms);
  KeyGrant made;
  std::string arn;
  {
    std::shared_lock lock(state_->mutex);
    COFFER_ASSIGN(const KmsKeyRecord* record, state_->book.find(key, call.caller.account));
    COFFER_TRY(check_may_grant(*record, terms, by_wire("kms:CreateGrant", key, call, more), call.caller,
                               state_->identities, state_->book.realm().region, state_->clock.wall_ns()));
    arn = record->metadata.arn;
  }
  const auto edited = state_->edit(arn, [&](KmsKeyRecord& record) -> Result<bool> {
    COFFER_TRY(check_serves(record.metadata, state_->clock.wall_ns()));
    // The same once more under its name is the same grant.
    for (const KeyGrant& known : record.grants)
      if (!terms.name.empty() && known.terms == terms) {
        made = known;
        COFFER_TRY(stop_if_dry(call));
        return false;
      }
    if (record.grants.size() >= kKeyGrantsMax)
      return Error{Code::kLimit, "The key " + record.metadata.arn + " has as many grants as it can"};
    COFFER_TRY(stop_if_dry(call));
    made = {random_hex(), random_hex(), state_->clock.wall_ns(), std::move(terms)};
    record.grants.push_back(made);
    return true;
  });
  if (!edited.ok()) return edited.error();
  return made;
}

Result<std::vector<ListedGrant>> LocalKms::list_grants(std::string_view key, const KmsCall& call) const {
  state_->count("ListGrants");
  COFFER_ASSIGN(const KeyMetadata allowed, authorize("kms:ListGrants", key, call, grant_keys()));
  COFFER_ASSIGN(const KmsKeyRecord record, state_->copy_of(allowed.arn, allowed.account));
  std::vector<ListedGrant> all;
  for (const KeyGrant& grant : record.grants) all.push_back({allowed.arn, allowed.account, grant});
  return all;
}

Result<std::vector<ListedGrant>> LocalKms::list_retirable_grants(const std::string& principal,
                                                                 const KmsCall& call) const {
  state_->count("ListRetirableGrants");
  COFFER_TRY(authorize_account("kms:ListRetirableGrants", call));
  std::shared_lock lock(state_->mutex);
  std::vector<ListedGrant> all;
  for (const auto& [id, record] : state_->book.keys()) {
    if (record.deleted || record.metadata.account != call.caller.account) continue;
    for (const KeyGrant& grant : record.grants)
      if (grant.terms.retiring == principal) all.push_back({record.metadata.arn, record.metadata.account, grant});
  }
  return all;
}

Result<std::string> LocalKms::revoke_grant(std::string_view key, std::string_view grant_id, const KmsCall& call) {
  state_->count("RevokeGrant");
  COFFER_ASSIGN(const KeyMetadata allowed, authorize("kms:RevokeGrant", key, call, grant_keys()));
  const auto edited = state_->edit(allowed.arn, [&](KmsKeyRecord& record) -> Result<bool> {
    KmsKeyRecord next = record;
    if (!remove_grant(next, grant_id)) return no_such_grant(grant_id);
    COFFER_TRY(stop_if_dry(call));
    record = std::move(next);
    return true;
  });
  if (!edited.ok()) return edited.error();
  return allowed.arn;
}

Result<LocalKms::State::Retirable> LocalKms::State::retirable(const GrantName& grant, const KmsCall& call) {
  std::shared_lock lock(mutex);
  for (const auto& [id, record] : book.keys()) {
    if (record.deleted) continue;
    for (const KeyGrant& known : record.grants) {
      const bool meant = grant.token.empty() ? record.metadata.arn == grant.key && known.grant_id == grant.grant_id
                                             : known.token == grant.token;
      if (!meant) continue;
      COFFER_TRY(check_may_retire(record, known.terms, by_wire("kms:RetireGrant", grant.key, call), call.caller,
                                  identities, book.realm().region, clock.wall_ns()));
      return Retirable{record.metadata.arn, known.grant_id};
    }
  }
  return no_such_grant(grant.token.empty() ? grant.grant_id : "of this token");
}

Result<std::string> LocalKms::find_retirable(const GrantName& grant, const KmsCall& call) const {
  COFFER_ASSIGN(const auto found, state_->retirable(grant, call));
  return found.key_arn;
}

Result<std::string> LocalKms::retire_grant(const GrantName& grant, const KmsCall& call) {
  state_->count("RetireGrant");
  COFFER_ASSIGN(const auto found, state_->retirable(grant, call));
  COFFER_TRY(stop_if_dry(call));
  COFFER_TRY(state_->edit(found.key_arn, [&](KmsKeyRecord& record) -> Result<bool> {
    return remove_grant(record, found.grant_id);
  }));
  return found.key_arn;
}

Status LocalKms::check_keeps_in(std::string_view policy, const KmsCall& call) const {
  COFFER_ASSIGN(auto rules, parse_policy(policy, PolicyKind::kKey));
  const std::string id = "00000000-0000-0000-0000-000000000000";
  KmsKeyRecord record{KeyMetadata{
      .key_id = id, .arn = kms_key_arn(state_->book.realm_of(call.caller.account), id), .account = call.caller.account,
      .description = {}, .deletion_ns = {}, .current_material_id = {}}};
  record.policy = policy;
  record.rules = std::make_shared<const Policy>(std::move(rules));
  return state_->check_access(record, by_wire("kms:PutKeyPolicy", {}, call), call.caller).ok() ? Status() : locks_out();
}

std::string LocalKms::alias_arn(std::string_view name, const AccountId& account) const {
  return kms_alias_arn(state_->book.realm_of(account), name);
}

}  // namespace coffer
