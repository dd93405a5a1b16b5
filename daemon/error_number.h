#pragma once

#include "base/result.h"

namespace coffer {

// The errno that a program below the mount sees for a failure (SEMANTICS.md, "Errors").
int error_number(Code code);

}  // namespace coffer
