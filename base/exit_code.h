#pragma once

#include "base/result.h"

namespace coffer {

// What the programs end with.
inline constexpr int kExitDone = 0;
inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitDamaged = 3;
inline constexpr int kExitKey = 4;
inline constexpr int kExitMissing = 5;

int exit_code(Code code);

}  // namespace coffer
