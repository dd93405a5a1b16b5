#include "cli/mount_table.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>

namespace coffer {
namespace {

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const auto end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

// mountinfo writes blanks, tabs, line ends and backslashes as \ooo.
std::string unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned value = 0;
    if (text[i] == '\\' && i + 3 < text.size() &&
        std::from_chars(text.data() + i + 1, text.data() + i + 4, value, 8).ptr == text.data() + i + 4) {
      out += static_cast<char>(value);
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

std::optional<uid_t> user_of(std::string_view options) {
  constexpr std::string_view kUser = "user_id=";
  for (const auto option : split(options, ',')) {
    if (!option.starts_with(kUser)) continue;
    const auto digits = option.substr(kUser.size());
    uid_t user = 0;
    const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), user);
    if (read.ec == std::errc() && read.ptr == digits.data() + digits.size()) return user;
  }
  return std::nullopt;
}

std::optional<MountPoint> parse_line(std::string_view line) {
  const auto fields = split(line, ' ');
  const auto separator = std::find(fields.begin(), fields.end(), "-");
  if (separator - fields.begin() < 6 || fields.end() - separator < 4) return std::nullopt;
  return MountPoint{std::string(fields[2]), unescape(fields[4]), std::string(separator[1]), unescape(separator[2]),
                    user_of(separator[3])};
}

// What is below `dir` in `path`, or nothing if path is elsewhere.
std::optional<std::string> below(const std::string& path, const std::string& dir) {
  if (dir == "/") return path.substr(1);
  if (path == dir) return "";
  if (path.starts_with(dir + "/")) return path.substr(dir.size() + 1);
  return std::nullopt;
}

std::optional<std::string> real_path(const std::string& path) {
  const std::unique_ptr<char, decltype(&std::free)> found(::realpath(path.c_str(), nullptr), &std::free);
  if (!found) return std::nullopt;
  return std::string(found.get());
}

}  // namespace

std::vector<MountPoint> parse_mountinfo(std::string_view text) {
  std::vector<MountPoint> table;
  for (const auto line : split(text, '\n')) {
    if (auto mount = parse_line(line)) table.push_back(*std::move(mount));
  }
  return table;
}

Result<std::vector<MountPoint>> read_mountinfo() {
  std::ifstream file("/proc/self/mountinfo");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  if (text.empty()) return Error{Code::kIo, "cannot read /proc/self/mountinfo: is /proc mounted?"};
  return parse_mountinfo(text);
}

std::vector<MountPoint> coffer_mounts_of(const std::vector<MountPoint>& table, uid_t user) {
  std::vector<MountPoint> found;
  for (const auto& mount : table) {
    const auto same = [&](const MountPoint& other) { return other.device == mount.device; };
    if (!mount.is_coffer() || mount.user != user || std::any_of(found.begin(), found.end(), same)) continue;
    found.push_back(mount);
  }
  return found;
}

Result<MountPoint> coffer_mount_at(const std::vector<MountPoint>& table, const std::string& dir) {
  const std::string bare = dir.size() > 1 && dir.ends_with('/') ? dir.substr(0, dir.size() - 1) : dir;
  const auto uppermost =
      std::find_if(table.rbegin(), table.rend(), [&](const auto& mount) { return mount.dir == bare; });
  if (uppermost == table.rend() || !uppermost->is_coffer()) {
    return Error{Code::kInvalidArgument, bare + " is not a Coffer mount: `coffer status` lists them"};
  }
  return *uppermost;
}

Result<MountedPath> coffer_mount_of(const std::vector<MountPoint>& table, const std::string& path) {
  const MountPoint* nearest = nullptr;
  std::string rest;
  for (const auto& mount : table) {
    const auto inside = below(path, mount.dir);
    if (!inside || (nearest != nullptr && mount.dir.size() < nearest->dir.size())) continue;
    nearest = &mount;
    rest = *inside;
  }
  if (nearest == nullptr || !nearest->is_coffer()) {
    return Error{Code::kInvalidArgument, path + " is not in a Coffer mount: `coffer status` lists them"};
  }
  return MountedPath{*nearest, rest};
}

std::string clean_path(const std::string& path) {
  if (const auto whole = real_path(path)) return *whole + (path.ends_with('/') && *whole != "/" ? "/" : "");
  const auto end = path.find_last_not_of('/');
  const auto slash = end == std::string::npos ? end : path.rfind('/', end);
  if (slash == std::string::npos) {
    const auto here = real_path(".");
    return here ? *here + "/" + path : path;
  }
  const std::string parent = clean_path(slash == 0 ? "/" : path.substr(0, slash));
  return (parent == "/" ? "" : parent) + path.substr(slash);
}

}  // namespace coffer
