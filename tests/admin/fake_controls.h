#pragma once

#include <map>
#include <mutex>
#include <set>
#include <string>

#include "admin/control.h"

namespace coffer {

// The controls in memory, with the smallest behaviour the server's answers depend on. Each has `fail`: an Error that
// every call returns instead while it is set.

class FakeBuckets final : public BucketControl {
 public:
  explicit FakeBuckets(AccountId owner) : owner_(std::move(owner)) {}

  Status create_bucket(const BucketName& bucket, const Principal& caller) override {
    std::lock_guard lock(mutex_);
    if (fail) return *fail;
    if (entries_.contains(bucket)) return Error{Code::kExists, "exists"};
    entries_.emplace(bucket, Entry{caller.account, std::nullopt, false});
    ++changes;
    return {};
  }
  Status delete_bucket(const BucketName& bucket) override {
    std::lock_guard lock(mutex_);
    if (fail) return *fail;
    const auto found = entries_.find(bucket);
    if (found == entries_.end()) return missing();
    if (found->second.full) return Error{Code::kNotEmpty, "not empty"};
    entries_.erase(found);
    ++changes;
    return {};
  }
  Result<BucketInfo> find_bucket(const BucketName& bucket) override {
    std::lock_guard lock(mutex_);
    if (fail) return *fail;
    const auto found = entries_.find(bucket);
    if (found == entries_.end()) return missing();
    return BucketInfo{bucket, found->second.owner, kCreatedNs};
  }
  Result<std::vector<BucketInfo>> list_buckets() override {
    std::lock_guard lock(mutex_);
    if (fail) return *fail;
    std::vector<BucketInfo> all;
    for (const auto& [name, entry] : entries_) all.push_back({name, entry.owner, kCreatedNs});
    return all;
  }
  Result<SseRule> rule(const BucketName& bucket) override {
    std::lock_guard lock(mutex_);
    if (fail) return *fail;
    const auto found = entries_.find(bucket);
    if (found == entries_.end()) return missing();
    return found->second.rule.value_or(SseRule::unconfigured(bucket));
  }
  Status put_rule(const BucketName& bucket, const SseRule& rule) override {
    std::lock_guard lock(mutex_);
    if (fail) return *fail;
    if (refuse_dsse && rule.algorithm == SseAlgorithm::kAwsKmsDsse)
      return Error{Code::kUnsupported, "DSSE needs two libraries that seal"};
    const auto found = entries_.find(bucket);
    if (found == entries_.end()) return missing();
    found->second.rule = rule;
    ++changes;
    return {};
  }
  // Its KMS has one key, and no memory of what is pinned.
  Status put_directory_rule(const BucketName& bucket, const SseRule& rule, const Principal&) override {
    if (rule.kms_key && rule.kms_key != kDirectoryKey)
      return Error{Code::kKeyMissing, "Invalid keyId '" + *rule.kms_key + "'"};
    if (rule.kms_key && key_refuses) return *key_refuses;
    return put_rule(bucket, rule);
  }
  Status reset_rule(const BucketName& bucket) override {
    std::lock_guard lock(mutex_);
    if (fail) return *fail;
    const auto found = entries_.find(bucket);
    if (found == entries_.end()) return missing();
    found->second.rule.reset();
    ++changes;
    return {};
  }

  // Makes a bucket that is there already.
  void add(std::string_view name, bool full = false) {
    entries_.emplace(*BucketName::parse(name), Entry{owner_, std::nullopt, full});
  }
  void add_foreign(std::string_view name, std::string_view owner) {
    entries_.emplace(*BucketName::parse(name), Entry{*AccountId::parse(owner), std::nullopt, false});
  }
  SseRule rule_of(std::string_view name) { return *rule(*BucketName::parse(name)); }
  bool has(std::string_view name) { return entries_.contains(*BucketName::parse(name)); }

  std::optional<Error> fail;
  std::optional<Error> key_refuses;  // of a directory bucket, when it is tried
  bool refuse_dsse = false;
  int changes = 0;  // calls that changed something

