#include "iam/pattern.h"

#include <algorithm>

namespace coffer {

std::string compile_pattern(std::string_view text) {
  std::string out(text);
  std::replace(out.begin(), out.end(), '*', kMany);
  std::replace(out.begin(), out.end(), '?', kOne);
  return out;
}

// Greedy, going back to the last * alone: enough, as a later * takes whatever an earlier one could.
bool matches_pattern(std::string_view compiled, std::string_view text) {
  std::size_t p = 0, t = 0, many = std::string_view::npos, resume = 0;
  while (t < text.size()) {
    if (p < compiled.size() && compiled[p] == kMany) {
      many = p++;
      resume = t;
    } else if (p < compiled.size() && (compiled[p] == kOne || compiled[p] == text[t])) {
      ++p;
      ++t;
    } else if (many != std::string_view::npos) {
      p = many + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  return compiled.find_first_not_of(kMany, p) == std::string_view::npos;
}

bool matches_arn(std::string_view compiled, std::string_view arn) {
  constexpr int kParts = 6;
  if (compiled == std::string_view(&kMany, 1)) return true;
  for (int part = 1; part < kParts; ++part) {
    const auto pattern_end = compiled.find(':'), end = arn.find(':');
    if (pattern_end == std::string_view::npos || end == std::string_view::npos) return false;
    if (!matches_pattern(compiled.substr(0, pattern_end), arn.substr(0, end))) return false;
    compiled.remove_prefix(pattern_end + 1);
    arn.remove_prefix(end + 1);
  }
  return matches_pattern(compiled, arn);
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

}  // namespace coffer
