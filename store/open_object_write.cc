#include <array>
#include <cassert>
#include <cstring>

#include "store/open_object.h"

// Changing content: chunks become dirty, or are sealed straight into free slots.
namespace coffer {

class OpenObject::Reservation {
 public:
  explicit Reservation(OpenObject& object) : object_(object) {}
  ~Reservation() {
    for (const auto& [chunk, slot] : taken_) {
      auto& row = object_.rows_.at(row_of(chunk));
      row.reserved.reset(slot);
      row.stale.set(slot);  // part of what failed may be in it
    }
  }
  Reservation(const Reservation&) = delete;
  Reservation& operator=(const Reservation&) = delete;

  // None: the row has no free slot before the next durable commit.
  std::optional<std::uint8_t> take(std::uint64_t chunk) {
    const auto slot = reserve(object_.rows_.at(row_of(chunk)));
    if (slot) taken_.emplace_back(chunk, *slot);
    return slot;
  }
  void used() { taken_.clear(); }

 private:
  OpenObject& object_;
  std::vector<std::pair<std::uint64_t, std::uint8_t>> taken_;
};

Result<Progress> OpenObject::write(std::uint64_t offset, BytesView bytes) {
  assert(!gone_ && !bytes.empty());
  const std::uint64_t end = offset + bytes.size(), size = chunk_size();
  if (file_ == 0 && end > kInlineSizeMax) COFFER_TRY(move_to_file());
  COFFER_TRY(load(offset, bytes.size()));

  // Whole chunks go straight to the disk, from `whole` up to `whole_end`; one before and one after them may be partial.
  const auto first = offset / size, last = (end - 1) / size;
  const auto whole_end = end / size;
  const auto whole = std::min((offset + size - 1) / size, whole_end);
  struct Partial {
    std::uint64_t chunk;
    std::size_t within;
    BytesView bytes;
    std::optional<DirtyChunk> fresh;
  };
  std::vector<Partial> partial;
  if (first < whole || whole == whole_end)
    partial.push_back(
        {first, offset % size, bytes.first(std::min<std::uint64_t>(bytes.size(), size - offset % size)), {}});
  if (last >= whole_end && last > first) partial.push_back({last, 0, bytes.last(end % size), {}});
  if (!lease_lasts(whole_end - whole + partial.size())) return Progress::kNeedsDurableCommit;

  for (auto& part : partial) {
    if (dirty(part.chunk)) continue;
    const bool replaced = part.within == 0 && part.bytes.size() >= entry_in_memory(part.chunk).length;
    DirtyChunk fresh;
    if (!replaced) {
      COFFER_ASSIGN(fresh.plain, load_plain(part.chunk));
    }
    part.fresh = std::move(fresh);
  }

  // In ascending order, so that what is written in order lies in order.
  Reservation reservation(*this);
  const auto reserve_before = [&](std::uint64_t from, std::uint64_t to) {
    for (auto& part : partial) {
      if (!part.fresh || file_ == 0 || part.chunk < from || part.chunk >= to) continue;
      part.fresh->slot = reservation.take(part.chunk);
      if (!part.fresh->slot) return false;
    }
    return true;
  };
  if (!reserve_before(first, whole)) return Progress::kNeedsDurableCommit;
  std::vector<Outgoing> outgoing;
  for (auto chunk = whole; chunk < whole_end; ++chunk) {
    const auto* changed = dirty(chunk);
    const auto slot = changed ? changed->slot : reservation.take(chunk);
    if (!slot) return Progress::kNeedsDurableCommit;
    outgoing.push_back({chunk, *slot, bytes.subspan(chunk * size - offset, size), {}, 0});
  }
  if (!reserve_before(whole_end, last + 1)) return Progress::kNeedsDurableCommit;
  for (const auto& part : partial)
    if (part.fresh && part.fresh->slot) COFFER_TRY(take_blocks(part.chunk, *part.fresh->slot));
  COFFER_TRY(put_chunks(outgoing));

  reservation.used();
  std::int64_t grown = 0;
  for (const auto& chunk : outgoing) {
    grown += static_cast<std::int64_t>(size) - static_cast<std::int64_t>(stored_length(chunk.chunk));
    drop_dirty(chunk.chunk);
    install(chunk);
  }
  for (auto& part : partial) {
    const auto before = static_cast<std::int64_t>(stored_length(part.chunk));
    if (part.fresh) put_dirty(part.chunk, *std::move(part.fresh));
    edit_dirty(part.chunk, [&](PlainChunk& plain) { plain.write(part.within, part.bytes); });
    grown += static_cast<std::int64_t>(stored_length(part.chunk)) - before;
  }
  changed_content(grown, std::max(end, parts_.inodes.read(inode_).size));
  return Progress::kDone;
}

Result<Progress> OpenObject::resize(std::uint64_t size) {
  const auto old = parts_.inodes.read(inode_).size;
  if (size >= old) {
    changed_content(0, size);
    return Progress::kDone;
  }
  const auto part = size % chunk_size(), last = size / chunk_size();
  const auto cut_from = last + (part != 0 ? 1 : 0);
  COFFER_TRY(load(last * chunk_size(), 1));
  if (part != 0 && stored_length(last) > part) {
    COFFER_ASSIGN(const auto made, make_dirty(last));
    if (made == Progress::kNeedsDurableCommit) return made;
  }
  const auto kept_rows = row_of(cut_from + kChunksPerRow - 1);
  COFFER_ASSIGN(const auto cut, cut_rows(kept_rows));

  std::int64_t shrunk = -static_cast<std::int64_t>(cut);
  const auto drop = [&](std::uint64_t chunk) {
    shrunk -= static_cast<std::int64_t>(stored_length(chunk));
    drop_dirty(chunk);
    take_out(chunk);
  };
  if (file_ == 0 && cut_from == 0) drop(0);
  for (auto in_memory = rows_.lower_bound(row_of(cut_from)); in_memory != rows_.end(); ++in_memory)
    for (std::uint32_t i = 0; i < kChunksPerRow; ++i) {
      const auto chunk = std::uint64_t{in_memory->first} * kChunksPerRow + i;
      if (chunk >= cut_from) drop(chunk);
    }
  if (part != 0 && dirty(last)) {
    const auto fitting = [&](PlainChunk& plain) { plain.resize(std::min<std::size_t>(plain.size(), part)); };
    shrunk += edit_dirty(last, fitting);
  }
  changed_content(shrunk, size);
  return Progress::kDone;
}

Result<Progress> OpenObject::punch(std::uint64_t offset, std::uint64_t size) {
  const auto object_size = parts_.inodes.read(inode_).size;
  const auto end = std::min(offset + size, object_size);
  if (offset >= end) return Progress::kDone;
  // The last chunk counts as whole when nothing of the object is behind the hole.
  const auto from = (offset + chunk_size() - 1) / chunk_size();
  const auto to = end == object_size ? (end + chunk_size() - 1) / chunk_size() : end / chunk_size();
  const auto head = offset / chunk_size(), tail = end / chunk_size();
  const bool head_edge = offset % chunk_size() != 0, tail_edge = to == tail && end % chunk_size() != 0;

  COFFER_TRY(load_inline());
  std::vector<std::uint32_t> rows;
  for (auto number = row_of(from); file_ != 0 && from < to;) {
    COFFER_ASSIGN(const auto existing, next_row(number));
    if (!existing || *existing > row_of(to - 1)) break;
    COFFER_TRY(row(*existing));
    rows.push_back(*existing);
    number = *existing + 1;
  }
  for (const auto& [edge, chunk] : {std::pair(head_edge, head), std::pair(tail_edge, tail)}) {
    if (!edge) continue;
    if (file_ != 0) COFFER_TRY(row(row_of(chunk)));
    COFFER_ASSIGN(const auto made, make_dirty(chunk));
    if (made == Progress::kNeedsDurableCommit) return made;
  }

  std::int64_t shrunk = 0;
  const auto drop = [&](std::uint64_t chunk) {
    shrunk -= static_cast<std::int64_t>(stored_length(chunk));
    drop_dirty(chunk);
    take_out(chunk);
  };
  if (file_ == 0 && from == 0 && to > 0) drop(0);
  for (const auto number : rows)
    for (std::uint32_t i = 0; i < kChunksPerRow; ++i) {
      const auto chunk = std::uint64_t{number} * kChunksPerRow + i;
      if (chunk >= from && chunk < to) drop(chunk);
    }
  const auto zero = [&](std::uint64_t chunk) {
    const auto begin = chunk * chunk_size();
    const auto zero_from = std::max(offset, begin) - begin,
               zero_to = std::min(end - begin, std::uint64_t{chunk_size()});
    if (!dirty(chunk)) return;
    shrunk += edit_dirty(chunk, [&](PlainChunk& plain) {
      if (zero_from >= plain.size()) return;
      if (zero_to >= plain.size() && zero_from > 0) return plain.resize(zero_from);
      std::memset(plain.span().data() + zero_from, 0, std::min(zero_to, plain.size()) - zero_from);
    });
  };
  if (head_edge) zero(head);
  if (tail_edge && !(head_edge && head == tail)) zero(tail);
  changed_content(shrunk, object_size);
  return Progress::kDone;
}

void OpenObject::changed_content(std::int64_t allocated_by, std::uint64_t size) {
  const auto now = parts_.clock.wall_ns();
  parts_.inodes.edit(inode_, [&](Inode& inode) {
    inode.allocated += static_cast<std::uint64_t>(allocated_by);
    inode.size = size;
    inode.mtime_ns = inode.ctime_ns = now;
  });
}

// --- dirty chunks ---

const OpenObject::DirtyChunk* OpenObject::dirty(std::uint64_t chunk) const {
  const auto found = dirty_.find(chunk);
  return found == dirty_.end() ? nullptr : &found->second;
}

void OpenObject::put_dirty(std::uint64_t chunk, DirtyChunk fresh) {
  assert(!dirty_.contains(chunk));
  parts_.dirty_bytes += fresh.plain.capacity();
  dirty_.emplace(chunk, std::move(fresh));
}

void OpenObject::drop_dirty(std::uint64_t chunk) {
  const auto found = dirty_.find(chunk);
  if (found == dirty_.end()) return;
  if (found->second.slot) rows_.at(row_of(chunk)).reserved.reset(*found->second.slot);
  parts_.dirty_bytes -= found->second.plain.capacity();
  dirty_.erase(found);
}

template <class Change>
std::int64_t OpenObject::edit_dirty(std::uint64_t chunk, Change&& change) {
  auto& plain = dirty_.at(chunk).plain;
  const auto size = plain.size(), capacity = plain.capacity();
  change(plain);
  parts_.dirty_bytes += plain.capacity() - capacity;
  return static_cast<std::int64_t>(plain.size()) - static_cast<std::int64_t>(size);
}

Result<Progress> OpenObject::make_dirty(std::uint64_t chunk) {
  if (dirty(chunk) || !entry_in_memory(chunk).present()) return Progress::kDone;
  DirtyChunk same;
  COFFER_ASSIGN(same.plain, load_plain(chunk));
  if (file_ != 0) {
    Reservation reservation(*this);
    same.slot = reservation.take(chunk);
    if (!same.slot) return Progress::kNeedsDurableCommit;
    COFFER_TRY(take_blocks(chunk, *same.slot));
    reservation.used();
  }
  put_dirty(chunk, std::move(same));
  return Progress::kDone;
}

Status OpenObject::take_blocks(std::uint64_t chunk, std::uint8_t slot) {
  if (!parts_.scarce) return {};
  COFFER_ASSIGN(const auto file, data_file());
  return file->allocate(slot_offset(row_of(chunk), slot, chunk_size()), chunk_size());
}

Result<bool> OpenObject::stores(std::uint64_t offset, std::uint64_t size) {
  const auto end = offset + size;
  if (end > parts_.inodes.read(inode_).size) return false;
  COFFER_TRY(load(offset, size));
  for (auto chunk = offset / chunk_size(); chunk * chunk_size() < end; ++chunk) {
    if (file_ == 0 && chunk > 0) return false;
    const auto within = std::min(end - chunk * chunk_size(), std::uint64_t{chunk_size()});
    if (stored_length(chunk) < within) return false;
  }
  return true;
}

std::uint64_t OpenObject::stored_length(std::uint64_t chunk) const {
  if (const auto* changed = dirty(chunk)) return changed->plain.size();
  return entry_in_memory(chunk).length;
}

Status OpenObject::move_to_file() {
  COFFER_TRY(load_inline());
  DirtyChunk moved;
  if (!dirty(0)) {
    COFFER_ASSIGN(moved.plain, load_plain(0));
  }
  COFFER_ASSIGN(const auto number, parts_.file_numbers.take());
  // Made before anything is answered: a file system may have no inode left for it, and then no flush would succeed.
  COFFER_ASSIGN(const auto made, parts_.files.open(number, OpenMode::kCreate));
  // Of a catalog that somebody put back to an earlier day: its next numbers may have been given out before.
  COFFER_ASSIGN(const auto size, made->size());
  if (size > 0) COFFER_TRY(made->truncate(0));
  const bool holds = dirty(0) || inline_entry_.present();
  if (parts_.scarce && holds) {
    if (auto taken = made->allocate(slot_offset(0, 0, chunk_size()), chunk_size()); !taken) {
      (void)parts_.files.remove(number);  // or it stays until a sweep or a repair
      return taken;
    }
  }
  file_ = number;
  file_made_ = true;
  content_changed_ = header_due_ = true;
  header_sequence_ = 0;
  auto& row = rows_[0];
  ++parts_.map_rows;
  if (const auto changed = dirty_.find(0); changed != dirty_.end()) {
    changed->second.slot = reserve(row);
  } else if (inline_entry_.present()) {
    moved.slot = reserve(row);
    put_dirty(0, std::move(moved));
  }
  inline_entry_ = {};
  inline_ciphertext_ = {};
  return {};
}

// --- sealing ---

// Under the next envelope where its key serves: less is left to move. Else the object keeps its envelope for this
// write.
KeptEnvelope& OpenObject::sealing_envelope() {
  if (next_ && next_->aead) return *next_;
  if (next_) reseal_row_ = 0;
  return current_;
}

// Whether so many seals may be made without a second lease that no durable commit records.
bool OpenObject::lease_lasts(std::size_t count) {
  const auto& kept = sealing_envelope();
  return kept.seals_used + count <= kept.seals_leased || parts_.rounds_ended > kept.lease_round;
}

Status OpenObject::take_seals(std::size_t count) {
  auto& kept = sealing_envelope();
  if (!kept.aead) return Error{Code::kKeyDisabled, "the object's key does not serve now"};
  if (kept.seals_used + count > kSealsPerKeyMax)
    return Error{Code::kLimit, "the object's data key has sealed as often as it may; coffer reseal gives it another"};
  kept.seals_used += count;
  while (kept.seals_used > kept.seals_leased) {
    kept.seals_leased += kSealLease;
    kept.lease_round = parts_.rounds_begun;
    lease_changed_ = true;
  }
  return {};
}

Status OpenObject::put_chunks(std::span<Outgoing> chunks) {
  if (chunks.empty()) return {};
  COFFER_TRY(take_seals(chunks.size()));
  std::vector<JournaledChunk> copies;
  const bool keeps = parts_.journal.takes(chunks.size());
  for (std::size_t from = 0; from < chunks.size();) {
    auto to = from + 1;
    while (to < chunks.size() && to - from < kWriteBatchChunks &&
           row_of(chunks[to].chunk) == row_of(chunks[from].chunk) && chunks[to].slot == chunks[to - 1].slot + 1 &&
           chunks[to - 1].plain.size() == chunk_size())
      ++to;
    COFFER_TRY(put_run(chunks.subspan(from, to - from), keeps ? &copies : nullptr));
    from = to;
  }
  keeps ? parts_.journal.wrote(std::move(copies)) : parts_.journal.wrote_many();
  return {};
}

Result<std::shared_ptr<DiskFile>> OpenObject::data_file() {
  COFFER_ASSIGN(auto file, parts_.files.open(file_, file_made_ ? OpenMode::kExisting : OpenMode::kCreate));
  file_made_ = true;
  return file;
}

Status OpenObject::put_run(std::span<Outgoing> run, std::vector<JournaledChunk>* copies) {
  static thread_local Bytes buffer;  // ciphertext alone
  buffer.resize(kWriteBatchChunks * chunk_size());
  const auto& kept = sealing_envelope();
  const auto& envelope = *kept.envelope;
  std::array<ChunkAad, kWriteBatchChunks> aads;
  std::array<SealJob, kWriteBatchChunks> jobs;
  std::size_t filled = 0, count = 0;
  for (auto& chunk : run) {
    auto& entry = chunk.entry;
    entry.length = static_cast<std::uint32_t>(chunk.plain.size());
    entry.slot = chunk.slot;
    entry.parity = parity_of(envelope);
    entry.layers = static_cast<std::uint8_t>(envelope.layers.size());
    aads[count] = chunk_aad(envelope, chunk.chunk, entry.length);
    jobs[count] = {aads[count], chunk.plain, MutableBytes(buffer).subspan(filled, entry.length), entry.seal()};
    filled += entry.length;
    ++count;
  }
  COFFER_TRY(kept.aead->seal_run(std::span(jobs).first(count)));
  COFFER_ASSIGN(const auto file, data_file());
  const auto at = slot_offset(row_of(run[0].chunk), run[0].slot, chunk_size());
  COFFER_TRY(file->pwrite(at, BytesView(buffer).first(filled)));
  parts_.files.wrote(file_);
  for (std::size_t i = 0; i < count; ++i) run[i].fold = fold(jobs[i].cipher);
  for (std::size_t i = 0; copies != nullptr && i < count; ++i)
    copies->push_back({ino_, run[i].chunk, to_bytes(run[i].entry.seal()), to_bytes(jobs[i].cipher)});
  return {};
}

Status OpenObject::seal_inline() {
  const auto& plain = dirty_.at(0).plain;
  COFFER_TRY(take_seals(1));
  const auto& kept = sealing_envelope();
  ChunkEntry entry;
  entry.length = static_cast<std::uint32_t>(plain.size());
  entry.parity = parity_of(*kept.envelope);
  entry.layers = static_cast<std::uint8_t>(kept.envelope->layers.size());
  Bytes ciphertext(plain.size());
  COFFER_TRY(kept.aead->seal(chunk_aad(*kept.envelope, 0, entry.length), plain.view(), ciphertext, entry.seal()));
  inline_entry_ = entry;
  inline_ciphertext_ = std::move(ciphertext);
  content_changed_ = true;
  drop_dirty(0);
  return {};
}

Status OpenObject::flush() {
  if (dirty_.empty()) return {};
  if (file_ == 0) return seal_inline();
  while (!dirty_.empty()) {
    std::vector<Outgoing> outgoing;
    for (const auto& [chunk, changed] : dirty_) {
      if (outgoing.size() == kWriteBatchChunks) break;
      outgoing.push_back({chunk, *changed.slot, changed.plain.view(), {}, 0});
    }
    COFFER_TRY(put_chunks(outgoing));
    for (const auto& chunk : outgoing) {
      drop_dirty(chunk.chunk);
      install(chunk);
    }
  }
  return {};
}

}  // namespace coffer