  static constexpr std::string_view kDirectoryKey =
      "arn:aws:kms:us-east-1:000000000000:key/11111111-2222-4333-8444-555555555555";
  static constexpr std::int64_t kCreatedNs = 1'767'225'600'250'000'000;  // 2026-01-01T00:00:00.250Z

 private:
  struct Entry {
    AccountId owner;
    std::optional<SseRule> rule;
    bool full;
  };
  static Error missing() { return {Code::kNoSuchBucket, "no such bucket"}; }

  std::mutex mutex_;  // guards entries_
  AccountId owner_;
  std::map<BucketName, Entry> entries_;
};

// A KMS whose ciphertext is the plaintext behind the key's id and the context: only its answers' shapes are of
// interest.
// Policies by the key as it was named; one grant at a time can be looked at.
class FakeKeyAccess final : public KeyAccessControl {
 public:
  Result<std::string> key_policy(std::string_view key, const KmsCall&) override {
    if (fail) return *fail;
    const auto found = policies.find(std::string(key));
    return found == policies.end() ? std::string("{}") : found->second;
  }
  Status check_key_policy(std::string_view, const KmsCall&) override { return fail ? Status(*fail) : Status(); }
  Status put_key_policy(std::string_view key, std::string_view policy, LockOut lock_out, const KmsCall&) override {
    if (fail) return *fail;
    policies.insert_or_assign(std::string(key), std::string(policy));
    last_lock_out = lock_out;
    return {};
  }
  Result<KeyGrant> create_grant(std::string_view key, const NewGrant& terms, const KmsCall&) override {
    if (fail) return *fail;
    KeyGrant grant{std::string(63, '0') + std::to_string(grants.size()), "token" + std::to_string(grants.size()), 0,
                   terms};
    grants.push_back({std::string(key), *AccountId::parse("000000000000"), grant});
    return grant;
  }
  Result<std::vector<ListedGrant>> list_grants(std::string_view, const KmsCall&) override {
    if (fail) return *fail;
    return grants;
  }
  Result<std::vector<ListedGrant>> list_retirable_grants(const std::string& principal, const KmsCall&) override {
    std::vector<ListedGrant> all = grants;
    std::erase_if(all, [&](const auto& grant) { return grant.grant.terms.retiring != principal; });
    return all;
  }
  Status revoke_grant(std::string_view, std::string_view grant_id, const KmsCall&) override {
    const auto gone = std::erase_if(grants, [&](const auto& grant) { return grant.grant.grant_id == grant_id; });
    return gone > 0 ? Status() : Error{Code::kNotFound, "no such grant"};
  }
  Status retire_grant(const std::string& token, const std::string&, const std::string& grant_id,
                      const KmsCall&) override {
    const auto gone = std::erase_if(grants, [&](const auto& grant) {
      return token.empty() ? grant.grant.grant_id == grant_id : grant.grant.token == token;
    });
    return gone > 0 ? Status() : Error{Code::kNotFound, "no such grant"};
  }

