#pragma once

#include <map>
#include <mutex>
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
    return found->second.rule.value_or(SseRule{});
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
  bool refuse_dsse = false;
  int changes = 0;  // calls that changed something

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
class FakeKms final : public KeyControl, public AliasControl, public DataKeyControl {
 public:
  explicit FakeKms(Realm realm) : realm_(std::move(realm)) {}

  Result<KeyMetadata> create_key(std::string_view description) override {
    if (fail) return *fail;
    char id[37];
    std::snprintf(id, sizeof id, "%08x-1111-4222-8333-444455556666", next_++);
    KeyMetadata key{id,
                    kms_key_arn(realm_, id),
                    realm_.account,
                    std::string(description),
                    KeyState::kEnabled,
                    KeyManager::kCustomer,
                    1'767'225'600'250'000'000,
                    std::nullopt,
                    std::string(64, 'a')};
    keys_.emplace(id, key);
    return key;
  }
  Result<KeyMetadata> describe_key(std::string_view key) override {
    if (fail) return *fail;
    COFFER_ASSIGN(auto* found, resolve(key));
    return *found;
  }
  Result<std::vector<KeyMetadata>> list_keys() override {
    if (fail) return *fail;
    std::vector<KeyMetadata> all;
    for (const auto& [id, key] : keys_) all.push_back(key);
    return all;
  }
  Status enable_key(std::string_view key) override { return set_state(key, KeyState::kEnabled); }
  Status disable_key(std::string_view key) override { return set_state(key, KeyState::kDisabled); }
  Status rotate_key(std::string_view key) override {
    COFFER_ASSIGN(auto* found, resolve(key));
    found->current_material_id = std::string(64, 'b');
    return {};
  }
  Result<KeyMetadata> schedule_key_deletion(std::string_view key, int days) override {
    COFFER_ASSIGN(auto* found, resolve(key));
    found->state = KeyState::kPendingDeletion;
    found->deletion_ns = found->created_ns + std::int64_t{days} * 86'400'000'000'000;
    return *found;
  }
  Result<KeyMetadata> cancel_key_deletion(std::string_view key) override {
    COFFER_ASSIGN(auto* found, resolve(key));
    if (found->state != KeyState::kPendingDeletion)
      return Error{Code::kKeyState, found->arn + " is not pending deletion."};
    found->state = KeyState::kDisabled;
    found->deletion_ns.reset();
    return *found;
  }

  Status create_alias(std::string_view name, std::string_view key) override {
    COFFER_ASSIGN(auto* found, resolve(key));
    aliases_.push_back({std::string(name), found->key_id, 1'767'225'600'250'000'000});
    return {};
  }
  Result<std::vector<KeyAlias>> list_aliases() override { return aliases_; }

  Result<Generated> generate_data_key(std::string_view key, std::size_t size, const EncryptionContext& context,
                                      const Principal&) override {
    COFFER_ASSIGN(auto* found, usable(key));
    ++calls["GenerateDataKey"];
    Generated out{SecretBytes(size), {}, found->arn, found->current_material_id};
    for (auto& byte : out.plaintext.span()) byte = 0x5a;
    const auto blob = found->key_id + printed(context) + std::string(as_text(out.plaintext.view()));
    out.blob = to_bytes(as_bytes(blob));
    return out;
  }
  Result<Decrypted> decrypt(BytesView blob, const EncryptionContext& context, const Principal&,
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
    ++calls["Decrypt"];
    return Decrypted{SecretBytes(as_bytes(text.substr(bound.size()))), found->arn, found->current_material_id};
  }
  Result<std::map<std::string, std::uint64_t>> call_counts() override { return calls; }

  std::optional<Error> fail;
  std::map<std::string, std::uint64_t> calls;

 private:
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
  unsigned next_ = 1;
};

class FakeMount final : public MountControl {
 public:
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

class FakeCredentials final : public Credentials {
 public:
  explicit FakeCredentials(Principal principal)
      : key_{"AKIAIOSFODNN7EXAMPLE", SecretBytes(as_bytes("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")),
             std::move(principal)} {}  // AWS's own examples use this pair
  const AccessKey* find(std::string_view id) const override { return id == key_.id ? &key_ : nullptr; }
  const AccessKey& key() const { return key_; }

 private:
  AccessKey key_;
};

}  // namespace coffer
