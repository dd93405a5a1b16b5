#pragma once

#include <cstdint>
#include <string_view>

#include "base/bytes.h"

namespace coffer {

// Appends fields to a buffer: integers little-endian, blobs with a u16 or u32 length before them.
class WireWriter {
 public:
  WireWriter& u8(std::uint8_t value) { return integer(value, 1); }
  WireWriter& u16(std::uint16_t value) { return integer(value, 2); }
  WireWriter& u32(std::uint32_t value) { return integer(value, 4); }
  WireWriter& u64(std::uint64_t value) { return integer(value, 8); }
  WireWriter& raw(BytesView bytes) {
    out_.insert(out_.end(), bytes.begin(), bytes.end());
    return *this;
  }
  WireWriter& blob16(BytesView bytes);  // at most 65535 bytes, asserted
  WireWriter& text16(std::string_view text) { return blob16(as_bytes(text)); }
  WireWriter& blob32(BytesView bytes);

  const Bytes& bytes() const { return out_; }
  Bytes take() && { return std::move(out_); }

 private:
  WireWriter& integer(std::uint64_t value, int size);
  Bytes out_;
};

// Takes the fields out again. Total: past the end every field is zero or empty and ok() is false for ever,
// so that a decoder reads all its fields first and asks once.
class WireReader {
 public:
  explicit WireReader(BytesView bytes) : rest_(bytes) {}

  std::uint8_t u8() { return static_cast<std::uint8_t>(integer(1)); }
  std::uint16_t u16() { return static_cast<std::uint16_t>(integer(2)); }
  std::uint32_t u32() { return static_cast<std::uint32_t>(integer(4)); }
  std::uint64_t u64() { return integer(8); }
  BytesView raw(std::size_t size);
  BytesView blob16() { return raw(u16()); }
  std::string_view text16() { return as_text(blob16()); }
  BytesView blob32() { return raw(u32()); }

  bool ok() const { return ok_; }
  bool done() const { return ok_ && rest_.empty(); }  // everything read, nothing left over
  std::size_t left() const { return rest_.size(); }

 private:
  std::uint64_t integer(std::size_t size);
  BytesView rest_;
  bool ok_ = true;
};

}  // namespace coffer
