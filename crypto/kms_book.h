#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/names.h"
#include "base/result.h"
#include "crypto/kms_records.h"

namespace coffer {

// The KMS's keys and aliases in memory, and how requests name them: by id, ARN, alias or alias ARN. Its errors carry
// KMS's texts. No locks, no I/O, no cryptography: LocalKms brings those.
class KmsBook {
 public:
  explicit KmsBook(Realm realm) : realm_(std::move(realm)) {}

  Status add(std::vector<KmsKeyRecord> keys, std::vector<KeyAlias> aliases);  // kLimit, kDamaged

  // kKeyMissing with KMS's reason (KMS-10 to 13); a deleted key is missing, and so are its aliases.
  Result<const KmsKeyRecord*> find(std::string_view name) const;
  const KmsKeyRecord* find_id(std::string_view key_id) const;  // also a deleted one; null if there never was one
  const KeyAlias* find_alias(std::string_view alias_name) const;

  void put(KmsKeyRecord record);
  void put(KeyAlias alias);

  const std::map<std::string, KmsKeyRecord, std::less<>>& keys() const { return keys_; }
  const std::map<std::string, KeyAlias, std::less<>>& aliases() const { return aliases_; }
  const Realm& realm() const { return realm_; }

 private:
  Result<const KmsKeyRecord*> find_by_alias(std::string_view alias_name) const;
  Result<const KmsKeyRecord*> find_by_id(std::string_view key_id) const;

  Realm realm_;
  std::map<std::string, KmsKeyRecord, std::less<>> keys_;  // by id; deleted ones too
  std::map<std::string, KeyAlias, std::less<>> aliases_;   // by name
};

// Whether cryptography with the key is allowed by its state (KMS-14, 15).
Status check_enabled(const KeyMetadata& key);
// KMS-23: the form of an alias a customer may make.
Status check_alias_name(std::string_view name);
bool names_alias(std::string_view name);  // alias/NAME or an alias's ARN

inline bool is_deleted(const KmsKeyRecord& record) { return record.materials.empty(); }

}  // namespace coffer
