#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "base/names.h"
#include "base/result.h"
#include "crypto/kms_records.h"

namespace coffer {

// The KMS's keys and aliases in memory, of every account, and how requests name them: by id, ARN, alias or alias ARN.
// An id or an alias without an ARN is one of the account that asks (SEED-26). Its errors carry KMS's texts. No locks,
// no I/O, no cryptography: LocalKms brings those.
class KmsBook {
 public:
  using AliasName = std::pair<AccountId, std::string>;

  explicit KmsBook(Realm realm) : realm_(std::move(realm)) {}

  Status add(std::vector<KmsKeyRecord> keys, std::vector<KeyAlias> aliases);  // kLimit, kDamaged

  // kKeyMissing with KMS's reason (KMS-10 to 13); a deleted key is missing, and so are its aliases.
  Result<const KmsKeyRecord*> find(std::string_view name, const AccountId& account) const;
  const KmsKeyRecord* find_id(std::string_view key_id) const;  // also a deleted one; null if there never was one
  const KeyAlias* find_alias(const AccountId& account, std::string_view alias_name) const;

  void put(KmsKeyRecord record);
  void put(KeyAlias alias);
  void remove_alias(const AccountId& account, std::string_view alias_name);

  const std::map<std::string, KmsKeyRecord, std::less<>>& keys() const { return keys_; }
  const std::map<AliasName, KeyAlias>& aliases() const { return aliases_; }
  const Realm& realm() const { return realm_; }
  Realm realm_of(const AccountId& account) const { return {account, realm_.region}; }

 private:
  Result<const KmsKeyRecord*> find_by_alias(std::string_view alias_name, const AccountId& account) const;
  Result<const KmsKeyRecord*> find_by_id(std::string_view key_id, const AccountId& account) const;

  Realm realm_;
  std::map<std::string, KmsKeyRecord, std::less<>> keys_;  // by id; deleted ones too
  std::map<AliasName, KeyAlias> aliases_;
};

// Whether cryptography with the key is allowed by its state at that time (KMS-14, 15, 17).
Status check_serves(const KeyMetadata& key, std::int64_t now_ns);
Status check_not_pending_deletion(const KeyMetadata& key);  // KMS-15
// KMS-23: the form of an alias a customer may make.
Status check_alias_name(std::string_view name);
bool names_alias(std::string_view name);  // alias/NAME or an alias's ARN

}  // namespace coffer
