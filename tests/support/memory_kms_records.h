#pragma once

#include <map>
#include <optional>

#include "crypto/kms_records.h"

namespace coffer {

// KmsRecords in memory, that fails its n-th save when told to. Not thread-safe.
class MemoryKmsRecords final : public KmsRecords {
 public:
  Result<std::vector<KmsKeyRecord>> load_keys() override {
    std::vector<KmsKeyRecord> loaded;
    for (const auto& [id, record] : keys) loaded.push_back(record);
    return loaded;
  }
  Result<std::vector<KeyAlias>> load_aliases() override {
    std::vector<KeyAlias> loaded;
    for (const auto& [name, alias] : aliases) loaded.push_back(alias);
    return loaded;
  }
  Result<std::map<std::string, std::uint64_t>> load_call_counts() override { return call_counts; }

  Status save_key(const KmsKeyRecord& record) override {
    COFFER_TRY(count_save());
    keys.insert_or_assign(record.metadata.key_id, record);
    return {};
  }
  Status save_alias(const KeyAlias& alias) override {
    COFFER_TRY(count_save());
    aliases.insert_or_assign({alias.account, alias.name}, alias);
    return {};
  }
  Status remove_alias(const AccountId& account, std::string_view name) override {
    COFFER_TRY(count_save());
    aliases.erase({account, std::string(name)});
    return {};
  }
  Status save_call_counts(const std::map<std::string, std::uint64_t>& counts) override {
    COFFER_TRY(count_save());
    call_counts = counts;
    return {};
  }

  void fail_save(int nth) { failing_ = saves + nth; }  // 1: the next one

  std::map<std::string, KmsKeyRecord> keys;
  std::map<std::pair<AccountId, std::string>, KeyAlias> aliases;
  std::map<std::string, std::uint64_t> call_counts;
  int saves = 0;

 private:
  Status count_save() {
    if (++saves == failing_) return Error{Code::kIo, "told to fail"};
    return {};
  }
  int failing_ = 0;
};

}  // namespace coffer
