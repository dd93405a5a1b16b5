#include "store/sealed_vfs.h"

#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cstdio>
#include <cstring>
#include <new>

#include "crypto/key.h"

namespace coffer {
namespace {

// SQLite's own shapes of the log: a header, then frames of a header and a page (sqlite.org/fileformat2.html, section
// 4). Our file has none of them; these are the places SQLite asks for.
constexpr std::int64_t kSqliteLogHeaderSize = 32;
constexpr int kSqliteFrameHeaderSize = 24;
constexpr std::int64_t kSqliteFrameSize = kSqliteFrameHeaderSize + std::int64_t{kPageSize};

std::uint32_t big_endian_u32(const std::uint8_t* at) {
  return std::uint32_t{at[0]} << 24 | std::uint32_t{at[1]} << 16 | std::uint32_t{at[2]} << 8 | at[3];
}

struct FrameHeader {
  std::uint64_t index = 0;
  std::uint32_t page = 0, database_pages = 0;
};

// What SQLite sees as an open file; it allocates the bytes itself.
struct OpenFile {
  sqlite3_file base;
  SealedVfs* vfs;
  LogIndex::Holder locks;
  FrameHeader header;  // of the frame whose page comes next
};

OpenFile& self(sqlite3_file* file) { return *reinterpret_cast<OpenFile*>(file); }

// What SQLite makes of the code decides what it does to the transaction: damage fails the statement alone.
int sqlite_code(SealedFiles& files, const Error& error, int io_code) {
  files.remember(error);
  if (error.code == Code::kNoSpace) return SQLITE_FULL;
  if (error.code == Code::kDamaged) return SQLITE_CORRUPT;
  return io_code;
}

int result_code(SealedFiles& files, const Status& status, int io_code) {
  return status ? SQLITE_OK : sqlite_code(files, status.error(), io_code);
}

int close_file(sqlite3_file*) { return SQLITE_OK; }
int succeed_sync(sqlite3_file*, int) { return SQLITE_OK; }  // we sync what must be, when it must
int succeed_lock(sqlite3_file*, int) { return SQLITE_OK; }  // one process has the store; its folder's lock says so
int not_reserved(sqlite3_file*, int* reserved) {
  *reserved = 0;
  return SQLITE_OK;
}
int no_control(sqlite3_file*, int, void*) { return SQLITE_NOTFOUND; }
int sector_size(sqlite3_file*) { return kPageSize; }
int characteristics(sqlite3_file*) { return 0; }

// --- coffer.db ---

int read_database(sqlite3_file* file, void* into, int amount, sqlite3_int64 offset) {
  SealedFiles& files = self(file).vfs->files();
  const auto page = static_cast<std::uint32_t>(offset / kPageSize) + 1;
  const std::size_t within = offset % kPageSize;
  const auto size = static_cast<std::size_t>(amount);
  if (within + size > kPageSize) return SQLITE_IOERR_READ;
  if (page > files.pages().pages()) {
    std::memset(into, 0, size);
    return SQLITE_IOERR_SHORT_READ;
  }
  std::array<std::uint8_t, kPageSize> content;
  const Status done = files.pages().read(page, content);
  std::memcpy(into, content.data() + within, size);
  return result_code(files, done, SQLITE_IOERR_READ);
}

int write_database(sqlite3_file* file, const void* from, int amount, sqlite3_int64 offset) {
  SealedFiles& files = self(file).vfs->files();
  if (amount != static_cast<int>(kPageSize) || offset % kPageSize != 0) return SQLITE_IOERR_WRITE;
  const auto page = static_cast<std::uint32_t>(offset / kPageSize) + 1;
  const BytesView content(static_cast<const std::uint8_t*>(from), kPageSize);
  return result_code(files, files.pages().write(page, content), SQLITE_IOERR_WRITE);
}

int truncate_database(sqlite3_file* file, sqlite3_int64 size) {
  SealedFiles& files = self(file).vfs->files();
  return result_code(files, files.pages().resize(static_cast<std::uint32_t>(size / kPageSize)), SQLITE_IOERR_TRUNCATE);
}

int database_size(sqlite3_file* file, sqlite3_int64* size) {
  *size = sqlite3_int64{self(file).vfs->files().pages().pages()} * kPageSize;
  return SQLITE_OK;
}

int map_index(sqlite3_file* file, int region, int size, int extend, void volatile** at) {
  *at = self(file).vfs->index().region(region, static_cast<std::size_t>(size), extend != 0);
  return SQLITE_OK;
}

int lock_index(sqlite3_file* file, int first, int count, int flags) {
  LogIndex& index = self(file).vfs->index();
  LogIndex::Holder& holder = self(file).locks;
  if ((flags & SQLITE_SHM_UNLOCK) != 0) {
    index.unlock(holder, first, count);
    return SQLITE_OK;
  }
  const bool exclusive = (flags & SQLITE_SHM_EXCLUSIVE) != 0;
  const bool locked = exclusive ? index.lock_exclusive(holder, first, count) : index.lock_shared(holder, first, count);
  return locked ? SQLITE_OK : SQLITE_BUSY;
}

void index_barrier(sqlite3_file* file) { self(file).vfs->index().barrier(); }

int unmap_index(sqlite3_file* file, int) {
  self(file).vfs->index().unlock(self(file).locks, 0, LogIndex::kLocks);
  return SQLITE_OK;
}

// --- coffer.db-wal ---

// SQLite reads pages alone: headers only to recover a log, and that is done before it opens anything.
int read_log(sqlite3_file* file, void* into, int amount, sqlite3_int64 offset) {
  SealedFiles& files = self(file).vfs->files();
  const std::int64_t place = offset - kSqliteLogHeaderSize;
  const bool is_page = place >= 0 && place % kSqliteFrameSize == kSqliteFrameHeaderSize;
  if (!is_page || amount != static_cast<int>(kPageSize)) return SQLITE_IOERR_READ;
  const MutableBytes page(static_cast<std::uint8_t*>(into), kPageSize);
  const auto index = static_cast<std::uint64_t>(place / kSqliteFrameSize);
  return result_code(files, files.log().read_frame(index, page), SQLITE_IOERR_READ);
}

int restart_log(SealedFiles& files) {
  if (files.log().restart()) return SQLITE_OK;
  // SQLite restarts by itself when every frame has been copied: then the same is due as after our own checkpoint.
  if (const Status begun = files.begin_generation(); !begun) {
    return sqlite_code(files, begun.error(), SQLITE_IOERR_WRITE);
  }
  return files.log().restart() ? SQLITE_OK : SQLITE_IOERR_WRITE;
}

int write_log(sqlite3_file* file, const void* from, int amount, sqlite3_int64 offset) {
  SealedFiles& files = self(file).vfs->files();
  FrameHeader& header = self(file).header;
  const auto* bytes = static_cast<const std::uint8_t*>(from);
  if (offset == 0) return amount == kSqliteLogHeaderSize ? restart_log(files) : SQLITE_IOERR_WRITE;
  const std::int64_t place = offset - kSqliteLogHeaderSize;
  if (place < 0) return SQLITE_IOERR_WRITE;
  const auto index = static_cast<std::uint64_t>(place / kSqliteFrameSize);
  if (place % kSqliteFrameSize == 0 && amount == kSqliteFrameHeaderSize) {
    header = {index, big_endian_u32(bytes), big_endian_u32(bytes + 4)};
    return SQLITE_OK;
  }
  const bool is_page = place % kSqliteFrameSize == kSqliteFrameHeaderSize && amount == static_cast<int>(kPageSize);
  if (!is_page || header.index != index || header.page == 0) return SQLITE_IOERR_WRITE;
  const Status done = files.append(index, header.page, header.database_pages, {bytes, kPageSize});
  header = {};
  return result_code(files, done, SQLITE_IOERR_WRITE);
}

int truncate_log(sqlite3_file*, sqlite3_int64) { return SQLITE_OK; }

int log_size(sqlite3_file* file, sqlite3_int64* size) {
  const auto frames = static_cast<std::int64_t>(self(file).vfs->files().log().sqlite_frames());
  *size = frames == 0 ? 0 : kSqliteLogHeaderSize + frames * kSqliteFrameSize;
  return SQLITE_OK;
}

constexpr sqlite3_io_methods kDatabaseMethods = {2,
                                                 close_file,
                                                 read_database,
                                                 write_database,
                                                 truncate_database,
                                                 succeed_sync,
                                                 database_size,
                                                 succeed_lock,
                                                 succeed_lock,
                                                 not_reserved,
                                                 no_control,
                                                 sector_size,
                                                 characteristics,
                                                 map_index,
                                                 lock_index,
                                                 index_barrier,
                                                 unmap_index,
                                                 nullptr,
                                                 nullptr};

constexpr sqlite3_io_methods kLogMethods = {1,
                                            close_file,
                                            read_log,
                                            write_log,
                                            truncate_log,
                                            succeed_sync,
                                            log_size,
                                            succeed_lock,
                                            succeed_lock,
                                            not_reserved,
                                            no_control,
                                            sector_size,
                                            characteristics,
                                            nullptr,
                                            nullptr,
                                            nullptr,
                                            nullptr,
                                            nullptr,
                                            nullptr};

// --- the VFS ---

SealedVfs& vfs_of(sqlite3_vfs* vfs) { return *static_cast<SealedVfs*>(vfs->pAppData); }

int open_file(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out_flags) {
  file->pMethods = nullptr;
  const bool is_database = (flags & SQLITE_OPEN_MAIN_DB) != 0 && name != nullptr && kDatabaseName == name;
  const bool is_log = (flags & SQLITE_OPEN_WAL) != 0 && name != nullptr && kLogName == name;
  if (!is_database && !is_log) return SQLITE_CANTOPEN;
  OpenFile* opened = new (file) OpenFile{};
  opened->base.pMethods = is_database ? &kDatabaseMethods : &kLogMethods;
  opened->vfs = &vfs_of(vfs);
  if (out_flags != nullptr) *out_flags = flags;
  return SQLITE_OK;
}

int delete_file(sqlite3_vfs*, const char*, int) { return SQLITE_OK; }

int can_access(sqlite3_vfs*, const char* name, int, int* result) {
  *result = kDatabaseName == name || kLogName == name ? 1 : 0;
  return SQLITE_OK;
}

int full_path(sqlite3_vfs*, const char* name, int size, char* out) {
  sqlite3_snprintf(size, out, "%s", name);
  return SQLITE_OK;
}

int randomness(sqlite3_vfs*, int size, char* out) {
  fill_random({reinterpret_cast<std::uint8_t*>(out), static_cast<std::size_t>(size)});
  return size;
}

int system_error(sqlite3_vfs*, int, char*) { return 0; }

int current_time(sqlite3_vfs*, sqlite3_int64* time) {
  sqlite3_vfs* system = sqlite3_vfs_find(nullptr);
  return system->xCurrentTimeInt64(system, time);
}

int current_time_days(sqlite3_vfs*, double* days) {
  sqlite3_vfs* system = sqlite3_vfs_find(nullptr);
  return system->xCurrentTime(system, days);
}

int sleep_microseconds(sqlite3_vfs*, int microseconds) {
  sqlite3_vfs* system = sqlite3_vfs_find(nullptr);
  return system->xSleep(system, microseconds);
}

std::string name_for(const void* vfs) {
  char name[32];
  std::snprintf(name, sizeof name, "coffer-%p", vfs);
  return name;
}

}  // namespace

SealedFiles::SealedFiles(std::unique_ptr<SealedPages> pages, std::unique_ptr<SealedLog> log,
                         std::unique_ptr<SuperblockFile> tags, const Superblock& block, std::string boot_id)
    : pages_(std::move(pages)),
      log_(std::move(log)),
      tags_(std::move(tags)),
      block_(block),
      boot_id_(std::move(boot_id)) {}

Status SealedFiles::begin_generation() {
  if (auto failure = log_->broken()) return *failure;
  if (Status synced = pages_->sync(); !synced) return log_->break_with(std::move(synced).error());
  Superblock next;
  // What a failure left of them is in places that no superblock names. But a sync that failed must not be tried again.
  auto tags = pages_->tags().write();
  if (!tags) return log_->break_with(std::move(tags).error());
  next.tags = *tags;
  next.sequence = block_.sequence + 1;
  fill_random(next.log_salt);
  next.frames_before = log_->last();
  next.digest = log_->digest();
  next.database_pages = pages_->pages();
  COFFER_TRY(log_->prepare(next, boot_id_));
  {
    const std::lock_guard lock(tags_mutex_);
    // The disk may have the new superblock all the same, and then nothing more may be written under the old one.
    if (Status written = tags_->write(next); !written) return log_->break_with(std::move(written).error());
  }
  pages_->tags().begin();
  block_ = next;
  database_pages_ = next.database_pages;
  log_->begin();
  return pages_->trim();
}

Status SealedFiles::append(std::uint64_t sqlite_index, std::uint32_t page, std::uint32_t database_pages,
                           BytesView content) {
  if (database_pages > 0) COFFER_TRY(pages_->reserve(database_pages));
  COFFER_TRY(log_->append(sqlite_index, page, database_pages, content));
  if (database_pages > 0) database_pages_ = database_pages;
  return {};
}

Status SealedFiles::reserve(std::uint32_t pages, std::uint32_t new_pages) {
  const std::uint32_t wanted = database_pages_ + new_pages;
  // Some more while there is room, so that deleting finds it when there is none.
  if (!pages_->reserve(wanted + kDatabaseSparePages)) COFFER_TRY(pages_->reserve(wanted));
  return log_->reserve(pages);
}

Status SealedFiles::ready_for_pages() {
  if (auto failure = log_->broken()) return *failure;
  const std::lock_guard lock(tags_mutex_);
  if (Status synced = tags_->sync_copy(); !synced) return log_->break_with(std::move(synced).error());
  return {};
}

Status SealedFiles::sync_pages() {
  Status synced = pages_->sync();
  if (synced) synced = pages_->tags().write_leaves();
  if (!synced) return log_->break_with(std::move(synced).error());
  return {};
}

void SealedFiles::remember(const Error& error) {
  const std::lock_guard lock(mutex_);
  failure_ = error;
}

std::optional<Error> SealedFiles::last_failure(Code code) const {
  const std::lock_guard lock(mutex_);
  return failure_ && failure_->code == code ? failure_ : std::nullopt;
}

SealedVfs::SealedVfs(SealedFiles& files) : files_(files), name_(name_for(this)), vfs_(new sqlite3_vfs{}) {
  vfs_->iVersion = 2;
  vfs_->szOsFile = sizeof(OpenFile);
  vfs_->mxPathname = 64;
  vfs_->zName = name_.c_str();
  vfs_->pAppData = this;
  vfs_->xOpen = open_file;
  vfs_->xDelete = delete_file;
  vfs_->xAccess = can_access;
  vfs_->xFullPathname = full_path;
  vfs_->xRandomness = randomness;
  vfs_->xSleep = sleep_microseconds;
  vfs_->xCurrentTime = current_time_days;
  vfs_->xGetLastError = system_error;
  vfs_->xCurrentTimeInt64 = current_time;
  const int registered = sqlite3_vfs_register(vfs_.get(), /*makeDflt=*/0);
  assert(registered == SQLITE_OK);
  (void)registered;
}

SealedVfs::~SealedVfs() { sqlite3_vfs_unregister(vfs_.get()); }

}  // namespace coffer
