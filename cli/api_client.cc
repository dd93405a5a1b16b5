#include "cli/api_client.h"

#include "admin/sigv4.h"
#include "base/clock.h"
#include "cli/access_key.h"
#include "cli/wire_error.h"

namespace coffer {
namespace {

constexpr const char* kJsonType = "application/x-amz-json-1.1";

bool succeeded(const HttpResponse& response) { return response.status >= 200 && response.status < 300; }

}  // namespace

Result<ApiClient> ApiClient::to(const Endpoint& endpoint) {
  COFFER_ASSIGN(SigningKey signing, read_signing_key(endpoint.credentials));
  COFFER_ASSIGN(HttpClient http, HttpClient::to(endpoint.socket));
  return ApiClient(std::move(http), std::move(signing.key), std::move(signing.region));
}

Result<HttpResponse> ApiClient::send(HttpRequest request, std::string_view service) {
  request.headers.push_back({"Host", "localhost"});
  auto signature = sign(request, key_, service, region_, SystemClock().wall_ns());
  for (auto& header : signature) request.headers.push_back(std::move(header));
  return http_.send(request);
}

Result<std::string> ApiClient::s3(std::string_view method, std::string target, std::string body,
                                  std::string_view service) {
  HttpRequest request;
  request.method = method;
  request.target = std::move(target);
  request.body = std::move(body);
  COFFER_ASSIGN(HttpResponse response, send(std::move(request), service));
  if (!succeeded(response)) return s3_refusal(response.status, response.body);
  return std::move(response.body);
}

Result<Json> ApiClient::kms(std::string_view operation, const Json& input) {
  return call("kms", "TrentService." + std::string(operation), input);
}

Result<Json> ApiClient::coffer(std::string_view operation, const Json& input) {
  return call("coffer", "Coffer." + std::string(operation), input);
}

Result<Json> ApiClient::call(std::string_view service, std::string target, const Json& input) {
  HttpRequest request;
  request.method = "POST";
  request.target = "/";
  request.headers = {{"Content-Type", kJsonType}, {"X-Amz-Target", std::move(target)}};
  request.body = compact_json(input);
  COFFER_ASSIGN(HttpResponse response, send(std::move(request), service));
  if (!succeeded(response)) return json_refusal(response.status, response.body);
  if (response.body.empty()) return Json::object();
  return parse_json(response.body);
}

}  // namespace coffer
