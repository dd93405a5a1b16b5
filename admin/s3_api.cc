#include "admin/s3_api.h"

#include <algorithm>
#include <charconv>

#include "admin/body_digests.h"
#include "admin/s3_xml.h"
#include "base/encoding.h"
#include "base/limits.h"

namespace coffer {
namespace {

HttpResponse xml_response(std::string body) { return {200, {{"Content-Type", "application/xml"}}, std::move(body)}; }

// Headers of CreateBucket that would make another bucket than a plain one.
std::optional<S3Error> check_create_headers(const HttpRequest& request) {
  for (const auto& header : request.headers) {
    const auto name = lower_case(header.name);
    const bool plain_acl = name == "x-amz-acl" && header.value == "private";
    const bool no_lock = name == "x-amz-bucket-object-lock-enabled" && equal_ignoring_case(header.value, "false");
    const bool owned = name == "x-amz-object-ownership" && header.value == "BucketOwnerEnforced";
    if (plain_acl || no_lock || owned) continue;
    if (name != "x-amz-acl" && name != "x-amz-bucket-object-lock-enabled" && name != "x-amz-object-ownership" &&
        !name.starts_with("x-amz-grant-"))
      continue;
    auto error = not_implemented("A header you provided implies functionality that is not implemented");
    error.extras = {{"Header", header.name}};
    return error;
  }
  return std::nullopt;
}

std::optional<S3Error> check_location(const std::optional<std::string>& asked, const Region& region) {
  if (!asked || *asked == region.str()) return std::nullopt;
  return S3Error{400,
                 "IllegalLocationConstraintException",
                 "The " + *asked +
                     " location constraint is incompatible for the region specific endpoint this request was sent to.",
                 {}};
}

bool has_length(const HttpRequest& request) {
  return request.header("content-length") || request.header("transfer-encoding");
}

// Directory buckets are recognised by their name alone (DIR-20).
S3Result<BucketName> parse_bucket(std::string_view text) {
  auto name = BucketName::parse(text);
  if (!name.ok()) return invalid_bucket_name(text);
  return *std::move(name);
}

// The body of CreateBucket and the name must mean the same kind of bucket, and the same zone (DIR-02, 20).
std::optional<S3Error> check_zone(const BucketName& bucket, const NewBucket& asked) {
  if (!bucket.is_directory_bucket())
    return asked.zone ? std::optional(invalid_bucket_name(bucket.str())) : std::nullopt;
  if (!asked.zone) return malformed_xml();
  if (*asked.zone == bucket.zone()) return std::nullopt;
  return invalid_request("The bucket's name is of zone " + std::string(bucket.zone()) + ", its location is " +
                         *asked.zone + ".");
}

std::optional<std::size_t> parse_page_size(const S3Target& target) {
  if (!target.has_query("max-buckets")) return kBucketsPerPageMax;
  const auto text = target.query_value("max-buckets");
  std::size_t size = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), size);
  if (error != std::errc() || end != text.data() + text.size() || size < 1 || size > kBucketsPerPageMax)
    return std::nullopt;
  return size;
}

}  // namespace

S3Result<HttpResponse> S3Api::serve(S3Operation operation, const S3Target& target, const HttpRequest& request,
                                    const Caller& asking) {
  const auto& caller = asking.key.principal;
  if (auto error = check_directory_request(operation, target, request, asking.session, realm_.region)) return *error;
  if (operation == S3Operation::kPutBucketEncryption && !has_length(request))
    return S3Error{411, "MissingContentLength", "You must provide the Content-Length HTTP header.", {}};
  const bool needs_body = operation == S3Operation::kPutBucketEncryption || operation == S3Operation::kPutBucketPolicy;
  if (auto error = check_body_digests(request, needs_body ? EmptyBody::kRefused : EmptyBody::kAllowed)) return *error;
  const bool list = operation == S3Operation::kListBuckets || operation == S3Operation::kListDirectoryBuckets;
  if (list || operation == S3Operation::kCreateBucket)
    if (auto error = check_access(operation, target.bucket, request, caller)) return *error;
  if (operation == S3Operation::kListBuckets) return list_buckets(target, caller);
  if (operation == S3Operation::kListDirectoryBuckets) return list_directory_buckets(target, caller);
  if (operation == S3Operation::kCreateBucket) return create_bucket(target, request, caller);

  const auto found = existing_bucket(target, request, caller);
  if (const auto* error = std::get_if<S3Error>(&found)) return *error;
  const auto& info = std::get<BucketInfo>(found);
  if (auto error = check_access(operation, info, request, caller)) return *error;
  const auto& bucket = info.name;
  switch (operation) {
    case S3Operation::kHeadBucket: return head_bucket(bucket);
    case S3Operation::kDeleteBucket: return delete_bucket(bucket);
    case S3Operation::kPutBucketEncryption:
      return bucket.is_directory_bucket() ? put_directory_encryption(bucket, request.body, caller)
                                          : put_encryption(bucket, request.body);
    case S3Operation::kGetBucketEncryption: return get_encryption(bucket);
    case S3Operation::kDeleteBucketEncryption: return delete_encryption(bucket);
    case S3Operation::kCreateSession: return create_session(bucket, request, asking);
    case S3Operation::kPutBucketPolicy: return put_policy(info, request.body);
    case S3Operation::kGetBucketPolicy: return get_policy(info);
    case S3Operation::kDeleteBucketPolicy: return delete_policy(info);
    case S3Operation::kListBuckets:
    case S3Operation::kListDirectoryBuckets:
    case S3Operation::kCreateBucket: break;
  }
  return internal_error();
}

