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
// The same of a directory bucket: what it cannot have is refused (DIR-06..09, 11, 18), Bucket Keys are on in the answer.
S3Result<SseRule> parse_directory_encryption_configuration(std::string_view body);
std::string encryption_configuration(const SseRule& rule);  // GBE-07

// CreateBucketConfiguration: the region it asks for, if it asks, or the zone of a directory bucket (DIR-02).
struct NewBucket {
  std::optional<std::string> region, zone;
};
S3Result<NewBucket> parse_create_bucket_configuration(std::string_view body);
std::string create_bucket_configuration(std::string_view zone);  // what asks for a directory bucket in that zone

struct BucketPage {
  std::vector<BucketInfo> buckets;
  std::string prefix;              // as asked for
  std::string continuation_token;  // empty: this was the last page
};
std::string list_all_my_buckets_result(const AccountId& owner, const BucketPage& page);
std::string list_directory_buckets_result(const BucketPage& page);

struct SessionCredentials {
  std::string access_key_id, token;
  SecretBytes secret;
  std::int64_t expires = 0;  // seconds since 1970
};
std::string create_session_result(const SessionCredentials& session);  // holds a secret

std::string error_document(const S3Error& error, std::string_view request_id, std::string_view host_id);  // ERR-01

}  // namespace coffer
