#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <ostream>
#include <string>
#include <string_view>

#include "base/result.h"

namespace coffer {

// JSON that keeps the order of its members. None of these throws, whatever came over the wire.
using Json = nlohmann::ordered_json;

Result<Json> parse_json(std::string_view text);        // kIo: the server's answer cannot be read
void print_json(std::ostream& out, const Json& json);  // one document; bytes that are not UTF-8 become U+FFFD
std::string compact_json(const Json& json);

// A member, or what stands for it when it is absent or of another kind.
std::string text_at(const Json& json, std::string_view name);
std::uint64_t number_at(const Json& json, std::string_view name);
std::int64_t seconds_at(const Json& json, std::string_view name);  // a time, whole seconds since 1970
bool truth_at(const Json& json, std::string_view name);
const Json& member_at(const Json& json, std::string_view name);  // null

}  // namespace coffer
