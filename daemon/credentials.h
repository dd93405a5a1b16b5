#pragma once

#include <string>

#include "admin/credentials_file.h"
#include "base/log.h"

namespace coffer {

// STORE/credentials. Without the file nobody can use the admin socket: the log says so.
Result<CredentialsFile> load_credentials(const std::string& store, const Principal& principal, const Log& log);

}  // namespace coffer
