#pragma once

#include <array>
#include <memory>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "crypto/aead.h"
#include "crypto/aead_suite.h"
#include "crypto/key.h"

namespace coffer {

using GcmNonce = std::array<std::uint8_t, kNonceSize>;
using GcmTag = std::array<std::uint8_t, kTagSize>;

// AES-256-GCM under one key as one library does it, with the nonce as an argument: below Aead, which alone may choose
// nonces. Thread-safe. in and out are as long as each other; the same bytes, or apart.
class Gcm {
 public:
  virtual ~Gcm() = default;
  virtual Status encrypt(const GcmNonce& nonce, BytesView aad, BytesView in, MutableBytes out, GcmTag& tag) const = 0;
  // kDamaged when the tag does not fit; out is unspecified then, and its caller's to clear.
  virtual Status decrypt(const GcmNonce& nonce, BytesView aad, BytesView in, const GcmTag& tag,
                         MutableBytes out) const = 0;
};

// A library that can make Gcms on this processor.
class GcmLibrary {
 public:
  virtual ~GcmLibrary() = default;
  virtual AeadLibrary name() const = 0;
  virtual std::unique_ptr<Gcm> make(const Key& key) const = 0;
};

// Nothing where the library, or the processor for it, is missing.
std::shared_ptr<const GcmLibrary> openssl_gcm();
std::shared_ptr<const GcmLibrary> sodium_gcm();
std::shared_ptr<const GcmLibrary> ipsec_mb_gcm();

// Whether the library reproduces known answers, short and long, and refuses a changed tag.
bool passes_self_test(const GcmLibrary& library);

// The Aead over one Gcm: a fresh nonce of getrandom for each seal.
std::unique_ptr<Aead> make_aead(std::unique_ptr<Gcm> gcm);

// What DSSE is: the outer Aead seals the inner's ciphertext, with the inner nonce and tag in its AAD. Where one library
// would have to seal both layers, sealing is refused with kUnsupported, and opening works all the same.
enum class Sealing { kAllowed, kRefused };
std::unique_ptr<Aead> make_double_aead(std::unique_ptr<Aead> inner, std::unique_ptr<Aead> outer, Sealing sealing);

}  // namespace coffer
