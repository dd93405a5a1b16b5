#include "admin/json_rpc.h"

#include <algorithm>

#include "base/encoding.h"
#include "base/limits.h"
#include "iam/strict_json.h"

namespace coffer {
namespace {

using nlohmann::json;

// KMS names members of its requests in lower camel case in messages: keyId for KeyId.
std::string shown_name(const char* name) {
  std::string out(name);
  if (out[0] >= 'A' && out[0] <= 'Z') out[0] = static_cast<char>(out[0] - 'A' + 'a');
  return out;
}

std::string in_quotes(std::string_view text) { return "'" + std::string(text) + "'"; }

}  // namespace

JsonError serialization_error(std::string message) { return {400, "SerializationException", std::move(message)}; }
JsonError validation_error(std::string message) { return {400, "ValidationException", std::move(message)}; }
JsonError unknown_operation() { return {400, "UnknownOperationException", std::nullopt}; }

JsonResult<json> parse_json_object(std::string_view body) {
  auto value = parse_strict_json(body, kJsonDepthMax);
  if (!value) return serialization_error("The request is not one JSON object.");
  return *std::move(value);
}

std::string print_json(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

std::string error_body(const JsonError& error) {
  json body = {{"__type", error.type}};
  if (error.message) body["message"] = *error.message;
  return print_json(body);
}

const json* JsonMembers::find(const char* name) const {
  const auto found = object_.find(name);
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

void JsonMembers::fail(JsonError error) {
  if (!error_) error_ = std::move(error);
}

void JsonMembers::fail_constraint(std::string_view place, std::string_view shown, const std::string& constraint) {
  std::string text = "Value ";
  if (!shown.empty()) text.append(shown).append(" ");
  constraints_.push_back(text.append("at '").append(place).append("' failed to satisfy constraint: Member must ") +
                         constraint);
}

void JsonMembers::check_size(std::string_view place, std::string_view shown, std::size_t size, Sizes sizes) {
  if (size > sizes.max) fail_constraint(place, shown, "have length less than or equal to " + std::to_string(sizes.max));
  if (size < sizes.min)
    fail_constraint(place, shown, "have length greater than or equal to " + std::to_string(sizes.min));
}

std::optional<JsonError> JsonMembers::error() const {
  if (error_) return error_;
  if (constraints_.empty()) return unsupported_;
  const auto count = constraints_.size();
  std::string text =
      std::to_string(count) + (count == 1 ? " validation error detected: " : " validation errors detected: ");
  for (std::size_t i = 0; i < count; ++i) text.append(i == 0 ? "" : "; ").append(constraints_[i]);
  return validation_error(std::move(text));
}

std::optional<std::string> JsonMembers::text(const char* name, Sizes sizes) {
  const auto* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) {
    fail(serialization_error(std::string(name) + " must be a string."));
    return std::nullopt;
  }
  auto text = value->get<std::string>();
  check_size(shown_name(name), in_quotes(text), text.size(), sizes);
  return text;
}

void JsonMembers::require(const char* name) {
  if (!has(name)) fail_constraint(shown_name(name), "null", "not be null");
}

std::string JsonMembers::required_text(const char* name, Sizes sizes) {
  require(name);
  return text(name, sizes).value_or("");
}

std::optional<std::string> JsonMembers::one_of(const char* name, std::initializer_list<std::string_view> words) {
  auto value = text(name, {0, 1024});
  if (!value || std::find(words.begin(), words.end(), *value) != words.end()) return value;
  std::string set;
  for (const auto word : words) set.append(set.empty() ? "" : ", ").append(word);
  fail_constraint(shown_name(name), in_quotes(*value), "satisfy enum value set: [" + set + "]");
  return std::nullopt;
}

bool JsonMembers::flag(const char* name) {
  const auto* value = find(name);
  if (value == nullptr) return false;
  if (!value->is_boolean()) fail(serialization_error(std::string(name) + " must be true or false."));
  return value->is_boolean() && value->get<bool>();
}

std::optional<std::int64_t> JsonMembers::integer(const char* name, std::int64_t min, std::int64_t max) {
  const auto* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number_integer()) {
    fail(serialization_error(std::string(name) + " must be an integer."));
    return std::nullopt;
  }
  const bool huge = value->is_number_unsigned() && value->get<std::uint64_t>() > INT64_MAX;
  const auto number = huge ? INT64_MAX : value->get<std::int64_t>();
  const auto shown = in_quotes(value->dump());
  if (number < min)
    fail_constraint(shown_name(name), shown, "have value greater than or equal to " + std::to_string(min));
  if (number > max) fail_constraint(shown_name(name), shown, "have value less than or equal to " + std::to_string(max));
  return number;
}

std::optional<bool> JsonMembers::boolean(const char* name) {
  const auto* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_boolean()) {
    fail(serialization_error(std::string(name) + " must be a boolean."));
    return std::nullopt;
  }
  return value->get<bool>();
}

