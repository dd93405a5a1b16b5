#include <cstdio>

#include "bench/micro/bench_store.h"
#include "crypto/aead_suite.h"

// The paths that every request takes, for callgrind to count their instructions: each is a function of its own, found
// by its name in the profile. Prints how often each ran. bench/hot_paths.py runs it.
namespace coffer {
namespace {

constexpr std::uint64_t kFiles = 1000, kCommitEvery = 250, kCalls = 400, kBigSize = 16 << 20, kPage = 4096;
constexpr std::size_t kRunChunks = 64;

void must(bool done) {
  if (!done) std::abort();
}

std::string name_of(std::uint64_t i) { return "file-" + std::to_string(i); }

void commit_sometimes(BenchStore& bench, std::uint64_t i) {
  if (i % kCommitEvery == kCommitEvery - 1) must(bench.store().commit_soon().ok());
}

}  // namespace

// Visible, so that the profile has their names.
#define HOT_PATH [[gnu::noinline, gnu::used]] std::uint64_t

HOT_PATH hot_path_seal(const Aead& aead) {
  const Bytes aad(sizeof(ChunkAad)), plain(kChunkSize);
  Bytes cipher(plain.size()), seal(aead.seal_size());
  for (std::uint64_t i = 0; i < kCalls; ++i) must(aead.seal(aad, plain, cipher, seal).ok());
  return kCalls;
}

HOT_PATH hot_path_seal_run(const Aead& aead) {
  const Bytes aad(sizeof(ChunkAad)), plain(kChunkSize);
  Bytes cipher(kRunChunks * kChunkSize), seals(kRunChunks * aead.seal_size());
  std::vector<SealJob> run;
  for (std::size_t i = 0; i < kRunChunks; ++i)
    run.push_back({aad, plain, MutableBytes(cipher).subspan(i * kChunkSize, kChunkSize),
                   MutableBytes(seals).subspan(i * aead.seal_size(), aead.seal_size())});
  for (std::uint64_t i = 0; i < kCalls / kRunChunks; ++i) must(aead.seal_run(run).ok());
  return kCalls / kRunChunks * kRunChunks;
}

HOT_PATH hot_path_open(const Aead& aead, BytesView cipher, BytesView seal) {
  const Bytes aad(sizeof(ChunkAad));
  Bytes plain(cipher.size());
  for (std::uint64_t i = 0; i < kCalls; ++i) must(aead.open(aad, cipher, seal, plain).ok());
  return kCalls;
}

HOT_PATH hot_path_create(BenchStore& bench) {
  for (std::uint64_t i = 0; i < kFiles; ++i) {
    bench.make(name_of(i), 0);
    commit_sometimes(bench, i);
  }
  return kFiles;
}

HOT_PATH hot_path_create_4k(BenchStore& bench) {
  for (std::uint64_t i = 0; i < kFiles; ++i) {
    bench.make(name_of(kFiles + i), kPage);
    commit_sometimes(bench, i);
  }
  return kFiles;
}

HOT_PATH hot_path_lookup(BenchStore& bench) {
  for (std::uint64_t i = 0; i < kFiles; ++i) {
    const auto found = bench.store().lookup(bench.bucket(), name_of(i * 7919 % kFiles));
    must(found.ok());
    bench.store().forget(found->ino, 1);
  }
  return kFiles;
}

HOT_PATH hot_path_rename(BenchStore& bench) {
  for (std::uint64_t i = 0; i < kFiles; ++i) {
    const auto name = name_of(i);
    must(bench.store().rename(bench.bucket(), name, bench.bucket(), name + ".r", RenameMode::kReplace).ok());
    commit_sometimes(bench, i);
  }
  return kFiles;
}

HOT_PATH hot_path_unlink(BenchStore& bench) {
  for (std::uint64_t i = 0; i < kFiles; ++i) {
    must(bench.store().unlink(bench.bucket(), name_of(kFiles + i)).ok());
    commit_sometimes(bench, i);
  }
  return kFiles;
}

HOT_PATH hot_path_write_4k(BenchStore& bench, InodeNumber ino) {
  const Bytes page(kPage, 9);
  for (std::uint64_t i = 0; i < kCalls; ++i) must(bench.store().write(ino, i * 7919 * kPage % kBigSize, page).ok());
  must(bench.store().commit_soon().ok());
  return kCalls;
}

HOT_PATH hot_path_write_1m(BenchStore& bench, InodeNumber ino) {
  const Bytes bytes(kRunChunks * kChunkSize, 9);
  constexpr std::uint64_t kWrites = 8;
  for (std::uint64_t i = 0; i < kWrites; ++i) must(bench.store().write(ino, i * bytes.size(), bytes).ok());
  must(bench.store().commit_soon().ok());
  return kWrites;
}

HOT_PATH hot_path_read_4k(BenchStore& bench, InodeNumber ino) {
  Bytes page(kPage);
  for (std::uint64_t i = 0; i < kCalls; ++i) must(bench.store().read(ino, i * 7919 * kPage % kBigSize, page).ok());
  return kCalls;
}

// Of files that are not in memory: each time the envelope is opened.
HOT_PATH hot_path_open_file(BenchStore& bench, const std::vector<InodeNumber>& files) {
  for (const auto ino : files) {
    must(bench.store().open_object(ino, /*truncate=*/false).ok());
    bench.store().release(ino);
  }
  return files.size();
}

namespace {

void report(const char* path, std::uint64_t calls) { std::printf("%s %llu\n", path, static_cast<unsigned long long>(calls)); }

void run_crypto() {
  const AeadSuite suite = *AeadSuite::detect();
  const auto aead = suite.single(Key::random());
  const Bytes aad(sizeof(ChunkAad)), plain(kChunkSize);
  Bytes cipher(plain.size()), seal(aead->seal_size());
  must(aead->seal(aad, plain, cipher, seal).ok());
  report("seal", hot_path_seal(*aead));
  report("seal_run", hot_path_seal_run(*aead));
  report("open", hot_path_open(*aead, cipher, seal));
}

void run_store() {
  BenchStore bench;
  report("create", hot_path_create(bench));
  report("create_4k", hot_path_create_4k(bench));
  report("lookup", hot_path_lookup(bench));
  std::vector<InodeNumber> files;
  for (std::uint64_t i = 0; i < kFiles; ++i) files.push_back(*bench.store().resolve("bucket", name_of(i)));
  bench.open_again();
  report("open_file", hot_path_open_file(bench, files));
  report("rename", hot_path_rename(bench));
  report("unlink", hot_path_unlink(bench));
  const auto big = bench.make("big", kBigSize);
  must(bench.store().sync_all().ok());
  must(bench.store().open_object(big, /*truncate=*/false).ok());
  report("read_4k", hot_path_read_4k(bench, big));
  report("write_4k", hot_path_write_4k(bench, big));
  report("write_1m", hot_path_write_1m(bench, big));
  bench.store().release(big);
}

}  // namespace
}  // namespace coffer

int main() {
  coffer::run_crypto();
  coffer::run_store();
}
