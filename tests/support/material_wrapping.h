#pragma once

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <cstdlib>
#include <memory>

#include "base/bytes.h"
#include "base/kms_key.h"

namespace coffer {

// A caller's end of ImportKeyMaterial, for every wrapping the KMS offers. Aborts where OpenSSL refuses.

inline Bytes rsa_oaep(EVP_PKEY* key, const EVP_MD* hash, BytesView plain) {
  const auto free_context = [](EVP_PKEY_CTX* context) { EVP_PKEY_CTX_free(context); };
  const std::unique_ptr<EVP_PKEY_CTX, decltype(free_context)> context(EVP_PKEY_CTX_new(key, nullptr), free_context);
  Bytes out(static_cast<std::size_t>(EVP_PKEY_get_size(key)));
  std::size_t size = out.size();
  if (EVP_PKEY_encrypt_init(context.get()) <= 0 ||
      EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_OAEP_PADDING) <= 0 ||
      EVP_PKEY_CTX_set_rsa_oaep_md(context.get(), hash) <= 0 ||
      EVP_PKEY_CTX_set_rsa_mgf1_md(context.get(), hash) <= 0 ||
      EVP_PKEY_encrypt(context.get(), out.data(), &size, plain.data(), plain.size()) <= 0)
    std::abort();
  return out;
}

inline Bytes aes_key_wrap(BytesView key, BytesView plain) {
  const auto free_context = [](EVP_CIPHER_CTX* context) { EVP_CIPHER_CTX_free(context); };
  const std::unique_ptr<EVP_CIPHER_CTX, decltype(free_context)> context(EVP_CIPHER_CTX_new(), free_context);
  EVP_CIPHER_CTX_set_flags(context.get(), EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
  Bytes out(plain.size() + 16);
  int size = 0;
  if (EVP_EncryptInit_ex(context.get(), EVP_aes_256_wrap_pad(), nullptr, key.data(), nullptr) <= 0 ||
      EVP_EncryptUpdate(context.get(), out.data(), &size, plain.data(), static_cast<int>(plain.size())) <= 0)
    std::abort();
  out.resize(static_cast<std::size_t>(size));
  return out;
}

inline Bytes wrap_material_for(BytesView public_key, ImportWrapping wrapping, BytesView material) {
  const auto free_key = [](EVP_PKEY* key) { EVP_PKEY_free(key); };
  const auto* at = public_key.data();
  const std::unique_ptr<EVP_PKEY, decltype(free_key)> key(
      d2i_PUBKEY(nullptr, &at, static_cast<long>(public_key.size())), free_key);
  const bool sha1 = wrapping == ImportWrapping::kOaepSha1 || wrapping == ImportWrapping::kAesKeyWrapSha1;
  const EVP_MD* hash = sha1 ? EVP_sha1() : EVP_sha256();
  if (wrapping == ImportWrapping::kOaepSha1 || wrapping == ImportWrapping::kOaepSha256)
    return rsa_oaep(key.get(), hash, material);
  Bytes aes_key(32);
  if (RAND_bytes(aes_key.data(), static_cast<int>(aes_key.size())) != 1) std::abort();
  Bytes out = rsa_oaep(key.get(), hash, aes_key);
  const Bytes wrapped = aes_key_wrap(aes_key, material);
  out.insert(out.end(), wrapped.begin(), wrapped.end());
  return out;
}

}  // namespace coffer
