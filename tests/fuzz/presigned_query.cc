#include <algorithm>

#include "base/limits.h"
#include "tests/fuzz/sigv4_rig.h"

// The presigned query: nobody comes in with another signature than the restatement's, before its time or after it.
namespace coffer {
namespace {

using Parameters = std::vector<std::pair<std::string, std::string>>;

std::string the_only(const Parameters& parameters, const std::string& name) {
  std::string found;
  int count = 0;
  for (const auto& [key, value] : parameters) {
    if (key != name) continue;
    found = value;
    ++count;
  }
  return count == 1 ? found : std::string();
}

void try_it(const std::uint8_t* data, std::size_t size) {
  auto request = fuzz_request(fuzz_text(data, size));
  Parameters parameters;
  if (!restated::parameters(request, parameters)) {
    claim(!fuzz_verified(request), "nobody comes in with a query that is none");
    return;
  }
  std::string payload = "UNSIGNED-PAYLOAD";
  bool said = false;
  for (const auto& header : request.headers) {
    if (said || restated::small(header.name) != "x-amz-content-sha256") continue;
    payload = header.value;
    said = true;
  }
  for (const auto& [name, value] : parameters) {
    if (said || restated::small(name) != "x-amz-content-sha256") continue;
    payload = value;
    said = true;
  }
  std::string canonical, right;
  if (restated::canonical(request, the_only(parameters, "X-Amz-SignedHeaders"), payload, canonical))
    right = restated::signature(kFuzzSecret, the_only(parameters, "X-Amz-Date"), kFuzzScope, canonical);
  request.target = replaced(request.target, kFuzzMark, right);
  const bool in_header = std::any_of(request.headers.begin(), request.headers.end(), [](const auto& header) {
    return restated::small(header.name) == "authorization";
  });
  if (in_header || !fuzz_verified(request)) return;  // sigv4_header.cc has those

  Parameters sent;
  claim(restated::parameters(request, sent) && !right.empty(), "who is let in has something to sign");
  claim(the_only(sent, "X-Amz-Signature") == right, "who is let in has the right signature, once");
  claim(the_only(sent, "X-Amz-Credential") == kFuzzId + "/" + kFuzzScope + "/aws4_request",
        "who is let in has a key that is known, for this place");
  const auto expires = the_only(sent, "X-Amz-Expires");
  claim(!expires.empty() && expires.size() < 10 && std::stol(expires) <= kPresignedSecondsMax,
        "no query is good for longer than a week");
  claim(payload.size() != 64 || restated::small(payload) == restated::hash(request.body), "the body is the signed one");
  claim_no_other(request, request.target, right);
}

}  // namespace
}  // namespace coffer

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  coffer::try_it(data, size);
  return 0;
}
