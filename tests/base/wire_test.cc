#include "base/wire.h"

#include <gtest/gtest.h>

#include "base/encoding.h"

namespace coffer {
namespace {

Bytes sample() {
  WireWriter writer;
  writer.u8(1).u16(0x0203).u32(0x04050607).u64(0x08090a0b0c0d0e0f).raw(Bytes{0xaa}).blob16(Bytes{0xbb, 0xcc});
  writer.text16("hi").blob32(Bytes{0xdd});
  return std::move(writer).take();
}

TEST(Wire, IntegersAreLittleEndianAndLengthsComeFirst) {
  EXPECT_EQ(hex(sample()),
            "01"
            "0302"
            "07060504"
            "0f0e0d0c0b0a0908"
            "aa"
            "0200bbcc"
            "02006869"
            "01000000dd");
}

TEST(Wire, ReadsWhatWasWritten) {
  const Bytes bytes = sample();
  WireReader reader(bytes);
  EXPECT_EQ(reader.u8(), 1);
  EXPECT_EQ(reader.u16(), 0x0203);
  EXPECT_EQ(reader.u32(), 0x04050607U);
  EXPECT_EQ(reader.u64(), 0x08090a0b0c0d0e0fU);
  EXPECT_EQ(to_bytes(reader.raw(1)), Bytes{0xaa});
  EXPECT_EQ(to_bytes(reader.blob16()), (Bytes{0xbb, 0xcc}));
  EXPECT_EQ(reader.text16(), "hi");
  EXPECT_EQ(reader.left(), 5U);
  EXPECT_FALSE(reader.done());
  EXPECT_EQ(to_bytes(reader.blob32()), Bytes{0xdd});
  EXPECT_TRUE(reader.done());
}

TEST(Wire, EveryTruncationIsNoticedAndNeverReadsPastTheEnd) {
  const Bytes bytes = sample();
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const Bytes cut(bytes.begin(), bytes.begin() + static_cast<long>(size));  // its own allocation, for ASan
    WireReader reader(cut);
    reader.u8();
    reader.u16();
    reader.u32();
    reader.u64();
    reader.raw(1);
    reader.blob16();
    reader.text16();
    reader.blob32();
    EXPECT_FALSE(reader.ok()) << size;
    EXPECT_EQ(reader.u64(), 0U);
    EXPECT_TRUE(reader.raw(0).empty());
    EXPECT_FALSE(reader.done());
  }
}

TEST(Wire, ALengthBeyondTheEndFails) {
  const Bytes bytes{0xff, 0xff, 0xff, 0xff, 1, 2, 3};
  WireReader short_length(bytes), long_length(bytes);
  EXPECT_TRUE(short_length.blob16().empty());
  EXPECT_FALSE(short_length.ok());
  EXPECT_TRUE(long_length.blob32().empty());
  EXPECT_FALSE(long_length.ok());
}

}  // namespace
}  // namespace coffer
