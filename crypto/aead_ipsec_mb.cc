#include "crypto/gcm.h"

#ifdef COFFER_IPSEC_MB
// Without its old names, macros as short as SHA1, which is a function of OpenSSL's.
#define NO_COMPAT_IMB_API_053
#include <intel-ipsec-mb.h>

#include "crypto/locked_memory.h"
#endif

namespace coffer {
#ifdef COFFER_IPSEC_MB
namespace {

// The functions the library chose for this processor. They keep no state of their own.
struct Functions {
  aes_gcm_pre_t expand;
  aes_gcm_enc_dec_t encrypt, decrypt;
};

class IpsecMbGcm final : public Gcm {
 public:
  IpsecMbGcm(const Functions& functions, const Key& key) : functions_(functions) {
    functions_.expand(key.view().data(), state_.get());
  }

  Status encrypt(const GcmNonce& nonce, BytesView aad, BytesView in, MutableBytes out, GcmTag& tag) const override {
    run(functions_.encrypt, nonce, aad, in, out, tag);
    return {};
  }

  Status decrypt(const GcmNonce& nonce, BytesView aad, BytesView in, const GcmTag& tag,
                 MutableBytes out) const override {
    GcmTag computed{};  // the library leaves the comparison to us
    run(functions_.decrypt, nonce, aad, in, out, computed);
    const bool authentic = equal_constant_time(computed, tag);
    wipe(computed);  // of a forgery, it would be the tag that fits
    if (!authentic) return Error{Code::kDamaged, "sealed bytes do not authenticate"};
    return {};
  }

 private:
  void run(aes_gcm_enc_dec_t function, const GcmNonce& nonce, BytesView aad, BytesView in, MutableBytes out,
           GcmTag& tag) const {
    gcm_context_data context;
    std::uint8_t nothing = 0;  // the library refuses null pointers, also to no bytes
    function(state_.get(), &context, in.empty() ? &nothing : out.data(), in.empty() ? &nothing : in.data(), in.size(),
             nonce.data(), aad.empty() ? &nothing : aad.data(), aad.size(), tag.data(), tag.size());
    wipe({reinterpret_cast<std::uint8_t*>(&context), sizeof(context)});  // it ends with a block of key stream
  }

  const Functions functions_;
  Locked<gcm_key_data> state_;
};

class IpsecMb final : public GcmLibrary {
 public:
  explicit IpsecMb(const Functions& functions) : functions_(functions) {}
  AeadLibrary name() const override { return AeadLibrary::kIpsecMb; }
  std::unique_ptr<Gcm> make(const Key& key) const override { return std::make_unique<IpsecMbGcm>(functions_, key); }

 private:
  Functions functions_;
};

}  // namespace

std::shared_ptr<const GcmLibrary> ipsec_mb_gcm() {
  const std::unique_ptr<IMB_MGR, decltype(&free_mb_mgr)> manager(alloc_mb_mgr(0), &free_mb_mgr);
  if (!manager) return nullptr;
  init_mb_mgr_auto(manager.get(), nullptr);
  constexpr std::uint64_t kWanted = IMB_FEATURE_VAES | IMB_FEATURE_VPCLMULQDQ | IMB_FEATURE_AVX512_SKX;
  if ((manager->features & kWanted) != kWanted) return nullptr;  // without them OpenSSL is as fast
  if ((manager->features & IMB_FEATURE_SELF_TEST) != 0 && (manager->features & IMB_FEATURE_SELF_TEST_PASS) == 0)
    return nullptr;
  return std::make_shared<IpsecMb>(Functions{manager->gcm256_pre, manager->gcm256_enc, manager->gcm256_dec});
}
#else
std::shared_ptr<const GcmLibrary> ipsec_mb_gcm() { return nullptr; }
#endif

}  // namespace coffer
