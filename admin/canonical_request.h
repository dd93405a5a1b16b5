#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "admin/http.h"

namespace coffer {

// The text of a request that Signature Version 4 hashes and signs (IAM User Guide, "Create a signed AWS API request").
// S3's paths are taken as they are and encoded once; other services' are normalised and encoded twice. The parameter
// X-Amz-Signature is left out, which a signature in the query cannot cover. Nothing, when the target's percent-encoding
// is broken.
std::optional<std::string> canonical_request(const HttpRequest& request, std::string_view service,
                                             std::vector<std::string> signed_headers, std::string_view payload_hash);

bool is_s3_service(std::string_view service);  // s3, s3express

}  // namespace coffer
