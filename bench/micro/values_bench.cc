#include <benchmark/benchmark.h>

#include "store/chunk_map.h"

// Encoding and decoding of what is read and written with every object.
namespace coffer {
namespace {

Envelope some_envelope() {
  Envelope envelope;
  envelope.object = 17;
  envelope.generation = 1;
  envelope.chunk_size = kChunkSize;
  envelope.algorithm = SseAlgorithm::kAwsKms;
  envelope.context_arn = "arn:aws:s3:::bucket/some/folder/object";
  envelope.kms_key_arn = "arn:aws:kms:us-east-1:000000000000:key/01234567-89ab-cdef-0123-456789abcdef";
  envelope.layers.resize(1);
  envelope.layers[0].source = KeySource::kKms;
  envelope.layers[0].wrapped_key.resize(141, 5);
  return envelope;
}

ChunkRow full_row() {
  ChunkRow row;
  for (std::uint32_t i = 0; i < kChunksPerRow; ++i) {
    ChunkEntry entry;
    entry.length = kChunkSize;
    entry.slot = static_cast<std::uint8_t>(i);
    entry.layers = 1;
    row.set(i, entry);
  }
  return row;
}

void encode_envelope(benchmark::State& state) {
  const auto envelope = some_envelope();
  for (auto _ : state) benchmark::DoNotOptimize(envelope.encode());
}
BENCHMARK(encode_envelope);

void decode_envelope(benchmark::State& state) {
  const auto bytes = some_envelope().encode();
  for (auto _ : state) benchmark::DoNotOptimize(Envelope::decode(bytes));
}
BENCHMARK(decode_envelope);

void encode_map_row(benchmark::State& state) {
  const auto row = full_row();
  for (auto _ : state) benchmark::DoNotOptimize(row.encode(kChunkSize));
}
BENCHMARK(encode_map_row);

void decode_map_row(benchmark::State& state) {
  const auto bytes = full_row().encode(kChunkSize);
  for (auto _ : state) benchmark::DoNotOptimize(ChunkRow::decode(bytes, kChunkSize));
}
BENCHMARK(decode_map_row);

}  // namespace
}  // namespace coffer

BENCHMARK_MAIN();
