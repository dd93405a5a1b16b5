#pragma once

#include <string>
#include <vector>

#include "cli/options.h"

namespace coffer {

// What stands behind the program's name. kInvalidArgument, saying where the help is, for what cannot be a command.
Result<Command> parse_command_line(const std::vector<std::string>& arguments);

}  // namespace coffer
