#include "store/audit_log.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/store/sealed_rig.h"
#include "tests/support/manual_clock.h"

namespace coffer::testing {
namespace {

// A trail on a simulated disk; `known` is what a catalog would keep of it.
class AuditLogTest : public ::testing::Test {
 protected:
  AuditLogTest() : keys_(test_keys()) {}

  Status open() {
    log_.reset();
    auto opened = AuditLog::open(disk_, keys_, test_suite(), clock_, known_, limits_);
    if (!opened.ok()) return std::move(opened).error();
    log_ = *std::move(opened);
    return {};
  }

  Status append(int count) {
    std::vector<std::string> records;
    for (int i = 0; i < count; ++i) records.push_back("record " + std::to_string(++made_));
    return log_->append(records);
  }
  // As a durable commit does.
  void commit() {
    ASSERT_TRUE(log_->sync().ok());
    known_ = log_->end();
    ASSERT_TRUE(log_->prune(known_.first).ok());
  }
  void fill(int batches) {
    for (int i = 0; i < batches; ++i) ASSERT_TRUE(append(1 + i % 3).ok());
  }

  AuditVerdict verdict() {
    auto found = find_audit_end(disk_, keys_, test_suite(), known_);
    EXPECT_TRUE(found.ok());
    auto verified = verify_audit(disk_, keys_, test_suite(), found->end);
    EXPECT_TRUE(verified.ok());
    if (found->damage) verified->damage.push_back({"end", found->damage->message, ""});
    return *verified;
  }

  // All records that can be read, page by page; each is checked to have the number it says.
  std::vector<std::string> records(std::size_t limit = 1000) {
    std::vector<std::string> all;
    AuditPlace place;
    while (true) {
      auto page = log_->read(place, limit);
      EXPECT_TRUE(page.ok());
      EXPECT_TRUE(page->damage.empty());
      if (page->entries.empty()) return all;
      for (auto& entry : page->entries) {
        EXPECT_EQ(entry.record, "record " + std::to_string(entry.number));
        all.push_back(std::move(entry.record));
      }
      place = page->next;
    }
  }

  std::vector<std::uint64_t> numbers() { return audit_files(disk_).value(); }

  void kill() {
    disk_.kill();
    log_.reset();
    disk_.start();
  }
  void cut_power(std::uint64_t seed) {
    disk_.crash(seed);
    log_.reset();
    disk_.start();
  }

