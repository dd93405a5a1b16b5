#include "base/exit_code.h"
#include "base/limits.h"
#include "cli/commands.h"
#include "cli/offline_store.h"
#include "store/store.h"

namespace coffer {
namespace {

// In pieces; each is printed once all of it has authenticated.
Status print_object(Store& store, InodeNumber ino, Console& console) {
  Bytes piece(kCatPieceSize);
  for (std::uint64_t offset = 0;;) {
    COFFER_ASSIGN(const std::size_t size, store.read(ino, offset, piece));
    console.out.write(reinterpret_cast<const char*>(piece.data()), static_cast<std::streamsize>(size));
    if (size < piece.size() || !console.out) break;
    offset += size;
  }
  wipe(piece);
  return {};
}

}  // namespace

Result<int> run_command(const CatOptions& options, Console& console) {
  COFFER_ASSIGN(const ObjectName name, parse_object_name(options.object));
  const SystemClock clock;
  COFFER_ASSIGN(const auto opened, open_offline(options.store, options.unlock, clock));
  COFFER_ASSIGN(const Principal owner, owner_of(*opened));
  COFFER_ASSIGN(const InodeNumber ino, find_object(*opened, name));
  COFFER_ASSIGN(const auto store,
                Store::open(*opened->catalog, opened->folder->disk(), *opened->keyring, clock, log_nowhere(), owner));
  COFFER_TRY(store->open_object(ino, /*truncate=*/false));
  const Status printed = print_object(*store, ino, console);
  store->release(ino);
  COFFER_TRY(printed);
  return kExitDone;
}

}  // namespace coffer
