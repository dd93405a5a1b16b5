#include <benchmark/benchmark.h>
#include <openssl/evp.h>
#include <sodium.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/limits.h"
#include "crypto/gcm.h"

#ifdef COFFER_IPSEC_MB
#include <intel-ipsec-mb.h>
#endif

// What sealing costs through Aead, and what the same library does when it is called bare, with one nonce for all: the
// difference is what the interface and a fresh nonce for each seal cost.
namespace coffer {
namespace {

constexpr std::size_t kAadSize = 46;  // as chunks have it

std::shared_ptr<const GcmLibrary> library(AeadLibrary name) {
  switch (name) {
    case AeadLibrary::kIpsecMb: return ipsec_mb_gcm();
    case AeadLibrary::kOpenSsl: return openssl_gcm();
    case AeadLibrary::kSodium: return sodium_gcm();
  }
  return nullptr;
}

void seal(benchmark::State& state, const Aead& aead) {
  const Bytes aad(kAadSize), plain(static_cast<std::size_t>(state.range(0)));
  Bytes cipher(plain.size()), tags(aead.seal_size());
  for (auto _ : state) {
    if (!aead.seal(aad, plain, cipher, tags)) state.SkipWithError("sealing failed");
    benchmark::DoNotOptimize(cipher.data());
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}

// So many chunks at once as one write of 1 MiB seals.
void seal_all(benchmark::State& state, const Aead& aead) {
  constexpr std::size_t kChunks = 64;
  const Bytes aad(kAadSize), plain(kChunks * kChunkSize);
  Bytes cipher(plain.size()), tags(kChunks * aead.seal_size());
  std::vector<SealJob> run;
  for (std::size_t i = 0; i < kChunks; ++i)
    run.push_back({aad, BytesView(plain).subspan(i * kChunkSize, kChunkSize),
                   MutableBytes(cipher).subspan(i * kChunkSize, kChunkSize),
                   MutableBytes(tags).subspan(i * aead.seal_size(), aead.seal_size())});
  for (auto _ : state) {
    if (!aead.seal_run(run)) state.SkipWithError("sealing failed");
    benchmark::DoNotOptimize(cipher.data());
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(plain.size()));
}

void open(benchmark::State& state, const Aead& aead) {
  const Bytes aad(kAadSize);
  Bytes plain(static_cast<std::size_t>(state.range(0))), cipher(plain.size()), tags(aead.seal_size());
  if (!aead.seal(aad, plain, cipher, tags)) return state.SkipWithError("sealing failed");
  for (auto _ : state) {
    if (!aead.open(aad, cipher, tags, plain)) state.SkipWithError("opening failed");
    benchmark::DoNotOptimize(plain.data());
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}

void seal_by(benchmark::State& state, AeadLibrary name) {
  const auto found = library(name);
  if (!found) return state.SkipWithError("not on this machine");
  seal(state, *make_aead(found->make(Key::random())));
}

void seal_run_by(benchmark::State& state, AeadLibrary name) {
  const auto found = library(name);
  if (!found) return state.SkipWithError("not on this machine");
  seal_all(state, *make_aead(found->make(Key::random())));
}

void open_by(benchmark::State& state, AeadLibrary name) {
  const auto found = library(name);
  if (!found) return state.SkipWithError("not on this machine");
  open(state, *make_aead(found->make(Key::random())));
}

void seal_twice(benchmark::State& state) {
  const auto suite = AeadSuite::detect();
  if (!suite || !suite->can_double()) return state.SkipWithError("two libraries are not on this machine");
  seal(state, *suite->twice(Key::random(), Key::random()));
}

void seal_run_twice(benchmark::State& state) {
  const auto suite = AeadSuite::detect();
  if (!suite || !suite->can_double()) return state.SkipWithError("two libraries are not on this machine");
  seal_all(state, *suite->twice(Key::random(), Key::random()));
}

// --- the libraries alone: one chunk after the other of 1 MiB, as a run has them, or the same bytes each time ---

constexpr std::int64_t kRunSize = 64 * kChunkSize;

struct Input {
  explicit Input(std::int64_t size)
      : plain(static_cast<std::size_t>(size)), cipher(plain.size()), step(std::min<std::size_t>(plain.size(), kChunkSize)) {}
  std::uint8_t key[32] = {1}, nonce[12] = {}, tag[16] = {}, aad[kAadSize] = {};
  Bytes plain, cipher;
  std::size_t step;
};

void bare_openssl(benchmark::State& state) {
  Input in(state.range(0));
  EVP_CIPHER_CTX* context = EVP_CIPHER_CTX_new();
  EVP_CIPHER* cipher = EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr);
  EVP_EncryptInit_ex2(context, cipher, in.key, nullptr, nullptr);
  int written = 0;
  for (auto _ : state) {
    for (std::size_t at = 0; at < in.plain.size(); at += in.step) {
      EVP_EncryptInit_ex2(context, nullptr, nullptr, in.nonce, nullptr);
      EVP_EncryptUpdate(context, nullptr, &written, in.aad, sizeof(in.aad));
      EVP_EncryptUpdate(context, in.cipher.data() + at, &written, in.plain.data() + at, static_cast<int>(in.step));
      EVP_EncryptFinal_ex(context, in.tag, &written);
      EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, sizeof(in.tag), in.tag);
    }
    benchmark::DoNotOptimize(in.cipher.data());
  }
  EVP_CIPHER_CTX_free(context);
  EVP_CIPHER_free(cipher);
  state.SetBytesProcessed(state.iterations() * state.range(0));
}

void bare_sodium(benchmark::State& state) {
  if (sodium_init() < 0 || crypto_aead_aes256gcm_is_available() == 0) return state.SkipWithError("not on this machine");
  Input in(state.range(0));
  alignas(16) crypto_aead_aes256gcm_state keyed;
  crypto_aead_aes256gcm_beforenm(&keyed, in.key);
  for (auto _ : state) {
    for (std::size_t at = 0; at < in.plain.size(); at += in.step)
      crypto_aead_aes256gcm_encrypt_detached_afternm(in.cipher.data() + at, in.tag, nullptr, in.plain.data() + at, in.step,
                                                     in.aad, sizeof(in.aad), nullptr, in.nonce, &keyed);
    benchmark::DoNotOptimize(in.cipher.data());
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}

#ifdef COFFER_IPSEC_MB
void bare_ipsec_mb(benchmark::State& state) {
  Input in(state.range(0));
  IMB_MGR* manager = alloc_mb_mgr(0);
  init_mb_mgr_auto(manager, nullptr);
  alignas(64) gcm_key_data keyed;
  gcm_context_data context;
  manager->gcm256_pre(in.key, &keyed);
  for (auto _ : state) {
    for (std::size_t at = 0; at < in.plain.size(); at += in.step)
      manager->gcm256_enc(&keyed, &context, in.cipher.data() + at, in.plain.data() + at, in.step, in.nonce, in.aad,
                          sizeof(in.aad), in.tag, sizeof(in.tag));
    benchmark::DoNotOptimize(in.cipher.data());
  }
  free_mb_mgr(manager);
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(bare_ipsec_mb)->Arg(4096)->Arg(kChunkSize)->Arg(kRunSize);
#endif

BENCHMARK(bare_openssl)->Arg(4096)->Arg(kChunkSize)->Arg(kRunSize);
BENCHMARK(bare_sodium)->Arg(4096)->Arg(kChunkSize)->Arg(kRunSize);
BENCHMARK_CAPTURE(seal_by, ipsec_mb, AeadLibrary::kIpsecMb)->Arg(4096)->Arg(kChunkSize);
BENCHMARK_CAPTURE(seal_by, openssl, AeadLibrary::kOpenSsl)->Arg(4096)->Arg(kChunkSize);
BENCHMARK_CAPTURE(seal_by, sodium, AeadLibrary::kSodium)->Arg(4096)->Arg(kChunkSize);
BENCHMARK_CAPTURE(seal_run_by, ipsec_mb, AeadLibrary::kIpsecMb);
BENCHMARK_CAPTURE(seal_run_by, openssl, AeadLibrary::kOpenSsl);
BENCHMARK_CAPTURE(seal_run_by, sodium, AeadLibrary::kSodium);
BENCHMARK_CAPTURE(open_by, ipsec_mb, AeadLibrary::kIpsecMb)->Arg(4096)->Arg(kChunkSize);
BENCHMARK_CAPTURE(open_by, openssl, AeadLibrary::kOpenSsl)->Arg(4096)->Arg(kChunkSize);
BENCHMARK_CAPTURE(open_by, sodium, AeadLibrary::kSodium)->Arg(4096)->Arg(kChunkSize);
BENCHMARK(seal_twice)->Arg(4096)->Arg(kChunkSize);
BENCHMARK(seal_run_twice);

}  // namespace
}  // namespace coffer

BENCHMARK_MAIN();
