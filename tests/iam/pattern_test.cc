#include "iam/pattern.h"

#include <gtest/gtest.h>

#include <random>

namespace coffer {
namespace {

bool like(std::string_view pattern, std::string_view text) { return matches_pattern(compile_pattern(pattern), text); }
bool arn_like(std::string_view pattern, std::string_view arn) { return matches_arn(compile_pattern(pattern), arn); }

// What the greedy one is measured against: tries everything.
bool slowly(std::string_view pattern, std::string_view text) {
  if (pattern.empty()) return text.empty();
  if (pattern[0] == kMany) return slowly(pattern.substr(1), text) || (!text.empty() && slowly(pattern, text.substr(1)));
  return !text.empty() && (pattern[0] == kOne || pattern[0] == text[0]) && slowly(pattern.substr(1), text.substr(1));
}

TEST(Pattern, MatchesTheWholeText) {
  EXPECT_TRUE(like("", ""));
  EXPECT_FALSE(like("", "a"));
  EXPECT_TRUE(like("*", ""));
  EXPECT_TRUE(like("s3:Get*", "s3:GetObject"));
  EXPECT_FALSE(like("s3:Get*", "xs3:GetObject"));
  EXPECT_TRUE(like("a?c", "abc"));
  EXPECT_FALSE(like("a?c", "ac"));
  EXPECT_TRUE(like("*b*b*", "abcab"));
  EXPECT_FALSE(like("*b*b*b*", "abcab"));
}

TEST(Pattern, IsAsOneThatTriesEverything) {
  std::mt19937 random(20240501);
  for (int round = 0; round < 20'000; ++round) {
    std::string pattern, text;
    for (auto n = random() % 7; n > 0; --n) pattern += "ab*?"[random() % 4];
    for (auto n = random() % 8; n > 0; --n) text += "ab"[random() % 2];
    const auto compiled = compile_pattern(pattern);
    ASSERT_EQ(matches_pattern(compiled, text), slowly(compiled, text)) << pattern << " and " << text;
  }
}

TEST(Pattern, TakesNoLongerThanTheProductOfBothLengths) {
  std::string pattern;
  for (int i = 0; i < 500; ++i) pattern += "a*";
  EXPECT_FALSE(like(pattern + "b", std::string(5000, 'a')));
}

TEST(Pattern, OfAnArnStaysWithinItsParts) {
  EXPECT_TRUE(arn_like("arn:aws:iam::*:user/x", "arn:aws:iam::000000000000:user/x"));
  EXPECT_FALSE(arn_like("arn:aws:*:user/x", "arn:aws:iam::000000000000:user/x"));
  EXPECT_TRUE(arn_like("arn:aws:s3:::*", "arn:aws:s3:::bucket/a:b"));
  EXPECT_TRUE(arn_like("*", "arn:aws:s3:::bucket"));
  EXPECT_FALSE(arn_like("arn:aws:s3:::bucket", "bucket"));
}

TEST(Pattern, LowersAsciiAlone) { EXPECT_EQ(lower("S3:PutÄ"), "s3:putÄ"); }

}  // namespace
}  // namespace coffer
