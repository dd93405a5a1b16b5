#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include "admin/http.h"
#include "base/log.h"
#include "base/result.h"
#include "base/server_limits.h"

namespace coffer {

// HTTP/1.1 on one listening socket, Unix or TCP. Requests arrive whole at the handler, or not at all: a body shorter
// than its Content-Length closes the connection (PBE-53). Sizes, times and connections are bounded by
// base/server_limits.h.
class HttpServer {
 public:
  // Called from many threads at once, must not throw.
  using Handler = std::function<HttpResponse(const HttpRequest&)>;

  // How long a client may take; tests are less patient.
  struct Patience {
    unsigned idle_seconds = kConnectionSeconds;
    std::int64_t request_seconds = kRequestSeconds;
    std::chrono::milliseconds grace{kConnectionGraceMs};
  };
  // Borrows the descriptor, which is bound and listening: close it after stop().
  static Result<std::unique_ptr<HttpServer>> start(int listening_fd, Handler handler, Log log, Patience patience);
  static Result<std::unique_ptr<HttpServer>> start(int listening_fd, Handler handler, Log log) {
    return start(listening_fd, std::move(handler), std::move(log), Patience());
  }
  ~HttpServer();  // stops

  // Takes no new connections, lets the requests under way finish (at most kStopSeconds), closes the rest.
  void stop();

 private:
  struct State;
  explicit HttpServer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace coffer
