#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/limits.h"
#include "base/result.h"
#include "crypto/aead.h"
#include "crypto/envelope.h"

namespace coffer {

// Arithmetic and encoding of where an object's bytes are (docs/FORMAT.md, section 9). No I/O, no keys.

inline constexpr std::size_t kLayersMax = 2;

// One stored chunk: which slot of its row's region holds the ciphertext, how long it is, and its seal.
struct ChunkEntry {
  std::uint32_t length = 0;  // plaintext bytes, 1 to the chunk size; 0: the chunk is absent, a hole
  std::uint8_t slot = 0;     // within the row's region
  std::uint8_t parity = 0;   // lowest bit of the generation of the envelope that sealed it
  std::uint8_t layers = 0;
  std::array<std::uint8_t, kLayersMax * kSealSize> seal_bytes{};

  bool present() const { return length != 0; }
  BytesView seal() const { return {seal_bytes.data(), layers * kSealSize}; }
  MutableBytes seal() { return {seal_bytes.data(), layers * kSealSize}; }
};

using SlotSet = std::bitset<kSlotsPerRow>;

// The entries of kChunksPerRow chunks that follow one another. A plain value, as large as its last chunk asks for.
class ChunkRow {
 public:
  const ChunkEntry& at(std::uint32_t chunk_in_row) const;
  void set(std::uint32_t chunk_in_row, const ChunkEntry& entry);  // an absent entry takes the chunk out

  bool empty() const;
  SlotSet slots() const;         // that its entries name
  std::uint64_t stored() const;  // plaintext bytes of its entries

  Bytes encode(std::uint32_t chunk_size) const;
  // Total: kDamaged for anything encode() does not write, two entries in one slot included.
  static Result<ChunkRow> decode(BytesView bytes, std::uint32_t chunk_size);

 private:
  std::vector<ChunkEntry> entries_;
};

// Chunk 0 of an object that lives in the catalog: its entry (the slot means nothing) and its ciphertext.
struct InlineChunk {
  ChunkEntry entry;
  Bytes ciphertext;

  Bytes encode() const;
  static Result<InlineChunk> decode(BytesView bytes);  // total: kDamaged
};

// The first slot at or after `from`, then from the beginning, that is not in `taken`.
std::optional<std::uint8_t> pick_slot(const SlotSet& taken, std::uint8_t from);

inline std::uint32_t row_of(std::uint64_t chunk) { return static_cast<std::uint32_t>(chunk / kChunksPerRow); }
inline std::uint32_t index_in_row(std::uint64_t chunk) { return static_cast<std::uint32_t>(chunk % kChunksPerRow); }

// Where a slot's bytes begin in the data file. The file's first chunk_size bytes are kept for the sealed second copy.
inline std::uint64_t slot_offset(std::uint32_t row, std::uint8_t slot, std::uint32_t chunk_size) {
  return (1 + std::uint64_t{row} * kSlotsPerRow + slot) * chunk_size;
}

std::string data_file_folder(std::uint64_t file);                               // objects/ab
std::string data_file_name(std::uint64_t file);                                 // objects/ab/00000000000000ab
std::optional<std::uint64_t> parse_data_file(std::string_view name_in_folder);  // of the 16 hex digits

// What every chunk's seal binds it to.
using ChunkAad = std::array<std::uint8_t, 46>;
ChunkAad chunk_aad(const Envelope& envelope, std::uint64_t chunk, std::uint32_t length);

inline std::uint8_t parity_of(const Envelope& envelope) { return envelope.generation & 1; }

}  // namespace coffer
