#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "store/catalog_copy.h"
#include "store/fsck.h"
#include "store/sealed_log.h"
#include "store/sealed_pages.h"
#include "store/superblock.h"
#include "tests/store/store_rig.h"

namespace coffer::testing {
namespace {

using ::testing::HasSubstr;

constexpr std::uint32_t kChunk = kChunkSize;

// One run of `coffer fsck` over what is on a disk.
struct Pass {
  std::vector<Damage> opening;
  Result<CheckReport> report = Error{Code::kIo, "not run"};

  std::string lines() const {
    std::string all = report.ok() ? "" : "ended with " + report.error().message + "\n";
    for (const auto& one : opening) all += one.line() + "\n";
    if (report.ok())
      for (const auto& one : report->damage) all += one.line() + "\n";
    return all;
  }
  bool clean() const { return report.ok() && opening.empty() && report->damage.empty(); }
  bool repaired() const { return report.ok() && !report->damage_remains(); }
};

class RepairTest : public ::testing::Test {
 protected:
  // A bucket with "small", in the catalog, and "large" and "other", in data files; closed, with its copy made.
  RepairTest() {
    bucket_ = rig_.store().create_bucket(*BucketName::parse("bucket"), {.mode = 0755})->ino;
    write("small", 1000, 1);
    write("large", 5 * kChunk + 7, 2);
    write("other", 3 * kChunk, 3);
    EXPECT_TRUE(rig_.store().finish().ok());
  }

  InodeNumber write(const std::string& name, std::size_t size, std::uint64_t seed) {
    const auto made = rig_.store().create(bucket_, name, {.mode = 0644});
    EXPECT_TRUE(made.ok()) << made.error().message;
    EXPECT_TRUE(rig_.store().write(made->ino, 0, some_bytes(size, seed)).ok());
    rig_.store().release(made->ino);
    return made->ino;
  }

  Result<Bytes> read(InodeNumber folder, const std::string& name) {
    COFFER_ASSIGN(const auto found, rig_.store().lookup(folder, name));
    COFFER_TRY(rig_.store().open_object(found.ino, /*truncate=*/false));
    auto bytes = read_all(rig_.store(), found.ino);
    rig_.store().release(found.ino);
    return bytes;
  }
  bool reads(const std::string& name, std::size_t size, std::uint64_t seed) {
    const auto bytes = read(bucket_, name);
    return bytes.ok() && *bytes == some_bytes(size, seed);
  }
  InodeNumber ino_of(const std::string& name) { return rig_.store().lookup(bucket_, name)->ino; }

  std::string data_file_of(const std::string& name) {
    std::lock_guard lock(rig_.catalog().mutex());
    return data_file_name(rig_.catalog().content(rig_.catalog().find_name(bucket_, name)->ino)->file);
  }

  Pass fsck_now(FsckMode mode) {
    Pass run;
    const std::string boot = "boot " + std::to_string(rig_.boots());
    auto& disk = rig_.disk;
    auto catalog = mode == FsckMode::kRepair ? open_catalog_repaired(disk, keys_, StoreRig::suite(), boot, run.opening)
                                             : Catalog::open(disk, keys_, StoreRig::suite(), boot);
    if (!catalog) {
      run.report = catalog.error();
      return run;
    }
    auto kms = LocalKms::open(keys_, StoreRig::suite(), **catalog, rig_.clock, StoreRig::realm());
    if (!kms) {
      run.report = kms.error();
      return run;
    }
    BucketKeys bucket_keys(**kms, StoreRig::suite(), rig_.clock);
    Keyring keyring(keys_, StoreRig::suite(), **kms, bucket_keys);
    run.report = fsck(**catalog, disk, keyring, StoreRig::principal(), mode, rig_.clock, [](auto, auto) {});
    return run;
  }