  std::optional<Error> fail;
  std::map<std::string, std::string> policies;
  std::vector<ListedGrant> grants;
  LockOut last_lock_out = LockOut::kRefuse;
};

class FakeKms final : public KeyControl,
                      public AliasControl,
                      public TagControl,
                      public RotationControl,
                      public ImportControl,
                      public DataKeyControl {
 public:
  explicit FakeKms(Realm realm) : realm_(std::move(realm)) {}

  KmsControls controls() { return {*this, *this, *this, *this, *this, *this, access}; }
  FakeKeyAccess access;

  Result<KeyMetadata> create_key(const NewKey& made, const KmsCall& call) override {
    if (fail) return *fail;
    char id[37];
    std::snprintf(id, sizeof id, "%08x-1111-4222-8333-444455556666", next_++);
    const bool imported = made.origin == KeyOrigin::kExternal;
    KeyMetadata key{.key_id = id,
                    .arn = kms_key_arn({call.caller.account, realm_.region}, id),
                    .account = call.caller.account,
                    .description = made.description,
                    .state = imported ? KeyState::kPendingImport : KeyState::kEnabled,
                    .created_ns = kCreatedNs,
                    .deletion_ns = {},
                    .current_material_id = imported ? "" : std::string(64, 'a'),
                    .origin = made.origin,
                    .has_material = !imported};
    keys_.emplace(id, key);
    tags_[id] = made.tags;
    if (!imported) rotations_[id] = {{std::string(64, 'a'), kCreatedNs, RotationKind::kNone, true}};
    return key;
  }
  Result<KeyMetadata> create_key(std::string_view description) {
    return create_key({.description = std::string(description)}, {Principal::root_of(realm_.account)});
  }
  Result<KeyMetadata> describe_key(std::string_view key, const KmsCall&) override {
    COFFER_ASSIGN(auto* found, resolve(key));
    return *found;
  }
  Result<std::vector<KeyMetadata>> list_keys(const KmsCall& call) override {
    last_user_agent = call.user_agent;
    return list_keys();
  }
  Result<std::vector<KeyMetadata>> list_keys() {
    if (fail) return *fail;
    std::vector<KeyMetadata> all;
    for (const auto& [id, key] : keys_) all.push_back(key);
    return all;
  }
  Status update_description(std::string_view key, std::string_view description, const KmsCall&) override {
    COFFER_ASSIGN(auto* found, resolve(key));
    found->description = description;
    return {};
  }
  Status enable_key(std::string_view key, const KmsCall&) override { return set_state(key, KeyState::kEnabled); }
  Status disable_key(std::string_view key, const KmsCall&) override { return set_state(key, KeyState::kDisabled); }
  Result<KeyMetadata> schedule_key_deletion(std::string_view key, int days, const KmsCall&) override {
    COFFER_ASSIGN(auto* found, resolve(key));
    found->state = KeyState::kPendingDeletion;
    found->deletion_ns = found->created_ns + std::int64_t{days} * 86'400'000'000'000;
    return *found;
  }
  Result<KeyMetadata> cancel_key_deletion(std::string_view key, const KmsCall&) override {
    COFFER_ASSIGN(auto* found, resolve(key));
    if (found->state != KeyState::kPendingDeletion)
      return Error{Code::kKeyState, found->arn + " is not pending deletion."};
    found->state = KeyState::kDisabled;
    found->deletion_ns.reset();
    return *found;
  }

  Status create_alias(std::string_view name, std::string_view key, const KmsCall& call) override {
    COFFER_ASSIGN(auto* found, resolve(key));
    aliases_.push_back({call.caller.account, std::string(name), found->key_id, kCreatedNs, kCreatedNs});
    return {};
  }
  Status create_alias(std::string_view name, std::string_view key) {
    return create_alias(name, key, {Principal::root_of(realm_.account)});
  }
  Status update_alias(std::string_view name, std::string_view key, const KmsCall&) override {
    COFFER_ASSIGN(auto* found, resolve(key));
    for (auto& alias : aliases_) {
      if (alias.name != name) continue;
      alias.target_key_id = found->key_id;
      alias.updated_ns += 1'000'000'000;
      return {};
    }
    return Error{Code::kKeyMissing, "Alias " + kms_alias_arn(realm_, name) + " is not found."};
  }
  Status delete_alias(std::string_view name, const KmsCall&) override {
    if (std::erase_if(aliases_, [&](const auto& alias) { return alias.name == name; }) > 0) return {};
    return Error{Code::kKeyMissing, "Alias " + kms_alias_arn(realm_, name) + " is not found."};
  }
  Result<std::vector<KeyAlias>> list_aliases(std::string_view key, const KmsCall&) override {
    if (key.empty()) return aliases_;
    COFFER_ASSIGN(const auto* found, resolve(key));
    auto aliases = aliases_;
    std::erase_if(aliases, [&](const KeyAlias& alias) { return alias.target_key_id != found->key_id; });
    return aliases;
  }

  Status tag_key(std::string_view key, const std::vector<KeyTag>& tags, const KmsCall&) override {
    COFFER_ASSIGN(auto* found, resolve(key));
    auto& all = tags_[found->key_id];
    all.insert(all.end(), tags.begin(), tags.end());
    return {};
  }
  Status untag_key(std::string_view key, const std::vector<std::string>& names, const KmsCall&) override {
    COFFER_ASSIGN(auto* found, resolve(key));
    for (const auto& name : names)
      std::erase_if(tags_[found->key_id], [&](const KeyTag& tag) { return tag.name == name; });
    return {};
  }
  Result<std::vector<KeyTag>> list_tags(std::string_view key, const KmsCall&) override {
    COFFER_ASSIGN(auto* found, resolve(key));
    return tags_[found->key_id];
  }

  Status enable_rotation(std::string_view key, std::int64_t days, const KmsCall&) override {
    COFFER_ASSIGN(auto* found, resolve(key));
    found->rotation_days = days;
    found->next_rotation_ns = kCreatedNs + days * 86'400'000'000'000;
    return {};
  }
  Status disable_rotation(std::string_view key, const KmsCall&) override {
    COFFER_ASSIGN(auto* found, resolve(key));
    found->rotation_days.reset();
    found->next_rotation_ns.reset();
    return {};
  }
  Result<KeyMetadata> rotation_status(std::string_view key, const KmsCall& call) override {
    return describe_key(key, call);
  }
  Result<Rotations> list_rotations(std::string_view key, const KmsCall&) override {
    COFFER_ASSIGN(auto* found, resolve(key));
    return Rotations{found->arn, rotations_[found->key_id]};
  }
  Result<KeyMetadata> rotate_key(std::string_view key, const KmsCall&) override {
    COFFER_ASSIGN(auto* found, resolve(key));
    auto& all = rotations_[found->key_id];
    all.back().current = false;
    all.push_back({std::string(64, static_cast<char>('a' + all.size())), kCreatedNs, RotationKind::kOnDemand, true});
    found->current_material_id = all.back().material_id;
    return *found;
  }

  Result<Parameters> parameters_for_import(std::string_view key, ImportWrapping wrapping, int rsa_bits,
                                           const KmsCall&) override {
    COFFER_ASSIGN(auto* found, resolve(key));
    asked_for = {wrapping, rsa_bits};
    return Parameters{found->arn, {1, 2, 3}, {4, 5, 6}, kCreatedNs};
  }
  Result<KeyMetadata> import_material(std::string_view key, BytesView token, BytesView wrapped,
                                      std::optional<std::int64_t> expires_ns, std::string_view material_id,
                                      const KmsCall&) override {
    COFFER_ASSIGN(auto* found, resolve(key));
    if (!material_id.empty() && material_id != found->current_material_id)
      return Error{Code::kWrongMaterial, "The key has no key material of this KeyMaterialId"};
    if (to_bytes(token) != Bytes{4, 5, 6}) return Error{Code::kInvalidImportToken, "not mine"};
    if (wrapped.empty()) return Error{Code::kInvalidCiphertext, ""};
    found->state = KeyState::kEnabled;
    found->has_material = true;
    found->current_material_id = std::string(64, 'e');
    found->expires_ns = expires_ns;
    return *found;
  }
  Result<KeyMetadata> delete_imported_material(std::string_view key, std::string_view material_id,
                                               const KmsCall&) override {
    COFFER_ASSIGN(auto* found, resolve(key));
    if (!material_id.empty() && material_id != found->current_material_id)
      return Error{Code::kNotFound, "The key has no key material of this KeyMaterialId"};
    found->state = KeyState::kPendingImport;
    found->has_material = false;
    found->expires_ns.reset();
    return *found;
  }

  Result<Generated> generate_data_key(std::string_view key, std::size_t size, const EncryptionContext& context,
                                      const KmsCall& call) override {
    COFFER_ASSIGN(auto* found, usable(key));
    if (call.dry_run) return dry_run();
    ++calls["GenerateDataKey"];
    Generated out{SecretBytes(size), {}, found->arn, found->current_material_id};
    for (auto& byte : out.plaintext.span()) byte = 0x5a;
    out.blob = sealed(*found, out.plaintext.view(), context);
    return out;
  }
  Result<Encrypted> encrypt(std::string_view key, BytesView plaintext, const EncryptionContext& context,
                            const KmsCall& call) override {
    COFFER_ASSIGN(auto* found, usable(key));
    if (call.dry_run) return dry_run();
    ++calls["Encrypt"];
    return Encrypted{sealed(*found, plaintext, context), found->arn, found->current_material_id};
  }
  Result<Decrypted> decrypt(BytesView blob, const EncryptionContext& context, const KmsCall& call,
                            std::string_view expected_key) override {
    const auto text = std::string(as_text(blob));
    if (text.size() < 36 || !keys_.contains(text.substr(0, 36))) return Error{Code::kInvalidCiphertext, ""};
    COFFER_ASSIGN(auto* found, usable(text.substr(0, 36)));
    if (!expected_key.empty()) {
      COFFER_ASSIGN(auto* expected, resolve(expected_key));
      if (expected != found)
        return Error{Code::kIncorrectKey,
                     "The key ID in the request does not identify a CMK that can perform this operation."};
    }
    const auto bound = found->key_id + printed(context);
    if (!text.starts_with(bound)) return Error{Code::kInvalidCiphertext, ""};
    if (call.dry_run) return dry_run();
    ++calls["Decrypt"];
    return Decrypted{SecretBytes(as_bytes(text.substr(bound.size()))), found->arn, found->current_material_id};
  }
  Result<ReEncrypted> re_encrypt(const ReEncryption& request, const KmsCall& call) override {
    COFFER_ASSIGN(auto opened, decrypt(request.blob, request.source_context, {call.caller}, request.source_key));
    COFFER_ASSIGN(auto encrypted,
                  encrypt(request.destination_key, opened.plaintext.view(), request.destination_context, call));
    return ReEncrypted{std::move(encrypted), opened.key_arn, opened.material_id};
  }
  Result<SecretBytes> random_bytes(std::size_t size, const KmsCall&) override {
    SecretBytes out(size);
    for (auto& byte : out.span()) byte = 0x21;
    return out;
  }
  Result<std::map<std::string, std::uint64_t>> call_counts() override { return calls; }

  std::pair<ImportWrapping, int> asked_for{};
  std::optional<Error> fail;
  std::string last_user_agent;
  std::map<std::string, std::uint64_t> calls;

 private:
  static constexpr std::int64_t kCreatedNs = 1'767'225'600'250'000'000;
  static Error dry_run() { return {Code::kDryRun, "The request would have succeeded, but the DryRun option is set."}; }
  static Bytes sealed(const KeyMetadata& key, BytesView plaintext, const EncryptionContext& context) {
    return to_bytes(as_bytes(key.key_id + printed(context) + std::string(as_text(plaintext))));
  }
  static std::string printed(const EncryptionContext& context) {
    std::string out = "|";
    for (const auto& [name, value] : context) out += name + "=" + value + "|";
    return out + "#";
  }
  Result<KeyMetadata*> resolve(std::string_view name) {
    if (fail) return *fail;
    std::string id(name);
    if (const auto arn = parse_kms_arn(name)) {
      if (arn->region != realm_.region.str()) return Error{Code::kKeyMissing, "Invalid arn " + arn->region};
      id = arn->resource.starts_with("key/") ? arn->resource.substr(4) : arn->resource;
    }
    if (id.starts_with("alias/")) {
      const auto wanted = id;
      for (const auto& alias : aliases_)
        if (alias.name == wanted) id = alias.target_key_id;
      if (id == wanted) return Error{Code::kKeyMissing, "Alias " + kms_alias_arn(realm_, wanted) + " is not found."};
    }
    if (!is_uuid(id)) return Error{Code::kKeyMissing, "Invalid keyId '" + id + "'"};
    const auto found = keys_.find(id);
    if (found == keys_.end()) return Error{Code::kKeyMissing, "Key '" + kms_key_arn(realm_, id) + "' does not exist"};
    return &found->second;
  }
  Result<KeyMetadata*> usable(std::string_view name) {
    COFFER_ASSIGN(auto* key, resolve(name));
    if (key->state == KeyState::kDisabled) return Error{Code::kKeyDisabled, key->arn + " is disabled."};
    if (key->state == KeyState::kPendingDeletion)
      return Error{Code::kKeyPendingDeletion, key->arn + " is pending deletion."};
    if (key->state == KeyState::kPendingImport) return Error{Code::kKeyPendingImport, key->arn + " is pending import."};
    return key;
  }
  Status set_state(std::string_view name, KeyState state) {
    COFFER_ASSIGN(auto* key, resolve(name));
    key->state = state;
    return {};
  }

  Realm realm_;
  std::map<std::string, KeyMetadata> keys_;
  std::vector<KeyAlias> aliases_;
  std::map<std::string, std::vector<KeyTag>> tags_;
  std::map<std::string, std::vector<KeyRotation>> rotations_;
  unsigned next_ = 1;
};

class FakeMount final : public MountControl {
 public:
  std::optional<ExternalKmsStatus> external_kms;
  Result<MountStatus> status() override {
    MountStatus status;
    status.store = "/srv/store";
    status.dir = "/mnt/coffer";
    status.socket = "/srv/store/admin.sock";
    status.pid = 42;
    status.commit_counter = 7;
    status.commit_digest = "00ff";
    status.jobs = {{"reseal", 3, 10}};
    status.crypto = "openssl, libsodium";
    status.cache = {{"open_objects", 5}};
    status.external_kms = external_kms;
    return status;
  }
  Result<ObjectInfo> inspect(std::string_view bucket, std::string_view key) override {
    if (bucket != "docs") return Error{Code::kNoSuchBucket, "no such bucket"};
    if (key != "a/b") return Error{Code::kNotFound, "no such object"};
    ObjectInfo object;
    object.bucket = bucket;
    object.key = key;
    object.sse = "aws:kms:dsse";
    object.kms_key_arn = "arn:aws:kms:us-east-1:000000000000:key/x";
    object.chunk_size = 16384;
    object.size = 100;
    object.layers = {{"AES-256-GCM", "kms"}, {"AES-256-GCM", "sse-s3"}};
    object.context = {{"aws:s3:arn", "arn:aws:s3:::docs/a/b"}};
    return object;
  }
  Result<std::uint64_t> reseal(const BucketName& bucket, std::string_view prefix, Reseal what) override {
    if (what == Reseal::kNewDataKeys) return std::uint64_t{99};
    if (bucket.str() != "docs") return Error{Code::kNoSuchBucket, "no such bucket"};
    return std::uint64_t{prefix.empty() ? 10U : 4U};
  }
  Status scrub(std::int64_t rate_mib, Scrub from) override {
    scrub_asked = std::to_string(rate_mib) + (from == Scrub::kTheBeginning ? " anew" : "");
    return {};
  }
  Result<ScrubStatus> scrub_status() override {
    ScrubStatus status;
    status.job = {"scrub", 5, 9};
    status.running = true;
    status.report.objects = 3;
    status.report.damage = {{"docs/a", "chunk 0: broken", ""}};
    return status;
  }
  std::string scrub_asked;
};

class FakeUnlock final : public UnlockControl {
 public:
  Status change_slots(std::string_view keyslots, BytesView proof) override {
    if (proof[0] != 7) return Error{Code::kAccessDenied, "the proof does not fit"};
    changed_to = keyslots;
    return {};
  }
  std::string changed_to;
};

// Lets everybody do everything but what is in `denied`, in its own account.
class FakeAccess final : public AccessControl, public BucketPolicyControl {
 public:
  explicit FakeAccess(AccountId owner) : owner_(std::move(owner)) {}