S3Result<BucketInfo> S3Api::existing_bucket(const S3Target& target, const HttpRequest& request,
                                            const Principal& caller) {
  const auto expected_owner = request.header("x-amz-expected-bucket-owner");
  if (expected_owner && !AccountId::parse(*expected_owner).ok())
    return S3Error{400,
                   "InvalidBucketOwnerAWSAccountID",
                   "The value of the expected bucket owner parameter must be an AWS Account ID... [" +
                       std::string(*expected_owner) + "]",
                   {}};
  const auto name = parse_bucket(target.bucket);
  if (const auto* error = std::get_if<S3Error>(&name)) return *error;
  const auto found = buckets_.find_bucket(std::get<BucketName>(name));
  if (!found.ok()) return to_s3(found.error(), target.bucket);
  if (expected_owner && *expected_owner != found->owner.str()) return access_denied();
  if (found->name.is_directory_bucket() && found->owner != caller.account) return access_denied();  // SEED-35, 36
  return *found;
}

S3Result<HttpResponse> S3Api::list_buckets(const S3Target& target, const Principal& caller) {
  const auto page_size = parse_page_size(target);
  if (!page_size)
    return invalid_argument("Argument max-buckets must be an integer between 1 and 10000.", "max-buckets",
                            target.query_value("max-buckets"));
  const auto after = unbase64(target.query_value("continuation-token"));
  if (!after)
    return invalid_argument("The continuation token provided is incorrect", "continuation-token",
                            target.query_value("continuation-token"));
  auto all = buckets_.list_buckets();
  if (!all.ok()) return to_s3(all.error(), "");

  BucketPage page;
  page.prefix = target.query_value("prefix");
  const auto asked_region = target.query_value("bucket-region");
  const bool right_region = asked_region.empty() || asked_region == realm_.region.str();
  for (auto& bucket : *all) {
    const auto& name = bucket.name.str();
    if (bucket.name.is_directory_bucket()) continue;
    if (!right_region || bucket.owner != caller.account || name <= as_text(*after) || !name.starts_with(page.prefix))
      continue;
    if (page.buckets.size() == *page_size) {
      page.continuation_token = base64(as_bytes(page.buckets.back().name.str()));
      break;
    }
    page.buckets.push_back(std::move(bucket));
  }
  return xml_response(list_all_my_buckets_result(caller.account, page));
}

S3Result<HttpResponse> S3Api::create_bucket(const S3Target& target, const HttpRequest& request,
                                            const Principal& caller) {
  const auto name = parse_bucket(target.bucket);
  if (const auto* error = std::get_if<S3Error>(&name)) return *error;
  const auto& bucket = std::get<BucketName>(name);
  if (auto error = check_create_headers(request)) return *error;
  NewBucket asked;
  if (!request.body.empty()) {
    const auto parsed = parse_create_bucket_configuration(request.body);
    if (const auto* error = std::get_if<S3Error>(&parsed)) return *error;
    asked = std::get<NewBucket>(parsed);
  }
  if (auto error = check_zone(bucket, asked)) return *error;
  if (auto error = check_location(asked.region, realm_.region)) return *error;
  const auto created = buckets_.create_bucket(bucket, caller);
  if (!created.ok() && created.code() == Code::kExists) return answer_existing(bucket, caller);
  if (!created.ok()) return to_s3(created.error(), bucket.str());
  return HttpResponse{200, {{"Location", "/" + bucket.str()}}, ""};
}

// Making a bucket again that is one's own is done already in us-east-1, and a conflict elsewhere (S3 API reference,
// CreateBucket).
S3Result<HttpResponse> S3Api::answer_existing(const BucketName& bucket, const Principal& caller) {
  const auto found = buckets_.find_bucket(bucket);
  if (!found.ok()) return to_s3(found.error(), bucket.str());
  if (found->owner != caller.account) return to_s3({Code::kExists, ""}, bucket.str());
  if (realm_.region.str() == "us-east-1" && !bucket.is_directory_bucket()) return HttpResponse{200, {{"Location", "/" + bucket.str()}}, ""};
  return S3Error{409,
                 "BucketAlreadyOwnedByYou",
                 "Your previous request to create the named bucket succeeded and you already own it.",
                 {{"BucketName", bucket.str()}}};
}

S3Result<HttpResponse> S3Api::head_bucket(const BucketName& bucket) {
  HttpResponse answer{200, {{"x-amz-bucket-region", realm_.region.str()}, {"Content-Type", "application/xml"}}, ""};
  if (bucket.is_directory_bucket())
    answer.headers.push_back({"x-amz-bucket-location-name", std::string(bucket.zone())});
  return answer;
}

S3Result<HttpResponse> S3Api::delete_bucket(const BucketName& bucket) {
  const auto deleted = buckets_.delete_bucket(bucket);
  if (!deleted.ok()) return to_s3(deleted.error(), bucket.str());
  return HttpResponse{204, {}, ""};
}

S3Result<HttpResponse> S3Api::put_encryption(const BucketName& bucket, std::string_view body) {
  const auto rule = parse_encryption_configuration(body);
  if (const auto* error = std::get_if<S3Error>(&rule)) return *error;
  const auto put = buckets_.put_rule(bucket, std::get<SseRule>(rule));
  if (!put.ok()) return to_s3(put.error(), bucket.str());
  return HttpResponse{200, {}, ""};
}

S3Result<HttpResponse> S3Api::get_encryption(const BucketName& bucket) {
  const auto rule = buckets_.rule(bucket);
  if (!rule.ok()) return to_s3(rule.error(), bucket.str());
  return xml_response(encryption_configuration(*rule));
}

S3Result<HttpResponse> S3Api::delete_encryption(const BucketName& bucket) {
  const auto reset = buckets_.reset_rule(bucket);
  if (!reset.ok()) return to_s3(reset.error(), bucket.str());
  return HttpResponse{204, {}, ""};
}

}  // namespace coffer
