#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "base/limits.h"
#include "store/catalog_copy.h"
#include "tests/store/specimen.h"
#include "tests/support/effort.h"

// The online check. What the generator of tamper_test.cc does to stores it is asked there.
namespace coffer::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::uint32_t kChunk = kChunkSize;
constexpr std::int64_t kSecondNs = 1'000'000'000;

class ScrubTest : public ::testing::Test {
 protected:
  ScrubTest() { bucket_ = rig_.store().create_bucket(*BucketName::parse("bucket"), {.mode = 0755})->ino; }

  InodeNumber write(const std::string& name, std::size_t size, std::uint64_t seed) {
    const auto made = rig_.store().create(bucket_, name, {.mode = 0644});
    EXPECT_TRUE(made.ok()) << made.error().message;
    EXPECT_TRUE(rig_.store().write(made->ino, 0, some_bytes(size, seed)).ok());
    rig_.store().release(made->ino);
    return made->ino;
  }
  std::string data_file_of(InodeNumber ino) {
    EXPECT_TRUE(rig_.store().sync_all().ok());
    std::lock_guard lock(rig_.catalog().mutex());
    return data_file_name(rig_.catalog().content(ino)->file);
  }
  Status change_mode(std::uint32_t mode) {
    InodeChange change;
    change.mode = mode;
    const auto changed = rig_.store().change(bucket_, change);
    if (!changed) return changed.error();
    return {};
  }
  using From = Store::ScrubFrom;
  void start(From from = From::kWhereItWas) { ASSERT_TRUE(rig_.store().start_scrub(1, from).ok()); }
  CheckReport scrub(From from = From::kWhereItWas) {
    start(from);
    while (rig_.store().scrub_step()) {
    }
    const auto state = rig_.store().scrub_state();
    EXPECT_FALSE(state.running);
    EXPECT_FALSE(state.failure) << state.failure->message;
    EXPECT_EQ(state.done, state.total);
    return state.report;
  }
  static std::vector<std::string> lines(const CheckReport& report) {
    std::vector<std::string> lines;
    for (const auto& one : report.damage) lines.push_back(one.line());
    return lines;
  }

  StoreRig rig_;
  InodeNumber bucket_ = 0;
};

TEST_F(ScrubTest, ASoundStoreIsCleanAndEverythingIsCounted) {
  write("small", 1000, 1);
  write("large", 130 * kChunk + 5, 2);
  ASSERT_TRUE(rig_.store().sync_all().ok());
  const auto report = scrub();
  EXPECT_THAT(lines(report), IsEmpty());
  EXPECT_THAT(report.second_copies, IsEmpty());
  EXPECT_EQ(report.objects, 2U);
  EXPECT_EQ(report.chunks, 1U + 131U);
  EXPECT_EQ(report.data_files, 1U);
  EXPECT_EQ(report.orphans, 0U);
  EXPECT_FALSE(rig_.store().scrub_step()) << "nothing runs any more";
  EXPECT_THAT(lines(scrub()), IsEmpty()) << "and it can be asked for again";
}

TEST_F(ScrubTest, ADamagedChunkACutFileAndAMissingOneAreNamedAndTheRestIsNot) {
  const auto one = write("one", 300 * kChunk, 1), cut = write("cut", 3 * kChunk, 2), gone = write("gone", 3 * kChunk, 3);
  write("whole", 3 * kChunk, 4);
  rig_.disk.flip_bit(data_file_of(one), slot_offset(1, 7, kChunk) + 9);
  auto bytes = rig_.disk.bytes(data_file_of(cut));
  bytes.resize(bytes.size() - 1);
  rig_.disk.set_bytes(data_file_of(cut), bytes);
  ASSERT_TRUE(rig_.disk.remove(data_file_of(gone)).ok());
  const auto report = scrub();
  EXPECT_THAT(lines(report), ElementsAre(HasSubstr("bucket/one: chunk "), HasSubstr("bucket/cut: chunk 2: its data file ends"),
                                         HasSubstr("bucket/gone: its data file is lost")));
}

