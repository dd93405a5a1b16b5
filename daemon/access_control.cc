#include "daemon/access_control.h"

namespace coffer {
namespace {

Status to_status(Verdict verdict, const PolicyRequest& request) {
  if (verdict == Verdict::kAllowed) return {};
  return Error{Code::kAccessDenied, refusal(verdict, request, Resource::kInQuotes)};
}

}  // namespace

PolicyContext StoreAccessControl::context_of(const Request& request, const AccountId& resource_account) const {
  auto context = request.context;
  add_caller(context, request.caller, clock_.wall_ns());
  add_request(context, realm_.region, resource_account, CalledBy::kCaller, request.user_agent);
  return context;
}

Status StoreAccessControl::decide_by_identity(const Request& request, const AccountId& resource_account) const {
  const auto context = context_of(request, resource_account);
  const PolicyRequest asked{request.caller, request.action, request.resource, context};
  return to_status(decide(asked, users_.policies_of(request.caller)), asked);
}

Status StoreAccessControl::authorize(const Request& request) {
  return decide_by_identity(request, request.caller.account);
}

Status StoreAccessControl::authorize_bucket(const Request& request, const BucketInfo& bucket) {
  const auto context = context_of(request, bucket.owner);
  const PolicyRequest asked{request.caller, request.action, request.resource, context};
  COFFER_ASSIGN(const auto text, store_.bucket_policy(bucket.name));
  std::optional<Policy> policy;
  if (text) {
    auto parsed = parse_policy(*text, PolicyKind::kBucket, bucket_arn({bucket.owner, realm_.region}, bucket.name));
    // One that this version cannot read may say Deny: nobody gets in by it.
    if (!parsed.ok()) return to_status(Verdict::kDeniedByResource, asked);
    policy = *std::move(parsed);
  }
  return to_status(decide_bucket(asked, bucket.owner, users_.policies_of(request.caller), policy ? &*policy : nullptr,
                                 bucket.name.is_directory_bucket()),
                   asked);
}

Status StoreAccessControl::authorize_store(const Request& request) {
  if (request.caller.account == realm_.account) return decide_by_identity(request, realm_.account);
  const PolicyContext none;
  return to_status(Verdict::kNotByResource, {request.caller, request.action, request.resource, none});
}

Status StoreAccessControl::authorize_account(const Request& request, const AccountId& account) {
  if (request.caller == Principal::root_of(realm_.account)) return {};
  if (request.caller.account == account) return decide_by_identity(request, account);
  const PolicyContext none;
  return to_status(Verdict::kNotByResource, {request.caller, request.action, request.resource, none});
}

Result<std::optional<std::string>> StoreAccessControl::bucket_policy(const BucketName& bucket) {
  return store_.bucket_policy(bucket);
}

Status StoreAccessControl::put_bucket_policy(const BucketName& bucket, std::string_view text) {
  return store_.put_bucket_policy(bucket, text);
}

Status StoreAccessControl::delete_bucket_policy(const BucketName& bucket) {
  return store_.put_bucket_policy(bucket, {});
}

std::shared_ptr<const AccessKey> StoreAccessControl::find(std::string_view access_key_id) const {
  if (auto key = owner_.find(access_key_id)) return key;
  const auto user = users_.find_key(access_key_id);
  if (!user) return nullptr;
  return std::make_shared<const AccessKey>(
      AccessKey{std::string(access_key_id), SecretBytes(user->secret->view()), user->principal});
}

}  // namespace coffer
