#include <benchmark/benchmark.h>

#include <string>

#include "bench/micro/bench_store.h"

// The verbs of a file system without a mount: what is left when FUSE's round trips are taken away.
namespace coffer {
namespace {

constexpr int kFiles = 10'000;

std::string name_of(std::int64_t i) { return "file-" + std::to_string(i); }

// Of a file of so many bytes, soft commits included, as the daemon makes them.
void create(benchmark::State& state) {
  BenchStore bench;
  std::int64_t i = 0;
  for (auto _ : state) {
    bench.make(name_of(i++), static_cast<std::size_t>(state.range(0)));
    if (i % 1000 == 0 && !bench.store().commit_soon()) state.SkipWithError("the commit failed");
  }
}
BENCHMARK(create)->Arg(0)->Arg(4096)->Arg(32768)->Iterations(kFiles)->Unit(benchmark::kMicrosecond);

void lookup(benchmark::State& state) {
  BenchStore bench;
  for (int i = 0; i < kFiles; ++i) bench.make(name_of(i), 100);
  std::int64_t i = 0;
  for (auto _ : state) {
    const auto found = bench.store().lookup(bench.bucket(), name_of(i++ * 7919 % kFiles));
    if (!found) state.SkipWithError("the name is gone");
    bench.store().forget(found->ino, 1);
  }
}
BENCHMARK(lookup)->Unit(benchmark::kMicrosecond);

void unlink(benchmark::State& state) {
  BenchStore bench;
  for (int i = 0; i < kFiles; ++i) bench.make(name_of(i), static_cast<std::size_t>(state.range(0)));
  if (!bench.store().commit_soon()) state.SkipWithError("the commit failed");
  std::int64_t i = 0;
  for (auto _ : state) {
    if (!bench.store().unlink(bench.bucket(), name_of(i++))) state.SkipWithError("the unlink failed");
    if (i % 1000 == 0 && !bench.store().commit_soon()) state.SkipWithError("the commit failed");
  }
}
BENCHMARK(unlink)->Arg(0)->Arg(4096)->Iterations(kFiles)->Unit(benchmark::kMicrosecond);

void rename(benchmark::State& state) {
  BenchStore bench;
  for (int i = 0; i < kFiles; ++i) bench.make(name_of(i), 0);
  if (!bench.store().commit_soon()) state.SkipWithError("the commit failed");
  std::int64_t i = 0;
  for (auto _ : state) {
    const auto name = name_of(i++);
    if (!bench.store().rename(bench.bucket(), name, bench.bucket(), name + ".r", RenameMode::kReplace))
      state.SkipWithError("the rename failed");
    if (i % 1000 == 0 && !bench.store().commit_soon()) state.SkipWithError("the commit failed");
  }
}
BENCHMARK(rename)->Iterations(kFiles)->Unit(benchmark::kMicrosecond);

// 4 KiB each, in one object of 64 MiB.
void overwrite(benchmark::State& state) {
  constexpr std::uint64_t kSize = 64 << 20;
  BenchStore bench;
  const auto ino = bench.make("big", kSize);
  if (!bench.store().sync_all() || !bench.store().open_object(ino, /*truncate=*/false))
    state.SkipWithError("the object cannot be opened");
  const Bytes page(4096, 9);
  std::uint64_t i = 0;
  for (auto _ : state) {
    if (!bench.store().write(ino, i++ * 7919 * 4096 % kSize, page)) state.SkipWithError("the write failed");
  }
  bench.store().release(ino);
}
BENCHMARK(overwrite)->Iterations(20'000)->Unit(benchmark::kMicrosecond);

void read_random(benchmark::State& state) {
  constexpr std::uint64_t kSize = 64 << 20;
  BenchStore bench;
  const auto ino = bench.make("big", kSize);
  if (!bench.store().sync_all() || !bench.store().open_object(ino, /*truncate=*/false))
    state.SkipWithError("the object cannot be opened");
  Bytes page(4096);
  std::uint64_t i = 0;
  for (auto _ : state) {
    if (!bench.store().read(ino, i++ * 7919 * 4096 % kSize, page)) state.SkipWithError("the read failed");
  }
  bench.store().release(ino);
}
BENCHMARK(read_random)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace coffer

BENCHMARK_MAIN();
