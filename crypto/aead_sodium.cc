#include <sodium.h>

#include "crypto/gcm.h"
#include "crypto/locked_memory.h"

namespace coffer {
namespace {

class SodiumGcm final : public Gcm {
 public:
  explicit SodiumGcm(const Key& key) { crypto_aead_aes256gcm_beforenm(state_.get(), key.view().data()); }

  Status encrypt(const GcmNonce& nonce, BytesView aad, BytesView in, MutableBytes out, GcmTag& tag) const override {
    std::uint8_t nothing = 0;  // libsodium declares its pointers never null, also to no bytes
    crypto_aead_aes256gcm_encrypt_detached_afternm(out.empty() ? &nothing : out.data(), tag.data(), nullptr, in.data(),
                                                   in.size(), aad.data(), aad.size(), nullptr, nonce.data(),
                                                   state_.get());
    return {};
  }

  Status decrypt(const GcmNonce& nonce, BytesView aad, BytesView in, const GcmTag& tag,
                 MutableBytes out) const override {
    std::uint8_t nothing = 0;
    if (crypto_aead_aes256gcm_decrypt_detached_afternm(out.data(), nullptr, in.empty() ? &nothing : in.data(),
                                                       in.size(), tag.data(), aad.data(), aad.size(), nonce.data(),
                                                       state_.get()) != 0)
      return Error{Code::kDamaged, "sealed bytes do not authenticate"};
    return {};
  }

 private:
  Locked<crypto_aead_aes256gcm_state> state_;
};

class Sodium final : public GcmLibrary {
 public:
  AeadLibrary name() const override { return AeadLibrary::kSodium; }
  std::unique_ptr<Gcm> make(const Key& key) const override { return std::make_unique<SodiumGcm>(key); }
};

}  // namespace

std::shared_ptr<const GcmLibrary> sodium_gcm() {
  if (sodium_init() < 0 || crypto_aead_aes256gcm_is_available() == 0) return nullptr;  // needs AES-NI and PCLMUL
  return std::make_shared<Sodium>();
}

}  // namespace coffer
