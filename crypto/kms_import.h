#pragma once

#include <string>
#include <string_view>

#include "base/kms_key.h"
#include "base/result.h"
#include "crypto/aead_suite.h"
#include "crypto/key.h"

namespace coffer {

// Key material from outside (KMS developer guide, "Importing key material"): the KMS hands out an RSA public key and a
// token, the caller wraps 32 bytes under the key. The token carries the private key, sealed under the KMS's root and
// bound to store and key id: nothing about an import is stored before it happens, and a restart does not end it.
class ImportDesk {
 public:
  ImportDesk(const AeadSuite& suite, const Key& root, const StoreId& store)
      : suite_(suite), root_(root), store_(store) {}

  struct Offer {
    Bytes public_key;  // DER SubjectPublicKeyInfo
    Bytes token;
  };
  // rsa_bits: 2048, 3072 or 4096. Takes seconds for the last.
  Result<Offer> offer(std::string_view key_id, ImportWrapping wrapping, int rsa_bits, std::int64_t valid_to_ns) const;

  // kInvalidImportToken, kExpiredImportToken; kInvalidCiphertext when what was wrapped is not 32 bytes under its key.
  Result<Key> accept(std::string_view key_id, BytesView token, BytesView wrapped, std::int64_t now_ns) const;

 private:
  Bytes token_aad(BytesView header) const;

  const AeadSuite& suite_;
  const Key& root_;
  const StoreId store_;
};

// What stays of imported material that is gone: enough to know it again, and too little to get it back. It depends on
// no key, so a new root key changes nothing.
Bytes mark_material(std::string_view key_id, const Key& material);
bool is_marked(BytesView mark, std::string_view key_id, const Key& material);

}  // namespace coffer
