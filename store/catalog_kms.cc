#include "store/catalog_state.h"

// Where the KMS keeps its keys. These verbs take the catalog's mutex themselves: the KMS knows nothing of it.
namespace coffer {
namespace {

constexpr std::uint64_t kDeleted = 5;  // the state of a key that is there no more
// What saving a key can change, its policy and grants aside: its row, 226 materials of 250 bytes and 50 tags of 400
// characters, the leaves they are in, and the splits above them. Claimed before the first write: a disk that fills up at
// the commit would take the whole transaction with it.
constexpr std::uint32_t kSaveKeyPages = 64;

KeyState state_at(Query& row, int column) {
  switch (row.number(column)) {
    case 1: return KeyState::kEnabled;
    case 2: return KeyState::kDisabled;
    case 3:
    case kDeleted: return KeyState::kPendingDeletion;
    case 4: return KeyState::kPendingImport;
  }
  row.unsound();
  return KeyState::kDisabled;
}

std::uint64_t stored(const KmsKeyRecord& record) {
  if (record.deleted) return kDeleted;
  switch (record.metadata.state) {
    case KeyState::kEnabled: return 1;
    case KeyState::kDisabled: return 2;
    case KeyState::kPendingDeletion: return 3;
    case KeyState::kPendingImport: return 4;
  }
  return 0;
}

// Of two: 1 or 2.
bool second_at(Query& row, int column) {
  const auto value = row.number(column, 2);
  if (value == 0) row.unsound();
  return value == 2;
}

unsigned stored(KeyManager manager) { return manager == KeyManager::kAws ? 2 : 1; }
unsigned stored(KeyOrigin origin) { return origin == KeyOrigin::kExternal ? 2 : 1; }

RotationKind rotation_at(Query& row, int column) {
  switch (row.number(column)) {
    case 0: return RotationKind::kNone;
    case 1: return RotationKind::kAutomatic;
    case 2: return RotationKind::kOnDemand;
  }
  row.unsound();
  return RotationKind::kNone;
}

unsigned stored(RotationKind kind) {
  switch (kind) {
    case RotationKind::kNone: return 0;
    case RotationKind::kAutomatic: return 1;
    case RotationKind::kOnDemand: return 2;
  }
  return 0;
}

std::optional<std::int64_t> time_at(Query& row, int column) {
  if (row.is_null(column)) return std::nullopt;
  return row.signed_number(column);
}

// Of the columns key_id, arn, account, description, state, manager, origin, created, deletion, current_material,
// expires, rotation_days, next_rotation.
Result<KmsKeyRecord> record_at(Query& row) {
  auto account = AccountId::parse(row.text(2));
  if (!account) return Error{Code::kDamaged, "the catalog holds a KMS key without a valid account"};
  KmsKeyRecord record{.metadata = {.key_id = std::string(row.text(0)),
                                   .arn = std::string(row.text(1)),
                                   .account = *account,
                                   .description = std::string(row.text(3)),
                                   .state = state_at(row, 4),
                                   .manager = second_at(row, 5) ? KeyManager::kAws : KeyManager::kCustomer,
                                   .created_ns = row.signed_number(7),
                                   .deletion_ns = time_at(row, 8),
                                   .current_material_id = std::string(row.text(9)),
                                   .origin = second_at(row, 6) ? KeyOrigin::kExternal : KeyOrigin::kAwsKms,
                                   .expires_ns = time_at(row, 10),
                                   .next_rotation_ns = time_at(row, 12)},
                      .deleted = row.number(4) == kDeleted};
  if (!row.is_null(11)) record.metadata.rotation_days = row.signed_number(11);
  COFFER_TRY(row.sound());
  return record;
}

Result<std::vector<WrappedMaterial>> materials_of(Statements& statements, std::string_view key_id) {
  auto rows = statements.query(
      "SELECT material_id, created, wrapped, rotation, mark FROM kms_materials WHERE key_id = ?1 ORDER BY position",
      key_id);
  std::vector<WrappedMaterial> materials;
  while (true) {
    COFFER_ASSIGN(bool found, rows.step());
    if (!found) return materials;
    materials.push_back({std::string(rows.text(0)), rows.signed_number(1), to_bytes(rows.blob(2)), rotation_at(rows, 3),
                         to_bytes(rows.blob(4))});
    COFFER_TRY(rows.sound());
  }
}

Result<std::vector<KeyTag>> tags_of(Statements& statements, std::string_view key_id) {
  auto rows = statements.query("SELECT name, value FROM kms_tags WHERE key_id = ?1 ORDER BY name", key_id);
  std::vector<KeyTag> tags;
  while (true) {
    COFFER_ASSIGN(bool found, rows.step());
    if (!found) return tags;
    tags.push_back({std::string(rows.text(0)), std::string(rows.text(1))});
    COFFER_TRY(rows.sound());
  }
}

Status insert_key(Statements& statements, const KmsKeyRecord& record) {
  const auto& key = record.metadata;
  return statements
      .query(
          "INSERT OR REPLACE INTO kms_keys(key_id, arn, account, description, state, manager, origin, created,"
          " deletion, current_material, expires, rotation_days, next_rotation)"
          " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
          key.key_id, key.arn, key.account.str(), key.description, stored(record), stored(key.manager),
          stored(key.origin), key.created_ns, key.deletion_ns, key.current_material_id, key.expires_ns,
          key.rotation_days, key.next_rotation_ns)
      .run();
}

Status insert_materials(Statements& statements, const KmsKeyRecord& record) {
  const auto& key_id = record.metadata.key_id;
  COFFER_TRY(statements.query("DELETE FROM kms_materials WHERE key_id = ?1", key_id).run());
  for (std::size_t position = 0; position < record.materials.size(); ++position) {
    const auto& material = record.materials[position];
    COFFER_TRY(statements
                   .query("INSERT INTO kms_materials(key_id, position, material_id, created, rotation, wrapped, mark)"
                          " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                          key_id, position, material.material_id, material.created_ns, stored(material.rotation),
                          material.wrapped, material.mark)
                   .run());
  }
  return {};
}

Status insert_tags(Statements& statements, const KmsKeyRecord& record) {
  const auto& key_id = record.metadata.key_id;
  COFFER_TRY(statements.query("DELETE FROM kms_tags WHERE key_id = ?1", key_id).run());
  for (const auto& tag : record.tags)
    COFFER_TRY(
        statements.query("INSERT INTO kms_tags(key_id, name, value) VALUES(?1, ?2, ?3)", key_id, tag.name, tag.value)
            .run());
  return {};
}

}  // namespace

Result<std::vector<KmsKeyRecord>> Catalog::load_keys() {
  std::lock_guard lock(state_->mutex);
  auto rows = state_->query(
      "SELECT key_id, arn, account, description, state, manager, origin, created, deletion, current_material, expires,"
      " rotation_days, next_rotation FROM kms_keys ORDER BY key_id");
  std::vector<KmsKeyRecord> records;
  while (true) {
    COFFER_ASSIGN(bool found, rows.step());
    if (!found) return records;
    COFFER_ASSIGN(auto record, record_at(rows));
    COFFER_ASSIGN(record.materials, materials_of(state_->statements, record.metadata.key_id));
    COFFER_ASSIGN(record.tags, tags_of(state_->statements, record.metadata.key_id));
    COFFER_TRY(take_key_access(record));
    record.metadata.has_material = !record.materials.empty() && !record.materials.back().wrapped.empty();
    records.push_back(std::move(record));
  }
}

Result<std::vector<KeyAlias>> Catalog::load_aliases() {
  std::lock_guard lock(state_->mutex);
  auto rows = state_->query("SELECT account, name, key_id, created, updated FROM kms_aliases ORDER BY account, name");
  std::vector<KeyAlias> aliases;
  while (true) {
    COFFER_ASSIGN(bool found, rows.step());
    if (!found) return aliases;
    auto account = AccountId::parse(rows.text(0));
    if (!account) return Error{Code::kDamaged, "the catalog holds a KMS alias without a valid account"};
    aliases.push_back(
        {*account, std::string(rows.text(1)), std::string(rows.text(2)), rows.signed_number(3), rows.signed_number(4)});
    COFFER_TRY(rows.sound());
  }
}

Result<std::map<std::string, std::uint64_t>> Catalog::load_call_counts() {
  std::lock_guard lock(state_->mutex);
  auto rows = state_->query("SELECT operation, count FROM kms_calls");
  std::map<std::string, std::uint64_t> counts;
  while (true) {
    COFFER_ASSIGN(bool found, rows.step());
    if (!found) return counts;
    counts.emplace(rows.text(0), rows.number(1));
    COFFER_TRY(rows.sound());
  }
}

Status Catalog::save_key(const KmsKeyRecord& record) {
  std::lock_guard lock(state_->mutex);
  COFFER_ASSIGN(const auto access, key_access_changes(record));
  std::uint32_t pages = kSaveKeyPages;
  for (const auto& change : access) pages += change.pages_max;
  COFFER_TRY(state_->database->reserve(pages));
  const ErasedPages erased(state_->statements);
  COFFER_TRY(erased.begun());
  Savepoint savepoint(*this);
  COFFER_TRY(insert_key(state_->statements, record));
  COFFER_TRY(insert_materials(state_->statements, record));
  COFFER_TRY(insert_tags(state_->statements, record));
  for (const auto& change : access)
    COFFER_TRY(change.value.empty() ? remove_blob(change.name) : put_access(change.name, change.value));
  return savepoint.keep();
}

Status Catalog::save_alias(const KeyAlias& alias) {
  std::lock_guard lock(state_->mutex);
  COFFER_TRY(state_->database->reserve(kSaveKeyPages));
  return state_
      ->query("INSERT OR REPLACE INTO kms_aliases(account, name, key_id, created, updated) VALUES(?1, ?2, ?3, ?4, ?5)",
              alias.account.str(), alias.name, alias.target_key_id, alias.created_ns, alias.updated_ns)
      .run();
}

Status Catalog::remove_alias(const AccountId& account, std::string_view name) {
  std::lock_guard lock(state_->mutex);
  COFFER_TRY(state_->database->reserve(kSaveKeyPages));
  return state_->query("DELETE FROM kms_aliases WHERE account = ?1 AND name = ?2", account.str(), name).run();
}

Status Catalog::save_call_counts(const std::map<std::string, std::uint64_t>& counts) {
  std::lock_guard lock(state_->mutex);
  Savepoint savepoint(*this);
  for (const auto& [operation, count] : counts)
    COFFER_TRY(
        state_->query("INSERT OR REPLACE INTO kms_calls(operation, count) VALUES(?1, ?2)", operation, count).run());
  return savepoint.keep();
}

}  // namespace coffer
