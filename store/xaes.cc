#include "store/xaes.h"

#include <openssl/evp.h>

#include <algorithm>
#include <cassert>
#include <cstdio>
#include <cstdlib>

namespace coffer {
namespace {

constexpr std::size_t kAesBlockSize = 16;
constexpr std::size_t kHalfNonceSize = 12;

// AES on one block fails only where memory does, and there is no going on without it.
void require(bool done) {
  if (done) return;
  std::fputs("coffer: AES is not available\n", stderr);
  std::abort();
}

}  // namespace

Xaes::Xaes(const AeadSuite& suite, const Key& key) : suite_(suite), aes_(EVP_CIPHER_CTX_new()), mask_(Key::zero()) {
  require(aes_ != nullptr && EVP_EncryptInit_ex(aes_, EVP_aes_256_ecb(), nullptr, key.view().data(), nullptr) == 1 &&
          EVP_CIPHER_CTX_set_padding(aes_, 0) == 1);
  const MutableBytes mask = mask_.span().first(kAesBlockSize);
  encrypt_block(mask);
  const bool carry = (mask[0] & 0x80) != 0;
  for (std::size_t i = 0; i < kAesBlockSize; ++i) {
    const unsigned next = i + 1 < kAesBlockSize ? mask[i + 1] >> 7 : 0u;
    mask[i] = static_cast<std::uint8_t>((mask[i] << 1) | next);
  }
  if (carry) mask[kAesBlockSize - 1] ^= 0x87;
}

Xaes::~Xaes() { EVP_CIPHER_CTX_free(aes_); }

void Xaes::encrypt_block(MutableBytes block) const {
  const std::lock_guard lock(mutex_);
  int written = 0;
  require(EVP_EncryptUpdate(aes_, block.data(), &written, block.data(), kAesBlockSize) == 1 &&
          written == kAesBlockSize);
}

// SP 800-108r1 in counter mode with CMAC: both MACs are of one whole block, so each is a single AES call.
Key Xaes::key_for(BytesView nonce_half) const {
  Key key = Key::zero();
  for (std::size_t half = 0; half < 2; ++half) {
    const MutableBytes block = key.span().subspan(half * kAesBlockSize, kAesBlockSize);
    const std::uint8_t counter_and_label[4] = {0, static_cast<std::uint8_t>(half + 1), 'X', 0};
    std::copy(std::begin(counter_and_label), std::end(counter_and_label), block.begin());
    std::copy(nonce_half.begin(), nonce_half.end(), block.begin() + std::size(counter_and_label));
    for (std::size_t i = 0; i < kAesBlockSize; ++i) block[i] ^= mask_.view()[i];
    encrypt_block(block);
  }
  return key;
}

Status Xaes::seal(BytesView aad, BytesView plain, MutableBytes cipher, MutableBytes seal) const {
  assert(seal.size() == kXaesSealSize);
  const MutableBytes half = seal.first(kHalfNonceSize);
  fill_random(half);
  return suite_.single(key_for(half))->seal(aad, plain, cipher, seal.subspan(kHalfNonceSize));
}

Status Xaes::open(BytesView aad, BytesView cipher, BytesView seal, MutableBytes plain) const {
  assert(seal.size() == kXaesSealSize);
  const BytesView half = seal.first(kHalfNonceSize);
  return suite_.single(key_for(half))->open(aad, cipher, seal.subspan(kHalfNonceSize), plain);
}

}  // namespace coffer
