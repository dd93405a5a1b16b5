#pragma once

#include "crypto/gcm.h"

namespace coffer {

// What copies and encrypts nothing, to measure what encryption costs. In no build but that of -Dcopy_cipher=true.
std::shared_ptr<const GcmLibrary> copy_gcm(AeadLibrary name);

}  // namespace coffer
