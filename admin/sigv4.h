#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "admin/control.h"
#include "admin/http.h"
#include "admin/s3_error.h"

namespace coffer {

// AWS Signature Version 4 in the Authorization header (S3 API reference, "Authenticating Requests (AWS Signature
// Version 4)"), both ends of it.

// What a request must be signed for.
struct SigningScope {
  std::string_view service;  // s3, kms, coffer
  std::string_view region;
  bool s3express = false;  // the service may be s3express as well: directory buckets
};

enum class AuthFault {
  kAnonymous,        // AUTH-01
  kWrongSignature,   // AUTH-02
  kUnknownKey,       // AUTH-03
  kSkewed,           // AUTH-04
  kWrongRegion,      // AUTH-06
  kWrongService,     // AUTH-07
  kScopeDate,        // AUTH-08
  kNoDate,           // AUTH-09
  kMalformed,        // AUTH-10
  kOldSignature,     // AUTH-11
  kContentHash,      // AUTH-12..14
  kUnsignedHeaders,  // AUTH-15
  kPresigned,        // signed in the query: not served
  kSessionToken,     // there are no sessions
  kBadTarget,        // a target that cannot be decoded
};

struct AuthFailure {
  AuthFault fault;
  S3Error answer;
};

// Whose request this is; the body is part of what was checked, unless an S3 client says UNSIGNED-PAYLOAD.
using Verified = std::variant<const AccessKey*, AuthFailure>;
Verified verify_signature(const HttpRequest& request, const SigningScope& scope, const Credentials& credentials,
                          std::int64_t now_ns);

// The headers to add to a request, which has its Host header. Signed are Host, Content-Type, Content-MD5 and x-amz-*.
std::vector<HttpHeader> sign(const HttpRequest& request, const AccessKey& key, std::string_view service,
                             std::string_view region, std::int64_t now_ns);

}  // namespace coffer
