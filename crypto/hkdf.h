#pragma once

#include <cstddef>
#include <span>

#include "base/bytes.h"

namespace coffer {

// The hash under HMAC and HKDF. Coffer uses SHA-384; SHA-256 is there because published vectors are made with it.
enum class Hash { kSha256, kSha384 };
std::size_t hash_size(Hash hash);

// HMAC, RFC 2104. mac.size() is at most hash_size(hash), asserted: the first bytes of the MAC.
void hmac(Hash hash, BytesView key, BytesView message, MutableBytes mac);

Bytes sha384(BytesView message);

// HKDF, RFC 5869: extract with salt, expand with info. out.size() is at most 255 times hash_size(hash), asserted.
void hkdf(Hash hash, BytesView input, BytesView salt, BytesView info, MutableBytes out);

// Several of one input: the first half of the work is done once.
struct Expansion {
  BytesView info;
  MutableBytes out;
};
void hkdf(Hash hash, BytesView input, BytesView salt, std::span<const Expansion> expansions);

}  // namespace coffer
