#include "crypto/hkdf.h"

#include <gtest/gtest.h>

#include "base/encoding.h"
#include "crypto/key_schedule.h"

namespace coffer {
namespace {

Bytes hkdf_of(Hash hash, BytesView input, BytesView salt, BytesView info, std::size_t size) {
  Bytes out(size);
  hkdf(hash, input, salt, info, out);
  return out;
}

Bytes sequence(std::uint8_t first, std::size_t size) {
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::uint8_t>(first + i);
  return bytes;
}

TEST(Hkdf, GivesTheAnswersOfRfc5869) {
  EXPECT_EQ(hex(hkdf_of(Hash::kSha256, Bytes(22, 0x0b), sequence(0, 13), sequence(0xf0, 10), 42)),
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
  EXPECT_EQ(hex(hkdf_of(Hash::kSha256, Bytes(22, 0x0b), {}, {}, 42)),
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
}

// Made with an independent implementation (python3-cryptography).
TEST(Hkdf, GivesKnownAnswersWithSha384) {
  EXPECT_EQ(hex(hkdf_of(Hash::kSha384, Bytes(22, 0x0b), sequence(0, 13), sequence(0xf0, 10), 42)),
            "9b5097a86038b805309076a44b3a9f38063e25b516dcbf369f394cfab43685f748b6457763e4f0204fc5");
  EXPECT_EQ(hex(hkdf_of(Hash::kSha384, Bytes(32, 0xaa), {}, {}, 48)),
            "77bbf9a1d80e6eb36457dc31cd6ad1e6d96d4c6ee2444eb4df2175964daa754d8e51a176164b7d1c1d737ec02719523e");
  EXPECT_EQ(hex(derive_key(Key::copy_of(sequence(0, 32)), sequence(0x60, 80), as_bytes("info")).view()),
            "edf3aa69cea078ca4aa453cec39ad5fe2d8953d99ddcf446a104dcf1222452bd");
}

TEST(Hkdf, AnyLengthIsABeginningOfALongerOne) {
  const Bytes input(32, 1), salt(16, 2), info(3, 3);
  const Bytes whole = hkdf_of(Hash::kSha384, input, salt, info, 200);
  for (std::size_t size : {0U, 1U, 31U, 32U, 47U, 48U, 49U, 96U, 97U})
    EXPECT_EQ(hkdf_of(Hash::kSha384, input, salt, info, size),
              Bytes(whole.begin(), whole.begin() + static_cast<long>(size)));
}

TEST(Hkdf, SeveralKeysOfOneInputAreWhatEachAloneIs) {
  const Bytes input(32, 1), salt(16, 2), infos[] = {{}, Bytes(1, 3), Bytes(200, 4)};
  for (Hash hash : {Hash::kSha256, Hash::kSha384}) {
    Bytes first(32), second(100), third(1);
    const Expansion expansions[] = {{infos[0], first}, {infos[1], second}, {infos[2], third}};
    hkdf(hash, input, salt, expansions);
    EXPECT_EQ(first, hkdf_of(hash, input, salt, infos[0], 32));
    EXPECT_EQ(second, hkdf_of(hash, input, salt, infos[1], 100));
    EXPECT_EQ(third, hkdf_of(hash, input, salt, infos[2], 1));
  }
}

// RFC 4231, test case 6: longer than a block, so the key is its hash.
TEST(Hmac, TakesAKeyThatIsLongerThanABlock) {
  const Bytes key(131, 0xaa);
  const auto message = as_bytes("Test Using Larger Than Block-Size Key - Hash Key First");
  Bytes mac(48), shorter(32);
  hmac(Hash::kSha384, key, message, mac);
  EXPECT_EQ(hex(mac),
            "4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f3cd11f05033ac4c60c2ef6ab4030fe8296248df163f44952");
  hmac(Hash::kSha256, key, message, shorter);
  EXPECT_EQ(hex(shorter), "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

// RFC 4231, test case 2.
TEST(Hmac, GivesTheAnswersOfRfc4231) {
  Bytes mac(48);
  hmac(Hash::kSha384, as_bytes("Jefe"), as_bytes("what do ya want for nothing?"), mac);
  EXPECT_EQ(hex(mac),
            "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649");
  Bytes shorter(32);
  hmac(Hash::kSha384, as_bytes("Jefe"), as_bytes("what do ya want for nothing?"), shorter);
  EXPECT_EQ(shorter, Bytes(mac.begin(), mac.begin() + 32));
  hmac(Hash::kSha256, as_bytes("Jefe"), as_bytes("what do ya want for nothing?"), shorter);
  EXPECT_EQ(hex(shorter), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST(Sha384, GivesTheAnswerOfFips180) {
  EXPECT_EQ(hex(sha384(as_bytes("abc"))),
            "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7");
}

}  // namespace
}  // namespace coffer
