#pragma once

#include "cli/console.h"
#include "cli/json.h"

namespace coffer {

// What a check of a store found, as `--json` has it, in lines for a person.
void print_check(const Json& report, Console& console);

// Damaged places that are not repaired.
std::size_t damage_left(const Json& report);

}  // namespace coffer
