#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/sse_rule.h"
#include "crypto/key.h"

namespace coffer {

enum class KeySource : std::uint8_t { kSseS3 = 1, kKms = 2, kBucketKey = 3 };
std::string_view key_source_name(KeySource source);  // "sse-s3", "kms", "bucket-key"

// One layer of encryption: where its data key comes from, the data key wrapped, and the commitment to it.
struct EnvelopeLayer {
  KeySource source = KeySource::kSseS3;
  Bytes wrapped_key;                          // a 92-byte wrap, or the KMS's blob, or a Bucket Key's blob with its wrap
  std::array<std::uint8_t, 32> commitment{};  // of data key to the whole envelope; checked before a chunk is opened
};

// All that opening an object needs except the KMS. Safe to print: it holds no secret. Stored with the object and only
// ever replaced whole: by the next generation, with data keys of its own, or by one of the same generation that wraps the
// same data keys (docs/FORMAT.md, "Envelope").
struct Envelope {
  StoreId store{};
  std::uint64_t object = 0;      // inode number, never reused
  std::uint32_t generation = 0;  // counts the object's envelopes from 1
  std::uint32_t chunk_size = 0;
  SseAlgorithm algorithm = SseAlgorithm::kAes256;
  std::string context_arn;            // aws:s3:arn when it was made: object ARN, or bucket ARN under a Bucket Key
  std::string kms_key_arn;            // empty under AES256
  std::vector<EnvelopeLayer> layers;  // inner first; one, or two under aws:kms:dsse

  bool bucket_key() const { return !layers.empty() && layers[0].source == KeySource::kBucketKey; }

  Bytes encode() const;                             // total; starts with the format version
  static Result<Envelope> decode(BytesView bytes);  // total: kDamaged for anything encode() does not write
  std::size_t seal_size() const;                    // of a chunk: 28 per layer
};

}  // namespace coffer
