#include <gtest/gtest.h>

#include "crypto/gcm.h"

namespace coffer {
namespace {

// A Gcm that notes in a trace which library sealed or opened.
class TracedGcm final : public Gcm {
 public:
  TracedGcm(std::unique_ptr<Gcm> gcm, std::string name, std::vector<std::string>& trace)
      : gcm_(std::move(gcm)), name_(std::move(name)), trace_(trace) {}
  Status encrypt(const GcmNonce& nonce, BytesView aad, BytesView in, MutableBytes out, GcmTag& tag) const override {
    trace_.push_back("seal by " + name_);
    return gcm_->encrypt(nonce, aad, in, out, tag);
  }
  Status decrypt(const GcmNonce& nonce, BytesView aad, BytesView in, const GcmTag& tag,
                 MutableBytes out) const override {
    trace_.push_back("open by " + name_);
    return gcm_->decrypt(nonce, aad, in, tag, out);
  }

 private:
  std::unique_ptr<Gcm> gcm_;
  std::string name_;
  std::vector<std::string>& trace_;
};

class DoubleAeadTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!openssl_gcm() || !sodium_gcm()) GTEST_SKIP() << "two AES-GCM libraries are needed, and this processor has one";
    dsse = make_double_aead(by(*openssl_gcm(), inner_key), by(*sodium_gcm(), outer_key), Sealing::kAllowed);
    cipher.resize(plain.size());
    seal.resize(dsse->seal_size());
    ASSERT_TRUE(dsse->seal(aad, plain, cipher, seal).ok());
  }
  static std::unique_ptr<Aead> by(const GcmLibrary& library, const Key& key) { return make_aead(library.make(key)); }

  Bytes inner_seal() const { return {seal.begin(), seal.begin() + kSealSize}; }
  Bytes outer_seal() const { return {seal.begin() + kSealSize, seal.end()}; }
  Bytes outer_aad() const {
    Bytes bytes = aad;
    bytes.push_back(1);
    bytes.insert(bytes.end(), seal.begin(), seal.begin() + kSealSize);
    return bytes;
  }

  Key inner_key = Key::random(), outer_key = Key::random();
  Bytes aad = Bytes(50, 8), plain = Bytes(5000, 'p');
  std::unique_ptr<Aead> dsse;
  Bytes cipher, seal;
};

TEST_F(DoubleAeadTest, OpensWhatItSealedApartAndInPlace) {
  Bytes opened(plain.size());
  ASSERT_TRUE(dsse->open(aad, cipher, seal, opened).ok());
  EXPECT_EQ(opened, plain);
  ASSERT_TRUE(dsse->open(aad, cipher, seal, cipher).ok());
  EXPECT_EQ(cipher, plain);
  ASSERT_TRUE(dsse->seal(aad, cipher, cipher, seal).ok());
  ASSERT_TRUE(dsse->open(aad, cipher, seal, cipher).ok());
  EXPECT_EQ(cipher, plain);
}

TEST_F(DoubleAeadTest, ARunIsSealedUnderBothLayersAndOpensChunkByChunk) {
  constexpr std::size_t kCount = 2 * kSealRunStep + 1;
  std::vector<Bytes> plains, ciphers, seals;
  for (std::size_t i = 0; i < kCount; ++i) {
    plains.emplace_back(1000 + i, static_cast<std::uint8_t>(i));
    ciphers.emplace_back(plains[i].size());
    seals.emplace_back(dsse->seal_size());
  }
  std::vector<SealJob> run;
  for (std::size_t i = 0; i < kCount; ++i) run.push_back({aad, plains[i], ciphers[i], seals[i]});
  ASSERT_TRUE(dsse->seal_run(run).ok());
  for (std::size_t i = 0; i < kCount; ++i) {
    Bytes opened(plains[i].size());
    ASSERT_TRUE(dsse->open(aad, ciphers[i], seals[i], opened).ok());
    EXPECT_EQ(opened, plains[i]);
    const auto other = seals[(i + 1) % kCount];
    EXPECT_EQ(dsse->open(aad, ciphers[i], other, opened).code(), Code::kDamaged);
  }
}

TEST_F(DoubleAeadTest, WhereOneLibraryWouldSealBothLayersARunIsRefused) {
  const auto refusing = make_double_aead(by(*openssl_gcm(), inner_key), by(*openssl_gcm(), outer_key), Sealing::kRefused);
  const SealJob job{aad, plain, cipher, seal};
  EXPECT_EQ(refusing->seal_run({&job, 1}).code(), Code::kUnsupported);
}

