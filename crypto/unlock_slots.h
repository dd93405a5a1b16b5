#pragma once

#include <string>
#include <variant>
#include <vector>

#include "base/secret_bytes.h"
#include "crypto/key_schedule.h"

namespace coffer {

// What a person unlocks a store with.
struct Passphrase {
  SecretBytes text;  // the first line of its file, without the line end
};
struct KeyFile {
  Key key;  // 32 raw bytes, used whole
};
using UnlockSecret = std::variant<Passphrase, KeyFile>;

enum class SlotKind { kPassphrase, kKeyFile, kRecovery };

// One way to the root key: a secret's key wraps it. Parameters are authenticated with the wrap.
struct UnlockSlot {
  std::string id;  // a UUID
  SlotKind kind = SlotKind::kKeyFile;
  std::uint64_t argon2_ops = 0;    // passphrase: Argon2id passes, at least 3
  std::uint64_t argon2_bytes = 0;  // passphrase: at least 64 MiB
  Bytes salt;                      // passphrase: 16 bytes
  Bytes wrapped;                   // 92 bytes
};

// STORE/keyslots.json: the store's id and its slots. Public; the catalog holds its hash, so that an older file is
// refused.
class UnlockSlots {
 public:
  // One slot, a new random root key.
  static Result<std::pair<UnlockSlots, KeySchedule>> create(const AeadSuite& suite, const UnlockSecret& secret);
  static Result<UnlockSlots> parse(std::string_view json);  // kDamaged
  std::string to_json() const;
  Bytes hash() const;  // SHA-384 of to_json()

  Result<KeySchedule> unlock(const AeadSuite& suite, const UnlockSecret& secret) const;  // kWrongUnlock

  const StoreId& store_id() const { return store_; }
  const std::vector<UnlockSlot>& slots() const { return slots_; }

 private:
  StoreId store_{};
  std::vector<UnlockSlot> slots_;
};

}  // namespace coffer
