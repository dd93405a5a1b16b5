#pragma once

#include <cstddef>
#include <cstdint>

#include "base/limits.h"

namespace coffer {

// What the admin server allows those who attack it, beside its sizes and times in base/limits.h.

// Of each of the two listeners: with kOpenDataFiles below a common limit of 1024 descriptors, so that no client takes
// one from the mount. Each holds 300 KiB at most before its request is known to be signed.
inline constexpr std::size_t kListenerConnectionsMax = kConnectionsMax / 2;
inline constexpr std::size_t kConnectionsEnding = 32;  // of them for those that were ended and are not yet gone
inline constexpr std::size_t kConnectionPlaces = kListenerConnectionsMax - kConnectionsEnding;
inline constexpr std::int64_t kConnectionGraceMs =
    250;                                         // before it may have to make room: a request takes less than one
inline constexpr std::size_t kHeadersMax = 100;  // SDKs send about ten
inline constexpr std::size_t kErrorTextMax =
    8 * 1024;  // of one element of an error document, which repeats what was sent

}  // namespace coffer