// The outer layer removed with its own key: what is left is ciphertext that opens under the inner key alone.
TEST_F(DoubleAeadTest, WithTheOuterLayerRemovedOnlyTheInnerKeyOpens) {  // DSSE-01, 09
  Bytes inner_cipher(plain.size()), opened(plain.size());
  ASSERT_TRUE(by(*openssl_gcm(), outer_key)->open(outer_aad(), cipher, outer_seal(), inner_cipher).ok());
  EXPECT_NE(inner_cipher, plain);
  EXPECT_NE(inner_cipher, cipher);
  EXPECT_EQ(by(*openssl_gcm(), outer_key)->open(aad, inner_cipher, inner_seal(), opened).code(), Code::kDamaged);
  ASSERT_TRUE(by(*sodium_gcm(), inner_key)->open(aad, inner_cipher, inner_seal(), opened).ok());
  EXPECT_EQ(opened, plain);
}

// And the reverse: who has the inner key alone gets nothing past the outer layer.
TEST_F(DoubleAeadTest, TheInnerKeyAloneOpensNothing) {  // DSSE-09
  Bytes opened(plain.size(), 1);
  EXPECT_EQ(by(*openssl_gcm(), inner_key)->open(aad, cipher, inner_seal(), opened).code(), Code::kDamaged);
  EXPECT_EQ(opened, Bytes(plain.size(), 0));
  EXPECT_EQ(by(*openssl_gcm(), inner_key)->open(outer_aad(), cipher, outer_seal(), opened).code(), Code::kDamaged);
  for (const auto& [inner, outer] :
       {std::pair(&inner_key, &inner_key), std::pair(&outer_key, &outer_key), std::pair(&outer_key, &inner_key)}) {
    const auto wrong = make_double_aead(by(*openssl_gcm(), *inner), by(*sodium_gcm(), *outer), Sealing::kAllowed);
    EXPECT_EQ(wrong->open(aad, cipher, seal, opened).code(), Code::kDamaged);
    EXPECT_EQ(opened, Bytes(plain.size(), 0));
  }
}

TEST_F(DoubleAeadTest, EachLayerIsSealedByItsOwnLibrary) {  // DSSE-02, 09
  std::vector<std::string> trace;
  const auto traced = [&](const GcmLibrary& library, const Key& key) {
    return make_aead(std::make_unique<TracedGcm>(library.make(key), std::string(library_name(library.name())), trace));
  };
  const auto both =
      make_double_aead(traced(*openssl_gcm(), inner_key), traced(*sodium_gcm(), outer_key), Sealing::kAllowed);
  Bytes opened(plain.size());
  ASSERT_TRUE(both->seal(aad, plain, cipher, seal).ok());
  ASSERT_TRUE(both->open(aad, cipher, seal, opened).ok());
  EXPECT_EQ(trace,
            (std::vector<std::string>{"seal by OpenSSL", "seal by libsodium", "open by libsodium", "open by OpenSSL"}));
}

TEST_F(DoubleAeadTest, EveryChangedBitOfSealAndAadIsDamageAndLeavesZeros) {
  const auto refused = [&](const Bytes& some_aad, const Bytes& some_cipher, const Bytes& some_seal) {
    Bytes opened(plain.size(), 1);
    const Status status = dsse->open(some_aad, some_cipher, some_seal, opened);
    return !status.ok() && status.code() == Code::kDamaged && opened == Bytes(plain.size(), 0);
  };
  for (std::size_t bit = 0; bit < seal.size() * 8; ++bit) {
    Bytes changed = seal;
    changed[bit / 8] ^= static_cast<std::uint8_t>(1 << (bit % 8));
    ASSERT_TRUE(refused(aad, cipher, changed));
  }
  Bytes changed = aad;
  changed[0] ^= 1;
  EXPECT_TRUE(refused(changed, cipher, seal));
  changed = cipher;
  changed.back() ^= 1;
  EXPECT_TRUE(refused(aad, changed, seal));
}

// An outer layer names its inner seal: layers of two seals of the same bytes do not mix.
TEST_F(DoubleAeadTest, LayersOfTwoSealsDoNotMix) {
  Bytes other_cipher(plain.size()), other_seal(seal.size()), opened(plain.size());
  ASSERT_TRUE(dsse->seal(aad, plain, other_cipher, other_seal).ok());
  Bytes mixed = seal;
  std::copy(other_seal.begin(), other_seal.begin() + kSealSize, mixed.begin());
  EXPECT_EQ(dsse->open(aad, cipher, mixed, opened).code(), Code::kDamaged);
}

TEST_F(DoubleAeadTest, WhereOneLibraryWorksItOpensBothLayersAndSealsNone) {
  const auto alone = make_double_aead(by(*openssl_gcm(), inner_key), by(*openssl_gcm(), outer_key), Sealing::kRefused);
  Bytes opened(plain.size()), other_seal(seal.size());
  ASSERT_TRUE(alone->open(aad, cipher, seal, opened).ok());
  EXPECT_EQ(opened, plain);
  EXPECT_EQ(alone->seal(aad, plain, opened, other_seal).code(), Code::kUnsupported);
}

}  // namespace
}  // namespace coffer
