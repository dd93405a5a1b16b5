#pragma once

#include "admin/sigv4.h"
#include "admin/timestamps.h"
#include "tests/admin/fake_controls.h"
#include "tests/fuzz/sigv4_restated.h"

namespace coffer {

// AWS's own pair of keys, and the day of its examples. An input that has the mark where its signature stands gets the
// right one there, made by the restatement: so that what is behind the comparison is reached as well.
inline const std::string kFuzzId = "AKIAIOSFODNN7EXAMPLE", kFuzzSecret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
inline const std::string kFuzzScope = "20130524/us-east-1/s3", kFuzzMark = "@SIGNED@";

inline bool fuzz_verified(const HttpRequest& request) {
  static const FakeCredentials credentials(Principal::root_of(*AccountId::parse("000000000000")));
  static const std::int64_t now = (*parse_amz_date("20130524T000000Z") + 30) * 1'000'000'000;
  const auto verified = verify_signature(request, {"s3", "us-east-1"}, credentials, now);
  return std::holds_alternative<std::shared_ptr<const AccessKey>>(verified);
}

inline std::string replaced(std::string text, const std::string& what, const std::string& by) {
  if (const auto at = text.find(what); at != std::string::npos) text.replace(at, what.size(), by);
  return text;
}

// Whoever was let in with a signature is let in with no other. place: where in the request it stands.
inline void claim_no_other(const HttpRequest& request, std::string& place, const std::string& right) {
  const auto at = place.find(right);
  claim(at != std::string::npos, "who is let in has the right signature");
  for (const std::size_t i : {std::size_t{0}, right.size() / 2, right.size() - 1}) {
    auto& c = place[at + i];
    c = c == '0' ? '1' : '0';
    claim(!fuzz_verified(request), "a signature with another digit lets nobody in");
    c = right[i];
  }
}

}  // namespace coffer
