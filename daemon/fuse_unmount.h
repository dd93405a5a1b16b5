#pragma once

#include <string>

namespace coffer {

// umount2(2) for root, fusermount3 for everybody else. Lazily: also where it is in use. Whether it was unmounted.
bool unmount_dir(const std::string& dir, bool lazily);

}  // namespace coffer
