#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "admin/http.h"
#include "base/bytes.h"

namespace coffer {

// AWS's JSON 1.1 protocol: one object in, one object or {"__type","message"} out.

struct JsonError {
  int status = 400;
  std::string type;
  std::optional<std::string> message;  // some KMS errors carry none (KMS-02)
};

template <class T>
using JsonResult = std::variant<T, JsonError>;
using JsonAnswer = JsonResult<std::string>;  // the body, empty where the operation answers nothing

JsonError serialization_error(std::string message);
JsonError validation_error(std::string message);
JsonError unknown_operation();

// One JSON object in UTF-8, no member twice, at most kJsonDepthMax deep; SerializationException otherwise.
JsonResult<nlohmann::json> parse_json_object(std::string_view body);
std::string print_json(const nlohmann::json& value);  // never throws: what is not UTF-8 is replaced

std::string error_body(const JsonError& error);

// The members of a request, read one after the other. The first that does not fit is kept as the error, in KMS's words
// (KMS-22); what is read after it means nothing. So: read all, then ask once. null is the same as absent.
class JsonMembers {
 public:
  explicit JsonMembers(const nlohmann::json& object) : object_(object) {}

  struct Sizes {
    std::size_t min = 0, max = 8192;
  };
  std::string required_text(const char* name, Sizes sizes);
  std::optional<std::string> text(const char* name, Sizes sizes);
  bool flag(const char* name);  // false where it is absent
  std::optional<std::int64_t> integer(const char* name, std::int64_t min, std::int64_t max);
  Bytes required_blob(const char* name, Sizes sizes);
  std::map<std::string, std::string> text_map(const char* name);
  // A member this server has only one value for: any other is refused, never passed over.
  void only(const char* name, const nlohmann::json& value);

  const std::optional<JsonError>& error() const { return error_; }

 private:
  const nlohmann::json* find(const char* name) const;
  void fail(JsonError error);
  void fail_size(const char* name, std::string_view shown, bool too_long, Sizes sizes);

  const nlohmann::json& object_;
  std::optional<JsonError> error_;
};

}  // namespace coffer
