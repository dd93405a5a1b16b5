#include "base/wire.h"

#include <cassert>

namespace coffer {

WireWriter& WireWriter::integer(std::uint64_t value, int size) {
  std::uint8_t bytes[8];
  for (int i = 0; i < 8; ++i) bytes[i] = static_cast<std::uint8_t>(value >> (8 * i));
  return raw({bytes, static_cast<std::size_t>(size)});
}

WireWriter& WireWriter::blob16(BytesView bytes) {
  assert(bytes.size() <= 0xffff);
  u16(static_cast<std::uint16_t>(bytes.size()));
  return raw(bytes);
}

WireWriter& WireWriter::blob32(BytesView bytes) {
  assert(bytes.size() <= 0xffffffff);
  u32(static_cast<std::uint32_t>(bytes.size()));
  return raw(bytes);
}

BytesView WireReader::raw(std::size_t size) {
  if (!ok_ || size > rest_.size()) {
    ok_ = false;
    rest_ = {};
    return {};
  }
  auto taken = rest_.first(size);
  rest_ = rest_.subspan(size);
  return taken;
}

std::uint64_t WireReader::integer(std::size_t size) {
  std::uint64_t value = 0;
  auto bytes = raw(size);
  for (std::size_t i = 0; i < bytes.size(); ++i) value |= std::uint64_t{bytes[i]} << (8 * i);
  return value;
}

}  // namespace coffer
