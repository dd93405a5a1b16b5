#pragma once

#include <algorithm>
#include <cstring>
#include <memory>

#include "base/bytes.h"

namespace coffer {

// The plaintext of one chunk, up to its last byte that is not implied zeros. Wiped wherever it leaves memory, also when
// it grows.
class PlainChunk {
 public:
  PlainChunk() = default;
  // Of bytes that the caller is about to overwrite, all of them.
  static PlainChunk for_overwrite(std::size_t size) {
    PlainChunk fresh;
    fresh.grow(size);
    fresh.size_ = size;
    return fresh;
  }
  PlainChunk(PlainChunk&& other) noexcept
      : bytes_(std::move(other.bytes_)),
        size_(std::exchange(other.size_, 0)),
        capacity_(std::exchange(other.capacity_, 0)) {}
  PlainChunk& operator=(PlainChunk&& other) noexcept {
    if (this == &other) return *this;
    clear();
    bytes_ = std::move(other.bytes_);
    size_ = std::exchange(other.size_, 0);
    capacity_ = std::exchange(other.capacity_, 0);
    return *this;
  }
  ~PlainChunk() { clear(); }

  std::size_t size() const { return size_; }
  std::size_t capacity() const { return capacity_; }
  BytesView view() const { return {bytes_.get(), size_}; }
  MutableBytes span() { return {bytes_.get(), size_}; }

  // Bytes beyond the old size are zeros.
  void resize(std::size_t size) {
    if (size > capacity_) grow(std::max(size, std::min<std::size_t>(2 * capacity_, kGrowthMax)));
    if (size < size_)
      wipe(span().subspan(size));
    else if (size > size_)
      std::memset(bytes_.get() + size_, 0, size - size_);
    size_ = size;
  }

  void write(std::size_t offset, BytesView bytes) {
    if (offset + bytes.size() > size_) resize(offset + bytes.size());
    std::memcpy(bytes_.get() + offset, bytes.data(), bytes.size());
  }

  void clear() {
    wipe(span());
    bytes_.reset();
    size_ = capacity_ = 0;
  }

 private:
  static constexpr std::size_t kGrowthMax = 64 * 1024;

  void grow(std::size_t capacity) {
    std::unique_ptr<std::uint8_t[]> larger(new std::uint8_t[capacity]);
    if (size_ > 0) std::memcpy(larger.get(), bytes_.get(), size_);
    wipe(span());
    bytes_ = std::move(larger);
    capacity_ = capacity;
  }

  std::unique_ptr<std::uint8_t[]> bytes_;
  std::size_t size_ = 0, capacity_ = 0;
};

}  // namespace coffer
