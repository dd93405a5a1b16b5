#pragma once

#include <functional>
#include <string>
#include <vector>

#include "crypto/keyring.h"
#include "store/catalog.h"
#include "store/disk.h"

namespace coffer {

struct FsckReport {
  std::uint64_t objects = 0, chunks = 0, data_files = 0, orphans = 0;
  std::uint64_t objects_unreadable = 0;     // their key is disabled, missing or denied: not damage
  std::vector<std::string> damage;          // one line each, naming the object
};

// Reads and authenticates everything of an unmounted store: each table's promises, every envelope, map row and chunk, and that every data
// file belongs to an object. Changes nothing. At most kFsckDamageMax lines. Progress is told in bytes of content and may be empty.
// kIo and the like only when the reading itself could not go on: what cannot be read of one object is that object's damage.
Result<FsckReport> fsck(Catalog& catalog, Disk& disk, Keyring& keyring, const Principal& principal,
                        const std::function<void(std::uint64_t done, std::uint64_t total)>& progress);

}  // namespace coffer
