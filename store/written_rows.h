#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "store/chunk_map.h"
#include "store/disk.h"

namespace coffer {

// A map row as a commit leaves it, for whoever opens the store after its process ended: a commit that is in the log
// whole may name bytes that only a page cache had, and that cache need not be the one of today (docs/FORMAT.md section
// 7).
struct WrittenRow {
  struct Slot {
    std::uint8_t slot = 0;
    std::uint32_t length = 0;  // of the ciphertext, 1 to the chunk size
    std::uint32_t fold = 0;
  };
  std::uint64_t file = 0;  // 0, with all else 0: what was told so far counts no more
  std::uint32_t row = 0;
  std::uint32_t chunk_size = 0;
  SlotSet named;
  std::vector<Slot> written;  // of those named, since the commit before
};

// The first 32-bit word of each 512 bytes, little-endian and with zeros behind the end, by exclusive or. A disk loses
// sectors, or more at a time: one of a ciphertext that is lost shows, but for one chance in 2^32. Nobody is kept from
// making such bytes: what is read is authenticated by its seal.
std::uint32_t fold(BytesView ciphertext);

// As contents of log frames, kPageContentSize bytes each at most; a row is in one of them.
std::vector<Bytes> encode_rows(std::span<const WrittenRow> rows);
// Total: kDamaged for anything encode_rows() does not write.
Result<std::vector<WrittenRow>> decode_rows(BytesView content);

// Whether the data files have what these rows, the oldest first, say was written and is still named. What the disk
// refuses to read counts as there: an error of it says nothing about a cache.
bool are_in_data_files(std::span<const WrittenRow> rows, Disk& disk);

}  // namespace coffer
