#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace coffer {

using Uuid = std::array<std::uint8_t, 16>;

Uuid random_uuid();                                     // version 4, RFC 9562
std::string uuid_text(const Uuid& uuid);                // 8-4-4-4-12, lower case
std::optional<Uuid> parse_uuid(std::string_view text);  // of that form

}  // namespace coffer
