#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>

#include "admin/http.h"

// What a fuzz target is made of: bytes in, and claims that hold whatever they are. replay.cc runs one over a corpus;
// linked with libFuzzer it looks for inputs that break a claim.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace coffer {

inline void claim(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "this does not hold: %s\n", what);
  std::abort();
}

inline std::string_view fuzz_text(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// The text up to the mark, which is taken away with it; all of it where there is none.
inline std::string_view take_until(std::string_view& text, std::string_view mark) {
  const auto end = text.find(mark);
  const auto taken = text.substr(0, end);
  text = end == std::string_view::npos ? std::string_view() : text.substr(end + mark.size());
  return taken;
}

// METHOD TARGET, header lines, a blank line, the body; lines end with \n. Whatever it is, it is taken for one.
inline HttpRequest fuzz_request(std::string_view text) {
  HttpRequest request;
  auto first = take_until(text, "\n");
  request.method = take_until(first, " ");
  request.target = first;
  while (!text.empty()) {
    auto line = take_until(text, "\n");
    if (line.empty()) break;
    const auto name = take_until(line, ":");
    request.headers.push_back({std::string(name), std::string(line)});
  }
  request.body = text;
  return request;
}

}  // namespace coffer
