#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "store/log_index.h"
#include "store/sealed_log.h"
#include "store/sealed_pages.h"
#include "store/superblock.h"

struct sqlite3_vfs;

namespace coffer {

// The three sealed files of a catalog as one thing: the only order in which they may change each other.
class SealedFiles {
 public:
  SealedFiles(std::unique_ptr<SealedPages> pages, std::unique_ptr<SealedLog> log, std::unique_ptr<SuperblockFile> tags,
              const Superblock& block, std::string boot_id);

  SealedPages& pages() { return *pages_; }
  SealedLog& log() { return *log_; }

  // Lets the log begin again. All commits are in coffer.db by now; their pages and tags are synced here first, then the
  // new header, then the superblock that names both. Only the writer calls it. A failure to sync is final
  // (SealedLog::broken).
  Status begin_generation();
  // One frame of SQLite's. What a commit needs in coffer.db is reserved before its last frame is written.
  Status append(std::uint64_t sqlite_index, std::uint32_t page, std::uint32_t database_pages, BytesView content);
  // Room for a commit of so many changed pages, some of them perhaps new. kNoSpace changes nothing.
  Status reserve(std::uint32_t pages, std::uint32_t new_pages);
  // Before pages of this generation go to coffer.db.
  Status ready_for_pages();
  // After them, beside the writer: they and most of their tags are on the disk, for begin_generation() to find less to
  // do. A failure to sync is final.
  Status sync_pages();

  // The last failure, for whoever sees SQLite's code alone. Thread-safe.
  void remember(const Error& error);
  std::optional<Error> last_failure(Code code) const;

 private:
  const std::unique_ptr<SealedPages> pages_;
  const std::unique_ptr<SealedLog> log_;
  std::mutex tags_mutex_;  // guards tags_: the writer's new generation against a checkpoint's sync
  const std::unique_ptr<SuperblockFile> tags_;
  Superblock block_;
  const std::string boot_id_;
  std::uint32_t database_pages_ = 0;  // after the last commit
  mutable std::mutex mutex_;          // guards failure_
  std::optional<Error> failure_;
};

// An SQLite VFS over them, under a name of its own for as long as it lives. It opens coffer.db and its log and refuses
// every other file: journals and temporary files have no place on the disk.
class SealedVfs {
 public:
  explicit SealedVfs(SealedFiles& files);
  ~SealedVfs();
  SealedVfs(const SealedVfs&) = delete;
  SealedVfs& operator=(const SealedVfs&) = delete;

  const std::string& name() const { return name_; }
  SealedFiles& files() { return files_; }
  LogIndex& index() { return index_; }

 private:
  SealedFiles& files_;
  LogIndex index_;
  const std::string name_;
  std::unique_ptr<sqlite3_vfs> vfs_;
};

}  // namespace coffer
