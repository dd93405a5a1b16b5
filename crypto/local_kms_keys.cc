#include <algorithm>
#include <set>

#include "base/limits.h"
#include "crypto/local_kms_state.h"

// Managing keys: making them, their states, aliases, tags, rotation, imported material, deletion.
namespace coffer {
namespace {

constexpr std::int64_t kDayNs = std::int64_t{24} * 3600 * 1'000'000'000;

// KMS-22, for whoever calls without the wire's checks.
Status check_between(std::string_view field, std::int64_t value, std::int64_t least, std::int64_t most) {
  const bool small = value < least;
  if (!small && value <= most) return {};
  return Error{Code::kInvalidArgument, "1 validation error detected: Value '" + std::to_string(value) + "' at '" +
                                           std::string(field) +
                                           "' failed to satisfy constraint: Member must have value " +
                                           (small ? "greater than or equal to " + std::to_string(least)
                                                  : "less than or equal to " + std::to_string(most))};
}

Status check_customer_managed(const KeyMetadata& key) {
  if (key.manager == KeyManager::kCustomer) return {};
  return Error{Code::kUnsupported, key.arn + " is an AWS managed key: only its service may change it"};
}

Status check_origin(const KeyMetadata& key, KeyOrigin wanted) {
  if (key.origin == wanted) return {};
  return Error{Code::kUnsupported, key.arn + " origin is " + std::string(key_origin_name(key.origin)) +
                                       " which is not valid for this operation."};
}

// Says whether that changed anything.
Result<bool> switch_state(KmsKeyRecord& record, KeyState state) {
  KeyMetadata& key = record.metadata;
  COFFER_TRY(check_customer_managed(key));
  COFFER_TRY(check_not_pending_deletion(key));
  if (key.state == KeyState::kPendingImport) return Error{Code::kKeyPendingImport, key.arn + " is pending import."};
  return std::exchange(key.state, state) != state;
}

Error rotations_used_up(const KeyMetadata& key) {
  return {Code::kLimit,
          "The on-demand rotations limit has been reached for the given keyId. No more on-demand rotations can be "
          "performed for this key: " +
              key.arn};
}

Error invalid_tag(std::string message) { return {Code::kInvalidTag, std::move(message)}; }

bool reserved_for_aws(std::string_view name) {
  constexpr std::string_view kPrefix = "aws:";
  return name.size() >= kPrefix.size() && std::equal(kPrefix.begin(), kPrefix.end(), name.begin(), [](char a, char b) {
           return a == (b >= 'A' && b <= 'Z' ? b - 'A' + 'a' : b);
         });
}

// KMS's order: reserved names, then names given twice.
Status check_tags(const std::vector<KeyTag>& tags) {
  std::set<std::string_view> names;
  for (const KeyTag& tag : tags) {
    if (reserved_for_aws(tag.name)) return invalid_tag("Tags beginning with aws: are reserved");
    if (tag.name.empty() || tag.name.size() > kKeyTagNameMax || tag.value.size() > kKeyTagValueMax)
      return Error{Code::kInvalidArgument, "A tag's key has 1 to 128 characters, its value at most 256"};
  }
  for (const KeyTag& tag : tags)
    if (!names.insert(tag.name).second) return invalid_tag("Duplicate tag keys");
  return {};
}

Status put_tags(std::vector<KeyTag>& into, const std::vector<KeyTag>& tags) {
  std::map<std::string, std::string> all;
  for (const KeyTag& tag : into) all.emplace(tag.name, tag.value);
  for (const KeyTag& tag : tags) all.insert_or_assign(tag.name, tag.value);
  if (all.size() > kKeyTagsMax) return invalid_tag("Too many tags");
  into.clear();
  for (auto& [name, value] : all) into.push_back({name, std::move(value)});
  return {};
}

Status without_value(Result<KeyMetadata> result) {
  if (!result.ok()) return std::move(result).error();
  return {};
}

}  // namespace

// --- what the two halves share ---

Status LocalKms::State::save(KmsKeyRecord record) {
  COFFER_TRY(records.save_key(record));
  std::unique_lock lock(mutex);
  book.put(std::move(record));
  return {};
}

Status LocalKms::State::save(KeyAlias alias) {
  COFFER_TRY(records.save_alias(alias));
  std::unique_lock lock(mutex);
  book.put(std::move(alias));
  return {};
}

Status LocalKms::State::remove_alias(const KeyAlias& alias) {
  COFFER_TRY(records.remove_alias(alias.account, alias.name));
  std::unique_lock lock(mutex);
  book.remove_alias(alias.account, alias.name);
  return {};
}

Result<KeyMetadata> LocalKms::State::edit(std::string_view key, const Change& change_record) {
  std::lock_guard changing(change);
  COFFER_ASSIGN(KmsKeyRecord record, copy_of(key, own_account()));
  COFFER_ASSIGN(const bool changed, change_record(record));
  KeyMetadata metadata = record.metadata;
  if (changed) COFFER_TRY(save(std::move(record)));
  return metadata;
}

Status LocalKms::State::add_material(KmsKeyRecord& record, RotationKind kind) {
  COFFER_ASSIGN(auto material, make_material(suite, root, store, record.metadata.key_id, clock.wall_ns()));
  material.rotation = kind;
  record.metadata.current_material_id = material.material_id;
  record.materials.push_back(std::move(material));
  return {};
}

Result<KeyMetadata> LocalKms::State::make_key(const NewKey& key, KeyManager manager, const AccountId& account) {
  {
    std::shared_lock lock(mutex);
    if (book.keys().size() >= kKmsKeysMax) return Error{Code::kLimit, "The KMS holds as many keys as it can"};
  }
  const std::string key_id = uuid_text(random_uuid());
  const bool imported = key.origin == KeyOrigin::kExternal;
  KmsKeyRecord record{KeyMetadata{.key_id = key_id,
                                  .arn = kms_key_arn(book.realm_of(account), key_id),
                                  .account = account,
                                  .description = key.description,
                                  .state = imported ? KeyState::kPendingImport : KeyState::kEnabled,
                                  .manager = manager,
                                  .created_ns = clock.wall_ns(),
                                  .deletion_ns = {},
                                  .current_material_id = {},
                                  .origin = key.origin,
                                  .has_material = !imported}};
  COFFER_TRY(put_tags(record.tags, key.tags));
  record.policy = key.policy;
  if (!imported) COFFER_TRY(add_material(record, RotationKind::kNone));
  KeyMetadata made = record.metadata;
  COFFER_TRY(save(std::move(record)));
  return made;
}

bool LocalKms::State::names_aws_managed(std::string_view key, const AccountId& account) const {
  return key == kAwsManagedAlias || key == kms_alias_arn(book.realm_of(account), kAwsManagedAlias);
}

Status LocalKms::State::ensure_aws_managed(const AccountId& account) {
  std::lock_guard changing(change);
  std::string key_id;
  {
    std::shared_lock lock(mutex);
    if (book.find_alias(account, kAwsManagedAlias) != nullptr) return {};
    // One whose alias could not be saved.
    for (const auto& [id, record] : book.keys())
      if (record.metadata.manager == KeyManager::kAws && record.metadata.account == account && !record.deleted)
        key_id = id;
  }
  if (key_id.empty()) {
    const NewKey key{.description = "Default key that protects my S3 objects when no other key is defined"};
    COFFER_ASSIGN(const KeyMetadata made, make_key(key, KeyManager::kAws, account));
    key_id = made.key_id;
  }
  const std::int64_t now = clock.wall_ns();
  return save(KeyAlias{account, std::string(kAwsManagedAlias), key_id, now, now});
}

// --- keys ---

Result<KeyMetadata> LocalKms::create_key(std::string_view description) {
  return create_key({.description = std::string(description)}, state_->own_account());
}

Result<KeyMetadata> LocalKms::create_key(const NewKey& key, const AccountId& account) {
  state_->count("CreateKey");
  if (key.description.size() > kKmsDescriptionMax)
    return Error{Code::kInvalidArgument, "A key's description has at most 8192 characters"};
  COFFER_TRY(check_tags(key.tags));
  if (!key.policy.empty()) COFFER_TRY(parse_policy(key.policy, PolicyKind::kKey));
  std::lock_guard changing(state_->change);
  return state_->make_key(key, KeyManager::kCustomer, account);
}

Result<KeyMetadata> LocalKms::describe(std::string_view key) const {
  state_->count("DescribeKey");
  return state_->metadata_of(key, state_->own_account());
}

std::vector<KeyMetadata> LocalKms::list_keys() const { return list_keys(state_->own_account()); }

std::vector<KeyMetadata> LocalKms::list_keys(const AccountId& account) const {
  state_->count("ListKeys");
  std::shared_lock lock(state_->mutex);
  std::vector<KeyMetadata> keys;
  for (const auto& [id, record] : state_->book.keys())
    if (!record.deleted && record.metadata.account == account) keys.push_back(record.metadata);
  return keys;
}

Status LocalKms::enable(std::string_view key) {
  state_->count("EnableKey");
  return without_value(state_->edit(key, [](auto& record) { return switch_state(record, KeyState::kEnabled); }));
}

Status LocalKms::disable(std::string_view key) {
  state_->count("DisableKey");
  return without_value(state_->edit(key, [](auto& record) { return switch_state(record, KeyState::kDisabled); }));
}

Status LocalKms::set_description(std::string_view key, std::string_view description) {
  state_->count("UpdateKeyDescription");
  if (description.size() > kKmsDescriptionMax)
    return Error{Code::kInvalidArgument, "A key's description has at most 8192 characters"};
  return without_value(state_->edit(key, [&](KmsKeyRecord& record) -> Result<bool> {
    COFFER_TRY(check_customer_managed(record.metadata));
    COFFER_TRY(check_not_pending_deletion(record.metadata));
    return std::exchange(record.metadata.description, std::string(description)) != description;
  }));
}

Result<KeyMetadata> LocalKms::schedule_deletion(std::string_view key, int days) {
  state_->count("ScheduleKeyDeletion");
  COFFER_TRY(check_between("pendingWindowInDays", days, 7, 30));
  return state_->edit(key, [&](KmsKeyRecord& record) -> Result<bool> {
    COFFER_TRY(check_customer_managed(record.metadata));
    COFFER_TRY(check_not_pending_deletion(record.metadata));
    record.metadata.state = KeyState::kPendingDeletion;
    record.metadata.deletion_ns = state_->clock.wall_ns() + days * kDayNs;
    return true;
  });
}

Result<KeyMetadata> LocalKms::cancel_deletion(std::string_view key) {
  state_->count("CancelKeyDeletion");
  return state_->edit(key, [](KmsKeyRecord& record) -> Result<bool> {
    if (record.metadata.state != KeyState::kPendingDeletion)
      return Error{Code::kKeyState, record.metadata.arn + " is not pending deletion."};
    // As KMS leaves it: somebody has to say that it may serve again.
    record.metadata.state = record.metadata.has_material ? KeyState::kDisabled : KeyState::kPendingImport;
    record.metadata.deletion_ns.reset();
    return true;
  });
}

Result<bool> LocalKms::delete_expired() {
  const std::int64_t now = state_->clock.wall_ns();
  std::vector<std::string> expired;
  {
    std::shared_lock lock(state_->mutex);
    for (const auto& [id, record] : state_->book.keys())
      if (!record.deleted && record.metadata.deletion_ns && *record.metadata.deletion_ns <= now)
        expired.push_back(record.metadata.arn);
  }
  const auto drop_everything = [now](KmsKeyRecord& record) -> Result<bool> {
    if (!record.metadata.deletion_ns || *record.metadata.deletion_ns > now) return false;  // cancelled just now
    record.deleted = true;
    record.materials.clear();
    record.tags.clear();
    record.policy.clear();
    record.grants.clear();
    record.metadata.current_material_id.clear();
    record.metadata.has_material = false;
    return true;
  };
  for (const std::string& arn : expired) COFFER_TRY(state_->edit(arn, drop_everything));
  return !expired.empty();
}

// --- aliases ---

std::vector<KeyAlias> LocalKms::list_aliases() const { return list_aliases(state_->own_account()); }

std::vector<KeyAlias> LocalKms::list_aliases(const AccountId& account) const {
  state_->count("ListAliases");
  std::shared_lock lock(state_->mutex);
  std::vector<KeyAlias> aliases;
  for (const auto& [name, alias] : state_->book.aliases())
    if (name.first == account && state_->book.find_alias(account, name.second) != nullptr) aliases.push_back(alias);
  return aliases;
}

Status LocalKms::create_alias(std::string_view name, std::string_view key) {
  return create_alias(name, key, state_->own_account());
}

Status LocalKms::create_alias(std::string_view name, std::string_view key, const AccountId& account) {
  state_->count("CreateAlias");
  COFFER_TRY(check_alias_name(name));
  if (names_alias(key)) return Error{Code::kInvalidArgument, "Aliases must refer to keys. Not aliases"};
  std::lock_guard changing(state_->change);
  COFFER_ASSIGN(const KeyMetadata target, state_->metadata_of(key, account));
  COFFER_TRY(check_not_pending_deletion(target));
  {
    std::shared_lock lock(state_->mutex);
    if (state_->book.find_alias(account, name) != nullptr)
      return Error{Code::kExists,
                   "An alias with the name " + kms_alias_arn(state_->book.realm_of(account), name) + " already exists"};
    if (state_->book.aliases().size() >= kKmsAliasesMax)
      return Error{Code::kLimit, "The KMS holds as many aliases as it can"};
  }
  const std::int64_t now = state_->clock.wall_ns();
  return state_->save(KeyAlias{account, std::string(name), target.key_id, now, now});
}

Status LocalKms::update_alias(std::string_view name, std::string_view key, const AccountId& account) {
  state_->count("UpdateAlias");
  COFFER_TRY(check_alias_name(name));
  if (names_alias(key)) return Error{Code::kInvalidArgument, "Aliases must refer to keys. Not aliases"};
  std::lock_guard changing(state_->change);
  COFFER_ASSIGN(const KeyMetadata target, state_->metadata_of(key, account));
  COFFER_TRY(check_not_pending_deletion(target));
  std::optional<KeyAlias> alias;
  {
    std::shared_lock lock(state_->mutex);
    if (const KeyAlias* found = state_->book.find_alias(account, name)) alias = *found;
  }
  if (!alias)
    return Error{Code::kKeyMissing, "Alias " + kms_alias_arn(state_->book.realm_of(account), name) + " is not found."};
  alias->target_key_id = target.key_id;
  alias->updated_ns = state_->clock.wall_ns();
  return state_->save(*std::move(alias));
}

Status LocalKms::delete_alias(std::string_view name, const AccountId& account) {
  state_->count("DeleteAlias");
  COFFER_TRY(check_alias_name(name));
  std::lock_guard changing(state_->change);
  std::optional<KeyAlias> alias;
  {
    std::shared_lock lock(state_->mutex);
    if (const KeyAlias* found = state_->book.find_alias(account, name)) alias = *found;
  }
  if (!alias)
    return Error{Code::kKeyMissing, "Alias " + kms_alias_arn(state_->book.realm_of(account), name) + " is not found."};
  return state_->remove_alias(*alias);
}

// --- tags ---

Status LocalKms::tag(std::string_view key, const std::vector<KeyTag>& tags) {
  state_->count("TagResource");
  COFFER_TRY(check_tags(tags));
  return without_value(state_->edit(key, [&](KmsKeyRecord& record) -> Result<bool> {
    COFFER_TRY(check_customer_managed(record.metadata));
    COFFER_TRY(check_not_pending_deletion(record.metadata));
    COFFER_TRY(put_tags(record.tags, tags));
    return true;
  }));
}

Status LocalKms::untag(std::string_view key, const std::vector<std::string>& names) {
  state_->count("UntagResource");
  return without_value(state_->edit(key, [&](KmsKeyRecord& record) -> Result<bool> {
    COFFER_TRY(check_customer_managed(record.metadata));
    COFFER_TRY(check_not_pending_deletion(record.metadata));
    return std::erase_if(record.tags, [&](const KeyTag& tag) {
             return std::find(names.begin(), names.end(), tag.name) != names.end();
           }) > 0;
  }));
}

Result<std::vector<KeyTag>> LocalKms::list_tags(std::string_view key) const {
  state_->count("ListResourceTags");
  COFFER_ASSIGN(KmsKeyRecord record, state_->copy_of(key, state_->own_account()));
  return std::move(record.tags);
}

// --- rotation ---

Status LocalKms::rotate(std::string_view key) {
  state_->count("RotateKeyOnDemand");
  return without_value(state_->edit(key, [this](KmsKeyRecord& record) -> Result<bool> {
    const KeyMetadata& metadata = record.metadata;
    COFFER_TRY(check_customer_managed(metadata));
    COFFER_TRY(check_serves(metadata, state_->clock.wall_ns()));
    if (metadata.origin == KeyOrigin::kExternal)
      return Error{Code::kKeyState, "No available key material pending rotation for the key: " + metadata.arn + "."};
    const auto on_demand = std::count_if(record.materials.begin(), record.materials.end(), [](const auto& material) {
      return material.rotation == RotationKind::kOnDemand;
    });
    if (static_cast<std::size_t>(on_demand) >= kOnDemandRotationsMax || record.materials.size() >= kKeyMaterialsMax)
      return rotations_used_up(metadata);
    COFFER_TRY(state_->add_material(record, RotationKind::kOnDemand));
    return true;
  }));
}

Status LocalKms::enable_rotation(std::string_view key, std::int64_t days) {
  state_->count("EnableKeyRotation");
  COFFER_TRY(check_between("rotationPeriodInDays", days, kRotationDaysMin, kRotationDaysMax));
  return without_value(state_->edit(key, [&](KmsKeyRecord& record) -> Result<bool> {
    KeyMetadata& metadata = record.metadata;
    COFFER_TRY(check_customer_managed(metadata));
    COFFER_TRY(check_origin(metadata, KeyOrigin::kAwsKms));
    COFFER_TRY(check_serves(metadata, state_->clock.wall_ns()));
    if (metadata.rotation_days == days) return false;
    metadata.rotation_days = days;
    metadata.next_rotation_ns = state_->clock.wall_ns() + days * kDayNs;
    return true;
  }));
}

Status LocalKms::disable_rotation(std::string_view key) {
  state_->count("DisableKeyRotation");
  return without_value(state_->edit(key, [&](KmsKeyRecord& record) -> Result<bool> {
    KeyMetadata& metadata = record.metadata;
    COFFER_TRY(check_customer_managed(metadata));
    COFFER_TRY(check_origin(metadata, KeyOrigin::kAwsKms));
    COFFER_TRY(check_serves(metadata, state_->clock.wall_ns()));
    const bool was_on = metadata.rotation_days.has_value();
    metadata.rotation_days.reset();
    metadata.next_rotation_ns.reset();
    return was_on;
  }));
}

Result<KeyMetadata> LocalKms::rotation_status(std::string_view key) const {
  state_->count("GetKeyRotationStatus");
  COFFER_ASSIGN(KeyMetadata metadata, state_->metadata_of(key, state_->own_account()));
  COFFER_TRY(check_not_pending_deletion(metadata));
  return metadata;
}

Result<std::vector<KeyRotation>> LocalKms::list_rotations(std::string_view key) const {
  state_->count("ListKeyRotations");
  COFFER_ASSIGN(const KmsKeyRecord record, state_->copy_of(key, state_->own_account()));
  std::vector<KeyRotation> all;
  for (const WrappedMaterial& material : record.materials)
    all.push_back({material.material_id, material.created_ns, material.rotation,
                   material.material_id == record.metadata.current_material_id});
  return all;
}

Result<bool> LocalKms::rotate_due() {
  const auto is_due = [now = state_->clock.wall_ns()](const KeyMetadata& key) {
    return key.state == KeyState::kEnabled && key.next_rotation_ns && *key.next_rotation_ns <= now;
  };
  std::vector<std::string> due;
  {
    std::shared_lock lock(state_->mutex);
    for (const auto& [id, record] : state_->book.keys())
      if (!record.deleted && is_due(record.metadata)) due.push_back(record.metadata.arn);
  }
  const auto turn = [&](KmsKeyRecord& record) -> Result<bool> {
    KeyMetadata& metadata = record.metadata;
    if (!is_due(metadata) || !metadata.rotation_days) return false;  // changed just now
    metadata.next_rotation_ns = state_->clock.wall_ns() + *metadata.rotation_days * kDayNs;
    if (record.materials.size() >= kKeyMaterialsMax) return true;  // half a century of turns: it keeps its newest
    COFFER_TRY(state_->add_material(record, RotationKind::kAutomatic));
    return true;
  };
  for (const std::string& arn : due) COFFER_TRY(state_->edit(arn, turn));
  return !due.empty();
}

// --- imported material ---

Result<LocalKms::ImportParameters> LocalKms::parameters_for_import(std::string_view key, ImportWrapping wrapping,
                                                                   int rsa_bits) const {
  state_->count("GetParametersForImport");
  COFFER_ASSIGN(const KeyMetadata metadata, state_->metadata_of(key, state_->own_account()));
  COFFER_TRY(check_origin(metadata, KeyOrigin::kExternal));
  COFFER_TRY(check_not_pending_deletion(metadata));
  const std::int64_t valid_to_ns = state_->clock.wall_ns() + kImportTokenSeconds * 1'000'000'000;
  COFFER_ASSIGN(auto offer, state_->imports.offer(metadata.key_id, wrapping, rsa_bits, valid_to_ns));
  return ImportParameters{metadata.arn, std::move(offer.public_key), std::move(offer.token), valid_to_ns};
}

Result<KeyMetadata> LocalKms::import_material(std::string_view key, BytesView token, BytesView wrapped_material,
                                              std::optional<std::int64_t> expires_ns) {
  state_->count("ImportKeyMaterial");
  return state_->edit(key, [&](KmsKeyRecord& record) -> Result<bool> {
    KeyMetadata& metadata = record.metadata;
    const std::int64_t now = state_->clock.wall_ns();
    COFFER_TRY(check_origin(metadata, KeyOrigin::kExternal));
    COFFER_TRY(check_not_pending_deletion(metadata));
    if (expires_ns && (*expires_ns <= now || *expires_ns > now + kImportedDaysMax * kDayNs))
      return Error{Code::kInvalidArgument, "ValidTo must be in the future, and at most 365 days from now"};
    COFFER_ASSIGN(const Key material, state_->imports.accept(metadata.key_id, token, wrapped_material, now));
    const bool first = record.materials.empty();
    if (!first && !is_marked(record.materials.back().mark, metadata.key_id, material))
      return Error{Code::kWrongMaterial,
                   "The key material is not the same as the key material that was previously imported into this key"};
    COFFER_ASSIGN(auto wrapped, wrap_material(state_->suite, state_->root, state_->store, metadata.key_id,
                                              first ? new_material_id() : metadata.current_material_id, now, material));
    wrapped.mark = first ? mark_material(metadata.key_id, material) : std::move(record.materials.back().mark);
    metadata.current_material_id = wrapped.material_id;
    record.materials.clear();
    record.materials.push_back(std::move(wrapped));
    metadata.has_material = true;
    metadata.expires_ns = expires_ns;
    if (metadata.state == KeyState::kPendingImport) metadata.state = KeyState::kEnabled;
    return true;
  });
}

namespace {

// What stays is the material's name, so that the same one can come back, and no other.
void drop_material(KmsKeyRecord& record) {
  for (WrappedMaterial& material : record.materials) material.wrapped.clear();
  record.metadata.has_material = false;
  record.metadata.expires_ns.reset();
  if (record.metadata.state != KeyState::kPendingDeletion) record.metadata.state = KeyState::kPendingImport;
}

}  // namespace

Result<KeyMetadata> LocalKms::delete_imported_material(std::string_view key) {
  state_->count("DeleteImportedKeyMaterial");
  return state_->edit(key, [&](KmsKeyRecord& record) -> Result<bool> {
    COFFER_TRY(check_origin(record.metadata, KeyOrigin::kExternal));
    if (!record.metadata.has_material) return false;
    drop_material(record);
    return true;
  });
}

std::vector<KeyMetadata> LocalKms::expired_materials() const {
  const std::int64_t now = state_->clock.wall_ns();
  std::shared_lock lock(state_->mutex);
  std::vector<KeyMetadata> expired;
  for (const auto& [id, record] : state_->book.keys())
    if (!record.deleted && record.metadata.expires_ns && *record.metadata.expires_ns <= now)
      expired.push_back(record.metadata);
  return expired;
}

Status LocalKms::drop_expired_material(std::string_view key_arn) {
  return without_value(state_->edit(key_arn, [&](KmsKeyRecord& record) -> Result<bool> {
    const auto& expires = record.metadata.expires_ns;
    if (!expires || *expires > state_->clock.wall_ns()) return false;
    drop_material(record);
    return true;
  }));
}

}  // namespace coffer
