#pragma once

#include <functional>

#include "crypto/unlock_slots.h"
#include "store/catalog.h"
#include "store/disk.h"

namespace coffer {

// STORE/keyslots.json and what the catalog knows of it (docs/FORMAT.md section 2). The catalog holds the hash of the
// file and, from before a change until after it, the next one's: an older file is refused, a crash in between is not.

inline constexpr std::string_view kKeySlotsName = "keyslots.json";
inline constexpr std::string_view kKeySlotsNewName = "keyslots.json.new";  // while it is written; means nothing

Result<UnlockSlots> read_key_slots(Disk& disk);  // kDamaged

// After it the file is there, whole and durable, or it is as it was.
Status write_key_slots(Disk& disk, const UnlockSlots& slots);

// The file must be the one the catalog knows, or the one that a change it announced was about to write: then that change
// is completed here, or withdrawn. kDamaged for any other. For a catalog that nobody else uses yet.
Status settle_key_slots(Catalog& catalog, Disk& disk, const UnlockSlots& found);

// The catalog takes the file for its own, whatever it knew: when its copy was put in place, which may be from before the
// last change of slots. A removed slot comes back only to somebody who could open the store with it and the old file anyway.
Status adopt_key_slots(Catalog& catalog, Disk& disk, const UnlockSlots& found);

// Replaces the slots `now`, which must be the file's (kBusy), by `next`. make_durable: a durable commit of the catalog.
// One change at a time. After a failure the file is the old one or the new one, and either opens.
Status change_key_slots(Catalog& catalog, Disk& disk, const UnlockSlots& now, const UnlockSlots& next,
                        const std::function<Status()>& make_durable);

// A durable commit for a catalog without a Store on it.
Status commit_everything(Catalog& catalog, Disk& disk);

}  // namespace coffer
