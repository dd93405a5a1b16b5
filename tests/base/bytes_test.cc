#include "base/bytes.h"

#include <gtest/gtest.h>

#include "base/secret_bytes.h"

namespace coffer {
namespace {

TEST(Bytes, WipeLeavesZeros) {
  Bytes bytes(100, 7);
  wipe(MutableBytes(bytes).subspan(10, 80));
  for (std::size_t i = 0; i < bytes.size(); ++i) EXPECT_EQ(bytes[i], i < 10 || i >= 90 ? 7 : 0);
  wipe({});
}

TEST(Bytes, EqualMeansSameSizeAndEveryByte) {
  const Bytes bytes(33, 7);
  EXPECT_TRUE(equal_constant_time(bytes, Bytes(33, 7)));
  EXPECT_TRUE(equal_constant_time({}, {}));
  EXPECT_FALSE(equal_constant_time(bytes, Bytes(32, 7)));
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    Bytes changed = bytes;
    changed[bit / 8] ^= static_cast<std::uint8_t>(1 << (bit % 8));
    EXPECT_FALSE(equal_constant_time(bytes, changed));
  }
}

TEST(Bytes, TextAndBytesAreViewsOfTheSame) {
  EXPECT_EQ(as_text(as_bytes("text")), "text");
  EXPECT_EQ(to_bytes(as_bytes("ab")), (Bytes{'a', 'b'}));
}

TEST(SecretBytes, MovesAndNeverCopies) {
  static_assert(!std::is_copy_constructible_v<SecretBytes> && !std::is_copy_assignable_v<SecretBytes>);
  SecretBytes one(as_bytes("secret"));
  const std::uint8_t* place = one.view().data();
  SecretBytes moved = std::move(one);
  EXPECT_EQ(moved.view().data(), place);
  EXPECT_EQ(as_text(moved.view()), "secret");
  SecretBytes other(3);
  other = std::move(moved);
  EXPECT_EQ(as_text(other.view()), "secret");
}

}  // namespace
}  // namespace coffer
