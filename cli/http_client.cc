#include "cli/http_client.h"

#include <curl/curl.h>

#include "base/limits.h"
#include "cli/endpoint.h"

namespace coffer {
namespace {

struct HeaderList {
  curl_slist* first = nullptr;
  ~HeaderList() { curl_slist_free_all(first); }
  bool add(const std::string& line) {
    curl_slist* longer = curl_slist_append(first, line.c_str());
    if (longer != nullptr) first = longer;
    return longer != nullptr;
  }
};

std::size_t take_body(char* data, std::size_t, std::size_t size, void* into) {
  auto& body = *static_cast<std::string*>(into);
  if (body.size() + size > kAnswerSizeMax) return 0;  // curl then fails the request
  body.append(data, size);
  return size;
}

std::size_t take_header(char* data, std::size_t, std::size_t size, void* into) {
  auto& headers = *static_cast<std::vector<HttpHeader>*>(into);
  const std::string_view line(data, size);
  const auto colon = line.find(':');
  if (line.starts_with("HTTP/")) headers.clear();  // what came before was an interim answer
  if (colon != std::string_view::npos && headers.size() < kAnswerHeadersMax) {
    headers.push_back({std::string(trim(line.substr(0, colon))), std::string(trim(line.substr(colon + 1)))});
  }
  return size;
}

}  // namespace

struct HttpClient::Connection {
  std::string socket;
  CURL* curl = nullptr;
  ~Connection() { curl_easy_cleanup(curl); }
};

HttpClient::HttpClient(std::unique_ptr<Connection> connection) : connection_(std::move(connection)) {}
HttpClient::HttpClient(HttpClient&&) noexcept = default;
HttpClient& HttpClient::operator=(HttpClient&&) noexcept = default;
HttpClient::~HttpClient() = default;

Result<HttpClient> HttpClient::to(const std::string& socket) {
  auto connection = std::make_unique<Connection>();
  COFFER_ASSIGN(connection->socket, socket_address(socket));
  connection->curl = curl_easy_init();
  if (connection->curl == nullptr) return Error{Code::kIo, "libcurl cannot be started"};
  return HttpClient(std::move(connection));
}

Result<HttpResponse> HttpClient::send(const HttpRequest& request) {
  CURL* curl = connection_->curl;
  curl_easy_reset(curl);  // keeps the connection
  HttpResponse response;
  HeaderList headers;
  bool complete = true;
  for (const auto& header : request.headers) complete = headers.add(header.name + ": " + header.value) && complete;
  for (const char* unwanted : {"Accept:", "Expect:"}) complete = headers.add(unwanted) && complete;
  if (request.header("Content-Type") == std::nullopt) complete = headers.add("Content-Type:") && complete;
  if (!complete) return Error{Code::kIo, "out of memory"};

  const std::string url = "http://localhost" + request.target;
  curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, connection_->socket.c_str());
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
  curl_easy_setopt(curl, CURLOPT_PROXY, "");
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_TIMEOUT, kAnswerSecondsMax);
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers.first);
  if (request.method == "HEAD") {
    curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
  } else if (request.method != "GET" || !request.body.empty()) {
    curl_easy_setopt(curl, CURLOPT_POST, 1L);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request.body.data());
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  }
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &take_body);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &response.body);
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, &take_header);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, &response.headers);

  const CURLcode done = curl_easy_perform(curl);
  if (done == CURLE_COULDNT_CONNECT) {
    return Error{Code::kIo, "no daemon answers at " + connection_->socket + ": mount the store with `coffer mount`"};
  }
  if (done != CURLE_OK) {
    return Error{Code::kIo, std::string("the daemon's answer did not come: ") + curl_easy_strerror(done) +
                                ": see whether it runs with `coffer status`"};
  }
  long status = 0;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  response.status = static_cast<int>(status);
  return response;
}

}  // namespace coffer
