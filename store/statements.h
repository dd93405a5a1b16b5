#pragma once

#include <atomic>
#include <cassert>
#include <concepts>
#include <optional>
#include <string_view>
#include <type_traits>
#include <unordered_map>

#include "base/bytes.h"
#include "base/result.h"
#include "store/sealed_database.h"

struct sqlite3_stmt;

namespace coffer {

// A statement's text, known when the program is compiled: its address finds the prepared statement again.
struct SqlText {
  consteval SqlText(const char* literal) : text(literal) {}  // NOLINT: a literal is meant to become one by itself
  const char* text;
};

// What a query may borrow: a named value, a number or a view; not a temporary that owns bytes.
template <class T>
concept Lasting = std::is_lvalue_reference_v<T> || std::is_trivially_copyable_v<T>;

// One execution of a prepared statement. Arguments are borrowed until it ends; it is ready for the next one then.
// Columns are read with the type and the range they must have: the first that is otherwise makes sound() fail, so a row
// is read whole and asked once. Views of columns live until the next step().
class Query {
 public:
  template <class... Arguments>
  Query(class Statements& owner, std::pair<sqlite3_stmt*, Status> prepared, const Arguments&... arguments)
      : owner_(owner), statement_(prepared.first), state_(std::move(prepared.second)) {
    [[maybe_unused]] int index = 0;
    if (statement_ != nullptr) (bind(++index, arguments), ...);
  }
  ~Query();
  Query(const Query&) = delete;
  Query& operator=(const Query&) = delete;

  Result<bool> step();  // true: there is a row
  Status run();         // for statements without rows. kExists where a key is there already
  std::uint64_t changes() const;

  bool is_null(int column) const;
  std::int64_t signed_number(int column);
  std::uint64_t number(int column, std::uint64_t max = INT64_MAX);
  std::string_view text(int column);
  BytesView blob(int column);
  Status sound() const;               // kDamaged
  void unsound() { sound_ = false; }  // a column's value means nothing to its reader

 private:
  void bind_number(int index, std::int64_t value);
  void bind_bytes(int index, BytesView bytes);
  void bind_text(int index, std::string_view text);

  void bind(int index, std::signed_integral auto value) { bind_number(index, value); }
  void bind(int index, std::unsigned_integral auto value) {
    if (static_cast<std::uint64_t>(value) > INT64_MAX)
      state_ = Error{Code::kInvalidArgument, "a number above 2^63-1 does not fit the catalog"};
    bind_number(index, static_cast<std::int64_t>(value));
  }
  void bind(int index, BytesView bytes) { bind_bytes(index, bytes); }
  void bind(int index, const Bytes& bytes) { bind_bytes(index, bytes); }
  void bind(int index, std::string_view text) { bind_text(index, text); }
  void bind(int index, const std::string& text) { bind_text(index, text); }
  template <class T>
  void bind(int index, const std::optional<T>& value) {
    if (value) return bind(index, *value);
    bind_null(index);
  }
  void bind_null(int index);

  Statements& owner_;
  sqlite3_stmt* statement_;
  Status state_;
  bool sound_ = true;
};

// The prepared statements of one connection, kept until it closes, and its errors in our words. Once SQLite has lost
// the open transaction by itself, what writes answers kPoisoned, and what reads shows the last commit.
class Statements {
 public:
  // Over the writer's connection, or a reader's.
  Statements(SealedDatabase& database, sqlite3* connection) : database_(database), connection_(connection) {}
  ~Statements();
  Statements(const Statements&) = delete;
  Statements& operator=(const Statements&) = delete;

  // Arguments bind to ?1, ?2 ... in order. The same text must not run twice at once.
  template <Lasting... Arguments>
  Query query(SqlText sql, Arguments&&... arguments) {
    return Query(*this, prepared(sql.text), arguments...);
  }

  Status script(SqlText sql);  // many statements, none with arguments or rows; not kept

  Status begin_erasing();  // of whole pages that are freed; ErasedPages
  void end_erasing();      // once for each begin

  // A savepoint that could not begin or end: what was half done goes, with all since the last commit.
  void poison();
  bool lost() const { return lost_; }  // may be asked without the connection's lock

 private:
  friend class Query;
  std::pair<sqlite3_stmt*, Status> prepared(const char* text);
  Error failure(int code);  // of the last call

  SealedDatabase& database_;
  sqlite3* const connection_;
  std::unordered_map<const char*, sqlite3_stmt*> prepared_;
  std::atomic<bool> lost_{false};
  unsigned erasing_ = 0;
};

}  // namespace coffer
