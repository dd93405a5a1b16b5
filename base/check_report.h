#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace coffer {

// One damaged place, for a report to the owner.
struct Damage {
  std::string object;    // BUCKET/KEY, or the file of the store
  std::string what;
  std::string repaired;  // how; empty: it is still there

  std::string line() const { return object + ": " + what + (repaired.empty() ? "" : " (" + repaired + ")"); }
};

// A data file whose map is lost with the catalog that had it: whose it was, as far as its first slot tells.
struct LostFile {
  std::string name;  // in the store's folder
  std::uint64_t number = 0;
  std::uint64_t ino = 0;  // 0: its first slot does not tell
  std::string object;     // BUCKET/KEY, or how its first slot fails
  std::uint64_t size = 0;
};

// What a check of a whole store found: fsck's, or an online scrub's.
struct CheckReport {
  std::uint64_t objects = 0, chunks = 0, data_files = 0, orphans = 0, orphans_removed = 0;
  std::uint64_t objects_unreadable = 0;    // their key is disabled, missing or denied: not damage
  std::vector<Damage> damage;
  std::vector<Damage> second_copies;       // notes in data files that do not open; nothing served depends on them
  std::vector<std::string> quarantined;    // damaged objects that an earlier repair put into lost+found: no new damage
  std::vector<LostFile> lost;              // data files kept whose maps went with a lost catalog
  struct Restored {
    std::uint64_t commit_counter = 0;
    std::int64_t made_ns = 0;
  };
  std::optional<Restored> restored;  // the catalog was once replaced by its copy: what it says may be older than that

  bool damage_remains() const {
    return std::any_of(damage.begin(), damage.end(), [](const Damage& one) { return one.repaired.empty(); });
  }
};

}  // namespace coffer
