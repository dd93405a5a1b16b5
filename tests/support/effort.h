#pragma once

#include <cstdint>
#include <cstdlib>

namespace coffer::testing {

// COFFER_SEEDS says that a sanitizer makes everything ten times slower.
inline bool is_slowed() { return std::getenv("COFFER_SEEDS") != nullptr; }

// How much of a long enumeration runs: all of it under COFFER_LONG=1; every `usual`-th case in ./check; every
// `usual * 12`-th where a sanitizer slows it.
inline std::uint64_t stride(std::uint64_t usual) {
  const char* long_run = std::getenv("COFFER_LONG");
  if (long_run != nullptr && long_run[0] == '1') return 1;
  return is_slowed() ? usual * 12 : usual;
}

// How many rounds of a random or exhaustive test: a twelfth where a sanitizer slows it, but one at least.
inline std::uint64_t rounds(std::uint64_t usual) {
  return is_slowed() ? (usual + 11) / 12 : usual;
}

// Of a random test: how many seeds, and the first. COFFER_SEEDS and COFFER_SEED say otherwise.
inline std::uint64_t seeds_wanted(std::uint64_t usual) {
  const char* wanted = std::getenv("COFFER_SEEDS");
  return wanted == nullptr ? usual : std::strtoull(wanted, nullptr, 10);
}
inline std::uint64_t first_seed(std::uint64_t usual = 0) {
  const char* wanted = std::getenv("COFFER_SEED");
  return wanted == nullptr ? usual : std::strtoull(wanted, nullptr, 10);
}

}  // namespace coffer::testing
