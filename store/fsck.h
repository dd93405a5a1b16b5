#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/check_report.h"
#include "base/clock.h"
#include "crypto/keyring.h"
#include "store/catalog_repair.h"
#include "store/disk.h"

namespace coffer {

enum class FsckMode { kCheck, kRepair };

// Reads and authenticates everything of an unmounted store: each table's promises, every envelope, map row and chunk, and that every data
// file belongs to an object. At most kFsckDamageMax lines of each kind. kCheck changes nothing. kRepair puts objects with damage
// into lost+found of their bucket, removes data files of nobody, and ends what open_catalog_repaired() began; while pages of the
// catalog are damaged it changes nothing, for then nothing it reads can tell what is whole. Durable when it returns; a crash
// on the way leaves less to do. Progress is told in bytes of content and may be empty.
// kIo and the like only when the reading itself could not go on: what cannot be read of one object is that object's damage.
Result<CheckReport> fsck(Catalog& catalog, Disk& disk, Keyring& keyring, const Principal& principal, FsckMode mode, const Clock& clock,
                        const std::function<void(std::uint64_t done, std::uint64_t total)>& progress);

}  // namespace coffer
