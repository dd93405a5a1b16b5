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
std::string_view slot_kind_name(SlotKind kind);  // "passphrase", "key-file", "recovery"

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
  // No slot yet, for a store that is there; to_json() of it is none that parse() takes.
  static UnlockSlots none(const StoreId& store);
  static Result<UnlockSlots> parse(std::string_view json);  // kDamaged
  std::string to_json() const;
  Bytes hash() const;  // SHA-384 of to_json()

  Result<KeySchedule> unlock(const AeadSuite& suite, const UnlockSecret& secret) const;  // kWrongUnlock
  struct Opened {
    KeySchedule keys;
    std::string slot;  // the id of the one that the secret opened
  };
  Result<Opened> open(const AeadSuite& suite, const UnlockSecret& secret) const;  // the same

  // These slots and one more, for `secret`, around the root of `keys`. kind: of what the secret is. kLimit, and kExists
  // when a slot opens with it already.
  Result<UnlockSlots> with(const AeadSuite& suite, const KeySchedule& keys, const UnlockSecret& secret,
                           SlotKind kind) const;
  // These slots but that one. kNotFound; kNotPermitted for the last one.
  Result<UnlockSlots> without(std::string_view slot) const;
  // Shows to whoever has the root key that the one who asks for `next` in the place of these slots has it too.
  Bytes change_proof(const KeySchedule& keys, const UnlockSlots& next) const;

  const StoreId& store_id() const { return store_; }
  const std::vector<UnlockSlot>& slots() const { return slots_; }

 private:
  StoreId store_{};
  std::vector<UnlockSlot> slots_;
};

}  // namespace coffer
