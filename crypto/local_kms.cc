#include "crypto/local_kms.h"

#include <functional>
#include <mutex>

#include "base/limits.h"
#include "crypto/encryption_context.h"
#include "crypto/kms_blob.h"
#include "crypto/kms_book.h"

namespace coffer {
namespace {

constexpr std::int64_t kDayNs = std::int64_t{24} * 3600 * 1'000'000'000;

// Every operation that is counted, so that a count of none shows as 0.
constexpr std::string_view kOperations[] = {
    "CancelKeyDeletion", "CreateAlias", "CreateKey",       "Decrypt",     "DescribeKey", "DisableKey",
    "EnableKey",         "Encrypt",     "GenerateDataKey", "ListAliases", "ListKeys",    "RotateKeyOnDemand",
    "ScheduleKeyDeletion"};

// KMS-22: how KMS says that a number is out of bounds.
Error out_of_bounds(std::string_view field, std::uint64_t value, std::string_view bound) {
  return {Code::kInvalidArgument, "1 validation error detected: Value '" + std::to_string(value) + "' at '" +
                                      std::string(field) + "' failed to satisfy constraint: Member must have value " +
                                      std::string(bound)};
}

Status check_between(std::string_view field, std::uint64_t value, std::uint64_t least, std::uint64_t most) {
  if (value < least) return out_of_bounds(field, value, "greater than or equal to " + std::to_string(least));
  if (value > most) return out_of_bounds(field, value, "less than or equal to " + std::to_string(most));
  return {};
}

Status check_customer_managed(const KeyMetadata& key) {
  if (key.manager == KeyManager::kCustomer) return {};
  return Error{Code::kUnsupported, key.arn + " is an AWS managed key: only its service may change it"};
}

Status check_not_pending(const KeyMetadata& key) {
  if (key.state != KeyState::kPendingDeletion) return {};
  return check_enabled(key);
}

// Says whether that changed anything.
Result<bool> switch_state(KmsKeyRecord& record, KeyState state) {
  COFFER_TRY(check_customer_managed(record.metadata));
  COFFER_TRY(check_not_pending(record.metadata));
  return std::exchange(record.metadata.state, state) != state;
}

Error rotations_used_up(const KeyMetadata& key) {
  return {Code::kLimit,
          "The on-demand rotations limit has been reached for the given keyId. No more on-demand rotations can be "
          "performed for this key: " +
              key.arn};
}

Status without_value(Result<KeyMetadata> result) {
  if (!result.ok()) return std::move(result).error();
  return {};
}

}  // namespace

struct LocalKms::State {
  State(const KeySchedule& keys, const AeadSuite& ciphers, KmsRecords& kept, const Clock& time, Realm realm)
      : suite(ciphers),
        records(kept),
        clock(time),
        root(keys.purpose_key(Purpose::kKms)),
        store(keys.store_id()),
        book(std::move(realm)) {}

  const AeadSuite& suite;
  KmsRecords& records;
  const Clock& clock;
  const Key root;
  const StoreId store;

  std::mutex change;        // one change at a time, its save included; taken before `mutex`
  std::shared_mutex mutex;  // guards book; never held across KmsRecords or cryptography
  KmsBook book;

  std::mutex counts_mutex;  // guards counts and saved_counts
  std::map<std::string, std::uint64_t, std::less<>> counts;
  std::map<std::string, std::uint64_t, std::less<>> saved_counts;

  // A key's metadata and one version of its material, taken out of the book for use without its lock.
  struct Found {
    KeyMetadata metadata;
    WrappedMaterial material;
  };

  void count(std::string_view operation) {
    std::lock_guard lock(counts_mutex);
    ++counts.find(operation)->second;
  }

  // One account so far: everybody else is refused as KMS does it (KMS-26, 33).
  Status check_principal(const Principal& principal, std::string_view action) const {
    if (principal.account == book.realm().account) return {};
    return Error{Code::kKeyDenied, "User: " + principal.arn + " is not authorized to perform: " + std::string(action) +
                                       " on this resource because the resource does not exist in this Region, no "
                                       "resource-based policies allow access, or a resource-based policy explicitly "
                                       "denies access"};
  }