  SimulatedDisk disk_;
  KeySchedule keys_;
  ManualClock clock_;
  AuditLog::Limits limits_;
  AuditEnd known_;
  std::unique_ptr<AuditLog> log_;
  int made_ = 0;
};

TEST_F(AuditLogTest, AStoreWithoutATrailIsWhole) {
  ASSERT_TRUE(open().ok());
  EXPECT_FALSE(log_->damage());
  EXPECT_TRUE(records().empty());
  EXPECT_TRUE(verdict().damage.empty());
  EXPECT_TRUE(audit_files(disk_).value().empty());
}

TEST_F(AuditLogTest, WhatIsAppendedIsReadInItsOrder) {
  ASSERT_TRUE(open().ok());
  fill(20);
  commit();
  for (const std::size_t limit : {1U, 2U, 7U, 1000U}) EXPECT_EQ(records(limit).size(), static_cast<std::size_t>(made_));
  const auto found = verdict();
  EXPECT_TRUE(found.damage.empty());
  EXPECT_EQ(found.records, static_cast<std::uint64_t>(made_));
  EXPECT_EQ(found.first_record, 1U);
}

TEST_F(AuditLogTest, RecordsOfEverySizeFit) {
  ASSERT_TRUE(open().ok());
  std::vector<std::string> sent;
  for (const std::size_t size : {0U, 1U, 194U, 195U, 196U, 250U, 256U, 65535U, 65536U}) sent.emplace_back(size, 'x');
  for (int i = 0; i < 40; ++i) sent.emplace_back(kAuditRecordMax, 'y');  // more than one frame
  ASSERT_TRUE(log_->append(sent).ok());
  std::vector<std::string> got;
  for (AuditPlace place;;) {
    const auto page = log_->read(place, 10);
    ASSERT_TRUE(page.ok());
    if (page->entries.empty()) break;
    for (const auto& entry : page->entries) got.push_back(entry.record);
    place = page->next;
  }
  EXPECT_EQ(got, sent);
  known_ = log_->end();
  EXPECT_TRUE(verdict().damage.empty());
}

TEST_F(AuditLogTest, NothingOfARecordIsReadable) {
  ASSERT_TRUE(open().ok());
  fill(5);
  for (const auto& [name, bytes] : disk_.snapshot())
    EXPECT_EQ(std::string(as_text(bytes)).find("record"), std::string::npos) << name;
}

TEST_F(AuditLogTest, SizesShowNothingFinerThanAStep) {
  ASSERT_TRUE(open().ok());
  fill(30);
  EXPECT_EQ(disk_.bytes(audit_file_name(1)).size() % 256, 0U);
}

TEST_F(AuditLogTest, AKillLosesNothing) {
  ASSERT_TRUE(open().ok());
  fill(3);
  commit();
  fill(4);
  kill();
  ASSERT_TRUE(open().ok());
  EXPECT_FALSE(log_->damage());
  EXPECT_EQ(records().size(), static_cast<std::size_t>(made_));
  EXPECT_EQ(log_->end().place.cuts, 0U);
  fill(2);
  commit();
  EXPECT_EQ(records().size(), static_cast<std::size_t>(made_));
  EXPECT_TRUE(verdict().damage.empty());
}

TEST_F(AuditLogTest, APowerCutTakesBackNothingThatACommitNames) {
  std::mt19937_64 random(11);
  limits_.file_bytes = 8192;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(seed);
    disk_.restore({});
    known_ = {};
    made_ = 0;
    ASSERT_TRUE(open().ok());
    for (int turn = 0; turn < 5; ++turn) {
      fill(static_cast<int>(random() % 12));
      commit();
      const auto committed = known_.place.records;
      fill(static_cast<int>(random() % 12));
      cut_power(seed * 100 + turn);
      ASSERT_TRUE(open().ok());
      ASSERT_FALSE(log_->damage()) << log_->damage()->message;
      const auto left = records();
      EXPECT_GE(left.size(), committed);
      made_ = static_cast<int>(left.size());
      fill(1);
      commit();
      const auto found = verdict();
      ASSERT_TRUE(found.damage.empty()) << found.damage[0].object << " " << found.damage[0].what;
      EXPECT_EQ(found.records, static_cast<std::uint64_t>(made_));
    }
  }
}

TEST_F(AuditLogTest, ATornEndIsCutOffAndCounted) {
  ASSERT_TRUE(open().ok());
  fill(3);
  commit();
  fill(1);
  const auto name = audit_file_name(1);
  auto bytes = disk_.bytes(name);
  bytes.resize(bytes.size() - 100);
  kill();
  disk_.set_bytes(name, bytes);
  ASSERT_TRUE(open().ok());
  EXPECT_FALSE(log_->damage());
  EXPECT_EQ(disk_.bytes(name).size(), known_.place.offset);
  ASSERT_TRUE(log_->append(std::vector<std::string>{"behind it"}).ok());
  EXPECT_EQ(log_->end().place.cuts, 1U);
  commit();
  EXPECT_TRUE(verdict().damage.empty());
}

TEST_F(AuditLogTest, FilesFollowEachOtherAndTheOldestGo) {
  limits_ = {.file_bytes = 6000, .files = 3};
  ASSERT_TRUE(open().ok());
  for (int i = 0; i < 60; ++i) {
    fill(1);
    if (i % 5 == 0) commit();
  }
  commit();
  const auto numbers = audit_files(disk_).value();
  ASSERT_EQ(numbers.size(), 3U);
  EXPECT_GT(numbers.front(), 1U);
  const auto found = verdict();
  EXPECT_TRUE(found.damage.empty());
  EXPECT_GT(found.first_record, 1U);
  EXPECT_EQ(found.first_record + found.records - 1, static_cast<std::uint64_t>(made_));
  EXPECT_EQ(records().size(), found.records);
  kill();
  ASSERT_TRUE(open().ok());
  EXPECT_FALSE(log_->damage());
}

TEST_F(AuditLogTest, ACursorOfAFileThatIsGoneBeginsAtTheOldest) {
  limits_ = {.file_bytes = 6000, .files = 2};
  ASSERT_TRUE(open().ok());
  fill(1);
  const AuditPlace early = log_->end().place;
  fill(80);
  commit();
  const auto page = log_->read(early, 1);
  ASSERT_TRUE(page.ok());
  ASSERT_FALSE(page->entries.empty());
  EXPECT_EQ(page->entries[0].number, verdict().first_record);
}

// Every way to break it, and each is damage or an end that no commit names.
class AuditTamperTest : public AuditLogTest {
 protected:
  void SetUp() override {
    limits_.file_bytes = 5000;
    ASSERT_TRUE(open().ok());
    fill(12);
    commit();
    log_.reset();
    whole_ = disk_.snapshot();
    ASSERT_GE(audit_files(disk_).value().size(), 3U);
    ASSERT_TRUE(verdict().damage.empty());
  }
  void expect_damage(const std::string& how) {
    EXPECT_FALSE(verdict().damage.empty()) << how;
    EXPECT_TRUE(open().ok()) << how;  // and the trail goes on
    EXPECT_TRUE(append(1).ok()) << how;
    log_.reset();
    disk_.restore(whole_);
  }
  SimulatedDisk::Snapshot whole_;
};

TEST_F(AuditTamperTest, EveryFlippedByteIsFound) {
  for (const auto number : numbers()) {
    const auto name = audit_file_name(number);
    const auto size = whole_[name].size();
    for (std::uint64_t at = 0; at < size; ++at) {
      const bool unused = at >= 93 && at < 4096;
      if (unused) continue;  // of the head: means nothing
      disk_.flip_bit(name, at, static_cast<unsigned>(at % 8));
      EXPECT_FALSE(verdict().damage.empty()) << name << " byte " << at;
      disk_.set_bytes(name, whole_[name]);
    }
  }
}

TEST_F(AuditTamperTest, RemovedRepeatedAndSwappedFramesAreFound) {
  const auto name = audit_file_name(1);
  const Bytes& file = whole_[name];
  const auto frame = [&](std::size_t i) { return BytesView(file).subspan(4096 + 256 * i, 256); };
  const std::size_t frames = (file.size() - 4096) / 256;
  ASSERT_GE(frames, 3U);
  const auto put = [&](const std::vector<std::size_t>& order) {
    Bytes bytes(file.begin(), file.begin() + 4096);
    for (const auto i : order) bytes.insert(bytes.end(), frame(i).begin(), frame(i).end());
    disk_.set_bytes(name, bytes);
  };
  std::vector<std::size_t> all;
  for (std::size_t i = 0; i < frames; ++i) all.push_back(i);
  for (std::size_t i = 0; i < frames; ++i) {
    auto removed = all, repeated = all, swapped = all;
    removed.erase(removed.begin() + i);
    repeated.insert(repeated.begin() + i, i);
    put(removed);
    expect_damage("removed");
    put(repeated);
    expect_damage("repeated");
    if (i + 1 == frames) continue;
    std::swap(swapped[i], swapped[i + 1]);
    put(swapped);
    expect_damage("swapped");
  }
}

TEST_F(AuditTamperTest, EveryShorterFileIsFound) {
  for (const auto number : numbers()) {
    const auto name = audit_file_name(number);
    for (std::size_t size = 0; size < whole_[name].size(); size += size < 93 || size >= 4096 ? 64 : 1000) {
      Bytes bytes = whole_[name];
      bytes.resize(size);
      disk_.set_bytes(name, bytes);
      expect_damage(name + " of " + std::to_string(size));
    }
  }
}

TEST_F(AuditTamperTest, SwappedAndMissingFilesAreFound) {
  const auto numbers = audit_files(disk_).value();
  for (const auto a : numbers) {
    ASSERT_TRUE(disk_.remove(audit_file_name(a)).ok());
    expect_damage("removed");
    for (const auto b : numbers) {
      if (a == b) continue;
      disk_.set_bytes(audit_file_name(a), whole_[audit_file_name(b)]);
      expect_damage("in place of another");
    }
  }
  for (const auto number : numbers) ASSERT_TRUE(disk_.remove(audit_file_name(number)).ok());
  expect_damage("all removed");
}

TEST_F(AuditTamperTest, AnotherStoresTrailIsFound) {
  disk_.restore({});
  keys_ = test_keys(9);
  const AuditEnd kept = known_;
  known_ = {};
  made_ = 0;
  ASSERT_TRUE(open().ok());
  fill(12);
  commit();
  log_.reset();
  keys_ = test_keys();
  known_ = kept;
  expect_damage("another store's");
}

TEST_F(AuditTamperTest, ATrailThatTheCatalogDoesNotKnowIsKeptAndFound) {
  known_ = {};
  for (const auto number : {1, 2}) ASSERT_TRUE(disk_.remove(audit_file_name(number)).ok());
  ASSERT_TRUE(open().ok());
  EXPECT_TRUE(log_->damage());
  EXPECT_TRUE(disk_.open(audit_file_name(3), OpenMode::kExisting).ok());
}

TEST_F(AuditTamperTest, WhatIsBehindDamageIsReadAllTheSame) {
  disk_.flip_bit(audit_file_name(2), 4096 + 300);
  ASSERT_TRUE(open().ok());
  const auto page = log_->read({}, 1000);
  ASSERT_TRUE(page.ok());
  EXPECT_EQ(page->damage.size(), 1U);
  ASSERT_FALSE(page->entries.empty());
  EXPECT_EQ(page->entries.front().number, 1U);
  EXPECT_EQ(page->entries.back().number, static_cast<std::uint64_t>(made_));
}

// --- a disk that refuses ---

TEST_F(AuditLogTest, WhatCouldNotBeWrittenIsCounted) {
  ASSERT_TRUE(open().ok());
  fill(2);
  commit();
  disk_.set_capacity(disk_.used_bytes());
  const int before = made_;
  Status refused;
  for (int i = 0; i < 100 && refused.ok(); ++i) refused = append(3);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.code(), Code::kNoSpace);
  EXPECT_FALSE(append(2).ok());
  disk_.set_capacity(1 << 30);
  ASSERT_TRUE(log_->append(std::vector<std::string>{"again"}).ok());
  commit();
  const auto found = verdict();
  EXPECT_TRUE(found.damage.empty());
  EXPECT_EQ(found.missing, 5U);
  EXPECT_EQ(found.records + found.missing, static_cast<std::uint64_t>(made_) + 1);
  const auto page = log_->read({}, 1000);
  ASSERT_TRUE(page.ok());
  EXPECT_EQ(page->entries.back().missing, 5U);
  EXPECT_GE(made_, before);
}

