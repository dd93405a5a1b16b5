#include "admin/http_server.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <mutex>
#include <thread>

#include "tests/admin/raw_client.h"

namespace coffer {
namespace {

// A server that keeps what its handler was given.
class RecordingServer {
 public:
  explicit RecordingServer(HttpServer::Patience patience = {}) {
    auto started = HttpServer::start(
        socket_.fd(),
        [this](const HttpRequest& request) {
          std::lock_guard lock(mutex_);
          requests_.push_back(request);
          return HttpResponse{request.body_state == HttpRequest::Body::kWhole ? 200 : 400,
                              {{"X-Seen", std::to_string(requests_.size())}},
                              "answer"};
        },
        log_nowhere(), patience);
    server_ = *std::move(started);
  }
  std::vector<HttpRequest> requests() {
    std::lock_guard lock(mutex_);
    return requests_;
  }
  const std::string& path() const { return socket_.path(); }

 private:
  ListeningSocket socket_;
  std::mutex mutex_;  // guards requests_
  std::vector<HttpRequest> requests_;
  std::unique_ptr<HttpServer> server_;  // last: its threads use the others
};

TEST(HttpServer, HandsOverARequestAsItWasSent) {
  RecordingServer server;
  RawClient client(server.path());
  ASSERT_TRUE(
      client.send("PUT /a%20b/%zz//../c+d?encryption&x=%41&x HTTP/1.1\r\nHost: docs.localhost\r\nX-Dup: one\r\n"
                  "x-dup:  two \r\nContent-Length: 5\r\n\r\nhello"));
  const auto response = client.read_response();
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body, "answer");
  const auto requests = server.requests();
  ASSERT_EQ(requests.size(), 1U);
  EXPECT_EQ(requests[0].method, "PUT");
  EXPECT_EQ(requests[0].target, "/a%20b/%zz//../c+d?encryption&x=%41&x");
  EXPECT_EQ(requests[0].path(), "/a%20b/%zz//../c+d");
  EXPECT_EQ(requests[0].query(), "encryption&x=%41&x");
  EXPECT_EQ(requests[0].body, "hello");
  EXPECT_EQ(requests[0].header_count("x-dup"), 2U);
  EXPECT_EQ(requests[0].header("X-DUP"), "one");
  EXPECT_EQ(requests[0].header("host"), "docs.localhost");
  EXPECT_EQ(requests[0].peer_uid, getuid());  // AUTH-18
}

TEST(HttpServer, ServesRequestsOneAfterAnotherOnAConnection) {
  RecordingServer server;
  RawClient client(server.path());
  for (int i = 1; i <= 3; ++i) {
    ASSERT_TRUE(client.send("GET /" + std::to_string(i) + " HTTP/1.1\r\nHost: h\r\n\r\n"));
    EXPECT_EQ(client.read_response().status, 200);
  }
  ASSERT_TRUE(client.send("GET /4 HTTP/1.1\r\nHost: h\r\n\r\nGET /5 HTTP/1.1\r\nHost: h\r\n\r\n"));
  EXPECT_EQ(client.read_response().status, 200);
  EXPECT_EQ(client.read_response().status, 200);
  EXPECT_EQ(server.requests().size(), 5U);
  EXPECT_EQ(server.requests()[4].target, "/5");
}

TEST(HttpServer, TakesChunkedBodies) {
  RecordingServer server;
  RawClient client(server.path());
  ASSERT_TRUE(
      client.send("PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"));
  EXPECT_EQ(client.read_response().status, 200);
  EXPECT_EQ(server.requests().at(0).body, "abcde");
}

TEST(HttpServer, SaysContinueToThoseWhoWait) {
  RecordingServer server;
  RawClient client(server.path());
  ASSERT_TRUE(client.send("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"));
  EXPECT_EQ(client.read_response().status, 100);
  ASSERT_TRUE(client.send("abc"));
  EXPECT_EQ(client.read_response().status, 200);
}

TEST(HttpServer, ABodyShorterThanItsLengthReachesNobody) {  // PBE-53
  RecordingServer server;
  for (const std::string body : {"", "a", "123456789"}) {
    RawClient client(server.path());
    ASSERT_TRUE(client.send("PUT /docs?encryption HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n" + body));
    client.finish_sending();
    EXPECT_TRUE(client.ended());
  }
  RawClient chunked(server.path());
  ASSERT_TRUE(chunked.send("PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"));
  chunked.finish_sending();
  EXPECT_TRUE(chunked.ended());
  EXPECT_TRUE(server.requests().empty());
}

TEST(HttpServer, BodiesUpToTheLimitArriveWholeAndLargerOnesEmpty) {  // PBE-50
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, kBodySizeMax - 1, kBodySizeMax, kBodySizeMax + 1,
                                 2 * kBodySizeMax, kBodyDrainedMax}) {
    for (const bool chunked : {false, true}) {
      RecordingServer server;
      RawClient client(server.path());
      const std::string body(size, 'x');
      char head[32];
      std::snprintf(head, sizeof head, "%zx\r\n", size);
      const auto framed = size == 0 ? "0\r\n\r\n" : head + body + "\r\n0\r\n\r\n";
      client.send("PUT / HTTP/1.1\r\nHost: h\r\n" +
                  (chunked ? "Transfer-Encoding: chunked\r\n\r\n" + framed
                           : "Content-Length: " + std::to_string(size) + "\r\n\r\n" + body));
      const auto response = client.read_response();
      const bool fits = size <= kBodySizeMax;
      EXPECT_EQ(response.status, fits ? 200 : 400) << size;
      EXPECT_EQ(server.requests().at(0).body.size(), fits ? size : 0) << size;
      if (!fits) {
        EXPECT_TRUE(client.ended()) << size;
      }
    }
  }
}

