#include "admin/s3_target.h"

#include <algorithm>
#include <array>

#include "base/encoding.h"

namespace coffer {
namespace {

S3Error invalid_uri(std::string_view target) {
  return {400, "InvalidURI", "Couldn't parse the specified URI.", {{"URI", std::string(target)}}};
}

bool ends_with_or_cut(std::string_view& host, std::string_view suffix) {
  if (host.size() <= suffix.size() || !host.ends_with(suffix)) return false;
  host.remove_suffix(suffix.size());
  return true;
}

// BUCKET.s3express-ZONE.REGION.amazonaws.com, or s3express-control in the zone's place; BUCKET may be missing, and
// localhost may stand for REGION.amazonaws.com.
std::optional<S3Target::Host> take_express_host(std::string_view host, std::string& bucket) {
  constexpr std::string_view kExpress = "s3express-";
  if (ends_with_or_cut(host, ".amazonaws.com")) {
    const auto region = host.rfind('.');
    if (region == std::string_view::npos) return std::nullopt;
    host = host.substr(0, region);
  } else if (!ends_with_or_cut(host, ".localhost")) {
    return std::nullopt;
  }
  const auto dot = host.rfind('.');
  const auto label = dot == std::string_view::npos ? host : host.substr(dot + 1);
  if (!label.starts_with(kExpress)) return std::nullopt;
  if (dot != std::string_view::npos) bucket = host.substr(0, dot);
  return label == "s3express-control" ? S3Target::Host::kControl : S3Target::Host::kZone;
}

std::string host_name(std::string_view header) {
  const auto lowered = lower_case(trim(header));
  const auto port = lowered.rfind(':');
  if (port == std::string::npos || lowered.find(']') != std::string::npos) return lowered;
  return lowered.substr(0, port);
}

// BUCKET of BUCKET.s3.amazonaws.com, BUCKET.s3.REGION.amazonaws.com (also with a hyphen), BUCKET.s3.localhost and
// BUCKET.localhost; any other host is an endpoint, and the bucket stands in the path.
std::string bucket_in_host(std::string_view host) {
  if (ends_with_or_cut(host, ".localhost")) {
    if (host == "s3") return {};
    ends_with_or_cut(host, ".s3");
    return std::string(host);
  }
  if (!ends_with_or_cut(host, ".amazonaws.com")) return {};
  if (ends_with_or_cut(host, ".s3")) return std::string(host);
  const auto dot = host.rfind('.');  // what follows is a region, alone or behind s3-
  if (dot == std::string_view::npos) return {};
  const bool hyphenated = host.substr(dot + 1).starts_with("s3-");
  host = host.substr(0, dot);
  if (hyphenated || ends_with_or_cut(host, ".s3")) return std::string(host);
  return {};
}

bool is_one_of(std::string_view name, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// A query parameter that asks for something this operation would not do is refused, never passed over.
std::optional<S3Error> refuse_query(const S3Target& target, std::initializer_list<std::string_view> known) {
  for (const auto& [name, value] : target.query) {
    if (name == "x-id" || is_one_of(name, known)) continue;  // x-id: SDKs' own name for the operation
    auto error = not_implemented("A query parameter you provided implies functionality that is not implemented");
    error.extras = {{"QueryParameter", name}};
    return error;
  }
  return std::nullopt;
}

struct Row {
  std::string_view method;
  S3Operation operation;
};

S3Result<S3Operation> by_method(const std::vector<Row>& rows, std::string_view method, std::string_view resource) {
  for (const auto& row : rows)
    if (row.method == method) return row.operation;
  return method_not_allowed(method, resource);
}

}  // namespace

std::string_view operation_name(S3Operation operation) {
  switch (operation) {
    case S3Operation::kListBuckets: return "ListBuckets";
    case S3Operation::kListDirectoryBuckets: return "ListDirectoryBuckets";
    case S3Operation::kCreateBucket: return "CreateBucket";
    case S3Operation::kHeadBucket: return "HeadBucket";
    case S3Operation::kDeleteBucket: return "DeleteBucket";
    case S3Operation::kPutBucketEncryption: return "PutBucketEncryption";
    case S3Operation::kGetBucketEncryption: return "GetBucketEncryption";
    case S3Operation::kDeleteBucketEncryption: return "DeleteBucketEncryption";
    case S3Operation::kCreateSession: return "CreateSession";
    case S3Operation::kPutBucketPolicy: return "PutBucketPolicy";
    case S3Operation::kGetBucketPolicy: return "GetBucketPolicy";
    case S3Operation::kDeleteBucketPolicy: return "DeleteBucketPolicy";
  }
  return "";
}

bool is_control_operation(S3Operation operation) {
  return operation != S3Operation::kCreateSession && operation != S3Operation::kHeadBucket;
}

bool S3Target::has_query(std::string_view name) const {
  return std::any_of(query.begin(), query.end(), [&](const auto& parameter) { return parameter.first == name; });
}

std::string S3Target::query_value(std::string_view name) const {
  for (const auto& [key_name, value] : query)
    if (key_name == name) return value;
  return {};
}

S3Result<S3Target> parse_s3_target(const HttpRequest& request) {
  const auto path = percent_decode(request.path());
  if (!path || !path->starts_with('/')) return invalid_uri(request.target);
  S3Target target;
  const auto host = host_name(request.header("host").value_or(""));
  if (const auto express = take_express_host(host, target.bucket)) {
    target.host = *express;
  } else {
    target.bucket = bucket_in_host(host);
    if (!target.bucket.empty()) target.host = S3Target::Host::kBucket;
  }
  target.bucket_in_host = !target.bucket.empty();
  std::string_view rest = std::string_view(*path).substr(1);
  if (target.bucket.empty()) {
    const auto slash = rest.find('/');
    target.bucket = rest.substr(0, slash);
    rest = slash == std::string_view::npos ? std::string_view() : rest.substr(slash + 1);
  }
  target.key = rest;
  // SDKs with an endpoint of their own write /BUCKET//?session; no key of a directory bucket begins with a slash.
  if (target.key == "/" && target.bucket.ends_with("--x-s3")) target.key.clear();

  auto query = decode_query(request.query());
  if (!query) return invalid_uri(request.target);
  target.query = *std::move(query);
  return target;
}

S3Result<S3Operation> s3_operation(const S3Target& target, std::string_view method, bool directories) {
  if (!is_one_of(method, {"GET", "PUT", "POST", "HEAD", "DELETE"})) return method_not_allowed(method, "SERVICE");
  if (!target.key.empty()) return not_implemented("Object operations are not implemented here: use the mount.");
  const bool encryption = target.has_query("encryption");
  if (target.bucket.empty()) {
    if (encryption || method != "GET") return method_not_allowed(method, "SERVICE");
    if (directories) {
      if (auto error = refuse_query(target, {"max-directory-buckets", "continuation-token"})) return *error;
      return S3Operation::kListDirectoryBuckets;
    }
    if (auto error = refuse_query(target, {"prefix", "max-buckets", "continuation-token", "bucket-region"}))
      return *error;
    return S3Operation::kListBuckets;
  }
  if (auto error = refuse_query(target, {"encryption", "session", "policy"})) return *error;
  if (encryption)
    return by_method({{"PUT", S3Operation::kPutBucketEncryption},
                      {"GET", S3Operation::kGetBucketEncryption},
                      {"DELETE", S3Operation::kDeleteBucketEncryption}},
                     method, "ENCRYPTION");
  if (target.has_query("policy"))
    return by_method({{"PUT", S3Operation::kPutBucketPolicy},
                      {"GET", S3Operation::kGetBucketPolicy},
                      {"DELETE", S3Operation::kDeleteBucketPolicy}},
                     method, "BUCKETPOLICY");
  if (target.has_query("session")) return by_method({{"GET", S3Operation::kCreateSession}}, method, "SESSION");
  if (method == "GET") return not_implemented("Listing objects is not implemented here: use the mount.");
  return by_method(
      {{"PUT", S3Operation::kCreateBucket}, {"HEAD", S3Operation::kHeadBucket}, {"DELETE", S3Operation::kDeleteBucket}},
      method, "BUCKET");
}

}  // namespace coffer
