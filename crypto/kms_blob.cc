#include "crypto/kms_blob.h"

#include <algorithm>
#include <cassert>

#include "base/encoding.h"
#include "base/limits.h"
#include "base/wire.h"
#include "crypto/encryption_context.h"
#include "crypto/key_schedule.h"

namespace coffer {
namespace {

constexpr std::uint8_t kKmsBlobVersion = 1;
constexpr std::size_t kMaterialIdSize = 32;

Bytes blob_aad(const KeyMetadata& key, std::string_view material_id, const EncryptionContext& context) {
  WireWriter writer;
  writer.raw(as_bytes("coffer/1/kms-blob")).text16(key.arn).text16(material_id).raw(encode_context(context));
  return std::move(writer).take();
}

std::unique_ptr<Aead> blob_cipher(const AeadSuite& suite, const Key& material, BytesView salt) {
  return suite.single(derive_key(material, salt, as_bytes("coffer/1/kms-blob")));
}

Bytes material_aad(const StoreId& store, std::string_view key_id, std::string_view material_id) {
  WireWriter writer;
  writer.raw(as_bytes("coffer/1/kms-material")).raw(store).text16(key_id).text16(material_id);
  return std::move(writer).take();
}

}  // namespace

Result<KmsBlob> parse_kms_blob(BytesView bytes) {
  WireReader reader(bytes);
  KmsBlob blob;
  const std::uint8_t version = reader.u8();
  const BytesView key = reader.raw(blob.key.size());
  blob.material_id = hex(reader.raw(kMaterialIdSize));
  blob.salt = reader.raw(kSaltSize);
  blob.seal = reader.raw(kSealSize);
  blob.sealed = reader.raw(reader.left());
  if (!reader.ok() || version != kKmsBlobVersion || blob.sealed.empty() || blob.sealed.size() > kKmsEncryptMax)
    return Error{Code::kInvalidCiphertext, ""};
  std::copy(key.begin(), key.end(), blob.key.begin());
  return blob;
}

Result<Bytes> seal_kms_blob(const AeadSuite& suite, const Key& material, const KeyMetadata& key,
                            std::string_view material_id, const EncryptionContext& context, BytesView plaintext) {
  const auto key_id = parse_uuid(key.key_id);
  const auto raw_material_id = unhex(material_id);
  if (!key_id || !raw_material_id || raw_material_id->size() != kMaterialIdSize)
    return Error{Code::kDamaged, "a KMS key's record has ids of a wrong form"};
  std::array<std::uint8_t, kSaltSize> salt;
  std::array<std::uint8_t, kSealSize> seal;
  Bytes sealed(plaintext.size());
  fill_random(salt);
  COFFER_TRY(blob_cipher(suite, material, salt)->seal(blob_aad(key, material_id, context), plaintext, sealed, seal));
  WireWriter writer;
  writer.u8(kKmsBlobVersion).raw(*key_id).raw(*raw_material_id).raw(salt).raw(seal).raw(sealed);
  return std::move(writer).take();
}

Status open_kms_blob(const AeadSuite& suite, const Key& material, const KeyMetadata& key, const KmsBlob& blob,
                     const EncryptionContext& context, MutableBytes plaintext) {
  assert(plaintext.size() == blob.sealed.size());
  const Bytes aad = blob_aad(key, blob.material_id, context);
  Status opened = blob_cipher(suite, material, blob.salt)->open(aad, blob.sealed, blob.seal, plaintext);
  if (!opened.ok() && opened.code() == Code::kDamaged) return Error{Code::kInvalidCiphertext, ""};
  return opened;
}

std::string new_material_id() {
  std::array<std::uint8_t, kMaterialIdSize> id;
  fill_random(id);
  return hex(id);
}

Result<WrappedMaterial> make_material(const AeadSuite& suite, const Key& root, const StoreId& store,
                                      std::string_view key_id, std::int64_t created_ns) {
  return wrap_material(suite, root, store, key_id, new_material_id(), created_ns, Key::random());
}

Result<WrappedMaterial> wrap_material(const AeadSuite& suite, const Key& root, const StoreId& store,
                                      std::string_view key_id, std::string material_id, std::int64_t created_ns,
                                      const Key& material) {
  WrappedMaterial made{std::move(material_id), created_ns, {}};
  const Bytes aad = material_aad(store, key_id, made.material_id);
  COFFER_ASSIGN(made.wrapped, wrap_key(suite, root, aad, material));
  return made;
}

Result<Key> unwrap_material(const AeadSuite& suite, const Key& root, const StoreId& store, std::string_view key_id,
                            const WrappedMaterial& material) {
  return unwrap_key(suite, root, material_aad(store, key_id, material.material_id), material.wrapped);
}

Result<WrappedMaterial> move_material(const AeadSuite& suite, const Key& root, const Key& next_root,
                                      const StoreId& store, std::string_view key_id, const WrappedMaterial& material) {
  COFFER_ASSIGN(const Key key, unwrap_material(suite, root, store, key_id, material));
  WrappedMaterial moved = material;
  COFFER_ASSIGN(moved.wrapped, wrap_key(suite, next_root, material_aad(store, key_id, material.material_id), key));
  return moved;
}

}  // namespace coffer
