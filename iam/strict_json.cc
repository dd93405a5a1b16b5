#include "iam/strict_json.h"

#include <set>
#include <string>
#include <vector>

namespace coffer {
namespace {

using nlohmann::json;

// Refuses what nlohmann takes: a member given twice, nesting without end.
class Strict {
 public:
  explicit Strict(int depth_max) : depth_max_(depth_max) {}

  bool operator()(int depth, json::parse_event_t event, json& parsed) {
    if (depth > depth_max_) fits_ = false;
    if (event == json::parse_event_t::object_start) names_.emplace_back();
    if (event == json::parse_event_t::object_end) names_.pop_back();
    if (event == json::parse_event_t::key && fits_) fits_ = names_.back().insert(parsed.get<std::string>()).second;
    return true;
  }
  bool fits() const { return fits_; }

 private:
  const int depth_max_;
  std::vector<std::set<std::string>> names_;
  bool fits_ = true;
};

}  // namespace

std::optional<json> parse_strict_json(std::string_view text, int depth_max) {
  // The library takes a NUL for the end of its input.
  if (text.find('\0') != std::string_view::npos) return std::nullopt;
  Strict strict(depth_max);
  const auto watch = [&strict](int depth, json::parse_event_t event, json& parsed) {
    return strict(depth, event, parsed);
  };
  auto value = json::parse(text, watch, /*allow_exceptions=*/false);
  if (value.is_discarded() || !value.is_object() || !strict.fits()) return std::nullopt;
  return value;
}

}  // namespace coffer
