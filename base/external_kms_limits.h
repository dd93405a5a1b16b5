#pragma once

#include "base/limits.h"

// The limits of calls to an external KMS: as base/limits.h, which everybody includes.
namespace coffer {

// A KMS answers in some 10 ms, one on another continent in 300. What a program on the mount waits for at most is one call.
inline constexpr std::int64_t kExternalConnectMs = 2000;
inline constexpr std::int64_t kExternalAttemptMs = 3000;  // for one request and its answer
inline constexpr std::int64_t kExternalCallMs = 6000;     // for all attempts of a call and the rests between them
inline constexpr int kExternalAttempts = 3;
inline constexpr std::int64_t kExternalBackoffMs = 100;   // before the second attempt, at random up to twice that; then doubled
// After a call whose attempts all failed others fail at once for so long, doubled with each failure in turn.
inline constexpr std::int64_t kExternalRestMsMin = 1000, kExternalRestMsMax = 15'000;
inline constexpr std::size_t kExternalCallsMax = 32;          // under way; each may hold a thread of the mount
inline constexpr std::size_t kKeyWaitersMax = 2 * kExternalCallsMax;  // threads of the mount that wait for a key
inline constexpr std::size_t kExternalAnswerMax = 32 * 1024;  // a blob of 6144 bytes in base64, with room for what is not read
inline constexpr int kExternalJsonDepthMax = 16;              // KMS's deepest answer has 3
inline constexpr std::size_t kExternalMessageMax = 400;       // of an error's text, which is somebody else's

// A key that serves is asked about so often, so that one disabled there stops here. A dollar or less a year on AWS.
inline constexpr std::int64_t kExternalCheckSeconds = 60;
inline constexpr std::int64_t kExternalWatchMs = 1000;        // between two looks at which keys are due
inline constexpr std::size_t kExternalKeysWatched = 1024;     // with keys in memory; the one longest not asked about ends first
inline constexpr std::size_t kExternalNamesKept = 1024;       // alias ARNs whose key is known

}  // namespace coffer
