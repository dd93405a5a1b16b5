#include "store/root_rekey.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/limits.h"
#include "crypto/bucket_keys.h"
#include "crypto/keyring.h"
#include "crypto/local_kms.h"
#include "store/chunk_map.h"
#include "store/file_header.h"
#include "store/fsck.h"
#include "store/key_slots.h"
#include "store/store.h"
#include "tests/store/store_rig.h"
#include "tests/support/effort.h"
#include "tests/support/manual_clock.h"
#include "tests/support/material_wrapping.h"
#include "tests/support/simulated_disk.h"

namespace coffer {
namespace {

using testing::read_all;
using testing::SimulatedDisk;
using testing::some_bytes;
using testing::StoreRig;

constexpr std::int64_t kDayNs = std::int64_t{24} * 3600 * 1'000'000'000;
constexpr std::uint8_t kOld = 1, kNew = 2, kOther = 3;  // what the key files are filled with

UnlockSecret key_file(std::uint8_t filler) { return KeyFile{Key::copy_of(Bytes(32, filler))}; }

// A store, opened with a secret as every command opens it.
struct Opened {
  std::unique_ptr<KeySchedule> keys;
  std::unique_ptr<Catalog> catalog;
  std::unique_ptr<LocalKms> kms;
  std::unique_ptr<BucketKeys> bucket_keys;
  std::unique_ptr<Keyring> keyring;
  std::unique_ptr<Store> store;
};

class RootRekeyTest : public ::testing::Test {
 protected:
  void SetUp() override {
    {
      auto made = UnlockSlots::create(suite(), key_file(kOld)).value();
      ASSERT_TRUE(disk.make_folder("objects").ok());
      for (std::uint64_t low = 0; low < 256; ++low) ASSERT_TRUE(disk.make_folder(data_file_folder(low)).ok());
      auto catalog = Catalog::create(disk, made.second, suite(), realm, boot());
      ASSERT_TRUE(catalog.ok());
      {
        std::lock_guard lock((*catalog)->mutex());
        ASSERT_TRUE((*catalog)->set_blob("keyslots_hash", made.first.hash()).ok());
      }
      ASSERT_TRUE(commit_everything(**catalog, disk).ok());
      ASSERT_TRUE(write_key_slots(disk, made.first).ok());
    }
    fill();
    whole = disk.snapshot();
  }

  static const AeadSuite& suite() { return StoreRig::suite(); }
  std::string boot() const { return "boot " + std::to_string(boots); }

  Result<std::unique_ptr<Opened>> open(std::uint8_t secret, Unfinished unfinished = Unfinished::kRemove) {
    COFFER_TRY(settle_rekey(disk, unfinished));
    auto opened = std::make_unique<Opened>();
    COFFER_ASSIGN(const auto slots, read_key_slots(disk));
    COFFER_ASSIGN(auto unlocked, slots.open(suite(), key_file(secret)));
    opened->keys = std::make_unique<KeySchedule>(std::move(unlocked.keys));
    COFFER_ASSIGN(opened->catalog, Catalog::open(disk, *opened->keys, suite(), boot()));
    COFFER_TRY(settle_key_slots(*opened->catalog, disk, slots));
    COFFER_ASSIGN(opened->kms, LocalKms::open(*opened->keys, suite(), *opened->catalog, clock, realm));
    opened->bucket_keys = std::make_unique<BucketKeys>(*opened->kms, suite(), clock);
    opened->keyring =
        std::make_unique<Keyring>(*opened->keys, suite(), *opened->kms, *opened->bucket_keys);
    COFFER_ASSIGN(opened->store, Store::open(*opened->catalog, disk, *opened->keyring, clock, log_nowhere(),
                                             StoreRig::principal()));
    return opened;
  }

  // As `coffer unlock rekey` does it, first or again.
  Status rekey(std::uint8_t old_secret, const std::vector<std::uint8_t>& new_secrets) {
    COFFER_TRY(settle_rekey(disk, Unfinished::kKeep));
    COFFER_ASSIGN(const auto slots, read_key_slots(disk));
    RekeyWish wish;
    for (const auto filler : new_secrets) wish.secrets.push_back({key_file(filler), SlotKind::kKeyFile});
    const auto opened = slots.open(suite(), key_file(old_secret));
    if (!opened.ok() && slots.open(suite(), key_file(new_secrets[0])).ok()) return {};
    if (!opened.ok()) return opened.error();
    return rekey_root(disk, suite(), clock, boot(), slots, opened->keys, wish);
  }

