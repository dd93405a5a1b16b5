#include "admin/http_server.h"

#include <fcntl.h>
#include <microhttpd.h>
#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <mutex>

#include "admin/connections.h"
#include "base/bytes.h"

namespace coffer {
namespace {

// What is known of one request while it arrives.
struct Exchange {
  HttpRequest request;
  std::size_t received = 0;
  bool headers_seen = false;
  bool running = false;  // counted in State::running
};

int descriptor(MHD_Connection* connection) {
  const auto* info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
  return info == nullptr ? -1 : info->connect_fd;
}

std::optional<uid_t> peer_uid(MHD_Connection* connection) {
  const int fd = descriptor(connection);
  int family = 0;
  socklen_t size = sizeof family;
  if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &size) != 0 || family != AF_UNIX) return std::nullopt;
  ucred peer{};
  size = sizeof peer;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return std::nullopt;
  return peer.uid;
}

MHD_Result collect_header(void* cls, MHD_ValueKind, const char* name, std::size_t name_size, const char* value,
                          std::size_t value_size) {
  auto& headers = *static_cast<std::vector<HttpHeader>*>(cls);
  headers.push_back({std::string(name, name_size), value == nullptr ? "" : std::string(value, value_size)});
  return MHD_YES;
}

// Nothing is decoded here: a signature covers the target as it was sent.
std::size_t leave_escaped(void*, MHD_Connection*, char* text) { return std::strlen(text); }

void* begin_exchange(void*, const char* uri, MHD_Connection*) {
  try {
    auto exchange = std::make_unique<Exchange>();
    exchange->request.target = uri;
    return exchange.release();
  } catch (...) {
    return nullptr;
  }
}

std::uint64_t announced_size(const HttpRequest& request) {
  const auto text = request.header("content-length").value_or("0");
  std::uint64_t size = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), size);
  return error == std::errc() && end == text.data() + text.size() ? size : UINT64_MAX;
}

bool is_token(std::string_view name) {  // RFC 9110, 5.6.2
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return !name.empty() && std::all_of(name.begin(), name.end(), [kMarks](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           kMarks.find(c) != std::string_view::npos;
  });
}

// Whether there is one way alone to tell where the request ends and what its headers are (RFC 9112, 6.3 and 11.2). What
// the library takes beyond that is how one request is smuggled in another.
bool is_clear(const HttpRequest& request) {
  const auto lengths = request.header_count("content-length"), codings = request.header_count("transfer-encoding");
  if (lengths + codings > 1 || request.headers.size() > kHeadersMax) return false;
  const auto coding = request.header("transfer-encoding");
  if (coding && !equal_ignoring_case(*coding, "chunked")) return false;
  const auto length = request.header("content-length");
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  if (length && (length->empty() || !std::all_of(length->begin(), length->end(), digit))) return false;
  const auto fits = [](const HttpHeader& header) {
    return is_token(header.name) && std::none_of(header.value.begin(), header.value.end(),
                                                 [](unsigned char c) { return (c < 0x20 && c != '\t') || c == 0x7f; });
  };
  return std::all_of(request.headers.begin(), request.headers.end(), fits);
}

HttpResponse unclear() {
  return {400,
          {{"Content-Type", "text/plain"}},
          "The headers are not clear: at most " + std::to_string(kHeadersMax) +
              ", names without blanks, values without control characters, one Content-Length or one "
              "Transfer-Encoding: chunked.\n"};
}

// Whether to answer before the body has come: it is too large, and its sender waits to be told, or will not end soon.
bool refused_unseen(const HttpRequest& request) {
  const auto size = announced_size(request);
  if (size <= kBodySizeMax) return false;
  return size > kBodyDrainedMax || request.header("expect").has_value();
}

void wipe_sent(void* cls) {
  auto* body = static_cast<std::string*>(cls);
  wipe({reinterpret_cast<std::uint8_t*>(body->data()), body->size()});
  delete body;
}

enum class Connection { kKeep, kClose };

