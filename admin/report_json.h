#pragma once

#include <nlohmann/json.hpp>

#include "base/check_report.h"

namespace coffer {

// What `coffer fsck --json` and `coffer scrub --json` print (docs/OPERATIONS.md).
nlohmann::ordered_json report_json(const CheckReport& report);

}  // namespace coffer
