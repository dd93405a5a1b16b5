#pragma once

#include <string>

#include "admin/control.h"
#include "base/names.h"
#include "base/result.h"

namespace coffer {

// The access key that init made for the store's owner, and the region that requests are signed for.
struct SigningKey {
  AccessKey key;
  std::string region;
};

// Profile [coffer] of a credentials file. kAccessDenied when there is none to read.
Result<SigningKey> read_signing_key(const std::string& path);

// Makes STORE/credentials, 0600, with a new access key: durable, or not there.
Status write_signing_key(const std::string& store, const Realm& realm);

}  // namespace coffer
