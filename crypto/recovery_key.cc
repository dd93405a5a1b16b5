#include "crypto/recovery_key.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "crypto/hkdf.h"

namespace coffer {
namespace {

constexpr std::string_view kAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
constexpr std::size_t kChecksumSize = 3;
constexpr std::size_t kSealedSize = Key::kSize + kChecksumSize;  // 280 bits
constexpr std::size_t kLetters = kSealedSize * 8 / 5;
constexpr std::size_t kGroup = 4;
static_assert(kLetters * 5 == kSealedSize * 8 && kLetters % kGroup == 0);

std::array<std::uint8_t, kChecksumSize> checksum_of(const Key& key) {
  std::array<std::uint8_t, kChecksumSize> sum;
  hmac(Hash::kSha384, key.view(), as_bytes("coffer/1/recovery-checksum"), sum);
  return sum;
}

// 5 bits, or 32 for what is no letter of ours.
unsigned value_of(char c) {
  if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  if (c == 'O') c = '0';
  if (c == 'I' || c == 'L') c = '1';
  return static_cast<unsigned>(std::min(kAlphabet.find(c), std::size_t{32}));
}

bool between_letters(char c) { return c == '-' || c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

}  // namespace

SecretBytes recovery_text(const Key& key) {
  SecretBytes bytes(kSealedSize);
  const auto sum = checksum_of(key);
  std::copy(key.view().begin(), key.view().end(), bytes.span().begin());
  std::copy(sum.begin(), sum.end(), bytes.span().begin() + Key::kSize);
  SecretBytes text(kLetters + kLetters / kGroup - 1);
  std::size_t at = 0;
  for (std::size_t letter = 0; letter < kLetters; ++letter) {
    if (letter > 0 && letter % kGroup == 0) text.span()[at++] = '-';
    unsigned value = 0;
    for (std::size_t bit = letter * 5; bit < letter * 5 + 5; ++bit)
      value = value << 1 | (bytes.view()[bit / 8] >> (7 - bit % 8) & 1U);
    text.span()[at++] = static_cast<std::uint8_t>(kAlphabet[value]);
  }
  return text;
}

Result<Key> parse_recovery_text(BytesView text) {
  const Error wrong{Code::kWrongUnlock, "this is no recovery key: compare it, group by group, with what was written down"};
  SecretBytes bytes(kSealedSize);
  std::size_t letters = 0;
  for (const std::uint8_t byte : text) {
    const char c = static_cast<char>(byte);
    if (between_letters(c)) continue;
    const unsigned value = value_of(c);
    if (value > 31 || letters == kLetters) return wrong;
    for (std::size_t i = 0; i < 5; ++i) {
      const std::size_t bit = letters * 5 + i;
      bytes.span()[bit / 8] |= static_cast<std::uint8_t>((value >> (4 - i) & 1U) << (7 - bit % 8));
    }
    ++letters;
  }
  if (letters != kLetters) return wrong;
  Key key = Key::copy_of(bytes.view().first(Key::kSize));
  const auto sum = checksum_of(key);
  if (!equal_constant_time(BytesView(sum), bytes.view().last(kChecksumSize))) return wrong;
  return key;
}

}  // namespace coffer
