#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace coffer {

std::string hex(BytesView bytes);  // lower case
std::optional<Bytes> unhex(std::string_view text);  // either case; nothing if it is not whole bytes of hex

std::string base64(BytesView bytes);  // RFC 4648 section 4, padded
std::optional<Bytes> unbase64(std::string_view text);  // strict: padded, no blanks, no stray bits

// RFC 3986 percent-encoding as SigV4 wants it: all but A-Z a-z 0-9 - . _ ~ become %XX.
enum class Slash { kKeep, kEncode };
std::string percent_encode(std::string_view text, Slash slash);
std::optional<std::string> percent_decode(std::string_view text);

}  // namespace coffer
