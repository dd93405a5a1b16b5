#include "store/object_check.h"

#include <algorithm>

#include "base/limits.h"

namespace coffer {
namespace {

bool key_refuses(Code code) {
  constexpr Code kRefusals[] = {Code::kKeyMissing, Code::kKeyDisabled,      Code::kKeyPendingDeletion,
                                Code::kKeyDenied,  Code::kKeyPendingImport, Code::kIncorrectKey,
                                Code::kKmsAway,    Code::kWrongKeyUsage,   Code::kUnsupported};
  return std::find(std::begin(kRefusals), std::end(kRefusals), code) != std::end(kRefusals);
}

Result<Envelope> belonging(const StoreId& store, InodeNumber ino, BytesView encoded) {
  COFFER_ASSIGN(auto envelope, Envelope::decode(encoded));
  if (envelope.store != store) return Error{Code::kDamaged, "its envelope is of another store"};
  if (envelope.object != ino) return Error{Code::kDamaged, "its envelope is of another object"};
  return envelope;
}

Status open_chunk(const Inode& inode, std::uint64_t chunk, const ChunkEntry& entry, BytesView cipher,
                  const ObjectSeals& seals) {
  const auto& [envelope, aead] = seals.by_parity[entry.parity];
  if (!envelope) return Error{Code::kDamaged, "sealed under an envelope that is gone"};
  if (chunk * envelope->chunk_size + entry.length > inode.size)
    return Error{Code::kDamaged, "lies beyond the object's end"};
  if (entry.seal().size() != envelope->seal_size())
    return Error{Code::kDamaged, "has not the layers of its envelope"};
  if (!aead) return {};  // its key refuses: counted with the object
  Bytes plain(cipher.size());
  auto opened = aead->open(chunk_aad(*envelope, chunk, entry.length), cipher, entry.seal(), plain);
  wipe(plain);
  return opened;
}

}  // namespace

bool is_damage(Code code) { return code == Code::kDamaged || code == Code::kInvalidCiphertext; }

Result<ObjectSeals> seals_of(const StoreId& store, InodeNumber ino, const ContentRow& content) {
  ObjectSeals seals;
  COFFER_ASSIGN(auto envelope, belonging(store, ino, content.envelope));
  const auto generation = envelope.generation;
  seals.chunk_size = envelope.chunk_size;
  seals.by_parity[parity_of(envelope)].envelope = std::move(envelope);
  if (!content.next_envelope) return seals;
  COFFER_ASSIGN(auto next, belonging(store, ino, *content.next_envelope));
  if (next.generation != generation + 1 || next.chunk_size != seals.chunk_size)
    return Error{Code::kDamaged, "its next envelope does not follow the one it has"};
  seals.by_parity[parity_of(next)].envelope = std::move(next);
  return seals;
}

Status unlock(ObjectSeals& seals, Keyring& keyring, const Principal& principal) {
  for (auto& one : seals.by_parity) {
    if (!one.envelope) continue;
    auto aead = keyring.unlock(*one.envelope, principal);
    if (aead.ok()) {
      one.aead = *std::move(aead);
    } else if (key_refuses(aead.code())) {
      seals.refused = true;
    } else {
      return std::move(aead).error();
    }
  }
  return {};
}

Result<std::uint64_t> check_inline_chunk(const Inode& inode, const ContentRow& content, const ObjectSeals& seals) {
  if (!content.inline_chunk) return std::uint64_t{0};
  COFFER_ASSIGN(const auto chunk, InlineChunk::decode(*content.inline_chunk));
  COFFER_TRY(open_chunk(inode, 0, chunk.entry, chunk.ciphertext, seals));
  return std::uint64_t{1};
}

// The others are still looked at after a bad one.
Result<std::uint64_t> check_map_row(const Inode& inode, std::uint32_t row, const ChunkRow& map, DiskFile& data,
                                    const ObjectSeals& seals, const BadChunk& bad) {
  std::uint64_t looked_at = 0;
  Bytes buffer(seals.chunk_size);
  for (std::uint32_t i = 0; i < kChunksPerRow; ++i) {
    const auto& entry = map.at(i);
    if (!entry.present()) continue;
    ++looked_at;
    const auto chunk = std::uint64_t{row} * kChunksPerRow + i;
    const auto cipher = MutableBytes(buffer).first(entry.length);
    const auto read = data.pread(slot_offset(row, entry.slot, seals.chunk_size), cipher);
    const auto opened = !read                    ? Status(read.error())
                        : *read == cipher.size() ? open_chunk(inode, chunk, entry, cipher, seals)
                                                 : Error{Code::kDamaged, "its data file ends before it"};
    if (!opened.ok()) bad(chunk, opened.error());
  }
  return looked_at;
}

Result<std::uint64_t> stored_bytes(Catalog& catalog, const ContentRow& content, std::uint32_t chunk_size) {
  if (content.file == 0) {
    if (!content.inline_chunk) return std::uint64_t{0};
    COFFER_ASSIGN(const auto chunk, InlineChunk::decode(*content.inline_chunk));
    return std::uint64_t{chunk.entry.length};
  }
  std::uint64_t stored = 0;
  for (std::uint64_t from = 0; from <= kMapRowMax;) {
    COFFER_ASSIGN(const auto rows, catalog.map_rows(content.ino, static_cast<std::uint32_t>(from), kFsckPage));
    if (rows.empty()) break;
    for (const auto row : rows) {
      COFFER_ASSIGN(const auto encoded, catalog.map_row(content.ino, row));
      if (!encoded) return Error{Code::kDamaged, "map row " + std::to_string(row) + " is gone"};
      COFFER_ASSIGN(const auto map, ChunkRow::decode(*encoded, chunk_size));
      stored += map.stored();
    }
    from = std::uint64_t{rows.back()} + 1;
  }
  return stored;
}

}  // namespace coffer
