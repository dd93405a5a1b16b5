#include "daemon/admin_socket.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "base/limits.h"

namespace coffer {
namespace {

Error failed(const std::string& what) { return {Code::kIo, what + ": " + std::strerror(errno)}; }

std::string default_path(const std::string& store) { return store + "/admin.sock"; }

std::string path_of(const AdminSocket::Place& place) {
  if (!place.path) return default_path(place.store);
  std::error_code ignored;
  return std::filesystem::absolute(*place.path, ignored).lexically_normal().string();
}

Result<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    return Error{Code::kInvalidArgument, path + " is too long for a socket: name a shorter path with --admin-socket"};
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

std::string bound_path(int fd) {
  sockaddr_un address = {};
  socklen_t size = sizeof(address);
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return "";
  return {address.sun_path, strnlen(address.sun_path, sizeof(address.sun_path))};
}

bool somebody_listens(const sockaddr_un& address) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const bool answered = fd >= 0 && connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  if (fd >= 0) ::close(fd);
  return answered;
}

Status remove_stale(const std::string& path, const sockaddr_un& address) {
  struct stat attributes;
  if (lstat(path.c_str(), &attributes) != 0) return {};
  if (S_ISLNK(attributes.st_mode)) {
    if (::unlink(path.c_str()) != 0) return failed("cannot replace " + path);
    return {};
  }
  if (!S_ISSOCK(attributes.st_mode)) {
    return Error{Code::kIo, path + " is there and is no socket: remove it, or name another with --admin-socket"};
  }
  if (somebody_listens(address))
    return Error{Code::kInUse, path + " serves somebody else: name another with --admin-socket"};
  if (::unlink(path.c_str()) != 0) return failed("cannot replace " + path);
  return {};
}

// The umask is the caller's business: nobody may connect before the mode is right.
Result<int> bind_and_listen(const std::string& path) {
  COFFER_ASSIGN(const sockaddr_un address, address_of(path));
  COFFER_TRY(remove_stale(path, address));
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return failed("cannot make a socket");
  if (bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      chmod(path.c_str(), S_IRUSR | S_IWUSR) != 0 || ::listen(fd, kListenBacklog) != 0) {
    Error error = failed("cannot listen on " + path);
    ::close(fd);
    return error;
  }
  return fd;
}

}  // namespace

Status AdminSocket::check(const Place& place) {
  if (place.inherited) return {};
  COFFER_TRY(address_of(path_of(place)));
  return {};
}

Result<std::unique_ptr<AdminSocket>> AdminSocket::listen(const Place& place) {
  std::unique_ptr<AdminSocket> out(new AdminSocket());
  if (place.inherited) {
    out->fd_ = *place.inherited;
    out->path_ = bound_path(out->fd_);
  } else {
    out->path_ = path_of(place);
    COFFER_ASSIGN(out->fd_, bind_and_listen(out->path_));
    out->made_ = out->path_;
  }
  const std::string usual = default_path(place.store);
  if (out->path_ == usual || out->path_.empty()) return out;
  if (::unlink(usual.c_str()) != 0 && errno != ENOENT) return failed("cannot replace " + usual);
  if (::symlink(out->path_.c_str(), usual.c_str()) != 0) return failed("cannot make " + usual);
  out->link_ = usual;
  return out;
}

AdminSocket::~AdminSocket() {
  if (fd_ >= 0) ::close(fd_);
  if (!link_.empty()) ::unlink(link_.c_str());
  if (!made_.empty()) ::unlink(made_.c_str());
}

Result<int> listen_on_loopback(std::uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return failed("cannot make a socket");
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      ::listen(fd, kListenBacklog) != 0) {
    Error error = failed("cannot listen on 127.0.0.1:" + std::to_string(port));
    ::close(fd);
    return error;
  }
  return fd;
}

}  // namespace coffer
