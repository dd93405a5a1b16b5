#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "admin/http.h"
#include "admin/s3_error.h"

namespace coffer {

enum class S3Operation {
  kListBuckets,
  kCreateBucket,
  kHeadBucket,
  kDeleteBucket,
  kPutBucketEncryption,
  kGetBucketEncryption,
  kDeleteBucketEncryption,
};
std::string_view operation_name(S3Operation operation);

// What a request's method, Host and target name, path-style or virtual-hosted.
struct S3Target {
  std::string bucket, key;  // decoded; empty: none
  QueryParameters query;

  bool has_query(std::string_view name) const;
  std::string query_value(std::string_view name) const;  // empty: absent
};

// InvalidURI when the target cannot be decoded.
S3Result<S3Target> parse_s3_target(const HttpRequest& request);

// MethodNotAllowed for what S3 does not have, NotImplemented for what it has and this server has not.
S3Result<S3Operation> s3_operation(const S3Target& target, std::string_view method);

}  // namespace coffer
