#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace coffer {

// One line of /proc/self/mountinfo (proc(5)).
struct MountPoint {
  std::string device;  // major:minor, one per file system instance
  std::string dir, type, source;
  std::optional<uid_t> user;  // of a FUSE mount: who mounted it

  bool is_coffer() const { return type == "fuse.coffer"; }
};

std::vector<MountPoint> parse_mountinfo(std::string_view text);  // oldest first; lines it cannot read are left out
Result<std::vector<MountPoint>> read_mountinfo();

// The Coffer mounts of this user, each file system once.
std::vector<MountPoint> coffer_mounts_of(const std::vector<MountPoint>& table, uid_t user);

// The uppermost mount on exactly `dir` (absolute, clean), if it is a Coffer mount. kInvalidArgument otherwise.
Result<MountPoint> coffer_mount_at(const std::vector<MountPoint>& table, const std::string& dir);

// A path taken apart at its mount point.
struct MountedPath {
  MountPoint mount;
  std::string rest;  // below the mount point, without the slash before it
};
// kInvalidArgument unless the absolute, clean `path` is in a Coffer mount.
Result<MountedPath> coffer_mount_of(const std::vector<MountPoint>& table, const std::string& path);

// The absolute path without symbolic links. What need not exist, or does not answer because its daemon has died, is
// kept as it was written; a slash at the end stays.
std::string clean_path(const std::string& path);

}  // namespace coffer
