#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "crypto/unlock_slots.h"

namespace coffer {

// Where a person said the secret is: at most one of the two.
struct UnlockFlags {
  std::optional<std::string> passphrase_file, key_file;
};

// One 32-byte file, used whole. kNoUnlock when it cannot be read, kWrongUnlock when it is not 32 bytes. May be a pipe.
Result<UnlockSecret> read_key_file(const std::string& path);

// The first line without its line end. kNoUnlock when it cannot be read, kWrongUnlock when the line is empty or longer
// than kPassphraseSizeMax. May be a pipe.
Result<UnlockSecret> read_passphrase_file(const std::string& path);

// What opens `store`: the flags; else STORE/unlock.key; else $CREDENTIALS_DIRECTORY/coffer.key; else a prompt with the
// echo off, if standard input is a terminal; else kNoUnlock. kNoStore before any of it, when the folder holds no store.
Result<UnlockSecret> find_unlock(const std::string& store, const UnlockFlags& flags);

}  // namespace coffer
