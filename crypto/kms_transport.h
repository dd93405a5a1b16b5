#pragma once

#include <cstdint>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"

namespace coffer {

// How requests reach an external KMS: JSON 1.1 over HTTP, signed (SigV4) for the region. One request is sent once, with
// no retry and to nowhere else. Thread-safe; several may be under way.
class KmsTransport {
 public:
  virtual ~KmsTransport() = default;
  struct Request {
    std::string_view operation;  // GenerateDataKey: X-Amz-Target TrentService.GenerateDataKey
    std::string_view region;
    BytesView body;              // may hold a plaintext key: copied nowhere that is not wiped
    std::int64_t limit_ms = 0;   // for the whole of it
  };
  struct Answer {
    int status = 0;
    std::size_t size = 0;  // of the body, at the front of `into`
  };
  // kKmsAway when no whole answer came in time, or it was larger than `into`.
  virtual Result<Answer> post(const Request& request, MutableBytes into) = 0;
};

}  // namespace coffer
