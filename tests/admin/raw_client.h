#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>

#include "admin/http.h"

namespace coffer {

// A folder with a listening Unix socket in it, gone when it goes.
class ListeningSocket {
 public:
  ListeningSocket() {
    char name[] = "/tmp/coffer-admin-XXXXXX";
    dir_ = mkdtemp(name);
    path_ = dir_ + "/s";
    fd_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path_.data(), path_.size());
    if (bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 || listen(fd_, 64) != 0) abort();
  }
  ListeningSocket(const ListeningSocket&) = delete;
  ListeningSocket& operator=(const ListeningSocket&) = delete;
  ~ListeningSocket() {
    close(fd_);
    std::filesystem::remove_all(dir_);
  }
  int fd() const { return fd_; }
  const std::string& path() const { return path_; }

 private:
  std::string dir_, path_;
  int fd_ = -1;
};

// A client that sends exactly the bytes it is told to.
class RawClient {
 public:
  explicit RawClient(const std::string& path) {
    fd_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    connected_ = connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    limit_waiting();
  }
  explicit RawClient(in_port_t loopback_port) {
    fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = loopback_port;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    limit_waiting();
  }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;
  ~RawClient() { close(fd_); }

  bool connected() const { return connected_; }
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const auto sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }
  void finish_sending() { shutdown(fd_, SHUT_WR); }

  // One response with a Content-Length, or what came until the connection ended. Status 0: nothing came.
  HttpResponse read_response() {
    while (buffer_.find("\r\n\r\n") == std::string::npos)
      if (!receive()) break;
    const auto head_end = buffer_.find("\r\n\r\n");
    if (head_end == std::string::npos) return {0, {}, std::move(buffer_)};
    HttpResponse response = parse_head(buffer_.substr(0, head_end));
    buffer_.erase(0, head_end + 4);
    std::size_t size = 0;
    for (const auto& header : response.headers)
      if (equal_ignoring_case(header.name, "content-length")) size = std::stoul(header.value);
    while (buffer_.size() < size)
      if (!receive()) break;
    response.body = buffer_.substr(0, size);
    buffer_.erase(0, size);
    return response;
  }
  // Whether the server ends the connection, without another byte.
  bool ended() { return buffer_.empty() && !receive() && !timed_out_; }
  bool receive_one() {  // a byte, and throws it away
    char byte;
    const auto got = recv(fd_, &byte, 1, 0);
    timed_out_ = got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
    return got > 0;
  }

 private:
  void limit_waiting() {
    const timeval limit{20, 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  }
  bool receive() {
    char bytes[4096];
    const auto got = recv(fd_, bytes, sizeof bytes, 0);
    timed_out_ = got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
    if (got <= 0) return false;
    buffer_.append(bytes, static_cast<std::size_t>(got));
    return true;
  }
  static HttpResponse parse_head(const std::string& head) {
    HttpResponse response;
    response.status = std::stoi(head.substr(head.find(' ') + 1));
    for (auto at = head.find("\r\n"); at != std::string::npos;) {
      const auto end = head.find("\r\n", at + 2);
      const auto line = head.substr(at + 2, end == std::string::npos ? end : end - at - 2);
      const auto colon = line.find(':');
      response.headers.push_back({line.substr(0, colon), std::string(trim(line.substr(colon + 1)))});
      at = end;
    }
    return response;
  }

  int fd_ = -1;
  bool connected_ = false;
  bool timed_out_ = false;
  std::string buffer_;
};

// The bytes of a request as they go over the wire.
inline std::string wire(const HttpRequest& request) {
  std::string out = request.method + " " + request.target + " HTTP/1.1\r\n";
  for (const auto& header : request.headers) out += header.name + ": " + header.value + "\r\n";
  return out + "\r\n" + request.body;
}

}  // namespace coffer
