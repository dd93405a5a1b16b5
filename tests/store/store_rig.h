#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <string>

#include "crypto/bucket_keys.h"
#include "crypto/keyring.h"
#include "crypto/local_kms.h"
#include "store/catalog.h"
#include "store/chunk_map.h"
#include "store/store.h"
#include "tests/support/faulty_kms.h"
#include "tests/support/manual_clock.h"
#include "tests/support/simulated_disk.h"

namespace coffer::testing {

// A whole store on a disk in memory: it can be closed, killed, cut off from power, and opened again. All rigs have the
// same root key, so that one can open what another left on its disk.
class StoreRig {
 public:
  explicit StoreRig(std::uint64_t seed = 1) : disk(seed), keys_(root_key(), StoreId{1, 2, 3}) {
    EXPECT_TRUE(disk.make_folder("objects").ok());
    for (std::uint64_t low = 0; low < 256; ++low) EXPECT_TRUE(disk.make_folder(data_file_folder(low)).ok());
    EXPECT_TRUE(disk.sync_all().ok());
    catalog_ = *Catalog::create(disk, keys_, suite(), realm(), boot());
    finish_opening();
  }
  // Not opened yet. boot: another one than that of the store on the disk means that the power was off in between.
  StoreRig(const SimulatedDisk::Image& image, int boot) : keys_(root_key(), StoreId{1, 2, 3}), boots_(boot) {
    disk.put_back(image);
  }
  ~StoreRig() { drop(); }

  static const AeadSuite& suite() {
    static const AeadSuite kSuite = *AeadSuite::detect();
    return kSuite;
  }
  static Realm realm() { return {*AccountId::parse("000000000000"), *Region::parse("us-east-1")}; }
  static Principal principal() { return Principal::root_of(realm().account); }

  Store& store() { return *store_; }
  Catalog& catalog() { return *catalog_; }
  LocalKms& kms() { return *kms_; }
  Keyring& keyring() { return *keyring_; }
  BucketKeys& bucket_keys() { return *bucket_keys_; }
  FaultyKms& kms_calls() { return kms_calls_; }
  int boots() const { return boots_; }

  void drop() {
    store_.reset();
    kms_calls_.stand_before(nullptr);
    keyring_.reset();
    bucket_keys_.reset();
    kms_.reset();
    catalog_.reset();
  }
  bool is_open() const { return store_ != nullptr; }
  Status try_open_catalog() {  // alone, as offline commands do
    auto catalog = Catalog::open(disk, keys_, suite(), boot());
    if (!catalog) return std::move(catalog).error();
    catalog_ = *std::move(catalog);
    return {};
  }
  Status try_open() {
    COFFER_TRY(try_open_catalog());
    return try_finish_opening();
  }
  void open() {
    const auto opened = try_open();
    ASSERT_TRUE(opened.ok()) << opened.error().message;
  }
  void reopen() {
    drop();
    open();
  }
  // The process ends without a word; what it wrote stays.
  void kill() {
    disk.kill();
    drop();
    disk.start();
  }
  // The power goes, and another boot follows; or the disk goes alone and comes back within this one.
  enum class Boot { kAnother, kSame };
  void crash(std::uint64_t seed, SimulatedDisk::Keep keep = SimulatedDisk::Keep::kRandomPart,
             Boot boot = Boot::kAnother) {
    disk.crash(seed, keep);
    drop();
    disk.start();
    if (boot == Boot::kAnother) ++boots_;
  }

  SimulatedDisk disk;
  ManualClock clock;
  // From the first data file that is synced on the store takes the disk for one whose syncs cost nothing.
  void sync_at_once() { clock.tick_ns(1000); }
  Principal mounted_as = principal();  // by whoever opens it next

 private:
  static Key root_key() { return Key::copy_of(Bytes(Key::kSize, 7)); }
  std::string boot() const { return "boot " + std::to_string(boots_); }
  void finish_opening() {
    const auto opened = try_finish_opening();
    ASSERT_TRUE(opened.ok()) << opened.error().message;
  }
  Status try_finish_opening() {
    COFFER_ASSIGN(kms_, LocalKms::open(keys_, suite(), *catalog_, clock, realm()));
    kms_calls_.stand_before(kms_.get());
    bucket_keys_ = std::make_unique<BucketKeys>(kms_calls_, suite(), clock);
    keyring_ = std::make_unique<Keyring>(keys_, suite(), kms_calls_, *bucket_keys_);
    COFFER_ASSIGN(store_, Store::open(*catalog_, disk, *keyring_, clock, log_nowhere(), mounted_as));
    return {};
  }

  KeySchedule keys_;
  int boots_ = 1;
  FaultyKms kms_calls_;
  std::unique_ptr<Catalog> catalog_;
  std::unique_ptr<LocalKms> kms_;
  std::unique_ptr<BucketKeys> bucket_keys_;
  std::unique_ptr<Keyring> keyring_;
  std::unique_ptr<Store> store_;
};

// The same bytes for the same seed.
inline Bytes some_bytes(std::size_t size, std::uint64_t seed) {
  std::mt19937_64 random(seed + 1);
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; i += 8) {
    const auto value = random();
    for (std::size_t k = i; k < std::min(size, i + 8); ++k)
      bytes[k] = static_cast<std::uint8_t>(value >> (8 * (k - i)));
  }
  return bytes;
}

inline Result<Bytes> read_all(Store& store, InodeNumber ino) {
  COFFER_ASSIGN(const auto inode, store.get(ino));
  Bytes bytes(inode.size + 10, 0xee);
  COFFER_ASSIGN(const auto got, store.read(ino, 0, bytes));
  bytes.resize(got);
  return bytes;
}

}  // namespace coffer::testing
