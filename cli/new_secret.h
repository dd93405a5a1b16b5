#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/console.h"
#include "cli/options.h"
#include "store/root_rekey.h"

namespace coffer {

using NewSecret = RootSecret;

// What the flags name, a key file made where it is missing, a recovery key made now; asked for on the terminal, as a
// passphrase, where they name nothing. At least one.
Result<std::vector<NewSecret>> new_secrets(const std::string& store, const NewSecrets& flags);

// On standard output, with what to do about it: the one time it can be read.
void show_recovery_key(const NewSecret& secret, Console& console);

}  // namespace coffer