TEST(HttpServer, RefusesAHugeBodyWithoutWaitingForIt) {  // PBE-50
  for (const std::string length : {"1048577", "10000000000"}) {
    RecordingServer server;
    RawClient client(server.path());
    ASSERT_TRUE(client.send("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: " + length + "\r\n\r\n"));
    EXPECT_EQ(client.read_response().status, 400);
    EXPECT_TRUE(client.ended());
    EXPECT_EQ(server.requests().at(0).body_state, HttpRequest::Body::kTooLarge);
  }
  RecordingServer server;
  RawClient client(server.path());
  ASSERT_TRUE(client.send("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 65537\r\nExpect: 100-continue\r\n\r\n"));
  EXPECT_EQ(client.read_response().status, 400);
  EXPECT_TRUE(client.ended());
}

TEST(HttpServer, AnEndlessChunkedBodyIsCutOff) {
  RecordingServer server;
  RawClient client(server.path());
  ASSERT_TRUE(client.send("PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"));
  const std::string chunk = "1000\r\n" + std::string(0x1000, 'x') + "\r\n";
  std::size_t sent = 0;
  while (sent < 16 * kBodyDrainedMax && client.send(chunk)) sent += 0x1000;
  EXPECT_LT(sent, 16 * kBodyDrainedMax);
  EXPECT_TRUE(server.requests().empty());
}