  StoreRig rig_;
  InodeNumber bucket_ = 0;
  KeySchedule keys_{Key::copy_of(Bytes(Key::kSize, 7)), StoreId{1, 2, 3}};
};

TEST_F(RepairTest, EveryCatalogPageIsHealedExactlyFromTheCopy) {
  rig_.drop();
  const auto whole = rig_.disk.image();
  const auto before = rig_.disk.bytes("coffer.db");
  const auto head = read_catalog_copy(rig_.disk, keys_, StoreRig::suite());
  ASSERT_TRUE(head.ok());
  ASSERT_GT(head->pages, 15U);
  for (std::uint32_t page = 1; page <= head->pages; ++page) {
    rig_.disk.put_back(*whole);
    rig_.disk.flip_bit("coffer.db", std::uint64_t{page - 1} * kPageSize + 100);
    const auto run = fsck_now(FsckMode::kRepair);
    ASSERT_TRUE(run.repaired()) << run.lines();
    ASSERT_EQ(run.opening.size(), 1U) << run.lines();
    EXPECT_EQ(run.opening[0].line(),
              "coffer.db: page " + std::to_string(page) + " was damaged (healed from coffer.copy)");
    EXPECT_EQ(rig_.disk.bytes("coffer.db"), before);
    EXPECT_TRUE(fsck_now(FsckMode::kCheck).clean());
  }
}

TEST_F(RepairTest, AMissingOrCutDatabaseIsHealedExactlyWhileTheTagsAreWhole) {
  rig_.drop();
  const auto before = rig_.disk.bytes("coffer.db");
  for (const std::size_t left : {std::size_t{0}, std::size_t{kPageSize}, before.size() / 2}) {
    rig_.disk.set_bytes("coffer.db", Bytes(before.begin(), before.begin() + static_cast<std::ptrdiff_t>(left)));
    const auto run = fsck_now(FsckMode::kRepair);
    EXPECT_TRUE(run.repaired()) << run.lines();
    EXPECT_FALSE(run.report->restored) << "nothing is older";
    EXPECT_TRUE(fsck_now(FsckMode::kCheck).clean());
  }
  ASSERT_TRUE(rig_.disk.remove("coffer.db").ok());
  EXPECT_TRUE(fsck_now(FsckMode::kRepair).repaired());
  rig_.open();
  EXPECT_TRUE(reads("small", 1000, 1));
}

TEST_F(RepairTest, EveryNodeOfTheTagsIsHealedExactlyAndASuperblockSlotByItself) {
  rig_.drop();
  const auto whole = rig_.disk.image();
  const auto before = rig_.disk.bytes("coffer.tags");
  unsigned healed = 0;
  for (std::size_t block = 0; (block + 1) * kPageSize <= before.size(); ++block) {
    for (const std::size_t at : {0U, 50U, 4056U, 4095U}) {
      rig_.disk.put_back(*whole);
      rig_.disk.flip_bit("coffer.tags", block * kPageSize + at);
      const auto run = fsck_now(FsckMode::kRepair);
      ASSERT_TRUE(run.repaired()) << run.lines();
      EXPECT_FALSE(run.report->restored) << "nothing is older";
      if (!run.opening.empty()) {
        EXPECT_EQ(run.opening[0].line(),
                  "coffer.tags: block " + std::to_string(block) + " was damaged (healed from coffer.copy)");
        ++healed;
        const auto after = rig_.disk.bytes("coffer.tags");
        EXPECT_TRUE(std::equal(before.begin() + 2 * kPageSize, before.end(), after.begin() + 2 * kPageSize));
      }
      EXPECT_TRUE(fsck_now(FsckMode::kCheck).clean());
      // Both slots say the same again: damage to the other one is none either.
      rig_.disk.flip_bit("coffer.tags", (1 - block % 2) * kPageSize + 70);
      EXPECT_TRUE(fsck_now(FsckMode::kCheck).clean());
    }
  }
  EXPECT_EQ(healed, 3U * 4U) << "of three nodes one place each is in use";
}

TEST_F(RepairTest, AnOldNodeOfTheTagsIsNeverTakenFromTheCopy) {
  rig_.drop();
  const auto old_copy = rig_.disk.bytes(std::string(kCatalogCopyName));
  rig_.open();
  write("later", 1000, 5);
  ASSERT_TRUE(rig_.store().finish().ok());
  rig_.drop();
  rig_.disk.set_bytes(std::string(kCatalogCopyName), old_copy);
  const auto tags = rig_.disk.bytes("coffer.tags");
  for (std::size_t block = 2; (block + 1) * kPageSize <= tags.size(); ++block)
    rig_.disk.flip_bit("coffer.tags", block * kPageSize + 50);
  const auto run = fsck_now(FsckMode::kRepair);
  ASSERT_TRUE(run.repaired()) << run.lines();
  EXPECT_TRUE(run.report->restored) << "the whole copy in place, marked as older; no node of it among newer ones";
}

TEST_F(RepairTest, ADamagedCopyIsMadeAnewAndNeverPutInPlace) {
  rig_.drop();
  const std::string copy(kCatalogCopyName);
  const auto size = rig_.disk.bytes(copy).size();
  const auto whole = rig_.disk.image();
  for (const auto at : {std::size_t{40}, std::size_t{300}, size / 2, size - 5}) {
    rig_.disk.put_back(*whole);
    rig_.disk.flip_bit(copy, at);
    EXPECT_THAT(fsck_now(FsckMode::kCheck).lines(), HasSubstr("coffer.copy: ")) << at;
    const auto run = fsck_now(FsckMode::kRepair);
    EXPECT_TRUE(run.repaired()) << run.lines();
    EXPECT_THAT(run.lines(), HasSubstr("made anew"));
    EXPECT_TRUE(fsck_now(FsckMode::kCheck).clean());

    rig_.disk.put_back(*whole);
    rig_.disk.flip_bit(copy, at);
    ASSERT_TRUE(rig_.disk.remove("coffer.tags").ok());
    const auto before = rig_.disk.snapshot();
    const auto refused = fsck_now(FsckMode::kRepair);
    EXPECT_EQ(refused.report.code(), Code::kDamaged) << at;
    EXPECT_THAT(refused.lines(), HasSubstr("backup"));
    EXPECT_EQ(rig_.disk.snapshot(), before);
  }
}

TEST_F(RepairTest, ADamagedNoteInADataFileIsWrittenAnewAndIsNoDamage) {
  const auto file = data_file_of("large");
  rig_.drop();
  for (const std::size_t half : {0U, kChunk / 2}) rig_.disk.flip_bit(file, half + 70);
  const auto found = fsck_now(FsckMode::kCheck);
  EXPECT_TRUE(found.clean()) << found.lines();
  ASSERT_EQ(found.report->second_copies.size(), 1U);
  EXPECT_EQ(found.report->second_copies[0].object, "bucket/large");
  EXPECT_EQ(fsck_now(FsckMode::kRepair).report->second_copies[0].repaired, "written anew");
  EXPECT_TRUE(fsck_now(FsckMode::kCheck).report->second_copies.empty());
}

TEST_F(RepairTest, APageTheCopyHasNotStaysDamagedAndNothingIsMoved) {
  const auto large = data_file_of("large");
  rig_.drop();
  const auto pages = read_catalog_copy(rig_.disk, keys_, StoreRig::suite())->pages;
  ASSERT_TRUE(rig_.disk.remove("coffer.copy").ok());
  const auto whole = rig_.disk.image();
  unsigned opened = 0;
  for (std::uint64_t page = 1; page < pages; ++page) {
    rig_.disk.put_back(*whole);
    rig_.disk.flip_bit("coffer.db", page * kPageSize + 100);
    rig_.disk.flip_bit(large, slot_offset(0, 0, kChunk));
    const auto run = fsck_now(FsckMode::kRepair);
    EXPECT_FALSE(run.repaired()) << page;
    if (!run.report) continue;
    ++opened;
    for (const auto& one : run.report->damage) EXPECT_EQ(one.repaired, "") << one.line();
  }
  EXPECT_GT(opened, 0U);
}

TEST_F(RepairTest, AnObjectThatDoesNotOpenIsMovedToLostAndFoundAndTheRestOfItReads) {
  const auto file = data_file_of("large");
  const auto ino = ino_of("large");
  rig_.drop();
  rig_.disk.flip_bit(file, slot_offset(0, 2, kChunk) + 5);
  const auto found = fsck_now(FsckMode::kCheck);
  ASSERT_TRUE(found.report.ok());
  EXPECT_TRUE(found.report->damage_remains());
  const auto run = fsck_now(FsckMode::kRepair);
  ASSERT_TRUE(run.repaired()) << run.lines();
  const auto name = "large." + std::to_string(ino);
  for (const auto& one : run.report->damage) {
    EXPECT_EQ(one.object, "bucket/large");
    EXPECT_EQ(one.repaired, "moved to bucket/lost+found/" + name);
  }
  const auto again = fsck_now(FsckMode::kCheck);
  EXPECT_TRUE(again.clean()) << again.lines();
  EXPECT_THAT(again.report->quarantined, ::testing::ElementsAre("bucket/lost+found/" + name));

  rig_.open();
  EXPECT_TRUE(reads("small", 1000, 1) && reads("other", 3 * kChunk, 3));
  EXPECT_EQ(rig_.store().lookup(bucket_, "large").code(), Code::kNotFound);
  const auto folder = rig_.store().lookup(bucket_, "lost+found");
  ASSERT_TRUE(folder.ok());
  EXPECT_EQ(folder->mode, 0700U);
  const auto object = rig_.store().lookup(folder->ino, name);
  ASSERT_TRUE(object.ok());
  ASSERT_TRUE(rig_.store().open_object(object->ino, false).ok());
  const auto bytes = some_bytes(5 * kChunk + 7, 2);
  unsigned damaged = 0;
  for (std::uint64_t chunk = 0; chunk < 5; ++chunk) {
    Bytes piece(kChunk);
    const auto got = rig_.store().read(object->ino, chunk * kChunk, piece);
    if (!got) {
      EXPECT_EQ(got.code(), Code::kDamaged);
      ++damaged;
    } else {
      EXPECT_EQ(piece, Bytes(bytes.begin() + chunk * kChunk, bytes.begin() + (chunk + 1) * kChunk));
    }
  }
  EXPECT_GT(damaged, 0U);
  EXPECT_LT(damaged, 5U);
  rig_.store().release(object->ino);
  // It can be removed, and its folder is an ordinary one.
  EXPECT_TRUE(rig_.store().unlink(folder->ino, name).ok());
  EXPECT_TRUE(rig_.store().remove_directory(bucket_, "lost+found").ok());
  rig_.reopen();  // which takes away what was still referred to
  EXPECT_TRUE(rig_.store().finish().ok());
  rig_.drop();
  EXPECT_TRUE(fsck_now(FsckMode::kCheck).clean());
}

TEST_F(RepairTest, EveryNameOfADamagedObjectIsMoved) {
  const auto ino = ino_of("large");
  const auto file = data_file_of("large");
  ASSERT_TRUE(rig_.store().make_directory(bucket_, "d", {.mode = 0755}).ok());
  ASSERT_TRUE(rig_.store().link(ino, ino_of("d"), "large").ok());
  ASSERT_TRUE(rig_.store().link(ino, bucket_, std::string(255, 'n')).ok());
  ASSERT_TRUE(rig_.store().finish().ok());
  rig_.drop();
  ASSERT_TRUE(rig_.disk.remove(file).ok());
  const auto run = fsck_now(FsckMode::kRepair);
  ASSERT_TRUE(run.repaired()) << run.lines();
  EXPECT_TRUE(fsck_now(FsckMode::kCheck).clean()) << fsck_now(FsckMode::kCheck).lines();
  rig_.open();
  const auto folder = rig_.store().lookup(bucket_, "lost+found");
  ASSERT_TRUE(folder.ok());
  EXPECT_EQ(rig_.store().read_directory(folder->ino, 0, 10)->size(), 3U);
}

TEST_F(RepairTest, ALostAndFoundThatIsAFileStaysAndTheDamageToo) {
  const auto file = data_file_of("large");
  write("lost+found", 10, 4);
  ASSERT_TRUE(rig_.store().finish().ok());
  rig_.drop();
  ASSERT_TRUE(rig_.disk.remove(file).ok());
  const auto run = fsck_now(FsckMode::kRepair);
  ASSERT_TRUE(run.report.ok());
  EXPECT_TRUE(run.report->damage_remains());
  EXPECT_THAT(run.lines(), HasSubstr("lost+found of its bucket is no directory"));
}

TEST_F(RepairTest, DataFilesOfNobodyAreRemoved) {
  rig_.drop();
  ASSERT_TRUE((*rig_.disk.open(data_file_name(0x777), OpenMode::kCreate))->pwrite(0, Bytes(100, 1)).ok());
  EXPECT_EQ(fsck_now(FsckMode::kCheck).report->orphans, 1U);
  EXPECT_EQ(fsck_now(FsckMode::kRepair).report->orphans_removed, 1U);
  EXPECT_EQ(fsck_now(FsckMode::kCheck).report->orphans, 0U);
}

// --- a catalog that does not open ---

class LostCatalog : public RepairTest {
 protected:
  // After the copy: "large" changed, "other" is removed and "later" made, all of it durably.
  LostCatalog() {
    EXPECT_TRUE(rig_.store().write(ino_of("large"), kChunk, some_bytes(100, 9)).ok());
    EXPECT_TRUE(rig_.store().unlink(bucket_, "other").ok());
    write("later", 2 * kChunk, 5);
    EXPECT_TRUE(rig_.store().sync_all().ok());
    rig_.kill();
  }

