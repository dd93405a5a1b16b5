#include <algorithm>
#include <charconv>

#include "admin/s3_api.h"
#include "admin/s3_xml.h"
#include "base/encoding.h"
#include "base/limits.h"

// What directory buckets have of their own (S3 User Guide, "Directory buckets"; S3.md rows DIR).
namespace coffer {
namespace {

constexpr std::string_view kSse = "x-amz-server-side-encryption";
constexpr std::string_view kSseKey = "x-amz-server-side-encryption-aws-kms-key-id";
constexpr std::string_view kSseContext = "x-amz-server-side-encryption-context";
constexpr std::string_view kSseBucketKey = "x-amz-server-side-encryption-bucket-key-enabled";

S3Error unsupported_header(std::string_view name) {
  auto error = not_implemented("A header you provided implies functionality that is not implemented");
  error.extras = {{"Header", std::string(name)}};
  return error;
}

bool changes_something(S3Operation operation) {
  switch (operation) {
    case S3Operation::kCreateBucket:
    case S3Operation::kDeleteBucket:
    case S3Operation::kPutBucketEncryption:
    case S3Operation::kDeleteBucketEncryption:
    case S3Operation::kPutBucketPolicy:
    case S3Operation::kDeleteBucketPolicy: return true;
    case S3Operation::kListBuckets:
    case S3Operation::kListDirectoryBuckets:
    case S3Operation::kHeadBucket:
    case S3Operation::kGetBucketEncryption:
    case S3Operation::kGetBucketPolicy:
    case S3Operation::kCreateSession: return false;
  }
  return true;
}

// The key's id, where `key` is an ARN.
std::string_view id_of(std::string_view key) {
  const auto slash = key.rfind(":key/");
  return slash == std::string_view::npos ? key : key.substr(slash + 5);
}

// What a request says of encryption is what its session has, or the one that it asks for (DIR-13, 15, 16).
std::optional<S3Error> check_encryption_headers(const HttpRequest& request, const SessionTerms& session,
                                                const std::string& bucket_arn) {
  const auto sse = request.header(kSse), key = request.header(kSseKey), context = request.header(kSseContext),
             bucket_key = request.header(kSseBucketKey);
  if (sse && *sse != session.sse)
    return invalid_request("A session's encryption is the default of its bucket: " + session.sse);
  if (key && (session.kms_key.empty() || id_of(*key) != id_of(session.kms_key)))
    return invalid_argument("The key must be the customer managed key of the bucket's default, by its id or ARN.",
                            std::string(kSseKey), std::string(*key));
  if (bucket_key && equal_ignoring_case(*bucket_key, "false"))
    return invalid_request("S3 Bucket Keys are always enabled in directory buckets and cannot be disabled.");
  if (context && *context != base64(as_bytes("{\"aws:s3:arn\":\"" + bucket_arn + "\"}")))
    return invalid_argument("The encryption context of a directory bucket is its ARN, and nothing else.",
                            std::string(kSseContext), std::string(*context));
  return std::nullopt;
}

std::optional<S3Error> check_session_use(S3Operation operation, const S3Target& target, const HttpRequest& request,
                                         const Session& session, const Region& region) {
  const auto& terms = session.terms;
  if (target.bucket != terms.bucket || operation == S3Operation::kCreateSession) return access_denied();
  if (terms.read_only && changes_something(operation)) return access_denied();
  const auto name = BucketName::parse(terms.bucket);
  if (!name.ok()) return access_denied();
  return check_encryption_headers(request, terms, bucket_arn({session.key.principal.account, region}, *name));
}

}  // namespace

std::optional<S3Error> check_directory_request(S3Operation operation, const S3Target& target, const HttpRequest& request,
                                               const Session* session, const Region& region) {
  const auto name = BucketName::parse(target.bucket);
  const bool directory = name.ok() && name->is_directory_bucket();
  if (session != nullptr)
    if (auto error = check_session_use(operation, target, request, *session, region)) return error;
  if (!directory) {
    if (operation == S3Operation::kCreateSession)
      return invalid_request("CreateSession is for directory buckets alone.");
    if (!target.bucket.empty() && (target.host == S3Target::Host::kZone || target.host == S3Target::Host::kControl))
      return invalid_request("This endpoint serves directory buckets alone.");
    return std::nullopt;
  }
  if (request.header("content-md5")) return not_implemented("This bucket does not support Content Md5 header.");
  if (!is_control_operation(operation)) return std::nullopt;
  if (request.header("x-amz-expected-bucket-owner")) return unsupported_header("x-amz-expected-bucket-owner");
  if (target.bucket_in_host || target.host == S3Target::Host::kZone)
    return invalid_request(
        "This operation of a directory bucket is served at the Regional endpoint, path-style: "
        "https://s3express-control.region-code.amazonaws.com/bucket-name");
  return std::nullopt;
}

S3Result<HttpResponse> S3Api::list_directory_buckets(const S3Target& target, const Principal& caller) {
  std::size_t page_size = kDirectoryBucketsPerPageMax;
  if (target.has_query("max-directory-buckets")) {
    const auto text = target.query_value("max-directory-buckets");
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), page_size);
    if (error != std::errc() || end != text.data() + text.size() || page_size > kDirectoryBucketsPerPageMax)
      return invalid_argument("Argument max-directory-buckets must be an integer between 0 and 1000.",
                              "max-directory-buckets", text);
    if (page_size == 0) page_size = kDirectoryBucketsPerPageMax;
  }
  const auto after = unbase64(target.query_value("continuation-token"));
  if (!after)
    return invalid_argument("The continuation token provided is incorrect", "continuation-token",
                            target.query_value("continuation-token"));
  auto all = buckets_.list_buckets();
  if (!all.ok()) return to_s3(all.error(), "");
  BucketPage page;
  for (auto& bucket : *all) {
    if (!bucket.name.is_directory_bucket() || bucket.owner != caller.account || bucket.name.str() <= as_text(*after))
      continue;
    if (page.buckets.size() == page_size) {
      page.continuation_token = base64(as_bytes(page.buckets.back().name.str()));
      break;
    }
    page.buckets.push_back(std::move(bucket));
  }
  return HttpResponse{200, {{"Content-Type", "application/xml"}}, list_directory_buckets_result(page)};
}

