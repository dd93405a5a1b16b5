// The three sealed files without SQLite above them: commits that make the database grow and shrink at will, across many
// leaves of the page tags, and checkpoints that are cut short.
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <vector>

#include "store/sealed_database.h"
#include "store/sealed_replay.h"
#include "tests/store/sealed_rig.h"
#include "tests/support/effort.h"

namespace coffer::testing {
namespace {

using Fault = SimulatedDisk::Fault;

constexpr std::uint64_t kZeros = 0;
constexpr std::uint64_t kAnything = ~std::uint64_t{0};  // no frame named it after the database grew over it again

Bytes page_of(std::uint64_t content) {
  Bytes page(kPageSize);
  if (content == kZeros) return page;
  std::mt19937_64 random(content);
  for (std::size_t i = 0; i < kPageSize - kPageReserved; i += 97) page[i] = static_cast<std::uint8_t>(random());
  return page;
}

// Killed within a commit that told of map rows, and again when the next process had only begun: nothing of the first is
// taken for damage.
TEST(SealedLog, FramesThatNoCommitFollowsStayInFrontOfTheMark) {
  Superblock block;
  block.sequence = 1;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SimulatedDisk disk(seed);
    const auto keys = test_keys();
    const auto open = [&] { return SealedLog(*disk.open(kLogName, OpenMode::kCreate), keys, test_suite()); };
    const Bytes page(kPageSize, 5);
    {
      auto log = open();
      ASSERT_TRUE(log.prepare(block, "boot").ok());
      log.begin();
      ASSERT_TRUE(log.restart());
      ASSERT_TRUE(log.append(0, 1, 1, page).ok());
      ASSERT_TRUE(log.reserve(20).ok());
      const auto rows = encode_rows(std::vector(200, WrittenRow{7, 3, kChunkSize, {}, {}}));
      ASSERT_GE(rows.size(), 2u);
      ASSERT_TRUE(log.append_rows(rows).ok());
      ASSERT_TRUE(log.sync().ok());  // of a round beside it
      ASSERT_TRUE(log.append(1, 1, 0, page).ok());
      ASSERT_TRUE(log.append(2, 2, 0, page).ok());
      disk.fail_at(1, Fault::kShort);
      ASSERT_FALSE(log.append(3, 3, 3, page).ok());
    }
    disk.kill();
    disk.start();
    for (int opened = 0; opened < 2; ++opened) {
      auto log = open();
      const auto replay = log.replay(block, "boot", disk);
      ASSERT_TRUE(replay.ok()) << replay.error().message;
      EXPECT_EQ(replay->last, 1u);
      log.set_data_synced(replay->last, /*this_commit=*/false);
      if (opened == 0) {
        ASSERT_TRUE(log.append_mark().ok());
      }
      ASSERT_TRUE(log.sync().ok());
      disk.kill();
      disk.start();
    }
  }
}

class FilesRig {
 public:
  using Pages = std::vector<std::uint64_t>;  // what each page holds, page 1 first

  explicit FilesRig(std::uint64_t seed) : disk_(seed), random_(seed) {}

  SimulatedDisk& disk() { return disk_; }
  std::uint64_t durable() const { return durable_; }
  std::uint64_t answered() const { return answered_; }

  Status create() {
    COFFER_ASSIGN(files_, create_sealed_files(disk_, test_keys(), test_suite(), "boot-1"));
    for (std::uint32_t page = 1; page <= 300; ++page) {
      now_.push_back(++contents_);
      COFFER_TRY(files_->pages().write(page, page_of(contents_)));
    }
    COFFER_TRY(files_->begin_generation());
    begun();
    return disk_.sync_folder("");
  }

  // Until something fails.
  Status work(int steps) {
    for (int i = 0; i < steps; ++i) {
      const auto choice = random_() % 8;
      COFFER_TRY(commit(/*synced=*/choice >= 3));
      if (choice < 3) continue;
      COFFER_TRY(files_->log().sync());
      durable_ = files_->log().last();
      if (choice == 3) COFFER_TRY(commit(/*synced=*/false));
      if (choice == 3 || choice == 4) COFFER_TRY(copy_beside());
      if (choice == 5) COFFER_TRY(copy_all());
    }
    return {};
  }