  SseRule rule_of(SseAlgorithm algorithm, const std::string& arn, bool bucket_key = false) {
    SseRule rule;
    rule.algorithm = algorithm;
    if (algorithm != SseAlgorithm::kAes256) rule.kms_key = arn;
    rule.bucket_key_enabled = bucket_key;
    return rule;
  }

  // Objects of every scheme, small and large, and everything else a catalog can hold.
  void fill() {
    auto opened = open(kOld);
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    Store& store = *(*opened)->store;
    LocalKms& kms = *(*opened)->kms;
    const auto bucket = store.create_bucket(name, NewInode{0755, 1, 1, 0})->ino;
    key = kms.create_key("one")->arn;
    const auto disabled = kms.create_key("disabled")->arn;
    ASSERT_TRUE(kms.create_alias("alias/mine", key.substr(key.rfind('/') + 1)).ok());
    const auto put = [&](const SseRule& rule, const std::string& leaf, std::size_t size) {
      ASSERT_TRUE(store.put_rule(name, rule).ok());
      const auto made = store.create(bucket, leaf, NewInode{0640, 1000, 1000, 0});
      ASSERT_TRUE(made.ok()) << made.error().message;
      ASSERT_TRUE(store.write(made->ino, 0, some_bytes(size, size)).ok());
      store.release(made->ino);
      objects[leaf] = some_bytes(size, size);
    };
    const std::vector<std::size_t> sizes{0, 100, 3 * std::size_t{kChunkSize} + 5};
    for (const auto size : sizes) {
      const auto tail = std::to_string(size);
      put(SseRule(), "aes" + tail, size);
      put(rule_of(SseAlgorithm::kAwsKms, key), "kms" + tail, size);
      put(rule_of(SseAlgorithm::kAwsKms, "alias/mine", true), "bucket-key" + tail, size);
      if (suite().can_double()) put(rule_of(SseAlgorithm::kAwsKmsDsse, key), "dsse" + tail, size);
      if (suite().can_double()) put(rule_of(SseAlgorithm::kAwsKmsDsse, disabled), "shut" + tail, size);
    }
    ASSERT_TRUE(kms.rotate(key).ok());
    ASSERT_TRUE(kms.disable(disabled).ok());
    ASSERT_TRUE(store.put_rule(name, rule_of(SseAlgorithm::kAwsKms, key)).ok());
    // In the middle of a reseal: two envelopes.
    const auto half = *store.resolve(name.str(), "aes" + std::to_string(sizes[2]));
    ASSERT_TRUE(store.write(half, 0, as_bytes("x")).ok());
    objects["aes" + std::to_string(sizes[2])][0] = 'x';
    ASSERT_TRUE(store.reseal_step().ok());
    const auto folder = store.make_directory(bucket, "folder", NewInode{0750, 1, 1, 0});
    ASSERT_TRUE(store.make_symlink(bucket, "link", "folder/target", NewInode{0777, 1, 1, 0}).ok());
    ASSERT_TRUE(store.link(half, folder->ino, "hard").ok());
    objects["folder/hard"] = objects["aes" + std::to_string(sizes[2])];
    ASSERT_TRUE(store.set_xattr(half, "user.colour", as_bytes("blue"), XattrMode::kAny).ok());
    ASSERT_TRUE(store.finish().ok());
  }

  // A key whose material, 32 bytes of 7, came from outside; its ARN.
  std::string import_key(Opened& opened, std::optional<std::int64_t> expires_ns) {
    const auto made = opened.kms->create_key({.description = "imported", .origin = KeyOrigin::kExternal}, realm.account);
    EXPECT_TRUE(made.ok() && import_into(opened, made->arn, Bytes(32, 7), expires_ns).ok());
    return made->arn;
  }
  Result<KeyMetadata> import_into(Opened& opened, const std::string& arn, BytesView material,
                                  std::optional<std::int64_t> expires_ns) {
    constexpr auto kWrapping = ImportWrapping::kOaepSha256;
    COFFER_ASSIGN(const auto offer, opened.kms->parameters_for_import(arn, kWrapping, 2048));
    return opened.kms->import_material(arn, offer.token, wrap_material_for(offer.public_key, kWrapping, material),
                                       expires_ns);
  }
  // An object in two layers, one of them the root's.
  void put_under(Opened& opened, const std::string& arn, const std::string& leaf) {
    const auto algorithm = suite().can_double() ? SseAlgorithm::kAwsKmsDsse : SseAlgorithm::kAwsKms;
    Store& store = *opened.store;
    ASSERT_TRUE(store.put_rule(name, rule_of(algorithm, arn)).ok());
    const auto made = store.create(*store.resolve(name.str(), "folder"), leaf, NewInode{0640, 1000, 1000, 0});
    ASSERT_TRUE(made.ok()) << made.error().message;
    ASSERT_TRUE(store.write(made->ino, 0, some_bytes(100, 100)).ok());
    store.release(made->ino);
    objects["folder/" + leaf] = some_bytes(100, 100);
  }

