#include <gtest/gtest.h>

#include "base/limits.h"
#include "tests/store/sealed_rig.h"

namespace coffer::testing {
namespace {

constexpr std::size_t kSlot = 4096;       // of coffer.tags, and the log's headers
constexpr std::size_t kLogFrames = 8192;  // where they begin
constexpr std::size_t kFrameSize = 4124;
constexpr int kPagesSwept = 8;  // of coffer.db, all of them in use

// A store with a checkpoint behind it, synced commits in its log, and one commit that is not.
class SealedTamper : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(rig_.create().ok());
    for (int i = 0; i < 90; ++i) put(i, "before the checkpoint");
    ASSERT_TRUE(rig_.commit_durably().ok());
    first_ = rig_.disk().snapshot();
    ASSERT_TRUE(rig_.database().checkpoint_rest().ok());
    checkpointed_ = rig_.database().last().value;
    for (int i = 0; i < 3; ++i) {
      put(i, "after the checkpoint");
      ASSERT_TRUE(rig_.commit_durably().ok());
    }
    synced_ = rig_.database().last().value;
    put(4, "at the end");
    ASSERT_TRUE(rig_.commit().ok());
    rig_.kill();
    files_ = rig_.disk().snapshot();
  }

  void put(int key, const std::string& text) { ASSERT_TRUE(rig_.put(key, text + std::string(300, 'x')).ok()); }

  // Opens the store as it lies there: it must refuse, naming the file; or hold exactly what some commit left. Where
  // nothing can be lost without notice, `oldest` is that commit.
  void expect_refused_or_a_commit(std::uint64_t oldest, const std::string& boot = "boot-1") {
    const Status opened = rig_.reopen(boot);
    if (!opened.ok()) {
      EXPECT_EQ(opened.code(), Code::kDamaged) << opened.error().message;
      EXPECT_NE(opened.error().message.find("coffer."), std::string::npos) << opened.error().message;
      return;
    }
    SealedRig::Rows rows;
    const Status read = rig_.read(rows);
    if (!read.ok()) {
      EXPECT_EQ(read.code(), Code::kDamaged) << read.error().message;
      EXPECT_NE(read.error().message.find("coffer.db: page"), std::string::npos) << read.error().message;
    } else {
      expect_known(rows, oldest);
    }
    rig_.close();
  }

  void expect_known(const SealedRig::Rows& rows, std::uint64_t oldest) {
    const std::uint64_t last = rig_.database().last().value;
    EXPECT_GE(last, oldest);
    EXPECT_TRUE(rig_.known(last, rows)) << "rows no commit left";
  }

  void start_from(const SimulatedDisk::Snapshot& files) { rig_.disk().restore(files); }

  SealedRig rig_;
  SimulatedDisk::Snapshot first_, files_;
  std::uint64_t checkpointed_ = 0, synced_ = 0;
};

TEST_F(SealedTamper, AnUntouchedStoreOpensWithAllOfIt) {
  start_from(files_);
  ASSERT_TRUE(verify_sealed_files(rig_.disk(), test_keys(), test_suite()).ok());
  ASSERT_TRUE(rig_.reopen().ok());
  EXPECT_GT(rig_.database().last().value, synced_);
}

TEST_F(SealedTamper, NoFlippedBitOfTheDatabaseBecomesContent) {
  start_from(files_);
  ASSERT_TRUE(rig_.reopen().ok());
  rig_.close();
  const auto replayed = rig_.disk().snapshot();
  int refused = 0;
  for (std::size_t at = 0; at < kPagesSwept * kPageSize; at += 64) {
    SCOPED_TRACE(at);
    start_from(replayed);
    rig_.disk().flip_bit("coffer.db", at + at / 64 % 64, at / 64 % 8);
    refused += verify_sealed_files(rig_.disk(), test_keys(), test_suite()).ok() ? 0 : 1;
    expect_refused_or_a_commit(synced_ + 1);
  }
  EXPECT_EQ(refused, kPagesSwept * kPageSize / 64);
}

TEST_F(SealedTamper, NoFlippedBitOfTheSuperblocksBecomesContent) {
  for (std::size_t at = 0; at < files_.at("coffer.tags").size(); at += 64) {
    SCOPED_TRACE(at);
    start_from(files_);
    rig_.disk().flip_bit("coffer.tags", at + at / 64 % 64, at / 64 % 8);
    expect_refused_or_a_commit(synced_);
  }
}

TEST_F(SealedTamper, NoFlippedBitOfTheLogBecomesContentOrHidesASyncedCommit) {
  const std::size_t frames = (files_.at("coffer.db-wal").size() - kLogFrames) / kFrameSize;
  ASSERT_GT(frames, 8u);
  for (std::size_t at = 0; at < kLogFrames + 10 * kFrameSize; at += 64) {
    SCOPED_TRACE(at);
    start_from(files_);
    rig_.disk().flip_bit("coffer.db-wal", at + at / 64 % 64, at / 64 % 8);
    // The last synced commit may go: no frame behind it says yet that it was synced.
    expect_refused_or_a_commit(checkpointed_ + 1);
  }
}

TEST_F(SealedTamper, DamageOfASyncedFrameIsRefused) {
  start_from(files_);
  rig_.disk().flip_bit("coffer.db-wal", kLogFrames + 100);
  const Status opened = rig_.reopen();
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.code(), Code::kDamaged);
  EXPECT_NE(opened.error().message.find("coffer.db-wal"), std::string::npos);
  EXPECT_EQ(verify_sealed_files(rig_.disk(), test_keys(), test_suite()).code(), Code::kDamaged);
}

