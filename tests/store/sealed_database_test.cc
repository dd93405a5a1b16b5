#include "store/sealed_database.h"

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <atomic>
#include <set>
#include <thread>

#include "base/limits.h"
#include "tests/store/sealed_rig.h"

namespace coffer::testing {
namespace {

std::set<std::string> files_of(SimulatedDisk& disk) {
  const auto names = disk.list("").value();
  return {names.begin(), names.end()};
}

const std::set<std::string> kTheThree = {"coffer.db", "coffer.db-wal", "coffer.tags"};

TEST(SealedDatabase, KeepsRowsAcrossACleanEnd) {
  SealedRig rig;
  ASSERT_TRUE(rig.create().ok());
  ASSERT_TRUE(rig.put(1, "one").ok());
  ASSERT_TRUE(rig.commit_durably().ok());
  ASSERT_TRUE(rig.database().checkpoint_rest().ok());
  rig.close();
  ASSERT_TRUE(rig.reopen("boot-2").ok());
  rig.expect_a_commit(rig.durable());
  EXPECT_EQ(rig.rows(), (SealedRig::Rows{{1, "one"}}));
}

TEST(SealedDatabase, CommittedRowsSurviveKill) {
  SealedRig rig;
  ASSERT_TRUE(rig.create().ok());
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(rig.put(i, std::to_string(i)).ok());
    ASSERT_TRUE(rig.commit().ok());
  }
  const CommitPoint last = rig.database().last();
  ASSERT_TRUE(rig.put(100, "never committed").ok());
  rig.kill();
  const Status reopened = rig.reopen();
  ASSERT_TRUE(reopened.ok()) << reopened.error().message;
  EXPECT_EQ(rig.database().last(), last);
  rig.expect_a_commit(last.value);
  EXPECT_EQ(rig.rows().size(), 20u);
}

TEST(SealedDatabase, SyncedCommitsSurviveEveryPowerCut) {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    SealedRig rig(seed);
    ASSERT_TRUE(rig.create().ok());
    ASSERT_TRUE(rig.change_at_random(10).ok());
    ASSERT_TRUE(rig.commit_durably().ok());
    ASSERT_TRUE(rig.change_at_random(10).ok());
    ASSERT_TRUE(rig.commit().ok());
    const std::uint64_t durable = rig.durable();
    rig.cut_power(seed);
    const Status reopened = rig.reopen("boot-2");
    ASSERT_TRUE(reopened.ok()) << "seed " << seed << ": " << reopened.error().message;
    EXPECT_EQ(rig.database().last().value, durable) << "nothing behind the last synced commit is used";
    rig.expect_a_commit(durable);
  }
}

// As SQLite can do by itself to a statement that it runs again.
TEST(SealedDatabase, AWriteOutsideOfATransactionIsNoCommit) {
  SealedRig rig;
  ASSERT_TRUE(rig.create().ok());
  ASSERT_TRUE(rig.put(1, "one").ok());
  ASSERT_TRUE(rig.commit_durably().ok());
  const auto last = rig.database().last();
  ASSERT_EQ(sqlite3_exec(rig.database().connection(), "ROLLBACK", nullptr, nullptr, nullptr), SQLITE_OK);
  EXPECT_FALSE(rig.put(2, "two").ok());
  EXPECT_TRUE(rig.database().is_transaction_lost());
  EXPECT_EQ(rig.database().last(), last);
  rig.kill();
  ASSERT_TRUE(rig.reopen().ok());
  EXPECT_EQ(rig.rows(), (SealedRig::Rows{{1, "one"}}));
}

TEST(SealedDatabase, OnAnotherBootOnlyCommitsWithSyncedDataAreUsed) {
  SealedRig rig;
  ASSERT_TRUE(rig.create().ok());
  ASSERT_TRUE(rig.put(1, "one").ok());
  ASSERT_TRUE(rig.commit().ok());
  const CommitPoint first = rig.database().last();
  ASSERT_TRUE(rig.put(2, "two").ok());
  ASSERT_TRUE(rig.database().commit({first, false}).ok());
  ASSERT_TRUE(rig.database().sync_log().ok());
  rig.kill();
  ASSERT_TRUE(rig.reopen("boot-2").ok());
  EXPECT_EQ(rig.database().last(), first);
  SealedRig::Rows rows;
  ASSERT_TRUE(rig.read(rows).ok());
  EXPECT_EQ(rows, (SealedRig::Rows{{1, "one"}}));
}

