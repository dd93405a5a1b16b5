#include "store/store_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <thread>

#include "base/encoding.h"
#include "base/limits.h"
#include "store/catalog.h"
#include "store/chunk_map.h"
#include "store/data_folders.h"
#include "store/key_slots.h"

namespace coffer {
namespace {

constexpr const char* kKeySlots = "keyslots.json";
constexpr const char* kKeySlotsNew = "keyslots.json.new";
constexpr auto kLockPoll = std::chrono::milliseconds(20);

// Everything create() can have made, but for the folders in objects/.
constexpr const char* kFiles[] = {kKeySlots, kKeySlotsNew, "coffer.db", "coffer.db-wal", "coffer.tags"};

Error failure(std::string_view doing, const std::string& path) {
  auto code = errno == EACCES || errno == EPERM ? Code::kAccessDenied : errno == ENOSPC ? Code::kNoSpace : Code::kIo;
  return {code, "cannot " + std::string(doing) + " " + path + ": " + std::strerror(errno)};
}

Error no_store(const std::string& path) {
  return {Code::kNoStore, path + " is no Coffer store: make one with coffer init " + path};
}

Result<std::string> absolute(const std::string& path) {
  char resolved[PATH_MAX];
  if (realpath(path.c_str(), resolved) != nullptr) return std::string(resolved);
  if (errno == ENOENT || errno == ENOTDIR) return no_store(path);
  return failure("find", path);
}

// The folder's own descriptor, with the lock on it.
Result<int> lock_folder(const std::string& path, int wait_seconds) {
  int folder = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0 && errno == ENOTDIR) return no_store(path);
  if (folder < 0) return failure("open", path);
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(wait_seconds);
  while (flock(folder, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    auto error = errno == EWOULDBLOCK ? Error{Code::kInUse, path + " is in use by another process: unmount it first"}
                                      : failure("lock", path);
    if (error.code != Code::kInUse || std::chrono::steady_clock::now() >= give_up) {
      ::close(folder);
      return error;
    }
    std::this_thread::sleep_for(kLockPoll);
  }
  return folder;
}

Status fill(Disk& disk, const UnlockSecret& secret, const Realm& realm) {
  COFFER_ASSIGN(auto suite, AeadSuite::detect());
  COFFER_ASSIGN(auto unlocked, UnlockSlots::create(suite, secret));
  const auto& [slots, keys] = unlocked;
  COFFER_TRY(make_data_folders(disk));
  {
    COFFER_ASSIGN(auto catalog, Catalog::create(disk, keys, suite, realm, current_boot_id()));
    std::lock_guard lock(catalog->mutex());
    COFFER_TRY(catalog->set_blob("keyslots_hash", slots.hash()));
    SealedDatabase::DataSynced all;
    all.this_commit = true;
    COFFER_TRY(catalog->database().commit(all));
    COFFER_TRY(catalog->database().sync_log());
  }
  COFFER_TRY(disk.sync_folder(kDataFolder));
  // Last: a folder without it is no store, so an init that was cut short is never taken for one.
  return write_key_slots(disk, slots);
}

// Only names that fill() makes: what somebody else put here meanwhile stays.
void empty(int folder) {
  for (auto name : kFiles) unlinkat(folder, name, 0);
  for (std::uint64_t number = 0; number < kDataFileFolders; ++number)
    unlinkat(folder, data_file_folder(number).c_str(), AT_REMOVEDIR);
  unlinkat(folder, kDataFolder, AT_REMOVEDIR);
}

Status sync_parent(const std::string& path) {
  auto parent = path.substr(0, path.rfind('/') + 1);
  int folder = ::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return failure("open", parent);
  bool synced = fsync(folder) == 0;
  auto error = failure("sync", parent);
  ::close(folder);
  if (!synced) return error;
  return {};
}

}  // namespace

StoreFolder::StoreFolder(std::string path, int lock, std::unique_ptr<Disk> disk)
    : path_(std::move(path)), lock_(lock), disk_(std::move(disk)) {}

StoreFolder::~StoreFolder() { ::close(lock_); }

Result<std::unique_ptr<StoreFolder>> StoreFolder::lock(const std::string& path, int wait_seconds) {
  COFFER_ASSIGN(auto full_path, absolute(path));
  COFFER_ASSIGN(int descriptor, lock_folder(full_path, wait_seconds));
  auto disk = open_real_disk(full_path);
  if (!disk) {
    ::close(descriptor);
    return std::move(disk).error();
  }
  return std::unique_ptr<StoreFolder>(new StoreFolder(std::move(full_path), descriptor, *std::move(disk)));
}

Status StoreFolder::create(const std::string& path, const UnlockSecret& secret, const Realm& realm) {
  const bool made = mkdir(path.c_str(), 0700) == 0;
  if (!made && errno != EEXIST) return failure("make", path);
  struct stat status {};
  if (stat(path.c_str(), &status) == 0 && !S_ISDIR(status.st_mode))
    return Error{Code::kNotDirectory, path + " is not a folder"};
  auto filled = create_in(path, secret, realm);
  if (!filled.ok() && made) rmdir(path.c_str());
  return filled;
}

Status StoreFolder::create_in(const std::string& path, const UnlockSecret& secret, const Realm& realm) {
  COFFER_ASSIGN(auto folder, lock(path, /*wait_seconds=*/0));
  COFFER_ASSIGN(auto names, folder->disk().list(""));
  if (!names.empty()) return Error{Code::kNotEmpty, path + " is not empty: a store needs a folder of its own"};
  if (fchmod(folder->lock_, 0700) != 0) return failure("protect", path);
  auto filled = fill(folder->disk(), secret, realm);
  if (filled.ok()) filled = sync_parent(folder->path());
  if (!filled.ok()) empty(folder->lock_);
  return filled;
}

Result<std::unique_ptr<StoreFolder>> StoreFolder::open(const std::string& path, int wait_seconds) {
  COFFER_ASSIGN(auto folder, lock(path, wait_seconds));
  const auto is_there = [&](const char* name) { return faccessat(folder->lock_, name, F_OK, 0) == 0; };
  if (is_there(kKeySlots)) return folder;
  if (!is_there(kDataFolder))
    return Error{Code::kNoStore, folder->path() + " is no Coffer store: make one with coffer init " + path};
  return Error{Code::kNoStore, std::string(kKeySlots) + " is missing from " + folder->path() +
                                   ": the key is in it alone, so put its newest copy back from a backup"};
}

Result<UnlockSlots> StoreFolder::unlock_slots() { return read_key_slots(*disk_); }

Status StoreFolder::check_writable() {
  if (faccessat(lock_, ".", W_OK, AT_EACCESS) == 0 || errno != EROFS) return {};
  return Error{Code::kReadOnly, path_ + " is on a disk that is read-only, and opening a store writes to it: make the disk writable,"
                                        " or copy the folder to one that is"};
}

std::string current_boot_id() {
  std::string id;
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  if (std::getline(file, id) && !id.empty()) return id;
  // Without one every start counts as a boot: what a power cut could have taken back is not used.
  Bytes random(16);
  fill_random(random);
  return hex(random);
}

}  // namespace coffer
