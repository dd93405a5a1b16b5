#include "crypto/aead_suite.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <optional>

#include "crypto/gcm.h"
#include "crypto/keyring.h"
#include "tests/support/local_kms_fixture.h"

namespace coffer {
namespace {

// Sets COFFER_AEAD for a scope.
class Narrowed {
 public:
  explicit Narrowed(const char* libraries) {
    if (const char* before = std::getenv("COFFER_AEAD")) before_ = before;
    setenv("COFFER_AEAD", libraries, 1);
  }
  ~Narrowed() {
    if (before_)
      setenv("COFFER_AEAD", before_->c_str(), 1);
    else
      unsetenv("COFFER_AEAD");
  }

 private:
  std::optional<std::string> before_;
};

TEST(AeadSuite, OpenSslAndSodiumAloneCarryEverything) {
  const Narrowed narrowed("openssl,libsodium");
  const auto suite = AeadSuite::detect();
  ASSERT_TRUE(suite.ok());
  EXPECT_EQ(suite->usable()[0], AeadLibrary::kOpenSsl);
  EXPECT_EQ(suite->can_double(), sodium_gcm() != nullptr);
  EXPECT_NE(suite->describe().find("AES-256-GCM by OpenSSL"), std::string::npos);
}

TEST(AeadSuite, TheBestLibraryComesFirst) {
  const auto suite = AeadSuite::detect();
  ASSERT_TRUE(suite.ok());
  EXPECT_TRUE(std::is_sorted(suite->usable().begin(), suite->usable().end()));
}

TEST(AeadSuite, AListThatNamesNoLibraryLeavesNone) {
  for (const char* list : {"", "rot13", "OpenSSL", "openssl;libsodium"}) {
    const Narrowed narrowed(list);
    EXPECT_EQ(AeadSuite::detect().code(), Code::kUnsupported) << list;
  }
}

TEST(AeadSuite, OneLibraryAloneOpensDsseAndRefusesToSealIt) {
  const Key inner = Key::random(), outer = Key::random();
  const Bytes plain(1000, 1);
  Bytes cipher(1000), seal(2 * kSealSize), opened(1000);
  {
    const Narrowed narrowed("openssl,libsodium");
    const auto both = AeadSuite::detect();
    if (!both->can_double()) GTEST_SKIP() << "this processor has one AES-GCM library";
    ASSERT_TRUE(both->twice(inner, outer)->seal({}, plain, cipher, seal).ok());
  }
  const Narrowed narrowed("libsodium");
  const auto alone = AeadSuite::detect();
  ASSERT_TRUE(alone.ok());
  EXPECT_FALSE(alone->can_double());
  EXPECT_NE(alone->describe().find("DSSE refused"), std::string::npos);
  const auto aead = alone->twice(inner, outer);
  ASSERT_TRUE(aead->open({}, cipher, seal, opened).ok());
  EXPECT_EQ(opened, plain);
  EXPECT_EQ(aead->seal({}, plain, cipher, seal).code(), Code::kUnsupported);
}

TEST_F(LocalKmsTest, WhereOneLibraryWorksDsseRulesAreRefusedAndTheOthersServed) {
  const Narrowed narrowed("openssl");
  const AeadSuite alone = AeadSuite::detect().value();
  Keyring keyring(schedule, alone, *kms, *kms);
  EXPECT_EQ(keyring.serves(SseAlgorithm::kAwsKmsDsse).code(), Code::kUnsupported);
  EXPECT_TRUE(keyring.serves(SseAlgorithm::kAwsKms).ok());
  EXPECT_TRUE(keyring.serves(SseAlgorithm::kAes256).ok());
  SseRule dsse;
  dsse.algorithm = SseAlgorithm::kAwsKmsDsse;
  const Subject subject{1, 1, 16384, realm, BucketName::parse("bucket").value(), "key"};
  EXPECT_EQ(keyring.issue(dsse, subject, owner).code(), Code::kUnsupported);
  EXPECT_EQ(calls("GenerateDataKey"), 0U);
  EXPECT_TRUE(keyring.issue(SseRule{}, subject, owner).ok());
}

}  // namespace
}  // namespace coffer
