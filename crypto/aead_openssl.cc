#include <openssl/evp.h>

#include <cassert>
#include <climits>
#include <mutex>

#include "crypto/gcm.h"

namespace coffer {
namespace {

struct FreeCipher {
  void operator()(EVP_CIPHER* cipher) const { EVP_CIPHER_free(cipher); }
};
// EVP keeps its contexts in memory of its own: not locked, but cleansed when freed.
struct FreeContext {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using Cipher = std::shared_ptr<EVP_CIPHER>;
using Context = std::unique_ptr<EVP_CIPHER_CTX, FreeContext>;

constexpr std::size_t kIdleContextsMax = 4;  // of one key: as many threads as seal one object at a time

Error refused() { return {Code::kIo, "OpenSSL refused an AES-256-GCM operation"}; }

int as_int(std::size_t size) {
  assert(size <= INT_MAX);
  return static_cast<int>(size);
}

// A context keyed once serves many calls, one at a time: idle ones wait here.
class OpenSslGcm final : public Gcm {
 public:
  OpenSslGcm(Cipher cipher, const Key& key) : cipher_(std::move(cipher)), key_(key.duplicate()) {}

  Status encrypt(const GcmNonce& nonce, BytesView aad, BytesView in, MutableBytes out, GcmTag& tag) const override {
    Context context = take();
    if (!context || !run(context.get(), /*encrypting=*/1, nonce, aad, in, out)) return refused();
    int written = 0;
    if (EVP_CipherFinal_ex(context.get(), tag.data(), &written) != 1 ||
        EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_GET_TAG, kTagSize, tag.data()) != 1)
      return refused();
    give_back(std::move(context));
    return {};
  }

  Status decrypt(const GcmNonce& nonce, BytesView aad, BytesView in, const GcmTag& tag,
                 MutableBytes out) const override {
    Context context = take();
    if (!context || !run(context.get(), /*encrypting=*/0, nonce, aad, in, out)) return refused();
    GcmTag expected = tag, unused;
    int written = 0;
    if (EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_SET_TAG, kTagSize, expected.data()) != 1) return refused();
    const bool authentic = EVP_CipherFinal_ex(context.get(), unused.data(), &written) == 1;
    give_back(std::move(context));
    if (!authentic) return Error{Code::kDamaged, "sealed bytes do not authenticate"};
    return {};
  }

 private:
  static bool run(EVP_CIPHER_CTX* context, int encrypting, const GcmNonce& nonce, BytesView aad, BytesView in,
                  MutableBytes out) {
    int written = 0;
    if (EVP_CipherInit_ex2(context, nullptr, nullptr, nonce.data(), encrypting, nullptr) != 1) return false;
    if (!aad.empty() && EVP_CipherUpdate(context, nullptr, &written, aad.data(), as_int(aad.size())) != 1) return false;
    return in.empty() || EVP_CipherUpdate(context, out.data(), &written, in.data(), as_int(in.size())) == 1;
  }

  Context take() const {
    {
      std::lock_guard lock(mutex_);
      if (!idle_.empty()) {
        Context context = std::move(idle_.back());
        idle_.pop_back();
        return context;
      }
    }
    Context context(EVP_CIPHER_CTX_new());
    if (!context || EVP_CipherInit_ex2(context.get(), cipher_.get(), key_.view().data(), nullptr, 1, nullptr) != 1)
      return {};
    return context;
  }

  void give_back(Context context) const {
    std::lock_guard lock(mutex_);
    if (idle_.size() < kIdleContextsMax) idle_.push_back(std::move(context));
  }

  const Cipher cipher_;
  const Key key_;
  mutable std::mutex mutex_;  // guards idle_
  mutable std::vector<Context> idle_;
};

class OpenSsl final : public GcmLibrary {
 public:
  explicit OpenSsl(Cipher cipher) : cipher_(std::move(cipher)) {}
  AeadLibrary name() const override { return AeadLibrary::kOpenSsl; }
  std::unique_ptr<Gcm> make(const Key& key) const override { return std::make_unique<OpenSslGcm>(cipher_, key); }

 private:
  Cipher cipher_;  // fetched once: finding it by name costs more than a small seal
};

}  // namespace

std::shared_ptr<const GcmLibrary> openssl_gcm() {
  Cipher cipher(EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr), FreeCipher{});
  if (!cipher) return nullptr;
  return std::make_shared<OpenSsl>(std::move(cipher));
}

}  // namespace coffer
