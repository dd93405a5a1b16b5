#include <algorithm>

#include "admin/canonical_request.h"
#include "base/server_limits.h"
#include "tests/fuzz/sigv4_rig.h"

// The Authorization header: what is signed is what the restatement signs, and nobody comes in with another signature.
namespace coffer {
namespace {

std::string between(const std::string& text, const std::string& begin, const std::string& end) {
  const auto from = text.find(begin);
  if (from == std::string::npos) return {};
  const auto rest = text.substr(from + begin.size());
  return rest.substr(0, rest.find(end));
}

std::string first_header(const HttpRequest& request, const std::string& name) {
  for (const auto& header : request.headers)
    if (restated::small(header.name) == name) return header.value;
  return {};
}

void try_it(const std::uint8_t* data, std::size_t size) {
  auto request = fuzz_request(fuzz_text(data, size));
  const auto header = std::find_if(request.headers.begin(), request.headers.end(),
                                   [](const auto& h) { return restated::small(h.name) == "authorization"; });
  const auto given = header == request.headers.end() ? std::string() : header->value;
  const auto names = restated::folded(between(given, "SignedHeaders=", ","));
  const auto payload = first_header(request, "x-amz-content-sha256");

  std::string canonical;
  const bool has_one = restated::canonical(request, names, payload, canonical);
  const auto listed = restated::parts(names, ';');
  auto sorted = listed;
  std::sort(sorted.begin(), sorted.end());
  const bool once = std::adjacent_find(sorted.begin(), sorted.end()) == sorted.end();
  if (once) {
    const auto ours = canonical_request(request, "s3", listed, payload);
    claim(ours.has_value() == has_one && (!has_one || *ours == canonical), "two canonical requests are one");
  }
  if (!has_one || header == request.headers.end()) {
    claim(header != request.headers.end() || !fuzz_verified(request), "nobody comes in unsigned");
    claim(has_one || !fuzz_verified(request), "nobody comes in with a target that is none");
    return;
  }
  const auto time = restated::folded(first_header(request, "x-amz-date"));
  const auto right = restated::signature(kFuzzSecret, time, kFuzzScope, canonical);
  header->value = replaced(header->value, kFuzzMark, right);
  if (!fuzz_verified(request)) return;
  claim(once && listed.size() <= kHeadersMax, "signed headers are named once");
  // Of the hash or of the words that say there is none; and the body is what the hash says.
  claim(payload.size() != 64 || restated::small(payload) == restated::hash(request.body), "the body is the signed one");
  if (header->value.find(right) == std::string::npos) {  // a Date header has another form of the same time
    claim(time.empty() || time.size() == 29, "who is let in has the right signature");
    return;
  }
  claim_no_other(request, header->value, right);
}

}  // namespace
}  // namespace coffer

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  coffer::try_it(data, size);
  return 0;
}
