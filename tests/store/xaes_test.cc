#include "store/xaes.h"

#include <gtest/gtest.h>

#include "base/encoding.h"
#include "tests/store/sealed_rig.h"

namespace coffer::testing {
namespace {

// The two known answers of C2SP's XAES-256-GCM specification: ciphertext, then tag.
struct KnownAnswer {
  std::uint8_t key;
  std::string_view aad, sealed;
};
constexpr std::string_view kNonce = "ABCDEFGHIJKLMNOPQRSTUVWX";
constexpr std::string_view kPlain = "XAES-256-GCM";
constexpr KnownAnswer kKnownAnswers[] = {
    {0x01, "", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"},
    {0x03, "c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"},
};

Bytes seal_of(BytesView tag) {
  Bytes seal(Xaes::kXaesSealSize);
  std::copy(kNonce.begin(), kNonce.end(), seal.begin());
  std::copy(tag.begin(), tag.end(), seal.begin() + kNonce.size());
  return seal;
}

TEST(Xaes, OpensThePublishedVectors) {
  for (const KnownAnswer& known : kKnownAnswers) {
    const Xaes cipher(test_suite(), Key::copy_of(Bytes(Key::kSize, known.key)));
    const Bytes sealed = unhex(known.sealed).value();
    const BytesView view(sealed);
    Bytes plain(kPlain.size());
    ASSERT_TRUE(cipher.open(as_bytes(known.aad), view.first(plain.size()), seal_of(view.last(kTagSize)), plain).ok());
    EXPECT_EQ(as_text(plain), kPlain);
  }
}

TEST(Xaes, RefusesEveryFlippedBitAndLeavesZeros) {
  const Xaes cipher(test_suite(), Key::copy_of(Bytes(Key::kSize, 5)));
  const Bytes aad = to_bytes(as_bytes("page 7"));
  Bytes sealed(64), seal(Xaes::kXaesSealSize);
  ASSERT_TRUE(cipher.seal(aad, Bytes(64, 'x'), sealed, seal).ok());
  const auto expect_refused = [&](const Bytes& wrong_aad, const Bytes& wrong_sealed, const Bytes& wrong_seal) {
    Bytes plain(64, 1);
    EXPECT_EQ(cipher.open(wrong_aad, wrong_sealed, wrong_seal, plain).code(), Code::kDamaged);
    EXPECT_EQ(plain, Bytes(64));
  };
  const auto flipped = [](Bytes bytes, std::size_t bit) {
    bytes[bit / 8] ^= static_cast<std::uint8_t>(1 << bit % 8);
    return bytes;
  };
  for (std::size_t bit = 0; bit < aad.size() * 8; ++bit) expect_refused(flipped(aad, bit), sealed, seal);
  for (std::size_t bit = 0; bit < sealed.size() * 8; ++bit) expect_refused(aad, flipped(sealed, bit), seal);
  for (std::size_t bit = 0; bit < seal.size() * 8; ++bit) expect_refused(aad, sealed, flipped(seal, bit));
}

TEST(Xaes, NoTwoSealsAreAlike) {
  const Xaes cipher(test_suite(), Key::copy_of(Bytes(Key::kSize, 5)));
  Bytes first(32), second(32), first_seal(Xaes::kXaesSealSize), second_seal(Xaes::kXaesSealSize);
  ASSERT_TRUE(cipher.seal({}, Bytes(32), first, first_seal).ok());
  ASSERT_TRUE(cipher.seal({}, Bytes(32), second, second_seal).ok());
  EXPECT_NE(first, second);
  EXPECT_FALSE(std::equal(first_seal.begin(), first_seal.begin() + 12, second_seal.begin()));
  EXPECT_FALSE(std::equal(first_seal.begin() + 12, first_seal.begin() + 24, second_seal.begin() + 12));
}

}  // namespace
}  // namespace coffer::testing
