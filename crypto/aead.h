#pragma once

#include <memory>
#include <span>

#include "base/bytes.h"
#include "base/result.h"

namespace coffer {

inline constexpr std::size_t kNonceSize = 12;
inline constexpr std::size_t kTagSize = 16;
inline constexpr std::size_t kSealSize = kNonceSize + kTagSize;  // nonce, then tag; per layer

// One of the seals of a run, with the shapes of Aead::seal.
struct SealJob {
  BytesView aad, plain;
  MutableBytes cipher, seal;
};

// The nonces of so many seals of a run come from one getrandom: drawn when they are used, kept by nobody. As many as one
// write of 1 MiB has chunks; a getrandom costs as much as sealing 16 KiB.
inline constexpr std::size_t kSealRunStep = 64;

// Authenticated encryption, detached: the ciphertext is as long as the plaintext, and the seal (nonce and tag of each
// layer, inner layer first) goes wherever the caller keeps it. AES-256-GCM, SP 800-38D. Holds its key; picks its own
// nonce with getrandom at the moment of sealing. Thread-safe. plain and cipher may be the same bytes, or not overlap.
class Aead {
 public:
  virtual ~Aead() = default;

  virtual std::size_t seal_size() const = 0;  // 28 per layer

  // cipher.size() == plain.size(), seal.size() == seal_size(), asserted.
  virtual Status seal(BytesView aad, BytesView plain, MutableBytes cipher, MutableBytes seal) const = 0;

  // seal() of each, for less. No job's bytes overlap another's. After a failure none of the run counts as sealed.
  virtual Status seal_run(std::span<const SealJob> run) const;

  // kDamaged unless all of aad, cipher and seal are what was sealed; plain is all zeros then.
  virtual Status open(BytesView aad, BytesView cipher, BytesView seal, MutableBytes plain) const = 0;
};

}  // namespace coffer
