#pragma once

#include <span>

#include "crypto/aead.h"

namespace coffer {

// One of the seals of a run, with the shapes of Aead::seal.
struct SealJob {
  BytesView aad, plain;
  MutableBytes cipher, seal;
};

// The nonces of so many seals come from one getrandom: drawn when they are used, kept by nobody. As many as one write of
// 1 MiB has chunks; a getrandom costs as much as sealing 16 KiB.
inline constexpr std::size_t kSealRunStep = 64;

// What an Aead can besides: seal many at once for less.
class RunSealer {
 public:
  virtual ~RunSealer() = default;
  virtual Status seal_run(std::span<const SealJob> run) const = 0;
};

// aead.seal() of each. No job's bytes overlap another's. After a failure none of the run counts as sealed.
Status seal_run(const Aead& aead, std::span<const SealJob> run);

}  // namespace coffer
