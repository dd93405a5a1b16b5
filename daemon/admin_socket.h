#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"

namespace coffer {

// STORE/admin.sock, listening, mode 0600; or a socket elsewhere with STORE/admin.sock a symbolic link to it; or one
// that the service manager listens on already. Its end removes what was made.
class AdminSocket {
 public:
  struct Place {
    std::string store;                // absolute
    std::optional<std::string> path;  // where --admin-socket says
    std::optional<int> inherited;     // a listening Unix socket
  };
  // kInvalidArgument when the path is too long for a socket, naming --admin-socket.
  static Status check(const Place& place);
  // With the store's lock held: a socket nobody listens on is stale and is replaced. kInUse, kIo.
  static Result<std::unique_ptr<AdminSocket>> listen(const Place& place);
  ~AdminSocket();
  AdminSocket(const AdminSocket&) = delete;
  AdminSocket& operator=(const AdminSocket&) = delete;

  int fd() const { return fd_; }
  const std::string& path() const { return path_; }  // absolute, of the socket itself

 private:
  AdminSocket() = default;
  int fd_ = -1;
  std::string path_, made_, link_;  // made_, link_: to be removed, empty if not ours
};

// 127.0.0.1:port, listening. kIo.
Result<int> listen_on_loopback(std::uint16_t port);

}  // namespace coffer
