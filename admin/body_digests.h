#pragma once

#include <optional>

#include "admin/http.h"
#include "admin/s3_error.h"

namespace coffer {

enum class EmptyBody { kAllowed, kRefused };

// Verifies what a request says about its body beyond the signature: Content-MD5, x-amz-checksum-* and the headers
// around them (PBE-20..36, 51, 58). Nothing that is said is ignored: an algorithm that cannot be verified is refused.
std::optional<S3Error> check_body_digests(const HttpRequest& request, EmptyBody empty);

}  // namespace coffer
