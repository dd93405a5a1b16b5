#include "crypto/kms_import.h"

#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>

#include "base/limits.h"
#include "base/secret_bytes.h"
#include "base/wire.h"
#include "crypto/hkdf.h"
#include "crypto/key_schedule.h"
#include "crypto/uuid.h"

namespace coffer {
namespace {

constexpr std::uint8_t kTokenVersion = 1;
constexpr std::size_t kTokenHeader = 1 + 16 + 1 + 8;
constexpr std::size_t kMarkSize = 32;
constexpr std::size_t kKwpOverhead = 8;  // RFC 5649: one block of 8 bytes before the key

struct Free {
  void operator()(EVP_PKEY* p) const { EVP_PKEY_free(p); }
  void operator()(EVP_PKEY_CTX* p) const { EVP_PKEY_CTX_free(p); }
  void operator()(EVP_CIPHER_CTX* p) const { EVP_CIPHER_CTX_free(p); }
};
using PrivateKey = std::unique_ptr<EVP_PKEY, Free>;

Error library_failed() { return {Code::kIo, "OpenSSL could not make a wrapping key"}; }
Error bad_ciphertext() { return {Code::kInvalidCiphertext, ""}; }
Error bad_token() { return {Code::kInvalidImportToken, "The import token is not one of this key's"}; }

bool wraps_aes(ImportWrapping wrapping) {
  return wrapping == ImportWrapping::kAesKeyWrapSha1 || wrapping == ImportWrapping::kAesKeyWrapSha256;
}

const EVP_MD* hash_of(ImportWrapping wrapping) {
  const bool sha1 = wrapping == ImportWrapping::kOaepSha1 || wrapping == ImportWrapping::kAesKeyWrapSha1;
  return sha1 ? EVP_sha1() : EVP_sha256();
}

std::optional<ImportWrapping> wrapping_of(std::uint8_t stored) {
  if (stored > static_cast<std::uint8_t>(ImportWrapping::kAesKeyWrapSha256)) return std::nullopt;
  return static_cast<ImportWrapping>(stored);
}

Result<PrivateKey> make_rsa(int bits) {
  PrivateKey key(EVP_RSA_gen(static_cast<unsigned>(bits)));
  if (!key) return library_failed();
  return key;
}

Result<Bytes> public_der(EVP_PKEY* key) {
  const int size = i2d_PUBKEY(key, nullptr);
  if (size <= 0) return library_failed();
  Bytes out(static_cast<std::size_t>(size));
  auto* at = out.data();
  i2d_PUBKEY(key, &at);
  return out;
}

Result<SecretBytes> private_der(EVP_PKEY* key) {
  const int size = i2d_PrivateKey(key, nullptr);
  if (size <= 0) return library_failed();
  SecretBytes out(static_cast<std::size_t>(size));
  auto* at = out.span().data();
  i2d_PrivateKey(key, &at);
  return out;
}

Result<SecretBytes> rsa_open(EVP_PKEY* key, ImportWrapping wrapping, BytesView sealed) {
  const std::unique_ptr<EVP_PKEY_CTX, Free> context(EVP_PKEY_CTX_new(key, nullptr));
  if (!context || EVP_PKEY_decrypt_init(context.get()) <= 0 ||
      EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_OAEP_PADDING) <= 0 ||
      EVP_PKEY_CTX_set_rsa_oaep_md(context.get(), hash_of(wrapping)) <= 0 ||
      EVP_PKEY_CTX_set_rsa_mgf1_md(context.get(), hash_of(wrapping)) <= 0)
    return library_failed();
  SecretBytes room(static_cast<std::size_t>(EVP_PKEY_get_size(key)));
  std::size_t size = room.size();
  if (EVP_PKEY_decrypt(context.get(), room.span().data(), &size, sealed.data(), sealed.size()) <= 0)
    return bad_ciphertext();
  return SecretBytes(room.view().first(size));
}

// AES key wrap with padding, RFC 5649, under 256 bits.
Result<SecretBytes> unwrap_padded(BytesView key, BytesView wrapped) {
  const std::unique_ptr<EVP_CIPHER_CTX, Free> context(EVP_CIPHER_CTX_new());
  if (!context) return library_failed();
  EVP_CIPHER_CTX_set_flags(context.get(), EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
  if (EVP_DecryptInit_ex(context.get(), EVP_aes_256_wrap_pad(), nullptr, key.data(), nullptr) <= 0)
    return library_failed();
  SecretBytes room(wrapped.size() + 2 * kKwpOverhead);
  int size = 0;
  if (EVP_DecryptUpdate(context.get(), room.span().data(), &size, wrapped.data(), static_cast<int>(wrapped.size())) <=
          0 ||
      size < 0)
    return bad_ciphertext();
  return SecretBytes(room.view().first(static_cast<std::size_t>(size)));
}

Result<SecretBytes> open_wrapped(EVP_PKEY* key, ImportWrapping wrapping, BytesView wrapped) {
  const auto modulus = static_cast<std::size_t>(EVP_PKEY_get_size(key));
  if (wrapped.size() < modulus) return bad_ciphertext();
  if (!wraps_aes(wrapping)) {
    if (wrapped.size() != modulus) return bad_ciphertext();
    return rsa_open(key, wrapping, wrapped);
  }
  COFFER_ASSIGN(const SecretBytes aes_key, rsa_open(key, wrapping, wrapped.first(modulus)));
  if (aes_key.size() != Key::kSize) return bad_ciphertext();
  return unwrap_padded(aes_key.view(), wrapped.subspan(modulus));
}

}  // namespace

Bytes ImportDesk::token_aad(BytesView header) const {
  WireWriter writer;
  writer.raw(as_bytes("coffer/1/kms-import-token")).raw(store_).raw(header);
  return std::move(writer).take();
}

Result<ImportDesk::Offer> ImportDesk::offer(std::string_view key_id, ImportWrapping wrapping, int rsa_bits,
                                            std::int64_t valid_to_ns) const {
  const auto id = parse_uuid(key_id);
  if (!id) return Error{Code::kDamaged, "a KMS key's id is not a UUID"};
  COFFER_ASSIGN(const PrivateKey rsa, make_rsa(rsa_bits));
  COFFER_ASSIGN(Bytes public_key, public_der(rsa.get()));
  COFFER_ASSIGN(const SecretBytes private_key, private_der(rsa.get()));
  WireWriter header;
  header.u8(kTokenVersion).raw(*id).u8(static_cast<std::uint8_t>(wrapping));
  header.u64(static_cast<std::uint64_t>(valid_to_ns));
  std::array<std::uint8_t, kSaltSize> salt;
  std::array<std::uint8_t, kSealSize> seal;
  fill_random(salt);
  Bytes sealed(private_key.size());
  const auto cipher = suite_.single(derive_key(root_, salt, as_bytes("coffer/1/kms-import-token")));
  COFFER_TRY(cipher->seal(token_aad(header.bytes()), private_key.view(), sealed, seal));
  WireWriter token;
  token.raw(header.bytes()).raw(salt).raw(seal).raw(sealed);
  return Offer{std::move(public_key), std::move(token).take()};
}

Result<Key> ImportDesk::accept(std::string_view key_id, BytesView token, BytesView wrapped, std::int64_t now_ns) const {
  WireReader reader(token);
  const BytesView header = reader.raw(kTokenHeader);
  const BytesView salt = reader.raw(kSaltSize), seal = reader.raw(kSealSize), sealed = reader.raw(reader.left());
  if (!reader.ok() || sealed.empty()) return bad_token();
  SecretBytes private_key(sealed.size());
  const auto cipher = suite_.single(derive_key(root_, salt, as_bytes("coffer/1/kms-import-token")));
  if (!cipher->open(token_aad(header), sealed, seal, private_key.span()).ok()) return bad_token();

  WireReader fields(header);
  const auto version = fields.u8();
  const auto id = fields.raw(16);
  const auto wrapping = wrapping_of(fields.u8());
  const auto valid_to_ns = fields.u64();
  const auto wanted = parse_uuid(key_id);
  if (version != kTokenVersion || !wrapping || !wanted || !std::equal(id.begin(), id.end(), wanted->begin()))
    return bad_token();
  if (static_cast<std::uint64_t>(now_ns) >= valid_to_ns)
    return Error{Code::kExpiredImportToken, "The import token has expired. Call GetParametersForImport again"};

  const auto* at = private_key.view().data();
  const PrivateKey rsa(d2i_AutoPrivateKey(nullptr, &at, static_cast<long>(private_key.size())));
  if (!rsa) return bad_token();
  COFFER_ASSIGN(const SecretBytes material, open_wrapped(rsa.get(), *wrapping, wrapped));
  if (material.size() != Key::kSize) return bad_ciphertext();
  return Key::copy_of(material.view());
}

namespace {

std::array<std::uint8_t, kMarkSize> mac_of(BytesView salt, std::string_view key_id, const Key& material) {
  SecretBytes message(key_id.size() + Key::kSize);
  auto out = std::copy(key_id.begin(), key_id.end(), message.span().begin());
  std::copy(material.view().begin(), material.view().end(), out);
  std::array<std::uint8_t, kMarkSize> mac;
  hmac(Hash::kSha384, salt, message.view(), mac);
  return mac;
}

}  // namespace

Bytes mark_material(std::string_view key_id, const Key& material) {
  std::array<std::uint8_t, kSaltSize> salt;
  fill_random(salt);
  WireWriter writer;
  writer.raw(salt).raw(mac_of(salt, key_id, material));
  return std::move(writer).take();
}

bool is_marked(BytesView mark, std::string_view key_id, const Key& material) {
  if (mark.size() != kSaltSize + kMarkSize) return false;
  return equal_constant_time(mac_of(mark.first(kSaltSize), key_id, material), mark.subspan(kSaltSize));
}

}  // namespace coffer
