#include <fstream>

#include "base/clock.h"
#include "base/encoding.h"
#include "base/exit_code.h"
#include "base/limits.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "cli/new_secret.h"
#include "crypto/unlock_slots.h"
#include "store/key_slots.h"
#include "store/opened_store.h"

namespace coffer {
namespace {

Json slot_json(const UnlockSlot& slot) {
  Json json = {{"id", slot.id}, {"kind", slot_kind_name(slot.kind)}};
  if (slot.kind == SlotKind::kPassphrase) {
    json["argon2_ops"] = slot.argon2_ops;
    json["argon2_bytes"] = slot.argon2_bytes;
  }
  return json;
}

// The slots are public and replaced whole, so that a mounted store's can be listed too.
Result<UnlockSlots> read_slots(const std::string& store) {
  std::ifstream file(store + "/keyslots.json", std::ios::binary);
  if (!file) return Error{Code::kNoStore, store + " holds no Coffer store: make one with `coffer init`"};
  std::string text(kKeySlotsFileMax + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (text.size() > kKeySlotsFileMax) return Error{Code::kDamaged, "keyslots.json is too large to be one of ours"};
  return UnlockSlots::parse(text);
}

// The slots there are, opened with a secret that is good.
struct OpenedSlots {
  UnlockSecret secret;
  UnlockSlots slots;
  UnlockSlots::Opened opened;
};

Result<OpenedSlots> open_slots(const std::string& store, const UnlockFlags& unlock, const AeadSuite& suite) {
  COFFER_ASSIGN(UnlockSecret secret, find_unlock(store, unlock));
  COFFER_ASSIGN(UnlockSlots slots, read_slots(store));
  COFFER_ASSIGN(UnlockSlots::Opened opened, slots.open(suite, secret));
  return OpenedSlots{std::move(secret), std::move(slots), std::move(opened)};
}

Status change_offline(const std::string& store, const OpenedSlots& known, const UnlockSlots& next) {
  const SystemClock clock;
  COFFER_ASSIGN(const auto opened, OpenedStore::open(store, known.secret, clock, {}));
  Disk& disk = opened->folder->disk();
  return change_key_slots(*opened->catalog, disk, known.slots, next,
                          [&] { return commit_everything(*opened->catalog, disk); });
}

// The daemon has the store's lock. It is sent the next file, which is no secret, and what shows that we have the root key.
Status change_mounted(const std::string& store, const OpenedSlots& known, const UnlockSlots& next) {
  const MountPoint mount{.device = "", .dir = "", .type = "", .source = store, .user = std::nullopt};
  COFFER_ASSIGN(ApiClient client, connect(mount, EndpointChoice()));
  const Bytes proof = known.slots.change_proof(known.opened.keys, next);
  const auto changed = client.coffer("ChangeUnlockSlots", {{"keyslots", next.to_json()}, {"proof", base64(proof)}});
  if (!changed.ok()) return changed.error();
  return {};
}

Status change_slots(const std::string& store, const OpenedSlots& known, const UnlockSlots& next) {
  Status changed = change_offline(store, known, next);
  if (changed.ok() || changed.code() != Code::kInUse) return changed;
  return change_mounted(store, known, next);
}

}  // namespace

Result<int> run_command(const UnlockListOptions& options, Console& console) {
  COFFER_ASSIGN(const UnlockSlots slots, read_slots(options.store));
  Json list = Json::array();
  for (const auto& slot : slots.slots()) list.push_back(slot_json(slot));
  if (options.json) {
    print_json(console.out, {{"slots", list}});
  } else {
    for (const auto& slot : list) console.out << text_at(slot, "id") << '\t' << text_at(slot, "kind") << '\n';
  }
  return kExitDone;
}

Result<int> run_command(const UnlockAddOptions& options, Console& console) {
  COFFER_ASSIGN(const AeadSuite suite, AeadSuite::detect());
  COFFER_ASSIGN(const OpenedSlots known, open_slots(options.store, options.unlock, suite));
  COFFER_ASSIGN(const auto secrets, new_secrets(options.store, options.secrets));
  const NewSecret& added = secrets.front();
  COFFER_ASSIGN(const UnlockSlots next, known.slots.with(suite, known.opened.keys, added.secret, added.kind));
  COFFER_TRY(change_slots(options.store, known, next));
  if (added.kind == SlotKind::kRecovery) show_recovery_key(added, console);
  console.err << "coffer: slot " << next.slots().back().id << " opens the store now\n";
  return kExitDone;
}

Result<int> run_command(const UnlockRemoveOptions& options, Console& console) {
  COFFER_ASSIGN(const AeadSuite suite, AeadSuite::detect());
  COFFER_ASSIGN(const OpenedSlots known, open_slots(options.store, options.unlock, suite));
  COFFER_ASSIGN(const UnlockSlots next, known.slots.without(options.slot));
  COFFER_TRY(change_slots(options.store, known, next));
  if (options.slot == known.opened.slot) {
    console.err << "coffer: warning: that was the slot of the secret you gave: it opens the store no more\n";
  }
  return kExitDone;
}

}  // namespace coffer
