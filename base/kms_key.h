#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/names.h"

namespace coffer {

// KMS's EncryptionContext: authenticated, never secret.
using EncryptionContext = std::map<std::string, std::string>;

// Creating, Updating, Unavailable and PendingReplicaDeletion are states of custom key stores and of keys in several
// regions: no key here is ever in one.
enum class KeyState { kEnabled, kDisabled, kPendingDeletion, kPendingImport };
enum class KeyManager { kCustomer, kAws };    // kAws: the key behind alias/aws/s3
enum class KeyOrigin { kAwsKms, kExternal };  // kExternal: its material is imported

std::string_view key_state_name(KeyState state);  // Enabled, Disabled, PendingDeletion, PendingImport
std::string_view key_origin_name(KeyOrigin origin);  // AWS_KMS, EXTERNAL

// What DescribeKey tells of a key (KMS-07), and when it turns. No secrets.
struct KeyMetadata {
  std::string key_id;  // a UUID
  std::string arn;
  AccountId account;
  std::string description;
  KeyState state = KeyState::kEnabled;
  KeyManager manager = KeyManager::kCustomer;
  std::int64_t created_ns = 0;                // wall clock
  std::optional<std::int64_t> deletion_ns;    // wall clock, while pending deletion
  std::string current_material_id;            // 64 hex digits; empty before the first import
  KeyOrigin origin = KeyOrigin::kAwsKms;
  bool has_material = true;                            // false: never imported, deleted or expired
  std::optional<std::int64_t> expires_ns = {};         // wall clock: when imported material goes (ValidTo)
  std::optional<std::int64_t> rotation_days = {};      // automatic rotation is on, with this period
  std::optional<std::int64_t> next_rotation_ns = {};   // wall clock, with rotation_days

  bool operator==(const KeyMetadata&) const = default;
};

struct KeyTag {
  std::string name, value;
  bool operator==(const KeyTag&) const = default;
};

struct NewKey {
  std::string description;
  KeyOrigin origin = KeyOrigin::kAwsKms;
  std::vector<KeyTag> tags = {};
  std::string policy = {};                // empty: the default one
  bool may_lock_out = false;              // BypassPolicyLockoutSafetyCheck
};

enum class RotationKind { kNone, kAutomatic, kOnDemand };  // kNone: the key's first material

// One version of a key's material, as ListKeyRotations tells of it.
struct KeyRotation {
  std::string material_id;
  std::int64_t when_ns = 0;  // wall clock
  RotationKind kind = RotationKind::kNone;
  bool current = false;
};

struct KeyAlias {
  AccountId account;          // whose alias it is: others may have one of the same name
  std::string name;           // with the alias/ before it
  std::string target_key_id;  // a UUID
  std::int64_t created_ns = 0;
  std::int64_t updated_ns = 0;
};

// How a caller wraps key material that is to be imported (KMS API reference, GetParametersForImport).
enum class ImportWrapping { kOaepSha1, kOaepSha256, kAesKeyWrapSha1, kAesKeyWrapSha256 };

// Who calls the KMS over the wire, and how.
struct KmsCall {
  Principal caller;
  bool dry_run = false;  // all checks, and then kDryRun instead of the answer (KMS-21)
  bool without_plaintext = false;  // of GenerateDataKey: what policies call another action
  std::string user_agent = {};     // as the request says
};

}  // namespace coffer
