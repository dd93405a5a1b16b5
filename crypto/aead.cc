#include "crypto/aead.h"

#include <algorithm>
#include <cassert>

#include "crypto/gcm.h"

namespace coffer {
namespace {

class SingleAead final : public Aead {
 public:
  explicit SingleAead(std::unique_ptr<Gcm> gcm) : gcm_(std::move(gcm)) {}

  std::size_t seal_size() const override { return kSealSize; }

  Status seal(BytesView aad, BytesView plain, MutableBytes cipher, MutableBytes seal) const override {
    assert(cipher.size() == plain.size() && seal.size() == kSealSize);
    GcmNonce nonce;
    GcmTag tag{};
    fill_random(nonce);
    COFFER_TRY(gcm_->encrypt(nonce, aad, plain, cipher, tag));
    std::copy(tag.begin(), tag.end(), std::copy(nonce.begin(), nonce.end(), seal.begin()));
    return {};
  }

  Status open(BytesView aad, BytesView cipher, BytesView seal, MutableBytes plain) const override {
    assert(cipher.size() == plain.size() && seal.size() == kSealSize);
    GcmNonce nonce;
    GcmTag tag;
    std::copy_n(seal.begin(), kNonceSize, nonce.begin());
    std::copy_n(seal.begin() + kNonceSize, kTagSize, tag.begin());
    Status opened = gcm_->decrypt(nonce, aad, cipher, tag, plain);
    if (!opened.ok()) wipe(plain);
    return opened;
  }

 private:
  std::unique_ptr<Gcm> gcm_;
};

}  // namespace

std::unique_ptr<Aead> make_aead(std::unique_ptr<Gcm> gcm) { return std::make_unique<SingleAead>(std::move(gcm)); }

}  // namespace coffer
