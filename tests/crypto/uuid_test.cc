#include "crypto/uuid.h"

#include <gtest/gtest.h>

#include "base/names.h"

namespace coffer {
namespace {

TEST(Uuid, ARandomOneIsOfVersion4AndComesBack) {
  for (int i = 0; i < 200; ++i) {
    const std::string text = uuid_text(random_uuid());
    EXPECT_TRUE(is_uuid(text));
    EXPECT_EQ(text[14], '4');
    EXPECT_NE(std::string_view("89ab").find(text[19]), std::string_view::npos);
    ASSERT_TRUE(parse_uuid(text));
    EXPECT_EQ(uuid_text(*parse_uuid(text)), text);
  }
}

TEST(Uuid, ItsBytesAreInTheOrderOfItsText) {
  const auto uuid = parse_uuid("00112233-4455-6677-8899-aabbccddeeff");
  ASSERT_TRUE(uuid);
  for (std::size_t i = 0; i < uuid->size(); ++i) EXPECT_EQ((*uuid)[i], i * 0x11);
}

TEST(Uuid, HasOneTextOnly) {
  for (const char* bad : {"", "00112233-4455-6677-8899-AABBCCDDEEFF", "00112233445566778899aabbccddeeff",
                          "00112233-4455-6677-8899-aabbccddeef"})
    EXPECT_FALSE(parse_uuid(bad)) << bad;
}

}  // namespace
}  // namespace coffer
