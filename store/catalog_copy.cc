#include "store/catalog_copy.h"

#include <algorithm>

#include "base/limits.h"
#include "base/wire.h"
#include "store/sealed_log.h"
#include "store/sealed_pages.h"
#include "store/superblock.h"

namespace coffer {
namespace {

constexpr std::uint8_t kCopyVersion = 1;
constexpr std::size_t kCopyHeadSize = 5 * kPageSize;
constexpr std::size_t kCopyHeadContentSize = kCopyHeadSize - kSaltSize - kSealSize;
constexpr std::size_t kSuperblocksSize = 2 * kPageSize, kLogHeadersSize = 2 * kPageSize;
constexpr std::uint64_t kSyncEvery = 32 << 20;  // so that a commit's sync beside it never waits for the whole copy

Error damaged_copy() { return {Code::kDamaged, "coffer.copy does not authenticate"}; }

Key head_key(const KeySchedule& keys, BytesView salt) {
  return derive_key(keys.purpose_key(Purpose::kCatalogCopy), salt, as_bytes("coffer/1/catalog-copy-head"));
}

Bytes head_aad(const KeySchedule& keys) {
  WireWriter out;
  out.raw(as_bytes("coffer/1/catalog-copy")).raw(keys.store_id());
  return std::move(out).take();
}

Result<Bytes> seal_head(const KeySchedule& keys, const AeadSuite& suite, const CatalogCopyHead& head) {
  WireWriter out;
  out.u8(kCopyVersion).u64(head.commit_counter).u64(static_cast<std::uint64_t>(head.made_ns)).u32(head.pages);
  out.u64(head.tags_size).raw(head.superblocks).raw(head.log_headers);
  Bytes content = std::move(out).take();
  content.resize(kCopyHeadContentSize);
  Bytes stored(kCopyHeadSize);
  const MutableBytes view(stored);
  fill_random(view.first(kSaltSize));
  const Key key = head_key(keys, view.first(kSaltSize));
  COFFER_TRY(suite.single(key)->seal(head_aad(keys), content, view.last(kCopyHeadContentSize),
                                     view.subspan(kSaltSize, kSealSize)));
  return stored;
}

Result<Bytes> read_exactly(DiskFile& file, std::uint64_t offset, std::size_t size) {
  Bytes bytes(size);
  COFFER_ASSIGN(const auto read, file.pread(offset, bytes));
  if (read != size) return Error{Code::kDamaged, "a file of the catalog is too short"};
  return bytes;
}

std::uint64_t pages_at(const CatalogCopyHead& head) {
  return kCopyHeadSize + (head.tags_size + kPageSize - 1) / kPageSize * kPageSize;
}

std::uint64_t offset_of(const CatalogCopyHead& head, std::uint32_t page) {
  return pages_at(head) + std::uint64_t{page - 1} * kPageSize;
}

// `size` bytes; what is not there reads as zeros.
Status copy_range(DiskFile& from, std::uint64_t from_offset, DiskFile& to, std::uint64_t to_offset,
                  std::uint64_t size) {
  Bytes buffer(std::min<std::uint64_t>(size, kCatalogCopyStep));
  for (std::uint64_t done = 0; done < size;) {
    const auto piece = MutableBytes(buffer).first(std::min<std::uint64_t>(buffer.size(), size - done));
    COFFER_ASSIGN(const auto read, from.pread(from_offset + done, piece));
    std::fill(piece.begin() + static_cast<std::ptrdiff_t>(read), piece.end(), std::uint8_t{0});
    COFFER_TRY(to.pwrite(to_offset + done, piece));
    done += piece.size();
  }
  return {};
}

Error read_only() { return {Code::kReadOnly, "the catalog's copy is read alone"}; }

// Some bytes and, behind them, a part of a file: as if they were one.
class Window final : public DiskFile {
 public:
  Window(Bytes before, std::shared_ptr<DiskFile> file, std::uint64_t offset, std::uint64_t size)
      : before_(std::move(before)), file_(std::move(file)), offset_(offset), size_(size) {}

