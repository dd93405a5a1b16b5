#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "crypto/keyring.h"
#include "store/catalog_repair.h"
#include "store/disk.h"

namespace coffer {

struct FsckReport {
  std::uint64_t objects = 0, chunks = 0, data_files = 0, orphans = 0, orphans_removed = 0;
  std::uint64_t objects_unreadable = 0;     // their key is disabled, missing or denied: not damage
  std::vector<Damage> damage;
  std::vector<std::string> quarantined;     // damaged objects that an earlier repair put into lost+found: no new damage
  std::vector<LostFile> lost;               // data files kept whose maps went with a lost catalog
  struct Restored {
    std::uint64_t commit_counter = 0;
    std::int64_t made_ns = 0;
  };
  std::optional<Restored> restored;  // the catalog was once replaced by its copy: what it says may be older than that

  bool damage_remains() const;
};

enum class FsckMode { kCheck, kRepair };

// Reads and authenticates everything of an unmounted store: each table's promises, every envelope, map row and chunk, and that every data
// file belongs to an object. At most kFsckDamageMax lines of each kind. kCheck changes nothing. kRepair puts objects with damage
// into lost+found of their bucket, removes data files of nobody, and ends what open_catalog_repaired() began; while pages of the
// catalog are damaged it changes nothing, for then nothing it reads can tell what is whole. Durable when it returns; a crash
// on the way leaves less to do. Progress is told in bytes of content and may be empty.
// kIo and the like only when the reading itself could not go on: what cannot be read of one object is that object's damage.
Result<FsckReport> fsck(Catalog& catalog, Disk& disk, Keyring& keyring, const Principal& principal, FsckMode mode, const Clock& clock,
                        const std::function<void(std::uint64_t done, std::uint64_t total)>& progress);

}  // namespace coffer
