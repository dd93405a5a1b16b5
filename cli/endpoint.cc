#include "cli/endpoint.h"

#include <limits.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>

namespace coffer {
namespace {

std::optional<std::string> variable(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == '\0') return std::nullopt;
  return value;
}

std::string folder_of(const std::string& path) {
  const auto slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::string credentials_in(const std::string& folder, const EndpointChoice& flags, const EndpointChoice& environment) {
  if (flags.credentials) return *flags.credentials;
  if (environment.credentials) return *environment.credentials;
  return folder + "/credentials";
}

Error undecided(const std::vector<MountPoint>& mounts) {
  if (mounts.empty()) {
    return {Code::kInvalidArgument,
            "you have no Coffer mount: make one with `coffer mount STORE DIR`, or give --socket PATH"};
  }
  std::string list;
  for (const auto& mount : mounts)
    list += (list.empty() ? "" : ", ") + mount.dir + " (" + mount.source + "/admin.sock)";
  return {Code::kInvalidArgument, "you have several Coffer mounts, choose one with --socket PATH: " + list};
}

bool fits(const std::string& path) { return path.size() < sizeof(sockaddr_un::sun_path); }

}  // namespace

EndpointChoice endpoint_from_environment() { return {variable("COFFER_SOCKET"), variable("COFFER_CREDENTIALS")}; }

Result<Endpoint> find_endpoint(const EndpointChoice& flags, const EndpointChoice& environment,
                               const std::vector<MountPoint>& table, uid_t user) {
  if (const auto& socket = flags.socket ? flags.socket : environment.socket) {
    return Endpoint{*socket, credentials_in(folder_of(*socket), flags, environment)};
  }
  const auto mounts = coffer_mounts_of(table, user);
  if (mounts.size() != 1) return undecided(mounts);
  return endpoint_of(mounts[0], flags, environment);
}

Endpoint endpoint_of(const MountPoint& mount, const EndpointChoice& flags, const EndpointChoice& environment) {
  return {flags.socket.value_or(mount.source + "/admin.sock"), credentials_in(mount.source, flags, environment)};
}

Result<std::string> socket_address(const std::string& socket) {
  if (fits(socket)) return socket;
  char target[PATH_MAX];
  const auto size = ::readlink(socket.c_str(), target, sizeof target);
  if (size > 0) {
    std::string path(target, static_cast<std::size_t>(size));
    if (!path.starts_with('/')) path = folder_of(socket) + "/" + path;
    if (fits(path)) return path;
  }
  return Error{Code::kInvalidArgument,
               socket + " is too long for a socket's address: mount with --admin-socket PATH and a short PATH"};
}

}  // namespace coffer