  Status authorize(const Request& request) override {
    last_resource = request.resource;
    last_context = request.context;
    last_user_agent = request.user_agent;
    return denied.contains(std::string(request.action)) ? refused(request) : Status();
  }
  Status authorize_bucket(const Request& request, const BucketInfo& bucket) override {
    if (request.caller.account != bucket.owner) return refused(request);
    return authorize(request);
  }
  Status authorize_store(const Request& request) override {
    if (request.caller.account != owner_) return refused(request);
    return authorize(request);
  }
  Status authorize_account(const Request& request, const AccountId& account) override {
    if (request.caller.account != account && request.caller.account != owner_) return refused(request);
    return authorize(request);
  }

  Result<std::optional<std::string>> bucket_policy(const BucketName& bucket) override {
    const auto found = policies.find(bucket.str());
    return found == policies.end() ? std::nullopt : std::optional(found->second);
  }
  Status put_bucket_policy(const BucketName& bucket, std::string_view text) override {
    policies.insert_or_assign(bucket.str(), std::string(text));
    return {};
  }
  Status delete_bucket_policy(const BucketName& bucket) override {
    policies.erase(bucket.str());
    return {};
  }

  std::set<std::string> denied;
  std::string last_resource;
  PolicyContext last_context;
  std::string last_user_agent;
  std::map<std::string, std::string> policies;

