#pragma once

#include <string>
#include <string_view>

namespace coffer {

// Policies' patterns. In a compiled one each * has become kMany, any number of characters, and each ? kOne: bytes that
// are in no UTF-8, so that what a request fills in for a variable matches itself alone.
inline constexpr char kMany = '\xff', kOne = '\xfe';

std::string compile_pattern(std::string_view text);

// Whether the text as a whole is as the compiled pattern says. In time bounded by the product of their lengths.
bool matches_pattern(std::string_view compiled, std::string_view text);

// The same of ARNs, part by part: a * in one of the first five parts does not reach over a colon.
bool matches_arn(std::string_view compiled, std::string_view arn);

std::string lower(std::string_view text);  // ASCII

}  // namespace coffer
