#include "crypto/hkdf.h"

#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cstdio>
#include <cstdlib>
#include <span>

namespace coffer {
namespace {

// OpenSSL's documentation has these functions return 1; no caller could go on without a hash.
void must(int done) {
  if (done == 1) return;
  std::fputs("coffer: OpenSSL refused a hash\n", stderr);
  std::abort();
}

// The hashes themselves, which OpenSSL deprecates, and not its EVP: a state on the stack is copied by assignment and
// wiped, while EVP's contexts, fetched and allocated per use, cost more than a short HMAC computes.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
struct Sha256 {
  using State = SHA256_CTX;
  static constexpr std::size_t kSize = SHA256_DIGEST_LENGTH, kBlockSize = SHA256_CBLOCK;
  static void begin(State& state) { must(SHA256_Init(&state)); }
  static void add(State& state, BytesView bytes) { must(SHA256_Update(&state, bytes.data(), bytes.size())); }
  static void finish(State& state, std::uint8_t* out) { must(SHA256_Final(out, &state)); }
};

struct Sha384 {
  using State = SHA512_CTX;
  static constexpr std::size_t kSize = SHA384_DIGEST_LENGTH, kBlockSize = SHA512_CBLOCK;
  static void begin(State& state) { must(SHA384_Init(&state)); }
  static void add(State& state, BytesView bytes) { must(SHA384_Update(&state, bytes.data(), bytes.size())); }
  static void finish(State& state, std::uint8_t* out) { must(SHA384_Final(out, &state)); }
};
#pragma GCC diagnostic pop

template <class State>
void wipe_state(State& state) {
  wipe({reinterpret_cast<std::uint8_t*>(&state), sizeof(state)});
}

// HMAC under one key, for as many messages as there are. Wipes what it knows of the key.
template <class Digest>
class Hmac {
 public:
  using Mac = std::array<std::uint8_t, Digest::kSize>;

  explicit Hmac(BytesView key) {
    std::array<std::uint8_t, Digest::kBlockSize> block = {};
    if (key.size() > block.size()) {
      typename Digest::State state;
      Digest::begin(state);
      Digest::add(state, key);
      Digest::finish(state, block.data());
      wipe_state(state);
    } else {
      std::copy(key.begin(), key.end(), block.begin());
    }
    begin_with(inner_, block, 0x36);
    begin_with(outer_, block, 0x36 ^ 0x5c);  // over the first
    wipe(block);
  }
  ~Hmac() {
    wipe_state(inner_);
    wipe_state(outer_);
  }
  Hmac(const Hmac&) = delete;
  Hmac& operator=(const Hmac&) = delete;

  // Of the pieces one after the other; out holds Digest::kSize bytes, and may be one of them.
  void mac(std::initializer_list<BytesView> pieces, std::uint8_t* out) const {
    auto state = inner_;
    for (const BytesView piece : pieces) Digest::add(state, piece);
    Mac digest;
    Digest::finish(state, digest.data());
    state = outer_;
    Digest::add(state, digest);
    Digest::finish(state, out);
    wipe_state(state);
    wipe(digest);
  }

 private:
  static void begin_with(typename Digest::State& state, std::array<std::uint8_t, Digest::kBlockSize>& block,
                         std::uint8_t pad) {
    for (auto& byte : block) byte ^= pad;
    Digest::begin(state);
    Digest::add(state, block);
  }

  typename Digest::State inner_, outer_;
};

template <class Digest>
void hmac_with(BytesView key, BytesView message, MutableBytes mac) {
  typename Hmac<Digest>::Mac whole;
  Hmac<Digest>(key).mac({message}, whole.data());
  std::copy_n(whole.begin(), mac.size(), mac.begin());
  wipe(whole);
}

template <class Digest>
void expand(const Hmac<Digest>& extracted, BytesView info, MutableBytes out) {
  assert(out.size() <= 255 * Digest::kSize);
  typename Hmac<Digest>::Mac block;
  for (std::uint8_t counter = 1; !out.empty(); ++counter) {
    const BytesView before = counter > 1 ? BytesView(block) : BytesView();
    extracted.mac({before, info, {&counter, 1}}, block.data());
    const std::size_t taken = std::min(block.size(), out.size());
    std::copy_n(block.begin(), taken, out.begin());
    out = out.subspan(taken);
  }
  wipe(block);
}

template <class Digest>
void hkdf_with(BytesView input, BytesView salt, std::span<const Expansion> expansions) {
  typename Hmac<Digest>::Mac extracted;
  Hmac<Digest>(salt).mac({input}, extracted.data());
  const Hmac<Digest> keyed(extracted);
  for (const Expansion& expansion : expansions) expand(keyed, expansion.info, expansion.out);
  wipe(extracted);
}

}  // namespace

std::size_t hash_size(Hash hash) { return hash == Hash::kSha256 ? Sha256::kSize : Sha384::kSize; }

void hmac(Hash hash, BytesView key, BytesView message, MutableBytes mac) {
  assert(mac.size() <= hash_size(hash));
  switch (hash) {
    case Hash::kSha256: return hmac_with<Sha256>(key, message, mac);
    case Hash::kSha384: return hmac_with<Sha384>(key, message, mac);
  }
}

Bytes sha384(BytesView message) {
  Bytes digest(Sha384::kSize);
  Sha384::State state;
  Sha384::begin(state);
  Sha384::add(state, message);
  Sha384::finish(state, digest.data());
  wipe_state(state);
  return digest;
}

void hkdf(Hash hash, BytesView input, BytesView salt, std::span<const Expansion> expansions) {
  switch (hash) {
    case Hash::kSha256: return hkdf_with<Sha256>(input, salt, expansions);
    case Hash::kSha384: return hkdf_with<Sha384>(input, salt, expansions);
  }
}

void hkdf(Hash hash, BytesView input, BytesView salt, BytesView info, MutableBytes out) {
  const Expansion expansion{info, out};
  hkdf(hash, input, salt, {&expansion, 1});
}

}  // namespace coffer
