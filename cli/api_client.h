#pragma once

#include <string>
#include <string_view>

#include "admin/control.h"
#include "cli/endpoint.h"
#include "cli/http_client.h"
#include "cli/json.h"

namespace coffer {

// The three dialects of one daemon's admin socket, signed. A refusal is an Error whose message is one line for the
// person.
class ApiClient {
 public:
  // Reads the access key; connects at the first request.
  static Result<ApiClient> to(const Endpoint& endpoint);

  // target: path and query, percent-encoded. The answer's body.
  Result<std::string> s3(std::string_view method, std::string target, std::string body = {},
                         std::string_view service = "s3" /* or s3express */);
  Result<Json> kms(std::string_view operation, const Json& input = Json::object());     // TrentService.X
  Result<Json> coffer(std::string_view operation, const Json& input = Json::object());  // Coffer.X
  const std::string& region() const { return region_; }

 private:
  ApiClient(HttpClient http, AccessKey key, std::string region)
      : http_(std::move(http)), key_(std::move(key)), region_(std::move(region)) {}
  Result<HttpResponse> send(HttpRequest request, std::string_view service);
  Result<Json> call(std::string_view service, std::string target, const Json& input);

  HttpClient http_;
  AccessKey key_;
  std::string region_;
};

}  // namespace coffer
