#include "daemon/access_times.h"

namespace coffer {

AccessTimePolicy AccessTimePolicy::of(const std::vector<std::string>& mount_options) {
  bool files = true, directories = true, read_only = false;
  AccessTimes times = AccessTimes::kRelative;
  for (const std::string& option : mount_options) {
    if (option == "noatime") files = false;
    if (option == "atime") files = true;
    if (option == "nodiratime") directories = false;
    if (option == "diratime") directories = true;
    if (option == "strictatime") times = AccessTimes::kAlways;
    if (option == "relatime" || option == "nostrictatime") times = AccessTimes::kRelative;
    if (option == "ro") read_only = true;
    if (option == "rw") read_only = false;
  }
  AccessTimePolicy policy;
  if (files && !read_only) policy.files = times;
  if (files && directories && !read_only) policy.directories = times;
  return policy;
}

bool is_only_an_access_time_option(const std::string& option) {
  return option == "relatime" || option == "norelatime" || option == "strictatime" || option == "nostrictatime" ||
         option == "diratime" || option == "nodiratime";
}

}  // namespace coffer
