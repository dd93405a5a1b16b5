#include "admin/kms_api.h"
#include "admin/kms_error.h"
#include "admin/kms_shapes.h"
#include "base/policy_limits.h"
#include "iam/policy.h"

// Keys, their names and their tags.
namespace coffer {
namespace {

using nlohmann::json;

constexpr int kDeletionDaysMin = 7, kDeletionDaysMax = 30, kDeletionDays = 30;
constexpr JsonMembers::Sizes kTagNameSizes{1, 128}, kTagValueSizes{0, 256};

std::vector<KeyTag> take_tags(JsonMembers& members) {
  std::vector<KeyTag> tags;
  for (auto& [name, value] : members.pairs("Tags", "TagKey", kTagNameSizes, "TagValue", kTagValueSizes))
    tags.push_back({std::move(name), std::move(value)});
  return tags;
}

}  // namespace

JsonAnswer KmsApi::create_key(Request request, const KmsCall& caller) {
  JsonMembers members(request);
  NewKey key;
  key.description = members.text("Description", kDescriptionSizes).value_or("");
  key.tags = take_tags(members);
  const auto origin = members.one_of("Origin", {"AWS_KMS", "EXTERNAL", "AWS_CLOUDHSM", "EXTERNAL_KEY_STORE"});
  if (origin == "EXTERNAL") {
    key.origin = KeyOrigin::kExternal;
  } else {
    members.only("Origin", "AWS_KMS");
  }
  members.one_of("KeyUsage", {"SIGN_VERIFY", "ENCRYPT_DECRYPT", "GENERATE_VERIFY_MAC", "KEY_AGREEMENT"});
  members.only("KeyUsage", "ENCRYPT_DECRYPT");
  members.only("KeySpec", "SYMMETRIC_DEFAULT");
  members.only("CustomerMasterKeySpec", "SYMMETRIC_DEFAULT");
  members.only("MultiRegion", false);
  for (const auto* name : {"CustomKeyStoreId", "XksKeyId"}) members.only(name, nullptr);
  key.policy = members.text("Policy", {1, kKeyPolicySizeMax}).value_or("");
  key.may_lock_out = members.flag("BypassPolicyLockoutSafetyCheck");
  if (members.error()) return *members.error();
  if (const auto policy = parse_policy(key.policy, PolicyKind::kKey); !key.policy.empty() && !policy.ok())
    return JsonError{400, "MalformedPolicyDocumentException", policy.error().message};
  const auto made = kms_.keys.create_key(key, caller);
  if (!made.ok()) return to_kms(made.error());
  return print_json({{"KeyMetadata", key_metadata(*made)}});
}

JsonAnswer KmsApi::describe_key(Request request, const KmsCall& caller) {
  JsonMembers members(request);
  const auto key_id = members.required_text("KeyId", kKeyIdSizes);
  const auto call = take_call(members, caller);
  if (members.error()) return *members.error();
  const auto key = kms_.keys.describe_key(key_id, call);
  if (!key.ok()) return to_kms(key.error());
  return print_json({{"KeyMetadata", key_metadata(*key)}});
}

JsonAnswer KmsApi::list_keys(Request request, const KmsCall& caller) {
  JsonMembers members(request);
  const auto limit = members.integer("Limit", 1, 1000).value_or(100);
  const auto marker = members.text("Marker", kMarkerSizes);
  if (members.error()) return *members.error();
  auto keys = kms_.keys.list_keys(caller);
  if (!keys.ok()) return to_kms(keys.error());
  return print_json(page_of(
      *std::move(keys), "Keys", static_cast<std::size_t>(limit), marker, [](const auto& key) { return key.key_id; },
      [](const auto& key) {
        return json{{"KeyId", key.key_id}, {"KeyArn", key.arn}};
      }));
}

JsonAnswer KmsApi::update_key_description(Request request, const KmsCall& caller) {
  JsonMembers members(request);
  const auto key_id = members.required_text("KeyId", kKeyIdSizes);
  const auto description = members.required_text("Description", kDescriptionSizes);
  if (members.error()) return *members.error();
  return nothing_or(kms_.keys.update_description(key_id, description, caller));
}

JsonAnswer KmsApi::enable_key(Request request, const KmsCall& caller) {
  JsonMembers members(request);
  const auto key_id = members.required_text("KeyId", kKeyIdSizes);
  if (members.error()) return *members.error();
  return nothing_or(kms_.keys.enable_key(key_id, caller));
}

JsonAnswer KmsApi::disable_key(Request request, const KmsCall& caller) {
  JsonMembers members(request);
  const auto key_id = members.required_text("KeyId", kKeyIdSizes);
  if (members.error()) return *members.error();
  return nothing_or(kms_.keys.disable_key(key_id, caller));
}

JsonAnswer KmsApi::schedule_key_deletion(Request request, const KmsCall& caller) {
  JsonMembers members(request);
  const auto key_id = members.required_text("KeyId", kKeyIdSizes);
  const auto days = members.integer("PendingWindowInDays", kDeletionDaysMin, kDeletionDaysMax).value_or(kDeletionDays);
  if (members.error()) return *members.error();
  const auto key = kms_.keys.schedule_key_deletion(key_id, static_cast<int>(days), caller);
  if (!key.ok()) return to_kms(key.error());
  json out = {{"KeyId", key->arn}, {"KeyState", key_state_name(key->state)}, {"PendingWindowInDays", days}};
  if (key->deletion_ns) out["DeletionDate"] = epoch_seconds(*key->deletion_ns);
  return print_json(out);
}

JsonAnswer KmsApi::cancel_key_deletion(Request request, const KmsCall& caller) {
  JsonMembers members(request);
  const auto key_id = members.required_text("KeyId", kKeyIdSizes);
  if (members.error()) return *members.error();
  const auto key = kms_.keys.cancel_key_deletion(key_id, caller);
  if (!key.ok()) return to_kms(key.error());
  return print_json({{"KeyId", key->arn}});
}

JsonAnswer KmsApi::create_alias(Request request, const KmsCall& caller) {
  JsonMembers members(request);
  const auto name = members.required_text("AliasName", kAliasSizes);
  const auto key_id = members.required_text("TargetKeyId", kKeyIdSizes);
  if (members.error()) return *members.error();
  return nothing_or(kms_.aliases.create_alias(name, key_id, caller));
}

JsonAnswer KmsApi::update_alias(Request request, const KmsCall& caller) {
  JsonMembers members(request);
  const auto name = members.required_text("AliasName", kAliasSizes);
  const auto key_id = members.required_text("TargetKeyId", kKeyIdSizes);
  if (members.error()) return *members.error();
  return nothing_or(kms_.aliases.update_alias(name, key_id, caller));
}

JsonAnswer KmsApi::delete_alias(Request request, const KmsCall& caller) {
  JsonMembers members(request);
  const auto name = members.required_text("AliasName", kAliasSizes);
  if (members.error()) return *members.error();
  return nothing_or(kms_.aliases.delete_alias(name, caller));
}

JsonAnswer KmsApi::list_aliases(Request request, const KmsCall& caller) {
  JsonMembers members(request);
  const auto key_id = members.text("KeyId", kKeyIdSizes);
  const auto limit = members.integer("Limit", 1, 100).value_or(50);
  const auto marker = members.text("Marker", kMarkerSizes);
  if (members.error()) return *members.error();
  auto aliases = kms_.aliases.list_aliases(key_id.value_or(""), caller);
  if (!aliases.ok()) return to_kms(aliases.error());
  return print_json(page_of(
      *std::move(aliases), "Aliases", static_cast<std::size_t>(limit), marker,
      [](const auto& alias) { return alias.name; },
      [&](const auto& alias) {
        return json{{"AliasName", alias.name},
                    {"AliasArn", kms_alias_arn({alias.account, realm_.region}, alias.name)},
                    {"TargetKeyId", alias.target_key_id},
                    {"CreationDate", epoch_seconds(alias.created_ns)},
                    {"LastUpdatedDate", epoch_seconds(alias.updated_ns)}};
      }));
}

JsonAnswer KmsApi::tag_resource(Request request, const KmsCall& caller) {
  JsonMembers members(request);
  const auto key_id = members.required_text("KeyId", kKeyIdSizes);
  members.require("Tags");
  const auto tags = take_tags(members);
  if (members.error()) return *members.error();
  return nothing_or(kms_.tags.tag_key(key_id, tags, caller));
}

JsonAnswer KmsApi::untag_resource(Request request, const KmsCall& caller) {
  JsonMembers members(request);
  const auto key_id = members.required_text("KeyId", kKeyIdSizes);
  members.require("TagKeys");
  const auto names = members.texts("TagKeys", kTagNameSizes);
  if (members.error()) return *members.error();
  return nothing_or(kms_.tags.untag_key(key_id, names, caller));
}

JsonAnswer KmsApi::list_resource_tags(Request request, const KmsCall& caller) {
  JsonMembers members(request);
  const auto key_id = members.required_text("KeyId", kKeyIdSizes);
  const auto limit = members.integer("Limit", 1, 50).value_or(50);
  const auto marker = members.text("Marker", kMarkerSizes);
  if (members.error()) return *members.error();
  auto tags = kms_.tags.list_tags(key_id, caller);
  if (!tags.ok()) return to_kms(tags.error());
  return print_json(page_of(
      *std::move(tags), "Tags", static_cast<std::size_t>(limit), marker, [](const auto& tag) { return tag.name; },
      [](const auto& tag) {
        return json{{"TagKey", tag.name}, {"TagValue", tag.value}};
      }));
}

}  // namespace coffer