MHD_Result send(MHD_Connection* connection, HttpResponse response, Connection then) {
  auto body = std::make_unique<std::string>(std::move(response.body));
  auto* bytes = body.get();
  MHD_Response* reply =
      MHD_create_response_from_buffer_with_free_callback_cls(bytes->size(), bytes->data(), wipe_sent, bytes);
  if (reply == nullptr) {
    wipe_sent(body.release());
    return MHD_NO;
  }
  body.release();
  for (const auto& [name, value] : response.headers) MHD_add_response_header(reply, name.c_str(), value.c_str());
  if (then == Connection::kClose) MHD_add_response_header(reply, MHD_HTTP_HEADER_CONNECTION, "close");
  const auto queued = MHD_queue_response(connection, static_cast<unsigned>(response.status), reply);
  MHD_destroy_response(reply);
  return queued;
}

}  // namespace

struct HttpServer::State {
  State(Handler served_by, Log logged_to, Patience given)
      : handler(std::move(served_by)),
        log(std::move(logged_to)),
        patience(given),
        connections(kConnectionPlaces, std::chrono::seconds(given.request_seconds), given.grace) {}

  const Handler handler;
  const Log log;
  const Patience patience;
  Connections connections;
  MHD_Daemon* daemon = nullptr;

  std::mutex mutex;  // guards running and stopping
  std::condition_variable idle;
  std::size_t running = 0;  // requests from their last byte to the last byte of their answer
  bool stopping = false;

  MHD_Result receive(MHD_Connection* connection, const char* method, const char* data, std::size_t* size,
                     Exchange& exchange);
  MHD_Result begin(MHD_Connection* connection, const char* method, Exchange& exchange);
  MHD_Result answer(MHD_Connection* connection, Exchange& exchange);
  bool enter(Exchange& exchange);
  void leave(Exchange& exchange);

  static MHD_Result on_request(void* cls, MHD_Connection* connection, const char* url, const char* method,
                               const char* version, const char* data, std::size_t* size, void** context);
  static void on_completed(void* cls, MHD_Connection* connection, void** context, MHD_RequestTerminationCode how);
  static void on_connection(void* cls, MHD_Connection* connection, void** context, MHD_ConnectionNotificationCode what);
};

bool HttpServer::State::enter(Exchange& exchange) {
  std::lock_guard lock(mutex);
  if (stopping) return false;
  exchange.running = true;
  ++running;
  return true;
}

void HttpServer::State::leave(Exchange& exchange) {
  std::lock_guard lock(mutex);
  if (!exchange.running) return;
  exchange.running = false;
  if (--running == 0) idle.notify_all();
}

MHD_Result HttpServer::State::answer(MHD_Connection* connection, Exchange& exchange) {
  if (!enter(exchange)) return send(connection, {503, {}, "stopping\n"}, Connection::kClose);
  // The handler's own time does not count as an idle connection. Setting it again restarts the count.
  MHD_set_connection_option(connection, MHD_CONNECTION_OPTION_TIMEOUT, 0U);
  connections.served(descriptor(connection));
  auto response = handler(exchange.request);
  connections.awaited(descriptor(connection));
  MHD_set_connection_option(connection, MHD_CONNECTION_OPTION_TIMEOUT, patience.idle_seconds);
  const bool whole = exchange.request.body_state == HttpRequest::Body::kWhole;
  return send(connection, std::move(response), whole ? Connection::kKeep : Connection::kClose);
}

MHD_Result HttpServer::State::begin(MHD_Connection* connection, const char* method, Exchange& exchange) {
  auto& request = exchange.request;
  exchange.headers_seen = true;
  request.method = method;
  request.peer_uid = peer_uid(connection);
  MHD_get_connection_values_n(connection, MHD_HEADER_KIND, collect_header, &request.headers);
  if (!is_clear(request)) return send(connection, unclear(), Connection::kClose);
  if (!refused_unseen(request)) return MHD_YES;
  request.body_state = HttpRequest::Body::kTooLarge;
  return answer(connection, exchange);
}

