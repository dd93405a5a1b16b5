#include "cli/key_material.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "base/descriptor.h"

namespace coffer {
namespace {

constexpr std::size_t kMaterialSize = 32;

struct Free {
  void operator()(EVP_PKEY* p) const { EVP_PKEY_free(p); }
  void operator()(EVP_PKEY_CTX* p) const { EVP_PKEY_CTX_free(p); }
};

Error no_wrap() { return {Code::kIo, "the KMS's public key cannot wrap: the daemon's log says more"}; }

}  // namespace

Result<SecretBytes> read_material(const std::string& path) {
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return Error{Code::kInvalidArgument, path + ": " + std::strerror(errno)};
  SecretBytes bytes(kMaterialSize + 1);
  std::size_t size = 0;
  ssize_t got = 0;
  while (size < bytes.size() && (got = read(file.get(), bytes.span().data() + size, bytes.size() - size)) > 0)
    size += static_cast<std::size_t>(got);
  if (got < 0) return Error{Code::kIo, path + ": " + std::strerror(errno)};
  if (size != kMaterialSize)
    return Error{Code::kInvalidArgument,
                 path + " is no key material: 32 raw bytes are, as from head -c 32 /dev/random"};
  return SecretBytes(bytes.view().first(kMaterialSize));
}

Result<Bytes> wrap_for_import(BytesView public_key, BytesView material) {
  const auto* at = public_key.data();
  const std::unique_ptr<EVP_PKEY, Free> key(d2i_PUBKEY(nullptr, &at, static_cast<long>(public_key.size())));
  if (!key) return no_wrap();
  const std::unique_ptr<EVP_PKEY_CTX, Free> context(EVP_PKEY_CTX_new(key.get(), nullptr));
  if (!context || EVP_PKEY_encrypt_init(context.get()) <= 0 ||
      EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_OAEP_PADDING) <= 0 ||
      EVP_PKEY_CTX_set_rsa_oaep_md(context.get(), EVP_sha256()) <= 0 ||
      EVP_PKEY_CTX_set_rsa_mgf1_md(context.get(), EVP_sha256()) <= 0)
    return no_wrap();
  Bytes out(static_cast<std::size_t>(EVP_PKEY_get_size(key.get())));
  std::size_t size = out.size();
  if (EVP_PKEY_encrypt(context.get(), out.data(), &size, material.data(), material.size()) <= 0) return no_wrap();
  out.resize(size);
  return out;
}

}  // namespace coffer