  Result<std::size_t> pread(std::uint64_t offset, MutableBytes into) override {
    std::size_t done = 0;
    for (; done < into.size() && offset + done < before_.size(); ++done) into[done] = before_[offset + done];
    const auto within = offset + done - std::min<std::uint64_t>(before_.size(), offset + done);
    if (done == into.size() || within >= size_) return done;
    const auto rest = into.subspan(done, std::min<std::uint64_t>(into.size() - done, size_ - within));
    COFFER_ASSIGN(const auto read, file_->pread(offset_ + within, rest));
    return done + read;
  }
  Result<std::uint64_t> size() override { return before_.size() + size_; }
  Status pwrite(std::uint64_t, BytesView) override { return read_only(); }
  Status sync() override { return read_only(); }
  Status truncate(std::uint64_t) override { return read_only(); }
  Status allocate(std::uint64_t, std::uint64_t) override { return read_only(); }
  Status punch(std::uint64_t, std::uint64_t) override { return read_only(); }

 private:
  const Bytes before_;
  const std::shared_ptr<DiskFile> file_;
  const std::uint64_t offset_, size_;
};

// The three files as the copy has them, in their places.
class CopiedFiles final : public Disk {
 public:
  CopiedFiles(const CatalogCopyHead& head, std::shared_ptr<DiskFile> copy) : head_(head), copy_(std::move(copy)) {}

  Result<std::unique_ptr<DiskFile>> open(std::string_view name, OpenMode) override {
    if (name == kTagsName) return window(head_.superblocks, kCopyHeadSize, head_.tags_size);
    if (name == kLogName) return window(head_.log_headers, 0, 0);
    if (name == kDatabaseName) return window({}, pages_at(head_), std::uint64_t{head_.pages} * kPageSize);
    return Error{Code::kNotFound, "the catalog's copy has no such file"};
  }
  Status remove(std::string_view) override { return read_only(); }
  Status rename(std::string_view, std::string_view) override { return read_only(); }
  Status make_folder(std::string_view) override { return read_only(); }
  Result<std::vector<std::string>> list(std::string_view) override { return read_only(); }
  Status sync_folder(std::string_view) override { return read_only(); }
  Status sync_all() override { return read_only(); }
  Result<Space> space() override { return read_only(); }
  std::uint64_t file_size_max() override { return UINT64_MAX; }

 private:
  std::unique_ptr<DiskFile> window(Bytes before, std::uint64_t offset, std::uint64_t size) const {
    return std::make_unique<Window>(std::move(before), copy_, offset, size);
  }

