#include <algorithm>
#include <array>
#include <cassert>

#include "crypto/gcm.h"

namespace coffer {
namespace {

constexpr std::uint8_t kOuterLayer = 1;
constexpr std::size_t kLayerStep = 16;  // of 16 KiB: still in the processor's cache when the outer layer comes to them

// The caller's AAD || 1 || the inner seal: an outer layer fits one inner layer only.
Bytes outer_aad(BytesView aad, BytesView inner_seal) {
  Bytes bytes;
  bytes.reserve(aad.size() + 1 + inner_seal.size());
  bytes.insert(bytes.end(), aad.begin(), aad.end());
  bytes.push_back(kOuterLayer);
  bytes.insert(bytes.end(), inner_seal.begin(), inner_seal.end());
  return bytes;
}

class DoubleAead final : public Aead {
 public:
  DoubleAead(std::unique_ptr<Aead> inner, std::unique_ptr<Aead> outer, Sealing sealing)
      : inner_(std::move(inner)), outer_(std::move(outer)), sealing_(sealing) {}

  std::size_t seal_size() const override { return inner_->seal_size() + outer_->seal_size(); }

  Status seal(BytesView aad, BytesView plain, MutableBytes cipher, MutableBytes seal) const override {
    assert(seal.size() == seal_size());
    if (sealing_ == Sealing::kRefused) return refused();
    const MutableBytes inner_seal = seal.first(inner_->seal_size());
    COFFER_TRY(inner_->seal(aad, plain, cipher, inner_seal));
    return outer_->seal(outer_aad(aad, inner_seal), cipher, cipher, seal.subspan(inner_seal.size()));
  }

  Status seal_run(std::span<const SealJob> run) const override {
    if (sealing_ == Sealing::kRefused) return refused();
    std::array<Bytes, kLayerStep> aads;
    std::array<SealJob, kLayerStep> jobs;
    while (!run.empty()) {
      const auto step = run.first(std::min(run.size(), kLayerStep));
      const auto layer = std::span(jobs).first(step.size());
      for (std::size_t i = 0; i < step.size(); ++i) {
        assert(step[i].seal.size() == seal_size());
        layer[i] = step[i];
        layer[i].seal = step[i].seal.first(inner_->seal_size());
      }
      COFFER_TRY(inner_->seal_run(layer));
      for (std::size_t i = 0; i < step.size(); ++i) {
        aads[i] = outer_aad(step[i].aad, layer[i].seal);
        layer[i] = {aads[i], step[i].cipher, step[i].cipher, step[i].seal.subspan(layer[i].seal.size())};
      }
      COFFER_TRY(outer_->seal_run(layer));
      run = run.subspan(step.size());
    }
    return {};
  }

  Status open(BytesView aad, BytesView cipher, BytesView seal, MutableBytes plain) const override {
    assert(seal.size() == seal_size());
    const BytesView inner_seal = seal.first(inner_->seal_size());
    COFFER_TRY(outer_->open(outer_aad(aad, inner_seal), cipher, seal.subspan(inner_seal.size()), plain));
    return inner_->open(aad, plain, inner_seal, plain);
  }

 private:
  static Error refused() {
    return {Code::kUnsupported, "two layers need two AES-256-GCM libraries, and one alone works on this machine"};
  }

  std::unique_ptr<Aead> inner_, outer_;
  Sealing sealing_;
};

}  // namespace

std::unique_ptr<Aead> make_double_aead(std::unique_ptr<Aead> inner, std::unique_ptr<Aead> outer, Sealing sealing) {
  return std::make_unique<DoubleAead>(std::move(inner), std::move(outer), sealing);
}

}  // namespace coffer
