#pragma once

#include <ostream>

namespace coffer {

// Where a command speaks: results to `out`, everything else to `err`.
struct Console {
  std::ostream& out;
  std::ostream& err;
  bool err_is_terminal = false;
};

}  // namespace coffer
