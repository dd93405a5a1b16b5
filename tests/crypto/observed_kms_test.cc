#include "crypto/observed_kms.h"

#include <gtest/gtest.h>

#include "crypto/bucket_keys.h"
#include "tests/support/local_kms_fixture.h"

namespace coffer {
namespace {

class ObservedKmsTest : public LocalKmsTest {
 protected:
  ObservedKmsTest() : arn(make_key()), observed(*kms) {
    observed.observe([this](KmsUse use) { uses.push_back(std::move(use)); });
  }
  std::string arn;
  ObservedKms observed;
  std::vector<KmsUse> uses;
  EncryptionContext context{{"aws:s3:arn", "arn:aws:s3:::bucket/key"}};
};

TEST_F(ObservedKmsTest, EachCallIsToldOnceWithItsContextAndItsCaller) {
  const auto made = observed.generate_data_key(arn, context, owner);
  ASSERT_TRUE(made.ok());
  ASSERT_TRUE(observed.decrypt(made->blob, context, owner).ok());
  ASSERT_TRUE(observed.encrypt(arn, made->plaintext, context, owner).ok());
  ASSERT_EQ(uses.size(), 3U);
  EXPECT_EQ(uses[0].operation, "GenerateDataKey");
  EXPECT_EQ(uses[1].operation, "Decrypt");
  EXPECT_EQ(uses[2].operation, "Encrypt");
  EXPECT_EQ(uses[0].key_arn, arn);
  EXPECT_EQ(uses[1].key_arn, arn) << "the blob's";
  for (const auto& use : uses) {
    EXPECT_EQ(use.context, context);
    EXPECT_EQ(use.principal, owner);
    EXPECT_FALSE(use.error);
  }
}

TEST_F(ObservedKmsTest, ADecryptIsToldWithTheKeyOfItsBlobWhoseverThatIs) {  // AUD-02
  const auto theirs = kms->create_key({.description = "theirs"}, stranger.account)->arn;
  const auto made = kms->generate_data_key(theirs, context, stranger);
  ASSERT_TRUE(observed.decrypt(made->blob, context, stranger).ok());
  EXPECT_FALSE(observed.decrypt(made->blob, context, owner).ok());
  BucketKeys bucket_keys(*kms, suite, clock);
  ASSERT_EQ(uses.size(), 2U);
  for (const auto& use : uses) EXPECT_EQ(use.key_arn, theirs);
  EXPECT_EQ(bucket_keys.key_arn_of(bucket_keys.generate_data_key(theirs, context, stranger)->blob), theirs);
}

TEST_F(ObservedKmsTest, RefusalsAreTold) {
  ASSERT_TRUE(kms->disable(arn).ok());
  EXPECT_FALSE(observed.generate_data_key(arn, context, owner).ok());
  EXPECT_FALSE(observed.decrypt(Bytes(10), context, owner).ok());
  ASSERT_EQ(uses.size(), 2U);
  EXPECT_EQ(uses[0].error->code, Code::kKeyDisabled);
  EXPECT_EQ(uses[0].key, arn);
  EXPECT_EQ(uses[1].error->code, Code::kInvalidCiphertext);
}

TEST_F(ObservedKmsTest, ABucketKeyIsOneCallForManyObjects) {  // BK-08
  BucketKeys bucket_keys(observed, suite, clock);
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(bucket_keys.generate_data_key(arn, context, owner).ok());
  EXPECT_EQ(uses.size(), 1U);
}

}  // namespace
}  // namespace coffer
