#include "admin/digest.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <cassert>

#include "admin/http.h"

namespace coffer {
namespace {

Bytes digest(const EVP_MD* kind, BytesView bytes) {
  Bytes out(EVP_MAX_MD_SIZE);
  unsigned size = 0;
  const int done = EVP_Digest(bytes.data(), bytes.size(), out.data(), &size, kind, nullptr);
  assert(done == 1);
  out.resize(size);
  return out;
}

// A reflected CRC with all ones before and after, bit by bit: bodies are at most kBodySizeMax.
template <class T>
Bytes crc(T reflected_polynomial, BytesView bytes) {
  T value = ~T{0};
  for (const auto byte : bytes) {
    value ^= byte;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) != 0 ? reflected_polynomial : T{0});
  }
  value = ~value;
  Bytes out;
  for (std::size_t i = sizeof(T); i-- > 0;) out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
  return out;
}

}  // namespace

Sha256Digest sha256(BytesView bytes) {
  Sha256Digest out;
  unsigned size = 0;
  const int done = EVP_Digest(bytes.data(), bytes.size(), out.data(), &size, EVP_sha256(), nullptr);
  assert(done == 1 && size == out.size());
  return out;
}

Sha256Digest hmac_sha256(BytesView key, BytesView bytes) {
  Sha256Digest out;
  unsigned size = 0;
  const auto* done =
      HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), bytes.data(), bytes.size(), out.data(), &size);
  assert(done != nullptr && size == out.size());
  return out;
}

Bytes md5(BytesView bytes) { return digest(EVP_md5(), bytes); }

std::string_view checksum_name(ChecksumAlgorithm algorithm) {
  switch (algorithm) {
    case ChecksumAlgorithm::kCrc32: return "CRC32";
    case ChecksumAlgorithm::kCrc32c: return "CRC32C";
    case ChecksumAlgorithm::kCrc64Nvme: return "CRC64NVME";
    case ChecksumAlgorithm::kSha1: return "SHA1";
    case ChecksumAlgorithm::kSha256: return "SHA256";
    case ChecksumAlgorithm::kSha512: return "SHA512";
  }
  return "";
}

std::size_t checksum_size(ChecksumAlgorithm algorithm) {
  switch (algorithm) {
    case ChecksumAlgorithm::kCrc32:
    case ChecksumAlgorithm::kCrc32c: return 4;
    case ChecksumAlgorithm::kCrc64Nvme: return 8;
    case ChecksumAlgorithm::kSha1: return 20;
    case ChecksumAlgorithm::kSha256: return 32;
    case ChecksumAlgorithm::kSha512: return 64;
  }
  return 0;
}

Bytes checksum(ChecksumAlgorithm algorithm, BytesView bytes) {
  switch (algorithm) {
    case ChecksumAlgorithm::kCrc32: return crc<std::uint32_t>(0xedb88320, bytes);
    case ChecksumAlgorithm::kCrc32c: return crc<std::uint32_t>(0x82f63b78, bytes);
    case ChecksumAlgorithm::kCrc64Nvme: return crc<std::uint64_t>(0x9a6c9329ac4bc9b5, bytes);
    case ChecksumAlgorithm::kSha1: return digest(EVP_sha1(), bytes);
    case ChecksumAlgorithm::kSha256: return digest(EVP_sha256(), bytes);
    case ChecksumAlgorithm::kSha512: return digest(EVP_sha512(), bytes);
  }
  return {};
}

std::optional<ChecksumAlgorithm> parse_checksum(std::string_view name) {
  for (auto algorithm : {ChecksumAlgorithm::kCrc32, ChecksumAlgorithm::kCrc32c, ChecksumAlgorithm::kCrc64Nvme,
                         ChecksumAlgorithm::kSha1, ChecksumAlgorithm::kSha256, ChecksumAlgorithm::kSha512})
    if (equal_ignoring_case(name, checksum_name(algorithm))) return algorithm;
  return std::nullopt;
}

}  // namespace coffer
