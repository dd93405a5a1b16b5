#include "store/chunk_map.h"

#include <cstring>

#include "base/encoding.h"
#include "base/wire.h"

namespace coffer {
namespace {

constexpr std::uint8_t kChunkMapVersion = 1;
constexpr std::size_t kBitmapSize = kChunksPerRow / 8;
using Bitmap = std::array<std::uint8_t, kBitmapSize>;

bool bit(BytesView bitmap, std::uint32_t i) { return (bitmap[i / 8] >> (i % 8) & 1) != 0; }
void set_bit(Bitmap& bitmap, std::uint32_t i) {
  bitmap[i / 8] = static_cast<std::uint8_t>(bitmap[i / 8] | 1U << i % 8);
}

template <std::size_t n>
void put(std::array<std::uint8_t, n>& out, std::size_t& at, std::uint64_t value, std::size_t size) {
  for (std::size_t i = 0; i < size; ++i) out[at++] = static_cast<std::uint8_t>(value >> (8 * i));
}

Error damaged_row() { return {Code::kDamaged, "a chunk map row does not make sense"}; }
Error damaged_inline() { return {Code::kDamaged, "an inline chunk does not make sense"}; }

}  // namespace

const ChunkEntry& ChunkRow::at(std::uint32_t chunk_in_row) const {
  static const ChunkEntry kAbsent;
  return chunk_in_row < entries_.size() ? entries_[chunk_in_row] : kAbsent;
}

void ChunkRow::set(std::uint32_t chunk_in_row, const ChunkEntry& entry) {
  assert(chunk_in_row < kChunksPerRow);
  if (chunk_in_row >= entries_.size()) {
    if (!entry.present()) return;
    entries_.resize(chunk_in_row + 1);
  }
  entries_[chunk_in_row] = entry;
}

bool ChunkRow::empty() const {
  for (const auto& entry : entries_)
    if (entry.present()) return false;
  return true;
}

SlotSet ChunkRow::slots() const {
  SlotSet set;
  for (const auto& entry : entries_)
    if (entry.present()) set.set(entry.slot);
  return set;
}

std::uint64_t ChunkRow::stored() const {
  std::uint64_t sum = 0;
  for (const auto& entry : entries_) sum += entry.length;
  return sum;
}

Bytes ChunkRow::encode(std::uint32_t chunk_size) const {
  Bitmap present{}, parity{}, partial{};
  std::array<std::uint8_t, 2> layers{};
  for (std::uint32_t i = 0; i < entries_.size(); ++i) {
    const auto& entry = entries_[i];
    if (!entry.present()) continue;
    assert(entry.layers >= 1 && entry.layers <= kLayersMax && entry.length <= chunk_size && entry.parity <= 1);
    assert(layers[entry.parity] == 0 || layers[entry.parity] == entry.layers);
    layers[entry.parity] = entry.layers;
    set_bit(present, i);
    if (entry.parity != 0) set_bit(parity, i);
    if (entry.length != chunk_size) set_bit(partial, i);
  }
  WireWriter out;
  out.u8(kChunkMapVersion).u8(layers[0]).u8(layers[1]).raw(present).raw(parity).raw(partial);
  for (const auto& entry : entries_) {
    if (!entry.present()) continue;
    out.u8(entry.slot);
    if (entry.length != chunk_size) out.u16(static_cast<std::uint16_t>(entry.length));
    out.raw(entry.seal());
  }
  return std::move(out).take();
}

Result<ChunkRow> ChunkRow::decode(BytesView bytes, std::uint32_t chunk_size) {
  WireReader in(bytes);
  const auto version = in.u8();
  const std::array<std::uint8_t, 2> layers{in.u8(), in.u8()};
  const auto present = in.raw(kBitmapSize), parity = in.raw(kBitmapSize), partial = in.raw(kBitmapSize);
  if (!in.ok() || version != kChunkMapVersion || layers[0] > kLayersMax || layers[1] > kLayersMax) return damaged_row();
  ChunkRow row;
  SlotSet slots;
  std::array<bool, 2> used{};
  for (std::uint32_t i = 0; i < kChunksPerRow; ++i) {
    if (!bit(present, i)) {
      if (bit(parity, i) || bit(partial, i)) return damaged_row();
      continue;
    }
    ChunkEntry entry;
    entry.parity = bit(parity, i) ? 1 : 0;
    entry.layers = layers[entry.parity];
    entry.slot = in.u8();
    entry.length = bit(partial, i) ? in.u16() : chunk_size;
    const auto seal = in.raw(entry.layers * kSealSize);
    if (!in.ok() || entry.layers == 0 || entry.length == 0 || slots.test(entry.slot)) return damaged_row();
    if (bit(partial, i) && entry.length >= chunk_size) return damaged_row();
    std::memcpy(entry.seal_bytes.data(), seal.data(), seal.size());
    row.set(i, entry);
    slots.set(entry.slot);
    used[entry.parity] = true;
  }
  if (!in.done() || (layers[0] != 0) != used[0] || (layers[1] != 0) != used[1]) return damaged_row();
  return row;
}

Bytes InlineChunk::encode() const {
  assert(entry.present() && entry.length == ciphertext.size() && entry.length <= kInlineSizeMax);
  WireWriter out;
  out.u8(kChunkMapVersion).u8(entry.parity).u8(entry.layers).u16(static_cast<std::uint16_t>(entry.length));
  out.raw(entry.seal()).raw(ciphertext);
  return std::move(out).take();
}

Result<InlineChunk> InlineChunk::decode(BytesView bytes) {
  WireReader in(bytes);
  InlineChunk chunk;
  const auto version = in.u8();
  chunk.entry.parity = in.u8();
  chunk.entry.layers = in.u8();
  chunk.entry.length = in.u16();
  if (!in.ok() || version != kChunkMapVersion || chunk.entry.parity > 1 || chunk.entry.layers == 0 ||
      chunk.entry.layers > kLayersMax || chunk.entry.length == 0 || chunk.entry.length > kInlineSizeMax)
    return damaged_inline();
  const auto seal = in.raw(chunk.entry.layers * kSealSize);
  const auto ciphertext = in.raw(chunk.entry.length);
  if (!in.done()) return damaged_inline();
  std::memcpy(chunk.entry.seal_bytes.data(), seal.data(), seal.size());
  chunk.ciphertext = to_bytes(ciphertext);
  return chunk;
}

std::optional<std::uint8_t> pick_slot(const SlotSet& taken, std::uint8_t from) {
  for (std::uint32_t i = 0; i < kSlotsPerRow; ++i) {
    const auto slot = static_cast<std::uint8_t>(from + i);
    if (!taken.test(slot)) return slot;
  }
  return std::nullopt;
}

std::string data_file_folder(std::uint64_t file) {
  const auto low = static_cast<std::uint8_t>(file);
  return "objects/" + hex(BytesView(&low, 1));
}

std::string data_file_name(std::uint64_t file) {
  std::array<std::uint8_t, 8> big_endian{};
  for (std::size_t i = 0; i < 8; ++i) big_endian[i] = static_cast<std::uint8_t>(file >> (56 - 8 * i));
  return data_file_folder(file) + "/" + hex(big_endian);
}

std::optional<std::uint64_t> parse_data_file(std::string_view name_in_folder) {
  const auto bytes = unhex(name_in_folder);
  if (!bytes || bytes->size() != 8 || hex(*bytes) != name_in_folder) return std::nullopt;
  std::uint64_t file = 0;
  for (auto byte : *bytes) file = file << 8 | byte;
  return file;
}

ChunkAad chunk_aad(const Envelope& envelope, std::uint64_t chunk, std::uint32_t length) {
  ChunkAad aad{};
  std::size_t at = 0;
  put(aad, at, kChunkMapVersion, 1);
  std::memcpy(aad.data() + at, envelope.store.data(), envelope.store.size());
  at += envelope.store.size();
  put(aad, at, envelope.object, 8);
  put(aad, at, envelope.generation, 4);
  put(aad, at, 0, 1);  // the layer: DSSE's outer one binds itself to the inner one's seal
  put(aad, at, envelope.chunk_size, 4);
  put(aad, at, chunk, 8);
  put(aad, at, length, 4);
  assert(at == aad.size());
  return aad;
}

}  // namespace coffer