  // Every object by name, the keys of the KMS, and fsck.
  void expect_whole(Opened& opened) {
    Store& store = *opened.store;
    for (const auto& [leaf, expected] : objects) {
      const auto ino = store.resolve(name.str(), leaf);
      ASSERT_TRUE(ino.ok()) << leaf;
      const auto got = read_all(store, *ino);
      if (leaf.starts_with("shut") && !expected.empty()) {
        EXPECT_EQ(got.code(), Code::kKeyDisabled) << leaf;
        continue;
      }
      if (leaf.starts_with("shut")) continue;
      ASSERT_TRUE(got.ok()) << leaf << ": " << got.error().message;
      EXPECT_TRUE(*got == expected) << leaf;
    }
    const auto ino = *store.resolve(name.str(), "folder/hard");
    EXPECT_EQ(as_text(*store.xattr(ino, "user.colour")), "blue");
    EXPECT_EQ(store.get(ino)->nlink, 2U);
    EXPECT_EQ(*store.read_symlink(*store.resolve(name.str(), "link")), "folder/target");
    EXPECT_TRUE(opened.kms->describe("alias/mine").ok());
    const auto report =
        fsck(*opened.catalog, disk, *opened.keyring, StoreRig::principal(), FsckMode::kCheck, SystemClock(),
             [](auto, auto) {});
    ASSERT_TRUE(report.ok()) << report.error().message;
    EXPECT_TRUE(report->damage.empty()) << report->damage.front().line();
    EXPECT_EQ(report->orphans, 0U);
  }
  // The store as fill() left it; a snapshot knows no empty folders.
  void restore() {
    disk.restore(whole);
    ASSERT_TRUE(disk.make_folder("objects").ok());
    for (std::uint64_t low = 0; low < 256; ++low) ASSERT_TRUE(disk.make_folder(data_file_folder(low)).ok());
    ASSERT_TRUE(disk.sync_all().ok());
  }
  void expect_nothing_left_over() {
    for (const auto& [file, bytes] : disk.snapshot())
      EXPECT_FALSE(file.ends_with(".next") || file.ends_with(".new")) << file;
  }