TEST(SealedDatabase, AMarkWithoutChangesKeepsTheCommitPoint) {
  SealedRig rig;
  ASSERT_TRUE(rig.create().ok());
  ASSERT_TRUE(rig.put(1, "one").ok());
  ASSERT_TRUE(rig.commit().ok());
  const CommitPoint last = rig.database().last();
  const std::uint64_t bytes = rig.database().log_bytes();
  EXPECT_EQ(rig.database().commit({{0}, false}).value(), last);
  EXPECT_EQ(rig.database().log_bytes(), bytes) << "nothing new to say";
  EXPECT_EQ(rig.database().commit({last, false}).value(), last);
  EXPECT_GT(rig.database().log_bytes(), bytes);
  const std::uint64_t marked = rig.database().log_bytes();
  EXPECT_EQ(rig.database().commit({{0}, true}).value(), last);
  EXPECT_EQ(rig.database().log_bytes(), marked) << "it was said already";
  ASSERT_TRUE(rig.database().sync_log().ok());
  ASSERT_TRUE(rig.put(2, "two").ok());
  ASSERT_TRUE(rig.commit().ok());
  rig.cut_power(3);
  ASSERT_TRUE(rig.reopen("boot-2").ok());
  EXPECT_EQ(rig.database().last(), last);
}

TEST(SealedDatabase, TheLogStartsAgainInPlaceAfterACheckpoint) {
  SealedRig rig;
  ASSERT_TRUE(rig.create().ok());
  for (int round = 0; round < 10; ++round) {
    ASSERT_TRUE(rig.change_at_random(100).ok());
    ASSERT_TRUE(rig.commit_durably().ok());
    const CommitPoint last = rig.database().last();
    EXPECT_GT(rig.database().log_bytes(), 0u);
    const Status done = rig.database().checkpoint_rest();
    ASSERT_TRUE(done.ok()) << done.error().message;
    EXPECT_EQ(rig.database().log_bytes(), 0u);
    EXPECT_EQ(rig.database().last(), last);
  }
  EXPECT_LE(rig.disk().bytes("coffer.db-wal").size(), 2 * 4096 + kLogGrowth);
  EXPECT_EQ(rig.check_integrity(), "ok");
  SealedRig::Rows rows;
  ASSERT_TRUE(rig.read(rows).ok());
  EXPECT_EQ(rows, rig.rows());
}

TEST(SealedDatabase, ACheckpointBesideTheWriterCopiesNothingBehindItsPin) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    SealedRig rig(seed);
    ASSERT_TRUE(rig.create().ok());
    ASSERT_TRUE(rig.change_at_random(50).ok());
    // Pages that no later commit changes: SQLite copies the newest frame of a page or none.
    ASSERT_TRUE(rig.run("CREATE TABLE quiet AS SELECT randomblob(30000)").ok());
    ASSERT_TRUE(rig.commit_durably().ok());
    const std::uint64_t durable = rig.durable();
    const Bytes before = rig.disk().bytes("coffer.db");
    ASSERT_TRUE(rig.change_at_random(50).ok());
    ASSERT_TRUE(rig.commit().ok());
    ASSERT_TRUE(rig.database().checkpoint_beside({durable}).ok());
    EXPECT_TRUE(rig.disk().bytes("coffer.db") != before);
    ASSERT_TRUE(rig.change_at_random(50).ok());
    ASSERT_TRUE(rig.commit().ok());
    rig.cut_power(seed);
    ASSERT_TRUE(rig.reopen("boot-2").ok());
    EXPECT_EQ(rig.database().last().value, durable);
    rig.expect_a_commit(durable);
  }
}

