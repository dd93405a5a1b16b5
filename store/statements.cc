#include "store/statements.h"

#include <sqlite3.h>

namespace coffer {

Query::~Query() {
  if (statement_ != nullptr) sqlite3_reset(statement_);
}

Result<bool> Query::step() {
  COFFER_TRY(state_);
  int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  state_ = owner_.failure(code);
  return state_.error();
}

Status Query::run() {
  COFFER_ASSIGN(bool row, step());
  assert(!row);
  return {};
}

std::uint64_t Query::changes() const {
  return static_cast<std::uint64_t>(sqlite3_changes64(owner_.connection_));
}

bool Query::is_null(int column) const { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }

std::int64_t Query::signed_number(int column) {
  if (sqlite3_column_type(statement_, column) != SQLITE_INTEGER) sound_ = false;
  return sqlite3_column_int64(statement_, column);
}

std::uint64_t Query::number(int column, std::uint64_t max) {
  auto value = signed_number(column);
  if (value < 0 || static_cast<std::uint64_t>(value) > max) sound_ = false;
  return static_cast<std::uint64_t>(value);
}

std::string_view Query::text(int column) {
  if (sqlite3_column_type(statement_, column) != SQLITE_TEXT) {
    sound_ = false;
    return {};
  }
  auto text = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
  return {text, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
}

BytesView Query::blob(int column) {
  if (sqlite3_column_type(statement_, column) != SQLITE_BLOB) {
    sound_ = false;
    return {};
  }
  auto bytes = static_cast<const std::uint8_t*>(sqlite3_column_blob(statement_, column));
  return {bytes, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
}

Status Query::sound() const {
  if (!sound_) return Error{Code::kDamaged, "the catalog holds a row with a value out of its range"};
  return {};
}

void Query::bind_number(int index, std::int64_t value) {
  int code = sqlite3_bind_int64(statement_, index, value);
  assert(code == SQLITE_OK);
}

void Query::bind_bytes(int index, BytesView bytes) {
  // A null pointer would bind NULL.
  const void* start = bytes.empty() ? static_cast<const void*>("") : bytes.data();
  int code = sqlite3_bind_blob64(statement_, index, start, bytes.size(), SQLITE_STATIC);
  if (code != SQLITE_OK) state_ = owner_.failure(code);
}

void Query::bind_text(int index, std::string_view text) {
  const char* start = text.empty() ? "" : text.data();
  int code = sqlite3_bind_text64(statement_, index, start, text.size(), SQLITE_STATIC, SQLITE_UTF8);
  if (code != SQLITE_OK) state_ = owner_.failure(code);
}

void Query::bind_null(int index) {
  int code = sqlite3_bind_null(statement_, index);
  assert(code == SQLITE_OK);
}

Statements::~Statements() {
  for (auto& [text, statement] : prepared_) sqlite3_finalize(statement);
}

Status Statements::script(SqlText sql) {
  int code = sqlite3_exec(connection_, sql.text, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return failure(code);
  return {};
}

Status Statements::begin_erasing() { return erasing_++ > 0 ? Status() : script("PRAGMA secure_delete=ON"); }

void Statements::end_erasing() {
  if (--erasing_ == 0) (void)script("PRAGMA secure_delete=FAST");
}

std::pair<sqlite3_stmt*, Status> Statements::prepared(const char* text) {
  auto& statement = prepared_[text];
  if (statement == nullptr) {
    int code = sqlite3_prepare_v3(connection_, text, -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
    if (code != SQLITE_OK) return {nullptr, failure(code)};
  }
  // Outside of a transaction a write would be a commit of its own.
  if (lost_ && sqlite3_stmt_readonly(statement) == 0)
    return {nullptr, Error{Code::kPoisoned, "the catalog lost its open transaction; mount the store again"}};
  return {statement, {}};
}

void Statements::poison() {
  lost_ = true;
  if (database_.is_transaction_lost()) return;
  sqlite3_exec(connection_, "ROLLBACK", nullptr, nullptr, nullptr);
}

Error Statements::failure(int code) {
  switch (sqlite3_extended_errcode(connection_)) {
    case SQLITE_CONSTRAINT_PRIMARYKEY:
    case SQLITE_CONSTRAINT_ROWID:
    case SQLITE_CONSTRAINT_UNIQUE: return {Code::kExists, "the catalog has this row already"};
    case SQLITE_CONSTRAINT_DATATYPE:
    case SQLITE_CONSTRAINT_NOTNULL: return {Code::kDamaged, "the catalog holds a value that nothing can follow"};
  }
  auto error = database_.explain(code, "using the catalog");
  if (!database_.is_transaction_lost()) return error;
  lost_ = true;
  return {Code::kPoisoned, "the catalog lost its open transaction: " + error.message};
}

}  // namespace coffer
