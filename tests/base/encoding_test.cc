#include "base/encoding.h"

#include <gtest/gtest.h>

#include <random>

namespace coffer {
namespace {

TEST(Hex, WritesLowerCaseAndReadsEither) {
  EXPECT_EQ(hex(Bytes{0x00, 0x0f, 0xa5, 0xff}), "000fa5ff");
  EXPECT_EQ(unhex("000fA5Ff"), (Bytes{0x00, 0x0f, 0xa5, 0xff}));
  EXPECT_EQ(unhex(""), Bytes{});
  for (const char* bad : {"0", "0g", "00 ", " 00", "0x00", "é0"}) EXPECT_EQ(unhex(bad), std::nullopt) << bad;
}

// RFC 4648 section 10.
TEST(Base64, GivesTheAnswersOfRfc4648) {
  const std::pair<std::string_view, std::string_view> answers[] = {{"", ""},
                                                                   {"f", "Zg=="},
                                                                   {"fo", "Zm8="},
                                                                   {"foo", "Zm9v"},
                                                                   {"foob", "Zm9vYg=="},
                                                                   {"fooba", "Zm9vYmE="},
                                                                   {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, encoded] : answers) {
    EXPECT_EQ(base64(as_bytes(plain)), encoded);
    EXPECT_EQ(unbase64(encoded), to_bytes(as_bytes(plain)));
  }
}

TEST(Base64, RefusesWhatItWouldNotWrite) {
  for (const char* bad : {"Zg", "Zg=", "Zg==\n", " Zg==", "Z===", "====", "Zh==", "Zm9=", "Zm9v=", "Zm-_", "Zg==Zg=="})
    EXPECT_EQ(unbase64(bad), std::nullopt) << bad;
}

TEST(Encoding, RandomBytesComeBack) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (int round = 0; round < 500; ++round) {
    Bytes bytes(random() % 70);
    for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random());
    EXPECT_EQ(unhex(hex(bytes)), bytes);
    EXPECT_EQ(unbase64(base64(bytes)), bytes);
    const std::string text(as_text(bytes));
    EXPECT_EQ(percent_decode(percent_encode(text, Slash::kKeep)), text);
    EXPECT_EQ(percent_decode(percent_encode(text, Slash::kEncode)), text);
  }
}

TEST(PercentEncoding, IsThatOfSigV4) {
  EXPECT_EQ(percent_encode("AZaz09-._~", Slash::kEncode), "AZaz09-._~");
  EXPECT_EQ(percent_encode("a b+c/d*é", Slash::kEncode), "a%20b%2Bc%2Fd%2A%C3%A9");
  EXPECT_EQ(percent_encode("a/b", Slash::kKeep), "a/b");
  EXPECT_EQ(percent_decode("a%2fb%2F"), "a/b/");
  for (const char* bad : {"%", "%2", "%2g", "a%"}) EXPECT_EQ(percent_decode(bad), std::nullopt) << bad;
}

}  // namespace
}  // namespace coffer
