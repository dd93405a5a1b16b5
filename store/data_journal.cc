#include "store/data_journal.h"

#include <algorithm>

#include "store/chunk_map.h"

namespace coffer {
namespace {

// Where the map has exactly this chunk: in a file, from an offset on. Nothing: it was overwritten, moved or removed since.
struct Destination {
  std::uint64_t file = 0, offset = 0;
};
Result<std::optional<Destination>> destination_of(Catalog& catalog, const JournaledChunk& kept) {
  const auto content = catalog.content(kept.ino);
  if (!content && content.code() == Code::kNotFound) return std::optional<Destination>();
  if (!content) return content.error();
  COFFER_ASSIGN(const auto encoded, catalog.map_row(kept.ino, row_of(kept.chunk)));
  if (!encoded || content->file == 0) return std::optional<Destination>();
  // What is damaged here is told by whoever reads the object.
  const auto envelope = Envelope::decode(content->envelope);
  if (!envelope) return std::optional<Destination>();
  const auto row = ChunkRow::decode(*encoded, envelope->chunk_size);
  if (!row) return std::optional<Destination>();
  const ChunkEntry& entry = row->at(index_in_row(kept.chunk));
  if (!entry.present() || entry.length != kept.ciphertext.size() || !std::ranges::equal(entry.seal(), kept.seal))
    return std::optional<Destination>();
  return std::optional(Destination{content->file, slot_offset(row_of(kept.chunk), entry.slot, envelope->chunk_size)});
}

}  // namespace

void DataJournal::wrote(InodeNumber ino, std::uint64_t chunk, BytesView seal, BytesView ciphertext) {
  const std::lock_guard lock(mutex_);
  if (too_much_) return;
  written_bytes_ += ciphertext.size();
  if (written_bytes_ > kJournalStepMax) {
    too_much_ = true;
    written_.clear();
    return;
  }
  written_.insert_or_assign({ino, chunk}, JournaledChunk{ino, chunk, to_bytes(seal), to_bytes(ciphertext)});
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
  COFFER_ASSIGN(const auto journal, catalog.journal());
  if (journal.empty()) return {};
  std::map<std::uint64_t, std::unique_ptr<DiskFile>> files;
  for (const JournaledChunk& kept : journal) {
    COFFER_ASSIGN(const auto to, destination_of(catalog, kept));
    if (!to) continue;
    auto& file = files[to->file];
    if (!file) {
      auto opened = disk.open(data_file_name(to->file), OpenMode::kExisting);
      if (!opened && opened.code() == Code::kNotFound) continue;  // damage, told by whoever reads the object
      if (!opened) return opened.error();
      file = *std::move(opened);
    }
    COFFER_TRY(file->pwrite(to->offset, kept.ciphertext));
  }
  for (const auto& [number, file] : files)
    if (file) COFFER_TRY(file->sync());
  return catalog.set_journal_rows(0);
}

}  // namespace coffer
