#include "crypto/aead.h"

#include <algorithm>
#include <array>
#include <cassert>

#include "crypto/gcm.h"

namespace coffer {
namespace {

static_assert(sizeof(std::array<GcmNonce, 2>) == 2 * kNonceSize);  // a run's nonces are filled at once

class SingleAead final : public Aead {
 public:
  explicit SingleAead(std::unique_ptr<Gcm> gcm) : gcm_(std::move(gcm)) {}

  std::size_t seal_size() const override { return kSealSize; }

  Status seal(BytesView aad, BytesView plain, MutableBytes cipher, MutableBytes seal) const override {
    GcmNonce nonce;
    fill_random(nonce);
    return seal_with(nonce, {aad, plain, cipher, seal});
  }

  Status seal_run(std::span<const SealJob> run) const override {
    std::array<GcmNonce, kSealRunStep> nonces;
    while (!run.empty()) {
      const auto step = run.first(std::min(run.size(), kSealRunStep));
      fill_random({nonces[0].data(), step.size() * kNonceSize});
      for (std::size_t i = 0; i < step.size(); ++i) COFFER_TRY(seal_with(nonces[i], step[i]));
      run = run.subspan(step.size());
    }
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
  Status seal_with(const GcmNonce& nonce, const SealJob& job) const {
    assert(job.cipher.size() == job.plain.size() && job.seal.size() == kSealSize);
    GcmTag tag{};
    COFFER_TRY(gcm_->encrypt(nonce, job.aad, job.plain, job.cipher, tag));
    std::copy(tag.begin(), tag.end(), std::copy(nonce.begin(), nonce.end(), job.seal.begin()));
    return {};
  }

  std::unique_ptr<Gcm> gcm_;
};

}  // namespace

std::unique_ptr<Aead> make_aead(std::unique_ptr<Gcm> gcm) { return std::make_unique<SingleAead>(std::move(gcm)); }

Status Aead::seal_run(std::span<const SealJob> run) const {
  for (const SealJob& job : run) COFFER_TRY(seal(job.aad, job.plain, job.cipher, job.seal));
  return {};
}

}  // namespace coffer
