#include "crypto/local_kms.h"

#include "base/limits.h"
#include "crypto/encryption_context.h"
#include "crypto/external_kms.h"
#include "crypto/local_kms_state.h"

// Opening the KMS, and using its keys.
namespace coffer {
namespace {

// Every operation that is counted, so that a count of none shows as 0.
constexpr std::string_view kOperations[] = {"CancelKeyDeletion",
                                            "CreateAlias",
                                            "CreateGrant",
                                            "CreateKey",
                                            "Decrypt",
                                            "DeleteAlias",
                                            "DescribeKey",
                                            "DisableKey",
                                            "DeleteImportedKeyMaterial",
                                            "DisableKeyRotation",
                                            "EnableKey",
                                            "EnableKeyRotation",
                                            "Encrypt",
                                            "GenerateDataKey",
                                            "GenerateRandom",
                                            "GetKeyPolicy",
                                            "GetKeyRotationStatus",
                                            "GetParametersForImport",
                                            "ImportKeyMaterial",
                                            "ListAliases",
                                            "ListGrants",
                                            "ListKeyPolicies",
                                            "ListKeyRotations",
                                            "ListKeys",
                                            "ListResourceTags",
                                            "ListRetirableGrants",
                                            "PutKeyPolicy",
                                            "ReEncrypt",
                                            "RetireGrant",
                                            "RevokeGrant",
                                            "RotateKeyOnDemand",
                                            "ScheduleKeyDeletion",
                                            "TagResource",
                                            "UntagResource",
                                            "UpdateAlias",
                                            "UpdateKeyDescription"};

// KMS-22: how KMS says that a number is out of bounds.
Error out_of_bounds(std::string_view field, std::uint64_t value, std::string_view bound) {
  return {Code::kInvalidArgument, "1 validation error detected: Value '" + std::to_string(value) + "' at '" +
                                      std::string(field) + "' failed to satisfy constraint: Member must have value " +
                                      std::string(bound)};
}

Status check_size(std::uint64_t bytes) {
  if (bytes < 1) return out_of_bounds("numberOfBytes", bytes, "greater than or equal to 1");
  if (bytes > kKmsPlaintextMax)
    return out_of_bounds("numberOfBytes", bytes, "less than or equal to " + std::to_string(kKmsPlaintextMax));
  return {};
}

Error incorrect_key() {
  return {Code::kIncorrectKey, "The key ID in the request does not identify a CMK that can perform this operation."};
}

KeyCall by_s3(std::string_view action, std::string_view key, const EncryptionContext& context) {
  return {action, KeyCall::Via::kS3, &context, key};
}

}  // namespace

// --- what the two halves share ---

void LocalKms::State::count(std::string_view operation) {
  std::lock_guard lock(counts_mutex);
  ++counts.find(operation)->second;
}

Status LocalKms::State::check_access(const KmsKeyRecord& record, const KeyCall& call,
                                     const Principal& principal) const {
  return check_key_access(record, call, principal, identities, book.realm().region, clock.wall_ns());
}

Result<KeyMetadata> LocalKms::State::metadata_of(std::string_view key, const AccountId& account) {
  std::shared_lock lock(mutex);
  COFFER_ASSIGN(const KmsKeyRecord* record, book.find(key, account));
  return record->metadata;
}

Result<KmsKeyRecord> LocalKms::State::copy_of(std::string_view key, const AccountId& account) {
  std::shared_lock lock(mutex);
  COFFER_ASSIGN(const KmsKeyRecord* record, book.find(key, account));
  return *record;
}

Result<LocalKms::State::Found> LocalKms::State::current_material(std::string_view key, const KeyCall& call,
                                                                 const Principal& principal) {
  std::shared_lock lock(mutex);
  COFFER_ASSIGN(const KmsKeyRecord* record, book.find(key, principal.account));
  COFFER_TRY(check_access(*record, call, principal));
  COFFER_TRY(check_serves(record->metadata, clock.wall_ns()));
  return Found{record->metadata, record->materials.back()};
}

Result<LocalKms::State::Found> LocalKms::State::current_material_for_s3(std::string_view key, const KeyCall& call,
                                                                        const Principal& principal) {
  auto found = current_material(key, call, principal);
  if (found.ok() || found.code() != Code::kKeyMissing || !names_aws_managed(key, principal.account)) return found;
  COFFER_TRY(ensure_aws_managed(principal.account));
  return current_material(key, call, principal);
}

Result<LocalKms::State::Found> LocalKms::State::material_of(const KmsBlob& blob, const KeyCall& call,
                                                            const Principal& principal) {
  std::shared_lock lock(mutex);
  const KmsKeyRecord* named = book.find_id(blob.key_id());
  if (named == nullptr) return Error{Code::kInvalidCiphertext, ""};
  COFFER_ASSIGN(const KmsKeyRecord* record, book.find(blob.key_id(), named->metadata.account));
  COFFER_TRY(check_access(*record, call, principal));
  COFFER_TRY(check_serves(record->metadata, clock.wall_ns()));
  for (const WrappedMaterial& material : record->materials)
    if (material.material_id == blob.material_id) return Found{record->metadata, material};
  return Error{Code::kInvalidCiphertext, ""};
}

Result<Key> LocalKms::State::unwrap(const Found& found) const {
  return unwrap_material(suite, root, store, found.metadata.key_id, found.material);
}

Result<Bytes> LocalKms::State::generate(const Found& found, const EncryptionContext& context,
                                        MutableBytes plaintext) const {
  fill_random(plaintext);
  return seal_blob(found, context, plaintext);
}

Result<Bytes> LocalKms::State::seal_blob(const Found& found, const EncryptionContext& context,
                                         BytesView plaintext) const {
  COFFER_ASSIGN(const Key material, unwrap(found));
  return seal_kms_blob(suite, material, found.metadata, found.material.material_id, context, plaintext);
}

Status LocalKms::State::open_blob(const Found& found, const KmsBlob& blob, const EncryptionContext& context,
                                  MutableBytes plaintext) const {
  COFFER_ASSIGN(const Key material, unwrap(found));
  return open_kms_blob(suite, material, found.metadata, blob, context, plaintext);
}

// --- opening ---

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

// --- Kms ---

Result<DataKey> LocalKms::generate_data_key(std::string_view key, const EncryptionContext& context,
                                            const Principal& principal) {
  state_->count("GenerateDataKey");
  COFFER_TRY(check_context(context));
  COFFER_ASSIGN(const State::Found found, state_->current_material_for_s3(key, by_s3("kms:GenerateDataKey", key, context), principal));
  Key plaintext = Key::zero();
  COFFER_ASSIGN(Bytes blob, state_->generate(found, context, plaintext.span()));
  return DataKey{std::move(plaintext), std::move(blob), found.metadata.arn};
}

Result<WrappedDataKey> LocalKms::encrypt(std::string_view key, const Key& data_key, const EncryptionContext& context,
                                         const Principal& principal) {
  state_->count("Encrypt");
  COFFER_TRY(check_context(context));
  COFFER_ASSIGN(const State::Found found, state_->current_material_for_s3(key, by_s3("kms:Encrypt", key, context), principal));
  COFFER_ASSIGN(Bytes blob, state_->seal_blob(found, context, data_key.view()));
  return WrappedDataKey{std::move(blob), found.metadata.arn};
}

Result<Key> LocalKms::decrypt(BytesView bytes, const EncryptionContext& context, const Principal& principal) {
  state_->count("Decrypt");
  COFFER_TRY(check_context(context));
  if (ExternalKms::made(bytes))
    return Error{Code::kKeyMissing, "the object's key is in a KMS elsewhere: mount the store with its --kms-endpoint"};
  COFFER_ASSIGN(const KmsBlob blob, parse_kms_blob(bytes));
  COFFER_ASSIGN(const State::Found found, state_->material_of(blob, by_s3("kms:Decrypt", {}, context), principal));
  if (blob.sealed.size() != Key::kSize) return Error{Code::kInvalidCiphertext, ""};
  Key plaintext = Key::zero();
  COFFER_TRY(state_->open_blob(found, blob, context, plaintext.span()));
  return plaintext;
}

Status LocalKms::usable(std::string_view key_arn, const EncryptionContext& context, const Principal& principal) const {
  std::shared_lock lock(state_->mutex);
  COFFER_ASSIGN(const KmsKeyRecord* record, state_->book.find(key_arn, principal.account));
  COFFER_TRY(state_->check_access(*record, by_s3("kms:Decrypt", {}, context), principal));
  return check_serves(record->metadata, state_->clock.wall_ns());
}

std::string LocalKms::key_arn_of(BytesView bytes) const {
  const auto blob = parse_kms_blob(bytes);
  if (!blob.ok()) return {};
  std::shared_lock lock(state_->mutex);
  const KmsKeyRecord* record = state_->book.find_id(blob->key_id());
  return record == nullptr ? std::string() : record->metadata.arn;
}

bool LocalKms::is_current(BytesView bytes, std::string_view key, const Principal& principal) const {
  const auto blob = parse_kms_blob(bytes);
  if (!blob.ok()) return false;
  std::shared_lock lock(state_->mutex);
  const auto record = state_->book.find(key, principal.account);
  if (!record.ok()) return false;
  const KeyMetadata& metadata = (*record)->metadata;
  return metadata.key_id == blob->key_id() && metadata.current_material_id == blob->material_id;
}

// --- using keys over the wire ---

Result<LocalKms::WireDataKey> LocalKms::generate_bytes(std::string_view key, std::size_t size,
                                                       const EncryptionContext& context, const KmsCall& call) {
  state_->count("GenerateDataKey");
  COFFER_TRY(check_size(size));
  COFFER_TRY(check_context(context));
  const auto action = call.without_plaintext ? "kms:GenerateDataKeyWithoutPlaintext" : "kms:GenerateDataKey";
  COFFER_ASSIGN(const State::Found found, state_->current_material(key, by_wire(action, key, call, {}, &context), call.caller));
  COFFER_TRY(stop_if_dry(call));
  SecretBytes plaintext(size);
  COFFER_ASSIGN(Bytes blob, state_->generate(found, context, plaintext.span()));
  return WireDataKey{std::move(plaintext), std::move(blob), found.metadata.arn, found.material.material_id};
}

Result<LocalKms::WireDecrypted> LocalKms::decrypt_bytes(BytesView bytes, const EncryptionContext& context,
                                                        const KmsCall& call, std::string_view expected_key) {
  state_->count("Decrypt");
  COFFER_TRY(check_context(context));
  COFFER_ASSIGN(const KmsBlob blob, parse_kms_blob(bytes));
  if (!expected_key.empty()) {
    COFFER_ASSIGN(const KeyMetadata expected, state_->metadata_of(expected_key, call.caller.account));
    if (expected.key_id != blob.key_id()) return incorrect_key();
  }
  COFFER_ASSIGN(const State::Found found, state_->material_of(blob, by_wire("kms:Decrypt", expected_key, call, {}, &context), call.caller));
  SecretBytes plaintext(blob.sealed.size());
  COFFER_TRY(state_->open_blob(found, blob, context, plaintext.span()));
  COFFER_TRY(stop_if_dry(call));
  return WireDecrypted{std::move(plaintext), found.metadata.arn, found.material.material_id};
}

Result<LocalKms::WireEncrypted> LocalKms::encrypt_bytes(std::string_view key, BytesView plaintext,
                                                        const EncryptionContext& context, const KmsCall& call) {
  state_->count("Encrypt");
  if (plaintext.empty() || plaintext.size() > kKmsEncryptMax)
    return Error{Code::kInvalidArgument, "Plaintext has 1 to 4096 bytes"};
  COFFER_TRY(check_context(context));
  COFFER_ASSIGN(const State::Found found, state_->current_material(key, by_wire("kms:Encrypt", key, call, {}, &context), call.caller));
  COFFER_TRY(stop_if_dry(call));
  COFFER_ASSIGN(Bytes blob, state_->seal_blob(found, context, plaintext));
  return WireEncrypted{std::move(blob), found.metadata.arn, found.material.material_id};
}

Result<LocalKms::WireReEncrypted> LocalKms::re_encrypt(const ReEncryption& request, const KmsCall& call) {
  state_->count("ReEncrypt");
  COFFER_TRY(check_context(request.source_context));
  COFFER_TRY(check_context(request.destination_context));
  COFFER_ASSIGN(const KmsBlob blob, parse_kms_blob(request.blob));
  if (!request.source_key.empty()) {
    COFFER_ASSIGN(const KeyMetadata source, state_->metadata_of(request.source_key, call.caller.account));
    if (source.key_id != blob.key_id()) return incorrect_key();
  }
  const auto from = by_wire("kms:ReEncryptFrom", request.source_key, call, {}, &request.source_context);
  COFFER_ASSIGN(const State::Found source, state_->material_of(blob, from, call.caller));
  const auto to = by_wire("kms:ReEncryptTo", request.destination_key, call, {}, &request.destination_context);
  COFFER_ASSIGN(const State::Found destination, state_->current_material(request.destination_key, to, call.caller));
  SecretBytes plaintext(blob.sealed.size());
  COFFER_TRY(state_->open_blob(source, blob, request.source_context, plaintext.span()));
  COFFER_TRY(stop_if_dry(call));
  COFFER_ASSIGN(Bytes sealed, state_->seal_blob(destination, request.destination_context, plaintext.view()));
  return WireReEncrypted{{std::move(sealed), destination.metadata.arn, destination.material.material_id},
                         source.metadata.arn,
                         source.material.material_id};
}

Result<SecretBytes> LocalKms::random_bytes(std::size_t size) const {
  state_->count("GenerateRandom");
  COFFER_TRY(check_size(size));
  SecretBytes bytes(size);
  fill_random(bytes.span());
  return bytes;
}

// --- counts ---

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
