#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/kms_grant.h"
#include "base/kms_key.h"
#include "base/result.h"
#include "iam/policy.h"

namespace coffer {

// One version of a KMS key's material, wrapped under a key derived for this wrap from the KMS root.
struct WrappedMaterial {
  std::string material_id;  // 64 hex digits
  std::int64_t created_ns = 0;
  Bytes wrapped;  // salt 32, nonce 12, tag 16, ciphertext 32 (docs/FORMAT.md); empty: imported, and gone
  RotationKind rotation = RotationKind::kNone;
  Bytes mark = {};  // of imported material: what it is known again by (kms_import.h)
};

struct KmsKeyRecord {
  KeyMetadata metadata;
  std::vector<WrappedMaterial> materials = {};  // oldest first; the last is current
  std::vector<KeyTag> tags = {};                // in the order of their names
  bool deleted = false;                         // for ever: without material, tags and aliases
  std::string policy = {};                      // empty: the default one (kms_access.h)
  std::vector<KeyGrant> grants = {};            // oldest first
  std::shared_ptr<const Policy> rules = nullptr;  // what the policy says; KmsBook reads it
};

// Where the KMS keeps its keys; the store's catalog implements it. Thread-safe. A save is part of the store's next
// commit; who promises durability to a caller asks the store for a durable commit afterwards.
class KmsRecords {
 public:
  virtual ~KmsRecords() = default;
  virtual Result<std::vector<KmsKeyRecord>> load_keys() = 0;
  virtual Result<std::vector<KeyAlias>> load_aliases() = 0;
  virtual Result<std::map<std::string, std::uint64_t>> load_call_counts() = 0;  // by KMS operation name
  virtual Status save_key(const KmsKeyRecord& record) = 0;                      // insert or replace
  virtual Status save_alias(const KeyAlias& alias) = 0;
  virtual Status remove_alias(const AccountId& account, std::string_view name) = 0;
  virtual Status save_call_counts(
      const std::map<std::string, std::uint64_t>& counts) = 0;  // totals since the store was made
};

}  // namespace coffer
