#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace coffer {

// The forms of time on AWS's wire; all UTC, whole seconds since 1970 unless said otherwise.
std::string amz_date(std::int64_t seconds);  // 20130524T000000Z
std::string iso8601(std::int64_t seconds);   // 2013-05-24T00:00:00Z
std::string iso8601_ms(std::int64_t ns);     // 2013-05-24T00:00:00.000Z
std::optional<std::int64_t> parse_amz_date(std::string_view text);
std::optional<std::int64_t> parse_http_date(std::string_view text);  // Fri, 24 May 2013 00:00:00 GMT

}  // namespace coffer
