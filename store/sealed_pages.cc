#include "store/sealed_pages.h"

#include <algorithm>
#include <array>
#include <cassert>

#include "base/wire.h"

namespace coffer {
namespace {

static_assert(kPageReserved == Xaes::kXaesSealSize);

std::uint64_t round_up(std::uint64_t size) { return (size + kDatabaseGrowth - 1) / kDatabaseGrowth * kDatabaseGrowth; }

std::uint64_t offset_of(std::uint32_t page) { return std::uint64_t{page - 1} * kPageSize; }

}  // namespace

SealedPages::SealedPages(std::unique_ptr<DiskFile> file, std::unique_ptr<PageTags> tags, const KeySchedule& keys,
                         const AeadSuite& suite, std::uint32_t pages)
    : file_(std::move(file)),
      tags_(std::move(tags)),
      cipher_(suite, keys.purpose_key(Purpose::kCatalogPages)),
      store_(keys.store_id()),
      pages_(pages) {}

std::uint32_t SealedPages::pages() const {
  const std::lock_guard lock(mutex_);
  return pages_;
}

Bytes SealedPages::aad(std::uint32_t page) const {
  WireWriter out;
  out.raw(as_bytes("coffer/1/catalog-page")).raw(store_).u32(page);
  return std::move(out).take();
}

Status SealedPages::read(std::uint32_t page, MutableBytes into) {
  assert(page > 0 && into.size() == kPageSize);
  const auto newest = tags_->get(page);
  std::array<std::uint8_t, kPageSize> stored;
  const BytesView view(stored);
  auto size = newest.ok() ? file_->pread(offset_of(page), stored) : newest.error();
  const bool is_newest = size.ok() && *size == kPageSize && equal_constant_time(view.last(kTagSize), *newest);
  const bool authentic =
      is_newest &&
      cipher_.open(aad(page), view.first(kPageContentSize), view.last(kPageReserved), into.first(kPageContentSize))
          .ok();
  std::fill(authentic ? into.begin() + kPageContentSize : into.begin(), into.end(), std::uint8_t{0});
  if (authentic) return {};
  if (!size) return std::move(size).error();
  return not_the_newest(page, view.first(*size));
}

Error SealedPages::not_the_newest(std::uint32_t page, BytesView stored) {
  Bytes content(kPageContentSize);
  const bool is_ours =
      stored.size() == kPageSize &&
      cipher_.open(aad(page), stored.first(kPageContentSize), stored.last(kPageReserved), content).ok();
  wipe(content);
  return {Code::kDamaged,
          "coffer.db: page " + std::to_string(page) + (is_ours ? " is an old one put back" : " does not authenticate")};
}

Status SealedPages::write_one(std::uint32_t page, BytesView content) {
  std::array<std::uint8_t, kPageSize> stored;
  const MutableBytes view(stored);
  COFFER_TRY(
      cipher_.seal(aad(page), content.first(kPageContentSize), view.first(kPageContentSize), view.last(kPageReserved)));
  PageTag tag;
  std::copy(view.end() - kTagSize, view.end(), tag.begin());
  COFFER_TRY(tags_->set(page, tag));
  return file_->pwrite(offset_of(page), stored);
}

Status SealedPages::write(std::uint32_t page, BytesView content) {
  assert(page > 0 && content.size() == kPageSize);
  if (page > pages() + 1) COFFER_TRY(resize(page - 1));
  COFFER_TRY(write_one(page, content));
  const std::lock_guard lock(mutex_);
  pages_ = std::max(pages_, page);
  return {};
}

Status SealedPages::resize(std::uint32_t size) {
  static constexpr std::array<std::uint8_t, kPageSize> kZeros{};
  for (std::uint32_t page = pages() + 1; page <= size; ++page) COFFER_TRY(write_one(page, kZeros));
  const std::lock_guard lock(mutex_);
  pages_ = size;
  return {};
}

Status SealedPages::trim() {
  const std::uint64_t kept = round_up(std::uint64_t{pages()} * kPageSize) + kDatabaseGrowth;
  COFFER_ASSIGN(const std::uint64_t stored, file_->size());
  if (stored <= kept) return {};
  reserved_size_ = 0;
  return file_->truncate(kept);
}

Status SealedPages::reserve(std::uint32_t pages) {
  COFFER_TRY(tags_->reserve(pages));
  if (reserved_size_ == 0) {
    COFFER_ASSIGN(reserved_size_, file_->size());
  }
  const std::uint64_t wanted = round_up(std::uint64_t{pages} * kPageSize);
  if (wanted <= reserved_size_) return {};
  COFFER_TRY(file_->allocate(reserved_size_, wanted - reserved_size_));
  reserved_size_ = wanted;
  return {};
}

Status SealedPages::sync() { return file_->sync(); }

}  // namespace coffer
