#pragma once

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <map>
#include <random>
#include <string>
#include <vector>

#include "store/sealed_database.h"
#include "tests/support/simulated_disk.h"

namespace coffer::testing {

inline const AeadSuite& test_suite() {
  static const AeadSuite suite = AeadSuite::detect().value();
  return suite;
}

inline KeySchedule test_keys(std::uint8_t seed = 7) {
  StoreId store;
  store.fill(seed);
  return KeySchedule(Key::copy_of(Bytes(Key::kSize, seed)), store);
}

// A table of numbers and texts in a sealed database on a simulated disk, and what it held after every commit.
class SealedRig {
 public:
  using Rows = std::map<std::int64_t, std::string>;

  explicit SealedRig(std::uint64_t seed = 1) : disk_(seed), random_(seed) {}

  SimulatedDisk& disk() { return disk_; }
  SealedDatabase& database() { return *database_; }
  bool is_open() const { return database_ != nullptr; }
  const Rows& rows() const { return rows_; }
  std::uint64_t durable() const { return durable_; }
  std::mt19937_64& random() { return random_; }

  Status create(const std::string& boot = "boot-1") {
    COFFER_TRY(open(SealedDatabase::Presence::kCreate, boot));
    COFFER_TRY(run("CREATE TABLE t(k INTEGER PRIMARY KEY, v TEXT NOT NULL)"));
    return commit_durably();
  }

  Status reopen(const std::string& boot = "boot-1") { return open(SealedDatabase::Presence::kOpen, boot); }
  void close() { database_.reset(); }

  // Nothing is left of the process, and everything it wrote is.
  void kill() {
    disk_.kill();
    close();
    disk_.start();
    lost();
  }
  void cut_power(std::uint64_t seed) {
    disk_.crash(seed);
    close();
    disk_.start();
    lost();
  }

  Status run(const std::string& sql) {
    char* message = nullptr;
    const int code = sqlite3_exec(database_->connection(), sql.c_str(), nullptr, nullptr, &message);
    sqlite3_free(message);
    if (code != SQLITE_OK) return database_->explain(code, "running a statement");
    return {};
  }

  Status put(std::int64_t key, const std::string& value) {
    COFFER_TRY(run("INSERT OR REPLACE INTO t VALUES(" + std::to_string(key) + ",'" + value + "')"));
    rows_[key] = value;
    return {};
  }
  Status remove(std::int64_t key) {
    COFFER_TRY(run("DELETE FROM t WHERE k=" + std::to_string(key)));
    rows_.erase(key);
    return {};
  }

  // Some changes, savepoints and rollbacks among them.
  Status change_at_random(int changes) {
    for (int i = 0; i < changes; ++i) {
      const auto key = static_cast<std::int64_t>(random_() % 200);
      const bool rolls_back = random_() % 4 == 0;
      const Rows before = rows_;
      COFFER_TRY(run("SAVEPOINT s"));
      if (random_() % 3 == 0) {
        COFFER_TRY(remove(key));
      } else {
        COFFER_TRY(put(key, std::string(random_() % 900, static_cast<char>('a' + random_() % 26))));
      }
      if (rolls_back) {
        COFFER_TRY(run("ROLLBACK TO s"));
        rows_ = before;
      }
      COFFER_TRY(run("RELEASE s"));
    }
    return {};
  }

  // `synced`: the data of everything so far is.
  Status commit(bool synced = false) {
    if (!started_) started_ = rows_;
    COFFER_ASSIGN(const CommitPoint point, database_->commit({{durable_}, synced}));
    states_[point.value] = rows_;
    started_.reset();
    if (synced) (void)database_->pin();  // without one a checkpoint copies less
    return {};
  }
  Status commit_durably() {
    COFFER_TRY(commit(/*synced=*/true));
    const std::uint64_t point = database_->last().value;
    COFFER_TRY(database_->sync_log());
    durable_ = point;
    return {};
  }

