#pragma once

#include "admin/json_rpc.h"
#include "admin/sigv4.h"
#include "base/result.h"

namespace coffer {

// The one translation of Code to KMS's exceptions (KMS API reference, "Common errors"; KMS-02, KMS-03).
JsonError to_kms(const Error& error);

// The one translation of a refused signature to the words of AWS's JSON services.
JsonError to_json_error(const AuthFailure& failure);

}  // namespace coffer
