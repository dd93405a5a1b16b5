#include "store/catalog.h"

#include <unistd.h>

#include "base/clock.h"
#include "store/catalog_state.h"

namespace coffer {
namespace {

Status write_text(Statements& statements, std::string_view name, std::string_view value) {
  return statements.query("INSERT INTO meta(name, value) VALUES(?1, ?2)", name, value).run();
}

Result<std::string> read_text(Statements& statements, std::string_view name) {
  auto row = statements.query("SELECT value FROM meta WHERE name = ?1", name);
  COFFER_ASSIGN(bool found, row.step());
  if (!found) return Error{Code::kDamaged, "the catalog lacks its " + std::string(name)};
  std::string value(row.text(0));
  COFFER_TRY(row.sound());
  return value;
}

Inode root_directory() {
  Inode root;
  root.ino = kRootInode;
  root.kind = FileKind::kDirectory;
  root.mode = 0755;
  root.uid = geteuid();
  root.gid = getegid();
  root.nlink = 2;
  root.atime_ns = root.mtime_ns = root.ctime_ns = SystemClock().wall_ns();
  root.parent = kRootInode;
  return root;
}

}  // namespace

Catalog::Catalog(std::unique_ptr<State> state) : state_(std::move(state)) {}
Catalog::~Catalog() = default;

Result<std::unique_ptr<Catalog>> Catalog::create(Disk& disk, const KeySchedule& keys, const AeadSuite& suite,
                                                 const Realm& realm, std::string_view boot_id) {
  COFFER_ASSIGN(auto database, SealedDatabase::open(disk, keys, suite, SealedDatabase::Presence::kCreate, boot_id));
  std::unique_ptr<Catalog> catalog(new Catalog(std::make_unique<State>(disk, keys, suite, std::move(database))));
  auto& statements = catalog->state_->statements;
  COFFER_TRY(make_tables(statements));
  COFFER_TRY(catalog->set_number("format_version", kFormatVersion));
  COFFER_TRY(catalog->set_blob("store_id", keys.store_id()));
  COFFER_TRY(write_text(statements, "account", realm.account.str()));
  COFFER_TRY(write_text(statements, "region", realm.region.str()));
  COFFER_TRY(catalog->insert_inode(root_directory()));
  SealedDatabase::DataSynced all;
  all.this_commit = true;
  COFFER_TRY(catalog->database().commit(all));
  COFFER_TRY(catalog->database().sync_log());
  return catalog;
}

Result<std::unique_ptr<Catalog>> Catalog::open(Disk& disk, const KeySchedule& keys, const AeadSuite& suite,
                                               std::string_view boot_id) {
  COFFER_ASSIGN(auto database, SealedDatabase::open(disk, keys, suite, SealedDatabase::Presence::kOpen, boot_id));
  std::unique_ptr<Catalog> catalog(new Catalog(std::make_unique<State>(disk, keys, suite, std::move(database))));
  COFFER_ASSIGN(auto version, catalog->number("format_version"));
  if (version > kFormatOfJournal)
    return Error{Code::kUnsupported, "the store has format " + std::to_string(version) + "; this Coffer reads up to " +
                                         std::to_string(kFormatOfJournal) + ": use a newer one"};
  if (version < kFormatVersion) return Error{Code::kDamaged, "the catalog does not say which format it has"};
  COFFER_ASSIGN(auto store, catalog->blob("store_id"));
  if (!store || !equal_constant_time(*store, keys.store_id()))
    return Error{Code::kDamaged, "coffer.db belongs to another store than keyslots.json"};
  return catalog;
}

Status raise_format(Catalog& catalog, std::uint64_t version) {
  COFFER_ASSIGN(const auto before, catalog.number("format_version"));
  return before < version ? catalog.set_number("format_version", version) : Status();
}

std::mutex& Catalog::mutex() { return state_->mutex; }
SealedDatabase& Catalog::database() { return *state_->database; }
Result<CommitPoint> Catalog::commit(SealedDatabase::DataSynced data_synced) {
  auto done = state_->database->commit(data_synced);
  if (!done && state_->database->is_transaction_lost()) state_->statements.poison();
  return done;
}
bool Catalog::is_lost() const { return state_->statements.lost(); }

Status Catalog::verify_files() { return verify_sealed_files(state_->disk, state_->keys, state_->suite); }

Result<std::unique_ptr<Catalog>> Catalog::reader(const std::atomic<bool>& interrupted) {
  COFFER_ASSIGN(auto own, state_->database->reader(interrupted));
  return std::unique_ptr<Catalog>(
      new Catalog(std::make_unique<State>(state_->disk, state_->keys, state_->suite, state_->database, std::move(own))));
}

Catalog::Look::Look(Catalog& reader) : reader_(reader), begun_(reader.state_->reader->begin()) {}
Catalog::Look::~Look() { reader_.state_->reader->end(); }

Catalog::Savepoint::Savepoint(Catalog& catalog) : catalog_(catalog) {
  auto& state = *catalog_.state_;
  // To SQLite a savepoint outside of a transaction begins one.
  open_ = !state.statements.lost() && state.query("SAVEPOINT verb").run().ok();
  if (!open_) state.statements.poison();
}

Catalog::Savepoint::~Savepoint() {
  if (!open_) return;
  auto& state = *catalog_.state_;
  if (state.statements.lost()) return;
  bool back = state.query("ROLLBACK TO verb").run().ok() && state.query("RELEASE verb").run().ok();
  if (!back) state.statements.poison();
}

Status Catalog::Savepoint::keep() {
  if (!open_) return Error{Code::kPoisoned, "the catalog could not begin a savepoint"};
  COFFER_TRY(catalog_.state_->query("RELEASE verb").run());
  open_ = false;
  return {};
}

Result<Realm> Catalog::realm() {
  COFFER_ASSIGN(auto account_text, read_text(state_->statements, "account"));
  COFFER_ASSIGN(auto region_text, read_text(state_->statements, "region"));
  auto account = AccountId::parse(account_text);
  auto region = Region::parse(region_text);
  if (!account || !region) return Error{Code::kDamaged, "the catalog's account or region has no valid form"};
  return Realm{*account, *region};
}

Result<std::uint64_t> Catalog::number(std::string_view name, std::uint64_t if_absent) {
  auto row = state_->query("SELECT value FROM meta WHERE name = ?1", name);
  COFFER_ASSIGN(bool found, row.step());
  if (!found) return if_absent;
  auto value = row.number(0);
  COFFER_TRY(row.sound());
  return value;
}

// Changed where it is a number frees no page.
Status Catalog::set_number(std::string_view name, std::uint64_t value) {
  auto change = state_->query("UPDATE meta SET value = ?2 WHERE name = ?1", name, value);
  COFFER_TRY(change.run());
  if (change.changes() > 0) return {};
  const ErasedPages erased(state_->statements);
  COFFER_TRY(erased.begun());
  return state_->query("INSERT INTO meta(name, value) VALUES(?1, ?2)", name, value).run();
}

Result<std::optional<Bytes>> Catalog::blob(std::string_view name) {
  auto row = state_->query("SELECT value FROM meta WHERE name = ?1", name);
  COFFER_ASSIGN(bool found, row.step());
  if (!found) return std::optional<Bytes>();
  auto value = to_bytes(row.blob(0));
  COFFER_TRY(row.sound());
  return std::optional<Bytes>(std::move(value));
}

Status Catalog::set_blob(std::string_view name, BytesView value) {
  const ErasedPages erased(state_->statements);
  COFFER_TRY(erased.begun());
  return state_->query("INSERT OR REPLACE INTO meta(name, value) VALUES(?1, ?2)", name, value).run();
}

Status Catalog::remove_blob(std::string_view name) {
  const ErasedPages erased(state_->statements);
  COFFER_TRY(erased.begun());
  return state_->query("DELETE FROM meta WHERE name = ?1", name).run();
}

Status Catalog::copy_values(Catalog& from) {
  auto rows = from.state_->query(
      "SELECT name, typeof(value), value FROM meta"
      " WHERE name NOT IN ('keyslots_hash', 'keyslots_next_hash', 'rekey_of', 'journal_rows')");
  const ErasedPages erased(state_->statements);
  COFFER_TRY(erased.begun());
  while (true) {
    COFFER_ASSIGN(bool found, rows.step());
    if (!found) return {};
    const std::string name(rows.text(0)), type(rows.text(1));
    if (type == "integer") {
      COFFER_TRY(set_number(name, rows.number(2)));
    } else if (type == "blob") {
      COFFER_TRY(set_blob(name, rows.blob(2)));
    } else {
      const auto text = rows.text(2);
      COFFER_TRY(state_->query("INSERT OR REPLACE INTO meta(name, value) VALUES(?1, ?2)", name, text).run());
    }
    COFFER_TRY(rows.sound());
  }
}

}  // namespace coffer
