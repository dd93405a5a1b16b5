#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "crypto/key.h"

namespace coffer {

inline constexpr std::size_t kKeyBase64Size = 44;  // of 32 bytes, padded

// Pages for what a KMS answers and what is sent to it: locked where RLIMIT_MEMLOCK lets us, left out of core dumps,
// wiped when they go.
class LockedPages {
 public:
  explicit LockedPages(std::size_t size);  // aborts where memory ends
  ~LockedPages();
  LockedPages(const LockedPages&) = delete;
  LockedPages& operator=(const LockedPages&) = delete;
  MutableBytes span() { return {bytes_, size_}; }

 private:
  std::uint8_t* bytes_;
  std::size_t size_;
};

// The text members of one JSON object (RFC 8259), found without a copy: a plaintext key stays in the pages it came in.
// Members of other kinds are passed over; so is a text with another escape than \/, which no id, ARN or base64 needs.
class KmsAnswer {
 public:
  // Views into `json`, whose \/ become /. Nothing for what is no object, is followed by something, is nested deeper
  // than kExternalJsonDepthMax, or has a member twice.
  static std::optional<KmsAnswer> parse(MutableBytes json);

  std::string_view text(std::string_view name) const;       // empty: not there
  std::optional<Key> key(std::string_view name) const;      // base64 of 32 bytes, and nothing else
  std::optional<Bytes> bytes(std::string_view name) const;  // base64

 private:
  std::map<std::string, std::string_view, std::less<>> members_;
};

// A refusal: {"__type": "NotFoundException", "message": "..."}; what stands before a # or behind a : is no part of the
// type.
struct KmsRefusal {
  std::string type, message;  // the message in one line of printable ASCII, cut at kExternalMessageMax
};
std::optional<KmsRefusal> parse_kms_refusal(BytesView json);

}  // namespace coffer
