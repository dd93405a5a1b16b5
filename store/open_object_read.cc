#include <cstring>

#include "store/open_object.h"

// Opening what is stored.
namespace coffer {
namespace {

Error damaged_content() { return {Code::kDamaged, "stored content does not authenticate"}; }

}  // namespace

// Chunks that follow one another in the object, in the data file and in the caller's buffer.
struct OpenObject::Gathered {
  std::uint64_t first = 0;
  std::size_t count = 0;
  MutableBytes bytes;
};

bool OpenObject::loaded(std::uint64_t offset, std::uint64_t size) const {
  if (size == 0) return true;
  if (file_ == 0) return !inline_entry_.present() || !inline_ciphertext_.empty();
  const auto last = row_of((offset + size - 1) / chunk_size());
  for (auto number = row_of(offset / chunk_size()); number <= last; ++number)
    if (row_in_memory(number) == nullptr) return false;
  return true;
}

Status OpenObject::load(std::uint64_t offset, std::uint64_t size) {
  if (size == 0) return {};
  if (file_ == 0) return load_inline();
  const auto first = row_of(offset / chunk_size()), last = row_of((offset + size - 1) / chunk_size());
  for (auto number = first; number <= last; ++number) COFFER_TRY(row(number));
  trim_rows(first, last);
  return {};
}

Status OpenObject::load_inline() {
  if (!inline_entry_.present() || !inline_ciphertext_.empty()) return {};
  std::lock_guard lock(parts_.catalog.mutex());
  COFFER_ASSIGN(const auto row, parts_.catalog.content(ino_));
  if (!row.inline_chunk) return damaged_content();
  COFFER_ASSIGN(auto chunk, InlineChunk::decode(*row.inline_chunk));
  inline_ciphertext_ = std::move(chunk.ciphertext);
  return {};
}

Result<std::size_t> OpenObject::read(std::uint64_t offset, MutableBytes into) const {
  const auto size = parts_.inodes.read(inode_).size;
  if (offset >= size) return std::size_t{0};
  const auto wanted = into.first(std::min<std::uint64_t>(into.size(), size - offset));
  auto filled = fill(offset, wanted);
  if (filled) return wanted.size();
  wipe(into);
  return std::move(filled).error();
}

Status OpenObject::fill(std::uint64_t offset, MutableBytes into) const {
  Gathered gathered;
  for (std::size_t done = 0; done < into.size();) {
    const auto chunk = (offset + done) / chunk_size();
    const auto within = (offset + done) % chunk_size();
    const auto piece = into.subspan(done, std::min<std::size_t>(chunk_size() - within, into.size() - done));
    const auto& entry = entry_in_memory(chunk);
    const bool whole = entry.present() && file_ != 0 && within == 0 && piece.size() >= entry.length && !dirty(chunk);
    done += piece.size();
    if (!whole) {
      COFFER_TRY(fill_part(chunk, entry, within, piece));
      continue;
    }
    const auto follows = [&] {
      if (gathered.count == 0 || gathered.first + gathered.count != chunk || index_in_row(chunk) == 0) return false;
      const auto& before = entry_in_memory(chunk - 1);
      return before.length == chunk_size() && before.slot + 1 == entry.slot;
    };
    if (follows()) {
      gathered.bytes = {gathered.bytes.data(), gathered.bytes.size() + piece.size()};
      ++gathered.count;
      continue;
    }
    COFFER_TRY(read_gathered(gathered));
    gathered = {chunk, 1, piece};
  }
  return read_gathered(gathered);
}

Status OpenObject::fill_part(std::uint64_t chunk, const ChunkEntry& entry, std::size_t within,
                             MutableBytes into) const {
  const auto copy = [&](BytesView plain) {
    const auto have = plain.size() > within ? std::min(into.size(), plain.size() - within) : 0;
    if (have > 0) std::memcpy(into.data(), plain.data() + within, have);
    std::memset(into.data() + have, 0, into.size() - have);
  };
  if (const auto* changed = dirty(chunk)) {
    copy(changed->plain.view());
    return {};
  }
  if (!entry.present()) {
    copy({});
    return {};
  }
  PlainChunk plain;
  plain.resize(entry.length);
  COFFER_TRY(open_stored(chunk, entry, plain.span()));
  copy(plain.view());
  return {};
}

Status OpenObject::read_gathered(const Gathered& gathered) const {
  if (gathered.count == 0) return {};
  const auto last = gathered.first + gathered.count - 1;
  const auto stored = (gathered.count - 1) * chunk_size() + entry_in_memory(last).length;
  auto file = parts_.files.open(file_, OpenMode::kExisting);
  if (!file && file.code() == Code::kNotFound) return Error{Code::kDamaged, "a data file is missing"};
  if (!file) return std::move(file).error();
  const auto& first = entry_in_memory(gathered.first);
  const auto at = slot_offset(row_of(gathered.first), first.slot, chunk_size());
  COFFER_ASSIGN(const auto got, (*file)->pread(at, gathered.bytes.first(stored)));
  if (got != stored) return Error{Code::kDamaged, "a data file was cut short"};
  for (std::size_t i = 0; i < gathered.count; ++i) {
    const auto chunk = gathered.first + i;
    const auto& entry = entry_in_memory(chunk);
    COFFER_ASSIGN(const auto cipher, cipher_of(entry));
    const auto bytes = gathered.bytes.subspan(i * chunk_size(), entry.length);
    const auto aad = chunk_aad(*cipher.envelope, chunk, entry.length);
    COFFER_TRY(cipher.aead->open(aad, bytes, entry.seal(), bytes));
  }
  std::memset(gathered.bytes.data() + stored, 0, gathered.bytes.size() - stored);
  return {};
}

Status OpenObject::open_stored(std::uint64_t chunk, const ChunkEntry& entry, MutableBytes plain) const {
  if (file_ != 0) return read_gathered({chunk, 1, plain});
  if (inline_ciphertext_.size() != entry.length) return damaged_content();
  COFFER_ASSIGN(const auto cipher, cipher_of(entry));
  return cipher.aead->open(chunk_aad(*cipher.envelope, chunk, entry.length), inline_ciphertext_, entry.seal(), plain);
}

Result<PlainChunk> OpenObject::load_plain(std::uint64_t chunk) {
  const auto& entry = entry_in_memory(chunk);
  if (!entry.present()) return PlainChunk();
  auto plain = PlainChunk::for_overwrite(entry.length);
  COFFER_TRY(open_stored(chunk, entry, plain.span()));
  return plain;
}

Result<OpenObject::Cipher> OpenObject::cipher_of(const ChunkEntry& entry) const {
  const KeptEnvelope* kept = nullptr;
  if (entry.parity == parity_of(*current_.envelope)) kept = &current_;
  if (kept == nullptr && next_ && entry.parity == parity_of(*next_->envelope)) kept = &*next_;
  if (kept == nullptr || entry.seal().size() != kept->envelope->seal_size()) return damaged_content();
  if (!kept->aead) return Error{Code::kKeyDisabled, "the object's key does not serve now"};
  return Cipher{kept->envelope.get(), kept->aead.get()};
}

// --- where data begins and ends ---

Result<std::optional<std::uint64_t>> OpenObject::next_data(std::uint64_t offset) {
  const auto from = offset / chunk_size();
  std::optional<std::uint64_t> found;
  if (const auto changed = dirty_.lower_bound(from); changed != dirty_.end()) found = changed->first;
  if (file_ == 0 && from == 0 && inline_entry_.present()) found = 0;
  for (auto number = row_of(from); file_ != 0;) {
    COFFER_ASSIGN(const auto existing, next_row(number));
    if (!existing || (found && row_of(*found) < *existing)) break;
    COFFER_ASSIGN(const Row* row, this->row(*existing));
    trim_rows(*existing, *existing);
    for (std::uint64_t i = 0; i < kChunksPerRow; ++i) {
      const auto chunk = std::uint64_t{*existing} * kChunksPerRow + i;
      if (chunk < from || !row->entries.at(static_cast<std::uint32_t>(i)).present()) continue;
      found = std::min(chunk, found.value_or(chunk));
      break;
    }
    if (found && row_of(*found) <= *existing) break;
    number = *existing + 1;
  }
  if (!found) return std::optional<std::uint64_t>();
  return std::optional(std::max(offset, *found * chunk_size()));
}

Result<std::uint64_t> OpenObject::next_hole(std::uint64_t offset) {
  const auto size = parts_.inodes.read(inode_).size;
  for (auto chunk = offset / chunk_size(); chunk * chunk_size() < size; ++chunk) {
    COFFER_TRY(load(chunk * chunk_size(), 1));
    if (!dirty(chunk) && !entry_in_memory(chunk).present()) return std::max(offset, chunk * chunk_size());
  }
  return size;
}

}  // namespace coffer