MHD_Result HttpServer::State::receive(MHD_Connection* connection, const char* method, const char* data,
                                      std::size_t* size, Exchange& exchange) {
  auto& request = exchange.request;
  if (!exchange.headers_seen) return begin(connection, method, exchange);
  if (*size == 0) return answer(connection, exchange);

  exchange.received += *size;
  if (exchange.received > kBodyDrainedMax) return MHD_NO;
  if (exchange.received > kBodySizeMax) {
    request.body_state = HttpRequest::Body::kTooLarge;
    request.body.clear();
  } else {
    request.body.append(data, *size);
  }
  *size = 0;
  return MHD_YES;
}

MHD_Result HttpServer::State::on_request(void* cls, MHD_Connection* connection, const char*, const char* method,
                                         const char*, const char* data, std::size_t* size, void** context) {
  auto* exchange = static_cast<Exchange*>(*context);
  if (exchange == nullptr) return MHD_NO;
  try {
    return static_cast<State*>(cls)->receive(connection, method, data, size, *exchange);
  } catch (...) {  // no memory: the connection is closed
    return MHD_NO;
  }
}

void HttpServer::State::on_completed(void* cls, MHD_Connection* connection, void** context,
                                     MHD_RequestTerminationCode) {
  auto& state = *static_cast<State*>(cls);
  std::unique_ptr<Exchange> exchange(static_cast<Exchange*>(*context));
  *context = nullptr;
  state.connections.awaited(descriptor(connection));
  if (exchange != nullptr) state.leave(*exchange);
}

void HttpServer::State::on_connection(void* cls, MHD_Connection* connection, void**,
                                      MHD_ConnectionNotificationCode what) {
  auto& connections = static_cast<State*>(cls)->connections;
  if (what == MHD_CONNECTION_NOTIFY_STARTED)
    connections.opened(descriptor(connection));
  else
    connections.closed(descriptor(connection));
}

HttpServer::HttpServer(std::unique_ptr<State> state) : state_(std::move(state)) {}

Result<std::unique_ptr<HttpServer>> HttpServer::start(int listening_fd, Handler handler, Log log, Patience patience) {
  const int flags = fcntl(listening_fd, F_GETFL);
  if (flags < 0 || fcntl(listening_fd, F_SETFL, flags | O_NONBLOCK) != 0)
    return Error{Code::kIo, std::string("the admin socket is not usable: ") + std::strerror(errno)};
  auto state = std::make_unique<State>(std::move(handler), std::move(log), patience);
  constexpr unsigned limit = kListenerConnectionsMax;
  // A thread per connection: a request may wait for a disk or an external KMS, and must not hold up others.
  state->daemon =
      MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL | MHD_USE_ITC, 0,
                       nullptr, nullptr, State::on_request, state.get(),                 //
                       MHD_OPTION_LISTEN_SOCKET, listening_fd,                           //
                       MHD_OPTION_CONNECTION_LIMIT, limit,                               //
                       MHD_OPTION_CONNECTION_TIMEOUT, patience.idle_seconds,             //
                       MHD_OPTION_CONNECTION_MEMORY_LIMIT, kHeaderSizeMax,               //
                       MHD_OPTION_STRICT_FOR_CLIENT, 1,                                  //
                       MHD_OPTION_URI_LOG_CALLBACK, begin_exchange, nullptr,             //
                       MHD_OPTION_UNESCAPE_CALLBACK, leave_escaped, nullptr,             //
                       MHD_OPTION_NOTIFY_COMPLETED, State::on_completed, state.get(),    //
                       MHD_OPTION_NOTIFY_CONNECTION, State::on_connection, state.get(),  //
                       MHD_OPTION_END);
  if (state->daemon == nullptr) return Error{Code::kIo, "the HTTP server did not start on the admin socket"};
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(state)));
}

void HttpServer::stop() {
  if (state_->daemon == nullptr) return;
  MHD_quiesce_daemon(state_->daemon);
  {
    std::unique_lock lock(state_->mutex);
    state_->stopping = true;
    const auto done = [this] { return state_->running == 0; };
    if (!state_->idle.wait_for(lock, std::chrono::seconds(kStopSeconds), done))
      state_->log(LogLevel::kWarning, "admin: stopped with requests under way");
  }
  state_->connections.stop();
  MHD_stop_daemon(state_->daemon);
  state_->daemon = nullptr;
}

HttpServer::~HttpServer() { stop(); }

}  // namespace coffer
