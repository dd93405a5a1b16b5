#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace coffer {

using Bytes = std::vector<std::uint8_t>;
using BytesView = std::span<const std::uint8_t>;
using MutableBytes = std::span<std::uint8_t>;

inline BytesView as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}
inline std::string_view as_text(BytesView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
inline Bytes to_bytes(BytesView bytes) { return {bytes.begin(), bytes.end()}; }

// Overwrites with zeros in a way the compiler may not leave out.
void wipe(MutableBytes bytes);

// Says whether both are the same, in time that depends on their sizes alone.
bool equal_constant_time(BytesView a, BytesView b);

}  // namespace coffer
