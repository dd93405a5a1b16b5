#include "base/result.h"

#include <gtest/gtest.h>

#include <memory>
#include <set>

namespace coffer {
namespace {

Result<std::unique_ptr<int>> number(bool works) {
  if (!works) return Error{Code::kIo, "refused"};
  return std::make_unique<int>(7);
}
Status check(bool works) {
  if (!works) return Error{Code::kBusy, "later"};
  return {};
}

Result<int> sum(bool first, bool second, bool checked) {
  COFFER_ASSIGN(const auto a, number(first));
  COFFER_ASSIGN(auto b, number(second));
  COFFER_TRY(check(checked));
  return *a + *b;
}

TEST(Result, HoldsAValueOrAnError) {
  EXPECT_TRUE(number(true).ok());
  EXPECT_EQ(**number(true), 7);
  EXPECT_EQ(number(false).code(), Code::kIo);
  EXPECT_EQ(number(false).error().message, "refused");
  EXPECT_TRUE(check(true).ok());
  EXPECT_EQ(check(false).code(), Code::kBusy);
}

TEST(Result, TheFirstErrorLeavesTheFunction) {
  EXPECT_EQ(*sum(true, true, true), 14);
  EXPECT_EQ(sum(false, true, false).code(), Code::kIo);
  EXPECT_EQ(sum(true, false, false).code(), Code::kIo);
  EXPECT_EQ(sum(true, true, false).code(), Code::kBusy);
}

TEST(Code, EachHasItsOwnName) {
  std::set<std::string_view> names;
  for (int i = 0; i <= static_cast<int>(Code::kLimit); ++i) names.insert(code_name(static_cast<Code>(i)));
  EXPECT_EQ(names.size(), static_cast<std::size_t>(Code::kLimit) + 1);
  EXPECT_FALSE(names.contains("unknown"));
}

}  // namespace
}  // namespace coffer
