#pragma once

#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "base/secret_bytes.h"

namespace coffer {

// A caller's end of ImportKeyMaterial.

// A file of 32 raw bytes. kInvalidArgument for any other.
Result<SecretBytes> read_material(const std::string& path);

// RSAES_OAEP_SHA_256 under the public key that GetParametersForImport gave (DER). kIo when it is none.
Result<Bytes> wrap_for_import(BytesView public_key, BytesView material);

}  // namespace coffer
