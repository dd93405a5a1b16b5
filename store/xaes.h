#pragma once

#include <memory>
#include <mutex>

#include "crypto/aead_suite.h"
#include "crypto/key.h"

struct evp_cipher_ctx_st;

namespace coffer {

// XAES-256-GCM, C2SP/XAES-256-GCM: AES-256-GCM under a key derived from the first half of a 24-byte nonce, so that one
// key may seal for ever under random nonces. The seal is nonce (24), then tag (16). Thread-safe.
class Xaes {
 public:
  static constexpr std::size_t kXaesNonceSize = 24;
  static constexpr std::size_t kXaesSealSize = kXaesNonceSize + kTagSize;

  Xaes(const AeadSuite& suite, const Key& key);
  ~Xaes();

  // As Aead's.
  Status seal(BytesView aad, BytesView plain, MutableBytes cipher, MutableBytes seal) const;
  Status open(BytesView aad, BytesView cipher, BytesView seal, MutableBytes plain) const;

 private:
  Key key_for(BytesView nonce_half) const;
  void encrypt_block(MutableBytes block) const;

  AeadSuite suite_;
  mutable std::mutex mutex_;  // guards aes_
  evp_cipher_ctx_st* aes_;
  Key mask_;  // K1 of the specification, in its first 16 bytes
};

}  // namespace coffer