  // As a store under load: changes, soft and durable commits, checkpoints of both kinds. Ends early when a commit
  // fails; other failures are counted, and it goes on. The number of failures.
  int work(int steps) {
    int failures = 0;
    for (int i = 0; i < steps; ++i) {
      if (!change_at_random(1 + static_cast<int>(random_() % 12)).ok()) {
        ++failures;
        database_->abandon();
        rows_ = states_.rbegin()->second;
      }
      const auto choice = random_() % 8;
      const bool is_synced = choice >= 4;
      if (!commit(is_synced).ok()) return failures + 1;
      if (!is_synced) continue;
      const std::uint64_t point = database_->last().value;
      if (!database_->sync_log().ok()) {
        ++failures;
        continue;
      }
      durable_ = point;
      if (choice == 5) {
        // A soft commit comes between, as it does beside a writer.
        if (!change_at_random(3).ok()) return failures + 1;
        if (!commit().ok()) return failures + 1;
      }
      if (choice >= 5 && choice <= 6 && !database_->checkpoint_beside({durable_}).ok()) ++failures;
      if (choice == 7 && !database_->checkpoint_rest().ok()) ++failures;
    }
    return failures;
  }

  bool known(std::uint64_t point, const Rows& rows) const {
    const auto state = states_.find(point);
    return state != states_.end() && state->second == rows;
  }
  std::uint64_t last_answered() const { return states_.empty() ? 0 : states_.rbegin()->first; }

  // What is there is exactly what some commit left, no earlier than `oldest`.
  void expect_a_commit(std::uint64_t oldest) {
    const std::uint64_t last = database_->last().value;
    EXPECT_GE(last, oldest);
    Rows found;
    ASSERT_TRUE(read(found).ok());
    const auto state = states_.find(last);
    if (state != states_.end()) {
      EXPECT_TRUE(found == state->second) << "at commit point " << last;
    } else {
      // The commit that was on its way when the disk failed.
      ASSERT_TRUE(started_.has_value()) << "an unknown commit point " << last;
      EXPECT_TRUE(found == *started_);
      states_[last] = *started_;
    }
    rows_ = found;
    started_.reset();
    states_.erase(states_.upper_bound(last), states_.end());
    durable_ = last;
    EXPECT_EQ(check_integrity(), "ok");
  }

  Status read(Rows& into) {
    sqlite3_stmt* statement = nullptr;
    int code = sqlite3_prepare_v2(database_->connection(), "SELECT k, v FROM t", -1, &statement, nullptr);
    while (code == SQLITE_OK || code == SQLITE_ROW) {
      code = sqlite3_step(statement);
      if (code == SQLITE_ROW) {
        into[sqlite3_column_int64(statement, 0)] = reinterpret_cast<const char*>(sqlite3_column_text(statement, 1));
      }
    }
    sqlite3_finalize(statement);
    if (code != SQLITE_DONE) return database_->explain(code, "reading");
    return {};
  }

  std::string check_integrity() {
    std::string answer;
    const auto take = [](void* out, int, char** values, char**) {
      *static_cast<std::string*>(out) += values[0];
      return 0;
    };
    const int code = sqlite3_exec(database_->connection(), "PRAGMA integrity_check", take, &answer, nullptr);
    return code == SQLITE_OK ? answer : database_->explain(code, "checking").message;
  }

 private:
  Status open(SealedDatabase::Presence presence, const std::string& boot) {
    COFFER_ASSIGN(database_, SealedDatabase::open(disk_, test_keys(), test_suite(), presence, boot));
    return {};
  }
  void lost() {
    // What the open transaction held is gone; expect_a_commit() finds out what is left.
    if (!states_.empty()) rows_ = states_.rbegin()->second;
  }

  SimulatedDisk disk_;
  std::mt19937_64 random_;
  std::unique_ptr<SealedDatabase> database_;
  Rows rows_;
  std::map<std::uint64_t, Rows> states_;  // by commit point
  std::optional<Rows> started_;           // a commit that has not returned
  std::uint64_t durable_ = 0;
};

}  // namespace coffer::testing
