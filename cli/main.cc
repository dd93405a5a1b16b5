#include <unistd.h>

#include <iostream>
#include <string>
#include <vector>

#include "cli/program.h"

int main(int argc, char** argv) {
  coffer::Console console{std::cout, std::cerr, isatty(STDERR_FILENO) == 1};
  return coffer::run_program(std::vector<std::string>(argv + 1, argv + argc), console);
}
