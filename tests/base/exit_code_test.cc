#include "base/exit_code.h"

#include <gtest/gtest.h>

namespace coffer {
namespace {

TEST(ExitCode, SaysWhatScriptsAskFor) {
  EXPECT_EQ(exit_code(Code::kInUse), kExitFailed);
  EXPECT_EQ(exit_code(Code::kIo), kExitFailed);
  EXPECT_EQ(exit_code(Code::kDamaged), kExitDamaged);
  for (Code code : {Code::kWrongUnlock, Code::kNoUnlock, Code::kKeyDisabled, Code::kKeyPendingDeletion,
                    Code::kKeyDenied, Code::kKeyMissing})
    EXPECT_EQ(exit_code(code), kExitKey) << code_name(code);
  for (Code code : {Code::kNoStore, Code::kNoSuchBucket, Code::kNotFound})
    EXPECT_EQ(exit_code(code), kExitMissing) << code_name(code);
}

TEST(ExitCode, NoFailureIsDone) {
  for (int i = 0; i <= static_cast<int>(Code::kLimit); ++i) EXPECT_NE(exit_code(static_cast<Code>(i)), kExitDone);
}

}  // namespace
}  // namespace coffer
