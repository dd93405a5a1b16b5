#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

namespace coffer {

// What SQLite keeps in the -shm file: the index of its log, and the locks over it. Here it is memory of this process,
// shared by the connections of one database (sqlite.org/walformat.html, section 2). Thread-safe.
class LogIndex {
 public:
  static constexpr int kLocks = 8;  // SQLITE_SHM_NLOCK

  // One connection's hold on the locks.
  struct Holder {
    std::uint8_t shared = 0, exclusive = 0;  // one bit per lock
  };

  volatile void* region(int number, std::size_t size, bool extend);  // null if it is not there
  // False if another holder is in the way.
  bool lock_shared(Holder& holder, int first, int count);
  bool lock_exclusive(Holder& holder, int first, int count);
  void unlock(Holder& holder, int first, int count);
  void barrier();

 private:
  static std::uint8_t mask(int first, int count) { return static_cast<std::uint8_t>(((1u << count) - 1) << first); }

  std::mutex mutex_;  // all below
  std::vector<std::unique_ptr<std::uint8_t[]>> regions_;
  std::array<int, kLocks> sharers_{};
  std::uint8_t exclusive_ = 0;
};

}  // namespace coffer
