#include "crypto/envelope.h"

#include <gtest/gtest.h>

#include "base/encoding.h"
#include "base/limits.h"
#include "crypto/key_schedule.h"

namespace coffer {
namespace {

EnvelopeLayer layer(KeySource source, std::size_t wrapped_size, std::uint8_t filler) {
  EnvelopeLayer made;
  made.source = source;
  made.wrapped_key = Bytes(wrapped_size, filler);
  made.commitment.fill(static_cast<std::uint8_t>(filler + 1));
  return made;
}

Envelope sse_s3_envelope() {
  Envelope envelope;
  for (std::size_t i = 0; i < envelope.store.size(); ++i) envelope.store[i] = static_cast<std::uint8_t>(i);
  envelope.object = 0x0102030405060708;
  envelope.generation = 3;
  envelope.chunk_size = kChunkSize;
  envelope.context_arn = "arn:aws:s3:::bkt/key";
  envelope.layers = {layer(KeySource::kSseS3, kWrapSize, 0xaa)};
  return envelope;
}

Envelope kms_envelope(KeySource source) {
  Envelope envelope = sse_s3_envelope();
  envelope.algorithm = SseAlgorithm::kAwsKms;
  envelope.kms_key_arn = "arn:aws:kms:us-east-1:000000000000:key/11111111-2222-3333-4444-555555555555";
  envelope.layers = {layer(source, 200, 0xbb)};
  return envelope;
}

Envelope dsse_envelope() {
  Envelope envelope = kms_envelope(KeySource::kKms);
  envelope.algorithm = SseAlgorithm::kAwsKmsDsse;
  envelope.layers.push_back(layer(KeySource::kSseS3, kWrapSize, 0xcc));
  return envelope;
}

std::vector<Envelope> all_kinds() {
  return {sse_s3_envelope(), kms_envelope(KeySource::kKms), kms_envelope(KeySource::kBucketKey), dsse_envelope()};
}

TEST(Envelope, DecodeGivesBackWhatEncodeWrote) {
  for (const Envelope& envelope : all_kinds()) {
    const auto decoded = Envelope::decode(envelope.encode());
    ASSERT_TRUE(decoded.ok());
    EXPECT_EQ(decoded->encode(), envelope.encode());
    EXPECT_EQ(decoded->store, envelope.store);
    EXPECT_EQ(decoded->object, envelope.object);
    EXPECT_EQ(decoded->generation, envelope.generation);
    EXPECT_EQ(decoded->chunk_size, envelope.chunk_size);
    EXPECT_EQ(decoded->algorithm, envelope.algorithm);
    EXPECT_EQ(decoded->context_arn, envelope.context_arn);
    EXPECT_EQ(decoded->kms_key_arn, envelope.kms_key_arn);
    ASSERT_EQ(decoded->layers.size(), envelope.layers.size());
    EXPECT_EQ(decoded->layers.back().commitment, envelope.layers.back().commitment);
  }
}

TEST(Envelope, ItsBytesAreThoseOfTheFormat) {
  std::string wrapped, commitment;
  for (std::size_t i = 0; i < kWrapSize; ++i) wrapped += "aa";
  for (int i = 0; i < 32; ++i) commitment += "ab";
  EXPECT_EQ(hex(sse_s3_envelope().encode()),
            "01"
            "000102030405060708090a0b0c0d0e0f"
            "0807060504030201"
            "03000000"
            "00400000"
            "01"
            "1400"
            "61726e3a6177733a73333a3a3a626b742f6b6579"
            "0000"
            "01"
            "01"
            "5c00" +
                wrapped + commitment);
}

TEST(Envelope, NoBeginningAndNoLongerFormOfItIsOne) {
  for (const Envelope& envelope : all_kinds()) {
    Bytes encoded = envelope.encode();
    for (std::size_t size = 0; size < encoded.size(); ++size) {
      const auto decoded = Envelope::decode(BytesView(encoded).first(size));
      ASSERT_FALSE(decoded.ok());
      EXPECT_EQ(decoded.code(), Code::kDamaged);
    }
    encoded.push_back(0);
    EXPECT_EQ(Envelope::decode(encoded).code(), Code::kDamaged);
  }
}

TEST(Envelope, WhatDecodesEncodesToTheSameBytes) {
  for (const Envelope& envelope : all_kinds()) {
    const Bytes encoded = envelope.encode();
    for (std::size_t bit = 0; bit < encoded.size() * 8; ++bit) {
      Bytes changed = encoded;
      changed[bit / 8] ^= static_cast<std::uint8_t>(1 << (bit % 8));
      const auto decoded = Envelope::decode(changed);
      if (!decoded.ok()) continue;
      EXPECT_EQ(decoded->encode(), changed);
    }
  }
}

TEST(Envelope, LayersThatAreNotTheAlgorithmsAreDamage) {
  const auto refused = [](Envelope envelope) { return Envelope::decode(envelope.encode()).ok() == false; };
  Envelope envelope = dsse_envelope();
  envelope.layers.pop_back();  // the outer layer removed
  EXPECT_TRUE(refused(envelope));
  envelope = dsse_envelope();
  envelope.layers.erase(envelope.layers.begin());  // the inner layer removed
  EXPECT_TRUE(refused(envelope));
  envelope = dsse_envelope();
  std::swap(envelope.layers[0], envelope.layers[1]);
  EXPECT_TRUE(refused(envelope));
  envelope = dsse_envelope();
  envelope.algorithm = SseAlgorithm::kAwsKms;
  EXPECT_TRUE(refused(envelope));
  envelope = sse_s3_envelope();
  envelope.kms_key_arn = "arn:aws:kms:us-east-1:000000000000:key/x";
  EXPECT_TRUE(refused(envelope));
  envelope = kms_envelope(KeySource::kKms);
  envelope.kms_key_arn.clear();
  EXPECT_TRUE(refused(envelope));
  envelope = sse_s3_envelope();
  envelope.layers.clear();
  EXPECT_TRUE(refused(envelope));
}

TEST(Envelope, NumbersOutOfBoundsAreDamage) {
  for (auto change : {+[](Envelope& e) { e.object = 0; }, +[](Envelope& e) { e.generation = 0; },
                      +[](Envelope& e) { e.chunk_size = 0; }, +[](Envelope& e) { e.chunk_size = kChunkSizeMax + 1; },
                      +[](Envelope& e) { e.context_arn.clear(); },
                      +[](Envelope& e) { e.context_arn = std::string(kContextSizeMax + 1, 'x'); },
                      +[](Envelope& e) { e.layers[0].wrapped_key.pop_back(); }}) {
    Envelope envelope = sse_s3_envelope();
    change(envelope);
    EXPECT_EQ(Envelope::decode(envelope.encode()).code(), Code::kDamaged);
  }
}

TEST(Envelope, KeySourcesHaveTheNamesInspectPrints) {
  EXPECT_EQ(key_source_name(KeySource::kSseS3), "sse-s3");
  EXPECT_EQ(key_source_name(KeySource::kKms), "kms");
  EXPECT_EQ(key_source_name(KeySource::kBucketKey), "bucket-key");
}

}  // namespace
}  // namespace coffer
