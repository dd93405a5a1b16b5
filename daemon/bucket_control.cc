#include "daemon/bucket_control.h"

#include <algorithm>

namespace coffer {
namespace {

constexpr std::uint32_t kBucketMode = 0755;

BucketInfo to_info(const Bucket& bucket) { return {bucket.name, bucket.owner, bucket.created_ns}; }

}  // namespace

Status StoreBucketControl::create_bucket(const BucketName& bucket, const Principal&) {
  NewInode attributes;
  attributes.mode = kBucketMode;
  attributes.uid = uid_;
  attributes.gid = gid_;
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
  return store_.put_rule(bucket, rule);
}

Status StoreBucketControl::reset_rule(const BucketName& bucket) { return store_.put_rule(bucket, SseRule()); }

}  // namespace coffer
