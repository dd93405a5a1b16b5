#include "store/sealed_database.h"

#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cassert>
#include <mutex>

#include "base/limits.h"
#include "store/sealed_replay.h"
#include "store/sealed_vfs.h"

namespace coffer {
namespace {

constexpr std::size_t kReaderCacheKib = 4 * 1024;
constexpr int kInterruptEvery = 1000;  // of SQLite's instructions: some 100 us
constexpr std::size_t kSmallCacheKib = 64;  // of connections that read a page at most

// What every SQLite of this process must know before its first use.
Status configure_sqlite() {
  static const int configured = [] {
    // Statement journals stay in memory at any size: the VFS has no file for them.
    const int code = sqlite3_config(SQLITE_CONFIG_STMTJRNL_SPILL, -1);
    return code == SQLITE_OK ? sqlite3_initialize() : code;
  }();
  if (configured == SQLITE_OK) return {};
  return Error{Code::kUnsupported, "SQLite was in use before it could be configured"};
}

Code code_of(int sqlite_code) {
  switch (sqlite_code & 0xff) {
    case SQLITE_FULL: return Code::kNoSpace;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return Code::kDamaged;
    case SQLITE_BUSY:
    case SQLITE_INTERRUPT:
    case SQLITE_LOCKED: return Code::kBusy;
    case SQLITE_NOMEM:
    case SQLITE_TOOBIG: return Code::kLimit;
    default: return Code::kIo;
  }
}

Error explain_with(const SealedFiles& files, int sqlite_code, std::string_view doing) {
  const Code code = code_of(sqlite_code);
  std::string message(doing);
  message += ": ";
  if (auto failure = files.last_failure(code)) return {code, message + failure->message};
  return {code, message + sqlite3_errstr(sqlite_code)};
}

struct FinalizeStatement {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using Statement = std::unique_ptr<sqlite3_stmt, FinalizeStatement>;

// One SQLite connection over the sealed files, and the few statements of the log's own life.
class Connection {
 public:
  static Result<std::unique_ptr<Connection>> open(SealedVfs& vfs) {
    sqlite3* handle = nullptr;
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    const int code = sqlite3_open_v2(kDatabaseName.data(), &handle, flags, vfs.name().c_str());
    auto connection = std::make_unique<Connection>(vfs, handle);
    if (code != SQLITE_OK) return connection->failure(code, "opening the catalog");
    sqlite3_extended_result_codes(handle, 1);
    sqlite3_db_config(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
    return connection;
  }

  Connection(SealedVfs& vfs, sqlite3* handle) : vfs_(vfs), handle_(handle) {}
  ~Connection() {
    begin_.reset();
    commit_.reset();
    free_pages_.reset();
    look_.reset();
    rollback_.reset();
    const int closed = sqlite3_close(handle_);
    assert(closed == SQLITE_OK);  // statements of ours must have gone before
    (void)closed;
  }

  sqlite3* handle() { return handle_; }
  bool in_transaction() const { return sqlite3_get_autocommit(handle_) == 0; }
  Error failure(int code, std::string_view doing) const { return explain_with(vfs_.files(), code, doing); }

  // synchronous=OFF: SQLite orders nothing, SealedDatabase and SealedFiles say what is synced and when.
  // secure_delete=FAST: Debian's SQLite would write zeros over every page that it frees, four for each small object that
  // goes. Tables with secrets want that (ErasedPages).
  Status settle(std::size_t cache_kib) {
    COFFER_TRY(run(("PRAGMA cache_size=-" + std::to_string(cache_kib)).c_str()));
    return run(
        "PRAGMA synchronous=OFF; PRAGMA temp_store=MEMORY; PRAGMA mmap_size=0; PRAGMA cache_spill=OFF;"
        "PRAGMA wal_autocheckpoint=0; PRAGMA foreign_keys=OFF; PRAGMA secure_delete=FAST;"
        "SELECT 1 FROM sqlite_schema LIMIT 1;");
  }

  Status prepare() {
    COFFER_ASSIGN(begin_, prepared("BEGIN IMMEDIATE"));
    COFFER_ASSIGN(commit_, prepared("COMMIT"));
    COFFER_ASSIGN(free_pages_, prepared("PRAGMA freelist_count"));
    // SQLite runs a statement again whose schema has changed, even if the transaction was lost in between for want of memory. Then it
    // would be a commit of its own.
    sqlite3_commit_hook(handle_, [](void* self) { return static_cast<Connection*>(self)->committing_ ? 0 : 1; }, this);
    return {};
  }

  // A read transaction: what it sees stays as it is.
  Status prepare_look() {
    COFFER_ASSIGN(begin_, prepared("BEGIN"));
    COFFER_ASSIGN(look_, prepared("SELECT 1 FROM sqlite_schema LIMIT 1"));
    COFFER_ASSIGN(rollback_, prepared("ROLLBACK"));
    return {};
  }
  Status look() {
    COFFER_TRY(begin());
    return step(look_.get(), "looking at the catalog");
  }
  Status end_look() { return step(rollback_.get(), "ending a look at the catalog"); }

  Status begin() { return step(begin_.get(), "beginning a transaction"); }
  // Pages on SQLite's list of free ones.
  Result<std::uint32_t> free_pages() {
    const int code = sqlite3_step(free_pages_.get());
    const auto count = code == SQLITE_ROW ? sqlite3_column_int64(free_pages_.get(), 0) : 0;
    const int done = sqlite3_reset(free_pages_.get());
    if (code != SQLITE_ROW) return failure(done, "counting free pages");
    return static_cast<std::uint32_t>(count);
  }
  Status commit() {
    committing_ = true;
    auto done = step(commit_.get(), "committing");
    committing_ = false;
    return done;
  }

  Status run(const char* statements) {
    const int code = sqlite3_exec(handle_, statements, nullptr, nullptr, nullptr);
    if (code != SQLITE_OK) return failure(code, "preparing the catalog");
    return {};
  }

  // Copies what no reader needs in the log any more. True if that was all of it.
  Result<bool> checkpoint() {
    int frames = 0, copied = 0;
    const int code = sqlite3_wal_checkpoint_v2(handle_, "main", SQLITE_CHECKPOINT_PASSIVE, &frames, &copied);
    if (code == SQLITE_BUSY) return false;
    if (code != SQLITE_OK) return failure(code, "copying the log into coffer.db");
    return frames == copied;
  }

 private:
  Result<Statement> prepared(const char* text) {
    sqlite3_stmt* statement = nullptr;
    const int code = sqlite3_prepare_v3(handle_, text, -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
    if (code != SQLITE_OK) return failure(code, "preparing the catalog");
    return Statement(statement);
  }

  Status step(sqlite3_stmt* statement, std::string_view doing) {
    sqlite3_step(statement);
    const int code = sqlite3_reset(statement);
    if (code != SQLITE_OK) return failure(code, doing);
    return {};
  }

  SealedVfs& vfs_;
  sqlite3* handle_;
  Statement begin_, commit_, free_pages_, look_, rollback_;
  bool committing_ = false;
};

// Who checkpoints and who keeps checkpoints away. Nobody overtakes one who waits for a checkpoint.
class CheckpointTurn {
 public:
  class Checkpoint {
   public:
    explicit Checkpoint(CheckpointTurn& turn) : lock_(turn.mutex_, std::defer_lock) {
      ++turn.wanted_;
      const std::lock_guard first(turn.turn_);
      lock_.lock();
      --turn.wanted_;
    }

   private:
    std::unique_lock<std::mutex> lock_;
  };
  std::unique_lock<std::mutex> keep_away() {
    const std::lock_guard first(turn_);
    return std::unique_lock(mutex_);
  }
  std::unique_lock<std::mutex> try_keep_away() { return std::unique_lock(mutex_, std::try_to_lock); }
  bool wanted() const { return wanted_ > 0; }

 private:
  std::mutex turn_, mutex_;
  std::atomic<int> wanted_{0};
};

class ReaderOnDisk final : public SealedDatabase::Reader {
 public:
  ReaderOnDisk(std::unique_ptr<Connection> connection, CheckpointTurn& turn, const std::atomic<bool>& interrupted)
      : connection_(std::move(connection)), turn_(turn), interrupted_(interrupted) {
    sqlite3_progress_handler(connection_->handle(), kInterruptEvery, give_way, this);
  }
  ~ReaderOnDisk() override { end(); }

  sqlite3* connection() override { return connection_->handle(); }

  Status begin() override {
    away_ = turn_.keep_away();
    auto begun = connection_->look();
    if (!begun) end();
    return begun;
  }

  void end() override {
    // A statement of it never writes: it ends whatever SQLite answers.
    if (connection_->in_transaction()) (void)connection_->end_look();
    if (away_.owns_lock()) away_.unlock();
  }

 private:
  static int give_way(void* self) {
    const auto& reader = *static_cast<ReaderOnDisk*>(self);
    return reader.turn_.wanted() || reader.interrupted_ ? 1 : 0;
  }

  const std::unique_ptr<Connection> connection_;
  CheckpointTurn& turn_;
  const std::atomic<bool>& interrupted_;
  std::unique_lock<std::mutex> away_;
};

class SealedDatabaseOnDisk final : public SealedDatabase {
 public:
  explicit SealedDatabaseOnDisk(std::unique_ptr<SealedFiles> files) : files_(std::move(files)), vfs_(*files_) {}

  Status start(Disk& disk, Presence presence) {
    COFFER_ASSIGN(writer_, Connection::open(vfs_));
    if (presence == Presence::kCreate) COFFER_TRY(create(disk));
    COFFER_TRY(writer_->settle(kCatalogCacheKib));
    COFFER_TRY(writer_->prepare());
    COFFER_ASSIGN(checkpointer_, Connection::open(vfs_));
    COFFER_TRY(checkpointer_->settle(kSmallCacheKib));
    COFFER_ASSIGN(reader_, Connection::open(vfs_));
    COFFER_TRY(reader_->settle(kSmallCacheKib));
    COFFER_TRY(reader_->prepare_look());
    copied_ = files_->log().last();
    return begin();
  }

  sqlite3* connection() override { return writer_->handle(); }

  Result<CommitPoint> commit(DataSynced data_synced) override {
    SealedLog& log = files_->log();
    if (is_transaction_lost()) return lost_error();
    if (auto failure = log.broken()) return *failure;
    const std::uint64_t before = log.last();
    if (auto told = tell_of(data_synced); !told) {
      roll_back();  // as SQLite does where a frame of the commit fails
      return std::move(told).error();
    }
    reserved_ = 0;
    log.set_data_synced(data_synced.up_to.value, data_synced.this_commit);
    COFFER_TRY(writer_->commit());
    COFFER_TRY(begin());
    const std::uint64_t wanted = data_synced.this_commit ? before : data_synced.up_to.value;
    if (log.last() == before && wanted > log.data_synced()) COFFER_TRY(log.append_mark());
    return last();
  }

  Status reserve(std::uint32_t pages) override { return reserve(pages, kPagesAhead); }
  Status reserve_for_commit(std::uint32_t pages) override { return files_->log().reserve(reserved_ + pages); }

  std::uint32_t free_pages() const override {
    const std::uint32_t free = free_at_begin_, reserved = reserved_;
    return free - std::min(free, reserved);
  }

  Status sync_log() override { return files_->log().sync(); }

  CommitPoint last() const override { return {files_->log().last()}; }
  std::uint64_t log_bytes() const override { return files_->log().bytes(); }
  Bytes last_tag() const override { return to_bytes(files_->log().digest()); }

  // A read transaction: SQLite copies no frame behind it into coffer.db.
  Status pin() override {
    const auto lock = turn_.try_keep_away();
    if (!lock.owns_lock()) return {};
    COFFER_TRY(release_pin());
    COFFER_TRY(reader_->look());
    pinned_ = files_->log().last();
    return {};
  }

  Status checkpoint_beside(CommitPoint durable) override {
    const CheckpointTurn::Checkpoint lock(turn_);
    SealedLog& log = files_->log();
    if (pinned_ == 0 || pinned_ > durable.value || pinned_ <= copied_) return {};
    COFFER_TRY(log.sync());
    if (pinned_ > log.durable()) return {};
    ++checkpoints_;
    COFFER_TRY(files_->ready_for_pages());
    COFFER_TRY(checkpointer_->checkpoint());
    COFFER_TRY(files_->sync_pages());
    copied_ = pinned_;
    return {};
  }

  Status checkpoint_rest() override {
    if (is_transaction_lost()) return lost_error();
    const CheckpointTurn::Checkpoint lock(turn_);
    SealedLog& log = files_->log();
    COFFER_TRY(log.sync());
    assert(log.durable() == log.last());
    if (log.bytes() == 0) return {};
    ++checkpoints_;
    COFFER_TRY(release_pin());
    COFFER_TRY(files_->ready_for_pages());
    log.set_data_synced(log.data_synced(), /*this_commit=*/false);
    COFFER_TRY(writer_->commit());
    assert(log.durable() == log.last());  // the transaction had no changes
    const Status done = copy_and_restart();
    COFFER_TRY(begin());
    return done;
  }

  std::optional<Still> still() override {
    const auto lock = turn_.try_keep_away();
    if (!lock.owns_lock() || copied_ != files_->log().first()) return std::nullopt;
    return Still{checkpoints_, files_->pages().pages(), {copied_}};
  }

  std::uint64_t checkpoints() const override { return checkpoints_; }

  Status verify_page(std::uint32_t page) override {
    std::array<std::uint8_t, kPageSize> content;
    const auto read = files_->pages().read(page, content);
    wipe(content);
    return read;
  }

  Result<std::uint32_t> verify_pages(std::uint32_t from, std::vector<Error>& damage) override {
    const auto away = turn_.keep_away();
    const std::uint32_t last = files_->pages().pages();
    const std::uint32_t to = last - std::min(last, from - 1) < kScrubPages ? last + 1 : from + kScrubPages;
    for (std::uint32_t page = from; page < to; ++page) {
      // One bad node is told once, and not for each page below it.
      if (page == from || page % TagNode::kChildren == 1) COFFER_TRY(note(files_->pages().tags().verify(page), damage));
      COFFER_TRY(note(verify_page(page), damage));
    }
    return to > last ? 0 : to;
  }

  Status verify_log() override {
    std::array<std::uint8_t, kPageSize> content;
    Status whole;
    for (std::uint64_t frame = files_->log().sqlite_frames(); frame > 0 && whole; --frame)
      whole = files_->log().read_frame(frame - 1, content);
    wipe(content);
    return whole;
  }

  Result<std::unique_ptr<Reader>> reader(const std::atomic<bool>& interrupted) override {
    const auto away = turn_.keep_away();
    COFFER_ASSIGN(auto connection, Connection::open(vfs_));
    COFFER_TRY(connection->settle(kReaderCacheKib));
    COFFER_TRY(connection->run("PRAGMA query_only=ON"));
    COFFER_TRY(connection->prepare_look());
    return std::unique_ptr<Reader>(new ReaderOnDisk(std::move(connection), turn_, interrupted));
  }

  Error explain(int sqlite_code, std::string_view doing) override { return explain_with(*files_, sqlite_code, doing); }

  bool is_transaction_lost() const override { return !writer_->in_transaction(); }

  void abandon() override {
    roll_back();
    // If it does not begin, is_transaction_lost() says so.
    (void)begin();
  }

 private:
  Status tell_of(const DataSynced& data) {
    SealedLog& log = files_->log();
    if (data.unsynced.empty()) return {};
    if (data.tell) {
      const std::vector<Bytes> contents = encode_rows(data.unsynced);
      if (log.reserve(reserved_ + kPagesAhead + contents.size())) {
        told_ = log.last() + 1;
        return log.append_rows(contents);
      }
    }
    // What was told before may be asked for no more: slots that this commit frees are written again.
    if (told_ <= log.data_synced()) return {};
    told_ = 0;
    return log.append_rows(encode_rows(std::vector<WrittenRow>(1)));
  }

  void roll_back() {
    reserved_ = 0;
    if (!is_transaction_lost()) sqlite3_exec(writer_->handle(), "ROLLBACK", nullptr, nullptr, nullptr);
  }

  Status create(Disk& disk) {
    int reserved = kPageReserved;
    sqlite3_file_control(writer_->handle(), "main", SQLITE_FCNTL_RESERVE_BYTES, &reserved);
    static_assert(kPageSize == 4096);
    COFFER_TRY(
        writer_->run("PRAGMA page_size=4096; PRAGMA synchronous=OFF; PRAGMA temp_store=MEMORY;"
                     "PRAGMA journal_mode=MEMORY; PRAGMA journal_mode=WAL;"));
    COFFER_TRY(files_->begin_generation());
    return disk.sync_folder("");
  }

  // Pages that are free when the transaction begins are used before the file grows.
  Status reserve(std::uint32_t pages, std::uint32_t ahead) {
    const std::uint32_t all = reserved_ + pages;
    COFFER_TRY(files_->reserve(all + ahead, all - std::min<std::uint32_t>(all, free_at_begin_)));
    reserved_ = all;
    return {};
  }

  Status begin() {
    COFFER_TRY(writer_->begin());
    COFFER_ASSIGN(free_at_begin_, writer_->free_pages());
    return {};
  }

  static Status note(const Status& checked, std::vector<Error>& damage) {
    if (checked.ok()) return {};
    if (checked.code() != Code::kDamaged && checked.code() != Code::kIo) return checked;
    const bool told = !damage.empty() && damage.back().message == checked.error().message;
    if (!told && damage.size() < kFsckDamageMax) damage.push_back(checked.error());
    return {};
  }

  Error lost_error() const {
    if (auto failure = files_->log().broken()) return {Code::kPoisoned, "the catalog has failed: " + failure->message};
    return {Code::kPoisoned, "the catalog lost its open transaction"};
  }

  Status copy_and_restart() {
    COFFER_ASSIGN(const bool all, writer_->checkpoint());
    if (!all) return Error{Code::kBusy, "a reader of the catalog holds the log"};
    COFFER_TRY(files_->begin_generation());
    copied_ = files_->log().last();
    return {};
  }

  Status release_pin() {
    pinned_ = 0;
    if (!reader_->in_transaction()) return {};
    return reader_->end_look();
  }

  const std::unique_ptr<SealedFiles> files_;
  SealedVfs vfs_;
  std::unique_ptr<Connection> writer_;
  std::atomic<std::uint32_t> reserved_{0};       // pages, for the open transaction
  std::atomic<std::uint32_t> free_at_begin_{0};  // pages free when it began

  // Taken after the caller's lock, if that is held. Guards all below and is held through a checkpoint.
  CheckpointTurn turn_;
  std::atomic<std::uint64_t> checkpoints_{0};  // written with it held
  std::unique_ptr<Connection> checkpointer_, reader_;
  std::uint64_t told_ = 0;    // the last commit that told of map rows is not before it; the writer's
  std::uint64_t pinned_ = 0;  // the last commit the reader sees; 0 if it reads nothing
  std::uint64_t copied_ = 0;  // up to here coffer.db has everything
};

}  // namespace

Result<std::unique_ptr<SealedDatabase>> SealedDatabase::open(Disk& disk, const KeySchedule& keys,
                                                             const AeadSuite& suite, Presence presence,
                                                             std::string_view boot_id) {
  COFFER_TRY(configure_sqlite());
  COFFER_ASSIGN(auto files, presence == Presence::kCreate ? create_sealed_files(disk, keys, suite, boot_id)
                                                          : open_sealed_files(disk, keys, suite, boot_id));
  auto database = std::make_unique<SealedDatabaseOnDisk>(std::move(files));
  COFFER_TRY(database->start(disk, presence));
  return std::unique_ptr<SealedDatabase>(std::move(database));
}

}  // namespace coffer
