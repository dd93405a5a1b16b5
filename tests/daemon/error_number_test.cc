#include "daemon/error_number.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace coffer {
namespace {

TEST(ErrorNumber, EveryCodeHasOne) {
  for (int code = 0; code <= static_cast<int>(Code::kLimit); ++code) {
    const int number = error_number(static_cast<Code>(code));
    EXPECT_GT(number, 0) << code_name(static_cast<Code>(code));
    EXPECT_LT(number, 1000) << "libfuse refuses it";
  }
}

TEST(ErrorNumber, KeysThatDoNotServeAreToldApart) {
  EXPECT_EQ(error_number(Code::kKeyMissing), ENOKEY);
  EXPECT_EQ(error_number(Code::kKeyDisabled), EKEYREVOKED);
  EXPECT_EQ(error_number(Code::kKeyPendingDeletion), EKEYREVOKED);
  EXPECT_EQ(error_number(Code::kKeyPendingImport), EKEYREVOKED);
  EXPECT_EQ(error_number(Code::kKeyDenied), EACCES);
  EXPECT_EQ(error_number(Code::kKmsAway), ETIMEDOUT);
  EXPECT_EQ(error_number(Code::kDamaged), EBADMSG);
}

TEST(ErrorNumber, SaysWhatToolsActUpon) {
  EXPECT_EQ(error_number(Code::kCrossesBuckets), EXDEV) << "mv copies then";
  EXPECT_EQ(error_number(Code::kNotPermitted), EPERM);
  EXPECT_EQ(error_number(Code::kInvalidBucketName), EINVAL);
  EXPECT_EQ(error_number(Code::kNoAttribute), ENODATA);
  EXPECT_EQ(error_number(Code::kUnsupported), EOPNOTSUPP);
  EXPECT_EQ(error_number(Code::kWrongKeyUsage), EOPNOTSUPP);
}

}  // namespace
}  // namespace coffer
