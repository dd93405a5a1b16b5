#pragma once

#include <cstdint>
#include <string>

#include "base/clock.h"
#include "cli/console.h"

namespace coffer {

// How far a long job is: one line on a terminal, rewritten in place, from its second second on. Silent elsewhere.
class Progress {
 public:
  Progress(const Console& console, const Clock& clock, std::string what);
  ~Progress();  // takes the line away
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void show(std::uint64_t done, std::uint64_t total);  // total 0: nobody knows how much it is

 private:
  const Console& console_;
  const Clock& clock_;
  std::string what_;
  std::int64_t next_ns_;
  bool shown_ = false;
};

}  // namespace coffer