TEST(SealedDatabase, ACheckpointWaitsForItsPinToBeDurable) {
  SealedRig rig;
  ASSERT_TRUE(rig.create().ok());
  const CommitPoint before = rig.database().last();
  ASSERT_TRUE(rig.change_at_random(20).ok());
  ASSERT_TRUE(rig.commit(/*synced=*/true).ok());
  const Bytes pages = rig.disk().bytes("coffer.db");
  ASSERT_TRUE(rig.database().checkpoint_beside(before).ok());
  EXPECT_TRUE(rig.disk().bytes("coffer.db") == pages);
  ASSERT_TRUE(rig.database().checkpoint_beside(rig.database().last()).ok());
  EXPECT_TRUE(rig.disk().bytes("coffer.db") != pages);
}

TEST(SealedDatabase, APinBySeparateSyncCopiesUpToThatCommit) {
  SealedRig rig;
  ASSERT_TRUE(rig.create().ok());
  ASSERT_TRUE(rig.change_at_random(20).ok());
  ASSERT_TRUE(rig.commit().ok());
  const CommitPoint pinned = rig.database().last();
  ASSERT_TRUE(rig.database().pin().ok());
  ASSERT_TRUE(rig.change_at_random(20).ok());
  ASSERT_TRUE(rig.database().commit({pinned, false}).ok());
  const Bytes pages = rig.disk().bytes("coffer.db");
  ASSERT_TRUE(rig.database().checkpoint_beside(pinned).ok());
  EXPECT_TRUE(rig.disk().bytes("coffer.db") != pages);
  rig.cut_power(5);
  ASSERT_TRUE(rig.reopen("boot-2").ok());
  EXPECT_EQ(rig.database().last(), pinned);
  EXPECT_EQ(rig.check_integrity(), "ok");
}

TEST(SealedDatabase, CheckpointsAndSyncsRunBesideTheWriter) {
  SealedRig rig;
  ASSERT_TRUE(rig.create().ok());
  std::atomic<bool> ended = false;
  std::atomic<std::uint64_t> durable = 0;
  std::atomic<int> failures = 0, copied = 0;
  std::thread beside([&] {
    while (!ended) {
      const std::uint64_t point = durable;
      if (!rig.database().sync_log().ok()) ++failures;
      if (!rig.database().checkpoint_beside({point}).ok()) ++failures;
      ++copied;
    }
  });
  // At least some of both, however the threads are scheduled.
  for (int i = 0; i < 300 || copied < 20; ++i) {
    ASSERT_TRUE(rig.change_at_random(5).ok());
    ASSERT_TRUE(rig.commit(/*synced=*/i % 3 == 0).ok());
    if (i % 3 == 0) durable = rig.database().last().value;
    if (i % 50 == 49) {
      ASSERT_TRUE(rig.commit(/*synced=*/true).ok());
      ASSERT_TRUE(rig.database().checkpoint_rest().ok());
    }
  }
  ended = true;
  beside.join();
  EXPECT_EQ(failures, 0);
  const std::uint64_t last = rig.last_answered();
  rig.kill();
  ASSERT_TRUE(rig.reopen().ok());
  rig.expect_a_commit(last);
}

TEST(SealedDatabase, GrowsAndShrinksThroughCheckpoints) {
  SealedRig rig;
  ASSERT_TRUE(rig.create().ok());
  ASSERT_TRUE(rig.run("CREATE TABLE big(k INTEGER PRIMARY KEY, v BLOB)").ok());
  for (int round = 0; round < 3; ++round) {
    ASSERT_TRUE(rig.run("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<300) "
                        "INSERT INTO big SELECT i, randomblob(9000) FROM n")
                    .ok());
    ASSERT_TRUE(rig.commit_durably().ok());
    if (round == 1) {
      ASSERT_TRUE(rig.database().checkpoint_rest().ok());
    }
    ASSERT_TRUE(rig.run("DELETE FROM big").ok());
    ASSERT_TRUE(rig.commit_durably().ok());
    ASSERT_TRUE(rig.database().checkpoint_rest().ok());
  }
  EXPECT_EQ(rig.check_integrity(), "ok");
  rig.cut_power(1);
  ASSERT_TRUE(rig.reopen("boot-2").ok());
  EXPECT_EQ(rig.check_integrity(), "ok");
  EXPECT_TRUE(verify_sealed_files(rig.disk(), test_keys(), test_suite()).ok());
}

