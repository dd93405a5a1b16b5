// A client that costs little: CONNECTIONS threads send the requests of FILES, each a request as it goes over the wire,
// signed beforehand, one after another for SECONDS, and wait for each answer.
//   wire_load SOCKET CONNECTIONS SECONDS FILE...     prints {"calls", "seconds", "p50_us", "p99_us", "max_us"}
// An answer that is no 2xx ends it with exit 1 and the answer.
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

[[noreturn]] void fail(const std::string& why) {
  std::fprintf(stderr, "wire_load: %s\n", why.c_str());
  std::_Exit(1);
}

int connected(const std::string& path) {
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) fail("the socket's path is too long");
  std::memcpy(address.sun_path, path.data(), path.size());
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) fail("cannot connect to " + path);
  return fd;
}

void send_all(int fd, const std::string& bytes) {
  for (std::size_t at = 0; at < bytes.size();) {
    const auto sent = send(fd, bytes.data() + at, bytes.size() - at, MSG_NOSIGNAL);
    if (sent <= 0) fail("the connection ended while sending");
    at += static_cast<std::size_t>(sent);
  }
}

std::size_t content_length(const std::string& head) {
  for (auto at = head.find("\r\n"); at != std::string::npos; at = head.find("\r\n", at + 2))
    if (strncasecmp(head.c_str() + at + 2, "content-length:", 15) == 0)
      return std::strtoul(head.c_str() + at + 17, nullptr, 10);
  return 0;
}

void read_answer(int fd) {
  std::string answer;
  std::size_t whole = std::string::npos;
  char piece[16384];
  while (whole == std::string::npos || answer.size() < whole) {
    const auto got = recv(fd, piece, sizeof piece, 0);
    if (got <= 0) fail("the connection ended: " + answer);
    answer.append(piece, static_cast<std::size_t>(got));
    const auto end = answer.find("\r\n\r\n");
    if (whole == std::string::npos && end != std::string::npos) whole = end + 4 + content_length(answer.substr(0, end));
  }
  if (answer.compare(0, 10, "HTTP/1.1 2") != 0) fail("refused: " + answer);
}

void load(const std::string& path, const std::vector<std::string>& requests, std::size_t first, Clock::time_point end,
          std::vector<double>& micros) {
  const int fd = connected(path);
  for (auto i = first; Clock::now() < end; ++i) {
    const auto begin = Clock::now();
    send_all(fd, requests[i % requests.size()]);
    read_answer(fd);
    micros.push_back(std::chrono::duration<double, std::micro>(Clock::now() - begin).count());
  }
  close(fd);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) fail("SOCKET CONNECTIONS SECONDS FILE...");
  std::vector<std::string> requests;
  for (int i = 4; i < argc; ++i) {
    std::ifstream file(argv[i], std::ios::binary);
    requests.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  const auto connections = static_cast<std::size_t>(std::atoi(argv[2]));
  std::vector<std::vector<double>> each(connections);
  std::vector<std::thread> threads;
  const auto begin = Clock::now();
  const auto end = begin + std::chrono::milliseconds(static_cast<long>(std::atof(argv[3]) * 1000));
  for (std::size_t i = 0; i < connections; ++i)
    threads.emplace_back([&, i] { load(argv[1], requests, i, end, each[i]); });
  for (auto& thread : threads) thread.join();
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  std::vector<double> all;
  for (const auto& micros : each) all.insert(all.end(), micros.begin(), micros.end());
  if (all.empty()) fail("no call was done");
  std::sort(all.begin(), all.end());
  std::printf("{\"calls\": %zu, \"seconds\": %.3f, \"p50_us\": %.1f, \"p99_us\": %.1f, \"max_us\": %.1f}\n", all.size(),
              seconds, all[all.size() / 2], all[all.size() * 99 / 100], all.back());
}
