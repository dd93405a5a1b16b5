#include "daemon/mount_point.h"

#include <dirent.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <sstream>
#include <vector>

#include "daemon/fuse_unmount.h"

namespace coffer {
namespace {

Error wrong_dir(const std::string& message) { return {Code::kInvalidArgument, message}; }

// proc(5): blanks, tabs, line ends and backslashes are \ooo.
std::string unescaped(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      out += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

Result<bool> is_empty(const std::string& dir) {
  const std::unique_ptr<DIR, int (*)(DIR*)> listing(::opendir(dir.c_str()), ::closedir);
  if (!listing) return wrong_dir("cannot read " + dir + ": " + std::strerror(errno));
  while (const dirent* entry = ::readdir(listing.get())) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") return false;
  }
  return true;
}

std::string mountinfo() {
  std::ifstream file("/proc/self/mountinfo");
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

}  // namespace

Result<std::string> find_mount_point(const std::string& dir, const std::string& store) {
  char resolved[PATH_MAX];
  if (realpath(dir.c_str(), resolved) == nullptr) {
    if (errno == ENOENT) return wrong_dir(dir + " is not there: make it first (mkdir " + dir + ")");
    return wrong_dir("cannot use " + dir + ": " + std::strerror(errno));
  }
  const std::string found = resolved;
  struct stat attributes;
  if (stat(found.c_str(), &attributes) == 0 ? !S_ISDIR(attributes.st_mode) : errno != ENOTCONN) {
    return wrong_dir(dir + " is not a folder: name an empty one");
  }
  if ((found + "/").starts_with(store + "/")) return wrong_dir(dir + " is inside the store: mount elsewhere");
  return found;
}

bool shows_mount(std::string_view mountinfo_text, std::string_view store, std::string_view dir) {
  bool shown = false;
  std::istringstream lines{std::string(mountinfo_text)};
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    const std::vector<std::string> fields{std::istream_iterator<std::string>(words), {}};
    if (fields.size() < 10 || unescaped(fields[4]) != dir) continue;
    std::size_t dash = 6;
    while (dash < fields.size() && fields[dash] != "-") ++dash;
    if (dash + 2 >= fields.size()) continue;
    shown = fields[dash + 1] == "fuse.coffer" && unescaped(fields[dash + 2]) == store;
  }
  return shown;
}

Status clear_mount_point(const std::string& dir, const std::string& store) {
  struct stat attributes;
  if (stat(dir.c_str(), &attributes) != 0 && errno == ENOTCONN && shows_mount(mountinfo(), store, dir)) {
    unmount_dir(dir, /*lazily=*/true);
  }
  if (stat(dir.c_str(), &attributes) != 0) {
    return wrong_dir("cannot use " + dir + ": " + std::strerror(errno) + ": unmount what is there (umount " + dir +
                     ")");
  }
  COFFER_ASSIGN(const bool empty, is_empty(dir));
  if (!empty) return wrong_dir(dir + " is not empty: name an empty folder");
  return {};
}

}  // namespace coffer