TEST_F(ScrubTest, FilesOfNobodyAreCountedAndAreNoDamage) {
  write("large", 3 * kChunk, 1);
  ASSERT_TRUE(rig_.store().sync_all().ok());
  for (const auto* name : {"objects/63/0000000000000063", "objects/0b/000000000000000c", "objects/00/README"})
    ASSERT_TRUE(rig_.disk.open(name, OpenMode::kCreate).ok());
  const auto report = scrub();
  EXPECT_THAT(lines(report), IsEmpty());
  EXPECT_EQ(report.orphans, 3U);
  EXPECT_EQ(report.data_files, 1U);
}

TEST_F(ScrubTest, AWaitIsAskedForAsTheRateSays) {
  write("large", 8 << 20, 1);
  ASSERT_TRUE(rig_.store().sync_all().ok());
  start();
  std::int64_t rested_ms = 0;
  while (const auto rest = rig_.store().scrub_step()) rested_ms += *rest;
  // The clock stands still: 8 MiB and the catalog, at 1 MiB a second.
  EXPECT_GE(rested_ms, 8'000);
  EXPECT_LT(rested_ms, 12'000);
}

TEST_F(ScrubTest, AfterAKillItGoesOnWhereItWasAndTellsWhatItFoundBefore) {
  const auto first = write("first", 3 * kChunk, 1);
  for (int i = 0; i < 4; ++i) write("large " + std::to_string(i), 6 << 20, 2);
  rig_.disk.flip_bit(data_file_of(first), slot_offset(0, 0, kChunk));
  start();
  while (rig_.store().scrub_state().report.objects < 3) {
    ASSERT_TRUE(rig_.store().scrub_step());
    rig_.clock.advance_ns(kScrubSaveMs * 1'000'000);
  }
  ASSERT_TRUE(rig_.store().scrub_step());
  ASSERT_TRUE(rig_.store().sync_all().ok());
  const auto before = rig_.store().scrub_state().report;
  ASSERT_EQ(before.damage.size(), 1U);
  rig_.kill();
  rig_.open();
  EXPECT_FALSE(rig_.store().scrub_step()) << "not by itself";
  start();
  EXPECT_GE(rig_.store().scrub_state().report.objects, 3U);
  const auto report = scrub();
  EXPECT_THAT(lines(report), ElementsAre(HasSubstr("bucket/first: chunk 0")));
  EXPECT_EQ(report.objects, 5U);
  EXPECT_GE(report.chunks, 4U * 384U) << "each once, and the one again that a cut step may have counted";

  // It ended: the next one begins at the beginning.
  start();
  EXPECT_EQ(rig_.store().scrub_state().report.objects, 0U);
}

TEST_F(ScrubTest, ARestartForgetsWhereItWas) {
  for (int i = 0; i < 4; ++i) write("large " + std::to_string(i), 6 << 20, 2);
  ASSERT_TRUE(rig_.store().sync_all().ok());
  start();
  while (rig_.store().scrub_state().report.objects < 2) ASSERT_TRUE(rig_.store().scrub_step());
  ASSERT_TRUE(rig_.store().finish().ok());
  rig_.reopen();
  start(From::kTheBeginning);
  EXPECT_EQ(rig_.store().scrub_state().report.objects, 0U);
  EXPECT_EQ(scrub().objects, 4U);
}

TEST_F(ScrubTest, ADisabledKeyIsNoDamageAndNothingOfItIsOpened) {
  const auto key = rig_.kms().create_key("k")->arn;
  ASSERT_TRUE(rig_.store().put_rule(*BucketName::parse("bucket"), {SseAlgorithm::kAwsKms, key, false, {}}).ok());
  write("kept", 3 * kChunk, 1);
  ASSERT_TRUE(rig_.store().sync_all().ok());
  rig_.store().hold_key(key);
  EXPECT_EQ(scrub().objects_unreadable, 1U);
  rig_.store().release_key(key);
  ASSERT_TRUE(rig_.kms().disable(key).ok());
  const auto report = scrub();
  EXPECT_EQ(report.objects_unreadable, 1U);
  EXPECT_THAT(lines(report), IsEmpty());
}

TEST_F(ScrubTest, ADamagedPageTagOrFrameOfTheCatalogIsNamedAndTheMountGoesOn) {
  write("small", 1000, 1);
  ASSERT_TRUE(rig_.store().finish().ok());
  const auto pages = rig_.catalog().database().still()->pages;
  ASSERT_GT(pages, 5U);
  rig_.disk.flip_bit("coffer.db", 3 * kPageSize + 70);
  rig_.disk.flip_bit("coffer.db", 4 * kPageSize + 70);
  const auto report = scrub();
  EXPECT_THAT(lines(report), ::testing::Contains("the catalog: coffer.db: page 4 does not authenticate"));
  EXPECT_THAT(lines(report), ::testing::Contains("the catalog: coffer.db: page 5 does not authenticate"));
  EXPECT_FALSE(rig_.store().poisoned());
  rig_.disk.flip_bit("coffer.db", 3 * kPageSize + 70);
  rig_.disk.flip_bit("coffer.db", 4 * kPageSize + 70);
  EXPECT_THAT(lines(scrub()), IsEmpty());

  const auto tags = rig_.disk.bytes("coffer.tags");
  unsigned named = 0;
  for (std::size_t block = 2; (block + 1) * kPageSize <= tags.size(); ++block) {
    rig_.disk.flip_bit("coffer.tags", block * kPageSize + 8);
    named += lines(scrub()).empty() ? 0 : 1;
    rig_.disk.set_bytes("coffer.tags", tags);
  }
  EXPECT_EQ(named, 3U) << "one place of each of three nodes is in use";

  ASSERT_TRUE(change_mode(0700).ok());
  ASSERT_TRUE(rig_.store().sync_all().ok());
  rig_.disk.flip_bit("coffer.db-wal", 8192 + 100);
  EXPECT_THAT(lines(scrub()), ::testing::Contains(HasSubstr("coffer.db-wal: frame")));
}

TEST_F(ScrubTest, ADamagedSecondCopyIsNamed) {
  const auto large = write("large", 3 * kChunk, 1);
  const auto file = data_file_of(large);
  ASSERT_TRUE(rig_.store().finish().ok());
  ASSERT_THAT(lines(scrub()), IsEmpty());
  const auto size = rig_.disk.bytes(std::string(kCatalogCopyName)).size();
  for (const auto at : {std::size_t{40}, std::size_t{300}, size / 2, size - 5}) {
    rig_.disk.flip_bit(std::string(kCatalogCopyName), at);
    EXPECT_THAT(lines(scrub()), ElementsAre(HasSubstr("coffer.copy: "))) << at;
    rig_.disk.flip_bit(std::string(kCatalogCopyName), at);
  }
  for (const std::size_t half : {0U, kChunk / 2}) rig_.disk.flip_bit(file, half + 70);
  const auto report = scrub();
  EXPECT_THAT(lines(report), IsEmpty()) << "nothing served depends on it";
  ASSERT_EQ(report.second_copies.size(), 1U);
  EXPECT_EQ(report.second_copies[0].object, "bucket/large");
}

TEST_F(ScrubTest, ContradictionsOfTheTablesAreNamed) {
  write("small", 1000, 1);
  ASSERT_TRUE(rig_.store().sync_all().ok());
  {
    std::lock_guard lock(rig_.catalog().mutex());
    ASSERT_TRUE(rig_.catalog().remove_name(bucket_, "small").ok());
  }
  ASSERT_TRUE(change_mode(0711).ok());
  ASSERT_TRUE(rig_.store().sync_all().ok());
  EXPECT_THAT(lines(scrub()), ElementsAre(HasSubstr("1 links promised, 0 found")));
}

TEST_F(ScrubTest, AMountThatPoisonsEndsItWithWords) {
  const auto large = write("large", 3 * kChunk, 1);
  rig_.disk.flip_bit(data_file_of(large), slot_offset(0, 0, kChunk));
  start();
  ASSERT_TRUE(change_mode(0711).ok());
  rig_.disk.fail_at(1, SimulatedDisk::Fault::kIo);
  (void)rig_.store().sync_all();
  rig_.disk.fail_never();
  ASSERT_TRUE(rig_.store().poisoned());
  while (rig_.store().scrub_step()) {
  }
  EXPECT_TRUE(rig_.store().scrub_state().failure);
}

// Everything that a user can do to content, names and envelopes while the check reads: no line of it is damage.
TEST(ScrubBesideUsers, ChangesAreNeverTakenForDamage) {
  StoreRig rig;
  auto& store = rig.store();
  const auto bucket = store.create_bucket(*BucketName::parse("bucket"), {.mode = 0755})->ino;
  std::atomic<bool> end{false};
  const auto user = [&](unsigned seed) {
    std::mt19937 random(seed);
    const auto mine = "f" + std::to_string(seed) + " ";
    while (!end) {
      const auto name = mine + std::to_string(random() % 6);
      const auto found = store.lookup(bucket, name);
      if (!found) {
        if (const auto made = store.create(bucket, name, {.mode = 0644}); made.ok()) {
          (void)store.write(made->ino, 0, some_bytes(1 + random() % (40 * kChunk), random()));
          store.release(made->ino);
          store.forget(made->ino, 1);
        }
        continue;
      }
      const auto opened = store.open_object(found->ino, /*truncate=*/random() % 8 == 0);
      switch (random() % 6) {
        case 0: (void)store.unlink(bucket, name); break;
        case 1: (void)store.rename(bucket, name, bucket, mine + "renamed", RenameMode::kReplace); break;
        case 2: (void)store.fallocate(found->ino, FallocateMode::kPunchHole, random() % kChunk, 5 * kChunk); break;
        case 3: (void)store.sync(found->ino); break;
        default: (void)store.write(found->ino, random() % (20 * kChunk), some_bytes(1 + random() % (9 * kChunk), 1)); break;
      }
      if (opened.ok()) store.release(found->ino);
      store.forget(found->ino, 1);
    }
  };
  const auto housekeeper = [&] {
    for (int round = 0; !end; ++round) {
      EXPECT_TRUE(store.commit_soon().ok());
      EXPECT_TRUE(store.collect_garbage().ok());
      (void)store.reseal_step();
      if (round % 5 == 0) {
        EXPECT_TRUE(store.sync_all().ok());
      }
      if (round % 20 == 0) {
        const SseRule rules[] = {{SseAlgorithm::kAes256, {}, false, {}}, {SseAlgorithm::kAwsKms, {}, false, {}}};
        EXPECT_TRUE(store.put_rule(*BucketName::parse("bucket"), rules[round / 20 % 2]).ok());
        EXPECT_TRUE(store.finish().ok()) << "a checkpoint";
      }
    }
  };
  std::vector<std::thread> threads;
  for (const unsigned seed : {1U, 2U}) threads.emplace_back(user, seed);
  threads.emplace_back(housekeeper);
  const struct End {  // whatever fails below
    std::atomic<bool>& end;
    std::vector<std::thread>& threads;
    ~End() {
      end = true;
      for (auto& thread : threads) thread.join();
    }
  } at_the_end{end, threads};
  for (std::uint64_t left = 144 / stride(12); left > 0; --left) {
    const auto begun = store.start_scrub(1, Store::ScrubFrom::kTheBeginning);
    ASSERT_TRUE(begun.ok()) << begun.error().message;
    while (store.scrub_step()) {
    }
    const auto state = store.scrub_state();
    EXPECT_FALSE(state.failure) << state.failure->message;
    for (const auto& one : state.report.damage) ADD_FAILURE() << one.line();
    for (const auto& one : state.report.second_copies) ADD_FAILURE() << one.line();
    if (::testing::Test::HasFailure()) break;
  }
  EXPECT_FALSE(store.poisoned());
}

}  // namespace
}  // namespace coffer::testing
