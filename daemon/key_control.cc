#include "daemon/key_control.h"

#include "base/limits.h"
#include "crypto/kms_access.h"
#include "crypto/kms_book.h"

namespace coffer {
namespace {

Status check_material(const KeyMetadata& key, std::string_view material_id, Code otherwise) {
  if (material_id.empty() || material_id == key.current_material_id) return {};
  return Error{otherwise, "The key has no key material of this KeyMaterialId"};
}

}  // namespace

void StoreKeyUsers::drop_pages(const std::string& key_arn) {
  if (!cache_.drop_pages(store_.objects_under(key_arn), std::chrono::milliseconds(kWriteBackMs))) {
    log_(LogLevel::kWarning, "the kernel did not write back everything under an ending key in time");
  }
}

void StoreKeyUsers::wipe(const std::string& key_arn) {
  store_.wipe_key(key_arn);
  bucket_keys_.flush(key_arn);
}

Result<KeyMetadata> KmsKeyControl::create_key(const NewKey& key, const KmsCall& call) {
  COFFER_TRY(kms_.authorize_account("kms:CreateKey", call, "*", condition_keys(key)));
  if (!key.policy.empty() && !key.may_lock_out) COFFER_TRY(kms_.check_keeps_in(key.policy, call));
  COFFER_ASSIGN(KeyMetadata made, kms_.create_key(key, call.caller.account));
  COFFER_TRY(make_durable_());
  return made;
}

Result<KeyMetadata> KmsKeyControl::describe_key(std::string_view key, const KmsCall& call) {
  COFFER_ASSIGN(const KeyMetadata allowed, kms_.authorize("kms:DescribeKey", key, call));
  return kms_.describe(allowed.arn);
}

Result<std::vector<KeyMetadata>> KmsKeyControl::list_keys(const KmsCall& call) {
  COFFER_TRY(kms_.authorize_account("kms:ListKeys", call));
  return kms_.list_keys(call.caller.account);
}

Status KmsKeyControl::update_description(std::string_view key, std::string_view description, const KmsCall& call) {
  COFFER_ASSIGN(const KeyMetadata allowed, kms_.authorize("kms:UpdateKeyDescription", key, call));
  COFFER_TRY(kms_.set_description(allowed.arn, description));
  return make_durable_();
}

Status KmsKeyControl::enable_key(std::string_view key, const KmsCall& call) {
  COFFER_ASSIGN(const KeyMetadata allowed, kms_.authorize("kms:EnableKey", key, call));
  COFFER_TRY(kms_.enable(allowed.arn));
  revive(allowed.arn);
  return make_durable_();
}

Status KmsKeyControl::disable_key(std::string_view key, const KmsCall& call) {
  COFFER_ASSIGN(const KeyMetadata allowed, kms_.authorize("kms:DisableKey", key, call));
  return end_key(allowed.arn, [&] { return kms_.disable(allowed.arn); });
}

Result<KeyMetadata> KmsKeyControl::schedule_key_deletion(std::string_view key, int days, const KmsCall& call) {
  COFFER_ASSIGN(const KeyMetadata allowed,
                kms_.authorize("kms:ScheduleKeyDeletion", key, call,
                               {{"kms:ScheduleKeyDeletionPendingWindowInDays", std::to_string(days)}}));
  Result<KeyMetadata> scheduled = Error{Code::kNotFound, ""};
  COFFER_TRY(end_key(allowed.arn, [&] {
    scheduled = kms_.schedule_deletion(allowed.arn, days);
    return scheduled.ok() ? Status() : Status(scheduled.error());
  }));
  return scheduled;
}

Result<KeyMetadata> KmsKeyControl::cancel_key_deletion(std::string_view key, const KmsCall& call) {
  COFFER_ASSIGN(const KeyMetadata allowed, kms_.authorize("kms:CancelKeyDeletion", key, call));
  COFFER_ASSIGN(KeyMetadata kept, kms_.cancel_deletion(allowed.arn));
  COFFER_TRY(make_durable_());
  return kept;
}

Result<ImportControl::Parameters> KmsKeyControl::parameters_for_import(std::string_view key, ImportWrapping wrapping,
                                                                       int rsa_bits, const KmsCall& call) {
  COFFER_ASSIGN(const KeyMetadata allowed, kms_.authorize("kms:GetParametersForImport", key, call));
  COFFER_ASSIGN(auto made, kms_.parameters_for_import(allowed.arn, wrapping, rsa_bits));
  return Parameters{std::move(made.key_arn), std::move(made.public_key), std::move(made.token), made.valid_to_ns};
}

Result<KeyMetadata> KmsKeyControl::import_material(std::string_view key, BytesView token, BytesView wrapped_material,
                                                   std::optional<std::int64_t> expires_ns, std::string_view material_id,
                                                   const KmsCall& call) {
  COFFER_ASSIGN(const KeyMetadata allowed, kms_.authorize("kms:ImportKeyMaterial", key, call));
  COFFER_TRY(check_material(allowed, material_id, Code::kWrongMaterial));
  COFFER_ASSIGN(KeyMetadata imported, kms_.import_material(allowed.arn, token, wrapped_material, expires_ns));
  revive(allowed.arn);
  COFFER_TRY(make_durable_());
  return imported;
}

Result<KeyMetadata> KmsKeyControl::delete_imported_material(std::string_view key, std::string_view material_id,
                                                            const KmsCall& call) {
  COFFER_ASSIGN(const KeyMetadata allowed, kms_.authorize("kms:DeleteImportedKeyMaterial", key, call));
  COFFER_TRY(check_material(allowed, material_id, Code::kNotFound));
  Result<KeyMetadata> dropped = Error{Code::kNotFound, ""};
  COFFER_TRY(end_key(allowed.arn, [&] {
    dropped = kms_.delete_imported_material(allowed.arn);
    return dropped.ok() ? Status() : Status(dropped.error());
  }));
  return dropped;
}

Result<std::string> KmsKeyControl::key_policy(std::string_view key, const KmsCall& call) {
  return kms_.key_policy(key, call);
}

Status KmsKeyControl::check_key_policy(std::string_view key, const KmsCall& call) {
  return kms_.check_key_policy(key, call);
}

Status KmsKeyControl::put_key_policy(std::string_view key, std::string_view policy, LockOut lock_out,
                                     const KmsCall& call) {
  // Before anything of the key's users is put down: who may not change it does not disturb them.
  const bool bypass = lock_out == LockOut::kAllow;
  COFFER_ASSIGN(const KeyMetadata allowed,
                kms_.authorize("kms:PutKeyPolicy", key, call, policy_keys(bypass)));
  COFFER_TRY(parse_policy(policy, PolicyKind::kKey));
  const auto kms_lock_out = bypass ? LocalKms::LockOut::kAllow : LocalKms::LockOut::kRefuse;
  return end_key(allowed.arn, [&] { return kms_.put_key_policy(allowed.arn, policy, kms_lock_out, call); });
}

Result<KeyGrant> KmsKeyControl::create_grant(std::string_view key, const NewGrant& terms, const KmsCall& call) {
  COFFER_ASSIGN(KeyGrant grant, kms_.create_grant(key, terms, call));
  COFFER_TRY(make_durable_());
  return grant;
}

Result<std::vector<ListedGrant>> KmsKeyControl::list_grants(std::string_view key, const KmsCall& call) {
  return kms_.list_grants(key, call);
}

Result<std::vector<ListedGrant>> KmsKeyControl::list_retirable_grants(const std::string& principal,
                                                                      const KmsCall& call) {
  return kms_.list_retirable_grants(principal, call);
}

Status KmsKeyControl::revoke_grant(std::string_view key, std::string_view grant_id, const KmsCall& call) {
  COFFER_ASSIGN(const KeyMetadata allowed, kms_.authorize("kms:RevokeGrant", key, call, grant_keys()));
  const auto revoke = [&]() -> Status {
    COFFER_TRY(kms_.revoke_grant(allowed.arn, grant_id, call));
    return {};
  };
  return call.dry_run ? revoke() : end_key(allowed.arn, revoke);
}

Status KmsKeyControl::retire_grant(const std::string& token, const std::string& key, const std::string& grant_id,
                                   const KmsCall& call) {
  const LocalKms::GrantName grant{token, key, grant_id};
  const auto found = kms_.find_retirable(grant, call);
  if (!found.ok()) return found.error();
  const auto retire = [&]() -> Status {
    COFFER_TRY(kms_.retire_grant(grant, call));
    return {};
  };
  return call.dry_run ? retire() : end_key(*found, retire);
}

Status KmsKeyControl::change_callers(const std::function<Status()>& change) { return end_key("", change); }

Status KmsKeyControl::tend() {
  for (const KeyMetadata& key : kms_.expired_materials())
    COFFER_TRY(end_key(key.arn, [&] { return kms_.drop_expired_material(key.arn); }));
  COFFER_ASSIGN(const bool turned, kms_.rotate_due());
  COFFER_ASSIGN(const bool deleted, kms_.delete_expired());
  return turned || deleted ? make_durable_() : Status();
}

// What the kernel could not write back while the key did not serve it still shows: now it reads what is stored.
void KmsKeyControl::revive(const std::string& arn) {
  users_.drop_pages(arn);
  users_.release(arn);  // what waits for the key in the reseal queue goes on
}

// The order is the promise: what is dirty is sealed while the key still serves, memory is empty before the state
// changes, and the kernel forgets once more what was read in between.
Status KmsKeyControl::end_key(const std::string& arn, const std::function<Status()>& switch_state) {
  struct Hold {
    Hold(KeyUsers& users_in, const std::string& arn_in) : users(users_in), arn(arn_in) { users.hold(arn); }
    ~Hold() { users.release(arn); }
    KeyUsers& users;
    const std::string& arn;
  } const hold(users_, arn);

  users_.drop_pages(arn);
  COFFER_TRY(users_.seal_dirty(arn));
  users_.wipe(arn);
  COFFER_TRY(switch_state());
  users_.drop_pages(arn);
  users_.wipe(arn);  // an object created while the state changed had its key from before
  return make_durable_();
}

namespace {

// An alias is a resource of its own: both it and its key must be the caller's to change.
Status authorize(const LocalKms& kms, std::string_view action, std::string_view alias, const KmsCall& call) {
  return kms.authorize_account(action, call, kms.alias_arn(alias, call.caller.account));
}

}  // namespace

Status KmsAliasControl::create_alias(std::string_view name, std::string_view key, const KmsCall& call) {
  COFFER_TRY(authorize(kms_, "kms:CreateAlias", name, call));
  if (!names_alias(key)) COFFER_TRY(kms_.authorize("kms:CreateAlias", key, call));
  COFFER_TRY(kms_.create_alias(name, key, call.caller.account));
  return make_durable_();
}

Status KmsAliasControl::update_alias(std::string_view name, std::string_view key, const KmsCall& call) {
  COFFER_TRY(authorize(kms_, "kms:UpdateAlias", name, call));
  if (!names_alias(key)) COFFER_TRY(kms_.authorize("kms:UpdateAlias", key, call));
  COFFER_TRY(kms_.update_alias(name, key, call.caller.account));
  return make_durable_();
}

Status KmsAliasControl::delete_alias(std::string_view name, const KmsCall& call) {
  COFFER_TRY(authorize(kms_, "kms:DeleteAlias", name, call));
  const auto target = kms_.authorize("kms:DeleteAlias", name, call);
  if (!target.ok() && target.code() == Code::kKeyDenied) return target.error();  // else delete_alias says what is wrong
  COFFER_TRY(kms_.delete_alias(name, call.caller.account));
  return make_durable_();
}

Result<std::vector<KeyAlias>> KmsAliasControl::list_aliases(std::string_view key, const KmsCall& call) {
  COFFER_TRY(kms_.authorize_account("kms:ListAliases", call));
  if (key.empty()) return kms_.list_aliases(call.caller.account);
  COFFER_ASSIGN(const KeyMetadata target, kms_.find(key, call.caller.account));
  if (target.account != call.caller.account) return Error{Code::kKeyMissing, "Key '" + target.arn + "' does not exist"};
  auto aliases = kms_.list_aliases(call.caller.account);
  std::erase_if(aliases, [&](const KeyAlias& alias) { return alias.target_key_id != target.key_id; });
  return aliases;
}

Status KmsTagControl::tag_key(std::string_view key, const std::vector<KeyTag>& tags, const KmsCall& call) {
  COFFER_ASSIGN(const KeyMetadata allowed, kms_.authorize("kms:TagResource", key, call, condition_keys(tags)));
  COFFER_TRY(kms_.tag(allowed.arn, tags));
  return make_durable_();
}

Status KmsTagControl::untag_key(std::string_view key, const std::vector<std::string>& names, const KmsCall& call) {
  COFFER_ASSIGN(const KeyMetadata allowed, kms_.authorize("kms:UntagResource", key, call, condition_keys(names)));
  COFFER_TRY(kms_.untag(allowed.arn, names));
  return make_durable_();
}

Result<std::vector<KeyTag>> KmsTagControl::list_tags(std::string_view key, const KmsCall& call) {
  COFFER_ASSIGN(const KeyMetadata allowed, kms_.authorize("kms:ListResourceTags", key, call));
  return kms_.list_tags(allowed.arn);
}

Status KmsRotationControl::enable_rotation(std::string_view key, std::int64_t days, const KmsCall& call) {
  COFFER_ASSIGN(const KeyMetadata allowed, kms_.authorize("kms:EnableKeyRotation", key, call,
                                                          {{"kms:RotationPeriodInDays", std::to_string(days)}}));
  COFFER_TRY(kms_.enable_rotation(allowed.arn, days));
  return make_durable_();
}

Status KmsRotationControl::disable_rotation(std::string_view key, const KmsCall& call) {
  COFFER_ASSIGN(const KeyMetadata allowed, kms_.authorize("kms:DisableKeyRotation", key, call));
  COFFER_TRY(kms_.disable_rotation(allowed.arn));
  return make_durable_();
}

Result<KeyMetadata> KmsRotationControl::rotation_status(std::string_view key, const KmsCall& call) {
  COFFER_ASSIGN(const KeyMetadata allowed, kms_.authorize("kms:GetKeyRotationStatus", key, call));
  return kms_.rotation_status(allowed.arn);
}

Result<RotationControl::Rotations> KmsRotationControl::list_rotations(std::string_view key, const KmsCall& call) {
  COFFER_ASSIGN(const KeyMetadata allowed, kms_.authorize("kms:ListKeyRotations", key, call));
  COFFER_ASSIGN(auto rotations, kms_.list_rotations(allowed.arn));
  return Rotations{allowed.arn, std::move(rotations)};
}

Result<KeyMetadata> KmsRotationControl::rotate_key(std::string_view key, const KmsCall& call) {
  COFFER_ASSIGN(KeyMetadata allowed, kms_.authorize("kms:RotateKeyOnDemand", key, call));
  COFFER_TRY(kms_.rotate(allowed.arn));
  COFFER_TRY(make_durable_());
  return allowed;
}

Result<DataKeyControl::Generated> KmsDataKeyControl::generate_data_key(std::string_view key, std::size_t size,
                                                                       const EncryptionContext& context,
                                                                       const KmsCall& call) {
  COFFER_ASSIGN(LocalKms::WireDataKey made, kms_.generate_bytes(key, size, context, call));
  return Generated{std::move(made.plaintext), std::move(made.blob), std::move(made.key_arn),
                   std::move(made.material_id)};
}

Result<DataKeyControl::Decrypted> KmsDataKeyControl::decrypt(BytesView blob, const EncryptionContext& context,
                                                             const KmsCall& call, std::string_view expected_key) {
  COFFER_ASSIGN(LocalKms::WireDecrypted opened, kms_.decrypt_bytes(blob, context, call, expected_key));
  return Decrypted{std::move(opened.plaintext), std::move(opened.key_arn), std::move(opened.material_id)};
}

Result<DataKeyControl::Encrypted> KmsDataKeyControl::encrypt(std::string_view key, BytesView plaintext,
                                                             const EncryptionContext& context, const KmsCall& call) {
  COFFER_ASSIGN(LocalKms::WireEncrypted made, kms_.encrypt_bytes(key, plaintext, context, call));
  return Encrypted{std::move(made.blob), std::move(made.key_arn), std::move(made.material_id)};
}

Result<DataKeyControl::ReEncrypted> KmsDataKeyControl::re_encrypt(const ReEncryption& request, const KmsCall& call) {
  COFFER_ASSIGN(auto made, kms_.re_encrypt({request.blob, request.source_key, request.source_context,
                                            request.destination_key, request.destination_context},
                                           call));
  auto& [blob, key_arn, material_id] = made.encrypted;
  return ReEncrypted{{std::move(blob), std::move(key_arn), std::move(material_id)},
                     std::move(made.source_key_arn),
                     std::move(made.source_material_id)};
}

Result<SecretBytes> KmsDataKeyControl::random_bytes(std::size_t size, const KmsCall& call) {
  COFFER_TRY(kms_.authorize_account("kms:GenerateRandom", call));
  return kms_.random_bytes(size);
}

}  // namespace coffer
