#pragma once

#include "base/result.h"
#include "base/secret_bytes.h"
#include "crypto/key.h"

namespace coffer {

// A recovery key as a person writes it down: Crockford's base32 of the key and of 3 bytes that tell a slip of the pen,
// 14 groups of 4 with '-' between (docs/FORMAT.md, "Unlock slots").
SecretBytes recovery_text(const Key& key);

// The same, as it was typed: in either case, with O for 0 and I or L for 1, with any blanks, hyphens and line ends between.
// kWrongUnlock, without a word of the text, when it is not one.
Result<Key> parse_recovery_text(BytesView text);

}  // namespace coffer
