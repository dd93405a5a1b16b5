#pragma once

#include <cstddef>

#include "base/bytes.h"

namespace coffer {

// The hash under HMAC and HKDF. Coffer uses SHA-384; SHA-256 is there because published vectors are made with it.
enum class Hash { kSha256, kSha384 };
inline constexpr std::size_t kHashSizeMax = 48;
std::size_t hash_size(Hash hash);

// HMAC, RFC 2104. mac.size() is at most hash_size(hash), asserted: the first bytes of the MAC.
void hmac(Hash hash, BytesView key, BytesView message, MutableBytes mac);

Bytes sha384(BytesView message);

// HKDF, RFC 5869: extract with salt, expand with info. out.size() is at most 255 times hash_size(hash), asserted.
void hkdf(Hash hash, BytesView input, BytesView salt, BytesView info, MutableBytes out);

}  // namespace coffer
