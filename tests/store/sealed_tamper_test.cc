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

// Two whole states of a store, both with an empty log; what lies between is what an attacker may put back.
class SealedReplay : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(rig_.create().ok());
    for (int i = 0; i < 60; ++i) ASSERT_TRUE(rig_.put(i, "old" + std::string(300, 'x')).ok());
    end(old_);
    for (int i = 0; i < 60; ++i) ASSERT_TRUE(rig_.put(i, "new" + std::string(300, 'y')).ok());
    end(new_);
  }

  void end(SimulatedDisk::Snapshot& into) {
    ASSERT_TRUE(rig_.commit_durably().ok());
    ASSERT_TRUE(rig_.database().checkpoint_rest().ok());
    rig_.kill();
    into = rig_.disk().snapshot();
    ASSERT_TRUE(rig_.reopen().ok());
    ASSERT_TRUE(rig_.database().checkpoint_rest().ok());
  }

  // Refused when it is opened or read, and by fsck, in words that name the file.
  void expect_refused(const std::string& by) {
    const Status verified = verify_sealed_files(rig_.disk(), test_keys(), test_suite());
    ASSERT_FALSE(verified.ok());
    EXPECT_EQ(verified.code(), Code::kDamaged);
    EXPECT_NE(verified.error().message.find(by), std::string::npos) << verified.error().message;
    SealedRig::Rows rows;
    Status found = rig_.reopen();
    if (found.ok()) found = rig_.read(rows);
    ASSERT_FALSE(found.ok());
    EXPECT_EQ(found.code(), Code::kDamaged);
    EXPECT_NE(found.error().message.find(by), std::string::npos) << found.error().message;
    rig_.close();
  }

  void put_back(const std::string& name, std::size_t block, std::size_t from) {
    Bytes bytes = rig_.disk().bytes(name);
    const auto at = [](std::size_t number) { return static_cast<std::ptrdiff_t>(number * kPageSize); };
    std::copy_n(old_.at(name).begin() + at(from), kPageSize, bytes.begin() + at(block));
    rig_.disk().set_bytes(name, bytes);
  }
  bool differs(const std::string& name, std::size_t block) const {
    const auto at = static_cast<std::ptrdiff_t>(block * kPageSize);
    return !std::equal(old_.at(name).begin() + at, old_.at(name).begin() + at + kPageSize, new_.at(name).begin() + at);
  }

  SealedRig rig_;
  SimulatedDisk::Snapshot old_, new_;
};

TEST_F(SealedReplay, EveryOldPagePutBackIsRefusedByNumber) {
  int changed = 0;
  for (std::size_t page = 0; page < kPagesSwept; ++page) {
    if (!differs("coffer.db", page)) continue;
    ++changed;
    rig_.disk().restore(new_);
    put_back("coffer.db", page, page);
    expect_refused("coffer.db: page " + std::to_string(page + 1) + " is an old one put back");
  }
  EXPECT_GT(changed, 2);
}

TEST_F(SealedReplay, AllOldPagesPutBackTogetherAreRefused) {
  rig_.disk().restore(new_);
  rig_.disk().set_bytes("coffer.db", old_.at("coffer.db"));
  expect_refused("coffer.db: page ");
}

TEST_F(SealedReplay, OldTagsAreRefused) {
  rig_.disk().restore(new_);
  rig_.disk().set_bytes("coffer.tags", old_.at("coffer.tags"));
  expect_refused("coffer.");
}

TEST_F(SealedReplay, OldTagsWithTheirLogAreRefused) {
  rig_.disk().restore(new_);
  rig_.disk().set_bytes("coffer.tags", old_.at("coffer.tags"));
  rig_.disk().set_bytes("coffer.db-wal", old_.at("coffer.db-wal"));
  expect_refused("coffer.db: page ");
}

TEST_F(SealedReplay, AnOldNodeOfAnyLevelIsRefused) {
  // Blocks 2 to 7: the two places of level 2, level 1 and the leaf. Those in use are where the damage counts.
  int refused = 0;
  for (std::size_t block = 2; block < 8; ++block) {
    rig_.disk().restore(new_);
    // The other place's node is of an earlier time, and so is what was here.
    const std::size_t other = block ^ 1u;
    Bytes tags = rig_.disk().bytes("coffer.tags");
    std::copy_n(new_.at("coffer.tags").begin() + static_cast<std::ptrdiff_t>(other * kPageSize), kPageSize,
                tags.begin() + static_cast<std::ptrdiff_t>(block * kPageSize));
    rig_.disk().set_bytes("coffer.tags", tags);
    if (verify_sealed_files(rig_.disk(), test_keys(), test_suite()).ok()) continue;
    ++refused;
    expect_refused("coffer.tags: block " + std::to_string(block) + " is damaged, or an old one put back");
  }
  EXPECT_EQ(refused, 3) << "one place of each level is in use";
}

TEST_F(SealedReplay, ShortTagsAreRefusedByName) {
  rig_.disk().restore(new_);
  Bytes tags = rig_.disk().bytes("coffer.tags");
  tags.resize(6 * kPageSize);
  rig_.disk().set_bytes("coffer.tags", tags);
  expect_refused("coffer.tags is shorter than its superblock says");
}

}  // namespace
}  // namespace coffer::testing
