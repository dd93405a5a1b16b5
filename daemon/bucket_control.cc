#include "daemon/bucket_control.h"

#include <algorithm>

#include "crypto/encryption_context.h"

namespace coffer {
namespace {

constexpr std::uint32_t kBucketMode = 0755;

BucketInfo to_info(const Bucket& bucket) { return {bucket.name, bucket.owner, bucket.created_ns}; }

}  // namespace

Status StoreBucketControl::create_bucket(const BucketName& bucket, const Principal& caller) {
  NewInode attributes;
  attributes.mode = kBucketMode;
  attributes.uid = uid_;
  attributes.gid = gid_;
  attributes.as = &caller;
  COFFER_TRY(store_.create_bucket(bucket, attributes));
  cache_.forget_name(kRootInode, bucket.str());
  return {};
}

Status StoreBucketControl::delete_bucket(const BucketName& bucket) {
  COFFER_TRY(store_.delete_bucket(bucket));
  cache_.forget_name(kRootInode, bucket.str());
  return {};
}

Result<BucketInfo> StoreBucketControl::find_bucket(const BucketName& bucket) {
  COFFER_ASSIGN(const Bucket found, store_.find_bucket(bucket));
  return to_info(found);
}

Result<std::vector<BucketInfo>> StoreBucketControl::list_buckets() {
  COFFER_ASSIGN(const std::vector<Bucket> found, store_.list_buckets());
  std::vector<BucketInfo> out;
  out.reserve(found.size());
  for (const Bucket& bucket : found) out.push_back(to_info(bucket));
  std::sort(out.begin(), out.end(), [](const BucketInfo& a, const BucketInfo& b) { return a.name < b.name; });
  return out;
}

Result<SseRule> StoreBucketControl::rule(const BucketName& bucket) {
  COFFER_ASSIGN(const Bucket found, store_.find_bucket(bucket));
  return found.rule;
}

Status StoreBucketControl::put_rule(const BucketName& bucket, const SseRule& rule) {
  COFFER_TRY(keyring_.serves(rule.algorithm));
  COFFER_TRY(store_.put_rule(bucket, rule));
  if (rule.kms_key && !rule.kms_key->starts_with("arn:"))
    log_(LogLevel::kWarning,
         "a bucket's default names its key by id or alias: whose key that is depends on who asks. Name its ARN");
  return {};
}

Status StoreBucketControl::put_directory_rule(const BucketName& bucket, const SseRule& rule, const Principal& caller) {
  if (!rule.kms_key) return store_.put_rule(bucket, rule);
  const auto key = kms_.find(*rule.kms_key, caller.account);
  if (!key.ok() && (key.code() != Code::kKeyMissing || !parse_kms_arn(*rule.kms_key))) return key.error();
  if (key.ok() && key->manager == KeyManager::kAws)
    return Error{Code::kInvalidArgument, "The AWS managed key (aws/s3) is not supported in directory buckets."};
  // An ARN that is not known here may be one of the KMS elsewhere, which then says so.
  const std::string key_arn = key.ok() ? key->arn : *rule.kms_key;
  COFFER_TRY(try_key(bucket, key_arn, caller));
  return store_.put_rule(bucket, rule, key_arn);
}

// Not before a key has wrapped and opened something for this very caller is it the bucket's for life. That is S3's call,
// with its context: policies that let the key serve S3 alone, or this bucket alone, are asked as they mean it.
Status StoreBucketControl::try_key(const BucketName& bucket, std::string_view key_arn, const Principal& caller) {
  COFFER_ASSIGN(const Bucket found, store_.find_bucket(bucket));
  const EncryptionContext context = {{std::string(kContextArn), bucket_arn({found.owner, region_}, bucket)}};
  COFFER_ASSIGN(const DataKey made, calls_.generate_data_key(key_arn, context, caller));
  COFFER_TRY(calls_.decrypt(made.blob, context, caller));
  return {};
}

Status StoreBucketControl::reset_rule(const BucketName& bucket) { return store_.reset_rule(bucket); }

}  // namespace coffer
