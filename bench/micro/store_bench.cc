#include <benchmark/benchmark.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "crypto/bucket_keys.h"
#include "crypto/keyring.h"
#include "crypto/local_kms.h"
#include "store/catalog.h"
#include "store/chunk_map.h"
#include "store/store.h"

// The verbs of a file system without a mount: what is left when FUSE's round trips are taken away.
namespace coffer {
namespace {

constexpr int kFiles = 10'000;

// A store in a folder of its own, on tmpfs.
class Bench {
 public:
  Bench() : folder_("/dev/shm/coffer-micro-" + std::to_string(getpid())), keys_(Key::random(), StoreId{1}) {
    std::filesystem::remove_all(folder_);
    for (std::uint64_t low = 0; low < 256; ++low)
      std::filesystem::create_directories(folder_ + "/" + data_file_folder(low));
    const Realm realm{*AccountId::parse("000000000000"), *Region::parse("us-east-1")};
    disk_ = *open_real_disk(folder_);
    catalog_ = *Catalog::create(*disk_, keys_, suite_, realm, "boot");
    kms_ = *LocalKms::open(keys_, suite_, *catalog_, clock_, realm);
    bucket_keys_ = std::make_unique<BucketKeys>(*kms_, suite_, clock_);
    keyring_ = std::make_unique<Keyring>(keys_, suite_, *kms_, *bucket_keys_);
    store_ = *Store::open(*catalog_, *disk_, *keyring_, clock_, log_nowhere(), Principal::root_of(realm.account));
    bucket_ = store_->create_bucket(*BucketName::parse("bucket"), {0755, 0, 0, 0})->ino;
  }
  ~Bench() {
    store_.reset();
    keyring_.reset();
    bucket_keys_.reset();
    kms_.reset();
    catalog_.reset();
    std::filesystem::remove_all(folder_);
  }

  Store& store() { return *store_; }
  InodeNumber bucket() const { return bucket_; }

  InodeNumber make(const std::string& name, std::size_t size) {
    const auto made = store_->create(bucket_, name, {0644, 0, 0, 0});
    if (!made) std::abort();
    if (size > 0 && !store_->write(made->ino, 0, Bytes(size, 7))) std::abort();
    store_->release(made->ino);
    store_->forget(made->ino, 1);
    return made->ino;
  }

 private:
  const std::string folder_;
  const AeadSuite suite_ = *AeadSuite::detect();
  KeySchedule keys_;
  SystemClock clock_;
  std::unique_ptr<Disk> disk_;
  std::unique_ptr<Catalog> catalog_;
  std::unique_ptr<LocalKms> kms_;
  std::unique_ptr<BucketKeys> bucket_keys_;
  std::unique_ptr<Keyring> keyring_;
  std::unique_ptr<Store> store_;
  InodeNumber bucket_ = 0;
};

std::string name_of(std::int64_t i) { return "file-" + std::to_string(i); }

// Of a file of so many bytes, soft commits included, as the daemon makes them.
void create(benchmark::State& state) {
  Bench bench;
  std::int64_t i = 0;
  for (auto _ : state) {
    bench.make(name_of(i++), static_cast<std::size_t>(state.range(0)));
    if (i % 1000 == 0 && !bench.store().commit_soon()) state.SkipWithError("the commit failed");
  }
}
BENCHMARK(create)->Arg(0)->Arg(4096)->Arg(32768)->Iterations(kFiles)->Unit(benchmark::kMicrosecond);

void lookup(benchmark::State& state) {
  Bench bench;
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
  Bench bench;
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
  Bench bench;
  for (int i = 0; i < kFiles; ++i) bench.make(name_of(i), 0);
  std::int64_t i = 0;
  for (auto _ : state) {
    const auto name = name_of(i++);
    if (!bench.store().rename(bench.bucket(), name, bench.bucket(), name + ".r", RenameMode::kReplace))
      state.SkipWithError("the rename failed");
  }
}
BENCHMARK(rename)->Iterations(kFiles)->Unit(benchmark::kMicrosecond);

// 4 KiB each, in one object of 64 MiB.
void overwrite(benchmark::State& state) {
  constexpr std::uint64_t kSize = 64 << 20;
  Bench bench;
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
  Bench bench;
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
