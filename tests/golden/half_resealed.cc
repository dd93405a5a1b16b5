// half_resealed STORE (--key-file | --passphrase-file) FILE BUCKET KEY SSE (end | kill)
//
// For make.py: makes an object of kChunks chunks in an existing bucket, gives the bucket another default, and moves most
// of the object under it. A daemon would go on; this ends, or leaves the log in use as a killed daemon does.

#include <unistd.h>

#include <iostream>

#include "base/limits.h"
#include "store/opened_store.h"
#include "store/store.h"
#include "store/unlock_source.h"

namespace coffer {
namespace {

// A step moves kResealStepChunks of them.
constexpr std::uint64_t kChunks = kResealStepChunks + 6;

struct Arguments {
  std::string store;
  UnlockFlags unlock;
  std::string bucket, key, sse;
  bool kill = false;
};

// Few bytes in each chunk, so that the store stays small.
Status write_chunks(Store& store, InodeNumber ino) {
  for (std::uint64_t chunk = 0; chunk < kChunks; ++chunk)
    COFFER_TRY(store.write(ino, chunk * kChunkSize, as_bytes("chunk " + std::to_string(chunk))));
  return store.sync_all();
}

Status reseal_most(Store& store, InodeNumber ino) {
  COFFER_TRY(store.write(ino, 0, as_bytes("Chunk")));  // modified under the old default
  for (const auto* step : {"begin", "move"}) {
    COFFER_ASSIGN(const bool more, store.reseal_step());
    if (!more) return Error{Code::kBusy, std::string("the reseal did not ") + step};
  }
  return store.sync_all();
}

Status make(const Arguments& arguments) {
  const SystemClock clock;
  COFFER_ASSIGN(const auto secret, find_unlock(arguments.store, arguments.unlock));
  COFFER_ASSIGN(const auto opened, OpenedStore::open(arguments.store, secret, clock, {}));
  std::unique_lock lock(opened->catalog->mutex());
  COFFER_ASSIGN(const auto realm, opened->catalog->realm());
  lock.unlock();
  COFFER_ASSIGN(const auto store, Store::open(*opened->catalog, opened->folder->disk(), *opened->keyring, clock,
                                              log_nowhere(), Principal::root_of(realm.account)));
  const auto name = BucketName::parse(arguments.bucket);
  const auto algorithm = parse_sse(arguments.sse);
  if (!name || !algorithm) return Error{Code::kInvalidArgument, "no such bucket name or SSE"};
  COFFER_ASSIGN(const auto bucket, store->find_bucket(*name));
  NewInode attributes;
  attributes.mode = 0600;
  COFFER_ASSIGN(const auto object, store->create(bucket.ino, arguments.key, attributes));
  COFFER_TRY(write_chunks(*store, object.ino));
  SseRule rule;
  rule.algorithm = *algorithm;
  COFFER_TRY(store->put_rule(*name, rule));
  COFFER_TRY(reseal_most(*store, object.ino));
  if (arguments.kill) _exit(0);
  return store->finish();
}

}  // namespace
}  // namespace coffer

int main(int count, char** words) {
  if (count != 8) {
    std::cerr << "half_resealed STORE (--key-file | --passphrase-file) FILE BUCKET KEY SSE (end | kill)\n";
    return 2;
  }
  coffer::Arguments arguments{words[1], {}, words[4], words[5], words[6], std::string_view(words[7]) == "kill"};
  const bool by_key = std::string_view(words[2]) == "--key-file";
  (by_key ? arguments.unlock.key_file : arguments.unlock.passphrase_file) = words[3];
  if (const auto made = coffer::make(arguments); !made.ok()) {
    std::cerr << "half_resealed: " << made.error().message << '\n';
    return 1;
  }
  return 0;
}
