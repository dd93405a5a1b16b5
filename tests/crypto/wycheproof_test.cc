// The vectors of C2SP/wycheproof, read from $COFFER_VECTORS or from ../shared/vectors beside the repository. Below
// Aead, where the nonce is an argument; HKDF and HMAC with their hash set to SHA-256.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <type_traits>

#include "base/encoding.h"
#include "crypto/gcm.h"
#include "crypto/hkdf.h"

namespace coffer {
namespace {

using Json = nlohmann::json;

std::filesystem::path folder() {
  if (const char* named = std::getenv("COFFER_VECTORS")) return named;
  return std::filesystem::path(COFFER_SOURCE_ROOT).parent_path() / "shared" / "vectors";
}

// Whether there is anything to run: always, where COFFER_VECTORS says that there is.
bool present() { return std::getenv("COFFER_VECTORS") != nullptr || std::filesystem::is_directory(folder()); }

class WycheproofTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!present()) GTEST_SKIP() << "no vectors at " << folder();
  }

  // Calls run(group, test) for every test of a file and says how many there were.
  template <class Run>
  int for_each_vector(const char* name, Run run) {
    std::ifstream file(folder() / name);
    const Json document = Json::parse(file, nullptr, /*allow_exceptions=*/false);
    EXPECT_TRUE(document.is_object()) << "cannot read " << folder() / name;
    int count = 0;
    if (!document.is_object()) return count;
    for (const Json& group : document["testGroups"])
      for (const Json& test : group["tests"]) {
        SCOPED_TRACE("tcId " + test["tcId"].dump());
        run(group, test);
        ++count;
      }
    EXPECT_EQ(count, document["numberOfTests"].get<int>());
    return count;
  }
};

Bytes field(const Json& test, const char* name) { return unhex(test[name].get<std::string>()).value(); }
bool valid(const Json& test) { return test["result"] == "valid"; }

std::vector<std::shared_ptr<const GcmLibrary>> libraries() {
  std::vector<std::shared_ptr<const GcmLibrary>> found;
  for (auto make : {&openssl_gcm, &sodium_gcm, &ipsec_mb_gcm})
    if (auto library = make()) found.push_back(std::move(library));
  return found;
}

void run_gcm(const GcmLibrary& library, const Json& test) {
  const Bytes plain = field(test, "msg"), cipher = field(test, "ct"), aad = field(test, "aad");
  const Bytes tag_bytes = field(test, "tag"), nonce_bytes = field(test, "iv");
  GcmNonce nonce;
  GcmTag tag, made{};
  ASSERT_EQ(tag_bytes.size(), tag.size());
  std::copy(nonce_bytes.begin(), nonce_bytes.end(), nonce.begin());
  std::copy(tag_bytes.begin(), tag_bytes.end(), tag.begin());
  const auto gcm = library.make(Key::copy_of(field(test, "key")));
  Bytes sealed(plain.size()), opened(cipher.size());
  ASSERT_TRUE(gcm->encrypt(nonce, aad, plain, sealed, made).ok());
  EXPECT_EQ(sealed == cipher && made == tag, valid(test)) << library_name(library.name());
  const Status status = gcm->decrypt(nonce, aad, cipher, tag, opened);
  EXPECT_EQ(status.ok(), valid(test)) << library_name(library.name());
  EXPECT_TRUE(!status.ok() || opened == plain);
  EXPECT_TRUE(status.ok() || status.code() == Code::kDamaged);
}

// A key is 32 bytes and a nonce 12 by their types: there is nothing to hand any other vector to.
static_assert(std::tuple_size_v<GcmNonce> == 12 && std::tuple_size_v<GcmTag> == 16 && Key::kSize == 32);

TEST_F(WycheproofTest, AesGcmAnswersRightInEveryLibrary) {
  int run = 0;
  const auto found = libraries();
  const int all = for_each_vector("aes_gcm_test.json", [&](const Json& group, const Json& test) {
    if (group["keySize"] != 256 || group["ivSize"] != 96) {
      EXPECT_TRUE(field(test, "key").size() != Key::kSize || field(test, "iv").size() != kNonceSize);
      return;
    }
    ++run;
    for (const auto& library : found) run_gcm(*library, test);
  });
  EXPECT_EQ(all, 316);
  EXPECT_EQ(run, 66);
}

TEST_F(WycheproofTest, HkdfAnswersRight) {
  for_each_vector("hkdf_sha256_test.json", [](const Json&, const Json& test) {
    const auto size = test["size"].get<std::size_t>();
    const bool possible = size <= 255 * hash_size(Hash::kSha256);
    EXPECT_EQ(possible, valid(test));
    if (!possible) return;  // asserted by hkdf()
    Bytes out(size);
    hkdf(Hash::kSha256, field(test, "ikm"), field(test, "salt"), field(test, "info"), out);
    EXPECT_EQ(out, field(test, "okm"));
  });
}

TEST_F(WycheproofTest, HmacAnswersRight) {
  for_each_vector("hmac_sha256_test.json", [](const Json& group, const Json& test) {
    Bytes mac(group["tagSize"].get<std::size_t>() / 8);
    hmac(Hash::kSha256, field(test, "key"), field(test, "msg"), mac);
    EXPECT_EQ(equal_constant_time(mac, field(test, "tag")), valid(test));
  });
}

TEST(HkdfDeathTest, AskingForMoreThanHkdfHasIsOurMistake) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  Bytes out(255 * 32 + 1);
  EXPECT_DEATH(hkdf(Hash::kSha256, Bytes(32), {}, {}, out), "");
}

}  // namespace
}  // namespace coffer

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  const int result = RUN_ALL_TESTS();
  // Last, so that nobody takes silence for success.
  if (!coffer::present())
    std::puts("NOT RUN: the Wycheproof vectors; set COFFER_VECTORS to the folder that holds them");
  return result;
}
