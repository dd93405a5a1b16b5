#include "admin/timestamps.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>

#include "base/clock.h"

namespace coffer {
namespace {

std::tm broken_down(std::int64_t seconds) {
  const std::time_t time = seconds;
  std::tm tm{};
  gmtime_r(&time, &tm);
  return tm;
}

std::string formatted(std::int64_t seconds, const char* format) {
  const auto tm = broken_down(seconds);
  std::array<char, 64> text{};
  const auto size = std::strftime(text.data(), text.size(), format, &tm);
  return {text.data(), size};
}

// The number at text[at, at + size), or -1.
int number(std::string_view text, std::size_t at, std::size_t size) {
  int value = 0;
  for (const char c : text.substr(at, size)) {
    if (c < '0' || c > '9') return -1;
    value = value * 10 + (c - '0');
  }
  return value;
}

std::optional<std::int64_t> seconds_of(int year, int month, int day, int hour, int minute, int second) {
  if (year < 1970 || month < 1 || month > 12 || day < 1 || day > 31) return std::nullopt;
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60) return std::nullopt;
  std::tm tm{};
  tm.tm_year = year - 1900;
  tm.tm_mon = month - 1;
  tm.tm_mday = day;
  tm.tm_hour = hour;
  tm.tm_min = minute;
  tm.tm_sec = second;
  const auto time = timegm(&tm);
  if (tm.tm_mday != day) return std::nullopt;  // 31 February has become a day of March
  return time;
}

}  // namespace

std::string amz_date(std::int64_t seconds) { return formatted(seconds, "%Y%m%dT%H%M%SZ"); }
std::string iso8601(std::int64_t seconds) { return formatted(seconds, "%Y-%m-%dT%H:%M:%SZ"); }

std::string iso8601_ms(std::int64_t ns) {
  const auto ms = static_cast<int>(ns % kNsPerSecond / 1'000'000);
  std::array<char, 8> fraction{};
  std::snprintf(fraction.data(), fraction.size(), ".%03dZ", std::clamp(ms, 0, 999));
  return formatted(ns / kNsPerSecond, "%Y-%m-%dT%H:%M:%S") + fraction.data();
}

std::optional<std::int64_t> parse_amz_date(std::string_view text) {
  if (text.size() != 16 || text[8] != 'T' || text[15] != 'Z') return std::nullopt;
  return seconds_of(number(text, 0, 4), number(text, 4, 2), number(text, 6, 2), number(text, 9, 2), number(text, 11, 2),
                    number(text, 13, 2));
}

std::optional<std::int64_t> parse_http_date(std::string_view text) {
  constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
  if (text.size() != 29 || text.substr(3, 2) != ", " || text[7] != ' ' || text[11] != ' ' || text[16] != ' ' ||
      text[19] != ':' || text[22] != ':' || text.substr(25) != " GMT")
    return std::nullopt;
  const auto month = kMonths.find(text.substr(8, 3));
  if (month == std::string_view::npos || month % 3 != 0) return std::nullopt;
  return seconds_of(number(text, 12, 4), static_cast<int>(month / 3) + 1, number(text, 5, 2), number(text, 17, 2),
                    number(text, 20, 2), number(text, 23, 2));
}

}  // namespace coffer