TEST(SealedDatabase, OpensNoOtherFileEver) {
  SealedRig rig;
  ASSERT_TRUE(rig.create().ok());
  // Sorting, materialising and statement journals are what SQLite makes temporary files for.
  ASSERT_TRUE(rig.run("CREATE TABLE big(k INTEGER PRIMARY KEY, v TEXT);"
                      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<3000) "
                      "INSERT INTO big SELECT i, hex(randomblob(200)) FROM n;"
                      "CREATE INDEX by_v ON big(v);"
                      "CREATE TEMP TABLE scratch AS SELECT v FROM big ORDER BY v DESC;"
                      "UPDATE big SET v = v || 'x' WHERE k IN (SELECT k FROM big ORDER BY v);")
                  .ok());
  EXPECT_EQ(files_of(rig.disk()), kTheThree);
  ASSERT_TRUE(rig.run("DROP TABLE scratch").ok());
  ASSERT_TRUE(rig.commit_durably().ok());
  ASSERT_TRUE(rig.database().checkpoint_rest().ok());
  EXPECT_FALSE(rig.run("ATTACH 'other.db' AS other").ok());
  rig.close();
  EXPECT_EQ(files_of(rig.disk()), kTheThree);
}

TEST(SealedDatabase, NoPlaintextReachesTheDisk) {
  const std::string marker = "a-marker-in-plain-text";
  SealedRig rig;
  ASSERT_TRUE(rig.create().ok());
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(rig.put(i, marker + std::to_string(i)).ok());
  ASSERT_TRUE(rig.commit_durably().ok());
  ASSERT_TRUE(rig.database().checkpoint_rest().ok());
  ASSERT_TRUE(rig.put(1000, marker).ok());
  ASSERT_TRUE(rig.commit().ok());
  for (const auto& [name, bytes] : rig.disk().snapshot()) {
    EXPECT_EQ(as_text(bytes).find(marker), std::string_view::npos) << name;
    EXPECT_EQ(as_text(bytes).find("SQLite format"), std::string_view::npos) << name;
    EXPECT_EQ(as_text(bytes).find("CREATE TABLE"), std::string_view::npos) << name;
  }
}

TEST(SealedDatabase, AbandonGoesBackToTheLastCommit) {
  SealedRig rig;
  ASSERT_TRUE(rig.create().ok());
  ASSERT_TRUE(rig.run("INSERT INTO t VALUES(1,'never committed')").ok());
  rig.database().abandon();
  EXPECT_FALSE(rig.database().is_transaction_lost());
  SealedRig::Rows rows;
  ASSERT_TRUE(rig.read(rows).ok());
  EXPECT_TRUE(rows.empty());
}

TEST(SealedDatabase, AnotherStoresKeysOpenNothing) {
  SealedRig rig;
  ASSERT_TRUE(rig.create().ok());
  rig.kill();
  const auto opened =
      SealedDatabase::open(rig.disk(), test_keys(8), test_suite(), SealedDatabase::Presence::kOpen, "boot-1");
  EXPECT_EQ(opened.code(), Code::kDamaged);
}

TEST(SealedDatabase, TheDigestBelongsToTheCommitPoint) {
  SealedRig rig;
  ASSERT_TRUE(rig.create().ok());
  ASSERT_TRUE(rig.put(1, "one").ok());
  ASSERT_TRUE(rig.commit_durably().ok());
  const Bytes digest = rig.database().last_tag();
  const CommitPoint last = rig.database().last();
  ASSERT_TRUE(rig.database().checkpoint_rest().ok());
  EXPECT_EQ(rig.database().last_tag(), digest);
  rig.kill();
  ASSERT_TRUE(rig.reopen().ok());
  EXPECT_EQ(rig.database().last_tag(), digest);
  EXPECT_EQ(rig.database().last(), last);
  ASSERT_TRUE(rig.put(1, "two").ok());
  ASSERT_TRUE(rig.commit().ok());
  EXPECT_NE(rig.database().last_tag(), digest);
  EXPECT_GT(rig.database().last(), last);
}

}  // namespace
}  // namespace coffer::testing