  Result<KeyMetadata> metadata_of(std::string_view key) {
    std::shared_lock lock(mutex);
    COFFER_ASSIGN(const KmsKeyRecord* record, book.find(key));
    return record->metadata;
  }

  Result<Found> current_material(std::string_view key) {
    std::shared_lock lock(mutex);
    COFFER_ASSIGN(const KmsKeyRecord* record, book.find(key));
    COFFER_TRY(check_enabled(record->metadata));
    return Found{record->metadata, record->materials.back()};
  }

  Result<Found> material_of(const KmsBlob& blob) {
    std::shared_lock lock(mutex);
    if (book.find_id(blob.key_id()) == nullptr) return Error{Code::kInvalidCiphertext, ""};
    COFFER_ASSIGN(const KmsKeyRecord* record, book.find(blob.key_id()));
    COFFER_TRY(check_enabled(record->metadata));
    for (const WrappedMaterial& material : record->materials)
      if (material.material_id == blob.material_id) return Found{record->metadata, material};
    return Error{Code::kInvalidCiphertext, ""};
  }

  Result<Key> unwrap(const Found& found) const {
    return unwrap_material(suite, root, store, found.metadata.key_id, found.material);
  }

  // Fills plaintext with random bytes and answers their blob.
  Result<Bytes> generate(const Found& found, const EncryptionContext& context, MutableBytes plaintext) const {
    fill_random(plaintext);
    return seal_blob(found, context, plaintext);
  }

  Result<Bytes> seal_blob(const Found& found, const EncryptionContext& context, BytesView plaintext) const {
    COFFER_ASSIGN(const Key material, unwrap(found));
    return seal_kms_blob(suite, material, found.metadata, found.material.material_id, context, plaintext);
  }

  Status open_blob(const Found& found, const KmsBlob& blob, const EncryptionContext& context,
                   MutableBytes plaintext) const {
    COFFER_ASSIGN(const Key material, unwrap(found));
    return open_kms_blob(suite, material, found.metadata, blob, context, plaintext);
  }

  // The key that S3 uses: the one behind alias/aws/s3 is made when it is first asked for.
  Result<Found> current_material_for_s3(std::string_view key) {
    auto found = current_material(key);
    if (found.ok() || found.code() != Code::kKeyMissing || !names_aws_managed(key)) return found;
    COFFER_TRY(ensure_aws_managed());
    return current_material(key);
  }

  // Saves, and only then shows. The caller holds `change`.
  Status save(KmsKeyRecord record) {
    COFFER_TRY(records.save_key(record));
    std::unique_lock lock(mutex);
    book.put(std::move(record));
    return {};
  }
  Status save(KeyAlias alias) {
    COFFER_TRY(records.save_alias(alias));
    std::unique_lock lock(mutex);
    book.put(std::move(alias));
    return {};
  }

  Result<KmsKeyRecord> copy_of(std::string_view key) {
    std::shared_lock lock(mutex);
    COFFER_ASSIGN(const KmsKeyRecord* record, book.find(key));
    return *record;
  }

  // Applies change_record to a copy of the record and saves it; change_record says whether it changed anything.
  Result<KeyMetadata> edit(std::string_view key, const std::function<Result<bool>(KmsKeyRecord&)>& change_record) {
    std::lock_guard changing(change);
    COFFER_ASSIGN(KmsKeyRecord record, copy_of(key));
    COFFER_ASSIGN(const bool changed, change_record(record));
    KeyMetadata metadata = record.metadata;
    if (changed) COFFER_TRY(save(std::move(record)));
    return metadata;
  }

  // The caller holds `change`.
  Result<KeyMetadata> make_key(std::string_view description, KeyManager manager) {
    {
      std::shared_lock lock(mutex);
      if (book.keys().size() >= kKmsKeysMax) return Error{Code::kLimit, "The KMS holds as many keys as it can"};
    }
    const Realm& realm = book.realm();
    const std::string key_id = uuid_text(random_uuid());
    const std::int64_t now = clock.wall_ns();
    COFFER_ASSIGN(auto material, make_material(suite, root, store, key_id, now));
    KeyMetadata made{.key_id = key_id,
                     .arn = kms_key_arn(realm, key_id),
                     .account = realm.account,
                     .description = std::string(description),
                     .state = KeyState::kEnabled,
                     .manager = manager,
                     .created_ns = now,
                     .deletion_ns = {},
                     .current_material_id = material.material_id};
    COFFER_TRY(save(KmsKeyRecord{made, {std::move(material)}}));
    return made;
  }

