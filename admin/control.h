#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/check_report.h"
#include "base/kms_grant.h"
#include "base/kms_key.h"
#include "base/names.h"
#include "base/result.h"
#include "base/secret_bytes.h"
#include "base/sse_rule.h"
#include "iam/condition.h"

namespace coffer {

// What the server asks of the rest of the program. The daemon implements these over the store and the KMS; tests fake
// them. All thread-safe. What changes something is durable when it returns.

struct BucketInfo {
  BucketName name;
  AccountId owner;
  std::int64_t created_ns = 0;  // wall clock
};

class BucketControl {
 public:
  virtual ~BucketControl() = default;
  virtual Status create_bucket(const BucketName& bucket, const Principal& caller) = 0;  // kExists
  virtual Status delete_bucket(const BucketName& bucket) = 0;                           // kNoSuchBucket, kNotEmpty
  virtual Result<BucketInfo> find_bucket(const BucketName& bucket) = 0;                 // kNoSuchBucket
  virtual Result<std::vector<BucketInfo>> list_buckets() = 0;                           // by name
  virtual Result<SseRule> rule(const BucketName& bucket) = 0;  // the default one where none was put
  // One atomic replacement. kUnsupported when this machine cannot serve the rule (DSSE with one library).
  virtual Status put_rule(const BucketName& bucket, const SseRule& rule) = 0;
  // The same for a directory bucket. A KMS key, an id or ARN, is tried as the caller first, and then is the bucket's for
  // life: kKeyPinned for another one, key errors as the KMS gives them.
  virtual Status put_directory_rule(const BucketName& bucket, const SseRule& rule, const Principal& caller) = 0;
  virtual Status reset_rule(const BucketName& bucket) = 0;
};

// The keys of the KMS, as a caller: key is an id, ARN, alias name or alias ARN in the caller's account. Each asks first
// whether the caller may. Error messages are KMS's own (S3.md section 5).
class KeyControl {
 public:
  virtual ~KeyControl() = default;
  virtual Result<KeyMetadata> create_key(const NewKey& key, const KmsCall& call) = 0;
  virtual Result<KeyMetadata> describe_key(std::string_view key, const KmsCall& call) = 0;
  virtual Result<std::vector<KeyMetadata>> list_keys(const KmsCall& call) = 0;  // of the caller's account
  virtual Status update_description(std::string_view key, std::string_view description, const KmsCall& call) = 0;
  virtual Status enable_key(std::string_view key, const KmsCall& call) = 0;
  // Returns when no plaintext under it can be read any more.
  virtual Status disable_key(std::string_view key, const KmsCall& call) = 0;
  virtual Result<KeyMetadata> schedule_key_deletion(std::string_view key, int days, const KmsCall& call) = 0;
  virtual Result<KeyMetadata> cancel_key_deletion(std::string_view key, const KmsCall& call) = 0;
};

class AliasControl {
 public:
  virtual ~AliasControl() = default;
  virtual Status create_alias(std::string_view name, std::string_view key, const KmsCall& call) = 0;
  virtual Status update_alias(std::string_view name, std::string_view key, const KmsCall& call) = 0;
  virtual Status delete_alias(std::string_view name, const KmsCall& call) = 0;
  // key: those of that key alone, which is the caller's account's; empty: all of the account.
  virtual Result<std::vector<KeyAlias>> list_aliases(std::string_view key, const KmsCall& call) = 0;
};

class TagControl {
 public:
  virtual ~TagControl() = default;
  virtual Status tag_key(std::string_view key, const std::vector<KeyTag>& tags, const KmsCall& call) = 0;
  virtual Status untag_key(std::string_view key, const std::vector<std::string>& names, const KmsCall& call) = 0;
  virtual Result<std::vector<KeyTag>> list_tags(std::string_view key, const KmsCall& call) = 0;  // by name
};

class RotationControl {
 public:
  virtual ~RotationControl() = default;
  virtual Status enable_rotation(std::string_view key, std::int64_t days, const KmsCall& call) = 0;
  virtual Status disable_rotation(std::string_view key, const KmsCall& call) = 0;
  virtual Result<KeyMetadata> rotation_status(std::string_view key, const KmsCall& call) = 0;
  struct Rotations {
    std::string key_arn;
    std::vector<KeyRotation> all;  // oldest first, the key's first material too
  };
  virtual Result<Rotations> list_rotations(std::string_view key, const KmsCall& call) = 0;
  virtual Result<KeyMetadata> rotate_key(std::string_view key, const KmsCall& call) = 0;  // now
};

// Key material from outside.
class ImportControl {
 public:
  virtual ~ImportControl() = default;
  struct Parameters {
    std::string key_arn;
    Bytes public_key, token;
    std::int64_t valid_to_ns = 0;
  };
  virtual Result<Parameters> parameters_for_import(std::string_view key, ImportWrapping wrapping, int rsa_bits,
                                                   const KmsCall& call) = 0;
  // material_id, of both: which material the caller means; empty: whichever it is. kWrongMaterial, and of the second
  // kNotFound.
  virtual Result<KeyMetadata> import_material(std::string_view key, BytesView token, BytesView wrapped_material,
                                              std::optional<std::int64_t> expires_ns, std::string_view material_id,
                                              const KmsCall& call) = 0;
  // As disable_key: returns when no plaintext under the key can be read any more.
  virtual Result<KeyMetadata> delete_imported_material(std::string_view key, std::string_view material_id,
                                                       const KmsCall& call) = 0;
};

// Using keys over the wire.
class DataKeyControl {
 public:
  virtual ~DataKeyControl() = default;
  struct Generated {
    SecretBytes plaintext;
    Bytes blob;
    std::string key_arn, material_id;
  };
  virtual Result<Generated> generate_data_key(std::string_view key, std::size_t size, const EncryptionContext& context,
                                              const KmsCall& call) = 0;
  struct Decrypted {
    SecretBytes plaintext;
    std::string key_arn, material_id;
  };
  virtual Result<Decrypted> decrypt(BytesView blob, const EncryptionContext& context, const KmsCall& call,
                                    std::string_view expected_key) = 0;
  struct Encrypted {
    Bytes blob;
    std::string key_arn, material_id;
  };
  virtual Result<Encrypted> encrypt(std::string_view key, BytesView plaintext, const EncryptionContext& context,
                                    const KmsCall& call) = 0;
  struct ReEncryption {
    BytesView blob;
    std::string_view source_key;  // empty: whichever the blob is under
    EncryptionContext source_context;
    std::string_view destination_key;
    EncryptionContext destination_context;
  };
  struct ReEncrypted {
    Encrypted encrypted;
    std::string source_key_arn, source_material_id;
  };
  virtual Result<ReEncrypted> re_encrypt(const ReEncryption& request, const KmsCall& call) = 0;
  virtual Result<SecretBytes> random_bytes(std::size_t size, const KmsCall& call) = 0;
  virtual Result<std::map<std::string, std::uint64_t>> call_counts() = 0;
};

// Who may use keys (KMS-42..45).
class KeyAccessControl {
 public:
  virtual ~KeyAccessControl() = default;
  virtual Result<std::string> key_policy(std::string_view key, const KmsCall& call) = 0;
  virtual Status check_key_policy(std::string_view key, const KmsCall& call) = 0;  // whether it may be asked for
  enum class LockOut { kRefuse, kAllow };
  // Returns when nothing is readable any more to those it keeps out.
  virtual Status put_key_policy(std::string_view key, std::string_view policy, LockOut lock_out,
                                const KmsCall& call) = 0;
  virtual Result<KeyGrant> create_grant(std::string_view key, const NewGrant& terms, const KmsCall& call) = 0;
  virtual Result<std::vector<ListedGrant>> list_grants(std::string_view key, const KmsCall& call) = 0;
  virtual Result<std::vector<ListedGrant>> list_retirable_grants(const std::string& principal, const KmsCall& call) = 0;
  // As put_key_policy; kNotFound.
  virtual Status revoke_grant(std::string_view key, std::string_view grant_id, const KmsCall& call) = 0;
  virtual Status retire_grant(const std::string& token, const std::string& key, const std::string& grant_id,
                              const KmsCall& call) = 0;  // by its token, or by the other two
};

struct KmsControls {
  KeyControl& keys;
  AliasControl& aliases;
  TagControl& tags;
  RotationControl& rotations;
  ImportControl& imports;
  DataKeyControl& data_keys;
  KeyAccessControl& access;
};

// Who may do what, of all that is no key. kAccessDenied, with IAM's words.
class AccessControl {
 public:
  virtual ~AccessControl() = default;
  struct Request {
    std::string_view action;  // s3:PutEncryptionConfiguration
    std::string resource;     // its ARN
    const Principal& caller;
    std::string_view user_agent = {};
    PolicyContext context = {};  // condition keys of this operation alone
  };
  virtual Status authorize(const Request& request) = 0;  // by the caller's own policies alone
  virtual Status authorize_bucket(const Request& request, const BucketInfo& bucket) = 0;
  // What concerns the store as a whole: principals of its own account alone.
  virtual Status authorize_store(const Request& request) = 0;
  // What concerns an account's users: its own principals, and the root of the store's account.
  virtual Status authorize_account(const Request& request, const AccountId& account) = 0;
};

class BucketPolicyControl {
 public:
  virtual ~BucketPolicyControl() = default;
  virtual Result<std::optional<std::string>> bucket_policy(const BucketName& bucket) = 0;
  virtual Status put_bucket_policy(const BucketName& bucket, std::string_view text) = 0;  // one that parses
  virtual Status delete_bucket_policy(const BucketName& bucket) = 0;
};

// The users of all accounts. A user named root is its account itself. Errors are IAM's.
struct UserInfo {
  AccountId account;
  std::string name, arn;
  std::int64_t created_ns = 0;
  struct Key {
    std::string id;
    bool active = true;
    std::int64_t created_ns = 0;
  };
  std::vector<Key> keys;
  std::map<std::string, std::string> policies;  // documents by their names
};
struct AccessKey;
class UserControl {
 public:
  virtual ~UserControl() = default;
  virtual Result<UserInfo> create_user(const AccountId& account, std::string_view name) = 0;
  virtual Status delete_user(const AccountId& account, std::string_view name) = 0;
  virtual Result<UserInfo> find_user(const AccountId& account, std::string_view name) = 0;
  virtual Result<std::vector<UserInfo>> list_users(const AccountId& account) = 0;
  virtual Result<AccessKey> create_access_key(const AccountId& account, std::string_view name) = 0;
  virtual Status delete_access_key(const AccountId& account, std::string_view name, std::string_view id) = 0;
  virtual Status switch_access_key(const AccountId& account, std::string_view name, std::string_view id,
                                   bool active) = 0;
  virtual Status put_user_policy(const AccountId& account, std::string_view name, std::string_view policy,
                                 std::string_view text) = 0;
  virtual Status delete_user_policy(const AccountId& account, std::string_view name, std::string_view policy) = 0;
};

// Coffer's own operations, for the coffer program: X-Amz-Target Coffer.<Op>, JSON 1.1, SigV4 service "coffer".
struct JobStatus {
  std::string kind;  // "reseal", "scrub"
  std::uint64_t done = 0, total = 0;
};
struct ExternalKmsStatus {
  std::string endpoint, state;  // "untried", "answers", "away"
  std::uint64_t calls = 0, failures = 0, under_way = 0;
  std::string last_failure;  // empty: none
};
struct MountStatus {
  std::string store, dir, socket;
  std::int64_t pid = 0;
  std::uint64_t commit_counter = 0;
  std::string commit_digest;  // hex
  std::vector<JobStatus> jobs;
  bool poisoned = false;
  std::string crypto;                          // which libraries seal, and why DSSE is refused where it is
  std::map<std::string, std::uint64_t> cache;  // open_objects, dirty_bytes, log_bytes ...
  std::optional<ExternalKmsStatus> external_kms;
};
struct LayerInfo {
  std::string cipher;      // "AES-256-GCM"
  std::string key_source;  // "sse-s3", "kms", "bucket-key"
};
struct ObjectInfo {
  std::string bucket, key, sse, kms_key_arn;  // kms_key_arn empty under AES256
  bool bucket_key = false;
  std::uint32_t chunk_size = 0;
  std::uint64_t size = 0;
  std::vector<LayerInfo> layers;  // inner first
  EncryptionContext context;
  bool reseal_pending = false;
};

class MountControl {
 public:
  virtual ~MountControl() = default;
  virtual Result<MountStatus> status() = 0;
  virtual Result<ObjectInfo> inspect(std::string_view bucket, std::string_view key) = 0;  // kNoSuchBucket, kNotFound
  // Adds the objects below bucket/prefix that are not as the current default says to the reseal queue; how many it
  // added. kNewDataKeys adds all of them, to be sealed under new data keys.
  enum class Reseal { kWhatIsDue, kNewDataKeys };
  virtual Result<std::uint64_t> reseal(const BucketName& bucket, std::string_view prefix, Reseal what) = 0;
  // Begins to check everything, or goes on; one that runs is joined.
  enum class Scrub { kWhereItWas, kTheBeginning };
  virtual Status scrub(std::int64_t rate_mib, Scrub from) = 0;
  struct ScrubStatus {
    JobStatus job;  // in bytes
    bool running = false;
    CheckReport report;
    std::string failure;  // why it ended before its end; empty: it did not
  };
  virtual Result<ScrubStatus> scrub_status() = 0;
};

// The store's unlock slots.
class UnlockControl {
 public:
  virtual ~UnlockControl() = default;
  // Replaces keyslots.json by this text, which holds no secret. proof: that whoever made it has the root key and saw the
  // file that is there. kInvalidArgument, kAccessDenied.
  virtual Status change_slots(std::string_view keyslots, BytesView proof) = 0;
};

// Access keys: what SigV4 is checked against.
struct AccessKey {
  std::string id;
  SecretBytes secret;
  Principal principal;
};
class Credentials {
 public:
  virtual ~Credentials() = default;
  virtual std::shared_ptr<const AccessKey> find(std::string_view access_key_id) const = 0;  // null: unknown
};

}  // namespace coffer
