#include "crypto/kms_book.h"

#include <algorithm>

#include "base/limits.h"
#include "crypto/kms_access.h"
#include "crypto/uuid.h"

namespace coffer {
namespace {

constexpr std::string_view kKeyPrefix = "key/";
constexpr std::string_view kAliasPrefix = "alias/";

Error missing(std::string message) { return {Code::kKeyMissing, std::move(message)}; }

bool alias_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '/' || c == '_' || c == '-';
}

}  // namespace

Status KmsBook::add(std::vector<KmsKeyRecord> keys, std::vector<KeyAlias> aliases) {
  if (keys.size() > kKmsKeysMax || aliases.size() > kKmsAliasesMax)
    return Error{Code::kLimit, "the store holds more KMS keys or aliases than this version can"};
  for (KmsKeyRecord& record : keys) {
    if (!parse_uuid(record.metadata.key_id)) return Error{Code::kDamaged, "a KMS key's id is not a UUID"};
    put(std::move(record));
  }
  for (KeyAlias& alias : aliases) put(std::move(alias));
  return {};
}

Result<const KmsKeyRecord*> KmsBook::find(std::string_view name, const AccountId& account) const {
  if (name.size() > kKmsArnSizeMax) return Error{Code::kInvalidArgument, "a KeyId has at most 2048 characters"};
  if (name.starts_with(kAliasPrefix)) return find_by_alias(name, account);
  if (!name.starts_with("arn:")) return find_by_id(name, account);
  const auto arn = parse_kms_arn(name);
  if (!arn) return missing("Invalid arn " + std::string(name));
  if (arn->region != realm_.region.str()) return missing("Invalid arn " + arn->region);
  const auto owner = AccountId::parse(arn->account);
  if (!owner.ok()) return missing("Invalid arn " + std::string(name));
  const std::string_view resource = arn->resource;
  if (resource.starts_with(kAliasPrefix)) return find_by_alias(resource, *owner);
  if (resource.starts_with(kKeyPrefix)) return find_by_id(resource.substr(kKeyPrefix.size()), *owner);
  return missing("Invalid arn " + std::string(name));
}

Result<const KmsKeyRecord*> KmsBook::find_by_alias(std::string_view alias_name, const AccountId& account) const {
  const KeyAlias* alias = find_alias(account, alias_name);
  if (alias == nullptr) return missing("Alias " + kms_alias_arn(realm_of(account), alias_name) + " is not found.");
  return find_by_id(alias->target_key_id, account);
}

Result<const KmsKeyRecord*> KmsBook::find_by_id(std::string_view key_id, const AccountId& account) const {
  if (!is_uuid(key_id)) return missing("Invalid keyId '" + std::string(key_id) + "'");
  const KmsKeyRecord* record = find_id(key_id);
  if (record == nullptr || record->deleted || record->metadata.account != account)
    return missing("Key '" + kms_key_arn(realm_of(account), key_id) + "' does not exist");
  return record;
}

const KmsKeyRecord* KmsBook::find_id(std::string_view key_id) const {
  const auto found = keys_.find(key_id);
  return found == keys_.end() ? nullptr : &found->second;
}

const KeyAlias* KmsBook::find_alias(const AccountId& account, std::string_view alias_name) const {
  const auto found = aliases_.find({account, std::string(alias_name)});
  if (found == aliases_.end()) return nullptr;
  const KmsKeyRecord* target = find_id(found->second.target_key_id);
  return target == nullptr || target->deleted ? nullptr : &found->second;
}

void KmsBook::put(KmsKeyRecord record) {
  auto rules = parse_policy(policy_text(record, realm_.region), PolicyKind::kKey);
  record.rules = rules.ok() ? std::make_shared<const Policy>(*std::move(rules)) : nullptr;
  std::string id = record.metadata.key_id;
  keys_.insert_or_assign(std::move(id), std::move(record));
}

void KmsBook::put(KeyAlias alias) {
  AliasName name{alias.account, alias.name};
  aliases_.insert_or_assign(std::move(name), std::move(alias));
}

void KmsBook::remove_alias(const AccountId& account, std::string_view alias_name) {
  aliases_.erase({account, std::string(alias_name)});
}

Status check_serves(const KeyMetadata& key, std::int64_t now_ns) {
  const auto pending_import = [&] { return Error{Code::kKeyPendingImport, key.arn + " is pending import."}; };
  switch (key.state) {
    case KeyState::kEnabled:
      // Expired material does not wait for whoever takes it away.
      if (!key.has_material || (key.expires_ns && *key.expires_ns <= now_ns)) return pending_import();
      return {};
    case KeyState::kDisabled: return Error{Code::kKeyDisabled, key.arn + " is disabled."};
    case KeyState::kPendingDeletion: return check_not_pending_deletion(key);
    case KeyState::kPendingImport: return pending_import();
  }
  return {};
}

Status check_not_pending_deletion(const KeyMetadata& key) {
  if (key.state != KeyState::kPendingDeletion) return {};
  return Error{Code::kKeyPendingDeletion, key.arn + " is pending deletion."};
}

Status check_alias_name(std::string_view name) {
  if (!name.starts_with(kAliasPrefix))
    return Error{Code::kInvalidAliasName,
                 "Alias must start with the prefix \"alias/\". Please see "
                 "https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html"};
  const std::string_view rest = name.substr(kAliasPrefix.size());
  if (rest.starts_with("aws/")) return Error{Code::kInvalidAliasName, "The prefix alias/aws/ is reserved for AWS"};
  if (rest.empty() || name.size() > kKmsAliasSizeMax || !std::all_of(rest.begin(), rest.end(), alias_letter))
    return Error{Code::kInvalidAliasName, "An alias has 1 to 250 of the characters a-z A-Z 0-9 / _ - behind alias/"};
  return {};
}

bool names_alias(std::string_view name) {
  if (name.starts_with(kAliasPrefix)) return true;
  const auto arn = parse_kms_arn(name);
  return arn && arn->resource.starts_with(kAliasPrefix);
}

}  // namespace coffer
