#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "admin/http.h"
#include "base/result.h"

namespace coffer {

// HTTP/1.1 to one daemon over its Unix socket, one request at a time.
class HttpClient {
 public:
  static Result<HttpClient> to(const std::string& socket);  // connects at the first request
  HttpClient(HttpClient&&) noexcept;
  HttpClient& operator=(HttpClient&&) noexcept;
  ~HttpClient();

  // The request as it stands: method, target, headers (Host among them) and body. An answer of any status is a success;
  // kIo when there is none.
  Result<HttpResponse> send(const HttpRequest& request);

 private:
  struct Connection;
  explicit HttpClient(std::unique_ptr<Connection> connection);
  std::unique_ptr<Connection> connection_;
};

}  // namespace coffer
