#pragma once

#include <optional>
#include <string>
#include <vector>

#include "store/store.h"

namespace coffer {

// Whether reading moves atime, as mount(8)'s options say: the kernel leaves that to whoever serves a FUSE mount, and tells
// it nothing of a later remount.
struct AccessTimePolicy {
  std::optional<AccessTimes> files, directories;  // none: it does not

  // Later options win. Unknown ones are other people's.
  static AccessTimePolicy of(const std::vector<std::string>& mount_options);
};

// Options of this kind that mean something here alone: libfuse 3.14 refuses them.
bool is_only_an_access_time_option(const std::string& option);

}  // namespace coffer
