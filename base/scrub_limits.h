#pragma once

#include "base/limits.h"

// The limits of an online check: as base/limits.h, which everybody includes.
namespace coffer {

inline constexpr std::uint64_t kScrubStep = 4 << 20;  // read between two rests
// MiB a second: the usual one leaves a disk of 150 MB/s half of itself.
inline constexpr std::int64_t kScrubMibDefault = 64, kScrubMibMax = 1 << 20;
inline constexpr std::int64_t kScrubSaveMs = 1000;     // between two times that its place is put down, which costs a commit
inline constexpr int kScrubTries = 20;                 // of a look, or an object, that does not keep still: then the next step
inline constexpr std::size_t kScrubAgainMax = kFsckDamageMax;  // objects with damage looked at again after an unmount
inline constexpr std::uint32_t kScrubPages = 64;       // catalog pages checked while a checkpoint waits: 2 ms

}  // namespace coffer
