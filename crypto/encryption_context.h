#pragma once

#include "base/bytes.h"
#include "base/kms_key.h"
#include "base/result.h"

namespace coffer {

// The context's own name for what a data key is for: an object's ARN, or a bucket's under a Bucket Key.
inline constexpr std::string_view kContextArn = "aws:s3:arn";

// The one encoding of a context, for AADs and cache keys (docs/FORMAT.md, "Encryption context"): u16 count, then the
// pairs in the order of their names' bytes, each text with a u16 length. The context has passed check_context.
Bytes encode_context(const EncryptionContext& context);

// kInvalidArgument above kContextSizeMax.
Status check_context(const EncryptionContext& context);

}  // namespace coffer
