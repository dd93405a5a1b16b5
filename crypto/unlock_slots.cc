#include "crypto/unlock_slots.h"

#include <sodium.h>

#include <algorithm>
#include <cassert>
#include <nlohmann/json.hpp>

#include "base/encoding.h"
#include "base/limits.h"
#include "base/wire.h"
#include "crypto/hkdf.h"
#include "crypto/uuid.h"

namespace coffer {

std::string_view slot_kind_name(SlotKind kind) {
  switch (kind) {
    case SlotKind::kPassphrase: return "passphrase";
    case SlotKind::kKeyFile: return "key-file";
    case SlotKind::kRecovery: return "recovery";
  }
  return "";
}

namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kArgon2SaltSize = 16;
static_assert(kArgon2SaltSize == crypto_pwhash_argon2id_SALTBYTES);

std::optional<SlotKind> parse_kind(std::string_view name) {
  for (auto kind : {SlotKind::kPassphrase, SlotKind::kKeyFile, SlotKind::kRecovery})
    if (name == slot_kind_name(kind)) return kind;
  return std::nullopt;
}

// All that a slot says besides its wrap: changed parameters must not open it.
Bytes slot_aad(const StoreId& store, const UnlockSlot& slot) {
  WireWriter writer;
  writer.raw(as_bytes("coffer/1/unlock-slot")).raw(store).text16(slot.id).text16(slot_kind_name(slot.kind));
  writer.u64(slot.argon2_ops).u64(slot.argon2_bytes).blob16(slot.salt);
  return std::move(writer).take();
}

Result<Key> passphrase_key(const UnlockSlot& slot, const Passphrase& passphrase) {
  Key key = Key::zero();
  const BytesView text = passphrase.text.view();
  const auto bytes = static_cast<std::size_t>(slot.argon2_bytes);
  if (sodium_init() < 0 ||
      crypto_pwhash_argon2id(key.span().data(), Key::kSize, as_text(text).data(), text.size(), slot.salt.data(),
                             slot.argon2_ops, bytes, crypto_pwhash_argon2id_ALG_ARGON2ID13) != 0)
    return Error{Code::kLimit, "Argon2id could not get its " + std::to_string(bytes >> 20) + " MiB of memory"};
  return key;
}

// The key that wraps the root in this slot, if the secret is of the slot's kind.
Result<Key> slot_key(const StoreId& store, const UnlockSlot& slot, const UnlockSecret& secret) {
  if (const auto* passphrase = std::get_if<Passphrase>(&secret)) return passphrase_key(slot, *passphrase);
  return derive_key(std::get<KeyFile>(secret).key, store, as_bytes("coffer/1/unlock-key-file"));
}

bool opens_kind(const UnlockSecret& secret, SlotKind kind) {
  return std::holds_alternative<Passphrase>(secret) == (kind == SlotKind::kPassphrase);
}

Error damaged_slots() { return {Code::kDamaged, "keyslots.json is not one that Coffer writes"}; }

Json slot_json(const UnlockSlot& slot) {
  Json object = {{"id", slot.id}, {"kind", slot_kind_name(slot.kind)}};
  if (slot.kind == SlotKind::kPassphrase)
    object["argon2id"] = {{"passes", slot.argon2_ops}, {"bytes", slot.argon2_bytes}, {"salt", hex(slot.salt)}};
  object["wrapped"] = hex(slot.wrapped);
  return object;
}

// Throws what nlohmann throws; parse() catches it.
std::optional<UnlockSlot> parse_slot(const Json& object) {
  UnlockSlot slot;
  slot.id = object.at("id").get<std::string>();
  const auto kind = parse_kind(object.at("kind").get<std::string>());
  auto wrapped = unhex(object.at("wrapped").get<std::string>());
  if (!parse_uuid(slot.id) || !kind || !wrapped || wrapped->size() != kWrapSize) return std::nullopt;
  slot.kind = *kind;
  slot.wrapped = *std::move(wrapped);
  if (slot.kind != SlotKind::kPassphrase) return slot;
  const Json& argon2 = object.at("argon2id");
  slot.argon2_ops = argon2.at("passes").get<std::uint64_t>();
  slot.argon2_bytes = argon2.at("bytes").get<std::uint64_t>();
  auto salt = unhex(argon2.at("salt").get<std::string>());
  if (!salt || salt->size() != kArgon2SaltSize) return std::nullopt;
  slot.salt = *std::move(salt);
  // Before anything runs with them.
  if (slot.argon2_ops < kArgon2PassesMin || slot.argon2_ops > kArgon2PassesMax) return std::nullopt;
  if (slot.argon2_bytes < kArgon2BytesMin || slot.argon2_bytes > kArgon2BytesMax) return std::nullopt;
  return slot;
}

// A slot of the kind, still without its wrap.
Result<UnlockSlot> new_slot(const UnlockSecret& secret, SlotKind kind) {
  assert(opens_kind(secret, kind));
  UnlockSlot slot;
  slot.id = uuid_text(random_uuid());
  slot.kind = kind;
  if (const auto* passphrase = std::get_if<Passphrase>(&secret)) {
    if (passphrase->text.size() == 0) return Error{Code::kInvalidArgument, "an empty passphrase protects nothing"};
    slot.argon2_ops = kArgon2PassesMin;
    slot.argon2_bytes = kArgon2BytesMin;
    slot.salt.resize(kArgon2SaltSize);
    fill_random(slot.salt);
  }
  return slot;
}

}  // namespace