  // Whatever may be older, nothing is false.
  void expect_restored(const Pass& run, const std::string& what) {
    ASSERT_TRUE(run.repaired()) << what << "\n" << run.lines();
    ASSERT_TRUE(run.report->restored) << what;
    const auto later = std::find_if(run.report->lost.begin(), run.report->lost.end(),
                                    [](const LostFile& file) { return file.object == "bucket/later"; });
    ASSERT_NE(later, run.report->lost.end()) << what;
    const auto again = fsck_now(FsckMode::kCheck);
    EXPECT_TRUE(again.clean()) << what << "\n" << again.lines();
    EXPECT_TRUE(again.report->restored) << what << ": the mark stays";
    rig_.open();
    EXPECT_TRUE(reads("small", 1000, 1)) << what;
    EXPECT_EQ(rig_.store().lookup(bucket_, "later").code(), Code::kNotFound);
    const auto bytes = read(bucket_, "large");
    EXPECT_TRUE(!bytes || *bytes == some_bytes(5 * kChunk + 7, 2)) << what;
    // A mount keeps what no catalog has a map for, and gives no number out again.
    EXPECT_TRUE(rig_.disk.open(later->name, OpenMode::kExisting).ok());
    EXPECT_GT(write("fresh", 2 * kChunk, 6), later->ino);
    EXPECT_TRUE(reads("fresh", 2 * kChunk, 6));
    rig_.drop();
  }
};

TEST_F(LostCatalog, TheCopyIsPutInPlaceAndEverythingIsChecked) {
  const auto whole = rig_.disk.image();
  for (const std::string name : {"coffer.tags", "coffer.db-wal", "coffer.db"}) {
    for (const std::string how : {"missing", "empty", "garbage"}) {
      const auto what = name + " " + how;
      rig_.disk.put_back(*whole);
      if (how == "missing") (void)rig_.disk.remove(name);
      if (how == "empty") rig_.disk.set_bytes(name, {});
      if (how == "garbage") rig_.disk.set_bytes(name, some_bytes(rig_.disk.bytes(name).size(), 8));
      EXPECT_FALSE(fsck_now(FsckMode::kCheck).clean()) << what;
      const auto run = fsck_now(FsckMode::kRepair);
      if (name == "coffer.db") {
        // The pages as of the copy are what the tags demand, and the log has the rest.
        ASSERT_TRUE(run.repaired()) << what << "\n" << run.lines();
        EXPECT_FALSE(run.report->restored) << what;
        rig_.open();
        EXPECT_TRUE(reads("later", 2 * kChunk, 5)) << what;
        rig_.drop();
        continue;
      }
      expect_restored(run, what);
      EXPECT_EQ(rig_.disk.open(name + ".damaged", OpenMode::kExisting).ok(), how != "missing") << what;
    }
  }
}

TEST_F(LostCatalog, WithoutACopyNothingIsTouched) {
  ASSERT_TRUE(rig_.disk.remove("coffer.copy").ok());
  ASSERT_TRUE(rig_.disk.remove("coffer.tags").ok());
  const auto before = rig_.disk.snapshot();
  const auto run = fsck_now(FsckMode::kRepair);
  EXPECT_EQ(run.report.code(), Code::kDamaged);
  EXPECT_THAT(run.lines(), HasSubstr("backup"));
  EXPECT_EQ(rig_.disk.snapshot(), before);
}

TEST_F(LostCatalog, ARepairMayBeCutOffAtAnyCall) {
  ASSERT_TRUE(rig_.disk.remove("coffer.tags").ok());
  ASSERT_TRUE(rig_.disk.sync_all().ok());
  const auto whole = rig_.disk.image();
  std::uint64_t refused = 0;
  for (std::uint64_t n = 1;; ++n) {
    rig_.disk.put_back(*whole);
    rig_.disk.fail_at(n, SimulatedDisk::Fault::kPowerOff);
    (void)fsck_now(FsckMode::kRepair);
    const bool happened = rig_.disk.fault_happened();
    const auto place = "call " + std::to_string(n) + ", " + rig_.disk.fault_place();
    rig_.disk.fail_never();
    if (!happened) break;
    rig_.crash(n);
    // Before the repair ends no mount gets the chance to sweep.
    if (is_restoring(rig_.disk)) {
      EXPECT_EQ(rig_.try_open().code(), Code::kDamaged) << place;
      rig_.drop();
      ++refused;
    }
    expect_restored(fsck_now(FsckMode::kRepair), place);
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(refused, 10U);
}

}  // namespace
}  // namespace coffer::testing
