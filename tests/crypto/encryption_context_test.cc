#include "crypto/encryption_context.h"

#include <gtest/gtest.h>

#include <set>

#include "base/encoding.h"
#include "base/limits.h"

namespace coffer {
namespace {

TEST(EncryptionContext, ItsBytesAreThoseOfTheFormat) {
  EXPECT_EQ(hex(encode_context({})), "0000");
  EXPECT_EQ(hex(encode_context({{"b", "2"}, {"a", ""}})), "02000100610000010062010032");
}

// Where one name ends and its value begins is part of what is encoded.
TEST(EncryptionContext, NoTwoHaveTheSameBytes) {
  const std::vector<EncryptionContext> contexts = {
      {}, {{"a", ""}}, {{"a", "b"}}, {{"ab", ""}}, {{"a", "bc"}}, {{"ab", "c"}}, {{"a", ""}, {"b", ""}}, {{"A", "b"}}};
  std::set<Bytes> encoded;
  for (const EncryptionContext& context : contexts) encoded.insert(encode_context(context));
  EXPECT_EQ(encoded.size(), contexts.size());
}

TEST(EncryptionContext, HasAtMostEightKibAndNoEmptyName) {
  EXPECT_TRUE(check_context({}).ok());
  EXPECT_TRUE(check_context({{"n", std::string(kContextSizeMax - 1, 'v')}}).ok());
  EXPECT_EQ(check_context({{"n", std::string(kContextSizeMax, 'v')}}).code(), Code::kInvalidArgument);
  EXPECT_EQ(check_context({{"", "v"}}).code(), Code::kInvalidArgument);
}

}  // namespace
}  // namespace coffer