  SimulatedDisk disk;
  SimulatedDisk::Snapshot whole;
  ManualClock clock;
  Realm realm = StoreRig::realm();
  int boots = 1;
  const BucketName name = *BucketName::parse("bucket");
  std::string key;
  std::map<std::string, Bytes> objects;
};

TEST_F(RootRekeyTest, TheNewSecretsAloneOpenEverything) {
  ASSERT_TRUE(rekey(kOld, {kNew, kOther}).ok());
  EXPECT_EQ(open(kOld).code(), Code::kWrongUnlock);
  for (const auto secret : {kNew, kOther}) {
    auto opened = open(secret);
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    expect_whole(**opened);
  }
  expect_nothing_left_over();
}

TEST_F(RootRekeyTest, AnInterruptedRepairIsEndedFirst) {
  ASSERT_TRUE(disk.open(kRestoringName, OpenMode::kCreate).ok());
  const auto before = disk.snapshot();
  const auto refused = rekey(kOld, {kNew});
  EXPECT_EQ(refused.code(), Code::kDamaged);
  EXPECT_NE(refused.error().message.find("--repair"), std::string::npos);
  EXPECT_EQ(disk.snapshot(), before);
  ASSERT_TRUE(disk.remove(kRestoringName).ok());
  EXPECT_TRUE(rekey(kOld, {kNew}).ok());
}

TEST_F(RootRekeyTest, ADisabledKeysObjectsOpenAgainOnceItIsEnabled) {
  if (!suite().can_double()) GTEST_SKIP() << "one AES-256-GCM library alone works on this machine";
  ASSERT_TRUE(rekey(kOld, {kNew}).ok());
  auto opened = open(kNew);
  ASSERT_TRUE(opened.ok());
  for (const auto& metadata : (*opened)->kms->list_keys())
    EXPECT_TRUE(metadata.state != KeyState::kDisabled || (*opened)->kms->enable(metadata.arn).ok());
  const auto got = read_all(*(*opened)->store, *(*opened)->store->resolve(name.str(), "shut100"));
  ASSERT_TRUE(got.ok()) << got.error().message;
  EXPECT_TRUE(*got == objects["shut100"]);
}

TEST_F(RootRekeyTest, ImportedMaterialIsThereAfterwardsAndItsExpiryToo) {
  std::string imported;
  {
    auto opened = open(kOld);
    ASSERT_TRUE(opened.ok());
    imported = import_key(**opened, clock.wall_ns() + kDayNs);
    put_under(**opened, imported, "imported");
    ASSERT_TRUE((*opened)->store->finish().ok());
  }
  ASSERT_TRUE(rekey(kOld, {kNew}).ok());
  auto opened = open(kNew);
  ASSERT_TRUE(opened.ok());
  expect_whole(**opened);
  clock.advance_ns(kDayNs);
  EXPECT_EQ((*opened)->kms->usable(imported, {}, StoreRig::principal()).code(), Code::kKeyPendingImport);
}

TEST_F(RootRekeyTest, ImportedMaterialThatIsGoneCanComeBackUnderTheNewRoot) {
  std::string imported;
  {
    auto opened = open(kOld);
    ASSERT_TRUE(opened.ok());
    imported = import_key(**opened, std::nullopt);
    ASSERT_TRUE((*opened)->kms->delete_imported_material(imported).ok());
    ASSERT_TRUE((*opened)->store->finish().ok());
  }
  ASSERT_TRUE(rekey(kOld, {kNew}).ok());
  auto opened = open(kNew);
  ASSERT_TRUE(opened.ok());
  expect_whole(**opened);
  EXPECT_EQ(import_into(**opened, imported, Bytes(32, 8), std::nullopt).code(), Code::kWrongMaterial);
  EXPECT_TRUE(import_into(**opened, imported, Bytes(32, 7), std::nullopt).ok());
}

TEST_F(RootRekeyTest, AnObjectWhoseImportedMaterialIsGoneHoldsTheRootUntilItIsBack) {
  if (!suite().can_double()) GTEST_SKIP() << "one AES-256-GCM library alone works on this machine";
  std::string imported;
  {
    auto opened = open(kOld);
    ASSERT_TRUE(opened.ok());
    imported = import_key(**opened, std::nullopt);
    put_under(**opened, imported, "imported");
    ASSERT_TRUE((*opened)->kms->delete_imported_material(imported).ok());
    ASSERT_TRUE((*opened)->store->finish().ok());
  }
  const auto refused = rekey(kOld, {kNew});
  EXPECT_EQ(refused.code(), Code::kKeyPendingImport);
  {
    auto opened = open(kOld);
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    ASSERT_TRUE(import_into(**opened, imported, Bytes(32, 7), std::nullopt).ok());
    expect_whole(**opened);
    ASSERT_TRUE((*opened)->store->finish().ok());
  }
  ASSERT_TRUE(rekey(kOld, {kNew}).ok());
  auto opened = open(kNew);
  ASSERT_TRUE(opened.ok());
  expect_whole(**opened);
}

TEST_F(RootRekeyTest, TheOldSlotsPutBackOpenNothing) {
  const auto old_slots = disk.bytes("keyslots.json");
  ASSERT_TRUE(rekey(kOld, {kNew}).ok());
  const auto new_slots = disk.bytes("keyslots.json");
  disk.set_bytes("keyslots.json", old_slots);
  EXPECT_EQ(open(kOld).code(), Code::kDamaged);
  EXPECT_EQ(open(kNew).code(), Code::kWrongUnlock);
  disk.set_bytes("keyslots.json", new_slots);
  EXPECT_TRUE(open(kNew).ok());
}

TEST_F(RootRekeyTest, NoFileOfTheNewCatalogIsSealedUnderTheOldRoot) {
  const auto old_keys = read_key_slots(disk)->unlock(suite(), key_file(kOld)).value();
  ASSERT_TRUE(rekey(kOld, {kNew}).ok());
  EXPECT_FALSE(verify_sealed_files(disk, old_keys, suite()).ok());
  const auto files = disk.snapshot();
  for (const auto* file : {"coffer.db", "coffer.db-wal", "coffer.tags"}) {
    auto mixed = whole;
    mixed[file] = files.at(file);
    disk.restore(mixed);
    EXPECT_FALSE(open(kOld).ok()) << file;
  }
}

TEST_F(RootRekeyTest, ContentStaysWhereItIs) {
  ASSERT_TRUE(rekey(kOld, {kNew}).ok());
  const auto after = disk.snapshot();
  const auto content = [](const Bytes& file) { return BytesView(file).subspan(std::min<std::size_t>(kChunkSize, file.size())); };
  for (const auto& [file, bytes] : whole) {
    if (!file.starts_with("objects/")) continue;
    EXPECT_TRUE(std::ranges::equal(content(after.at(file)), content(bytes))) << file;
  }
}

TEST_F(RootRekeyTest, NoSecondCopyIsLeftUnderTheOldRoot) {
  const auto old_keys = read_key_slots(disk)->unlock(suite(), key_file(kOld)).value();
  ASSERT_TRUE(whole.contains("coffer.copy"));
  ASSERT_TRUE(rekey(kOld, {kNew}).ok());
  const auto new_keys = read_key_slots(disk)->unlock(suite(), key_file(kNew)).value();
  const FileHeaders old_headers(old_keys, suite()), new_headers(new_keys, suite());
  std::size_t headers = 0;
  for (const auto& [name_of_file, bytes] : disk.snapshot()) {
    EXPECT_NE(name_of_file, "coffer.copy");
    if (!name_of_file.starts_with("objects/")) continue;
    const auto number = parse_data_file(name_of_file.substr(name_of_file.rfind('/') + 1)).value();
    const auto file = disk.open(name_of_file, OpenMode::kExisting).value();
    EXPECT_EQ(old_headers.read(*file, number).code(), Code::kDamaged) << name_of_file << " opens under the old root";
    const auto header = new_headers.read(*file, number);
    ASSERT_TRUE(header.ok()) << name_of_file << ": " << header.error().message;
    ASSERT_TRUE(header->has_value());
    EXPECT_EQ((*header)->bucket, name.str());
    ++headers;
  }
  EXPECT_GT(headers, 3U);
}

TEST_F(RootRekeyTest, ASecretThatOpensTheStoreNowIsRefused) {
  EXPECT_EQ(rekey(kOld, {kNew, kOld}).code(), Code::kExists);
  auto opened = open(kOld);
  ASSERT_TRUE(opened.ok());
  expect_whole(**opened);
}

TEST_F(RootRekeyTest, ADamagedCatalogKeepsItsRoot) {
  {
    auto opened = open(kOld);
    ASSERT_TRUE(opened.ok());
    const auto folder = *(*opened)->store->resolve(name.str(), "folder");
    std::lock_guard lock((*opened)->catalog->mutex());
    Inode odd = *(*opened)->catalog->inode(folder);
    odd.nlink = 7;
    ASSERT_TRUE((*opened)->catalog->update_inode(odd).ok());
    SealedDatabase::DataSynced all;
    all.this_commit = true;
    ASSERT_TRUE((*opened)->catalog->database().commit(all).ok());
  }
  EXPECT_EQ(rekey(kOld, {kNew}).code(), Code::kDamaged);
  EXPECT_TRUE(open(kOld).ok());
  expect_nothing_left_over();
}

// Wherever the power goes: one secret opens the store and the other does not, everything is there, nothing is left over,
// and a second call finishes what the first began.
TEST_F(RootRekeyTest, ThePowerMayGoAtEveryStep) {
  const int stride = static_cast<int>(testing::stride(1));
  int old_ones = 0, new_ones = 0;
  bool happened = true;
  for (int n = 1; happened; n += stride) {
    ASSERT_LT(n, 5000);
    for (const bool again : {false, true}) {
      restore();
      disk.fail_at(n, SimulatedDisk::Fault::kPowerOff);
      const auto first = rekey(kOld, {kNew});
      happened = disk.fault_happened();
      EXPECT_EQ(first.ok(), !happened) << n;
      disk.fail_never();
      disk.crash(n * 31 + 7);
      disk.start();
      ++boots;
      if (again) {
        const auto second = rekey(kOld, {kNew});
        ASSERT_TRUE(second.ok()) << n << ": " << second.error().message;
      }
      auto old_one = open(kOld);
      const bool is_old = old_one.ok();
      auto opened = is_old ? std::move(old_one) : open(kNew);
      ASSERT_TRUE(opened.ok()) << n << ": " << opened.error().message;
      EXPECT_FALSE(again && is_old) << n;
      if (!again) ++(is_old ? old_ones : new_ones);
      if (n % 7 == 0 || !is_old) expect_whole(**opened);
      if (HasFailure()) FAIL() << "at " << n << (again ? ", called again" : "");
      opened->reset();
      expect_nothing_left_over();
      EXPECT_EQ(open(is_old ? kNew : kOld).code(), Code::kWrongUnlock) << n;
    }
  }
  EXPECT_GT(old_ones * stride, 10);
  EXPECT_GT(new_ones * stride, 3);
}

TEST_F(RootRekeyTest, AnyCallOfTheDiskMayFailAndTheStoreOpensAllTheSame) {
  using Fault = SimulatedDisk::Fault;
  for (const auto fault : {Fault::kIo, Fault::kNoSpace}) {
    bool happened = true;
    for (std::uint64_t n = 1; happened; n += testing::stride(3)) {
      restore();
      disk.fail_at(n, fault);
      const auto done = rekey(kOld, {kNew});
      happened = disk.fault_happened();
      disk.fail_never();
      auto opened = open(kOld);
      if (!opened.ok()) opened = open(kNew);
      ASSERT_TRUE(opened.ok()) << n << ": " << opened.error().message;
      EXPECT_TRUE(!done.ok() || open(kOld).code() == Code::kWrongUnlock);
      if (n % 5 == 1) expect_whole(**opened);
      if (HasFailure()) FAIL() << "fault " << static_cast<int>(fault) << " at " << n;
    }
  }
}

TEST_F(RootRekeyTest, ACallAfterAKillGoesOnWithTheRootItHadMade) {
  std::uint64_t steps = 0;
  {
    const auto before = disk.calls();
    ASSERT_TRUE(rekey(kOld, {kNew}).ok());
    steps = disk.calls() - before;
  }
  restore();
  disk.fail_at(steps * 3 / 4, SimulatedDisk::Fault::kPowerOff);
  ASSERT_FALSE(rekey(kOld, {kNew}).ok());
  disk.fail_never();
  disk.kill();
  disk.start();
  const auto left = UnlockSlots::parse(as_text(disk.bytes("keyslots.json.next")));
  ASSERT_TRUE(left.ok());
  const auto begun = left->unlock(suite(), key_file(kNew)).value();
  ASSERT_TRUE(rekey(kOld, {kNew}).ok());
  const auto done = read_key_slots(disk)->unlock(suite(), key_file(kNew)).value();
  EXPECT_TRUE(equal_constant_time(begun.purpose_key(Purpose::kKms), done.purpose_key(Purpose::kKms)));
  auto opened = open(kNew);
  ASSERT_TRUE(opened.ok());
  expect_whole(**opened);
}

TEST_F(RootRekeyTest, WhatChangedAfterAnInterruptedCallIsInTheNextOne) {
  disk.fail_at(60, SimulatedDisk::Fault::kPowerOff);
  ASSERT_FALSE(rekey(kOld, {kNew}).ok());
  disk.fail_never();
  disk.kill();
  disk.start();
  {
    auto opened = open(kOld, Unfinished::kKeep);  // as no command does it: the next catalog stays, and is too old
    ASSERT_TRUE(opened.ok());
    Store& store = *(*opened)->store;
    const auto made = store.create(*store.resolve(name.str(), "folder"), "late", NewInode{0640, 1, 1, 0});
    ASSERT_TRUE(made.ok());
    ASSERT_TRUE(store.write(made->ino, 0, some_bytes(500, 9)).ok());
    ASSERT_TRUE(store.sync_all().ok());
  }
  objects["folder/late"] = some_bytes(500, 9);
  ASSERT_TRUE(rekey(kOld, {kNew}).ok());
  auto opened = open(kNew);
  ASSERT_TRUE(opened.ok());
  expect_whole(**opened);
}

TEST_F(RootRekeyTest, OtherNewSecretsBeginAnew) {
  disk.fail_at(60, SimulatedDisk::Fault::kPowerOff);
  ASSERT_FALSE(rekey(kOld, {kNew}).ok());
  disk.fail_never();
  disk.kill();
  disk.start();
  ASSERT_TRUE(rekey(kOld, {kOther}).ok());
  EXPECT_EQ(open(kNew).code(), Code::kWrongUnlock);
  EXPECT_EQ(open(kOld).code(), Code::kWrongUnlock);
  auto opened = open(kOther);
  ASSERT_TRUE(opened.ok());
  expect_whole(**opened);
}

}  // namespace
}  // namespace coffer
