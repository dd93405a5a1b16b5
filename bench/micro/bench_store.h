#pragma once

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

#include "crypto/bucket_keys.h"
#include "crypto/keyring.h"
#include "crypto/local_kms.h"
#include "store/catalog.h"
#include "store/chunk_map.h"
#include "store/store.h"

namespace coffer {

// A store in a folder of its own, on tmpfs.
class BenchStore {
 public:
  BenchStore() : folder_("/dev/shm/coffer-micro-" + std::to_string(getpid())), keys_(Key::random(), StoreId{1}) {
    std::filesystem::remove_all(folder_);
    for (std::uint64_t low = 0; low < 256; ++low)
      std::filesystem::create_directories(folder_ + "/" + data_file_folder(low));
    const Realm realm{*AccountId::parse("000000000000"), *Region::parse("us-east-1")};
    disk_ = *open_real_disk(folder_);
    catalog_ = *Catalog::create(*disk_, keys_, suite_, realm, "boot");
    kms_ = *LocalKms::open(keys_, suite_, *catalog_, clock_, realm);
    bucket_keys_ = std::make_unique<BucketKeys>(*kms_, suite_, clock_);
    keyring_ = std::make_unique<Keyring>(keys_, suite_, *kms_, *bucket_keys_);
    open();
    bucket_ = store_->create_bucket(*BucketName::parse("bucket"), {0755, 0, 0, 0})->ino;
  }
  ~BenchStore() {
    store_.reset();
    keyring_.reset();
    bucket_keys_.reset();
    kms_.reset();
    catalog_.reset();
    std::filesystem::remove_all(folder_);
  }

  // With nothing in memory but the catalog's pages.
  void open_again() {
    if (!store_->finish()) std::abort();
    store_.reset();
    open();
  }

  Store& store() { return *store_; }
  InodeNumber bucket() const { return bucket_; }

  InodeNumber make(const std::string& name, std::size_t size) {
    const auto made = store_->create(bucket_, name, {0644, 0, 0, 0});
    if (!made) std::abort();
    if (size > 0 && !store_->write(made->ino, 0, Bytes(size, 7))) std::abort();
    store_->release(made->ino);
    store_->forget(made->ino, 1);
    return made->ino;
  }

 private:
  void open() {
    store_ = *Store::open(*catalog_, *disk_, *keyring_, clock_, log_nowhere(),
                          Principal::root_of(*AccountId::parse("000000000000")));
  }

  const std::string folder_;
  const AeadSuite suite_ = *AeadSuite::detect();
  KeySchedule keys_;
  SystemClock clock_;
  std::unique_ptr<Disk> disk_;
  std::unique_ptr<Catalog> catalog_;
  std::unique_ptr<LocalKms> kms_;
  std::unique_ptr<BucketKeys> bucket_keys_;
  std::unique_ptr<Keyring> keyring_;
  std::unique_ptr<Store> store_;
  InodeNumber bucket_ = 0;
};

}  // namespace coffer
