#include "crypto/locked_memory.h"

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <bit>
#include <cassert>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <new>

namespace coffer {
namespace {

constexpr std::size_t kSlabSize = 64 * 1024;  // a few system calls per two thousand keys

std::atomic<bool> all_locked = true;

[[noreturn]] void out_of_memory() {
  std::fputs("coffer: no memory for keys\n", stderr);
  std::abort();
}

// The bytes between two pages that fault on any touch.
std::uint8_t* map_slab() {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  void* mapped = mmap(nullptr, kSlabSize + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) out_of_memory();
  auto* slab = static_cast<std::uint8_t*>(mapped) + page;
  if (mprotect(slab, kSlabSize, PROT_READ | PROT_WRITE) != 0) out_of_memory();
  madvise(slab, kSlabSize, MADV_DONTDUMP);
  // Not MADV_WIPEONFORK: a child that sealed on would do it under a key of zeros.
  madvise(slab, kSlabSize, MADV_DONTFORK);
  if (mlock(slab, kSlabSize) != 0) all_locked.store(false, std::memory_order_relaxed);
  return slab;
}

// A free cell holds nothing but the address of the next one.
struct FreeCell {
  FreeCell* next;
};

// All cells of one size. Slabs stay for the life of the process.
class CellPool {
 public:
  explicit CellPool(std::size_t cell_size) : cell_size_(cell_size) {}

  void* take() {
    std::lock_guard lock(mutex_);
    if (free_ == nullptr) cut_slab();
    FreeCell* cell = free_;
    free_ = cell->next;
    cell->next = nullptr;
    return cell;
  }

  void give_back(void* cell) noexcept {
    wipe({static_cast<std::uint8_t*>(cell), cell_size_});
    std::lock_guard lock(mutex_);
    free_ = new (cell) FreeCell{free_};
  }

  void lock() { mutex_.lock(); }
  void unlock() { mutex_.unlock(); }
  void forget_slabs() { free_ = nullptr; }

 private:
  void cut_slab() {
    std::uint8_t* slab = map_slab();
    for (std::size_t at = kSlabSize; at > 0; at -= cell_size_) free_ = new (slab + at - cell_size_) FreeCell{free_};
  }

  const std::size_t cell_size_;
  std::mutex mutex_;  // guards free_
  FreeCell* free_ = nullptr;
};

// The process's one arena, never destroyed: keys may outlive main(). Held still across a fork.
struct Arena {
  std::array<CellPool, 6> pools = {CellPool(32),  CellPool(64),  CellPool(128),
                                   CellPool(256), CellPool(512), CellPool(1024)};

  CellPool& pool_for(std::size_t size) {
    assert(size > 0 && size <= kLockedCellMax);
    const std::size_t cell = std::bit_ceil(std::max(size, kLockedCellMin));
    return pools[static_cast<std::size_t>(std::countr_zero(cell) - std::countr_zero(kLockedCellMin))];
  }
};

Arena& arena() {
  static Arena* const the_arena = [] {
    auto* made = new Arena;
    pthread_atfork(
        [] {
          for (auto& pool : arena().pools) pool.lock();
        },
        [] {
          for (auto& pool : arena().pools) pool.unlock();
        },
        [] {
          for (auto& pool : arena().pools) {
            pool.forget_slabs();
            pool.unlock();
          }
        });
    return made;
  }();
  return *the_arena;
}

}  // namespace

void* take_locked(std::size_t size) { return arena().pool_for(size).take(); }

void give_back_locked(void* cell, std::size_t size) noexcept { arena().pool_for(size).give_back(cell); }

bool secrets_are_locked() { return all_locked.load(std::memory_order_relaxed); }

}  // namespace coffer
