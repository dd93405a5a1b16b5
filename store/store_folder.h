#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/names.h"
#include "crypto/unlock_slots.h"
#include "store/disk.h"

namespace coffer {

// A store's folder, locked by this process for as long as this lives (I10: one daemon per store).
class StoreFolder {
 public:
  // kNotEmpty unless the folder is missing or empty. Makes the layout, the unlock slot, the catalog: a complete, empty store. On failure nothing is left.
  static Status create(const std::string& path, const UnlockSecret& secret, const Realm& realm);
  // kNoStore, kInUse (waits up to wait_seconds for a daemon that is ending).
  static Result<std::unique_ptr<StoreFolder>> open(const std::string& path, int wait_seconds);
  ~StoreFolder();

  Disk& disk() { return *disk_; }
  const std::string& path() const { return path_; }  // absolute
  Result<UnlockSlots> unlock_slots();
  Status check_writable();  // kReadOnly where the disk is: opening a catalog writes, also to read it

 private:
  static Result<std::unique_ptr<StoreFolder>> lock(const std::string& path, int wait_seconds);
  static Status create_in(const std::string& path, const UnlockSecret& secret, const Realm& realm);
  StoreFolder(std::string path, int lock, std::unique_ptr<Disk> disk);
  std::string path_;
  int lock_;  // the folder itself, with flock(2) on it
  std::unique_ptr<Disk> disk_;
};

// This boot of this machine, from /proc/sys/kernel/random/boot_id.
std::string current_boot_id();

}  // namespace coffer
