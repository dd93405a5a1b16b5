#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "admin/authorization.h"
#include "admin/control.h"
#include "admin/http.h"

namespace coffer {

// AWS Signature Version 4 (S3 API reference, "Authenticating Requests (AWS Signature Version 4)"), both ends of it: in
// the Authorization header and, to be verified only, in the query.

// What a request must be signed for.
struct SigningScope {
  std::string_view service;  // s3, kms, coffer
  std::string_view region;
  bool s3express = false;  // the service may be s3express as well: directory buckets
};

// Whose request this is; the body is part of what was checked, unless an S3 client says UNSIGNED-PAYLOAD.
using Verified = std::variant<std::shared_ptr<const AccessKey>, AuthFailure>;
Verified verify_signature(const HttpRequest& request, const SigningScope& scope, const Credentials& credentials,
                          std::int64_t now_ns);

// The headers to add to a request, which has its Host header. Signed are Host, Content-Type, Content-MD5 and x-amz-*.
std::vector<HttpHeader> sign(const HttpRequest& request, const AccessKey& key, std::string_view service,
                             std::string_view region, std::int64_t now_ns);

}  // namespace coffer
