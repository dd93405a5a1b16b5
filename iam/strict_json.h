#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

namespace coffer {

// One JSON object in UTF-8 that two readers cannot read differently: no member twice, no NUL, nothing behind it, at most
// depth_max deep. Nothing otherwise; does not throw.
std::optional<nlohmann::json> parse_strict_json(std::string_view text, int depth_max);

}  // namespace coffer
