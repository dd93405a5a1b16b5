#include <fstream>

#include "base/exit_code.h"
#include "base/limits.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "crypto/unlock_slots.h"

namespace coffer {
namespace {

std::string_view kind_name(SlotKind kind) {
  switch (kind) {
    case SlotKind::kPassphrase: return "passphrase";
    case SlotKind::kKeyFile: return "key-file";
    case SlotKind::kRecovery: return "recovery";
  }
  return "unknown";
}

Json slot_json(const UnlockSlot& slot) {
  Json json = {{"id", slot.id}, {"kind", kind_name(slot.kind)}};
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

}  // namespace coffer
