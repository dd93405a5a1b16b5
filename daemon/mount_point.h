#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace coffer {

// The folder that will carry the mount, absolute and without symbolic links. kInvalidArgument where it is missing, not
// a folder, or inside `store` (absolute).
Result<std::string> find_mount_point(const std::string& dir, const std::string& store);

// kInvalidArgument unless `dir` can be mounted on: it is empty. What a daemon of this store left there when it died is
// unmounted first; to be called with the store's lock held.
Status clear_mount_point(const std::string& dir, const std::string& store);

// Whether /proc/self/mountinfo's text shows a Coffer mount of `store` on `dir`, uppermost.
bool shows_mount(std::string_view mountinfo, std::string_view store, std::string_view dir);

}  // namespace coffer
