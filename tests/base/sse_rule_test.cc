#include "base/sse_rule.h"

#include <gtest/gtest.h>

#include "base/kms_key.h"

namespace coffer {
namespace {

TEST(SseRule, ABucketWithoutConfigurationIsAes256) {
  EXPECT_EQ(SseRule{}.algorithm, SseAlgorithm::kAes256);
  EXPECT_FALSE(SseRule{}.uses_bucket_key());
}

TEST(SseRule, NamesAreThoseOfS3AndNoOthers) {
  for (auto algorithm : {SseAlgorithm::kAes256, SseAlgorithm::kAwsKms, SseAlgorithm::kAwsKmsDsse})
    EXPECT_EQ(parse_sse(sse_name(algorithm)), algorithm);
  EXPECT_EQ(sse_name(SseAlgorithm::kAes256), "AES256");
  EXPECT_EQ(sse_name(SseAlgorithm::kAwsKms), "aws:kms");
  EXPECT_EQ(sse_name(SseAlgorithm::kAwsKmsDsse), "aws:kms:dsse");
  for (const char* bad : {"", "aes256", "AES-256", "AWS:KMS", "aws:kms:", "aws:kms:dsse "})
    EXPECT_EQ(parse_sse(bad), std::nullopt) << bad;
}

TEST(SseRule, ABucketKeyServesSseKmsAlone) {
  for (auto algorithm : {SseAlgorithm::kAes256, SseAlgorithm::kAwsKms, SseAlgorithm::kAwsKmsDsse}) {
    SseRule rule;
    rule.algorithm = algorithm;
    rule.bucket_key_enabled = true;
    EXPECT_EQ(rule.uses_bucket_key(), algorithm == SseAlgorithm::kAwsKms);
  }
}

TEST(KeyState, HasKmssNames) {
  EXPECT_EQ(key_state_name(KeyState::kEnabled), "Enabled");
  EXPECT_EQ(key_state_name(KeyState::kDisabled), "Disabled");
  EXPECT_EQ(key_state_name(KeyState::kPendingDeletion), "PendingDeletion");
}

}  // namespace
}  // namespace coffer
