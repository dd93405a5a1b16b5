#pragma once

#include "base/bytes.h"

namespace coffer {

// Bytes that are wiped when they go: for the few places a secret must cross a wire as bytes
// (GenerateDataKey's Plaintext, an access key's secret). Moves, never copies or prints. Inside the crypto
// room secrets are Keys.
class SecretBytes {
 public:
  SecretBytes() = default;
  explicit SecretBytes(std::size_t size) : bytes_(size) {}
  explicit SecretBytes(BytesView bytes) : bytes_(bytes.begin(), bytes.end()) {}
  SecretBytes(SecretBytes&& other) noexcept : bytes_(std::move(other.bytes_)) { other.bytes_.clear(); }
  SecretBytes& operator=(SecretBytes&& other) noexcept {
    if (this == &other) return *this;
    wipe(bytes_);
    bytes_ = std::move(other.bytes_);
    other.bytes_.clear();
    return *this;
  }
  SecretBytes(const SecretBytes&) = delete;
  SecretBytes& operator=(const SecretBytes&) = delete;
  ~SecretBytes() { wipe(bytes_); }

  BytesView view() const { return bytes_; }
  MutableBytes span() { return bytes_; }
  std::size_t size() const { return bytes_.size(); }

 private:
  Bytes bytes_;
};

}  // namespace coffer
