#include "crypto/aead.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include "crypto/gcm.h"

namespace coffer {
namespace {

constexpr std::size_t kSizes[] = {0, 1, 15, 16, 17, 255, 4095, 4096, 16384, 65536};
constexpr std::size_t kAadSizes[] = {0, 1, 15, 16, 17, 64, 1000};

std::vector<std::shared_ptr<const GcmLibrary>> libraries() {
  std::vector<std::shared_ptr<const GcmLibrary>> found;
  for (auto make : {&openssl_gcm, &sodium_gcm, &ipsec_mb_gcm})
    if (auto library = make()) found.push_back(std::move(library));
  return found;
}

Bytes random_bytes(std::size_t size) {
  Bytes bytes(size);
  fill_random(bytes);
  return bytes;
}

Bytes with_bit_flipped(Bytes bytes, std::size_t bit) {
  bytes[bit / 8] ^= static_cast<std::uint8_t>(1 << (bit % 8));
  return bytes;
}

// A few bits of every byte class: all of a small field, some of a large one.
std::vector<std::size_t> bits_of(const Bytes& bytes) {
  std::vector<std::size_t> bits;
  for (std::size_t bit = 0; bit<bytes.size() * 8; bit += bytes.size()> 64 ? 977 : 1) bits.push_back(bit);
  return bits;
}

class AeadTest : public testing::TestWithParam<std::shared_ptr<const GcmLibrary>> {
 protected:
  std::unique_ptr<Aead> aead_of(const Key& key) const { return make_aead(GetParam()->make(key)); }
};

TEST_P(AeadTest, PassesItsSelfTest) { EXPECT_TRUE(passes_self_test(*GetParam())); }

TEST_P(AeadTest, OpensWhatEveryLibrarySealed) {
  for (const auto& other : libraries()) {
    for (std::size_t size : kSizes) {
      for (std::size_t aad_size : kAadSizes) {
        const Key key = Key::random();
        const Bytes plain = random_bytes(size), aad = random_bytes(aad_size);
        Bytes cipher(size), seal(kSealSize), opened(size);
        ASSERT_TRUE(make_aead(other->make(key))->seal(aad, plain, cipher, seal).ok());
        ASSERT_TRUE(aead_of(key)->open(aad, cipher, seal, opened).ok());
        ASSERT_EQ(opened, plain);
        ASSERT_TRUE(size < 16 || cipher != plain);
      }
    }
  }
}

TEST_P(AeadTest, SealsAndOpensInPlace) {
  const Key key = Key::random();
  const auto aead = aead_of(key);
  for (std::size_t size : kSizes) {
    const Bytes plain = random_bytes(size), aad = random_bytes(33);
    Bytes bytes = plain, seal(kSealSize);
    ASSERT_TRUE(aead->seal(aad, bytes, bytes, seal).ok());
    Bytes apart(size);
    ASSERT_TRUE(aead->open(aad, bytes, seal, apart).ok());
    EXPECT_EQ(apart, plain);
    ASSERT_TRUE(aead->open(aad, bytes, seal, bytes).ok());
    EXPECT_EQ(bytes, plain);
  }
}

TEST_P(AeadTest, EveryChangedBitIsDamageAndLeavesZeros) {
  const Key key = Key::random();
  const auto aead = aead_of(key);
  for (std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{17}, std::size_t{16384}}) {
    const Bytes plain = random_bytes(size), aad = random_bytes(40);
    Bytes cipher(size), seal(kSealSize);
    ASSERT_TRUE(aead->seal(aad, plain, cipher, seal).ok());
    const auto refused = [&](const Bytes& some_aad, const Bytes& some_cipher, const Bytes& some_seal) {
      Bytes opened(size, 0x77), in_place = some_cipher;
      const Status apart = aead->open(some_aad, some_cipher, some_seal, opened);
      const Status same = aead->open(some_aad, in_place, some_seal, in_place);
      return !apart.ok() && apart.code() == Code::kDamaged && !same.ok() && same.code() == Code::kDamaged &&
             opened == Bytes(size, 0) && in_place == Bytes(size, 0);
    };
    for (std::size_t bit : bits_of(aad)) ASSERT_TRUE(refused(with_bit_flipped(aad, bit), cipher, seal));
    for (std::size_t bit : bits_of(seal)) ASSERT_TRUE(refused(aad, cipher, with_bit_flipped(seal, bit)));
    for (std::size_t bit : bits_of(cipher)) ASSERT_TRUE(refused(aad, with_bit_flipped(cipher, bit), seal));
    EXPECT_TRUE(refused(Bytes(aad.begin(), aad.end() - 1), cipher, seal));
  }
}

TEST_P(AeadTest, AnotherKeyOpensNothing) {
  const Bytes plain = random_bytes(100);
  Bytes cipher(100), seal(kSealSize), opened(100, 1);
  ASSERT_TRUE(aead_of(Key::random())->seal({}, plain, cipher, seal).ok());
  EXPECT_EQ(aead_of(Key::random())->open({}, cipher, seal, opened).code(), Code::kDamaged);
  EXPECT_EQ(opened, Bytes(100, 0));
}

TEST_P(AeadTest, EverySealHasItsOwnNonce) {
  const auto aead = aead_of(Key::random());
  std::set<Bytes> nonces;
  Bytes plain(16), cipher(16), seal(kSealSize);
  for (int i = 0; i < 2000; ++i) {
    ASSERT_TRUE(aead->seal({}, plain, cipher, seal).ok());
    nonces.insert(Bytes(seal.begin(), seal.begin() + kNonceSize));
  }
  EXPECT_EQ(nonces.size(), 2000U);
}

// Runs shorter and longer than what takes its nonces at once, of chunks of every size.
TEST_P(AeadTest, ARunIsSealedChunkByChunkEachWithItsOwnNonce) {
  const auto aead = aead_of(Key::random());
  std::set<Bytes> nonces;
  std::size_t sealed = 0;
  for (std::size_t count : {std::size_t{0}, std::size_t{1}, kSealRunStep - 1, kSealRunStep, kSealRunStep + 1,
                            3 * kSealRunStep}) {
    std::vector<Bytes> aads, plains, ciphers, seals;
    for (std::size_t i = 0; i < count; ++i) {
      aads.push_back(random_bytes(40));
      plains.push_back(random_bytes(kSizes[i % std::size(kSizes)]));
      ciphers.emplace_back(plains[i].size());
      seals.emplace_back(aead->seal_size());
    }
    std::vector<SealJob> run;
    for (std::size_t i = 0; i < count; ++i) run.push_back({aads[i], plains[i], ciphers[i], seals[i]});
    ASSERT_TRUE(aead->seal_run(run).ok());
    for (std::size_t i = 0; i < count; ++i) {
      Bytes opened(plains[i].size());
      ASSERT_TRUE(aead->open(aads[i], ciphers[i], seals[i], opened).ok());
      EXPECT_EQ(opened, plains[i]);
      nonces.insert(Bytes(seals[i].begin(), seals[i].begin() + kNonceSize));
    }
    sealed += count;
  }
  EXPECT_EQ(nonces.size(), sealed);
}

TEST_P(AeadTest, ServesManyThreadsAtOnce) {
  const auto aead = aead_of(Key::random());
  std::vector<std::thread> threads;
  for (int t = 0; t < 6; ++t)
    threads.emplace_back([&] {
      const Bytes plain = random_bytes(3000), aad = random_bytes(20);
      Bytes cipher(plain.size()), seal(kSealSize), opened(plain.size());
      for (int i = 0; i < 300; ++i) {
        ASSERT_TRUE(aead->seal(aad, plain, cipher, seal).ok());
        ASSERT_TRUE(aead->open(aad, cipher, seal, opened).ok());
        ASSERT_EQ(opened, plain);
        seal[13] ^= 1;
        ASSERT_FALSE(aead->open(aad, cipher, seal, opened).ok());
      }
    });
  for (auto& thread : threads) thread.join();
}

INSTANTIATE_TEST_SUITE_P(Libraries, AeadTest, testing::ValuesIn(libraries()), [](const auto& named) {
  std::string name(library_name(named.param->name()));
  std::erase(name, '-');
  return name;
});

// Random sizes and contents through all libraries, each opening what another sealed.
TEST(AeadLibraries, AgreeOnRandomInput) {
  const auto found = libraries();
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (int round = 0; round < 1000; ++round) {
    const Key key = Key::random();
    const Bytes plain = random_bytes(random() % 3000), aad = random_bytes(random() % 100);
    GcmNonce nonce;
    fill_random(nonce);
    std::set<Bytes> answers;
    for (const auto& library : found) {
      Bytes answer(plain.size());
      GcmTag tag{};
      ASSERT_TRUE(library->make(key)->encrypt(nonce, aad, plain, answer, tag).ok());
      answer.insert(answer.end(), tag.begin(), tag.end());
      answers.insert(std::move(answer));
    }
    ASSERT_EQ(answers.size(), 1U);
  }
}

}  // namespace
}  // namespace coffer
