#pragma once

#include <array>

#include "base/bytes.h"
#include "base/result.h"

namespace coffer {

// 32 secret bytes in guarded, locked memory that core dumps leave out; wiped when it goes. Moves, never copies,
// prints or compares with ==. A moved-from Key holds nothing and may only be destroyed or assigned to.
class Key {
 public:
  static constexpr std::size_t kSize = 32;

  static Key random();                  // getrandom(2)
  static Key copy_of(BytesView bytes);  // exactly 32 bytes, asserted; the caller wipes its own
  static Key zero();                    // to be filled through span()

  Key(Key&& other) noexcept;
  Key& operator=(Key&& other) noexcept;
  Key(const Key&) = delete;
  Key& operator=(const Key&) = delete;
  ~Key();

  Key duplicate() const;  // the one, visible, way to have it twice
  BytesView view() const { return {cell_, kSize}; }
  MutableBytes span() { return {cell_, kSize}; }

 private:
  explicit Key(std::uint8_t* cell) : cell_(cell) {}
  std::uint8_t* cell_;  // in the locked arena of key.cc
};

bool equal_constant_time(const Key& a, const Key& b);

// getrandom(2), all of it, at the moment of the call: no user-space pool that a fork or a restored memory image
// could repeat. Aborts if the kernel refuses, which it does not after boot.
void fill_random(MutableBytes out);

// A store's identity: public, random, in every AAD.
using StoreId = std::array<std::uint8_t, 16>;

}  // namespace coffer