TEST_F(AuditLogTest, EveryRefusedCallIsSurvived) {
  limits_.file_bytes = 5000;
  using Fault = SimulatedDisk::Fault;
  for (const auto fault : {Fault::kIo, Fault::kNoSpace, Fault::kShort, Fault::kTorn}) {
    for (std::uint64_t n = 1; n < 60; ++n) {
      SCOPED_TRACE(n);
      disk_.restore({});
      known_ = {};
      made_ = 0;
      ASSERT_TRUE(open().ok());
      disk_.fail_at(n, fault);
      std::uint64_t told = 0;
      for (int i = 0; i < 20; ++i) {
        ASSERT_TRUE(append(2).ok() || ++told > 0);
        if (i % 4 == 3 && log_->sync().ok()) known_ = log_->end();
      }
      disk_.fail_never();
      ASSERT_TRUE(append(1).ok());
      commit();
      const auto found = verdict();
      EXPECT_EQ(found.missing, 2 * told);
      // A failed sync lost what it was to keep: then the trail says so.
      if (!disk_.fault_place().starts_with("sync")) {
        EXPECT_EQ(found.records + found.missing, 41U) << disk_.fault_place();
        EXPECT_TRUE(found.damage.empty()) << disk_.fault_place() << ": " << found.damage[0].what;
      }
      log_.reset();
    }
  }
}