S3Result<HttpResponse> S3Api::put_directory_encryption(const BucketName& bucket, std::string_view body,
                                                       const Principal& caller) {
  const auto rule = parse_directory_encryption_configuration(body);
  if (const auto* error = std::get_if<S3Error>(&rule)) return *error;
  const auto put = buckets_.put_directory_rule(bucket, std::get<SseRule>(rule), caller);
  if (!put.ok()) return to_s3(put.error(), bucket.str());
  return HttpResponse{200, {}, ""};
}

// What a session may say of encryption is what the bucket's default says (DIR-12, 15, 16).
std::optional<S3Error> S3Api::check_session_encryption(const BucketName& bucket, const HttpRequest& request,
                                                       SessionTerms& session) {
  const auto rule = buckets_.rule(bucket);
  if (!rule.ok()) return to_s3(rule.error(), bucket.str());
  const auto found = buckets_.find_bucket(bucket);
  if (!found.ok()) return to_s3(found.error(), bucket.str());
  session.sse = sse_name(rule->algorithm);
  session.kms_key = rule->kms_key.value_or("");

  if (auto error = check_encryption_headers(request, session, arn_of(bucket, found->owner))) return error;
  const auto sse = request.header(kSse), key = request.header(kSseKey);
  if (key && !sse)
    return invalid_argument("A key needs aws:kms beside it.", std::string(kSseKey), std::string(*key));
  if (rule->algorithm == SseAlgorithm::kAwsKms && sse && !key)
    return invalid_argument("aws:kms needs the id or ARN of the bucket's customer managed key.", std::string(kSseKey), "");
  return std::nullopt;
}

S3Result<HttpResponse> S3Api::create_session(const BucketName& bucket, const HttpRequest& request,
                                             const Caller& caller) {
  const auto mode = request.header("x-amz-create-session-mode").value_or("ReadWrite");
  if (mode != "ReadWrite" && mode != "ReadOnly")
    return invalid_argument("A session is ReadWrite or ReadOnly.", "x-amz-create-session-mode", std::string(mode));
  SessionTerms terms;
  terms.bucket = bucket.str();
  terms.read_only = mode == "ReadOnly";
  terms.expires = clock_.wall_ns() / 1'000'000'000 + kSessionSeconds;
  if (auto error = check_session_encryption(bucket, request, terms)) return *error;

  HttpResponse answer{200, {{"Content-Type", "application/xml"}, {std::string(kSse), terms.sse}}, ""};
  if (!terms.kms_key.empty()) {
    answer.headers.push_back({std::string(kSseKey), terms.kms_key});
    answer.headers.push_back({std::string(kSseBucketKey), "true"});
  }
  const auto expires = terms.expires;
  auto made = make_session(std::move(terms), caller.key);
  answer.body = create_session_result({made.key.id, std::move(made.token), std::move(made.key.secret), expires});
  return answer;
}

}  // namespace coffer
