#include "cli/wire_error.h"

#include <gtest/gtest.h>

#include "base/exit_code.h"

namespace coffer {
namespace {

std::string s3_body(const std::string& code, const std::string& message) {
  return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>" + code + "</Code><Message>" + message +
         "</Message></Error>";
}

int s3_exit(int status, const std::string& code) { return exit_code(s3_refusal(status, s3_body(code, "m")).code); }

int kms_exit(const std::string& type, const std::string& message) {
  return exit_code(json_refusal(400, R"({"__type":")" + type + R"(","message":")" + message + R"("})").code);
}

TEST(WireError, WhatIsNotThereIsFive) {
  EXPECT_EQ(s3_exit(404, "NoSuchBucket"), 5);
  EXPECT_EQ(s3_exit(404, "SomethingNew"), 5);
  EXPECT_EQ(s3_exit(400, "KMS.NotFoundException"), 5);
  EXPECT_EQ(kms_exit("NotFoundException", "Invalid keyId 'x'"), 5);
}

TEST(WireError, WhatIsDeniedOrWithoutItsKeyIsFour) {
  EXPECT_EQ(s3_exit(403, "AccessDenied"), 4);
  EXPECT_EQ(s3_exit(403, "SignatureDoesNotMatch"), 4);
  EXPECT_EQ(s3_exit(403, "SomethingNew"), 4);
  EXPECT_EQ(s3_exit(400, "KMS.DisabledException"), 4);
  EXPECT_EQ(kms_exit("AccessDeniedException", ""), 4);
  EXPECT_EQ(kms_exit("DisabledException", "arn is disabled."), 4);
  EXPECT_EQ(kms_exit("KMSInvalidStateException", "arn is pending deletion."), 4);
  EXPECT_EQ(kms_exit("KMSInvalidStateException", "arn is pending import."), 4);
}

TEST(WireError, AnyOtherRefusalIsOne) {
  EXPECT_EQ(s3_exit(409, "BucketNotEmpty"), 1);
  EXPECT_EQ(s3_exit(409, "BucketAlreadyOwnedByYou"), 1);
  EXPECT_EQ(s3_exit(400, "MalformedXML"), 1);
  EXPECT_EQ(s3_exit(400, "InvalidBucketName"), 1);
  EXPECT_EQ(s3_exit(500, "InternalError"), 1);
  EXPECT_EQ(kms_exit("KMSInvalidStateException", "arn is not pending deletion."), 1);
  EXPECT_EQ(kms_exit("ValidationException", "m"), 1);
  EXPECT_EQ(kms_exit("AlreadyExistsException", "m"), 1);
}

TEST(WireError, TheMessageIsOneLineWithTheNameTheReasonAndTheNextStep) {
  const auto error = s3_refusal(404, s3_body("NoSuchBucket", "The specified bucket\ndoes not exist."));
  EXPECT_EQ(error.message,
            "NoSuchBucket: The specified bucket does not exist: `coffer bucket list` names the buckets there are");
}

TEST(WireError, AnswersThatCannotBeReadStillHaveAStatus) {
  EXPECT_EQ(exit_code(s3_refusal(403, "").code), 4);
  EXPECT_EQ(exit_code(s3_refusal(404, "not XML").code), 5);
  EXPECT_EQ(exit_code(json_refusal(500, "{").code), 1);
  EXPECT_EQ(json_refusal(400, R"({"__type":"ns#DisabledException"})").code, Code::kKeyDisabled);
  EXPECT_EQ(json_refusal(403, s3_body("AccessDenied", "m")).code, Code::kAccessDenied);
}

}  // namespace
}  // namespace coffer
