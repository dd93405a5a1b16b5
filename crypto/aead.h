#pragma once

#include <memory>

#include "base/bytes.h"
#include "base/result.h"

namespace coffer {

inline constexpr std::size_t kNonceSize = 12;
inline constexpr std::size_t kTagSize = 16;
inline constexpr std::size_t kSealSize = kNonceSize + kTagSize;  // nonce, then tag; per layer

// Authenticated encryption, detached: the ciphertext is as long as the plaintext, and the seal (nonce and tag of each
// layer, inner layer first) goes wherever the caller keeps it. AES-256-GCM, SP 800-38D. Holds its key; picks its own
// nonce with getrandom at the moment of sealing. Thread-safe. plain and cipher may be the same bytes, or not overlap.
class Aead {
 public:
  virtual ~Aead() = default;

  virtual std::size_t seal_size() const = 0;  // 28 per layer

  // cipher.size() == plain.size(), seal.size() == seal_size(), asserted.
  virtual Status seal(BytesView aad, BytesView plain, MutableBytes cipher, MutableBytes seal) const = 0;

  // kDamaged unless all of aad, cipher and seal are what was sealed; plain is all zeros then.
  virtual Status open(BytesView aad, BytesView cipher, BytesView seal, MutableBytes plain) const = 0;
};

}  // namespace coffer
