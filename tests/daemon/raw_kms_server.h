#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "admin/http.h"

namespace coffer {

// Listens on loopback and says, byte for byte, one of its answers to each request in turn.
class RawKmsServer {
 public:
  enum class After { kGoOn, kClose, kSilence };  // what follows an answer on its connection
  explicit RawKmsServer(std::vector<std::string> answers, After after = After::kGoOn)
      : answers_(std::move(answers)),
        after_(after),
        fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)),
        end_(eventfd(0, EFD_CLOEXEC)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (bind(fd_, reinterpret_cast<sockaddr*>(&address), size) != 0 || listen(fd_, 16) != 0) abort();
    getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~RawKmsServer() {
    const std::uint64_t one = 1;
    if (write(end_, &one, sizeof one) != sizeof one) abort();
    thread_.join();
    close(fd_);
    close(end_);
  }
  RawKmsServer(const RawKmsServer&) = delete;
  RawKmsServer& operator=(const RawKmsServer&) = delete;

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  int connections() const { return connections_; }
  std::string received() const {
    const std::lock_guard lock(mutex_);
    std::string all;
    for (const auto& request : requests_) all += request;
    return all + partial_;
  }
  HttpRequest request(std::size_t index) const {
    const std::lock_guard lock(mutex_);
    return parse(requests_.at(index));
  }

 private:
  bool wait(int fd) {
    pollfd events[2] = {{fd, POLLIN, 0}, {end_, POLLIN, 0}};
    while (poll(events, 2, -1) < 0) {
    }
    return (events[1].revents & POLLIN) == 0;
  }
  void serve() {
    while (wait(fd_)) {
      const int fd = accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
      ++connections_;
      converse(fd);
      close(fd);
    }
  }
  void converse(int fd) {
    while (wait(fd)) {
      char piece[4096];
      const ssize_t got = recv(fd, piece, sizeof piece, 0);
      if (got <= 0) return;
      std::string answer;
      {
        const std::lock_guard lock(mutex_);
        partial_.append(piece, static_cast<std::size_t>(got));
        if (!whole(partial_)) continue;
        if (said_ < answers_.size()) answer = answers_[said_++];
        requests_.push_back(std::move(partial_));
        partial_.clear();
      }
      if (send(fd, answer.data(), answer.size(), MSG_NOSIGNAL) < 0) return;
      if (after_ == After::kClose) return;
      if (after_ == After::kSilence) {
        wait(-1);
        return;
      }
    }
  }
  static bool whole(const std::string& text) {
    const auto end = text.find("\r\n\r\n");
    if (end == std::string::npos) return false;
    const HttpRequest so_far = parse(text);
    return so_far.body.size() >= std::stoul(std::string(so_far.header("Content-Length").value_or("0")));
  }
  static HttpRequest parse(const std::string& text) {
    HttpRequest out;
    const auto end = text.find("\r\n\r\n");
    std::string_view head = std::string_view(text).substr(0, end);
    const auto take_line = [&head] {
      const auto at = std::min(head.find("\r\n"), head.size());
      const auto line = head.substr(0, at);
      head.remove_prefix(std::min(at + 2, head.size()));
      return line;
    };
    const std::string_view first = take_line();
    const auto space = first.find(' ');
    out.method = first.substr(0, space);
    out.target = first.substr(space + 1, first.rfind(' ') - space - 1);
    while (!head.empty()) {
      const auto line = take_line();
      const auto colon = line.find(':');
      out.headers.push_back({std::string(line.substr(0, colon)), std::string(trim(line.substr(colon + 1)))});
    }
    if (end != std::string::npos) out.body = text.substr(end + 4);
    return out;
  }

  const std::vector<std::string> answers_;
  const After after_;
  const int fd_, end_;
  int port_ = 0;
  std::atomic<int> connections_ = 0;
  mutable std::mutex mutex_;  // guards all below
  std::vector<std::string> requests_;
  std::string partial_;
  std::size_t said_ = 0;
  std::thread thread_;
};

}  // namespace coffer
