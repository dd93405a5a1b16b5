#include "store/sealed_log.h"

#include <algorithm>
#include <cassert>

#include "base/wire.h"

namespace coffer {
namespace {

constexpr std::size_t kHeaderSize = 4096;
constexpr std::size_t kHeaderContentSize = kHeaderSize - kSealSize;
constexpr std::uint64_t kFramesOffset = 2 * kHeaderSize;
constexpr std::size_t kFrameHeadSize = 24;
constexpr std::size_t kFrameContentSize = kFrameHeadSize + kPageContentSize;
constexpr std::size_t kFrameSize = kSealSize + kTagSize + kFrameContentSize;
constexpr std::size_t kFramesPerRead = 256;

std::uint64_t header_offset(const Superblock& block) { return block.sequence % 2 * kHeaderSize; }

std::uint64_t frame_offset(const Superblock& block, std::uint64_t number) {
  return kFramesOffset + (number - block.frames_before) * kFrameSize;
}

Error damaged_log(const std::string& what) { return {Code::kDamaged, "coffer.db-wal: " + what}; }

}  // namespace

SealedLog::SealedLog(std::unique_ptr<DiskFile> file, const KeySchedule& keys, const AeadSuite& suite)
    : file_(std::move(file)), key_(keys.purpose_key(Purpose::kWal)), store_(keys.store_id()), suite_(suite) {}

SealedLog::Generation SealedLog::generation(const Superblock& block) const {
  return {block, suite_.single(derive_key(key_, block.log_salt, as_bytes("coffer/1/log-generation"))), {}};
}

Bytes SealedLog::header_aad(const Superblock& block) const {
  WireWriter out;
  out.raw(as_bytes("coffer/1/log-header")).raw(store_).raw(block.log_salt);
  return std::move(out).take();
}

Bytes SealedLog::frame_aad(const Superblock& block, std::uint64_t number, BytesView previous) const {
  WireWriter out;
  out.raw(as_bytes("coffer/1/log-frame")).raw(store_).raw(block.log_salt).u64(number).raw(previous);
  return std::move(out).take();
}

Status SealedLog::prepare(const Superblock& block, std::string_view boot_id) {
  if (auto failure = broken()) return *failure;
  WireWriter out;
  out.text16(boot_id);
  Bytes content = std::move(out).take();
  assert(content.size() <= kHeaderContentSize);
  content.resize(kHeaderContentSize);

  Generation next = generation(block);
  Bytes stored(kHeaderSize);
  const MutableBytes view(stored);
  COFFER_TRY(next.cipher->seal(header_aad(block), content, view.last(kHeaderContentSize), view.first(kSealSize)));
  std::copy_n(stored.begin() + kNonceSize, kTagSize, next.header_tag.begin());
  COFFER_TRY(make_room(kFramesOffset));
  COFFER_TRY(file_->pwrite(header_offset(block), stored));
  if (Status synced = file_->sync(); !synced) return break_with(std::move(synced).error());
  prepared_ = std::make_shared<const Generation>(std::move(next));
  return {};
}

void SealedLog::begin() {
  assert(prepared_ != nullptr);
  const Superblock& block = prepared_->block;
  chain_ = chain_written_ = prepared_->header_tag;
  buffer_.clear();
  fresh_ = true;
  if (room_ > kFramesOffset + kWalBytesMax && file_->truncate(kFramesOffset + kWalBytesMax).ok()) {
    room_ = kFramesOffset + kWalBytesMax;
  }
  const std::lock_guard lock(mutex_);
  generation_ = std::move(prepared_);
  frames_.clear();
  written_ = last_ = data_synced_ = log_synced_ = durable_ = block.frames_before;
  digest_ = block.digest;
}

Status SealedLog::open_header(Generation& found, std::string& boot_id) {
  Bytes stored(kHeaderSize), content(kHeaderContentSize);
  COFFER_ASSIGN(const std::size_t size, file_->pread(header_offset(found.block), stored));
  const BytesView view(stored);
  if (size != kHeaderSize ||
      !found.cipher->open(header_aad(found.block), view.last(kHeaderContentSize), view.first(kSealSize), content)) {
    return damaged_log(
        "the header of the generation that coffer.tags names does not authenticate: one of them is damaged, or an old "
        "one put back");
  }
  std::copy_n(stored.begin() + kNonceSize, kTagSize, found.header_tag.begin());
  boot_id = WireReader(content).text16();
  return {};
}

std::optional<SealedLog::FoundFrame> SealedLog::open_frame(const Generation& found, std::uint64_t number,
                                                           BytesView stored, MutableBytes page) const {
  const BytesView seal = stored.first(kSealSize);
  const BytesView previous = stored.subspan(kSealSize, kTagSize);
  if (all_zeros(seal)) return {};
  std::array<std::uint8_t, kFrameContentSize> content;
  const Bytes aad = frame_aad(found.block, number, previous);
  if (!found.cipher->open(aad, stored.last(kFrameContentSize), seal, content)) return {};
  FoundFrame frame;
  WireReader in(content);
  frame.head.page = in.u32();
  frame.head.database_pages = in.u32();
  frame.head.data_synced = in.u64();
  frame.head.log_synced = in.u64();
  std::copy(previous.begin(), previous.end(), frame.previous.begin());
  std::copy_n(seal.begin() + kNonceSize, kTagSize, frame.tag.begin());
  if (frame.head.page == 0) frame.rows = to_bytes(in.raw(kPageContentSize));
  if (!page.empty() && frame.head.page != 0) {
    const BytesView kept = in.raw(kPageContentSize);
    std::copy(kept.begin(), kept.end(), page.begin());
    std::fill(page.begin() + kPageContentSize, page.end(), std::uint8_t{0});
  }
  return frame;
}

// The frames from the first on that follow each other without a gap. hole: one that authenticates stands behind.
struct SealedLog::Scan {
  std::vector<FrameHead> heads;
  std::vector<FrameTag> tags;
  std::map<std::size_t, Bytes> rows;  // of frames without a page: what append_rows() wrote, or zeros
  bool hole = false;
};

Result<SealedLog::Scan> SealedLog::scan(const Generation& found) {
  Scan result;
  FrameTag chain = found.header_tag;
  bool ended = false;
  std::uint64_t number = found.block.frames_before;
  Bytes stored(kFramesPerRead * kFrameSize);
  for (;;) {
    COFFER_ASSIGN(const std::size_t size, file_->pread(frame_offset(found.block, number), stored));
    for (std::size_t at = 0; at + kFrameSize <= size; at += kFrameSize, ++number) {
      auto frame = open_frame(found, number, BytesView(stored).subspan(at, kFrameSize), {});
      ended = ended || !frame || frame->previous != chain;
      if (!ended) {
        chain = frame->tag;
        if (frame->head.page == 0) result.rows[result.heads.size()] = std::move(frame->rows);
        result.heads.push_back(frame->head);
        result.tags.push_back(frame->tag);
      } else if (frame) {
        const std::uint64_t missing = found.block.frames_before + result.heads.size();
        if (frame->head.log_synced > missing) {
          return damaged_log("frame " + std::to_string(missing) + ", once synced, does not authenticate");
        }
        result.hole = true;
      }
    }
    if (size < stored.size()) return result;
  }
}

// Of the commits in frames `from` to `to`, counted from `first`, the scan's first.
Result<bool> SealedLog::data_is_there(const Scan& scanned, std::uint64_t first, std::uint64_t from, std::uint64_t to,
                                      Disk& disk) {
  std::vector<WrittenRow> rows;
  const auto end = scanned.rows.lower_bound(to - first);
  for (auto content = scanned.rows.lower_bound(from - first); content != end; ++content) {
    COFFER_ASSIGN(const auto more, decode_rows(content->second));
    rows.insert(rows.end(), more.begin(), more.end());
  }
  return are_in_data_files(rows, disk);
}

Result<LogReplay> SealedLog::replay(const Superblock& block, std::string_view boot_id, Disk& disk) {
  Generation found = generation(block);
  std::string found_boot_id;
  COFFER_TRY(open_header(found, found_boot_id));
  COFFER_ASSIGN(const Scan scanned, scan(found));

  std::uint64_t committed = block.frames_before, data_synced = block.frames_before;
  for (std::size_t i = 0; i < scanned.heads.size(); ++i) {
    data_synced = std::max(data_synced, scanned.heads[i].data_synced);
    if (scanned.heads[i].database_pages > 0) committed = block.frames_before + i + 1;
  }
  if (data_synced > block.frames_before + scanned.heads.size())
    return damaged_log("a frame counts on frames that are not there");
  // A kill leaves the frames in the page cache, in order and without gaps, and all that they count on. Anything else
  // lost power, or its disk, which may come back without another boot.
  std::uint64_t last = data_synced;
  if (committed > last && found_boot_id == boot_id && !scanned.hole) {
    COFFER_ASSIGN(const bool whole, data_is_there(scanned, block.frames_before, last, committed, disk));
    if (whole) last = committed;
  }

  LogReplay result;
  result.last = last;
  for (std::uint64_t number = block.frames_before; number < last; ++number) {
    const FrameHead& head = scanned.heads[number - block.frames_before];
    if (head.page != 0) result.pages[head.page] = number;
    if (head.database_pages > 0) {
      const bool is_first = result.database_pages == 0;
      result.database_pages = head.database_pages;
      result.database_pages_least =
          is_first ? head.database_pages : std::min(result.database_pages_least, head.database_pages);
    }
    if (number + 1 == last && head.database_pages == 0) return damaged_log("a commit that was synced has no end");
  }
  result.pages.erase(result.pages.upper_bound(result.database_pages), result.pages.end());

  // What is written next stands behind all that there is: over the first of several frames that belong to no commit it
  // would leave the others behind a gap.
  chain_ = chain_written_ = scanned.tags.empty() ? found.header_tag : scanned.tags.back();
  const std::lock_guard lock(mutex_);
  digest_ = last > block.frames_before ? scanned.tags[last - block.frames_before - 1] : block.digest;
  written_ = block.frames_before + scanned.tags.size();
  last_ = last;
  data_synced_ = data_synced;
  log_synced_ = durable_ = block.frames_before;
  generation_ = std::make_shared<const Generation>(std::move(found));
  return result;
}

Status SealedLog::read(const Generation& from, std::uint64_t number, MutableBytes page) {
  std::array<std::uint8_t, kFrameSize> stored;
  COFFER_ASSIGN(const std::size_t size, file_->pread(frame_offset(from.block, number), stored));
  if (size == kFrameSize && open_frame(from, number, stored, page)) return {};
  std::fill(page.begin(), page.end(), std::uint8_t{0});
  return damaged_log("frame " + std::to_string(number) + " does not authenticate");
}

Status SealedLog::read_replayed(std::uint64_t number, MutableBytes page) { return read(*generation_, number, page); }

Status SealedLog::read_frame(std::uint64_t sqlite_index, MutableBytes page) {
  assert(page.size() == kPageSize);
  std::shared_ptr<const Generation> from;
  std::uint64_t number = 0;
  {
    const std::lock_guard lock(mutex_);
    if (sqlite_index >= frames_.size()) return Error{Code::kIo, "coffer.db-wal: a frame that was never written"};
    from = generation_;
    number = frames_[sqlite_index];
  }
  return read(*from, number, page);
}

bool SealedLog::restart() {
  if (!fresh_) return false;
  fresh_ = false;
  return true;
}

void SealedLog::set_data_synced(std::uint64_t up_to, bool this_commit) {
  assert(up_to <= last());
  mark_up_to_ = up_to;
  mark_this_commit_ = this_commit;
}

std::uint64_t SealedLog::buffered() const { return buffer_.size() / kFrameSize; }

void SealedLog::forget_buffer() {
  buffer_.clear();
  if (buffer_.capacity() > kLogBufferKept) buffer_.shrink_to_fit();
  chain_ = chain_written_;
}

Status SealedLog::append(std::uint64_t sqlite_index, std::uint32_t page, std::uint32_t database_pages,
                         BytesView content) {
  assert(content.size() == kPageSize && page > 0);
  const std::uint64_t committed = sqlite_frames();
  if (sqlite_index == committed) forget_buffer();  // of a commit that SQLite gave up
  if (fresh_ || sqlite_index != committed + buffered()) {
    return break_with({Code::kIo, "coffer.db-wal: SQLite writes a frame out of order"});
  }
  FrameHead head{page, database_pages, 0, 0};
  {
    const std::lock_guard lock(mutex_);
    head.data_synced = data_synced_;
    head.log_synced = log_synced_;
    if (database_pages > 0) {
      const std::uint64_t after = written_ + buffered() + 1;
      head.data_synced = mark_this_commit_ ? after : std::max(data_synced_, mark_up_to_);
    }
  }
  COFFER_TRY(seal_frame(head, content));
  if (database_pages == 0) return {};

  const std::uint64_t frames = buffered();
  COFFER_TRY(write_buffer());
  const std::lock_guard lock(mutex_);
  for (std::uint64_t i = 0; i < frames; ++i) frames_.push_back(written_ - frames + i);
  last_ = written_;
  digest_ = chain_written_;
  data_synced_ = head.data_synced;
  return {};
}

Status SealedLog::append_rows(std::span<const Bytes> contents) { return append_without_pages(contents, data_synced()); }

Status SealedLog::append_mark() {
  const std::array<Bytes, 1> nothing;
  return append_without_pages(nothing, mark_this_commit_ ? last() : std::max(data_synced(), mark_up_to_));
}

Status SealedLog::append_without_pages(std::span<const Bytes> contents, std::uint64_t data_synced) {
  forget_buffer();
  FrameHead head;
  head.data_synced = data_synced;
  {
    const std::lock_guard lock(mutex_);
    head.log_synced = log_synced_;
  }
  for (const Bytes& content : contents) {
    assert(content.size() <= kPageContentSize);
    std::array<std::uint8_t, kPageSize> page{};
    std::copy(content.begin(), content.end(), page.begin());
    COFFER_TRY(seal_frame(head, page));
  }
  COFFER_TRY(write_buffer());
  const std::lock_guard lock(mutex_);
  data_synced_ = data_synced;
  return {};
}

Status SealedLog::seal_frame(const FrameHead& head, BytesView content) {
  WireWriter out;
  out.u32(head.page).u32(head.database_pages).u64(head.data_synced).u64(head.log_synced);
  const std::size_t at = buffer_.size();
  buffer_.resize(at + kFrameSize);
  const MutableBytes stored = MutableBytes(buffer_).subspan(at);
  std::copy(chain_.begin(), chain_.end(), stored.begin() + kSealSize);
  const MutableBytes sealed = stored.last(kFrameContentSize);
  std::copy(out.bytes().begin(), out.bytes().end(), sealed.begin());
  std::copy_n(content.begin(), kPageContentSize, sealed.begin() + kFrameHeadSize);
  const std::uint64_t number = written_ + at / kFrameSize;
  const Bytes aad = frame_aad(generation_->block, number, chain_);
  if (Status done = generation_->cipher->seal(aad, sealed, sealed, stored.first(kSealSize)); !done) {
    forget_buffer();  // it holds a page that is not sealed
    return done;
  }
  std::copy_n(stored.begin() + kNonceSize, kTagSize, chain_.begin());
  return {};
}

Status SealedLog::write_buffer() {
  if (auto failure = broken()) return *failure;
  const std::uint64_t at = frame_offset(generation_->block, written_);
  if (Status room = reserve(buffered()); !room) {
    forget_buffer();
    return room;
  }
  // Part of it may be on the disk after a failure, and frames of another commit must not mix with that.
  if (Status done = file_->pwrite(at, buffer_); !done) return break_with(std::move(done).error());
  const std::uint64_t frames = buffered();
  chain_written_ = chain_;
  forget_buffer();
  const std::lock_guard lock(mutex_);
  written_ += frames;
  return {};
}

Status SealedLog::reserve(std::uint64_t frames) {
  // And one to spare, for the mark with which a replay begins: a full disk must not keep a store from opening.
  return make_room(frame_offset(generation_->block, written_ + frames + 1));
}

// Zeros rather than an allocation: over blocks that were written before, a synced commit is one flush, without the
// journal of the file system below.
Status SealedLog::make_room(std::uint64_t end) {
  static const Bytes kZeros(kLogGrowth);
  if (room_ == 0) {
    COFFER_ASSIGN(room_, file_->size());
  }
  while (room_ < end) {
    COFFER_TRY(file_->pwrite(room_, kZeros));
    room_ += kLogGrowth;
  }
  return {};
}

Status SealedLog::sync() {
  std::uint64_t written = 0, data_synced = 0;
  {
    const std::lock_guard lock(mutex_);
    if (broken_) return *broken_;
    written = written_;
    data_synced = data_synced_;
  }
  if (Status done = file_->sync(); !done) return break_with(std::move(done).error());
  const std::lock_guard lock(mutex_);
  log_synced_ = std::max(log_synced_, written);
  durable_ = std::max(durable_, data_synced);
  return {};
}

std::uint64_t SealedLog::last() const {
  const std::lock_guard lock(mutex_);
  return last_;
}

std::uint64_t SealedLog::data_synced() const {
  const std::lock_guard lock(mutex_);
  return data_synced_;
}

std::uint64_t SealedLog::durable() const {
  const std::lock_guard lock(mutex_);
  return durable_;
}

std::uint64_t SealedLog::first() const {
  const std::lock_guard lock(mutex_);
  return generation_->block.frames_before;
}

FrameTag SealedLog::digest() const {
  const std::lock_guard lock(mutex_);
  return digest_;
}

std::uint64_t SealedLog::sqlite_frames() const {
  const std::lock_guard lock(mutex_);
  return frames_.size();
}

std::uint64_t SealedLog::bytes() const {
  const std::lock_guard lock(mutex_);
  return (written_ - generation_->block.frames_before) * kFrameSize;
}

std::optional<Error> SealedLog::broken() const {
  const std::lock_guard lock(mutex_);
  return broken_;
}

Error SealedLog::break_with(Error error) {
  const std::lock_guard lock(mutex_);
  if (!broken_) broken_ = error;
  return error;
}

}  // namespace coffer