  // The crashed files are sound as they lie there, and hold what some commit left, no earlier than `oldest`.
  void expect_reopens(const std::string& boot, std::uint64_t oldest) {
    files_.reset();
    const Status verified = verify_sealed_files(disk_, test_keys(), test_suite());
    ASSERT_TRUE(verified.ok()) << verified.error().message;
    auto opened = open_sealed_files(disk_, test_keys(), test_suite(), boot);
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    files_ = *std::move(opened);
    const std::uint64_t last = files_->log().last();
    EXPECT_GE(last, oldest);
    ASSERT_TRUE(states_.contains(last)) << "an unknown commit point " << last;
    now_ = states_[last];
    EXPECT_EQ(files_->pages().pages(), now_.size());
    Bytes found(kPageSize);
    for (std::uint32_t page = 1; page <= now_.size(); ++page) {
      const Status read = files_->pages().read(page, found);
      ASSERT_TRUE(read.ok()) << read.error().message;
      if (now_[page - 1] != kAnything) {
        ASSERT_TRUE(found == page_of(now_[page - 1])) << "page " << page << " of " << now_.size();
      }
    }
    durable_ = answered_ = last;
    begun();
  }

 private:
  // A generation begins: what its log's frames will be laid over.
  void begun() {
    states_.clear();
    states_[files_->log().last()] = now_;
    base_ = now_.size();
    logged_.clear();
    frames_ = 0;
    sizes_.clear();
  }

  std::size_t next_size() {
    const std::size_t size = now_.size();
    switch (random_() % 6) {
      case 0: return std::max<std::size_t>(2, size / 2 + random_() % (size / 2 + 1));
      case 1: return std::min<std::size_t>(900, size + random_() % 300);
      default: return size + random_() % 3;
    }
  }

  Status commit(bool synced) {
    SealedLog& log = files_->log();
    if (frames_ == 0 && !log.restart()) return Error{Code::kIo, "the log does not begin"};
    Pages next = now_;
    const std::size_t size = next_size();
    for (const std::size_t seen : sizes_) base_ = std::max(base_, seen);
    next.resize(std::min(next.size(), size));
    std::set<std::uint32_t> changed{1};
    for (int i = 0; i < 10; ++i) changed.insert(1 + static_cast<std::uint32_t>(random_() % size));
    while (next.size() < size) {
      next.push_back(next.size() >= base_ ? kZeros : kAnything);
      if (random_() % 10 != 0) changed.insert(static_cast<std::uint32_t>(next.size()));
    }
    for (const std::uint32_t page : changed) next[page - 1] = ++contents_;
    // It may be on the disk although it failed.
    states_[log.last() + changed.size()] = next;
    log.set_data_synced(durable_, synced);
    for (const std::uint32_t page : changed) {
      const bool is_last = page == *changed.rbegin();
      const auto pages = is_last ? static_cast<std::uint32_t>(size) : 0u;
      COFFER_TRY(files_->append(frames_, page, pages, page_of(next[page - 1])));
      logged_[page] = frames_++;
    }
    now_ = std::move(next);
    sizes_.push_back(size);
    answered_ = log.last();
    sqlite_end_[answered_] = frames_;
    return {};
  }

  Status copy(std::uint64_t frames, std::size_t size) {
    COFFER_TRY(files_->ready_for_pages());
    Bytes content(kPageSize);
    for (const auto& [page, frame] : logged_) {
      if (frame >= frames || page > size) continue;
      COFFER_TRY(files_->log().read_frame(frame, content));
      COFFER_TRY(files_->pages().write(page, content));
    }
    if (frames == frames_) COFFER_TRY(files_->pages().resize(static_cast<std::uint32_t>(size)));
    return {};
  }

