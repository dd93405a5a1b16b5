#pragma once

#include <string_view>

#include "crypto/aead_suite.h"
#include "crypto/key.h"

namespace coffer {

inline constexpr std::size_t kSaltSize = 32;  // of random salts, but for Argon2's

// HKDF-SHA384 (RFC 5869) over a Key: extract with salt, expand to 32 bytes with info.
Key derive_key(const Key& input, BytesView salt, BytesView info);

// One purpose each; the labels are in docs/FORMAT.md. None of these keys seals anything directly: each is the input of
// one more derivation per wrap, page or WAL generation.
enum class Purpose {
  kSseS3,
  kKms,
  kCatalogPages,
  kPageTags,
  kWal,
  kSuperblock,
  kDataFileHeader,
  kCatalogCopy,
  kNameHash,
  kSlotsChange
};

// The keys of a store, all derived from its root key and bound to its id.
class KeySchedule {
 public:
  KeySchedule(Key root, const StoreId& store) : root_(std::move(root)), store_(store) {}
  Key purpose_key(Purpose purpose) const;
  const StoreId& store_id() const { return store_; }
  // The root key itself, wrapped: for unlock slots, and for nothing else.
  Result<Bytes> wrap_root(const AeadSuite& suite, const Key& wrapping, BytesView aad) const;

 private:
  Key root_;
  StoreId store_;
};

// Wraps a 32-byte key under a key derived for this wrap alone: salt 32, nonce 12, tag 16, ciphertext 32 = 92 bytes.
inline constexpr std::size_t kWrapSize = 92;
Result<Bytes> wrap_key(const AeadSuite& suite, const Key& wrapping, BytesView aad, const Key& key);
Result<Key> unwrap_key(const AeadSuite& suite, const Key& wrapping, BytesView aad, BytesView wrapped);  // kDamaged

}  // namespace coffer
