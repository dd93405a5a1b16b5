#include "crypto/uuid.h"

#include <algorithm>

#include "base/encoding.h"
#include "base/names.h"
#include "crypto/key.h"

namespace coffer {

Uuid random_uuid() {
  Uuid uuid;
  fill_random(uuid);
  uuid[6] = static_cast<std::uint8_t>((uuid[6] & 0x0f) | 0x40);
  uuid[8] = static_cast<std::uint8_t>((uuid[8] & 0x3f) | 0x80);
  return uuid;
}

std::string uuid_text(const Uuid& uuid) {
  std::string text = hex(uuid);
  for (std::size_t hyphen : {8U, 13U, 18U, 23U}) text.insert(hyphen, 1, '-');
  return text;
}

std::optional<Uuid> parse_uuid(std::string_view text) {
  if (!is_uuid(text)) return std::nullopt;
  std::string digits(text);
  std::erase(digits, '-');
  const auto bytes = unhex(digits);
  if (!bytes) return std::nullopt;
  Uuid uuid;
  std::copy(bytes->begin(), bytes->end(), uuid.begin());
  // One text for one id: upper case would be a second one.
  return uuid_text(uuid) == text ? std::optional(uuid) : std::nullopt;
}

}  // namespace coffer
