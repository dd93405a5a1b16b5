#pragma once

#include <string>

namespace coffer {

// One damaged place, for fsck's report to the owner.
struct Damage {
  std::string object;    // BUCKET/KEY, or the file of the store
  std::string what;
  std::string repaired;  // how; empty: it is still there

  std::string line() const { return object + ": " + what + (repaired.empty() ? "" : " (" + repaired + ")"); }
};

}  // namespace coffer