 private:
  static Status refused(const Request& request) {
    return Error{Code::kAccessDenied, "User: " + request.caller.arn + " may not " + std::string(request.action)};
  }
  const AccountId owner_;
};

class FakeUsers final : public UserControl {
 public:
  Result<UserInfo> create_user(const AccountId& account, std::string_view name) override {
    if (users.contains({account, std::string(name)})) return Error{Code::kExists, "exists"};
    UserInfo user{account, std::string(name), "arn:aws:iam::" + account.str() + ":user/" + std::string(name), 0, {},
                  {}};
    users.insert_or_assign({account, std::string(name)}, user);
    return user;
  }
  Status delete_user(const AccountId& account, std::string_view name) override {
    COFFER_ASSIGN(const UserInfo user, find_user(account, name));
    if (!user.keys.empty()) return Error{Code::kNotEmpty, "has keys"};
    users.erase({account, std::string(name)});
    return {};
  }
  Result<UserInfo> find_user(const AccountId& account, std::string_view name) override {
    const auto found = users.find({account, std::string(name)});
    if (found == users.end()) return Error{Code::kNotFound, "no such user"};
    return found->second;
  }
  Result<std::vector<UserInfo>> list_users(const AccountId& account) override {
    std::vector<UserInfo> all;
    for (const auto& [name, user] : users)
      if (name.first == account) all.push_back(user);
    return all;
  }
  Result<AccessKey> create_access_key(const AccountId& account, std::string_view name) override {
    COFFER_ASSIGN(const UserInfo user, find_user(account, name));
    const auto id = "AKIAFAKE" + std::to_string(user.keys.size());
    users.at({account, user.name}).keys.push_back({id});
    return AccessKey{id, SecretBytes(as_bytes("a secret")), {account, user.arn}};
  }
  Status delete_access_key(const AccountId& account, std::string_view name, std::string_view id) override {
    COFFER_TRY(find_user(account, name));
    auto& keys = users.at({account, std::string(name)}).keys;
    return std::erase_if(keys, [&](const auto& key) { return key.id == id; }) > 0
               ? Status()
               : Error{Code::kNotFound, "no such key"};
  }
  Status switch_access_key(const AccountId& account, std::string_view name, std::string_view id, bool active) override {
    COFFER_TRY(find_user(account, name));
    for (auto& key : users.at({account, std::string(name)}).keys)
      if (key.id == id) key.active = active;
    return {};
  }
  Status put_user_policy(const AccountId& account, std::string_view name, std::string_view policy,
                         std::string_view text) override {
    COFFER_TRY(find_user(account, name));
    users.at({account, std::string(name)}).policies.insert_or_assign(std::string(policy), std::string(text));
    return {};
  }
  Status delete_user_policy(const AccountId& account, std::string_view name, std::string_view policy) override {
    COFFER_TRY(find_user(account, name));
    const auto erased = users.at({account, std::string(name)}).policies.erase(std::string(policy));
    return erased > 0 ? Status() : Error{Code::kNotFound, "no such policy"};
  }

  std::map<std::pair<AccountId, std::string>, UserInfo> users;
};

class FakeCredentials final : public Credentials {
 public:
  explicit FakeCredentials(Principal principal)
      : key_{"AKIAIOSFODNN7EXAMPLE", SecretBytes(as_bytes("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")),
             std::move(principal)} {}  // AWS's own examples use this pair
  std::shared_ptr<const AccessKey> find(std::string_view id) const override {
    return id == key_.id ? std::shared_ptr<const AccessKey>(std::shared_ptr<void>(), &key_) : nullptr;
  }
  const AccessKey& key() const { return key_; }
  void become(Principal principal) { key_.principal = std::move(principal); }  // the key is another one's from now on

 private:
  AccessKey key_;
};

}  // namespace coffer