  // As SQLite does: the newest frame of a page or none, and the size only when all is copied.
  Status copy_beside() {
    COFFER_TRY(copy(sqlite_end_[durable_], states_[durable_].size()));
    return files_->sync_pages();
  }

  Status copy_all() {
    COFFER_TRY(copy(frames_, now_.size()));
    COFFER_TRY(files_->begin_generation());
    begun();
    return {};
  }

  SimulatedDisk disk_;
  std::mt19937_64 random_;
  std::unique_ptr<SealedFiles> files_;
  Pages now_;
  std::map<std::uint64_t, Pages> states_;              // by commit point
  std::map<std::uint64_t, std::uint64_t> sqlite_end_;  // by commit point: frames of the generation up to it
  std::map<std::uint32_t, std::uint64_t> logged_;      // page -> its newest frame
  std::vector<std::size_t> sizes_;                     // of the generation's commits
  std::size_t base_ = 0;                               // the largest the database was in this generation
  std::uint64_t frames_ = 0, contents_ = 0, durable_ = 0, answered_ = 0;
};

// Calls all over the same work are the last one; other ones for every seed. (SealedCrash leaves none out.)
constexpr std::uint64_t kStride = 23;

void cut_at_many_calls(std::uint64_t seed, bool by_kill) {
  for (std::uint64_t call = 1 + seed * 7 % kStride;; call += kStride) {
    SCOPED_TRACE("seed " + std::to_string(seed) + ", call " + std::to_string(call));
    FilesRig rig(seed);
    ASSERT_TRUE(rig.create().ok());
    rig.disk().fail_at(call, Fault::kPowerOff);
    const Status worked = rig.work(12);
    if (!rig.disk().fault_happened()) break;
    EXPECT_FALSE(worked.ok());
    const std::uint64_t oldest = by_kill ? rig.answered() : rig.durable();
    by_kill ? rig.disk().kill() : rig.disk().crash(seed * 1000 + call);
    rig.disk().start();
    rig.expect_reopens(by_kill ? "boot-1" : "boot-2", oldest);
    if (::testing::Test::HasFailure()) return;
    if (call % 4 != 0) continue;
    const Status goes_on = rig.work(3);
    ASSERT_TRUE(goes_on.ok()) << goes_on.error().message;
    rig.disk().kill();
    rig.disk().start();
    rig.expect_reopens(by_kill ? "boot-1" : "boot-2", rig.answered());
    if (::testing::Test::HasFailure()) return;
  }
}

TEST(SealedFiles, APowerCutLeavesPagesAndTagsThatAgree) {
  for (std::uint64_t seed = 0; seed < testing::rounds(6); ++seed) cut_at_many_calls(seed, /*by_kill=*/false);
}

TEST(SealedFiles, AKillLeavesPagesAndTagsThatAgree) {
  for (std::uint64_t seed = 100; seed < 100 + testing::rounds(3); ++seed) cut_at_many_calls(seed, /*by_kill=*/true);
}

TEST(SealedFiles, CutsOfTheReplayItselfAgreeInTheEnd) {
  for (std::uint64_t seed = 200; seed < 200 + testing::rounds(6); ++seed) {
    for (std::uint64_t call = 1;; call += 31) {
      SCOPED_TRACE("seed " + std::to_string(seed) + ", call " + std::to_string(call));
      FilesRig rig(seed);
      ASSERT_TRUE(rig.create().ok());
      ASSERT_TRUE(rig.work(8).ok());
      rig.disk().crash(seed);
      rig.disk().start();
      rig.disk().fail_at(call, Fault::kPowerOff);
      const bool opened = open_sealed_files(rig.disk(), test_keys(), test_suite(), "boot-2").ok();
      const bool is_past_the_end = !rig.disk().fault_happened();
      EXPECT_EQ(opened, is_past_the_end);
      rig.disk().crash(seed + call);
      rig.disk().start();
      rig.expect_reopens("boot-3", rig.durable());
      if (::testing::Test::HasFailure()) return;
      if (is_past_the_end) break;
    }
  }
}

}  // namespace
}  // namespace coffer::testing
