#include "crypto/hkdf.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

namespace coffer {
namespace {

struct FreeMac {
  void operator()(EVP_MAC_CTX* context) const { EVP_MAC_CTX_free(context); }  // cleanses what it holds of the key
};
using MacContext = std::unique_ptr<EVP_MAC_CTX, FreeMac>;

// OpenSSL fails here only without memory or without its default provider; no caller could go on without a hash.
void must(bool done) {
  if (done) return;
  std::fputs("coffer: OpenSSL refused an HMAC\n", stderr);
  std::abort();
}

MacContext make_template(const char* digest) {
  EVP_MAC* mac = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
  must(mac != nullptr);
  MacContext context(EVP_MAC_CTX_new(mac));
  EVP_MAC_free(mac);
  must(context != nullptr);
  const std::array<OSSL_PARAM, 2> params = {
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, const_cast<char*>(digest), 0),
      OSSL_PARAM_construct_end()};
  must(EVP_MAC_CTX_set_params(context.get(), params.data()) == 1);
  return context;
}

// Keyless contexts, copied per use: finding an algorithm by its name costs more than the HMAC itself.
const EVP_MAC_CTX* template_for(Hash hash) {
  static const MacContext sha256 = make_template("SHA256"), sha384 = make_template("SHA384");
  return hash == Hash::kSha256 ? sha256.get() : sha384.get();
}

// HMAC in pieces.
class Hmac {
 public:
  Hmac(Hash hash, BytesView key) : size_(hash_size(hash)), context_(EVP_MAC_CTX_dup(template_for(hash))) {
    // An empty key is a key (RFC 5869's default salt), but a null pointer would mean "keep the old one".
    static constexpr std::uint8_t kNothing = 0;
    must(context_ && EVP_MAC_init(context_.get(), key.empty() ? &kNothing : key.data(), key.size(), nullptr) == 1);
  }
  Hmac& add(BytesView bytes) {
    must(EVP_MAC_update(context_.get(), bytes.data(), bytes.size()) == 1);
    return *this;
  }
  // out holds hash_size bytes.
  void finish(std::uint8_t* out) {
    std::size_t written = 0;
    must(EVP_MAC_final(context_.get(), out, &written, size_) == 1 && written == size_);
  }

 private:
  std::size_t size_;
  MacContext context_;
};

}  // namespace

std::size_t hash_size(Hash hash) { return hash == Hash::kSha256 ? 32 : 48; }

void hmac(Hash hash, BytesView key, BytesView message, MutableBytes mac) {
  assert(mac.size() <= hash_size(hash));
  std::array<std::uint8_t, kHashSizeMax> whole;
  Hmac(hash, key).add(message).finish(whole.data());
  std::copy_n(whole.begin(), mac.size(), mac.begin());
  wipe(whole);
}

Bytes sha384(BytesView message) {
  Bytes digest(hash_size(Hash::kSha384));
  must(EVP_Digest(message.data(), message.size(), digest.data(), nullptr, EVP_sha384(), nullptr) == 1);
  return digest;
}

void hkdf(Hash hash, BytesView input, BytesView salt, BytesView info, MutableBytes out) {
  const std::size_t size = hash_size(hash);
  assert(out.size() <= 255 * size);
  std::array<std::uint8_t, kHashSizeMax> extracted, block;
  Hmac(hash, salt).add(input).finish(extracted.data());
  for (std::uint8_t counter = 1; !out.empty(); ++counter) {
    Hmac mac(hash, {extracted.data(), size});
    if (counter > 1) mac.add({block.data(), size});
    mac.add(info).add({&counter, 1}).finish(block.data());
    const std::size_t taken = std::min(size, out.size());
    std::copy_n(block.begin(), taken, out.begin());
    out = out.subspan(taken);
  }
  wipe(extracted);
  wipe(block);
}

}  // namespace coffer
