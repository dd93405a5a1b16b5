#pragma once

#include <cstddef>
#include <type_traits>

#include "base/bytes.h"

namespace coffer {

// Memory for secrets: cells of a power of two, cut from slabs between two guard pages, locked (where RLIMIT_MEMLOCK
// lets us), left out of core dumps and of children, all zeros when taken, wiped when given back. Thread-safe. A child
// of fork starts with none: its parent's cells fault there, rather than being read as a key of zeros.
inline constexpr std::size_t kLockedCellMin = 32;    // a Key
inline constexpr std::size_t kLockedCellMax = 1024;  // a library's expanded AES-GCM key

void* take_locked(std::size_t size);                           // at most kLockedCellMax; aborts where memory ends
void give_back_locked(void* cell, std::size_t size) noexcept;  // the size it was taken with

// Says whether every slab so far could be locked; false means that secrets may reach swap.
bool secrets_are_locked();

// A T in locked memory, for library states that hold key material. T's bytes are all there is to it: no constructor
// runs.
template <class T>
class Locked {
 public:
  static_assert(std::is_trivially_destructible_v<T> && sizeof(T) <= kLockedCellMax && alignof(T) <= 64);
  Locked() : cell_(static_cast<T*>(take_locked(kSize))) {}
  ~Locked() { give_back_locked(cell_, kSize); }
  Locked(const Locked&) = delete;
  Locked& operator=(const Locked&) = delete;

  T* get() { return cell_; }
  const T* get() const { return cell_; }

 private:
  static constexpr std::size_t kSize = sizeof(T) < 64 ? 64 : sizeof(T);  // a cell is aligned to its size
  T* cell_;
};

}  // namespace coffer
