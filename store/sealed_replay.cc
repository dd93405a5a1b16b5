#include "store/sealed_replay.h"

#include <algorithm>
#include <array>
#include <string>

#include "store/catalog_copy.h"
#include "store/sealed_database.h"

namespace coffer {
namespace {

// A file that is gone is damage: SQLite and we never remove one.
Result<std::unique_ptr<DiskFile>> open_existing(Disk& disk, std::string_view name) {
  auto file = disk.open(name, OpenMode::kExisting);
  if (!file && file.code() == Code::kNotFound) return Error{Code::kDamaged, std::string(name) + " is missing"};
  return file;
}

Result<std::unique_ptr<DiskFile>> open_empty(Disk& disk, std::string_view name) {
  COFFER_ASSIGN(auto file, disk.open(name, OpenMode::kCreate));
  COFFER_TRY(file->truncate(0));
  return file;
}

// The superblock's word and the files it speaks of.
struct Found {
  Superblock block;
  std::unique_ptr<SuperblockFile> tags;
  std::unique_ptr<SealedPages> pages;
  std::unique_ptr<SealedLog> log;
};

enum class Missing { kIsDamage, kIsToBeHealed };

Result<Found> find(Disk& disk, const KeySchedule& keys, const AeadSuite& suite,
                   Missing pages_missing = Missing::kIsDamage) {
  Found found;
  COFFER_ASSIGN(auto tags_file, open_existing(disk, kTagsName));
  COFFER_ASSIGN(auto log_file, open_existing(disk, kLogName));
  const bool may_lack_pages = pages_missing == Missing::kIsToBeHealed;
  COFFER_ASSIGN(auto pages_file,
                may_lack_pages ? disk.open(kDatabaseName, OpenMode::kCreate) : open_existing(disk, kDatabaseName));
  const std::shared_ptr<DiskFile> tags(std::move(tags_file));
  found.tags = std::make_unique<SuperblockFile>(tags, keys, suite);
  COFFER_ASSIGN(found.block, found.tags->read());
  COFFER_ASSIGN(const std::uint64_t size, pages_file->size());
  if (!may_lack_pages && size < std::uint64_t{found.block.database_pages} * kPageSize) {
    return Error{Code::kDamaged, "coffer.db is shorter than its superblock says"};
  }
  auto page_tags = std::make_unique<PageTags>(tags, keys, suite, found.block.tags);
  if (!may_lack_pages) COFFER_TRY(page_tags->check_size(found.block.database_pages));
  found.pages = std::make_unique<SealedPages>(std::move(pages_file), std::move(page_tags), keys, suite,
                                              found.block.database_pages);
  found.log = std::make_unique<SealedLog>(std::move(log_file), keys, suite);
  return found;
}

// Nothing: the copy's page is another one.
Result<std::optional<Bytes>> page_of_copy(Disk& disk, const CatalogCopyHead& copy, std::uint32_t page,
                                          const PageTag& tag) {
  auto stored = stored_page_of_copy(disk, copy, page);
  const bool none = !stored && (stored.code() == Code::kNotFound || stored.code() == Code::kDamaged);
  if (none) return std::optional<Bytes>();
  if (!stored) return std::move(stored).error();
  if (!equal_constant_time(BytesView(*stored).last(kTagSize), tag)) return std::optional<Bytes>();
  return std::optional<Bytes>(*std::move(stored));
}

// Before coffer.db changes: whatever happens from here on, every reader of the log must come to the same last commit.
// Of the commits that only this boot's page cache vouches for, neither data nor frames need be on the disk yet.
Status settle_log(Disk& disk, const LogReplay& replay, SealedLog& log) {
  if (replay.last > log.data_synced()) {
    COFFER_TRY(disk.sync_all());
    log.set_data_synced(replay.last, /*this_commit=*/false);
    COFFER_TRY(log.append_mark());
  }
  return log.sync();
}

// A checkpoint may have cut the database to any of the log's commits, and made it grow again with zeros.
std::uint32_t pages_kept(const LogReplay& replay, std::uint32_t pages) {
  return replay.database_pages == 0 ? pages : std::min(pages, replay.database_pages_least);
}

Status copy_pages(const LogReplay& replay, SealedLog& log, SealedPages& pages) {
  COFFER_TRY(pages.resize(pages_kept(replay, pages.pages())));
  std::array<std::uint8_t, kPageSize> content;
  for (const auto& [page, number] : replay.pages) {
    COFFER_TRY(log.read_replayed(number, content));
    COFFER_TRY(pages.write(page, content));
  }
  if (replay.database_pages > 0) COFFER_TRY(pages.resize(replay.database_pages));
  return {};
}

}  // namespace

Result<std::unique_ptr<SealedFiles>> create_sealed_files(Disk& disk, const KeySchedule& keys, const AeadSuite& suite,
                                                         std::string_view boot_id) {
  COFFER_ASSIGN(auto tags_file, open_empty(disk, kTagsName));
  COFFER_ASSIGN(auto pages_file, open_empty(disk, kDatabaseName));
  COFFER_ASSIGN(auto log_file, open_empty(disk, kLogName));
  const std::shared_ptr<DiskFile> tags(std::move(tags_file));
  auto page_tags = std::make_unique<PageTags>(tags, keys, suite, TagNode{});
  auto pages = std::make_unique<SealedPages>(std::move(pages_file), std::move(page_tags), keys, suite, /*pages=*/0);
  return std::make_unique<SealedFiles>(std::move(pages), std::make_unique<SealedLog>(std::move(log_file), keys, suite),
                                       std::make_unique<SuperblockFile>(tags, keys, suite), Superblock{},
                                       std::string(boot_id));
}

Result<std::unique_ptr<SealedFiles>> open_sealed_files(Disk& disk, const KeySchedule& keys, const AeadSuite& suite,
                                                       std::string_view boot_id) {
  COFFER_ASSIGN(Found found, find(disk, keys, suite));
  COFFER_ASSIGN(const LogReplay replay, found.log->replay(found.block, boot_id, disk));
  auto files = std::make_unique<SealedFiles>(std::move(found.pages), std::move(found.log), std::move(found.tags),
                                             found.block, std::string(boot_id));
  if (!replay.pages.empty()) {
    COFFER_TRY(settle_log(disk, replay, files->log()));
    COFFER_TRY(files->ready_for_pages());
    COFFER_TRY(copy_pages(replay, files->log(), files->pages()));
  }
  COFFER_TRY(files->begin_generation());
  return files;
}

Status verify_sealed_files(Disk& disk, const KeySchedule& keys, const AeadSuite& suite) {
  COFFER_ASSIGN(const Found found, find(disk, keys, suite));
  COFFER_ASSIGN(const LogReplay replay, found.log->replay(found.block, /*boot_id=*/"", disk));
  COFFER_TRY(found.pages->tags().verify());
  std::array<std::uint8_t, kPageSize> content;
  for (const auto& [page, number] : replay.pages) COFFER_TRY(found.log->read_replayed(number, content));
  const std::uint32_t kept = pages_kept(replay, found.block.database_pages);
  for (std::uint32_t page = 1; page <= kept; ++page) {
    // A checkpoint that was cut short may have torn what the log still has whole.
    if (!replay.pages.contains(page)) COFFER_TRY(found.pages->read(page, content));
  }
  return {};
}

Result<Healed> heal_sealed_files(Disk& disk, const KeySchedule& keys, const AeadSuite& suite) {
  Healed healed;
  const auto copy = read_catalog_copy(disk, keys, suite);
  if (!copy && (copy.code() == Code::kNotFound || copy.code() == Code::kDamaged)) return healed;
  if (!copy) return copy.error();
  COFFER_ASSIGN(const Found found, find(disk, keys, suite, Missing::kIsToBeHealed));
  COFFER_ASSIGN(const LogReplay replay, found.log->replay(found.block, /*boot_id=*/"", disk));
  COFFER_ASSIGN(const auto file, disk.open(kDatabaseName, OpenMode::kExisting));
  const auto block_of_copy = [&](std::uint64_t offset) { return stored_tags_of_copy(disk, *copy, offset); };
  COFFER_ASSIGN(healed.tag_blocks, found.pages->tags().heal(block_of_copy));
  std::array<std::uint8_t, kPageSize> content;
  const std::uint32_t kept = pages_kept(replay, found.block.database_pages);
  for (std::uint32_t page = 1; page <= kept; ++page) {
    if (replay.pages.contains(page)) continue;
    const auto read = found.pages->read(page, content);
    if (read.ok()) continue;
    if (read.code() != Code::kDamaged && read.code() != Code::kIo) return read.error();
    const auto tag = found.pages->tags().get(page);
    if (!tag && tag.code() != Code::kDamaged) return tag.error();
    if (!tag) continue;
    COFFER_ASSIGN(const auto whole, page_of_copy(disk, *copy, page, *tag));
    if (!whole) continue;
    COFFER_TRY(file->pwrite(std::uint64_t{page - 1} * kPageSize, *whole));
    if (found.pages->read(page, content).ok()) healed.pages.push_back(page);
  }
  wipe(content);
  if (!healed.tag_blocks.empty()) COFFER_TRY(found.pages->tags().sync());
  if (!healed.pages.empty()) {
    COFFER_TRY(file->sync());
    COFFER_TRY(disk.sync_folder(""));
  }
  return healed;
}

}  // namespace coffer
