#include <unistd.h>

#include "base/clock.h"
#include "base/exit_code.h"
#include "cli/commands.h"
#include "cli/new_secret.h"
#include "cli/progress.h"
#include "store/root_rekey.h"
#include "store/store_folder.h"

namespace coffer {
namespace {

bool opens(const UnlockSlots& slots, const AeadSuite& suite, const std::vector<NewSecret>& secrets) {
  for (const auto& wanted : secrets) {
    if (slots.open(suite, wanted.secret).ok()) return true;
  }
  return false;
}

// A key that lies in the folder is asked for before anything else, so one that opens nothing is in the way.
void warn_of_old_key(const std::string& store, Console& console) {
  const std::string path = store + "/unlock.key";
  if (::access(path.c_str(), F_OK) != 0) return;
  console.err << "coffer: warning: " << path << " opens nothing any more: remove it, or put the new key in its place\n";
}

}  // namespace

Result<int> run_command(const UnlockRekeyOptions& options, Console& console) {
  COFFER_ASSIGN(const AeadSuite suite, AeadSuite::detect());
  COFFER_ASSIGN(const UnlockSecret secret, find_unlock(options.store, options.unlock));
  RekeyWish wish;
  COFFER_ASSIGN(wish.secrets, new_secrets(options.store, options.secrets));
  auto folder = StoreFolder::open(options.store, /*wait_seconds=*/0);
  if (!folder.ok() && folder.code() == Code::kInUse)
    return Error{Code::kInUse, options.store + " is in use: unmount it first (`coffer status` lists mounts)"};
  if (!folder.ok()) return std::move(folder).error();
  Disk& disk = (*folder)->disk();
  COFFER_TRY(settle_rekey(disk, Unfinished::kKeep));
  COFFER_ASSIGN(const UnlockSlots slots, (*folder)->unlock_slots());

  const auto opened = slots.open(suite, secret);
  if (!opened.ok() && opened.code() == Code::kWrongUnlock && opens(slots, suite, wish.secrets)) {
    console.err << "coffer: the store has its new root key already\n";  // a call that was cut short had come so far
    warn_of_old_key(options.store, console);
    return kExitDone;
  }
  if (!opened.ok()) return opened.error();
  const SystemClock clock;
  {
    Progress progress(console, clock, "copying the catalog:");
    wish.progress = [&](std::uint64_t done, std::uint64_t total) { progress.show(done, total); };
    // While it still is not needed: whoever cannot read it is not locked out yet.
    wish.before_switch = [&] {
      for (const auto& made : wish.secrets) {
        if (made.kind == SlotKind::kRecovery) show_recovery_key(made, console);
      }
    };
    COFFER_TRY(rekey_root(disk, suite, clock, current_boot_id(), slots, opened->keys, wish));
  }
  console.err << "coffer: the store has a new root key, and the secrets given now alone open it. Data keys are as they "
              << "were: mount it and run `coffer reseal --data` to replace them\n";
  warn_of_old_key(options.store, console);
  return kExitDone;
}

}  // namespace coffer
