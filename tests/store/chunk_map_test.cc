#include "store/chunk_map.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace coffer {
namespace {

constexpr std::uint32_t kChunk = kChunkSize;

ChunkEntry entry_of(std::uint8_t slot, std::uint32_t length, std::uint8_t parity, std::uint8_t layers) {
  ChunkEntry entry;
  entry.slot = slot;
  entry.length = length;
  entry.parity = parity;
  entry.layers = layers;
  for (std::size_t i = 0; i < entry.seal().size(); ++i) entry.seal()[i] = static_cast<std::uint8_t>(slot + 3 * i);
  return entry;
}

bool same(const ChunkRow& a, const ChunkRow& b) {
  for (std::uint32_t i = 0; i < kChunksPerRow; ++i) {
    const auto &x = a.at(i), &y = b.at(i);
    if (x.length != y.length) return false;
    if (!x.present()) continue;
    if (x.slot != y.slot || x.parity != y.parity || x.layers != y.layers || x.seal_bytes != y.seal_bytes) return false;
  }
  return true;
}

ChunkRow full_row(std::uint8_t layers) {
  ChunkRow row;
  for (std::uint32_t i = 0; i < kChunksPerRow; ++i)
    row.set(i, entry_of(static_cast<std::uint8_t>(i), kChunk, 0, layers));
  return row;
}

TEST(ChunkMap, RowsComeBackAsTheyWere) {
  std::mt19937 random(1);
  for (int round = 0; round < 200; ++round) {
    ChunkRow row;
    for (std::uint32_t i = 0; i < kChunksPerRow; ++i) {
      if (random() % 3 == 0) continue;
      const auto parity = static_cast<std::uint8_t>(random() % 2);
      const std::uint32_t length = random() % 2 == 0 ? kChunk : 1 + random() % kChunk;
      row.set(i, entry_of(static_cast<std::uint8_t>(255 - i), length, parity, parity == 0 ? 1 : 2));
    }
    const auto decoded = ChunkRow::decode(row.encode(kChunk), kChunk);
    ASSERT_TRUE(decoded.ok());
    EXPECT_TRUE(same(row, *decoded));
  }
}

TEST(ChunkMap, FullRowOfOneLayerFitsACatalogLeaf) { EXPECT_LT(full_row(1).encode(kChunk).size(), 4000U); }

TEST(ChunkMap, RowCutAtAnyByteIsDamaged) {
  const auto bytes = full_row(2).encode(kChunk);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const auto decoded = ChunkRow::decode(BytesView(bytes).first(size), kChunk);
    ASSERT_FALSE(decoded.ok());
    EXPECT_EQ(decoded.code(), Code::kDamaged);
  }
  auto longer = bytes;
  longer.push_back(0);
  EXPECT_FALSE(ChunkRow::decode(longer, kChunk).ok());
}

TEST(ChunkMap, TwoChunksInOneSlotAreDamaged) {
  ChunkRow row;
  row.set(0, entry_of(7, kChunk, 0, 1));
  row.set(1, entry_of(7, kChunk, 0, 1));
  const auto decoded = ChunkRow::decode(row.encode(kChunk), kChunk);
  ASSERT_FALSE(decoded.ok());
  EXPECT_EQ(decoded.code(), Code::kDamaged);
}

TEST(ChunkMap, DecodingIsTotalAndCanonical) {
  std::mt19937 random(2);
  ChunkRow row;
  row.set(3, entry_of(9, 100, 1, 2));
  row.set(90, entry_of(8, kChunk, 0, 1));
  const auto bytes = row.encode(kChunk);
  for (int round = 0; round < 20'000; ++round) {
    auto edited = bytes;
    edited[random() % edited.size()] = static_cast<std::uint8_t>(random());
    const auto decoded = ChunkRow::decode(edited, kChunk);
    if (decoded.ok()) {
      EXPECT_EQ(decoded->encode(kChunk), edited);
    }
  }
}

TEST(ChunkMap, InlineChunksComeBackAndCutOnesAreDamaged) {
  InlineChunk chunk{entry_of(0, 100, 1, 2), Bytes(100, 0x5a)};
  const auto bytes = chunk.encode();
  const auto decoded = InlineChunk::decode(bytes);
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(decoded->ciphertext, chunk.ciphertext);
  EXPECT_EQ(decoded->entry.parity, 1);
  for (std::size_t size = 0; size < bytes.size(); ++size)
    EXPECT_FALSE(InlineChunk::decode(BytesView(bytes).first(size)).ok());
}

TEST(ChunkMap, SlotsArePickedUpwardsAndWrapAround) {
  SlotSet taken;
  EXPECT_EQ(pick_slot(taken, 0), 0);
  EXPECT_EQ(pick_slot(taken, 200), 200);
  for (std::uint32_t i = 200; i < kSlotsPerRow; ++i) taken.set(i);
  EXPECT_EQ(pick_slot(taken, 200), 0);
  taken.set();
  EXPECT_FALSE(pick_slot(taken, 0).has_value());
}

TEST(ChunkMap, SlotsOfAllRowsAreDisjointAndLeaveTheFirstFree) {
  EXPECT_EQ(slot_offset(0, 0, kChunk), kChunk);
  EXPECT_EQ(slot_offset(0, 255, kChunk) + kChunk, slot_offset(1, 0, kChunk));
}

TEST(ChunkMap, DataFileNamesComeBack) {
  EXPECT_EQ(data_file_name(0x1234ab), "objects/ab/00000000001234ab");
  EXPECT_EQ(parse_data_file("00000000001234ab"), 0x1234abU);
  for (std::string_view wrong : {"", "00000000001234aB", "1234ab", "00000000001234abcd", "zz000000001234ab"})
    EXPECT_FALSE(parse_data_file(wrong).has_value()) << wrong;
}

TEST(ChunkMap, EveryFieldChangesTheAad) {
  Envelope envelope;
  envelope.object = 5;
  envelope.generation = 1;
  envelope.chunk_size = kChunk;
  std::set<ChunkAad> seen{chunk_aad(envelope, 3, 100)};
  EXPECT_TRUE(seen.insert(chunk_aad(envelope, 4, 100)).second);
  EXPECT_TRUE(seen.insert(chunk_aad(envelope, 3, 101)).second);
  auto other = envelope;
  other.store[15] = 1;
  EXPECT_TRUE(seen.insert(chunk_aad(other, 3, 100)).second);
  other = envelope;
  other.object = 6;
  EXPECT_TRUE(seen.insert(chunk_aad(other, 3, 100)).second);
  other = envelope;
  other.generation = 2;
  EXPECT_TRUE(seen.insert(chunk_aad(other, 3, 100)).second);
  other = envelope;
  other.chunk_size = 2 * kChunk;
  EXPECT_TRUE(seen.insert(chunk_aad(other, 3, 100)).second);
}

}  // namespace
}  // namespace coffer
