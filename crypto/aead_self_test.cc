#include <algorithm>

#include "base/encoding.h"
#include "crypto/gcm.h"

namespace coffer {
namespace {

struct KnownAnswer {
  Bytes key, nonce, aad, plain, cipher, tag;  // cipher empty: the tag alone is compared, and speaks for it
};

// Test case 16 of the GCM specification (McGrew and Viega, 2005).
KnownAnswer short_answer() {
  return {*unhex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308"),
          *unhex("cafebabefacedbaddecaf888"),
          *unhex("feedfacedeadbeeffeedfacedeadbeefabaddad2"),
          *unhex("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
                 "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"),
          *unhex("522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
                 "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"),
          *unhex("76fc6ece0f4e1768cddf8853bb2d551b")};
}

// A whole chunk and a bit, so that the paths for long inputs run too.
KnownAnswer long_answer() {
  KnownAnswer answer{
      Bytes(32), Bytes(12), Bytes(20), Bytes(16 * 1024 + 13), {}, *unhex("a6692ea2738180dda3665fa4aabc5036")};
  for (std::size_t i = 0; i < answer.key.size(); ++i) answer.key[i] = static_cast<std::uint8_t>(i);
  for (std::size_t i = 0; i < answer.nonce.size(); ++i) answer.nonce[i] = static_cast<std::uint8_t>(100 + i);
  for (std::size_t i = 0; i < answer.aad.size(); ++i) answer.aad[i] = static_cast<std::uint8_t>(i);
  for (std::size_t i = 0; i < answer.plain.size(); ++i) answer.plain[i] = static_cast<std::uint8_t>(i * 131 + (i >> 8));
  return answer;
}

bool reproduces(const GcmLibrary& library, const KnownAnswer& answer) {
  GcmNonce nonce;
  std::copy(answer.nonce.begin(), answer.nonce.end(), nonce.begin());
  const auto gcm = library.make(Key::copy_of(answer.key));
  Bytes cipher(answer.plain.size()), plain(answer.plain.size());
  GcmTag tag{};
  if (!gcm->encrypt(nonce, answer.aad, answer.plain, cipher, tag).ok()) return false;
  if (!std::equal(tag.begin(), tag.end(), answer.tag.begin())) return false;
  if (!answer.cipher.empty() && cipher != answer.cipher) return false;
  if (!gcm->decrypt(nonce, answer.aad, cipher, tag, plain).ok() || plain != answer.plain) return false;
  tag[15] ^= 1;
  const Status tampered = gcm->decrypt(nonce, answer.aad, cipher, tag, plain);
  return !tampered.ok() && tampered.code() == Code::kDamaged;
}

}  // namespace

bool passes_self_test(const GcmLibrary& library) {
  return reproduces(library, short_answer()) && reproduces(library, long_answer());
}

}  // namespace coffer
