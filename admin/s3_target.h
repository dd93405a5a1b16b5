#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "admin/http.h"
#include "admin/s3_error.h"

namespace coffer {

enum class S3Operation {
  kListBuckets,
  kListDirectoryBuckets,
  kCreateBucket,
  kHeadBucket,
  kDeleteBucket,
  kPutBucketEncryption,
  kGetBucketEncryption,
  kDeleteBucketEncryption,
  kCreateSession,
  kPutBucketPolicy,
  kGetBucketPolicy,
  kDeleteBucketPolicy,
};
std::string_view operation_name(S3Operation operation);

// What a request's method, Host and target name, path-style or virtual-hosted.
struct S3Target {
  // What the Host names: an endpoint, with the bucket in the path; a bucket; or something of directory buckets alone,
  // a zone with or without a bucket before it, or s3express-control.
  enum class Host { kEndpoint, kBucket, kZone, kControl };

  std::string bucket, key;  // decoded; empty: none
  Host host = Host::kEndpoint;
  bool bucket_in_host = false;
  QueryParameters query;

  bool has_query(std::string_view name) const;
  std::string query_value(std::string_view name) const;  // empty: absent
};

// InvalidURI when the target cannot be decoded.
S3Result<S3Target> parse_s3_target(const HttpRequest& request);

// Of directory buckets: what goes to the Regional endpoint (s3express-control) and never to a zone's.
bool is_control_operation(S3Operation operation);

// MethodNotAllowed for what S3 does not have, NotImplemented for what it has and this server has not.
// directories: the service it is signed for, or its Host, says that a list is one of directory buckets.
S3Result<S3Operation> s3_operation(const S3Target& target, std::string_view method, bool directories);

}  // namespace coffer
