#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "admin/http_server.h"
#include "base/limits.h"
#include "tests/admin/admin_room.h"
#include "tests/admin/raw_client.h"
#include "tests/fuzz/fuzz.h"

// From a socket's bytes to an answer. A strict reader of HTTP/1.1, written here, says what the first request is, if it
// can be read in one way alone: then the server hands over the same; and where it says that the request's end is not
// clear, the server hands over nothing.
namespace coffer {
namespace {

struct Served {
  Served()
      : server(*HttpServer::start(
            socket.fd(),
            [this](const HttpRequest& request) {
              std::lock_guard lock(mutex);
              requests.push_back(request);
              return room->server.handle(request);
            },
            log_nowhere())) {}

  std::vector<HttpRequest> send(std::string_view bytes, HttpResponse& response) {
    {
      std::lock_guard lock(mutex);
      requests.clear();
      room = std::make_unique<AdminRoom>();
    }
    RawClient client(socket.path());
    claim(client.connected(), "the server takes connections whatever came before");
    client.send(bytes);
    client.finish_sending();
    response = client.read_response();
    for (int i = 0; i < 64 && client.read_response().status != 0; ++i) {
    }
    std::lock_guard lock(mutex);
    claim(room->buckets.changes == 0, "nothing changes without a signature");
    return requests;
  }

  ListeningSocket socket;
  std::mutex mutex;  // guards what follows; one connection at a time
  std::vector<HttpRequest> requests;
  std::unique_ptr<AdminRoom> room = std::make_unique<AdminRoom>();
  std::unique_ptr<HttpServer> server;  // last: its threads use the others
};

bool is_one_of(char c, std::string_view set) { return set.find(c) != std::string_view::npos; }

bool all_of(std::string_view text, bool (*fits)(char)) {
  for (const char c : text)
    if (!fits(c)) return false;
  return !text.empty();
}

bool is_token_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || is_one_of(c, "!#$%&'*+-.^_`|~");
}

struct Reading {
  enum class Kind { kOne, kUnclear, kOther };  // kOther: nothing is claimed of it
  Kind kind = Kind::kOther;
  HttpRequest request;
};

// Lines end with CR LF, nothing is folded, the version is 1.1, there is one Host, the body has a length.
Reading read_strictly(std::string_view bytes) {
  Reading reading;
  auto& request = reading.request;
  const auto end = bytes.find("\r\n\r\n");
  if (end == std::string_view::npos || end > kHeaderSizeMax / 4) return reading;
  auto head = bytes.substr(0, end);
  for (std::size_t i = 0; i < head.size(); ++i) {
    const auto c = static_cast<unsigned char>(head[i]);
    const bool line_end = c == '\r' && i + 1 < head.size() && head[i + 1] == '\n';
    const bool after_one = c == '\n' && i > 0 && head[i - 1] == '\r';
    if (!line_end && !after_one && (c < 0x20 || c > 0x7e)) return reading;
  }
  auto first = take_until(head, "\r\n");
  request.method = take_until(first, " ");
  request.target = take_until(first, " ");
  if (first != "HTTP/1.1" || !all_of(request.method, is_token_char) || request.method.size() > 16) return reading;
  if (request.target.empty() || request.target[0] != '/' || request.target.size() > 256) return reading;
  std::size_t lengths = 0, codings = 0, hosts = 0, size = 0, count = 0;
  bool odd_length = false;
  while (!head.empty()) {
    auto line = take_until(head, "\r\n");
    const auto colon = line.find(':');
    if (colon == std::string_view::npos || !all_of(line.substr(0, colon), is_token_char) || ++count > 30)
      return reading;
    const auto name = lower_case(line.substr(0, colon));
    const auto value = trim(line.substr(colon + 1));
    if (name == "expect" || name == "connection" || name == "upgrade") return reading;
    if (name == "host") ++hosts;
    if (name == "transfer-encoding") ++codings;
    if (name == "content-length") {
      ++lengths;
      odd_length = !all_of(value, [](char c) { return c >= '0' && c <= '9'; }) || value.size() > 5;
      if (!odd_length) size = std::stoul(std::string(value));
    }
    request.headers.push_back({std::string(line.substr(0, colon)), std::string(value)});
  }
  if (hosts != 1) return reading;
  if (lengths + codings > 1) reading.kind = Reading::Kind::kUnclear;
  if (codings > 0 || lengths > 1 || odd_length || size > kBodySizeMax) return reading;
  const auto body = bytes.substr(end + 4);
  if (body.size() < size) return reading;
  request.body = body.substr(0, size);
  reading.kind = Reading::Kind::kOne;
  return reading;
}

bool same(const HttpRequest& a, const HttpRequest& b) {
  if (a.method != b.method || a.target != b.target || a.body != b.body || a.headers.size() != b.headers.size())
    return false;
  for (std::size_t i = 0; i < a.headers.size(); ++i)
    if (a.headers[i].name != b.headers[i].name || trim(a.headers[i].value) != trim(b.headers[i].value)) return false;
  return true;
}

void try_it(std::string_view bytes) {
  static auto& served = *new Served;  // until the process ends
  HttpResponse response;
  const auto requests = served.send(bytes, response);
  claim(response.status == 0 || (response.status >= 100 && response.status < 600), "an answer, or a close");
  for (const auto& request : requests) {
    claim(request.body.size() <= kBodySizeMax && request.target.size() <= kHeaderSizeMax, "sizes are bounded");
    claim(bytes.find(request.target) != std::string_view::npos, "a target is as it was sent");
    claim(request.header_count("content-length") + request.header_count("transfer-encoding") <= 1,
          "a request has one end");
  }
  const auto reading = read_strictly(bytes);
  if (reading.kind == Reading::Kind::kUnclear)
    claim(requests.empty(), "a request whose end is not clear reaches nobody");
  if (reading.kind == Reading::Kind::kOne)
    claim(!requests.empty() && same(requests[0], reading.request), "a request is handed over as it was sent");
}

}  // namespace
}  // namespace coffer

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size <= 2 * coffer::kBodySizeMax) coffer::try_it(coffer::fuzz_text(data, size));
  return 0;
}