TEST_F(SealedTamper, TheDamagedPageIsNamed) {
  start_from(files_);
  ASSERT_TRUE(rig_.reopen().ok());
  rig_.close();
  rig_.disk().flip_bit("coffer.db", 2 * kPageSize + 5);
  const Status verified = verify_sealed_files(rig_.disk(), test_keys(), test_suite());
  ASSERT_FALSE(verified.ok());
  EXPECT_EQ(verified.error().message, "coffer.db: page 3 does not authenticate");
  ASSERT_TRUE(rig_.reopen().ok());
  SealedRig::Rows rows;
  const Status read = rig_.read(rows);
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.code(), Code::kDamaged);
  EXPECT_NE(read.error().message.find("coffer.db: page 3"), std::string::npos) << read.error().message;
  EXPECT_FALSE(rig_.database().is_transaction_lost()) << "other operations go on";
}

TEST_F(SealedTamper, SwappedPagesAreRefused) {
  start_from(files_);
  ASSERT_TRUE(rig_.reopen().ok());
  rig_.close();
  Bytes pages = rig_.disk().bytes("coffer.db");
  std::swap_ranges(pages.begin() + kPageSize, pages.begin() + 2 * kPageSize, pages.begin() + 2 * kPageSize);
  rig_.disk().set_bytes("coffer.db", pages);
  EXPECT_EQ(verify_sealed_files(rig_.disk(), test_keys(), test_suite()).code(), Code::kDamaged);
  expect_refused_or_a_commit(synced_);
}

TEST_F(SealedTamper, ACutDatabaseIsRefused) {
  start_from(files_);
  Bytes pages = rig_.disk().bytes("coffer.db");
  pages.resize(kPageSize);
  rig_.disk().set_bytes("coffer.db", pages);
  EXPECT_EQ(rig_.reopen().code(), Code::kDamaged);
}

TEST_F(SealedTamper, AMissingFileIsRefusedByName) {
  for (const std::string name : {"coffer.db", "coffer.db-wal", "coffer.tags"}) {
    auto files = files_;
    files.erase(name);
    start_from(files);
    const Status opened = rig_.reopen();
    ASSERT_FALSE(opened.ok());
    EXPECT_EQ(opened.code(), Code::kDamaged);
    EXPECT_EQ(opened.error().message, name + " is missing");
  }
}

TEST_F(SealedTamper, BothSuperblocksDamagedAreRefused) {
  start_from(files_);
  rig_.disk().flip_bit("coffer.tags", 100);
  rig_.disk().flip_bit("coffer.tags", kSlot + 100);
  EXPECT_EQ(rig_.reopen().code(), Code::kDamaged);
}

TEST_F(SealedTamper, OneOldSuperblockGivesWayToTheNewer) {
  for (const std::size_t slot : {0u, 1u}) {
    start_from(files_);
    Bytes tags = rig_.disk().bytes("coffer.tags");
    std::copy_n(first_.at("coffer.tags").begin() + static_cast<std::ptrdiff_t>(slot * kSlot), kSlot,
                tags.begin() + static_cast<std::ptrdiff_t>(slot * kSlot));
    rig_.disk().set_bytes("coffer.tags", tags);
    ASSERT_TRUE(rig_.reopen().ok());
    EXPECT_GT(rig_.database().last().value, synced_);
    rig_.close();
  }
}

TEST_F(SealedTamper, SwappedSuperblockSlotsAreRefused) {
  start_from(files_);
  Bytes tags = rig_.disk().bytes("coffer.tags");
  std::swap_ranges(tags.begin(), tags.begin() + kSlot, tags.begin() + kSlot);
  rig_.disk().set_bytes("coffer.tags", tags);
  EXPECT_EQ(rig_.reopen().code(), Code::kDamaged);
}

TEST_F(SealedTamper, AnEarlierGenerationOfTheLogIsRefused) {
  start_from(files_);
  rig_.disk().set_bytes("coffer.db-wal", first_.at("coffer.db-wal"));
  const Status opened = rig_.reopen();
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.code(), Code::kDamaged);
  EXPECT_NE(opened.error().message.find("coffer.db-wal"), std::string::npos);
}

TEST_F(SealedTamper, AnEmptiedLogIsRefused) {
  start_from(files_);
  rig_.disk().set_bytes("coffer.db-wal", {});
  EXPECT_EQ(rig_.reopen().code(), Code::kDamaged);
}

TEST_F(SealedTamper, SwappedRepeatedAndLeftOutFramesNeverBecomeContent) {
  const auto frame = [](std::size_t number) { return static_cast<std::ptrdiff_t>(kLogFrames + number * kFrameSize); };
  for (std::size_t from = 0; from < 8; ++from) {
    for (std::size_t to = 0; to < 8; ++to) {
      if (from == to) continue;
      SCOPED_TRACE(std::to_string(from) + " over " + std::to_string(to));
      start_from(files_);
      Bytes log = files_.at("coffer.db-wal");
      std::copy_n(files_.at("coffer.db-wal").begin() + frame(from), kFrameSize, log.begin() + frame(to));
      rig_.disk().set_bytes("coffer.db-wal", log);
      expect_refused_or_a_commit(checkpointed_);
    }
  }
}

TEST_F(SealedTamper, ALogCutShortIsAnEarlierCommit) {
  for (std::size_t frames = 0; frames < 8; ++frames) {
    SCOPED_TRACE(frames);
    start_from(files_);
    Bytes log = files_.at("coffer.db-wal");
    log.resize(kLogFrames + frames * kFrameSize + frames);
    rig_.disk().set_bytes("coffer.db-wal", log);
    ASSERT_TRUE(rig_.reopen().ok());
    SealedRig::Rows rows;
    ASSERT_TRUE(rig_.read(rows).ok());
    expect_known(rows, checkpointed_);
    rig_.close();
  }
}

}  // namespace
}  // namespace coffer::testing
