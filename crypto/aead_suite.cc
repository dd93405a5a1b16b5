#include "crypto/aead_suite.h"

#include <cstdlib>

#include "crypto/gcm.h"

#ifdef COFFER_COPY_CIPHER
#include "crypto/aead_copy.h"
#endif

namespace coffer {
namespace {

// As COFFER_AEAD names them.
std::string_view short_name(AeadLibrary library) {
  switch (library) {
    case AeadLibrary::kIpsecMb: return "ipsec-mb";
    case AeadLibrary::kOpenSsl: return "openssl";
    case AeadLibrary::kSodium: return "libsodium";
  }
  return "";
}

// Whether a comma-separated list holds the word.
bool lists(std::string_view list, std::string_view word) {
  while (!list.empty()) {
    const auto comma = list.find(',');
    if (list.substr(0, comma) == word) return true;
    if (comma == std::string_view::npos) return false;
    list.remove_prefix(comma + 1);
  }
  return false;
}

}  // namespace

std::string_view library_name(AeadLibrary library) {
  switch (library) {
    case AeadLibrary::kIpsecMb: return "IPSec-MB";
    case AeadLibrary::kOpenSsl: return "OpenSSL";
    case AeadLibrary::kSodium: return "libsodium";
  }
  return "";
}

AeadSuite::AeadSuite(std::vector<std::shared_ptr<const GcmLibrary>> libraries) : libraries_(std::move(libraries)) {
  for (const auto& library : libraries_) usable_.push_back(library->name());
}

Result<AeadSuite> AeadSuite::detect() {
#ifdef COFFER_COPY_CIPHER
  return AeadSuite({copy_gcm(AeadLibrary::kOpenSsl), copy_gcm(AeadLibrary::kSodium)});
#endif
  const char* wanted = std::getenv("COFFER_AEAD");
  std::vector<std::shared_ptr<const GcmLibrary>> passed;
  for (auto found : {&ipsec_mb_gcm, &openssl_gcm, &sodium_gcm}) {
    std::shared_ptr<const GcmLibrary> library = found();
    if (!library || (wanted != nullptr && !lists(wanted, short_name(library->name())))) continue;
    if (passes_self_test(*library)) passed.push_back(std::move(library));
  }
  if (passed.empty()) {
    const std::string narrowed = wanted != nullptr ? " among COFFER_AEAD=" + std::string(wanted) : "";
    return Error{Code::kUnsupported, "no AES-256-GCM library passes its self-test here" + narrowed};
  }
  return AeadSuite(std::move(passed));
}

std::unique_ptr<Aead> AeadSuite::single(const Key& key) const { return make_aead(libraries_[0]->make(key)); }

std::unique_ptr<Aead> AeadSuite::twice(const Key& inner, const Key& outer) const {
  const GcmLibrary& second = *libraries_[can_double() ? 1 : 0];
  return make_double_aead(single(inner), make_aead(second.make(outer)),
                          can_double() ? Sealing::kAllowed : Sealing::kRefused);
}

std::string AeadSuite::describe() const {
#ifdef COFFER_COPY_CIPHER
  return "NO ENCRYPTION: this program was built to be measured";
#endif
  const std::string first = "AES-256-GCM by " + std::string(library_name(usable_[0]));
  if (!can_double()) return first + "; DSSE refused: it takes two libraries, and no other passed its self-test";
  return first + "; DSSE outer layer by " + std::string(library_name(usable_[1]));
}

}  // namespace coffer
