#include <cassert>

#include "crypto/gcm.h"

namespace coffer {
namespace {

constexpr std::uint8_t kOuterLayer = 1;

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
    if (sealing_ == Sealing::kRefused)
      return Error{Code::kUnsupported,
                   "two layers need two AES-256-GCM libraries, and one alone works on this machine"};
    const MutableBytes inner_seal = seal.first(inner_->seal_size());
    COFFER_TRY(inner_->seal(aad, plain, cipher, inner_seal));
    return outer_->seal(outer_aad(aad, inner_seal), cipher, cipher, seal.subspan(inner_seal.size()));
  }

  Status open(BytesView aad, BytesView cipher, BytesView seal, MutableBytes plain) const override {
    assert(seal.size() == seal_size());
    const BytesView inner_seal = seal.first(inner_->seal_size());
    COFFER_TRY(outer_->open(outer_aad(aad, inner_seal), cipher, seal.subspan(inner_seal.size()), plain));
    return inner_->open(aad, plain, inner_seal, plain);
  }

 private:
  std::unique_ptr<Aead> inner_, outer_;
  Sealing sealing_;
};

}  // namespace

std::unique_ptr<Aead> make_double_aead(std::unique_ptr<Aead> inner, std::unique_ptr<Aead> outer, Sealing sealing) {
  return std::make_unique<DoubleAead>(std::move(inner), std::move(outer), sealing);
}

}  // namespace coffer