TEST(HttpServer, MalformedRequestsReachNobody) {  // SEED-78
  RecordingServer server;
  for (const std::string& text :
       {std::string("PUT /? encryption HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"),
        std::string("GET / HTTP/1.1\r\n\r\n"),  // no Host
        std::string("GET / HTTP/9.9\r\nHost: h\r\n\r\n"), std::string("nonsense\r\n\r\n"),
        std::string("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n"),
        std::string("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999999\r\n\r\n"),
        std::string("PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
        std::string(2 * kHeaderSizeMax, 'A'),
        "GET /" + std::string(2 * kHeaderSizeMax, 'a') + " HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nX: " + std::string(2 * kHeaderSizeMax, 'a') + "\r\n\r\n"}) {
    RawClient client(server.path());
    client.send(text);
    client.finish_sending();
    const auto response = client.read_response();
    EXPECT_TRUE(response.status == 0 || response.status >= 400) << text.substr(0, 60) << " " << response.status;
  }
  EXPECT_TRUE(server.requests().empty());
  RawClient client(server.path());
  ASSERT_TRUE(client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
  EXPECT_EQ(client.read_response().status, 200);
}

TEST(HttpServer, ClosesConnectionsThatSayNothingMore) {
  RecordingServer server({1, kRequestSeconds});
  for (const std::string text : {"", "GET / HT", "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab"}) {
    RawClient client(server.path());
    ASSERT_TRUE(client.send(text));
    EXPECT_TRUE(client.read_response().status == 0 || client.ended()) << text;
  }
  EXPECT_TRUE(server.requests().empty());
}

// Sends the text, then one byte after another until the server has had enough, and answers after how many.
int drip(RawClient& client, std::string_view text) {
  client.send(text);
  int sent = 0;
  while (sent < 10'000 && client.send("1")) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    ++sent;
  }
  return sent;
}

TEST(HttpServer, ClosesARequestThatDripsForTooLongWhateverPartOfIt) {
  RecordingServer server({kConnectionSeconds, 1});
  for (const std::string_view text :
       {"G", "GET /", "GET / HTTP/1.1\r\nHost: h\r\nX-Slow: ", "GET / HTTP/1.1\r\nHost: h\r\nX",
        "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 60000\r\n\r\n",
        "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n4000\r\n"}) {
    RawClient client(server.path());
    EXPECT_LT(drip(client, text), 10'000) << text;
  }
  EXPECT_TRUE(server.requests().empty());
}

TEST(HttpServer, ClosesAConnectionWhoseAnswerIsNotTaken) {
  ListeningSocket socket;
  std::atomic<int> answered = 0;
  auto server = *HttpServer::start(socket.fd(),
                                   [&](const HttpRequest&) {
                                     ++answered;
                                     return HttpResponse{200, {}, std::string(4 << 20, 'x')};
                                   },
                                   log_nowhere(), {kConnectionSeconds, 1});
  RawClient client(socket.path());
  ASSERT_TRUE(client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
  for (int i = 0; i < 600; ++i) {  // 3 s; one byte now and then is not enough
    EXPECT_TRUE(client.receive_one());
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_LT(client.read_response().body.size(), std::size_t{4 << 20});  // what was under way, and then the end
  EXPECT_EQ(answered, 1);
}

TEST(HttpServer, TakesItsTimeForAnAnswer) {
  ListeningSocket socket;
  auto server = *HttpServer::start(socket.fd(),
                                   [&](const HttpRequest&) {
                                     std::this_thread::sleep_for(std::chrono::milliseconds(1500));
                                     return HttpResponse{200, {}, "late"};
                                   },
                                   log_nowhere(), {1, 1});
  RawClient client(socket.path());
  ASSERT_TRUE(client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
  EXPECT_EQ(client.read_response().body, "late");
}

TEST(HttpServer, SilentConnectionsKeepNobodyOut) {
  RecordingServer server({kConnectionSeconds, kRequestSeconds, std::chrono::milliseconds(100)});
  std::vector<std::unique_ptr<RawClient>> silent;
  for (std::size_t i = 0; i < 3 * kListenerConnectionsMax; ++i) {
    silent.push_back(std::make_unique<RawClient>(server.path()));
    silent.back()->send(i % 2 == 0 ? "" : "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n");
    if (i % 100 != 0) continue;
    RawClient client(server.path());
    ASSERT_TRUE(client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
    EXPECT_EQ(client.read_response().status, 200) << i;
  }
  EXPECT_TRUE(silent[0]->ended());
  EXPECT_TRUE(silent[1]->ended());
}

TEST(HttpServer, WhoIsServedIsNotEndedToMakeRoom) {
  ListeningSocket socket;
  std::promise<void> entered, release;
  auto released = release.get_future().share();
  std::atomic<int> calls = 0;
  auto server =
      *HttpServer::start(socket.fd(),
                         [&](const HttpRequest&) {
                           if (++calls == 1) {
                             entered.set_value();
                             released.wait();
                           }
                           return HttpResponse{200, {}, "done"};
                         },
                         log_nowhere(), {kConnectionSeconds, kRequestSeconds, std::chrono::milliseconds(100)});
  RawClient first(socket.path());
  ASSERT_TRUE(first.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
  entered.get_future().wait();
  std::vector<std::unique_ptr<RawClient>> silent;
  for (std::size_t i = 0; i < 2 * kListenerConnectionsMax; ++i)
    silent.push_back(std::make_unique<RawClient>(socket.path()));
  RawClient last(socket.path());
  ASSERT_TRUE(last.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
  EXPECT_EQ(last.read_response().status, 200);
  EXPECT_TRUE(silent[0]->ended());
  release.set_value();
  EXPECT_EQ(first.read_response().body, "done");
}

// Requests that another reader of HTTP would end elsewhere: nobody gets their bodies, and what follows is no request.
TEST(HttpServer, RequestsThatCanBeReadInTwoWaysAreRefusedAndTheirConnectionClosed) {
  const std::string smuggled = "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n";
  std::string many;
  for (std::size_t i = 0; i < kHeadersMax; ++i) many += "a: b\r\n";
  for (const std::string& headers : {
           std::string("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n"),
           std::string("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n"),
           std::string("Content-Length: 0\r\nContent-Length: 37\r\n"),
           std::string("Content-Length: 0\r\nContent-Length: 0\r\n"),
           std::string("Content-Length: 0, 37\r\n"),
           std::string("Content-Length: +0\r\n"),
           std::string("Content-Length: 0x25\r\n"),
           std::string("Content-Length : 37\r\n"),
           std::string("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
           std::string("Transfer-Encoding: identity\r\n"),
           std::string("Transfer-Encoding: gzip, chunked\r\n"),
           std::string("Transfer-Encoding: xchunked\r\n"),
           std::string("Transfer-Encoding : chunked\r\n"),
           std::string("Transfer-Encoding:\x0b chunked\r\n"),
           std::string("X: a\rTransfer-Encoding: chunked\r\n"),
           many,
       }) {
    RecordingServer server;
    RawClient client(server.path());
    client.send("PUT / HTTP/1.1\r\nHost: h\r\n" + headers + "\r\n0\r\n\r\n" + smuggled);
    client.finish_sending();
    HttpResponse response;
    while ((response = client.read_response()).status != 0) EXPECT_EQ(response.status, 400) << headers;
    EXPECT_TRUE(client.ended()) << headers;
    EXPECT_TRUE(server.requests().empty()) << headers;
  }
}

TEST(HttpServer, StopLetsTheRequestUnderWayFinishAndTakesNoOther) {
  ListeningSocket socket;
  std::promise<void> entered, release;
  auto released = release.get_future().share();
  std::atomic<int> calls = 0;
  auto server = *HttpServer::start(
      socket.fd(),
      [&](const HttpRequest&) {
        if (++calls == 1) entered.set_value();
        released.wait();
        return HttpResponse{200, {}, "done"};
      },
      log_nowhere());
  RawClient client(socket.path());
  ASSERT_TRUE(client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
  entered.get_future().wait();
  auto stopped = std::async(std::launch::async, [&] { server->stop(); });
  EXPECT_EQ(stopped.wait_for(std::chrono::milliseconds(50)), std::future_status::timeout);
  release.set_value();
  const auto response = client.read_response();
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body, "done");
  stopped.get();
  RawClient late(socket.path());
  late.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(calls, 1);
  EXPECT_NE(fcntl(socket.fd(), F_GETFD), -1);  // still its owner's to close
}

TEST(HttpServer, StopEndsConnectionsThatAreIdle) {
  ListeningSocket socket;
  auto server = *HttpServer::start(
      socket.fd(), [](const HttpRequest&) { return HttpResponse{}; }, log_nowhere());
  RawClient client(socket.path());
  ASSERT_TRUE(client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
  EXPECT_EQ(client.read_response().status, 200);
  server->stop();
  EXPECT_TRUE(client.ended());
}

TEST(HttpServer, ServesLoopbackTcpWithoutAPeer) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(listen(fd, 8), 0);
  socklen_t size = sizeof address;
  ASSERT_EQ(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size), 0);
  std::promise<bool> has_peer;
  auto server = *HttpServer::start(
      fd,
      [&](const HttpRequest& request) {
        has_peer.set_value(request.peer_uid.has_value());
        return HttpResponse{204, {}, ""};
      },
      log_nowhere());
  RawClient client(address.sin_port);
  ASSERT_TRUE(client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
  EXPECT_EQ(client.read_response().status, 204);
  EXPECT_FALSE(has_peer.get_future().get());
  server->stop();
  close(fd);
}

TEST(HttpServer, ManyClientsAreServedAtOnce) {
  RecordingServer server;
  std::vector<std::thread> threads;
  std::atomic<int> answered = 0;
  for (int i = 0; i < 16; ++i)
    threads.emplace_back([&] {
      RawClient client(server.path());
      for (int k = 0; k < 20; ++k) {
        client.send("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc");
        if (client.read_response().status == 200) ++answered;
      }
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(answered, 320);
}

}  // namespace
}  // namespace coffer
