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

// BUCKET of BUCKET.s3.amazonaws.com, BUCKET.s3.REGION.amazonaws.com (also with a hyphen), BUCKET.s3.localhost and
// BUCKET.localhost; any other host is an endpoint, and the bucket stands in the path.
std::string bucket_in_host(std::string_view host_header) {
  auto lowered = lower_case(trim(host_header));
  std::string_view host = lowered;
  if (const auto port = host.rfind(':'); port != std::string_view::npos && host.find(']') == std::string_view::npos)
    host = host.substr(0, port);
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
    case S3Operation::kCreateBucket: return "CreateBucket";
    case S3Operation::kHeadBucket: return "HeadBucket";
    case S3Operation::kDeleteBucket: return "DeleteBucket";
    case S3Operation::kPutBucketEncryption: return "PutBucketEncryption";
    case S3Operation::kGetBucketEncryption: return "GetBucketEncryption";
    case S3Operation::kDeleteBucketEncryption: return "DeleteBucketEncryption";
  }
  return "";
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
  target.bucket = bucket_in_host(request.header("host").value_or(""));
  std::string_view rest = std::string_view(*path).substr(1);
  if (target.bucket.empty()) {
    const auto slash = rest.find('/');
    target.bucket = rest.substr(0, slash);
    rest = slash == std::string_view::npos ? std::string_view() : rest.substr(slash + 1);
  }
  target.key = rest;

  auto query = decode_query(request.query());
  if (!query) return invalid_uri(request.target);
  target.query = *std::move(query);
  return target;
}

S3Result<S3Operation> s3_operation(const S3Target& target, std::string_view method) {
  if (!is_one_of(method, {"GET", "PUT", "POST", "HEAD", "DELETE"})) return method_not_allowed(method, "SERVICE");
  if (!target.key.empty()) return not_implemented("Object operations are not implemented here: use the mount.");
  const bool encryption = target.has_query("encryption");
  if (target.bucket.empty()) {
    if (encryption || method != "GET") return method_not_allowed(method, "SERVICE");
    if (auto error = refuse_query(target, {"prefix", "max-buckets", "continuation-token", "bucket-region"}))
      return *error;
    return S3Operation::kListBuckets;
  }
  if (auto error = refuse_query(target, {"encryption"})) return *error;
  if (encryption)
    return by_method({{"PUT", S3Operation::kPutBucketEncryption},
                      {"GET", S3Operation::kGetBucketEncryption},
                      {"DELETE", S3Operation::kDeleteBucketEncryption}},
                     method, "ENCRYPTION");
  if (method == "GET") return not_implemented("Listing objects is not implemented here: use the mount.");
  return by_method(
      {{"PUT", S3Operation::kCreateBucket}, {"HEAD", S3Operation::kHeadBucket}, {"DELETE", S3Operation::kDeleteBucket}},
      method, "BUCKET");
}

}  // namespace coffer
