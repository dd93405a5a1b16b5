#include "crypto/key_schedule.h"

#include "crypto/hkdf.h"

namespace coffer {
namespace {

std::string_view label_of(Purpose purpose) {
  switch (purpose) {
    case Purpose::kSseS3: return "coffer/1/sse-s3";
    case Purpose::kKms: return "coffer/1/kms";
    case Purpose::kCatalogPages: return "coffer/1/catalog-pages";
    case Purpose::kPageTags: return "coffer/1/page-tags";
    case Purpose::kWal: return "coffer/1/wal";
    case Purpose::kSuperblock: return "coffer/1/superblock";
    case Purpose::kDataFileHeader: return "coffer/1/data-file-header";
    case Purpose::kCatalogCopy: return "coffer/1/catalog-copy";
    case Purpose::kNameHash: return "coffer/1/name-hash";
    case Purpose::kSlotsChange: return "coffer/1/unlock-slots-change";
  }
  return "";
}

// The cipher of one wrap. Its nonce is random too, so even a repeated salt would repeat no (key, nonce) pair.
std::unique_ptr<Aead> wrap_cipher(const AeadSuite& suite, const Key& wrapping, BytesView salt) {
  return suite.single(derive_key(wrapping, salt, as_bytes("coffer/1/wrap")));
}

}  // namespace

Key derive_key(const Key& input, BytesView salt, BytesView info) {
  Key key = Key::zero();
  hkdf(Hash::kSha384, input.view(), salt, info, key.span());
  return key;
}

Key KeySchedule::purpose_key(Purpose purpose) const { return derive_key(root_, store_, as_bytes(label_of(purpose))); }

Result<Bytes> KeySchedule::wrap_root(const AeadSuite& suite, const Key& wrapping, BytesView aad) const {
  return wrap_key(suite, wrapping, aad, root_);
}

Result<Bytes> wrap_key(const AeadSuite& suite, const Key& wrapping, BytesView aad, const Key& key) {
  Bytes wrapped(kWrapSize);
  const MutableBytes out(wrapped);
  const MutableBytes salt = out.first(kSaltSize);
  fill_random(salt);
  const MutableBytes seal = out.subspan(kSaltSize, kSealSize);
  COFFER_TRY(wrap_cipher(suite, wrapping, salt)->seal(aad, key.view(), out.last(Key::kSize), seal));
  return wrapped;
}

Result<Key> unwrap_key(const AeadSuite& suite, const Key& wrapping, BytesView aad, BytesView wrapped) {
  if (wrapped.size() != kWrapSize) return Error{Code::kDamaged, "a wrapped key has the wrong size"};
  Key key = Key::zero();
  const BytesView seal = wrapped.subspan(kSaltSize, kSealSize);
  COFFER_TRY(
      wrap_cipher(suite, wrapping, wrapped.first(kSaltSize))->open(aad, wrapped.last(Key::kSize), seal, key.span()));
  return key;
}

}  // namespace coffer
