#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "crypto/aead.h"
#include "crypto/key.h"

namespace coffer {

enum class AeadLibrary { kIpsecMb, kOpenSsl, kSodium };
std::string_view library_name(AeadLibrary library);

class GcmLibrary;  // crypto/gcm.h, for this room alone

// The libraries that passed their known-answer self-test on this machine, best first. Nothing stored depends on which:
// they all do AES-256-GCM, and an envelope never names one.
class AeadSuite {
 public:
  // Runs the self-tests. kUnsupported when none passes. COFFER_AEAD=openssl,libsodium in the environment narrows the
  // choice (tests and CI run that way too); it can never widen it.
  static Result<AeadSuite> detect();

  // IPSec-MB where the processor has VAES, else OpenSSL, else libsodium.
  std::unique_ptr<Aead> single(const Key& key) const;

  // Two unrelated keys, two different libraries. Refused (kUnsupported) where only one library passed, in the sealing
  // direction; to open, any library may serve both layers.
  bool can_double() const { return usable_.size() >= 2; }
  std::unique_ptr<Aead> twice(const Key& inner, const Key& outer) const;

  const std::vector<AeadLibrary>& usable() const { return usable_; }
  std::string describe() const;  // for logs and status: "AES-256-GCM by IPSec-MB; DSSE outer layer by OpenSSL"

 private:
  explicit AeadSuite(std::vector<std::shared_ptr<const GcmLibrary>> libraries);
  std::vector<std::shared_ptr<const GcmLibrary>> libraries_;
  std::vector<AeadLibrary> usable_;  // their names
};

}  // namespace coffer
