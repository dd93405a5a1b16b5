#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "crypto/unlock_slots.h"
#include "store/disk.h"

namespace coffer {

// Another root key for a store, after a secret of it became known: docs/FORMAT.md section 11. Beside the catalog a second
// one grows, sealed under the new root; its unlock slots take the old ones' place in one rename; then its files follow.
// Until that rename the store opens with what opened it before, from it on with the new secrets alone, whenever the
// process or the power ends.

struct RootSecret {
  UnlockSecret secret;
  SlotKind kind = SlotKind::kKeyFile;
};

struct RekeyWish {
  std::vector<RootSecret> secrets;  // that are to open the store: none that opens it now
  std::function<void()> before_switch = [] {};                                       // all is ready
  std::function<void(std::uint64_t done, std::uint64_t total)> progress = [](auto, auto) {};  // inodes
};

// disk: the store's folder, locked, its catalog opened by nobody. What an interrupted call of the same secrets prepared is
// used. kExists where a secret opens the store already; kDamaged where the old catalog is not sound.
Status rekey_root(Disk& disk, const AeadSuite& suite, const Clock& clock, std::string_view boot_id,
                  const UnlockSlots& slots, const KeySchedule& keys, const RekeyWish& wish);

enum class Unfinished { kRemove, kKeep };
// Before anything else of a store is read: goes through with a switch that has begun. What a call that did not get so far
// left behind is removed, unless it is to be kept.
Status settle_rekey(Disk& disk, Unfinished unfinished);

}  // namespace coffer
