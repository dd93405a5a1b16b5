#include "crypto/key.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <thread>
#include <type_traits>

#include "crypto/locked_memory.h"

// There in a program of which they watch no more than a part, too.
extern "C" {
void __asan_init() __attribute__((weak));
void __tsan_init() __attribute__((weak));
}

namespace coffer {
namespace {

static_assert(!std::is_copy_constructible_v<Key> && !std::is_copy_assignable_v<Key>);
static_assert(!std::is_default_constructible_v<Key>);

TEST(Key, RandomKeysDiffer) {
  const Key one = Key::random(), other = Key::random();
  EXPECT_FALSE(equal_constant_time(one, other));
  EXPECT_FALSE(equal_constant_time(one, Key::zero()));
}

TEST(Key, MovesWithoutACopyAndDuplicatesOnlyWhenAsked) {
  Key key = Key::copy_of(Bytes(32, 9));
  const std::uint8_t* cell = key.view().data();
  Key moved = std::move(key);
  EXPECT_EQ(moved.view().data(), cell);
  Key duplicate = moved.duplicate();
  EXPECT_NE(duplicate.view().data(), cell);
  EXPECT_TRUE(equal_constant_time(duplicate, moved));
  duplicate.span()[0] ^= 1;
  EXPECT_FALSE(equal_constant_time(duplicate, moved));
  moved = std::move(duplicate);
  EXPECT_NE(moved.view().data(), cell);
}

// The cell stays mapped: only the address of the next free cell may be in it.
TEST(Key, IsWipedWhenItGoes) {
  const std::uint8_t* cell = nullptr;
  {
    const Key key = Key::copy_of(Bytes(32, 0x5a));
    cell = key.view().data();
  }
  // A byte of that address may well be 0x5a; its highest ones are zero.
  EXPECT_LT(std::count(cell, cell + sizeof(void*), 0x5a), static_cast<std::ptrdiff_t>(sizeof(void*)));
  EXPECT_EQ(std::count(cell + sizeof(void*), cell + Key::kSize, 0), static_cast<std::ptrdiff_t>(Key::kSize - sizeof(void*)));
}

TEST(Key, ANewOneIsZerosAlsoInAUsedCell) {
  for (int i = 0; i < 100; ++i) {
    Key key = Key::zero();
    EXPECT_EQ(to_bytes(key.view()), Bytes(32, 0));
    std::fill(key.span().begin(), key.span().end(), std::uint8_t{0xff});
  }
}

TEST(Key, ThreadsNeverShareACell) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([t] {
      for (int round = 0; round < 200; ++round) {
        std::vector<Key> keys;
        for (int i = 0; i < 20; ++i) keys.push_back(Key::copy_of(Bytes(32, static_cast<std::uint8_t>(t))));
        for (const Key& key : keys) ASSERT_EQ(to_bytes(key.view()), Bytes(32, static_cast<std::uint8_t>(t)));
      }
    });
  for (auto& thread : threads) thread.join();
}

// AddressSanitizer and ThreadSanitizer answer mlock() with success and do nothing.
bool locks_for_real() { return &__asan_init == nullptr && &__tsan_init == nullptr; }

// VmFlags of the mapping: dd is left out of dumps, dc is left out of children, lo is locked.
TEST(LockedMemory, IsLeftOutOfDumpsAndChildrenAndLocked) {
  const Key key = Key::zero();
  const auto address = reinterpret_cast<std::uintptr_t>(key.view().data());
  std::ifstream maps("/proc/self/smaps");
  std::string line, flags;
  bool inside = false;
  while (std::getline(maps, line)) {
    std::uintptr_t first = 0, end = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx ", &first, &end) == 2) inside = first <= address && address < end;
    if (inside && line.starts_with("VmFlags:")) flags = line;
  }
  EXPECT_NE(flags.find(" dd"), std::string::npos) << flags;
  EXPECT_NE(flags.find(" dc"), std::string::npos) << flags;
  EXPECT_TRUE(!locks_for_real() || !secrets_are_locked() || flags.find(" lo") != std::string::npos) << flags;
}

TEST(LockedMemory, CellsAreAlignedToTheirSizeAndApart) {
  std::set<std::uintptr_t> seen;
  std::vector<void*> cells;
  for (int i = 0; i < 200; ++i) {
    cells.push_back(take_locked(1024));
    const auto address = reinterpret_cast<std::uintptr_t>(cells.back());
    EXPECT_EQ(address % 1024, 0U);
    EXPECT_TRUE(seen.insert(address).second);
  }
  for (void* cell : cells) give_back_locked(cell, 1024);
}

// A child has none of its parent's keys, and can make its own.
TEST(LockedMemory, AForkedChildHasNoneOfItAndStartsItsOwn) {
  const Key key = Key::copy_of(Bytes(32, 1));
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    unsigned char resident = 0;
    auto* page = reinterpret_cast<void*>(reinterpret_cast<std::uintptr_t>(key.view().data()) & ~std::uintptr_t{4095});
    const bool gone = mincore(page, 4096, &resident) != 0 && errno == ENOMEM;
    const Key own = Key::copy_of(Bytes(32, 2));
    _exit(gone && to_bytes(own.view()) == Bytes(32, 2) ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  EXPECT_EQ(to_bytes(key.view()), Bytes(32, 1));
}

TEST(Random, FillsEveryByteOfLongAndShortBuffers) {
  for (std::size_t size : {1U, 12U, 300U, 5000U}) {
    Bytes seen(size, 0);
    for (int round = 0; round < 64; ++round) {
      Bytes bytes(size);
      fill_random(bytes);
      for (std::size_t i = 0; i < size; ++i) seen[i] |= bytes[i];
    }
    EXPECT_EQ(std::count(seen.begin(), seen.end(), 0), 0);
  }
}

}  // namespace
}  // namespace coffer
