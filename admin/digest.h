#pragma once

#include <array>
#include <optional>
#include <string_view>

#include "base/bytes.h"

namespace coffer {

// The digests S3 clients send along. None of them guards a secret of the store.

using Sha256Digest = std::array<std::uint8_t, 32>;
Sha256Digest sha256(BytesView bytes);
Sha256Digest hmac_sha256(BytesView key, BytesView bytes);
Bytes md5(BytesView bytes);

// The algorithms of x-amz-checksum-* (S3 User Guide, "Checking object integrity").
enum class ChecksumAlgorithm { kCrc32, kCrc32c, kCrc64Nvme, kSha1, kSha256, kSha512 };

std::string_view checksum_name(ChecksumAlgorithm algorithm);             // CRC32 ...
std::size_t checksum_size(ChecksumAlgorithm algorithm);                  // bytes
Bytes checksum(ChecksumAlgorithm algorithm, BytesView bytes);            // CRCs big-endian, as S3 sends them
std::optional<ChecksumAlgorithm> parse_checksum(std::string_view name);  // in any case of letters

}  // namespace coffer
