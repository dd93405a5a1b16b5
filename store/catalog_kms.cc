#include "store/catalog_state.h"

// Where the KMS keeps its keys. These verbs take the catalog's mutex themselves: the KMS knows nothing of it.
namespace coffer {
namespace {

// What saving a key can change: its row and 26 materials of 200 bytes, the leaves they are in, and the splits above
// them. Claimed before the first write: a disk that fills up at the commit would take the whole transaction with it.
constexpr std::uint32_t kSavePages = 16;

KeyState state_at(Query& row, int column) {
  switch (row.number(column)) {
    case 1: return KeyState::kEnabled;
    case 2: return KeyState::kDisabled;
    case 3: return KeyState::kPendingDeletion;
  }
  row.unsound();
  return KeyState::kDisabled;
}

unsigned stored(KeyState state) {
  switch (state) {
    case KeyState::kEnabled: return 1;
    case KeyState::kDisabled: return 2;
    case KeyState::kPendingDeletion: return 3;
  }
  return 0;
}

KeyManager manager_at(Query& row, int column) {
  auto stored_value = row.number(column, 2);
  if (stored_value == 0) row.unsound();
  return stored_value == 2 ? KeyManager::kAws : KeyManager::kCustomer;
}

unsigned stored(KeyManager manager) { return manager == KeyManager::kAws ? 2 : 1; }

// Of the columns key_id, arn, account, description, state, manager, created, deletion, current_material.
Result<KeyMetadata> metadata_at(Query& row) {
  auto account = AccountId::parse(row.text(2));
  if (!account) return Error{Code::kDamaged, "the catalog holds a KMS key without a valid account"};
  KeyMetadata key{.key_id = std::string(row.text(0)),
                  .arn = std::string(row.text(1)),
                  .account = *account,
                  .description = std::string(row.text(3)),
                  .state = state_at(row, 4),
                  .manager = manager_at(row, 5),
                  .created_ns = row.signed_number(6),
                  .deletion_ns = std::nullopt,
                  .current_material_id = std::string(row.text(8))};
  if (!row.is_null(7)) key.deletion_ns = row.signed_number(7);
  COFFER_TRY(row.sound());
  return key;
}

Result<std::vector<WrappedMaterial>> materials_of(Statements& statements, std::string_view key_id) {
  auto rows = statements.query(
      "SELECT material_id, created, wrapped FROM kms_materials WHERE key_id = ?1 ORDER BY position", key_id);
  std::vector<WrappedMaterial> materials;
  while (true) {
    COFFER_ASSIGN(bool found, rows.step());
    if (!found) return materials;
    materials.push_back({std::string(rows.text(0)), rows.signed_number(1), to_bytes(rows.blob(2))});
    COFFER_TRY(rows.sound());
  }
}

Status insert_key(Statements& statements, const KeyMetadata& key) {
  return statements
      .query(
          "INSERT OR REPLACE INTO kms_keys(key_id, arn, account, description, state, manager, created, deletion,"
          " current_material) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
          key.key_id, key.arn, key.account.str(), key.description, stored(key.state), stored(key.manager),
          key.created_ns, key.deletion_ns, key.current_material_id)
      .run();
}

}  // namespace

Result<std::vector<KmsKeyRecord>> Catalog::load_keys() {
  std::lock_guard lock(state_->mutex);
  auto rows = state_->query(
      "SELECT key_id, arn, account, description, state, manager, created, deletion, current_material FROM kms_keys"
      " ORDER BY key_id");
  std::vector<KmsKeyRecord> records;
  while (true) {
    COFFER_ASSIGN(bool found, rows.step());
    if (!found) return records;
    COFFER_ASSIGN(auto metadata, metadata_at(rows));
    COFFER_ASSIGN(auto materials, materials_of(state_->statements, metadata.key_id));
    records.push_back({std::move(metadata), std::move(materials)});
  }
}

Result<std::vector<KeyAlias>> Catalog::load_aliases() {
  std::lock_guard lock(state_->mutex);
  auto rows = state_->query("SELECT name, key_id, created FROM kms_aliases ORDER BY name");
  std::vector<KeyAlias> aliases;
  while (true) {
    COFFER_ASSIGN(bool found, rows.step());
    if (!found) return aliases;
    aliases.push_back({std::string(rows.text(0)), std::string(rows.text(1)), rows.signed_number(2)});
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
  COFFER_TRY(state_->database->reserve(kSavePages));
  Savepoint savepoint(*this);
  const auto& key_id = record.metadata.key_id;
  COFFER_TRY(insert_key(state_->statements, record.metadata));
  COFFER_TRY(state_->query("DELETE FROM kms_materials WHERE key_id = ?1", key_id).run());
  for (std::size_t position = 0; position < record.materials.size(); ++position) {
    const auto& material = record.materials[position];
    COFFER_TRY(state_
                   ->query("INSERT INTO kms_materials(key_id, position, material_id, created, wrapped)"
                           " VALUES(?1, ?2, ?3, ?4, ?5)",
                           key_id, position, material.material_id, material.created_ns, material.wrapped)
                   .run());
  }
  return savepoint.keep();
}

Status Catalog::save_alias(const KeyAlias& alias) {
  std::lock_guard lock(state_->mutex);
  COFFER_TRY(state_->database->reserve(kSavePages));
  return state_
      ->query("INSERT OR REPLACE INTO kms_aliases(name, key_id, created) VALUES(?1, ?2, ?3)", alias.name,
              alias.target_key_id, alias.created_ns)
      .run();
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
