#include "cli/json.h"

namespace coffer {

Result<Json> parse_json(std::string_view text) {
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return Error{Code::kIo, "the daemon's answer is no JSON: is the socket that of cofferd?"};
  return json;
}

void print_json(std::ostream& out, const Json& json) {
  out << json.dump(2, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace) << '\n';
}

std::string compact_json(const Json& json) {
  return json.dump(-1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

std::string text_at(const Json& json, std::string_view name) {
  const auto& member = member_at(json, name);
  return member.is_string() ? member.get<std::string>() : "";
}

std::uint64_t number_at(const Json& json, std::string_view name) {
  const auto& member = member_at(json, name);
  return member.is_number_unsigned() ? member.get<std::uint64_t>() : 0;
}

std::int64_t seconds_at(const Json& json, std::string_view name) {
  constexpr double kEndOfTime = 253'402'300'799;  // 9999-12-31T23:59:59Z
  const auto& member = member_at(json, name);
  const double seconds = member.is_number() ? member.get<double>() : 0;
  return seconds >= 0 && seconds <= kEndOfTime ? static_cast<std::int64_t>(seconds) : 0;
}

bool truth_at(const Json& json, std::string_view name) {
  const auto& member = member_at(json, name);
  return member.is_boolean() && member.get<bool>();
}

const Json& member_at(const Json& json, std::string_view name) {
  static const Json kNull;
  if (!json.is_object()) return kNull;
  const auto found = json.find(std::string(name));
  return found == json.end() ? kNull : *found;
}

}  // namespace coffer
