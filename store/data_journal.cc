#include "store/data_journal.h"

#include <algorithm>

#include "base/limits.h"
#include "store/chunk_map.h"

namespace coffer {
namespace {

// Where the map has exactly this chunk: in a file, from an offset on. Nothing: it was overwritten, moved or removed since.
struct Destination {
  std::uint64_t file = 0, offset = 0;
};
Result<std::optional<Destination>> destination_of(Catalog& catalog, const JournaledChunk& kept) {
  COFFER_ASSIGN(const ContentRow content, catalog.content(kept.ino));
  COFFER_ASSIGN(const auto encoded, catalog.map_row(kept.ino, row_of(kept.chunk)));
  if (!encoded || content.file == 0) return std::optional<Destination>();
  COFFER_ASSIGN(const Envelope envelope, Envelope::decode(content.envelope));
  COFFER_ASSIGN(const ChunkRow row, ChunkRow::decode(*encoded, envelope.chunk_size));
  const ChunkEntry& entry = row.at(index_in_row(kept.chunk));
  if (!entry.present() || entry.length != kept.ciphertext.size() || !std::ranges::equal(entry.seal(), kept.seal))
    return std::optional<Destination>();
  return std::optional(Destination{content.file, slot_offset(row_of(kept.chunk), entry.slot, envelope.chunk_size)});
}

// Damage is told by whoever reads the object: it keeps no other from being opened.
bool concerns_one_object(Code code) { return code == Code::kDamaged || code == Code::kNotFound; }

}  // namespace

bool DataJournal::takes(std::size_t chunks) const {
  const std::lock_guard lock(mutex_);
  return !too_much_ && written_.size() + chunks <= kJournalChunksMax;
}

void DataJournal::wrote(std::vector<JournaledChunk> chunks) {
  const std::lock_guard lock(mutex_);
  for (JournaledChunk& chunk : chunks) {
    written_bytes_ += chunk.ciphertext.size();
    if (too_much_ || written_bytes_ > kJournalStepMax) return wrote_many_locked();
    const Place place{chunk.ino, chunk.chunk};
    written_.insert_or_assign(place, std::move(chunk));
  }
}

void DataJournal::wrote_many() {
  const std::lock_guard lock(mutex_);
  wrote_many_locked();
}

void DataJournal::wrote_many_locked() {
  too_much_ = true;
  written_.clear();
}

bool DataJournal::fits() const {
  const std::lock_guard lock(mutex_);
  return !too_much_ && rows_bytes_ + written_bytes_ <= kJournalBytesMax;
}

std::uint32_t DataJournal::pages() const {
  constexpr std::size_t kPagesBesides = 3;  // a last part of one, the row's leaf, and a split above
  const std::lock_guard lock(mutex_);
  std::size_t pages = 0;
  for (const auto& [place, chunk] : written_) pages += chunk.ciphertext.size() / kPageSize + kPagesBesides;
  return static_cast<std::uint32_t>(pages);
}

void DataJournal::forget_written() {
  const std::lock_guard lock(mutex_);
  written_.clear();
  written_bytes_ = 0;
  too_much_ = false;
}

Status DataJournal::put_locked(Catalog& catalog) {
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [place, chunk] : written_) {
      const auto row = rows_.try_emplace(place, rows_.size() + 1).first->second;
      COFFER_TRY(catalog.put_journal(row, chunk));
    }
    COFFER_TRY(catalog.set_journal_rows(rows_.size()));
    rows_bytes_ += written_bytes_;
  }
  forget_written();
  return {};
}

Status DataJournal::clear_locked(Catalog& catalog) {
  const std::lock_guard lock(mutex_);
  if (rows_.empty()) return {};
  COFFER_TRY(catalog.set_journal_rows(0));
  rows_.clear();
  rows_bytes_ = 0;
  return {};
}

Status settle_journal_locked(Catalog& catalog, Disk& disk) {
  COFFER_ASSIGN(const std::uint64_t rows, catalog.journal_rows());
  if (rows == 0) return {};
  std::map<std::uint64_t, std::unique_ptr<DiskFile>> files;
  for (std::uint64_t row = 1; row <= rows; ++row) {
    const auto kept = catalog.journal(row);
    if (!kept && concerns_one_object(kept.code())) continue;
    if (!kept) return kept.error();
    const auto to = destination_of(catalog, *kept);
    if (!to && concerns_one_object(to.code())) continue;
    if (!to) return to.error();
    if (!*to) continue;
    auto& file = files[(*to)->file];
    if (!file) {
      auto opened = disk.open(data_file_name((*to)->file), OpenMode::kExisting);
      if (!opened && concerns_one_object(opened.code())) continue;
      if (!opened) return opened.error();
      file = *std::move(opened);
    }
    COFFER_TRY(file->pwrite((*to)->offset, kept->ciphertext));
  }
  for (const auto& [number, file] : files)
    if (file) COFFER_TRY(file->sync());
  return catalog.set_journal_rows(0);
}

}  // namespace coffer
