#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/names.h"

namespace coffer {

// KMS's EncryptionContext: authenticated, never secret.
using EncryptionContext = std::map<std::string, std::string>;

enum class KeyState { kEnabled, kDisabled, kPendingDeletion };
enum class KeyManager { kCustomer, kAws };  // kAws: the key behind alias/aws/s3

std::string_view key_state_name(KeyState state);  // Enabled, Disabled, PendingDeletion

// What DescribeKey tells of a key (KMS-07). No secrets.
struct KeyMetadata {
  std::string key_id;  // a UUID
  std::string arn;
  AccountId account;
  std::string description;
  KeyState state = KeyState::kEnabled;
  KeyManager manager = KeyManager::kCustomer;
  std::int64_t created_ns = 0;                // wall clock
  std::optional<std::int64_t> deletion_ns;    // wall clock, while pending deletion
  std::string current_material_id;            // 64 hex digits
};

struct KeyAlias {
  std::string name;           // with the alias/ before it
  std::string target_key_id;  // a UUID
  std::int64_t created_ns = 0;
};

}  // namespace coffer
