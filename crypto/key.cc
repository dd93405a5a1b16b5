#include "crypto/key.h"

#include <sys/random.h>

#include <cassert>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "crypto/locked_memory.h"

namespace coffer {

Key Key::zero() { return Key(static_cast<std::uint8_t*>(take_locked(kSize))); }

Key Key::random() {
  Key key = zero();
  fill_random(key.span());
  return key;
}

Key Key::copy_of(BytesView bytes) {
  assert(bytes.size() == kSize);
  Key key = zero();
  std::memcpy(key.cell_, bytes.data(), kSize);
  return key;
}

Key::Key(Key&& other) noexcept : cell_(std::exchange(other.cell_, nullptr)) {}

Key& Key::operator=(Key&& other) noexcept {
  if (this == &other) return *this;
  if (cell_ != nullptr) give_back_locked(cell_, kSize);
  cell_ = std::exchange(other.cell_, nullptr);
  return *this;
}

Key::~Key() {
  if (cell_ != nullptr) give_back_locked(cell_, kSize);
}

Key Key::duplicate() const { return copy_of(view()); }

bool equal_constant_time(const Key& a, const Key& b) { return equal_constant_time(a.view(), b.view()); }

void fill_random(MutableBytes out) {
  while (!out.empty()) {
    const ssize_t got = getrandom(out.data(), out.size(), 0);
    if (got > 0) {
      out = out.subspan(static_cast<std::size_t>(got));
    } else if (got < 0 && errno != EINTR) {
      std::fputs("coffer: getrandom failed\n", stderr);
      std::abort();
    }
  }
}

}  // namespace coffer
