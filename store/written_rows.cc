#include "store/written_rows.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <map>

#include "base/limits.h"
#include "base/wire.h"

namespace coffer {
namespace {

constexpr std::size_t kCountSize = 2;
constexpr std::size_t kSlotSetSize = kSlotsPerRow / 8;
constexpr std::size_t kRowHeadSize = 8 + 4 + 4 + kSlotSetSize + 2;
constexpr std::size_t kSlotSize = 1 + 2 + 4;
static_assert(kCountSize + kRowHeadSize + kSlotsPerRow * kSlotSize <= kPageContentSize);

std::size_t encoded_size(const WrittenRow& row) { return kRowHeadSize + row.written.size() * kSlotSize; }

void encode_row(const WrittenRow& row, WireWriter& out) {
  out.u64(row.file).u32(row.row).u32(row.chunk_size);
  for (std::size_t byte = 0; byte < kSlotSetSize; ++byte) {
    std::uint8_t bits = 0;
    for (unsigned bit = 0; bit < 8; ++bit) bits |= static_cast<std::uint8_t>(row.named.test(8 * byte + bit) << bit);
    out.u8(bits);
  }
  out.u16(static_cast<std::uint16_t>(row.written.size()));
  for (const auto& [slot, length, fold] : row.written)
    out.u8(slot).u16(length == row.chunk_size ? 0 : static_cast<std::uint16_t>(length)).u32(fold);
}

// False: what encode_row() does not write.
bool decode_row(WireReader& in, WrittenRow& row) {
  row.file = in.u64();
  row.row = in.u32();
  row.chunk_size = in.u32();
  for (std::size_t byte = 0; byte < kSlotSetSize; ++byte) {
    const auto bits = in.u8();
    for (unsigned bit = 0; bit < 8; ++bit) row.named.set(8 * byte + bit, (bits >> bit & 1) != 0);
  }
  const std::size_t written = in.u16();
  if (in.ok() && row.file == 0) return row.row == 0 && row.chunk_size == 0 && row.named.none() && written == 0;
  if (!in.ok() || row.chunk_size == 0 || row.chunk_size > kChunkSizeMax || written > row.named.count()) return false;
  SlotSet seen;
  for (std::size_t i = 0; i < written; ++i) {
    WrittenRow::Slot slot;
    slot.slot = in.u8();
    const std::uint32_t length = in.u16();
    slot.length = length == 0 ? row.chunk_size : length;
    slot.fold = in.u32();
    if (!in.ok() || length >= row.chunk_size || !row.named.test(slot.slot) || seen.test(slot.slot)) return false;
    seen.set(slot.slot);
    row.written.push_back(slot);
  }
  return true;
}

using Place = std::pair<std::uint64_t, std::uint32_t>;  // file and row
struct Kept {
  std::uint32_t chunk_size = 0;
  std::map<std::uint8_t, WrittenRow::Slot> slots;
};

bool has(DiskFile& file, std::uint32_t row, const Kept& kept) {
  Bytes ciphertext;
  for (const auto& [slot, written] : kept.slots) {
    ciphertext.resize(written.length);
    const auto size = file.pread(slot_offset(row, slot, kept.chunk_size), ciphertext);
    if (size && (*size != ciphertext.size() || fold(ciphertext) != written.fold)) return false;
  }
  return true;
}

}  // namespace

std::uint32_t fold(BytesView ciphertext) {
  static_assert(std::endian::native == std::endian::little);
  constexpr std::size_t kSector = 512;
  std::uint32_t folded = 0, word = 0;
  for (std::size_t at = 0; at < ciphertext.size(); at += kSector) {
    word = 0;
    std::memcpy(&word, ciphertext.data() + at, std::min(sizeof word, ciphertext.size() - at));
    folded ^= word;
  }
  return folded;
}

std::vector<Bytes> encode_rows(std::span<const WrittenRow> rows) {
  std::vector<Bytes> contents;
  for (std::size_t from = 0, to = 0; from < rows.size(); from = to) {
    std::size_t size = kCountSize;
    for (to = from; to < rows.size() && size + encoded_size(rows[to]) <= kPageContentSize; ++to)
      size += encoded_size(rows[to]);
    WireWriter out;
    out.u16(static_cast<std::uint16_t>(to - from));
    for (const auto& row : rows.subspan(from, to - from)) encode_row(row, out);
    contents.push_back(std::move(out).take());
  }
  return contents;
}

Result<std::vector<WrittenRow>> decode_rows(BytesView content) {
  WireReader in(content);
  std::vector<WrittenRow> rows(in.u16());
  for (auto& row : rows)
    if (!decode_row(in, row)) return Error{Code::kDamaged, "coffer.db-wal: a frame says nothing sound of data files"};
  if (!in.ok() || !all_zeros(in.raw(in.left())))
    return Error{Code::kDamaged, "coffer.db-wal: a frame says more of data files than it counts"};
  return rows;
}

bool are_in_data_files(std::span<const WrittenRow> rows, Disk& disk) {
  std::map<Place, Kept> places;
  for (const auto& row : rows) {
    if (row.file == 0) {
      places.clear();
      continue;
    }
    Kept& kept = places[{row.file, row.row}];
    kept.chunk_size = row.chunk_size;
    std::erase_if(kept.slots, [&](const auto& known) { return !row.named.test(known.first); });
    for (const auto& slot : row.written) kept.slots[slot.slot] = slot;
  }
  std::uint64_t number = 0;
  std::unique_ptr<DiskFile> file;  // of this number; none: the disk refuses it
  for (const auto& [where, kept] : places) {
    if (kept.slots.empty()) continue;
    if (number != where.first) {
      number = where.first;
      auto opened = disk.open(data_file_name(number), OpenMode::kExisting);
      if (!opened && opened.code() == Code::kNotFound) return false;
      file = opened ? *std::move(opened) : nullptr;
    }
    if (file && !has(*file, where.second, kept)) return false;
  }
  return true;
}

}  // namespace coffer
