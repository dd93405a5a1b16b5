#pragma once

#include <string>
#include <vector>

#include "cli/console.h"

namespace coffer {

// The coffer program from its arguments (without its own name) to its exit code.
int run_program(const std::vector<std::string>& arguments, Console& console);

}  // namespace coffer
