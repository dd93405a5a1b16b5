#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace coffer {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

// Where a line for the operator goes. The daemon decides: stderr or the journal. A line never holds a key, a
// plaintext byte, or a name below a bucket. Thread-safe; called with no lock held that logging could need.
using Log = std::function<void(LogLevel level, std::string_view line)>;

inline Log log_nowhere() {
  return [](LogLevel, std::string_view) {};
}

}  // namespace coffer