  const CatalogCopyHead& head_;
  const std::shared_ptr<DiskFile> copy_;
};

Result<std::unique_ptr<DiskFile>> open_anew(Disk& disk, std::string_view name) {
  COFFER_ASSIGN(auto file, disk.open(name, OpenMode::kCreate));
  COFFER_TRY(file->truncate(0));
  return file;
}

Status remove_if_there(Disk& disk, std::string_view name) {
  auto removed = disk.remove(name);
  if (!removed && removed.code() == Code::kNotFound) return {};
  return removed;
}

}  // namespace

Result<std::unique_ptr<CatalogCopy>> CatalogCopy::begin(Disk& disk, const KeySchedule& keys, const AeadSuite& suite,
                                                        SealedDatabase& database, std::uint64_t commit_counter,
                                                        std::int64_t now_ns) {
  std::unique_ptr<CatalogCopy> copy(new CatalogCopy(disk, keys, suite, database));
  const auto still = database.still();
  if (!still) return std::unique_ptr<CatalogCopy>();
  copy->still_ = *still;
  COFFER_TRY(copy->open(commit_counter, now_ns));
  return copy;
}

CatalogCopy::~CatalogCopy() {
  to_.reset();
  if (!finished_) (void)remove_if_there(disk_, kCatalogCopyNewName);
}

Status CatalogCopy::open(std::uint64_t commit_counter, std::int64_t now_ns) {
  COFFER_ASSIGN(const auto tags, disk_.open(kTagsName, OpenMode::kExisting));
  COFFER_ASSIGN(const auto tags_size, tags->size());
  head_.made_ns = now_ns;
  head_.commit_counter = commit_counter;
  head_.pages = still_.pages;
  head_.tags_size = tags_size > kSuperblocksSize ? tags_size - kSuperblocksSize : 0;
  const auto size = offset_of(head_, head_.pages + 1);
  COFFER_ASSIGN(const auto space, disk_.space());
  if (space.available < size + 2 * kSpaceReserve)
    return Error{Code::kNoSpace, "a copy of the catalog, " + std::to_string(size >> 20) + " MiB, does not fit the disk"};
  COFFER_ASSIGN(from_, disk_.open(kDatabaseName, OpenMode::kExisting));
  COFFER_ASSIGN(to_, open_anew(disk_, kCatalogCopyNewName));
  return to_->allocate(0, size);
}

Status CatalogCopy::still_valid() const {
  if (database_.checkpoints() == still_.checkpoints) return {};
  return Error{Code::kBusy, "a checkpoint came in between"};
}

Status CatalogCopy::copy_tags() {
  COFFER_ASSIGN(const auto tags, disk_.open(kTagsName, OpenMode::kExisting));
  COFFER_ASSIGN(const auto log, disk_.open(kLogName, OpenMode::kExisting));
  COFFER_ASSIGN(head_.superblocks, read_exactly(*tags, 0, kSuperblocksSize));
  // Before the second generation there is one header alone.
  head_.log_headers.assign(kLogHeadersSize, 0);
  COFFER_TRY(log->pread(0, head_.log_headers));
  return copy_range(*tags, kSuperblocksSize, *to_, kCopyHeadSize, head_.tags_size);
}

// Before a page is taken it is opened. A checkpoint in between may tear either; still_valid() says so afterwards.
Status CatalogCopy::copy_pages(std::uint32_t to) {
  const auto from_offset = std::uint64_t{next_ - 1} * kPageSize;
  Status whole;
  for (auto page = next_; page < to && whole; ++page) whole = database_.verify_page(page);
  COFFER_TRY(still_valid());
  COFFER_TRY(std::move(whole));
  COFFER_TRY(copy_range(*from_, from_offset, *to_, offset_of(head_, next_), std::uint64_t{to - next_} * kPageSize));
  unsynced_ += std::uint64_t{to - next_} * kPageSize;
  next_ = to;
  if (unsynced_ < kSyncEvery) return {};
  unsynced_ = 0;
  return to_->sync();
}

Result<bool> CatalogCopy::step() {
  COFFER_TRY(still_valid());
  const auto last = head_.pages + 1;
  const auto to = std::min<std::uint64_t>(last, next_ + kCatalogCopyStep / kPageSize);
  COFFER_TRY(copy_pages(static_cast<std::uint32_t>(to)));
  COFFER_TRY(still_valid());
  if (next_ < last) return true;
  COFFER_TRY(finish());
  return false;
}

Status CatalogCopy::finish() {
  COFFER_TRY(copy_tags());
  COFFER_TRY(still_valid());
  COFFER_ASSIGN(const auto head, seal_head(keys_, suite_, head_));
  COFFER_TRY(to_->pwrite(0, head));
  COFFER_TRY(to_->sync());
  to_.reset();
  COFFER_TRY(disk_.rename(kCatalogCopyNewName, kCatalogCopyName));
  finished_ = true;
  return disk_.sync_folder("");
}

// --- reading ---

namespace {

Result<CatalogCopyHead> read_head(DiskFile& file, const KeySchedule& keys, const AeadSuite& suite) {
  Bytes stored(kCopyHeadSize);
  COFFER_ASSIGN(const auto read, file.pread(0, stored));
  if (read != kCopyHeadSize) return damaged_copy();
  const BytesView view(stored);
  const Key key = head_key(keys, view.first(kSaltSize));
  Bytes content(kCopyHeadContentSize);
  if (!suite.single(key)->open(head_aad(keys), view.last(kCopyHeadContentSize), view.subspan(kSaltSize, kSealSize),
                               content))
    return damaged_copy();
  WireReader in(content);
  CatalogCopyHead head;
  const auto version = in.u8();
  head.commit_counter = in.u64();
  head.made_ns = static_cast<std::int64_t>(in.u64());
  head.pages = in.u32();
  head.tags_size = in.u64();
  head.superblocks = to_bytes(in.raw(kSuperblocksSize));
  head.log_headers = to_bytes(in.raw(kLogHeadersSize));
  if (!in.ok() || version != kCopyVersion) return damaged_copy();
  return head;
}

}  // namespace

Result<CatalogCopyHead> read_catalog_copy(Disk& disk, const KeySchedule& keys, const AeadSuite& suite) {
  COFFER_ASSIGN(const auto file, disk.open(kCatalogCopyName, OpenMode::kExisting));
  return read_head(*file, keys, suite);
}

// One that is replaced meanwhile is read to its end: the file stays while it is open.
Status verify_catalog_copy(Disk& disk, const KeySchedule& keys, const AeadSuite& suite) {
  COFFER_ASSIGN(std::shared_ptr<DiskFile> file, disk.open(kCatalogCopyName, OpenMode::kExisting));
  COFFER_ASSIGN(const auto head, read_head(*file, keys, suite));
  CopiedFiles files(head, file);
  return verify_sealed_files(files, keys, suite);
}

Result<Bytes> stored_tags_of_copy(Disk& disk, const CatalogCopyHead& head, std::uint64_t offset) {
  const bool has = offset >= kSuperblocksSize && offset - kSuperblocksSize + kPageSize <= head.tags_size;
  if (!has) return Error{Code::kNotFound, "the copy of the catalog has no such block of tags"};
  COFFER_ASSIGN(const auto file, disk.open(kCatalogCopyName, OpenMode::kExisting));
  return read_exactly(*file, kCopyHeadSize + offset - kSuperblocksSize, kPageSize);
}

Result<Bytes> stored_page_of_copy(Disk& disk, const CatalogCopyHead& head, std::uint32_t page) {
  if (page == 0 || page > head.pages) return Error{Code::kNotFound, "the copy of the catalog has no such page"};
  COFFER_ASSIGN(const auto file, disk.open(kCatalogCopyName, OpenMode::kExisting));
  return read_exactly(*file, offset_of(head, page), kPageSize);
}

Status write_out_catalog_copy(Disk& disk, const CatalogCopyHead& head, std::string_view suffix) {
  COFFER_ASSIGN(const auto copy, disk.open(kCatalogCopyName, OpenMode::kExisting));
  COFFER_ASSIGN(const auto size, copy->size());
  if (size < offset_of(head, head.pages + 1)) return Error{Code::kDamaged, "coffer.copy is cut short"};
  const auto named = [&](std::string_view name) { return std::string(name).append(suffix); };
  COFFER_ASSIGN(const auto database, open_anew(disk, named(kDatabaseName)));
  COFFER_TRY(copy_range(*copy, pages_at(head), *database, 0, std::uint64_t{head.pages} * kPageSize));
  COFFER_TRY(database->sync());
  COFFER_ASSIGN(const auto log, open_anew(disk, named(kLogName)));
  COFFER_TRY(log->pwrite(0, head.log_headers));
  COFFER_TRY(log->sync());
  COFFER_ASSIGN(const auto tags, open_anew(disk, named(kTagsName)));
  COFFER_TRY(tags->pwrite(0, head.superblocks));
  COFFER_TRY(copy_range(*copy, kCopyHeadSize, *tags, kSuperblocksSize, head.tags_size));
  COFFER_TRY(tags->sync());
  return disk.sync_folder("");
}

Status remove_catalog_copies(Disk& disk) {
  COFFER_TRY(remove_if_there(disk, kCatalogCopyNewName));
  COFFER_TRY(remove_if_there(disk, kCatalogCopyName));
  return disk.sync_folder("");
}

}  // namespace coffer
