#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "crypto/unlock_slots.h"

namespace coffer {

// Where a person said the secret is: at most one of them.
struct UnlockFlags {
  std::optional<std::string> passphrase_file = {}, key_file = {}, recovery_file = {};
};

// One 32-byte file, used whole. kNoUnlock when it cannot be read, kWrongUnlock when it is not 32 bytes. May be a pipe.
Result<UnlockSecret> read_key_file(const std::string& path);

// The first line without its line end. kNoUnlock when it cannot be read, kWrongUnlock when the line is empty or longer
// than kPassphraseSizeMax. May be a pipe.
Result<UnlockSecret> read_passphrase_file(const std::string& path);

// A recovery key as it was written down. kNoUnlock when it cannot be read, kWrongUnlock when it is none. May be a pipe.
Result<UnlockSecret> read_recovery_file(const std::string& path);

// A new passphrase, asked for twice with the echo off. kNoUnlock without a terminal; kInvalidArgument when the two differ.
Result<UnlockSecret> ask_new_passphrase(const std::string& store);

// What opens `store`: the flags; else STORE/unlock.key; else $CREDENTIALS_DIRECTORY/coffer.key; else a prompt with the
// echo off, if standard input is a terminal, where a recovery key may be typed as well; else kNoUnlock. kNoStore before any of it, when the folder holds no store.
Result<UnlockSecret> find_unlock(const std::string& store, const UnlockFlags& flags);

}  // namespace coffer
