#include "base/sse_rule.h"

namespace coffer {

std::string_view sse_name(SseAlgorithm algorithm) {
  switch (algorithm) {
    case SseAlgorithm::kAes256: return "AES256";
    case SseAlgorithm::kAwsKms: return "aws:kms";
    case SseAlgorithm::kAwsKmsDsse: return "aws:kms:dsse";
  }
  return "";
}

std::optional<SseAlgorithm> parse_sse(std::string_view name) {
  for (auto algorithm : {SseAlgorithm::kAes256, SseAlgorithm::kAwsKms, SseAlgorithm::kAwsKmsDsse})
    if (name == sse_name(algorithm)) return algorithm;
  return std::nullopt;
}

}  // namespace coffer
