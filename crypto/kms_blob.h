#pragma once

#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/kms_key.h"
#include "base/result.h"
#include "crypto/aead_suite.h"
#include "crypto/kms_records.h"
#include "crypto/uuid.h"

namespace coffer {

// What GenerateDataKey answers as CiphertextBlob (docs/FORMAT.md, "KMS blobs"): it names the key and the version of its
// material, and holds the plaintext sealed under a key derived for this blob alone, bound to context and key ARN.
struct KmsBlob {
  Uuid key{};
  std::string material_id;  // 64 hex digits
  BytesView salt, seal, sealed;

  std::string key_id() const { return uuid_text(key); }
};
Result<KmsBlob> parse_kms_blob(BytesView blob);  // kInvalidCiphertext; views into blob

Result<Bytes> seal_kms_blob(const AeadSuite& suite, const Key& material, const KeyMetadata& key,
                            std::string_view material_id, const EncryptionContext& context, BytesView plaintext);
// plaintext.size() == blob.sealed.size(), asserted; zeros after a failure, which is kInvalidCiphertext.
Status open_kms_blob(const AeadSuite& suite, const Key& material, const KeyMetadata& key, const KmsBlob& blob,
                     const EncryptionContext& context, MutableBytes plaintext);

// New key material, wrapped under the KMS's root and bound to store, key and its own id.
Result<WrappedMaterial> make_material(const AeadSuite& suite, const Key& root, const StoreId& store,
                                      std::string_view key_id, std::int64_t created_ns);
// The same for material that is there already.
std::string new_material_id();
Result<WrappedMaterial> wrap_material(const AeadSuite& suite, const Key& root, const StoreId& store,
                                      std::string_view key_id, std::string material_id, std::int64_t created_ns,
                                      const Key& material);
Result<Key> unwrap_material(const AeadSuite& suite, const Key& root, const StoreId& store, std::string_view key_id,
                            const WrappedMaterial& material);  // kDamaged
// The same material, wrapped under another root.
Result<WrappedMaterial> move_material(const AeadSuite& suite, const Key& root, const Key& next_root,
                                      const StoreId& store, std::string_view key_id, const WrappedMaterial& material);

}  // namespace coffer
