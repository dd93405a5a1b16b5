#include "crypto/envelope.h"

#include <algorithm>

#include "base/limits.h"
#include "base/wire.h"
#include "crypto/aead.h"
#include "crypto/key_schedule.h"

namespace coffer {
namespace {

constexpr std::uint8_t kFormatVersion = 1;
// Version, length and wrap around a KMS's blob.
constexpr std::size_t kBucketKeyBlobMax = kKmsBlobMax + 3 + kWrapSize;

std::uint8_t algorithm_byte(SseAlgorithm algorithm) {
  switch (algorithm) {
    case SseAlgorithm::kAes256: return 1;
    case SseAlgorithm::kAwsKms: return 2;
    case SseAlgorithm::kAwsKmsDsse: return 3;
  }
  return 0;
}

bool parse_algorithm(std::uint8_t byte, SseAlgorithm& algorithm) {
  for (auto candidate : {SseAlgorithm::kAes256, SseAlgorithm::kAwsKms, SseAlgorithm::kAwsKmsDsse}) {
    if (byte != algorithm_byte(candidate)) continue;
    algorithm = candidate;
    return true;
  }
  return false;
}

bool wrapped_key_fits(const EnvelopeLayer& layer) {
  const std::size_t size = layer.wrapped_key.size();
  switch (layer.source) {
    case KeySource::kSseS3: return size == kWrapSize;
    case KeySource::kKms: return size >= 1 && size <= kKmsBlobMax;
    case KeySource::kBucketKey: return size > 3 + kWrapSize && size <= kBucketKeyBlobMax;
  }
  return false;
}

// Each algorithm has the layers of its scheme and no others.
bool layers_fit(const Envelope& envelope) {
  const auto& layers = envelope.layers;
  if (!std::all_of(layers.begin(), layers.end(), wrapped_key_fits)) return false;
  switch (envelope.algorithm) {
    case SseAlgorithm::kAes256: return layers.size() == 1 && layers[0].source == KeySource::kSseS3;
    case SseAlgorithm::kAwsKms: return layers.size() == 1 && layers[0].source != KeySource::kSseS3;
    case SseAlgorithm::kAwsKmsDsse:
      return layers.size() == 2 && layers[0].source == KeySource::kKms && layers[1].source == KeySource::kSseS3;
  }
  return false;
}

bool makes_sense(const Envelope& envelope) {
  const bool named = !envelope.kms_key_arn.empty();
  return envelope.object != 0 && envelope.generation != 0 && envelope.chunk_size != 0 &&
         envelope.chunk_size <= kChunkSizeMax && !envelope.context_arn.empty() &&
         envelope.context_arn.size() <= kContextSizeMax && envelope.kms_key_arn.size() <= kKmsArnSizeMax &&
         named == (envelope.algorithm != SseAlgorithm::kAes256) && layers_fit(envelope);
}

Error damaged_envelope() { return {Code::kDamaged, "an envelope is not one that Coffer writes"}; }

}  // namespace

std::string_view key_source_name(KeySource source) {
  switch (source) {
    case KeySource::kSseS3: return "sse-s3";
    case KeySource::kKms: return "kms";
    case KeySource::kBucketKey: return "bucket-key";
  }
  return "";
}

Bytes Envelope::encode() const {
  WireWriter writer;
  writer.u8(kFormatVersion).raw(store).u64(object).u32(generation).u32(chunk_size).u8(algorithm_byte(algorithm));
  writer.text16(context_arn).text16(kms_key_arn).u8(static_cast<std::uint8_t>(layers.size()));
  for (const EnvelopeLayer& layer : layers)
    writer.u8(static_cast<std::uint8_t>(layer.source)).blob16(layer.wrapped_key).raw(layer.commitment);
  return std::move(writer).take();
}

Result<Envelope> Envelope::decode(BytesView bytes) {
  WireReader reader(bytes);
  Envelope envelope;
  const std::uint8_t version = reader.u8();
  const BytesView store = reader.raw(envelope.store.size());
  envelope.object = reader.u64();
  envelope.generation = reader.u32();
  envelope.chunk_size = reader.u32();
  const std::uint8_t algorithm = reader.u8();
  envelope.context_arn = reader.text16();
  envelope.kms_key_arn = reader.text16();
  const std::uint8_t layers = reader.u8();
  if (!reader.ok() || version != kFormatVersion || layers > 2) return damaged_envelope();
  std::copy(store.begin(), store.end(), envelope.store.begin());
  for (std::uint8_t i = 0; i < layers; ++i) {
    EnvelopeLayer layer;
    layer.source = static_cast<KeySource>(reader.u8());
    layer.wrapped_key = to_bytes(reader.blob16());
    const BytesView commitment = reader.raw(layer.commitment.size());
    if (!reader.ok()) return damaged_envelope();
    std::copy(commitment.begin(), commitment.end(), layer.commitment.begin());
    envelope.layers.push_back(std::move(layer));
  }
  if (!reader.done() || !parse_algorithm(algorithm, envelope.algorithm) || !makes_sense(envelope))
    return damaged_envelope();
  return envelope;
}

std::size_t Envelope::seal_size() const { return kSealSize * layers.size(); }

}  // namespace coffer
