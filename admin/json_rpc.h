#pragma once

#include <cstdint>
#include <initializer_list>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "admin/http.h"
#include "base/bytes.h"
#include "base/secret_bytes.h"

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

// The members of a request, read one after the other, and whatever does not fit, in KMS's words (KMS-22): a wrong type
// first, else every constraint that does not hold, else what is not served. So: read all, then ask once. null is the
// same as absent.
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
  std::optional<bool> boolean(const char* name);
  std::optional<std::int64_t> time_ns(const char* name);  // seconds since 1970, also with a fraction
  Bytes required_blob(const char* name, Sizes sizes);
  SecretBytes required_secret(const char* name, Sizes sizes);  // a blob no message shows
  std::map<std::string, std::string> text_map(const char* name);
  // Each item of these sizes; messages name it tagKeys.1.member.
  std::vector<std::string> texts(const char* name, Sizes sizes);
  // Objects of two texts, as [{"TagKey","TagValue"}].
  std::vector<std::pair<std::string, std::string>> pairs(const char* name, const char* first, Sizes first_sizes,
                                                         const char* second, Sizes second_sizes);
  void refuse(JsonError error) { fail(std::move(error)); }  // what was read does not fit for the reader's own reasons
  bool has(const char* name) const { return find(name) != nullptr; }
  void require(const char* name);  // for a member that is read as an optional one
  // One of the words, in the order KMS's message lists them; nothing when absent.
  std::optional<std::string> one_of(const char* name, std::initializer_list<std::string_view> words);
  // A member this server has only one value for: any other is refused, never passed over.
  void only(const char* name, const nlohmann::json& value);

  std::optional<JsonError> error() const;

 private:
  const nlohmann::json* find(const char* name) const;
  void fail(JsonError error);
  // shown: the value as the message has it, in quotes; or null; or nothing
  void fail_constraint(std::string_view place, std::string_view shown, const std::string& constraint);
  void check_size(std::string_view place, std::string_view shown, std::size_t size, Sizes sizes);
  std::optional<Bytes> blob(const char* name, Sizes sizes, bool show);

  const nlohmann::json& object_;
  std::optional<JsonError> error_;
  std::vector<std::string> constraints_;  // that did not hold, in KMS's words
  std::optional<JsonError> unsupported_;
};

}  // namespace coffer