  bool names_aws_managed(std::string_view key) const {
    return key == kAwsManagedAlias || key == kms_alias_arn(book.realm(), kAwsManagedAlias);
  }

  // The key behind alias/aws/s3, made on first use.
  Status ensure_aws_managed() {
    std::lock_guard changing(change);
    std::string key_id;
    {
      std::shared_lock lock(mutex);
      if (book.find_alias(kAwsManagedAlias) != nullptr) return {};
      // One whose alias could not be saved.
      for (const auto& [id, record] : book.keys())
        if (record.metadata.manager == KeyManager::kAws && !is_deleted(record)) key_id = id;
    }
    if (key_id.empty()) {
      COFFER_ASSIGN(const KeyMetadata made,
                    make_key("Default key that protects my S3 objects when no other key is defined", KeyManager::kAws));
      key_id = made.key_id;
    }
    return save(KeyAlias{std::string(kAwsManagedAlias), key_id, clock.wall_ns()});
  }
};

LocalKms::LocalKms(std::unique_ptr<State> state) : state_(std::move(state)) {}

LocalKms::~LocalKms() = default;

Result<std::unique_ptr<LocalKms>> LocalKms::open(const KeySchedule& keys, const AeadSuite& suite, KmsRecords& records,
                                                 const Clock& clock, Realm realm) {
  auto state = std::make_unique<State>(keys, suite, records, clock, std::move(realm));
  COFFER_ASSIGN(auto key_records, records.load_keys());
  COFFER_ASSIGN(auto aliases, records.load_aliases());
  COFFER_TRY(state->book.add(std::move(key_records), std::move(aliases)));
  COFFER_ASSIGN(const auto counts, records.load_call_counts());
  state->counts.insert(counts.begin(), counts.end());
  for (std::string_view operation : kOperations) state->counts.emplace(operation, 0);
  state->saved_counts = state->counts;
  return std::unique_ptr<LocalKms>(new LocalKms(std::move(state)));
}

Result<DataKey> LocalKms::generate_data_key(std::string_view key, const EncryptionContext& context,
                                            const Principal& principal) {
  state_->count("GenerateDataKey");
  COFFER_TRY(state_->check_principal(principal, "kms:GenerateDataKey"));
  COFFER_TRY(check_context(context));
  COFFER_ASSIGN(const State::Found found, state_->current_material_for_s3(key));
  Key plaintext = Key::zero();
  COFFER_ASSIGN(Bytes blob, state_->generate(found, context, plaintext.span()));
  return DataKey{std::move(plaintext), std::move(blob), found.metadata.arn};
}

Result<WrappedDataKey> LocalKms::encrypt(std::string_view key, const Key& data_key, const EncryptionContext& context,
                                         const Principal& principal) {
  state_->count("Encrypt");
  COFFER_TRY(state_->check_principal(principal, "kms:Encrypt"));
  COFFER_TRY(check_context(context));
  COFFER_ASSIGN(const State::Found found, state_->current_material_for_s3(key));
  COFFER_ASSIGN(Bytes blob, state_->seal_blob(found, context, data_key.view()));
  return WrappedDataKey{std::move(blob), found.metadata.arn};
}

Result<Key> LocalKms::decrypt(BytesView bytes, const EncryptionContext& context, const Principal& principal) {
  state_->count("Decrypt");
  COFFER_TRY(state_->check_principal(principal, "kms:Decrypt"));
  COFFER_TRY(check_context(context));
  COFFER_ASSIGN(const KmsBlob blob, parse_kms_blob(bytes));
  COFFER_ASSIGN(const State::Found found, state_->material_of(blob));
  if (blob.sealed.size() != Key::kSize) return Error{Code::kInvalidCiphertext, ""};
  Key plaintext = Key::zero();
  COFFER_TRY(state_->open_blob(found, blob, context, plaintext.span()));
  return plaintext;
}

Status LocalKms::usable(std::string_view key_arn, const Principal& principal) const {
  COFFER_TRY(state_->check_principal(principal, "kms:Decrypt"));
  std::shared_lock lock(state_->mutex);
  COFFER_ASSIGN(const KmsKeyRecord* record, state_->book.find(key_arn));
  return check_enabled(record->metadata);
}

bool LocalKms::is_current(BytesView bytes, std::string_view key) const {
  const auto blob = parse_kms_blob(bytes);
  if (!blob.ok()) return false;
  std::shared_lock lock(state_->mutex);
  const auto record = state_->book.find(key);
  if (!record.ok()) return false;
  const KeyMetadata& metadata = (*record)->metadata;
  return metadata.key_id == blob->key_id() && metadata.current_material_id == blob->material_id;
}

Result<LocalKms::WireDataKey> LocalKms::generate_bytes(std::string_view key, std::size_t size,
                                                       const EncryptionContext& context, const Principal& principal) {
  state_->count("GenerateDataKey");
  COFFER_TRY(check_between("numberOfBytes", size, 1, kKmsPlaintextMax));
  COFFER_TRY(state_->check_principal(principal, "kms:GenerateDataKey"));
  COFFER_TRY(check_context(context));
  COFFER_ASSIGN(const State::Found found, state_->current_material(key));
  SecretBytes plaintext(size);
  COFFER_ASSIGN(Bytes blob, state_->generate(found, context, plaintext.span()));
  return WireDataKey{std::move(plaintext), std::move(blob), found.metadata.arn, found.material.material_id};
}

Result<LocalKms::WireDecrypted> LocalKms::decrypt_bytes(BytesView bytes, const EncryptionContext& context,
                                                        const Principal& principal, std::string_view expected_key) {
  state_->count("Decrypt");
  COFFER_TRY(state_->check_principal(principal, "kms:Decrypt"));
  COFFER_TRY(check_context(context));
  COFFER_ASSIGN(const KmsBlob blob, parse_kms_blob(bytes));
  if (!expected_key.empty()) {
    COFFER_ASSIGN(const KeyMetadata expected, state_->metadata_of(expected_key));
    if (expected.key_id != blob.key_id())
      return Error{Code::kIncorrectKey,
                   "The key ID in the request does not identify a CMK that can perform this operation."};
  }
  COFFER_ASSIGN(const State::Found found, state_->material_of(blob));
  SecretBytes plaintext(blob.sealed.size());
  COFFER_TRY(state_->open_blob(found, blob, context, plaintext.span()));
  return WireDecrypted{std::move(plaintext), found.metadata.arn, found.material.material_id};
}

Result<KeyMetadata> LocalKms::create_key(std::string_view description) {
  state_->count("CreateKey");
  if (description.size() > kKmsDescriptionMax)
    return Error{Code::kInvalidArgument, "A key's description has at most 8192 characters"};
  std::lock_guard changing(state_->change);
  return state_->make_key(description, KeyManager::kCustomer);
}

Result<KeyMetadata> LocalKms::describe(std::string_view key) const {
  state_->count("DescribeKey");
  return state_->metadata_of(key);
}

std::vector<KeyMetadata> LocalKms::list_keys() const {
  state_->count("ListKeys");
  std::shared_lock lock(state_->mutex);
  std::vector<KeyMetadata> keys;
  for (const auto& [id, record] : state_->book.keys())
    if (!is_deleted(record)) keys.push_back(record.metadata);
  return keys;
}

std::vector<KeyAlias> LocalKms::list_aliases() const {
  state_->count("ListAliases");
  std::shared_lock lock(state_->mutex);
  std::vector<KeyAlias> aliases;
  for (const auto& [name, alias] : state_->book.aliases())
    if (state_->book.find_alias(name) != nullptr) aliases.push_back(alias);
  return aliases;
}

Status LocalKms::create_alias(std::string_view name, std::string_view key) {
  state_->count("CreateAlias");
  COFFER_TRY(check_alias_name(name));
  if (names_alias(key)) return Error{Code::kInvalidArgument, "Aliases must refer to keys. Not aliases"};
  std::lock_guard changing(state_->change);
  COFFER_ASSIGN(const KeyMetadata target, state_->metadata_of(key));
  COFFER_TRY(check_not_pending(target));
  {
    std::shared_lock lock(state_->mutex);
    if (state_->book.find_alias(name) != nullptr)
      return Error{Code::kExists,
                   "An alias with the name " + kms_alias_arn(state_->book.realm(), name) + " already exists"};
    if (state_->book.aliases().size() >= kKmsAliasesMax)
      return Error{Code::kLimit, "The KMS holds as many aliases as it can"};
  }
  return state_->save(KeyAlias{std::string(name), target.key_id, state_->clock.wall_ns()});
}

Status LocalKms::enable(std::string_view key) {
  state_->count("EnableKey");
  return without_value(state_->edit(key, [](auto& record) { return switch_state(record, KeyState::kEnabled); }));
}

Status LocalKms::disable(std::string_view key) {
  state_->count("DisableKey");
  return without_value(state_->edit(key, [](auto& record) { return switch_state(record, KeyState::kDisabled); }));
}

Status LocalKms::rotate(std::string_view key) {
  state_->count("RotateKeyOnDemand");
  const auto add_material = [this](KmsKeyRecord& record) -> Result<bool> {
    KeyMetadata& metadata = record.metadata;
    COFFER_TRY(check_customer_managed(metadata));
    COFFER_TRY(check_enabled(metadata));
    if (record.materials.size() >= kKeyMaterialsMax) return rotations_used_up(metadata);
    COFFER_ASSIGN(auto material,
                  make_material(state_->suite, state_->root, state_->store, metadata.key_id, state_->clock.wall_ns()));
    metadata.current_material_id = material.material_id;
    record.materials.push_back(std::move(material));
    return true;
  };
  return without_value(state_->edit(key, add_material));
}

Result<KeyMetadata> LocalKms::schedule_deletion(std::string_view key, int days) {
  state_->count("ScheduleKeyDeletion");
  if (days < 0) return Error{Code::kInvalidArgument, "PendingWindowInDays is negative"};
  COFFER_TRY(check_between("pendingWindowInDays", static_cast<std::uint64_t>(days), 7, 30));
  return state_->edit(key, [&](KmsKeyRecord& record) -> Result<bool> {
    COFFER_TRY(check_customer_managed(record.metadata));
    COFFER_TRY(check_not_pending(record.metadata));
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
    record.metadata.state = KeyState::kDisabled;  // as KMS leaves it
    record.metadata.deletion_ns.reset();
    return true;
  });
}

Status LocalKms::delete_expired() {
  const std::int64_t now = state_->clock.wall_ns();
  std::vector<std::string> expired;
  {
    std::shared_lock lock(state_->mutex);
    for (const auto& [id, record] : state_->book.keys())
      if (!is_deleted(record) && record.metadata.deletion_ns && *record.metadata.deletion_ns <= now)
        expired.push_back(id);
  }
  const auto drop_material = [now](KmsKeyRecord& record) -> Result<bool> {
    if (!record.metadata.deletion_ns || *record.metadata.deletion_ns > now) return false;  // cancelled just now
    record.materials.clear();
    record.metadata.current_material_id.clear();
    return true;
  };
  for (const std::string& id : expired) COFFER_TRY(state_->edit(id, drop_material));
  return {};
}

std::map<std::string, std::uint64_t> LocalKms::call_counts() const {
  std::lock_guard lock(state_->counts_mutex);
  return {state_->counts.begin(), state_->counts.end()};
}

Status LocalKms::save_call_counts() {
  std::map<std::string, std::uint64_t> counts;
  {
    std::lock_guard lock(state_->counts_mutex);
    if (state_->counts == state_->saved_counts) return {};
    counts = {state_->counts.begin(), state_->counts.end()};
  }
  COFFER_TRY(state_->records.save_call_counts(counts));
  std::lock_guard lock(state_->counts_mutex);
  state_->saved_counts = {counts.begin(), counts.end()};
  return {};
}

}  // namespace coffer
