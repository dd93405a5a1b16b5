#pragma once

#include <cstdint>
#include <memory>
#include <mutex>

#include "base/limits.h"
#include "crypto/key_schedule.h"
#include "store/disk.h"
#include "store/page_tags.h"
#include "store/xaes.h"

namespace coffer {

inline constexpr std::string_view kDatabaseName = "coffer.db";

// coffer.db (docs/FORMAT.md section 6): SQLite's pages, each sealed on its own, and each the newest of its place: its
// tag is in PageTags. Pages count from 1. Bytes of the file beyond pages() are left over from a checkpoint that a crash
// cut short, and mean nothing. Thread-safe as long as no
// page is read and written at once, which SQLite's locks see to.
class SealedPages {
 public:
  SealedPages(std::unique_ptr<DiskFile> file, std::unique_ptr<PageTags> tags, const KeySchedule& keys,
              const AeadSuite& suite, std::uint32_t pages);

  PageTags& tags() { return *tags_; }
  std::uint32_t pages() const;
  Status read(std::uint32_t page, MutableBytes into);  // kPageSize bytes; kDamaged, naming the page
  // Pages between the last one and this are written as zeros, so that every page up to pages() authenticates.
  Status write(std::uint32_t page, BytesView content);
  Status resize(std::uint32_t pages);  // grows with zeros; shrinks in name only, until trim()
  Status trim();                       // gives back what is far beyond pages(), once no superblock counts on it
  // Blocks for so many pages and their tags, so that a page of a commit always finds its place. kNoSpace changes nothing. The writer's
  // alone.
  Status reserve(std::uint32_t pages);
  Status sync();
  Result<std::uint64_t> stored_size() { return file_->size(); }

 private:
  Error not_the_newest(std::uint32_t page, BytesView stored);
  Status write_one(std::uint32_t page, BytesView content);
  Bytes aad(std::uint32_t page) const;

  std::unique_ptr<DiskFile> file_;
  std::unique_ptr<PageTags> tags_;
  Xaes cipher_;
  StoreId store_;
  std::uint64_t reserved_size_ = 0;  // the writer's own; 0: not known yet
  mutable std::mutex mutex_;         // guards pages_
  std::uint32_t pages_;
};

}  // namespace coffer
