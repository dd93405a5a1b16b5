#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/names.h"

namespace coffer {

// S3's three server-side encryptions, by the names S3 gives them (API reference, ServerSideEncryptionByDefault).
enum class SseAlgorithm { kAes256, kAwsKms, kAwsKmsDsse };

std::string_view sse_name(SseAlgorithm algorithm);  // AES256, aws:kms, aws:kms:dsse
std::optional<SseAlgorithm> parse_sse(std::string_view name);

enum class BlockedEncryption { kSseC, kNone };

// A bucket's default encryption, as PutBucketEncryption stored it. The default value is what a bucket without
// configuration has.
struct SseRule {
  SseAlgorithm algorithm = SseAlgorithm::kAes256;
  std::optional<std::string> kms_key;  // verbatim: id, ARN, alias or alias ARN, valid or not (SEED-12, PBE-13)
  bool bucket_key_enabled = false;     // stored always, has effect under aws:kms alone
  std::vector<BlockedEncryption> blocked;

  bool uses_bucket_key() const { return algorithm == SseAlgorithm::kAwsKms && bucket_key_enabled; }
  bool operator==(const SseRule&) const = default;

  // What a bucket has before anything was put, and after it was deleted. Bucket Keys are always on in directory buckets.
  static SseRule unconfigured(const BucketName& bucket) {
    SseRule rule;
    rule.bucket_key_enabled = bucket.is_directory_bucket();
    return rule;
  }
};

}  // namespace coffer
