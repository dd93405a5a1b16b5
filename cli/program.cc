#include "cli/program.h"

#include "base/exit_code.h"
#include "cli/command_line.h"
#include "cli/commands.h"

namespace coffer {
namespace {

int report(const Error& error, Console& console) {
  console.err << "coffer: " << error.message << std::endl;
  return exit_code(error.code);
}

}  // namespace

Result<int> run_command(const HelpOptions& options, Console& console) {
  console.out << options.text;
  return kExitDone;
}

int run_program(const std::vector<std::string>& arguments, Console& console) {
  const auto command = parse_command_line(arguments);
  if (!command.ok()) return report(command.error(), console);
  const auto done = std::visit([&](const auto& options) { return run_command(options, console); }, *command);
  console.out.flush();
  if (!done.ok()) return report(done.error(), console);
  if (!console.out) return report({Code::kIo, "cannot write to standard output: is its disk full?"}, console);
  return *done;
}

}  // namespace coffer