// --- another root key ---

TEST_F(AuditLogTest, AnotherRootKeyReadsTheTrailAndTheOldOneNoLonger) {
  ASSERT_TRUE(open().ok());
  fill(5);
  commit();
  log_.reset();
  KeySchedule next = KeySchedule(Key::copy_of(Bytes(Key::kSize, 99)), keys_.store_id());
  ASSERT_TRUE(wrap_audit_keys(disk_, test_suite(), keys_, next).ok());
  EXPECT_TRUE(verdict().damage.empty());  // until the switch the old one does
  keys_ = std::move(next);
  ASSERT_TRUE(open().ok());
  EXPECT_FALSE(log_->damage());
  EXPECT_EQ(records().size(), static_cast<std::size_t>(made_));
  EXPECT_EQ(AuditFile::open(disk_, test_keys(), test_suite(), 1).code(), Code::kDamaged);
  fill(1);  // under a key the old root never wrapped
  EXPECT_EQ(audit_files(disk_).value().size(), 2U);
  commit();
  EXPECT_TRUE(verdict().damage.empty());
  EXPECT_EQ(records().size(), static_cast<std::size_t>(made_));
}

TEST_F(AuditLogTest, AChangeOfRootThatWasGivenUpLeavesNothing) {
  ASSERT_TRUE(open().ok());
  fill(5);
  commit();
  log_.reset();
  const KeySchedule next = KeySchedule(Key::copy_of(Bytes(Key::kSize, 99)), keys_.store_id());
  ASSERT_TRUE(wrap_audit_keys(disk_, test_suite(), keys_, next).ok());
  ASSERT_TRUE(open().ok());
  EXPECT_EQ(AuditFile::open(disk_, next, test_suite(), 1).code(), Code::kDamaged);
  fill(1);
  EXPECT_EQ(audit_files(disk_).value().size(), 1U);
}

TEST_F(AuditLogTest, TheEndSurvivesItsEncoding) {
  ASSERT_TRUE(open().ok());
  fill(5);
  const AuditEnd end = log_->end();
  const Bytes encoded = end.encode();
  EXPECT_EQ(AuditEnd::decode(encoded).value(), end);
  for (std::size_t size = 0; size < encoded.size(); ++size)
    EXPECT_EQ(AuditEnd::decode(BytesView(encoded).first(size)).code(), Code::kDamaged);
}

}  // namespace
}  // namespace coffer::testing
