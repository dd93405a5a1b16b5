#include "store/catalog_state.h"

// Where objects' bytes are: content rows, map rows, chunks kept until their files are synced, data files waiting to be removed.
namespace coffer {
namespace {

std::uint64_t map_id(InodeNumber ino, std::uint32_t row) { return ino << kMapRowBits | row; }

std::optional<Bytes> optional_blob_at(Query& row, int column) {
  if (row.is_null(column)) return std::nullopt;
  return to_bytes(row.blob(column));
}

}  // namespace

Result<ContentRow> Catalog::content(InodeNumber ino) {
  auto row = state_->query(
      "SELECT rule_version, next_rule_version, leased, next_leased, file, envelope, next_envelope, inline"
      " FROM contents WHERE ino = ?1",
      ino);
  COFFER_ASSIGN(bool found, row.step());
  if (!found) return Error{Code::kNotFound, "the inode has no content"};
  ContentRow content;
  content.ino = ino;
  content.rule_version = row.number(0);
  content.next_rule_version = row.number(1);
  content.seals_leased = row.number(2, kSealsPerKeyMax);
  content.next_seals_leased = row.number(3, kSealsPerKeyMax);
  content.file = row.number(4);
  content.envelope = to_bytes(row.blob(5));
  content.next_envelope = optional_blob_at(row, 6);
  content.inline_chunk = optional_blob_at(row, 7);
  COFFER_TRY(row.sound());
  return content;
}

Result<Bytes> Catalog::envelope(InodeNumber ino) {
  auto row = state_->query("SELECT envelope FROM contents WHERE ino = ?1", ino);
  COFFER_ASSIGN(bool found, row.step());
  if (!found) return Error{Code::kNotFound, "the inode has no content"};
  auto envelope = to_bytes(row.blob(0));
  COFFER_TRY(row.sound());
  return envelope;
}

Result<Catalog::Sealed> Catalog::sealed(InodeNumber ino) {
  auto row = state_->query("SELECT rule_version, envelope, next_envelope FROM contents WHERE ino = ?1", ino);
  COFFER_ASSIGN(bool found, row.step());
  if (!found) return Error{Code::kNotFound, "the inode has no content"};
  Sealed sealed;
  sealed.rule_version = row.number(0);
  sealed.envelope = to_bytes(row.blob(1));
  sealed.next_envelope = optional_blob_at(row, 2);
  COFFER_TRY(row.sound());
  return sealed;
}

Status Catalog::put_content(const ContentRow& c) {
  return state_
      ->query(
          "INSERT OR REPLACE INTO contents(ino, rule_version, next_rule_version, leased, next_leased, file, envelope,"
          " next_envelope, inline) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
          c.ino, c.rule_version, c.next_rule_version, c.seals_leased, c.next_seals_leased, c.file, c.envelope,
          c.next_envelope, c.inline_chunk)
      .run();
}

Status Catalog::put_envelope(InodeNumber ino, BytesView envelope, std::uint64_t rule_version) {
  auto query =
      state_->query("UPDATE contents SET envelope = ?2, rule_version = ?3 WHERE ino = ?1", ino, envelope, rule_version);
  COFFER_TRY(query.run());
  if (query.changes() == 0) return Error{Code::kNotFound, "the inode has no content"};
  return {};
}

Status Catalog::put_leases(InodeNumber ino, std::uint64_t leased, std::uint64_t next_leased) {
  auto query =
      state_->query("UPDATE contents SET leased = ?2, next_leased = ?3 WHERE ino = ?1", ino, leased, next_leased);
  COFFER_TRY(query.run());
  if (query.changes() == 0) return Error{Code::kNotFound, "the inode has no content"};
  return {};
}

// --- map rows ---

Result<std::optional<Bytes>> Catalog::map_row(InodeNumber ino, std::uint32_t row) {
  auto found_row = state_->query("SELECT slots FROM maps WHERE id = ?1", map_id(ino, row));
  COFFER_ASSIGN(bool found, found_row.step());
  if (!found) return std::optional<Bytes>();
  auto slots = to_bytes(found_row.blob(0));
  COFFER_TRY(found_row.sound());
  return std::optional<Bytes>(std::move(slots));
}

Result<std::vector<std::uint32_t>> Catalog::map_rows(InodeNumber ino, std::uint32_t from, std::size_t limit) {
  auto found_rows = state_->query("SELECT id FROM maps WHERE id BETWEEN ?1 AND ?2 ORDER BY id LIMIT ?3",
                                  map_id(ino, from), map_id(ino, kMapRowMax), limit);
  std::vector<std::uint32_t> rows;
  while (true) {
    COFFER_ASSIGN(bool found, found_rows.step());
    if (!found) return rows;
    rows.push_back(static_cast<std::uint32_t>(found_rows.number(0) & kMapRowMax));
    COFFER_TRY(found_rows.sound());
  }
}

Result<std::uint64_t> Catalog::count_map_rows(InodeNumber ino, std::uint32_t from, std::uint32_t to) {
  auto count =
      state_->query("SELECT count(*) FROM maps WHERE id BETWEEN ?1 AND ?2", map_id(ino, from), map_id(ino, to));
  COFFER_TRY(count.step());
  const auto rows = count.number(0);
  COFFER_TRY(count.sound());
  return rows;
}

Status Catalog::put_map_row(InodeNumber ino, std::uint32_t row, BytesView encoded) {
  if (ino > kInodeMax || row > kMapRowMax) return Error{Code::kLimit, "the object has no more map rows"};
  return state_->query("INSERT OR REPLACE INTO maps(id, slots) VALUES(?1, ?2)", map_id(ino, row), encoded).run();
}

Status Catalog::remove_map_row(InodeNumber ino, std::uint32_t row) {
  return state_->query("DELETE FROM maps WHERE id = ?1", map_id(ino, row)).run();
}

Status Catalog::remove_map_rows(InodeNumber ino, std::uint32_t from) {
  return state_->query("DELETE FROM maps WHERE id BETWEEN ?1 AND ?2", map_id(ino, from), map_id(ino, kMapRowMax)).run();
}

// --- the journal ---

Status Catalog::put_journal(std::uint64_t row, const JournaledChunk& chunk) {
  if (!state_->journal_made) {
    COFFER_TRY(state_->statements.script(
        "CREATE TABLE IF NOT EXISTS journal("
        "row INTEGER PRIMARY KEY, ino INTEGER NOT NULL, chunk INTEGER NOT NULL, seal BLOB NOT NULL, bytes BLOB NOT NULL) STRICT"));
    COFFER_TRY(raise_format(*this, kFormatOfJournal));
    state_->journal_made = true;
  }
  return state_
      ->query("INSERT OR REPLACE INTO journal(row, ino, chunk, seal, bytes) VALUES(?1, ?2, ?3, ?4, ?5)", row, chunk.ino,
              chunk.chunk, chunk.seal, chunk.ciphertext)
      .run();
}

Status Catalog::set_journal_rows(std::uint64_t count) { return set_number("journal_rows", count); }

Result<std::uint64_t> Catalog::journal_rows() { return number("journal_rows"); }

Result<JournaledChunk> Catalog::journal(std::uint64_t row) {
  auto found_row = state_->query("SELECT ino, chunk, seal, bytes FROM journal WHERE row = ?1", row);
  COFFER_ASSIGN(const bool found, found_row.step());
  if (!found) return Error{Code::kNotFound, "the journal has no such row"};
  JournaledChunk chunk{found_row.number(0), found_row.number(1), to_bytes(found_row.blob(2)), to_bytes(found_row.blob(3))};
  COFFER_TRY(found_row.sound());
  return chunk;
}

// --- garbage ---

Status Catalog::add_garbage(std::uint64_t file) {
  return state_->query("INSERT OR IGNORE INTO garbage(file) VALUES(?1)", file).run();
}

Result<std::vector<std::uint64_t>> Catalog::garbage(std::size_t limit) {
  auto rows = state_->query("SELECT file FROM garbage ORDER BY file LIMIT ?1", limit);
  std::vector<std::uint64_t> files;
  while (true) {
    COFFER_ASSIGN(bool found, rows.step());
    if (!found) return files;
    files.push_back(rows.number(0));
    COFFER_TRY(rows.sound());
  }
}

Status Catalog::remove_garbage(std::uint64_t file) {
  return state_->query("DELETE FROM garbage WHERE file = ?1", file).run();
}

Result<bool> Catalog::names_data_file(std::uint64_t file) {
  // "file <> 0" lets SQLite use the index of rows that have one.
  COFFER_ASSIGN(bool used, state_->query("SELECT 1 FROM contents WHERE file = ?1 AND file <> 0 LIMIT 1", file).step());
  if (used) return true;
  return state_->query("SELECT 1 FROM garbage WHERE file = ?1", file).step();
}

}  // namespace coffer
