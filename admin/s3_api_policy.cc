#include <algorithm>

#include "admin/authorization.h"
#include "admin/s3_api.h"
#include "admin/s3_xml.h"
#include "base/limits.h"
#include "iam/policy.h"

// Who may do what with buckets, and buckets' policies (S3 User Guide, "Policies and permissions in Amazon S3").
namespace coffer {
namespace {

struct Actions {
  std::string_view plain, directory;  // of general purpose buckets, of directory buckets
};

Actions actions_of(S3Operation operation) {
  switch (operation) {
    case S3Operation::kListBuckets: return {"s3:ListAllMyBuckets", ""};
    case S3Operation::kListDirectoryBuckets: return {"", "s3express:ListAllMyDirectoryBuckets"};
    case S3Operation::kCreateBucket: return {"s3:CreateBucket", "s3express:CreateBucket"};
    case S3Operation::kHeadBucket: return {"s3:ListBucket", "s3express:CreateSession"};
    case S3Operation::kDeleteBucket: return {"s3:DeleteBucket", "s3express:DeleteBucket"};
    case S3Operation::kPutBucketEncryption:
    case S3Operation::kDeleteBucketEncryption:
      return {"s3:PutEncryptionConfiguration", "s3express:PutEncryptionConfiguration"};
    case S3Operation::kGetBucketEncryption:
      return {"s3:GetEncryptionConfiguration", "s3express:GetEncryptionConfiguration"};
    case S3Operation::kCreateSession: return {"", "s3express:CreateSession"};
    case S3Operation::kPutBucketPolicy: return {"s3:PutBucketPolicy", "s3express:PutBucketPolicy"};
    case S3Operation::kGetBucketPolicy: return {"s3:GetBucketPolicy", "s3express:GetBucketPolicy"};
    case S3Operation::kDeleteBucketPolicy: return {"s3:DeleteBucketPolicy", "s3express:DeleteBucketPolicy"};
  }
  return {};
}

bool is_about_policy(S3Operation operation) {
  return operation == S3Operation::kPutBucketPolicy || operation == S3Operation::kGetBucketPolicy ||
         operation == S3Operation::kDeleteBucketPolicy;
}

// Milliseconds since the request was signed. A clock ahead of ours signs nothing in the future.
std::optional<std::int64_t> signature_age_ms(const HttpRequest& request, std::int64_t now_ns) {
  const auto read = read_authorization(request, "s3");
  const auto* authorization = std::get_if<Authorization>(&read);
  if (authorization == nullptr) return std::nullopt;
  return std::max<std::int64_t>(0, now_ns / 1'000'000 - authorization->time * 1000);
}

PolicyContext context_of(const HttpRequest& request, const AccountId& resource_account, bool directory,
                         std::int64_t now_ns) {
  const std::string service = directory ? "s3express:" : "s3:";
  PolicyContext context;
  context.add(service + "ResourceAccount", resource_account.str());
  context.add(service + "signatureversion", "AWS4-HMAC-SHA256");
  context.add(service + "authType", request.header("authorization") ? "REST-HEADER" : "REST-QUERY-STRING");
  if (const auto age = signature_age_ms(request, now_ns)) context.add(service + "signatureAge", std::to_string(*age));
  for (const char* name : {"x-amz-acl", "x-amz-content-sha256", "x-amz-object-ownership"})
    if (const auto header = request.header(name)) context.add(service + name, std::string(*header));
  if (!directory) return context;
  if (const auto mode = request.header("x-amz-create-session-mode"))
    context.add("s3express:SessionMode", std::string(*mode));
  for (const char* name : {"x-amz-server-side-encryption", "x-amz-server-side-encryption-aws-kms-key-id"})
    if (const auto header = request.header(name)) context.add(service + name, std::string(*header));
  return context;
}

// Where CreateBucket makes it.
void add_location(PolicyContext& context, const BucketName& bucket, std::string_view body) {
  if (bucket.is_directory_bucket()) return context.add("s3express:LocationName", std::string(bucket.zone()));
  const auto asked = parse_create_bucket_configuration(body);
  if (const auto* read = std::get_if<NewBucket>(&asked); read != nullptr && read->region)
    context.add("s3:LocationConstraint", *read->region);
}

std::string_view user_agent(const HttpRequest& request) { return request.header("user-agent").value_or(""); }

std::optional<S3Error> to_answer(const Status& allowed, std::string_view bucket) {
  if (allowed.ok()) return std::nullopt;
  return to_s3(allowed.error(), bucket);
}

S3Error malformed_policy(std::string message) { return {400, "MalformedPolicy", std::move(message), {}}; }

}  // namespace

std::string S3Api::arn_of(const BucketName& bucket, const AccountId& owner) const {
  return bucket_arn({owner, realm_.region}, bucket);
}

std::optional<S3Error> S3Api::check_access(S3Operation operation, const BucketInfo& bucket, const HttpRequest& request,
                                           const Principal& caller) {
  // A policy that keeps everybody out must not keep out whoever may take it away again.
  const bool owner = caller == Principal::root_of(bucket.owner);
  if (owner && is_about_policy(operation)) return std::nullopt;
  const bool directory = bucket.name.is_directory_bucket();
  const auto actions = actions_of(operation);
  return to_answer(access_.authorize_bucket({directory ? actions.directory : actions.plain,
                                             arn_of(bucket.name, bucket.owner), caller, user_agent(request),
                                             context_of(request, bucket.owner, directory, clock_.wall_ns())},
                                            bucket),
                   bucket.name.str());
}

std::optional<S3Error> S3Api::check_access(S3Operation operation, std::string_view bucket, const HttpRequest& request,
                                           const Principal& caller) {
  const auto name = BucketName::parse(bucket);
  if (!bucket.empty() && !name.ok()) return std::nullopt;  // the operation says what is wrong with it
  const bool directory =
      operation == S3Operation::kListDirectoryBuckets || (name.ok() && name->is_directory_bucket());
  const auto actions = actions_of(operation);
  const auto resource = name.ok() ? arn_of(*name, caller.account) : std::string("*");
  auto context = context_of(request, caller.account, directory, clock_.wall_ns());
  if (operation == S3Operation::kCreateBucket && name.ok()) add_location(context, *name, request.body);
  return to_answer(access_.authorize({directory ? actions.directory : actions.plain, resource, caller,
                                      user_agent(request), std::move(context)}),
                   bucket);
}

S3Result<HttpResponse> S3Api::put_policy(const BucketInfo& bucket, std::string_view body) {
  const auto policy = parse_policy(body, PolicyKind::kBucket, arn_of(bucket.name, bucket.owner));
  if (!policy.ok()) return malformed_policy(policy.error().message);
  const auto put = policies_.put_bucket_policy(bucket.name, body);
  if (!put.ok()) return to_s3(put.error(), bucket.name.str());
  return HttpResponse{204, {}, ""};
}

S3Result<HttpResponse> S3Api::get_policy(const BucketInfo& bucket) {
  auto policy = policies_.bucket_policy(bucket.name);
  if (!policy.ok()) return to_s3(policy.error(), bucket.name.str());
  if (!*policy)
    return S3Error{404, "NoSuchBucketPolicy", "The bucket policy does not exist", {{"BucketName", bucket.name.str()}}};
  return HttpResponse{200, {{"Content-Type", "application/json"}}, **std::move(policy)};
}

S3Result<HttpResponse> S3Api::delete_policy(const BucketInfo& bucket) {
  const auto deleted = policies_.delete_bucket_policy(bucket.name);
  if (!deleted.ok()) return to_s3(deleted.error(), bucket.name.str());
  return HttpResponse{204, {}, ""};
}

}  // namespace coffer
