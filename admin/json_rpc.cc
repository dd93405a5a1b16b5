#include "admin/json_rpc.h"

#include <set>
#include <vector>

#include "base/encoding.h"
#include "base/limits.h"

namespace coffer {
namespace {

using nlohmann::json;

// KMS names members of its requests in lower camel case in messages: keyId for KeyId.
std::string shown_name(const char* name) {
  std::string out(name);
  if (out[0] >= 'A' && out[0] <= 'Z') out[0] = static_cast<char>(out[0] - 'A' + 'a');
  return out;
}

JsonError constraint_failed(const char* name, std::string_view value, const std::string& constraint) {
  return validation_error("1 validation error detected: Value " + std::string(value) + " at '" + shown_name(name) +
                          "' failed to satisfy constraint: Member must " + constraint);
}

std::string in_quotes(std::string_view text) { return "'" + std::string(text) + "'"; }

// Refuses what nlohmann takes: a member given twice, nesting without end.
class Strict {
 public:
  bool operator()(int depth, json::parse_event_t event, json& parsed) {
    if (depth > kJsonDepthMax) fits_ = false;
    if (event == json::parse_event_t::object_start) names_.emplace_back();
    if (event == json::parse_event_t::object_end) names_.pop_back();
    if (event == json::parse_event_t::key && fits_) fits_ = names_.back().insert(parsed.get<std::string>()).second;
    return true;
  }
  bool fits() const { return fits_; }

 private:
  std::vector<std::set<std::string>> names_;
  bool fits_ = true;
};

}  // namespace

JsonError serialization_error(std::string message) { return {400, "SerializationException", std::move(message)}; }
JsonError validation_error(std::string message) { return {400, "ValidationException", std::move(message)}; }
JsonError unknown_operation() { return {400, "UnknownOperationException", std::nullopt}; }

JsonResult<json> parse_json_object(std::string_view body) {
  // The library takes a NUL for the end of its input.
  if (body.find('\0') != std::string_view::npos) return serialization_error("The request is not one JSON object.");
  Strict strict;
  const auto watch = [&strict](int depth, json::parse_event_t event, json& parsed) {
    return strict(depth, event, parsed);
  };
  auto value = json::parse(body, watch, /*allow_exceptions=*/false);
  if (value.is_discarded() || !value.is_object() || !strict.fits())
    return serialization_error("The request is not one JSON object.");
  return value;
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

void JsonMembers::fail_size(const char* name, std::string_view shown, bool too_long, Sizes sizes) {
  fail(constraint_failed(name, shown,
                         too_long ? "have length less than or equal to " + std::to_string(sizes.max)
                                  : "have length greater than or equal to " + std::to_string(sizes.min)));
}

std::optional<std::string> JsonMembers::text(const char* name, Sizes sizes) {
  const auto* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) {
    fail(serialization_error(std::string(name) + " must be a string."));
    return std::nullopt;
  }
  auto text = value->get<std::string>();
  if (text.size() < sizes.min || text.size() > sizes.max)
    fail_size(name, in_quotes(text), text.size() > sizes.max, sizes);
  return text;
}

std::string JsonMembers::required_text(const char* name, Sizes sizes) {
  auto value = text(name, sizes);
  if (!value) fail(constraint_failed(name, "null", "not be null"));
  return value.value_or("");
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
  if (number < min)
    fail(constraint_failed(name, in_quotes(value->dump()),
                           "have value greater than or equal to " + std::to_string(min)));
  if (number > max)
    fail(constraint_failed(name, in_quotes(value->dump()), "have value less than or equal to " + std::to_string(max)));
  return number;
}

Bytes JsonMembers::required_blob(const char* name, Sizes sizes) {
  const auto text = required_text(name, {0, kBodySizeMax});
  auto bytes = unbase64(text);
  if (!bytes) {
    fail(serialization_error(std::string(name) + " must be base64."));
    return {};
  }
  if (bytes->size() < sizes.min || bytes->size() > sizes.max)
    fail_size(name, in_quotes(text), bytes->size() > sizes.max, sizes);
  return *std::move(bytes);
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
  fail({400, "UnsupportedOperationException", "This KMS does not serve " + std::string(name) + " with this value."});
}

}  // namespace coffer