Result<std::pair<UnlockSlots, KeySchedule>> UnlockSlots::create(const AeadSuite& suite, const UnlockSecret& secret) {
  StoreId store;
  fill_random(store);
  KeySchedule keys(Key::random(), store);
  const auto kind = std::holds_alternative<Passphrase>(secret) ? SlotKind::kPassphrase : SlotKind::kKeyFile;
  COFFER_ASSIGN(auto slots, none(store).with(suite, keys, secret, kind));
  return std::pair(std::move(slots), std::move(keys));
}

UnlockSlots UnlockSlots::none(const StoreId& store) {
  UnlockSlots slots;
  slots.store_ = store;
  return slots;
}

Result<UnlockSlots> UnlockSlots::with(const AeadSuite& suite, const KeySchedule& keys, const UnlockSecret& secret,
                                      SlotKind kind) const {
  assert(keys.store_id() == store_);
  if (slots_.size() >= kUnlockSlotsMax)
    return Error{Code::kLimit, "a store has at most " + std::to_string(kUnlockSlotsMax) + " unlock slots: remove one first"};
  if (const auto known = open(suite, secret); known.ok())
    return Error{Code::kExists, "this opens the store already, through slot " + known->slot};
  COFFER_ASSIGN(UnlockSlot slot, new_slot(secret, kind));
  COFFER_ASSIGN(const Key wrapping, slot_key(store_, slot, secret));
  COFFER_ASSIGN(slot.wrapped, keys.wrap_root(suite, wrapping, slot_aad(store_, slot)));
  UnlockSlots more = *this;
  more.slots_.push_back(std::move(slot));
  return more;
}

Result<UnlockSlots> UnlockSlots::without(std::string_view slot) const {
  UnlockSlots fewer = *this;
  if (std::erase_if(fewer.slots_, [&](const UnlockSlot& kept) { return kept.id == slot; }) == 0)
    return Error{Code::kNotFound, "there is no unlock slot " + std::string(slot) + ": `coffer unlock list` shows them"};
  if (fewer.slots_.empty())
    return Error{Code::kNotPermitted, "it is the last unlock slot, and without one nothing opens the store: add another first"};
  return fewer;
}

Bytes UnlockSlots::change_proof(const KeySchedule& keys, const UnlockSlots& next) const {
  Bytes message = hash();
  const Bytes next_hash = next.hash();
  message.insert(message.end(), next_hash.begin(), next_hash.end());
  Bytes proof(hash_size(Hash::kSha384));
  hmac(Hash::kSha384, keys.purpose_key(Purpose::kSlotsChange).view(), message, proof);
  return proof;
}

Result<UnlockSlots> UnlockSlots::parse(std::string_view text) try {
  if (text.size() > kUnlockSlotsJsonMax) return damaged_slots();
  const Json document = Json::parse(text);
  const auto store = unhex(document.at("store").get<std::string>());
  const Json& array = document.at("slots");
  if (document.at("version").get<int>() != 1 || !store || store->size() != StoreId{}.size()) return damaged_slots();
  if (!array.is_array() || array.empty() || array.size() > kUnlockSlotsMax) return damaged_slots();
  UnlockSlots slots;
  std::copy(store->begin(), store->end(), slots.store_.begin());
  for (const Json& json_slot : array) {
    auto slot = parse_slot(json_slot);
    if (!slot) return damaged_slots();
    slots.slots_.push_back(*std::move(slot));
  }
  // One text for one set of slots: no unknown members, no second spelling of a number or a digit.
  if (Json::parse(slots.to_json()) != document) return damaged_slots();
  return slots;
} catch (const nlohmann::json::exception&) {
  return damaged_slots();
}

std::string UnlockSlots::to_json() const {
  Json array = Json::array();
  for (const UnlockSlot& slot : slots_) array.push_back(slot_json(slot));
  const Json document = {{"version", 1}, {"store", hex(store_)}, {"slots", std::move(array)}};
  return document.dump(2) + "\n";
}

Bytes UnlockSlots::hash() const { return sha384(as_bytes(to_json())); }

Result<UnlockSlots::Opened> UnlockSlots::open(const AeadSuite& suite, const UnlockSecret& secret) const {
  for (const UnlockSlot& slot : slots_) {
    if (!opens_kind(secret, slot.kind)) continue;
    COFFER_ASSIGN(const Key wrapping, slot_key(store_, slot, secret));
    auto root = unwrap_key(suite, wrapping, slot_aad(store_, slot), slot.wrapped);
    if (root.ok()) return Opened{KeySchedule(*std::move(root), store_), slot.id};
  }
  return Error{Code::kWrongUnlock, "no unlock slot of the store opens with this passphrase or key file"};
}

Result<KeySchedule> UnlockSlots::unlock(const AeadSuite& suite, const UnlockSecret& secret) const {
  COFFER_ASSIGN(Opened opened, open(suite, secret));
  return std::move(opened.keys);
}

}  // namespace coffer
