#include "store/open_object.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <utility>

// An object's envelopes, its map rows, and what a commit takes from it.
namespace coffer {
namespace {

Error damaged_envelope() { return {Code::kDamaged, "an object's envelope is not its own"}; }

}  // namespace

Result<KeptEnvelope> KeptEnvelope::decode(BytesView encoded, const StoreId& store, InodeNumber ino) {
  COFFER_ASSIGN(auto envelope, Envelope::decode(encoded));
  if (envelope.store != store || envelope.object != ino) return damaged_envelope();
  if (!std::has_single_bit(envelope.chunk_size) || envelope.chunk_size > kChunkSizeMax ||
      envelope.chunk_size < kInlineSizeMax || envelope.layers.empty() || envelope.layers.size() > kLayersMax)
    return damaged_envelope();
  KeptEnvelope kept;
  kept.envelope = std::make_shared<const Envelope>(std::move(envelope));
  kept.encoded = to_bytes(encoded);
  return kept;
}

KeptEnvelope KeptEnvelope::issued(Keyring::Issued issued, std::uint64_t rule_version) {
  KeptEnvelope kept;
  kept.encoded = issued.envelope.encode();
  kept.envelope = std::make_shared<const Envelope>(std::move(issued.envelope));
  kept.aead = std::move(issued.aead);
  kept.rule_version = rule_version;
  kept.seals_leased = kSealLease;
  return kept;
}

namespace {

// The recorded lease may have been used up, and one more that a crash kept from being recorded.
void count_seals(KeptEnvelope& kept, std::uint64_t recorded) {
  kept.seals_leased = recorded;
  kept.seals_used = recorded + kSealLease;
}

}  // namespace

Result<std::shared_ptr<OpenObject>> OpenObject::load_locked(ObjectParts& parts, const StoreId& store, InodeNumber ino) {
  COFFER_ASSIGN(auto inode, parts.inodes.get_locked(ino));
  if (parts.inodes.read(inode).kind != FileKind::kFile)
    return Error{Code::kInvalidArgument, "only regular files have content"};
  COFFER_ASSIGN(auto row, parts.catalog.content(ino));
  COFFER_ASSIGN(auto current, KeptEnvelope::decode(row.envelope, store, ino));
  current.rule_version = row.rule_version;
  count_seals(current, row.seals_leased);
  auto object = std::make_shared<OpenObject>(parts, std::move(inode), std::move(current));
  object->current_.lease_round = 0;
  if (row.next_envelope) {
    COFFER_ASSIGN(auto next, KeptEnvelope::decode(*row.next_envelope, store, ino));
    next.rule_version = row.next_rule_version;
    count_seals(next, row.next_seals_leased);
    if (parity_of(*next.envelope) == parity_of(*object->current_.envelope) ||
        next.envelope->chunk_size != object->chunk_size())
      return damaged_envelope();
    object->next_ = std::move(next);
  }
  object->file_ = row.file;
  if (row.inline_chunk) {
    COFFER_ASSIGN(auto chunk, InlineChunk::decode(*row.inline_chunk));
    if (row.file != 0) return Error{Code::kDamaged, "an object is in two places"};
    object->inline_entry_ = chunk.entry;
    object->inline_ciphertext_ = std::move(chunk.ciphertext);
  }
  return object;
}

OpenObject::OpenObject(ObjectParts& parts, InodeCache::Handle inode, KeptEnvelope current)
    : parts_(parts), ino_(parts.inodes.read(inode).ino), inode_(std::move(inode)), current_(std::move(current)) {
  current_.lease_round = parts_.rounds_begun;
}

OpenObject::~OpenObject() { drop_content(); }

void OpenObject::drop_content() {
  while (!dirty_.empty()) drop_dirty(dirty_.begin()->first);
  parts_.map_rows -= rows_.size();
  rows_.clear();
  active_rows_.clear();
  inline_entry_ = {};
  inline_ciphertext_ = {};
  file_ = 0;
  file_made_ = header_due_ = false;
  header_sequence_.reset();
  cut_from_ = cut_in_round_ = kNoRow;
  reseal_row_ = 0;
  row_changed_ = worth_punching_ = false;
}

void OpenObject::forget_content() {
  drop_content();
  content_changed_ = lease_changed_ = false;
  gone_ = true;
}

ContentRow OpenObject::content_row() const {
  ContentRow row;
  row.ino = ino_;
  row.envelope = current_.encoded;
  row.rule_version = current_.rule_version;
  row.seals_leased = current_.seals_leased;
  if (next_) {
    row.next_envelope = next_->encoded;
    row.next_rule_version = next_->rule_version;
    row.next_seals_leased = next_->seals_leased;
  }
  row.file = file_;
  if (inline_entry_.present()) {
    assert(inline_ciphertext_.size() == inline_entry_.length);
    row.inline_chunk = InlineChunk{inline_entry_, inline_ciphertext_}.encode();
  }
  return row;
}

// --- envelopes ---

std::uint32_t OpenObject::newest_generation() const {
  return next_ ? next_->envelope->generation : current_.envelope->generation;
}

void OpenObject::restart(KeptEnvelope fresh) {
  drop_content();
  current_ = std::move(fresh);
  current_.lease_round = parts_.rounds_begun;
  next_.reset();
  content_changed_ = lease_changed_ = false;
  const auto now = parts_.clock.wall_ns();
  parts_.inodes.edit(inode_, [&](Inode& inode) {
    inode.size = inode.allocated = 0;
    inode.mtime_ns = inode.ctime_ns = now;
  });
}

void OpenObject::rewrapped(std::shared_ptr<const Envelope> envelope, Bytes encoded, std::uint64_t rule_version) {
  assert(!next_ && envelope->generation == current_.envelope->generation);
  current_.envelope = std::move(envelope);
  current_.encoded = std::move(encoded);
  current_.rule_version = rule_version;
  queued_for = 0;
}

Status OpenObject::begin_reseal(KeptEnvelope next) {
  assert(!next_ && parity_of(*next.envelope) != parity_of(*current_.envelope));
  COFFER_TRY(load_inline());
  next_ = std::move(next);
  next_->lease_round = parts_.rounds_begun;
  reseal_row_ = 0;
  content_changed_ = true;
  return {};
}

Status OpenObject::abandon_reseal() {
  COFFER_TRY(load_inline());
  next_.reset();
  content_changed_ = true;
  return {};
}

Result<bool> OpenObject::anything_under_next() {
  if (!next_) return false;
  const auto parity = parity_of(*next_->envelope);
  if (inline_entry_.present() && inline_entry_.parity == parity) return true;
  for (std::uint32_t number = 0; file_ != 0;) {
    COFFER_ASSIGN(const auto existing, next_row(number));
    if (!existing) return false;
    COFFER_ASSIGN(const Row* row, this->row(*existing));
    for (std::uint32_t i = 0; i < kChunksPerRow; ++i)
      if (row->entries.at(i).present() && row->entries.at(i).parity == parity) return true;
    trim_rows(*existing, *existing);
    number = *existing + 1;
  }
  return false;
}

Result<OpenObject::Reseal> OpenObject::reseal_some() {
  assert(next_ && next_->aead && current_.aead);
  COFFER_TRY(load_inline());
  COFFER_TRY(flush());
  const auto parity = parity_of(*next_->envelope);
  if (file_ == 0) {
    if (!inline_entry_.present() || inline_entry_.parity == parity) return Reseal::kComplete;
    COFFER_TRY(make_dirty(0));
    COFFER_TRY(flush());
    return Reseal::kComplete;
  }
  std::size_t moved = 0;
  while (true) {
    COFFER_ASSIGN(const auto existing, next_row(reseal_row_));
    if (!existing) return Reseal::kComplete;
    COFFER_ASSIGN(Row * row, this->row(*existing));
    trim_rows(*existing, *existing);
    for (std::uint32_t i = 0; i < kChunksPerRow; ++i) {
      const auto& entry = row->entries.at(i);
      if (!entry.present() || entry.parity == parity) continue;
      if (moved == kResealStepChunks) {
        COFFER_TRY(flush());
        return Reseal::kMoved;
      }
      COFFER_ASSIGN(const auto made, make_dirty(std::uint64_t{*existing} * kChunksPerRow + i));
      if (made == Progress::kNeedsDurableCommit) {
        COFFER_TRY(flush());
        return Reseal::kNeedsDurableCommit;
      }
      ++moved;
    }
    COFFER_TRY(flush());
    reseal_row_ = *existing + 1;
  }
}

Status OpenObject::finish_reseal() {
  COFFER_TRY(load_inline());
  current_ = *std::move(next_);
  next_.reset();
  reseal_row_ = 0;
  queued_for = 0;
  content_changed_ = true;
  return {};
}

void OpenObject::unlocked(const std::shared_ptr<const Envelope>& envelope, std::shared_ptr<const Aead> aead) {
  if (current_.envelope == envelope)
    current_.aead = std::move(aead);
  else if (next_ && next_->envelope == envelope)
    next_->aead = std::move(aead);
}

void OpenObject::wipe_keys(const std::string* kms_key_arn) {
  const auto concerned = [&](const KeptEnvelope& kept) {
    return kms_key_arn == nullptr || kept.envelope->kms_key_arn == *kms_key_arn;
  };
  if (concerned(current_)) current_.aead.reset();
  if (next_ && concerned(*next_)) next_->aead.reset();
}

// --- map rows ---

const OpenObject::Row* OpenObject::row_in_memory(std::uint32_t number) const {
  const auto found = rows_.find(number);
  return found == rows_.end() ? nullptr : &found->second;
}

const ChunkEntry& OpenObject::entry_in_memory(std::uint64_t chunk) const {
  static const ChunkEntry kHole;
  if (file_ == 0) return chunk == 0 ? inline_entry_ : kHole;
  return rows_.at(row_of(chunk)).entries.at(index_in_row(chunk));
}

Result<OpenObject::Row*> OpenObject::row(std::uint32_t number) {
  if (const auto found = rows_.find(number); found != rows_.end()) return &found->second;
  Row row;
  {
    std::lock_guard lock(parts_.catalog.mutex());
    COFFER_ASSIGN(const auto encoded, parts_.catalog.map_row(ino_, number));
    if (encoded) {
      COFFER_ASSIGN(row.entries, ChunkRow::decode(*encoded, chunk_size()));
    } else if (number >= unknown_from()) {
      row.soft.set();
      row.durable.set();
    }
  }
  row.current = row.entries.slots();
  row.soft |= row.current;
  row.durable |= row.current;
  // What earlier rewriting left in free slots was not worth giving back; now it is.
  if (parts_.scarce) row.stale = ~row.taken();
  for (std::uint32_t i = kChunksPerRow; i-- > 0;) {
    const auto& entry = row.entries.at(i);
    if (!entry.present()) continue;
    row.next_slot = static_cast<std::uint8_t>(entry.slot + 1);
    break;
  }
  ++parts_.map_rows;
  if (!row.quiet() || row.stale.any()) active_rows_.insert(number);
  return &rows_.emplace(number, std::move(row)).first->second;
}

void OpenObject::mark_changed(std::uint32_t number, Row& row) {
  row.changed = row_changed_ = true;
  active_rows_.insert(number);
}

Result<std::optional<std::uint32_t>> OpenObject::next_row(std::uint32_t from) {
  std::optional<std::uint32_t> found;
  if (const auto known = rows_.lower_bound(from); known != rows_.end()) found = known->first;
  if (found && *found == from) return found;
  std::lock_guard lock(parts_.catalog.mutex());
  COFFER_ASSIGN(const auto stored, parts_.catalog.map_rows(ino_, from, 1));
  if (!stored.empty()) found = std::min(stored[0], found.value_or(stored[0]));
  return found;
}

void OpenObject::trim_rows(std::uint32_t keep_from, std::uint32_t keep_to) {
  if (parts_.map_rows <= kMapRowsCached) return;
  for (auto place = rows_.begin(); place != rows_.end();) {
    const auto& [number, row] = *place;
    const bool kept = (number >= keep_from && number <= keep_to) || row.changed || row.reserved.any() || !row.settled();
    if (kept) {
      ++place;
      continue;
    }
    active_rows_.erase(number);
    place = rows_.erase(place);
    --parts_.map_rows;
  }
}

std::optional<std::uint8_t> OpenObject::reserve(Row& row) {
  const auto slot = pick_slot(row.taken(), row.next_slot);
  if (!slot) return std::nullopt;
  row.reserved.set(*slot);
  row.stale.reset(*slot);
  row.next_slot = static_cast<std::uint8_t>(*slot + 1);
  return slot;
}

void OpenObject::install(const Outgoing& chunk) {
  take_out(chunk.chunk);
  auto& row = rows_.at(row_of(chunk.chunk));
  row.entries.set(index_in_row(chunk.chunk), chunk.entry);
  row.current.set(chunk.slot);
  row.fresh.set(chunk.slot);
  row.folds.resize(kSlotsPerRow);
  row.folds[chunk.slot] = chunk.fold;
  row.reserved.reset(chunk.slot);
  mark_changed(row_of(chunk.chunk), row);
}

void OpenObject::take_out(std::uint64_t chunk) {
  if (file_ == 0) {
    if (chunk != 0 || !inline_entry_.present()) return;
    inline_entry_ = {};
    inline_ciphertext_ = {};
    content_changed_ = true;
    return;
  }
  auto& row = rows_.at(row_of(chunk));
  const auto old = row.entries.at(index_in_row(chunk));
  if (!old.present()) return;
  row.current.reset(old.slot);
  row.fresh.reset(old.slot);
  row.stale.set(old.slot);
  row.entries.set(index_in_row(chunk), {});
  mark_changed(row_of(chunk), row);
}

Result<std::uint64_t> OpenObject::cut_rows(std::uint32_t from) {
  if (file_ == 0) return std::uint64_t{0};
  std::uint64_t stored = 0;
  bool unread = false;
  std::lock_guard lock(parts_.catalog.mutex());
  for (auto next = from;;) {
    COFFER_ASSIGN(const auto numbers, parts_.catalog.map_rows(ino_, next, kChunksPerRow));
    for (const auto number : numbers) {
      next = number + 1;
      if (rows_.contains(number)) continue;
      COFFER_ASSIGN(const auto encoded, parts_.catalog.map_row(ino_, number));
      if (!encoded) continue;
      COFFER_ASSIGN(const auto row, ChunkRow::decode(*encoded, chunk_size()));
      stored += row.stored();
      unread = true;
    }
    if (numbers.size() < kChunksPerRow) break;
  }
  if (!unread) return stored;
  COFFER_TRY(parts_.catalog.remove_map_rows(ino_, from));
  // Rows that stay in memory are written again by the next commit, or were empty.
  for (auto kept = rows_.lower_bound(from); kept != rows_.end(); ++kept) mark_changed(kept->first, kept->second);
  cut_from_ = std::min(cut_from_, from);
  return stored;
}

// --- commits ---

WrittenRow OpenObject::written_row(std::uint32_t number, const Row& row) const {
  WrittenRow written{file_, number, chunk_size(), row.current, {}};
  written.written.reserve(row.fresh.count());
  for (std::uint32_t i = 0; i < kChunksPerRow && row.fresh.any(); ++i) {
    const ChunkEntry& entry = row.entries.at(i);
    if (entry.present() && row.fresh.test(entry.slot))
      written.written.push_back({entry.slot, entry.length, row.folds[entry.slot]});
  }
  return written;
}

Status OpenObject::write_out() {
  if (gone_) return {};
  for (const auto number : active_rows_) {
    auto& row = rows_.at(number);
    // Of one that is not changed too: it may have been read behind a cut that this commit holds.
    row.soft = row.current;
    if (!row.changed) continue;
    if (row.entries.empty())
      COFFER_TRY(parts_.catalog.remove_map_row(ino_, number));
    else
      COFFER_TRY(parts_.catalog.put_map_row(ino_, number, row.entries.encode(chunk_size())));
    parts_.written_rows.push_back(written_row(number, row));
    row.fresh.reset();
    row.folds = {};
    row.changed = false;
    // A superset of what a power cut may bring back, so this row needs no durable commit to settle it.
    if (row.settled()) row.durable = row.current;
  }
  std::erase_if(active_rows_, [this](auto number) { return rows_.at(number).quiet() && rows_.at(number).stale.none(); });
  row_changed_ = false;
  if (content_changed_)
    COFFER_TRY(parts_.catalog.put_content(content_row()));
  else if (lease_changed_)
    COFFER_TRY(parts_.catalog.put_leases(ino_, current_.seals_leased, next_ ? next_->seals_leased : 0));
  content_changed_ = lease_changed_ = false;
  inline_ciphertext_ = {};
  return {};
}

bool OpenObject::unsettled() const {
  if (cut_from_ != kNoRow || cut_in_round_ != kNoRow) return true;
  return std::any_of(active_rows_.begin(), active_rows_.end(), [this](auto number) { return !rows_.at(number).settled(); });
}

void OpenObject::begin_round() {
  for (const auto number : active_rows_) {
    auto& row = rows_.at(number);
    // A round that failed half-way may have made its state durable all the same.
    row.round = row.in_round ? row.round | row.current : row.current;
    row.in_round = true;
  }
  cut_in_round_ = std::min(cut_in_round_, cut_from_);
  cut_from_ = kNoRow;
}

void OpenObject::end_round() {
  cut_in_round_ = kNoRow;
  std::erase_if(active_rows_, [this](auto number) {
    auto& row = rows_.at(number);
    if (std::exchange(row.in_round, false)) {  // one read or changed since may still name what is durable
      row.durable = row.round;
      row.round.reset();
      if (!row.changed && number < cut_from_) row.soft = row.current;
    }
    if ((row.stale & ~row.taken()).count() >= kPunchSlotsMin) worth_punching_ = true;
    return row.quiet();
  });
}

Status OpenObject::write_header(const FileHeaders& headers, const std::string& bucket, const std::string& path) {
  if (gone_ || file_ == 0) return {};
  const auto opened = parts_.files.open(file_, OpenMode::kExisting);
  file_made_ = opened.ok();  // if it is still to be made, its first chunk makes it, and this is due then
  if (!opened) return opened.error();
  const auto& file = *opened;
  header_due_ = false;
  if (!header_sequence_) {
    // One that does not authenticate gives way like an old one.
    const auto old = headers.read(*file, file_);
    header_sequence_ = old && *old ? (*old)->sequence : 0;
  }
  FileHeader header;
  header.sequence = *header_sequence_ + 1;
  header.inode = parts_.inodes.read(inode_);
  header.bucket = bucket;
  header.path = path;
  header.rule_version = current_.rule_version;
  header.envelope = current_.encoded;
  if (next_) {
    header.next_rule_version = next_->rule_version;
    header.next_envelope = next_->encoded;
  }
  COFFER_TRY(headers.write(*file, file_, std::move(header)));
  ++*header_sequence_;
  return {};
}

bool OpenObject::evictable() const {
  if (!dirty_.empty() || row_changed_ || content_changed_ || lease_changed_ || worth_punching_) return false;
  return !unsettled();
}

Result<bool> OpenObject::punch_freed(std::size_t slots_min) {
  constexpr std::size_t kPunchStep = 16;  // 3 ms; what is left of a row more
  std::size_t punched = 0;
  const auto from_row = std::exchange(punch_from_, 0);
  for (auto place = rows_.lower_bound(from_row); place != rows_.end() && !gone_ && file_ != 0; ++place) {
    auto& [number, row] = *place;
    const auto free = row.stale & ~row.taken();
    if (free.none()) continue;
    if (punched >= kPunchStep) {
      punch_from_ = number;
      return false;
    }
    COFFER_ASSIGN(const auto file, parts_.files.open(file_, OpenMode::kExisting));
    for (std::size_t from = 0; from < kSlotsPerRow; ++from) {
      auto to = from;
      while (to < kSlotsPerRow && free.test(to)) ++to;
      if (to > from && to - from >= slots_min) {
        const auto at = slot_offset(number, static_cast<std::uint8_t>(from), chunk_size());
        COFFER_TRY(file->punch(at, (to - from) * chunk_size()));
        ++punched;
        for (auto slot = from; slot < to; ++slot) row.stale.reset(slot);
      }
      from = to;
    }
  }
  worth_punching_ = false;
  return true;
}

}  // namespace coffer
