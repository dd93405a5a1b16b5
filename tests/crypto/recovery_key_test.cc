#include "crypto/recovery_key.h"

#include <gtest/gtest.h>

#include <cctype>
#include <string>

namespace coffer {
namespace {

std::string text_of(const Key& key) { return std::string(as_text(recovery_text(key).view())); }
Result<Key> parsed(std::string_view text) { return parse_recovery_text(as_bytes(text)); }

TEST(RecoveryKey, IsFourteenGroupsOfFourAndComesBack) {
  for (int i = 0; i < 50; ++i) {
    const Key key = Key::random();
    const std::string text = text_of(key);
    ASSERT_EQ(text.size(), 69U);
    for (std::size_t at = 0; at < text.size(); ++at) EXPECT_EQ(text[at] == '-', at % 5 == 4) << text;
    const auto back = parsed(text);
    ASSERT_TRUE(back.ok());
    EXPECT_TRUE(equal_constant_time(*back, key));
  }
}

TEST(RecoveryKey, HasAKnownForm) {
  Bytes bytes(32);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i);
  EXPECT_EQ(text_of(Key::copy_of(bytes)), "000G-40R4-0M30-E209-185G-R38E-1W81-24GK-2GAH-C5RR-34D1-P70X-3RFX-WWA2");
}

TEST(RecoveryKey, MayBeTypedAsAPersonReadsIt) {
  const Key key = Key::random();
  const std::string text = text_of(key);
  std::string lower, loose, alike;
  for (char c : text) {
    lower += static_cast<char>(std::tolower(c));
    if (c != '-') loose += std::string(1, c) + " ";
    alike += c == '0' ? 'o' : c == '1' ? 'l' : c;
  }
  for (const auto& typed : {lower, loose, alike, text + "\n", " " + text + "\r\n"}) {
    const auto back = parsed(typed);
    ASSERT_TRUE(back.ok()) << typed;
    EXPECT_TRUE(equal_constant_time(*back, key));
  }
}

TEST(RecoveryKey, OneWrongLetterIsNoticedAndNotRepeatedInTheError) {
  const std::string text = text_of(Key::random());
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '-') continue;
    std::string wrong = text;
    wrong[at] = wrong[at] == 'Z' ? 'Y' : 'Z';
    const auto refused = parsed(wrong);
    ASSERT_EQ(refused.code(), Code::kWrongUnlock) << at;
    EXPECT_EQ(refused.error().message.find(wrong.substr(0, 9)), std::string::npos);
  }
}

TEST(RecoveryKey, WhatIsTooShortTooLongOrOfOtherLettersIsRefused) {
  const std::string text = text_of(Key::random());
  for (std::size_t size = 0; size < text.size(); ++size)
    EXPECT_EQ(parsed(text.substr(0, size)).code(), Code::kWrongUnlock) << size;
  EXPECT_EQ(parsed(text + "0").code(), Code::kWrongUnlock);
  EXPECT_EQ(parsed(text.substr(1) + "U").code(), Code::kWrongUnlock);
  EXPECT_EQ(parsed("correct horse battery staple").code(), Code::kWrongUnlock);
}

}  // namespace
}  // namespace coffer
