#include "crypto/aead_copy.h"

#include <algorithm>

namespace coffer {
namespace {

class CopyGcm final : public Gcm {
 public:
  Status encrypt(const GcmNonce&, BytesView, BytesView in, MutableBytes out, GcmTag& tag) const override {
    tag = {};
    return copy(in, out);
  }
  Status decrypt(const GcmNonce&, BytesView, BytesView in, const GcmTag&, MutableBytes out) const override {
    return copy(in, out);
  }

 private:
  static Status copy(BytesView in, MutableBytes out) {
    if (in.data() != out.data()) std::copy(in.begin(), in.end(), out.begin());
    return {};
  }
};

class Copy final : public GcmLibrary {
 public:
  explicit Copy(AeadLibrary name) : name_(name) {}
  AeadLibrary name() const override { return name_; }
  std::unique_ptr<Gcm> make(const Key&) const override { return std::make_unique<CopyGcm>(); }

 private:
  const AeadLibrary name_;
};

}  // namespace

std::shared_ptr<const GcmLibrary> copy_gcm(AeadLibrary name) { return std::make_shared<Copy>(name); }

}  // namespace coffer
