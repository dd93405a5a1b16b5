#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>

#include "crypto/keyring.h"
#include "store/catalog.h"
#include "store/chunk_map.h"

namespace coffer {

// What fsck and a scrub ask of one object. kDamaged says what is wrong; chunks that do not open are told one by one.

// An object's envelopes, two while it is being resealed, and their ciphers where the keys serve.
struct ObjectSeals {
  struct One {
    std::optional<Envelope> envelope;
    std::shared_ptr<const Aead> aead;
  };
  std::array<One, 2> by_parity;  // the parity that its chunks name
  std::uint32_t chunk_size = 0;
  bool refused = false;  // a key of it is disabled, missing or denied: no damage, and its chunks cannot be opened
};

// Without any key.
Result<ObjectSeals> seals_of(const StoreId& store, InodeNumber ino, const ContentRow& content);
// Asks the KMS, with nothing locked.
Status unlock(ObjectSeals& seals, Keyring& keyring, const Principal& principal);

using BadChunk = std::function<void(std::uint64_t chunk, const Error& why)>;

// Chunks looked at; the first bad one is the failure.
Result<std::uint64_t> check_inline_chunk(const Inode& inode, const ContentRow& content, const ObjectSeals& seals);
Result<std::uint64_t> check_map_row(const Inode& inode, std::uint32_t row, const ChunkRow& map, DiskFile& data,
                                    const ObjectSeals& seals, const BadChunk& bad);

// Bytes stored of an object, of its rows as the catalog has them. Catalog::mutex() is held.
Result<std::uint64_t> stored_bytes(Catalog& catalog, const ContentRow& content, std::uint32_t chunk_size);

bool is_damage(Code code);

}  // namespace coffer
