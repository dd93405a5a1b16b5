#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "admin/control.h"
#include "admin/s3_error.h"
#include "base/sse_rule.h"

namespace coffer {

// S3's documents (S3 API reference). Reading is strict: what the schema does not have, has twice, or has elsewhere is
// MalformedXML; so are a DOCTYPE, a processing instruction, an entity that is not one of XML's five, another encoding
// than UTF-8. Time and memory are linear in the body, which is at most kBodySizeMax.

// PBE-02..09, 14, 16..19, 54..57; KMSKeyID is read as KMSMasterKeyID, which is what the documentation's examples mean.
S3Result<SseRule> parse_encryption_configuration(std::string_view body);
std::string encryption_configuration(const SseRule& rule);  // GBE-07

// CreateBucketConfiguration: the region it asks for, if it asks. Directory buckets' Location and Bucket:
// NotImplemented.
S3Result<std::optional<std::string>> parse_create_bucket_configuration(std::string_view body);

struct BucketPage {
  std::vector<BucketInfo> buckets;
  std::string prefix;              // as asked for
  std::string continuation_token;  // empty: this was the last page
};
std::string list_all_my_buckets_result(const AccountId& owner, const BucketPage& page);

std::string error_document(const S3Error& error, std::string_view request_id, std::string_view host_id);  // ERR-01

}  // namespace coffer
