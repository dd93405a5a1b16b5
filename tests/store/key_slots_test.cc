#include "store/key_slots.h"

#include <gtest/gtest.h>

#include "tests/support/simulated_disk.h"

// The unlock slots' file and the catalog that knows it, through every failure and power cut of a change.
namespace coffer {
namespace {

using testing::SimulatedDisk;

UnlockSecret key_file(std::uint8_t filler) { return KeyFile{Key::copy_of(Bytes(32, filler))}; }

class KeySlotsTest : public ::testing::Test {
 protected:
  KeySlotsTest() {
    auto made = UnlockSlots::create(suite(), key_file(1)).value();
    slots = std::make_unique<UnlockSlots>(std::move(made.first));
    keys = std::make_unique<KeySchedule>(std::move(made.second));
    next = std::make_unique<UnlockSlots>(slots->with(suite(), *keys, key_file(2), SlotKind::kKeyFile).value());
  }
  static const AeadSuite& suite() {
    static const AeadSuite kSuite = *AeadSuite::detect();
    return kSuite;
  }
  void make(SimulatedDisk& disk) {
    auto catalog = Catalog::create(disk, *keys, suite(), realm, boot());
    ASSERT_TRUE(catalog.ok());
    {
      std::lock_guard lock((*catalog)->mutex());
      ASSERT_TRUE((*catalog)->set_blob("keyslots_hash", slots->hash()).ok());
    }
    ASSERT_TRUE(commit_everything(**catalog, disk).ok());
    ASSERT_TRUE(write_key_slots(disk, *slots).ok());
  }
  // Opens as every command does: the slots first, then the catalog, then whether they belong together.
  Result<std::unique_ptr<Catalog>> open(SimulatedDisk& disk) {
    COFFER_ASSIGN(const auto found, read_key_slots(disk));
    COFFER_TRY(found.open(suite(), key_file(1)));
    COFFER_ASSIGN(auto catalog, Catalog::open(disk, *keys, suite(), boot()));
    COFFER_TRY(settle_key_slots(*catalog, disk, found));
    return catalog;
  }
  Status change(Catalog& catalog, SimulatedDisk& disk, const UnlockSlots& from, const UnlockSlots& to) {
    return change_key_slots(catalog, disk, from, to, [&] { return commit_everything(catalog, disk); });
  }
  std::string boot() const { return "boot " + std::to_string(boots); }
  static Bytes hash_in(Catalog& catalog) {
    std::lock_guard lock(catalog.mutex());
    return catalog.blob("keyslots_hash")->value();
  }

  std::unique_ptr<UnlockSlots> slots, next;
  std::unique_ptr<KeySchedule> keys;
  Realm realm{*AccountId::parse("000000000000"), *Region::parse("us-east-1")};
  int boots = 1;
};

TEST_F(KeySlotsTest, AChangeIsThereAfterItAndTheFileBeforeItIsRefused) {
  SimulatedDisk disk;
  make(disk);
  const auto before = disk.bytes("keyslots.json");
  {
    auto catalog = open(disk);
    ASSERT_TRUE(catalog.ok());
    ASSERT_TRUE(change(**catalog, disk, *slots, *next).ok());
    EXPECT_EQ(hash_in(**catalog), next->hash());
  }
  EXPECT_TRUE(open(disk).ok());
  const auto after = disk.bytes("keyslots.json");
  disk.set_bytes("keyslots.json", before);
  EXPECT_EQ(open(disk).code(), Code::kDamaged);
  disk.set_bytes("keyslots.json", after);
  EXPECT_TRUE(open(disk).ok());
}

TEST_F(KeySlotsTest, AChangeOfSlotsThatAreNotTheFilesIsRefused) {
  SimulatedDisk disk;
  make(disk);
  auto catalog = open(disk);
  ASSERT_TRUE(catalog.ok());
  ASSERT_TRUE(change(**catalog, disk, *slots, *next).ok());
  EXPECT_EQ(change(**catalog, disk, *slots, *next).code(), Code::kBusy);
  EXPECT_EQ(read_key_slots(disk)->hash(), next->hash());
}

// Whenever the power goes or a call fails, the store opens afterwards, with the one set of slots or the other, and the
// one that was left is refused from then on.
TEST_F(KeySlotsTest, EveryStepOfAChangeMayFailOrBeTheLast) {
  using Fault = SimulatedDisk::Fault;
  for (const auto fault : {Fault::kIo, Fault::kNoSpace, Fault::kTorn, Fault::kPowerOff}) {
    int old_ones = 0, new_ones = 0;
    bool happened = true;
    for (std::uint64_t n = 1; happened; ++n) {
      ASSERT_LT(n, 1000U);
      SimulatedDisk disk(n);
      make(disk);
      const auto before = disk.bytes("keyslots.json");
      Status changed;
      {
        auto catalog = open(disk);
        ASSERT_TRUE(catalog.ok());
        disk.fail_at(n, fault);
        changed = change(**catalog, disk, *slots, *next);
        happened = disk.fault_happened();
        disk.fail_never();
        disk.crash(n * 7 + 1);
      }
      disk.start();
      ++boots;
      auto catalog = open(disk);
      ASSERT_TRUE(catalog.ok()) << "fault " << static_cast<int>(fault) << " at " << n << ": " << catalog.error().message;
      const auto found = read_key_slots(disk)->hash();
      EXPECT_TRUE(found == slots->hash() || found == next->hash());
      EXPECT_TRUE(!changed.ok() || found == next->hash());
      EXPECT_EQ(hash_in(**catalog), found);
      ++(found == next->hash() ? new_ones : old_ones);
      catalog->reset();
      // What was left behind stays behind.
      const Bytes other = found == slots->hash() ? to_bytes(as_bytes(next->to_json())) : before;
      disk.set_bytes("keyslots.json", other);
      EXPECT_EQ(open(disk).code(), Code::kDamaged) << n;
    }
    EXPECT_GT(old_ones, 2) << static_cast<int>(fault);
    EXPECT_GT(new_ones, 1) << static_cast<int>(fault);
  }
}

// A change that failed half-way in a process that goes on does not shut out the next change.
TEST_F(KeySlotsTest, AChangeAfterOneThatFailedSurvivesAPowerCut) {
  for (std::uint64_t n = 1; n < 60; ++n) {
    SimulatedDisk disk(n);
    make(disk);
    auto catalog = open(disk);
    ASSERT_TRUE(catalog.ok());
    disk.fail_at(n, SimulatedDisk::Fault::kNoSpace);
    const auto first = change(**catalog, disk, *slots, *next);
    disk.fail_never();
    const auto now = read_key_slots(disk);
    ASSERT_TRUE(now.ok());
    const auto third = now->with(suite(), *keys, key_file(3), SlotKind::kKeyFile).value();
    const auto second = change(**catalog, disk, *now, third);
    disk.crash(n);
    catalog->reset();
    disk.start();
    ++boots;
    const auto reopened = open(disk);
    ASSERT_TRUE(reopened.ok()) << n << ": " << reopened.error().message;
    EXPECT_TRUE(!second.ok() || read_key_slots(disk)->hash() == third.hash()) << n;
    EXPECT_TRUE(!first.ok() || second.ok()) << n;
  }
}

}  // namespace
}  // namespace coffer
