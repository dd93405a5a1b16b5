#include "crypto/key_schedule.h"

#include <gtest/gtest.h>

#include "base/encoding.h"

namespace coffer {
namespace {

TEST(KeySchedule, EveryPurposeAndStoreHasItsOwnKey) {
  const Key root = Key::copy_of(Bytes(32, 7));
  const KeySchedule one(root.duplicate(), StoreId{1}), other(root.duplicate(), StoreId{2});
  std::vector<Key> keys;
  for (auto purpose : {Purpose::kSseS3, Purpose::kKms, Purpose::kCatalogPages, Purpose::kPageTags, Purpose::kWal,
                       Purpose::kSuperblock, Purpose::kDataFileHeader, Purpose::kCatalogCopy, Purpose::kNameHash}) {
    keys.push_back(one.purpose_key(purpose));
    keys.push_back(other.purpose_key(purpose));
  }
  for (std::size_t i = 0; i < keys.size(); ++i)
    for (std::size_t k = 0; k < i; ++k) EXPECT_FALSE(equal_constant_time(keys[i], keys[k]));
}

TEST(KeySchedule, ItsKeysAreThoseOfTheFormat) {
  const KeySchedule schedule(Key::copy_of(Bytes(32, 7)), StoreId{1, 2, 3});
  EXPECT_EQ(hex(schedule.purpose_key(Purpose::kSseS3).view()),
            "ddf040172747e01f6352b990e7478d8f7e25cc84cfa457dbb30f31641da590c1");
  EXPECT_EQ(hex(schedule.purpose_key(Purpose::kKms).view()),
            "e2066df1be6a559e12e4931c221e439078b2a6ae3c525fee665319c141f49833");
  EXPECT_EQ(hex(schedule.purpose_key(Purpose::kCatalogPages).view()),
            "2c48a7646e2f996b8b1c88fd3e8d3ab3434c81e67c75973ec6807cf7a9a1e849");
  EXPECT_EQ(hex(schedule.purpose_key(Purpose::kPageTags).view()),
            "6d9f3f9e8ebba7535909c28051fd5407314d8987ad66560724129648ec9098f9");
  EXPECT_EQ(hex(schedule.purpose_key(Purpose::kWal).view()),
            "da7e38dfba9cac1295f8b7ed7b8919675063b0d288ef8b5d5f1add5378ca2fb2");
  EXPECT_EQ(hex(schedule.purpose_key(Purpose::kSuperblock).view()),
            "804ec5c0fafdff0a8088faa6e473ba77bb36ac5416eeede3ae65a885655d938b");
  EXPECT_EQ(hex(schedule.purpose_key(Purpose::kDataFileHeader).view()),
            "e63fec8607b6fe6c531ccfe4a420876e996ff9486763edb0b4ecbb5839f0900c");
  EXPECT_EQ(hex(schedule.purpose_key(Purpose::kCatalogCopy).view()),
            "e89243de937cbfa70bd7814bccec73f0617b85e58aac7a6e6d4270ff78128e09");
  EXPECT_EQ(hex(schedule.purpose_key(Purpose::kNameHash).view()),
            "02b20d50278800f7cd9f378985a09b1dd447879f1c0d83b6e9933dae3b31af9c");
}

class WrapTest : public testing::Test {
 protected:
  AeadSuite suite = AeadSuite::detect().value();
  Key wrapping = Key::random(), key = Key::random();
  Bytes aad = Bytes(20, 4);
};

TEST_F(WrapTest, UnwrapGivesBackTheKeyAndNoTwoWrapsAreAlike) {
  const auto wrapped = wrap_key(suite, wrapping, aad, key);
  ASSERT_TRUE(wrapped.ok());
  EXPECT_EQ(wrapped->size(), kWrapSize);
  EXPECT_NE(*wrapped, *wrap_key(suite, wrapping, aad, key));
  const auto unwrapped = unwrap_key(suite, wrapping, aad, *wrapped);
  ASSERT_TRUE(unwrapped.ok());
  EXPECT_TRUE(equal_constant_time(*unwrapped, key));
}

TEST_F(WrapTest, EveryChangedBitOtherKeyAadAndLengthIsDamage) {
  const Bytes wrapped = *wrap_key(suite, wrapping, aad, key);
  for (std::size_t bit = 0; bit < wrapped.size() * 8; ++bit) {
    Bytes changed = wrapped;
    changed[bit / 8] ^= static_cast<std::uint8_t>(1 << (bit % 8));
    EXPECT_EQ(unwrap_key(suite, wrapping, aad, changed).code(), Code::kDamaged);
  }
  EXPECT_EQ(unwrap_key(suite, Key::random(), aad, wrapped).code(), Code::kDamaged);
  EXPECT_EQ(unwrap_key(suite, wrapping, Bytes(20, 5), wrapped).code(), Code::kDamaged);
  EXPECT_EQ(unwrap_key(suite, wrapping, Bytes(19, 4), wrapped).code(), Code::kDamaged);
  for (std::size_t size = 0; size < wrapped.size(); ++size)
    EXPECT_EQ(unwrap_key(suite, wrapping, aad, BytesView(wrapped).first(size)).code(), Code::kDamaged);
}

// Opened by hand as docs/FORMAT.md says: salt, nonce, tag, ciphertext.
TEST_F(WrapTest, AWrapOfKnownBytesOpens) {
  const auto wrapped = unhex(
      "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
      "32333435363738393a3b3c3d0d5a07c4e9c9f947989d56c0cb2d5e29"
      "6a96a6c7f6d9e5f50568ffc81b9ba2e944ea4811f7fb4e21644d6b73ecb51fd0");
  const auto unwrapped = unwrap_key(suite, Key::copy_of(Bytes(32, 1)), as_bytes("aad"), *wrapped);
  ASSERT_TRUE(unwrapped.ok());
  EXPECT_TRUE(equal_constant_time(*unwrapped, Key::copy_of(Bytes(32, 2))));
}

}  // namespace
}  // namespace coffer