std::optional<std::int64_t> JsonMembers::time_ns(const char* name) {
  constexpr double kSecondsMax = 253'402'300'799;  // the end of the year 9999
  const auto* value = find(name);
  if (value == nullptr) return std::nullopt;
  const double seconds = value->is_number() ? value->get<double>() : -1;
  if (!(seconds >= 0 && seconds <= kSecondsMax)) {
    fail(serialization_error(std::string(name) + " must be a time in seconds since 1970."));
    return std::nullopt;
  }
  if (seconds > 9'223'372'036) return INT64_MAX;
  return static_cast<std::int64_t>(seconds * 1000) * 1'000'000;
}

std::optional<Bytes> JsonMembers::blob(const char* name, Sizes sizes, bool show) {
  const auto text = this->text(name, {0, kBodySizeMax});
  if (!text) return std::nullopt;
  auto bytes = unbase64(*text);
  if (!bytes) {
    fail(serialization_error(std::string(name) + " must be base64."));
    return std::nullopt;
  }
  check_size(shown_name(name), show ? in_quotes(*text) : "", bytes->size(), sizes);
  return bytes;
}

Bytes JsonMembers::required_blob(const char* name, Sizes sizes) {
  require(name);
  return blob(name, sizes, /*show=*/true).value_or(Bytes());
}

SecretBytes JsonMembers::required_secret(const char* name, Sizes sizes) {
  require(name);
  auto bytes = blob(name, sizes, /*show=*/false).value_or(Bytes());
  SecretBytes secret(bytes);
  wipe(bytes);
  return secret;
}

std::vector<std::string> JsonMembers::texts(const char* name, Sizes sizes) {
  const auto* value = find(name);
  if (value == nullptr) return {};
  std::vector<std::string> out;
  const bool strings =
      value->is_array() && std::all_of(value->begin(), value->end(), [](const json& item) { return item.is_string(); });
  if (!strings) {
    fail(serialization_error(std::string(name) + " must be a list of strings."));
    return out;
  }
  for (const auto& item : *value) {
    out.push_back(item.get<std::string>());
    check_size(shown_name(name) + "." + std::to_string(out.size()) + ".member", in_quotes(out.back()),
               out.back().size(), sizes);
  }
  return out;
}

std::vector<std::pair<std::string, std::string>> JsonMembers::pairs(const char* name, const char* first,
                                                                    Sizes first_sizes, const char* second,
                                                                    Sizes second_sizes) {
  const auto* value = find(name);
  if (value == nullptr) return {};
  std::vector<std::pair<std::string, std::string>> out;
  const auto is_pair = [&](const json& item) {
    return item.is_object() && item.contains(first) && item[first].is_string() && item.contains(second) &&
           item[second].is_string();
  };
  if (!value->is_array() || !std::all_of(value->begin(), value->end(), is_pair)) {
    fail(serialization_error(std::string(name) + " must be a list of " + first + " and " + second + "."));
    return out;
  }
  for (const auto& item : *value) {
    out.emplace_back(item[first].get<std::string>(), item[second].get<std::string>());
    const auto place = shown_name(name) + "." + std::to_string(out.size()) + ".member.";
    check_size(place + shown_name(first), in_quotes(out.back().first), out.back().first.size(), first_sizes);
    check_size(place + shown_name(second), in_quotes(out.back().second), out.back().second.size(), second_sizes);
  }
  return out;
}

std::map<std::string, std::string> JsonMembers::text_map(const char* name) {
  const auto* value = find(name);
  if (value == nullptr) return {};
  std::map<std::string, std::string> out;
  if (!value->is_object()) {
    fail(serialization_error(std::string(name) + " must be an object of strings."));
    return {};
  }
  for (const auto& [member, text] : value->items()) {
    if (!text.is_string()) {
      fail(serialization_error(std::string(name) + " must be an object of strings."));
      return {};
    }
    out.emplace(member, text.get<std::string>());
  }
  return out;
}

void JsonMembers::only(const char* name, const json& value) {
  const auto* given = find(name);
  const bool empty = given != nullptr && given->is_structured() && given->empty();
  if (given == nullptr || empty || *given == value) return;
  if (!unsupported_)
    unsupported_ = {400, "UnsupportedOperationException",
                    "This KMS does not serve " + std::string(name) + " with this value."};
}

}  // namespace coffer
