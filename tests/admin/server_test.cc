#include "admin/server.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <fstream>

#include "admin/http_server.h"
#include "tests/admin/admin_room.h"
#include "tests/admin/raw_client.h"

namespace coffer {
namespace {

const std::string kKms =
    "<ServerSideEncryptionConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Rule>"
    "<ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID>alias/k</KMSMasterKeyID>"
    "</ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>";

TEST(Server, NothingIsServedUnsigned) {  // AUTH-01, SEED-28
  AdminRoom room;
  for (const auto& [method, target] : std::vector<std::pair<std::string, std::string>>{
           {"GET", "/"}, {"PUT", "/fresh"}, {"DELETE", "/docs"}, {"PUT", "/docs?encryption"}, {"GET", "/docs/key"}}) {
    const auto response = room.server.handle(room.request(method, target));
    EXPECT_EQ(response.status, 403) << method << target;
    EXPECT_EQ(element(response.body, "Code"), "AccessDenied");
    EXPECT_EQ(element(response.body, "Message"), "Access Denied");
  }
  for (const std::string target : {"TrentService.CreateKey", "TrentService.Nonsense", "Coffer.Status", "Other.Thing"}) {
    const auto response = room.server.handle(room.request("POST", "/", "{}", {{"X-Amz-Target", target}}));
    EXPECT_EQ(response.status, 400);
    EXPECT_EQ(response.body,
              "{\"__type\":\"MissingAuthenticationTokenException\",\"message\":\"Missing Authentication Token\"}");
  }
  EXPECT_EQ(room.buckets.changes, 0);
}

TEST(Server, EveryChangedByteOfASignedRequestIsRefused) {  // AUTH-02, AUTH-14
  AdminRoom room;
  const auto good = room.signed_request(
      room.request("PUT", "/docs?encryption", kKms, {{"x-amz-expected-bucket-owner", "000000000000"}}));
  int refused = 0;
  const auto expect_refused = [&](const HttpRequest& request) {
    EXPECT_GE(room.server.handle(request).status, 400) << request.method << " " << request.target;
    ++refused;
  };
  for (std::size_t i = 0; i < good.body.size(); ++i) {
    auto request = good;
    request.body[i] = static_cast<char>(request.body[i] ^ 1);
    expect_refused(request);
  }
  for (std::size_t i = 0; i < good.target.size(); ++i) {
    auto request = good;
    request.target[i] = static_cast<char>(request.target[i] ^ 1);
    expect_refused(request);
  }
  for (std::size_t h = 0; h < good.headers.size(); ++h) {
    if (good.headers[h].name == "Content-Length") continue;  // the transport's, not signed
    for (std::size_t i = 0; i < good.headers[h].value.size(); ++i) {
      auto request = good;
      request.headers[h].value[i] = static_cast<char>(request.headers[h].value[i] ^ 1);
      expect_refused(request);
    }
  }
  EXPECT_GT(refused, 500);
  EXPECT_EQ(room.buckets.changes, 0);
  EXPECT_EQ(room.server.handle(good).status, 200);  // the undamaged twin
  EXPECT_EQ(room.buckets.changes, 1);
}

TEST(Server, ASignatureForOneServiceServesNoOther) {  // AUTH-07
  AdminRoom room;
  EXPECT_NE(room.json("kms", "Coffer.Status", "{}").status, 200);
  EXPECT_NE(room.json("coffer", "TrentService.CreateKey", "{}").status, 200);
  EXPECT_NE(room.json("s3", "TrentService.CreateKey", "{}").status, 200);
  auto request = room.signed_request(room.request("PUT", "/docs?encryption", kKms), "kms");
  request.headers.push_back({"X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD"});
  EXPECT_NE(room.server.handle(request).status, 200);
  EXPECT_TRUE(room.kms.list_keys()->empty());
  EXPECT_EQ(room.buckets.changes, 0);
}

TEST(Server, TheTargetOfASignedRequestCannotBeExchanged) {  // AUTH-15
  AdminRoom room;
  auto request = room.signed_request(
      room.request("POST", "/", "{\"KeyId\":\"alias/k\"}", {{"X-Amz-Target", "TrentService.DescribeKey"}}), "kms");
  for (auto& header : request.headers)
    if (header.name == "X-Amz-Target") header.value = "TrentService.DisableKey";
  EXPECT_NE(room.server.handle(request).body.find("InvalidSignatureException"), std::string::npos);

  auto added = room.signed_request(room.request("POST", "/", "{}"), "kms");
  added.headers.push_back({"X-Amz-Target", "TrentService.CreateKey"});
  EXPECT_NE(room.server.handle(added).body.find("IncompleteSignatureException"), std::string::npos);
  EXPECT_TRUE(room.kms.list_keys()->empty());
}

TEST(Server, HeadersThatDecideMustNotBeGivenTwice) {
  AdminRoom room;
  for (const std::string name : {"Host", "Authorization", "X-Amz-Date", "X-Amz-Content-Sha256", "Content-MD5",
                                 "Content-Length", "X-Amz-Expected-Bucket-Owner"}) {
    auto request = room.signed_request(room.request(
        "PUT", "/docs?encryption", kKms, {{"X-Amz-Expected-Bucket-Owner", "000000000000"}, {"Content-MD5", "x"}}));
    request.headers.push_back({name, std::string(*request.header(name))});
    const auto response = room.server.handle(request);
    EXPECT_EQ(response.status, 400) << name;
    EXPECT_EQ(element(response.body, "Code"), "InvalidRequest") << name;
  }
  auto twice = room.signed_request(room.request("POST", "/", "{}", {{"X-Amz-Target", "TrentService.ListKeys"}}), "kms");
  twice.headers.push_back({"x-amz-target", "TrentService.CreateKey"});
  EXPECT_EQ(room.server.handle(twice).status, 400);
  EXPECT_TRUE(room.kms.list_keys()->empty());
}

TEST(Server, AMessageThatIsTooLongIsToldTheLimit) {  // PBE-50
  AdminRoom room;
  auto request = room.signed_request(room.request("PUT", "/docs?encryption"));
  request.body_state = HttpRequest::Body::kTooLarge;
  const auto response = room.server.handle(request);
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(element(response.body, "Code"), "MaxMessageLengthExceeded");
  EXPECT_EQ(element(response.body, "Message"), "Your request was too big.");
  EXPECT_EQ(element(response.body, "MaxMessageLengthBytes"), "65536");
}

// Whoever may open the socket, the owner of the daemon included, still signs.
TEST(Server, APeersUserIdNeverReplacesASignature) {  // AUTH-18
  AdminRoom room;
  for (const std::uint32_t uid : {std::uint32_t{0}, static_cast<std::uint32_t>(getuid())}) {
    auto plain = room.request("GET", "/docs?encryption");
    plain.peer_uid = uid;
    EXPECT_EQ(element(room.server.handle(plain).body, "Code"), "AccessDenied") << uid;
    for (const auto* target : {"TrentService.ListKeys", "Coffer.Status"}) {
      auto call = room.request("POST", "/", "{}", {{"X-Amz-Target", target}});
      call.peer_uid = uid;
      EXPECT_GE(room.server.handle(call).status, 400) << target << uid;
    }
    auto changed = room.signed_request(room.request("PUT", "/docs?encryption", kKms));
    changed.peer_uid = uid;
    changed.body += " ";
    EXPECT_GE(room.server.handle(changed).status, 400) << uid;
  }
  EXPECT_EQ(room.buckets.changes, 0);
}

TEST(Server, LogsWhoDidWhatAndNoNames) {
  AdminRoom room;
  auto request = room.signed_request(room.request("PUT", "/docs?encryption", kKms));
  request.peer_uid = 1000;
  room.server.handle(request);
  room.s3("GET", "/docs/secret-name");
  room.kms_call("CreateKey", "{\"Description\":\"private\"}");
  room.server.handle(room.request("GET", "/docs\nadmin: forged"));
  EXPECT_EQ(room.log_lines,
            (std::vector<std::string>{"admin: PUT PutBucketEncryption 200 key=AKIAIOSFODNN7EXAMPLE uid=1000",
                                      "admin: GET - 501 key=AKIAIOSFODNN7EXAMPLE uid=-",
                                      "admin: POST CreateKey 200 key=AKIAIOSFODNN7EXAMPLE uid=-",
                                      "admin: GET - 403 key=- uid=-"}));
}

TEST(Server, ErrorsRepeatingHostileTextStayWellFormed) {
  AdminRoom room;
  const auto response =
      room.server.handle(room.signed_request(room.request("GET", "/docs?a=%3C/Error%3E%00%FF%0D&\x01<\xff")));
  EXPECT_EQ(response.status, 501);
  EXPECT_EQ(response.body.find('\xff'), std::string::npos);
  EXPECT_EQ(response.body.find('\0'), std::string::npos);
  EXPECT_EQ(element(response.body, "QueryParameter"), "a");
}

TEST(Server, RequestIdsDiffer) {
  AdminRoom room;
  EXPECT_NE(header_of(room.s3("GET", "/"), "x-amz-request-id"), header_of(room.s3("GET", "/"), "x-amz-request-id"));
  const auto id = header_of(room.kms_call("ListKeys", "{}"), "x-amzn-RequestId");
  EXPECT_TRUE(is_uuid(id)) << id;
}

// ---- through a socket, as AWS's tools come ----

class OverSocket : public testing::Test {
 protected:
  OverSocket() {
    room_.clock.set_wall_ns(SystemClock().wall_ns());
    server_ = *HttpServer::start(
        socket_.fd(), [this](const HttpRequest& request) { return room_.server.handle(request); }, log_nowhere());
  }

  struct Ran {
    int status = 0;  // of the HTTP answer; 0: curl is not there or failed
    std::string body;
  };
  Ran curl(const std::string& arguments) {
    const auto command = "curl -s -S --max-time 20 --unix-socket " + socket_.path() +
                         " -u AKIAIOSFODNN7EXAMPLE:wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY -w '\\n%{http_code}' " +
                         arguments;
    FILE* pipe = popen(command.c_str(), "r");
    std::string out;
    std::array<char, 4096> bytes{};
    for (std::size_t got; (got = fread(bytes.data(), 1, bytes.size(), pipe)) > 0;) out.append(bytes.data(), got);
    pclose(pipe);
    const auto line = out.rfind('\n');
    if (line == std::string::npos) return {};
    return {std::stoi(out.substr(line + 1)), out.substr(0, line)};
  }
  static bool has_curl() {
    return std::system("curl --version 2>/dev/null | grep -q . && curl --help all | grep -q aws-sigv4") == 0;
  }
  std::string file(std::string_view name, std::string_view text) {
    const auto path = std::filesystem::path(socket_.path()).parent_path() / name;
    std::ofstream(path) << text;
    return path.string();
  }

  ListeningSocket socket_;
  AdminRoom room_;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(OverSocket, ASignedRequestIsServedAndAHalfOneChangesNothing) {  // PBE-53
  const auto request = room_.signed_request(room_.request("PUT", "/docs?encryption", kKms));
  const auto bytes = wire(request);
  for (const std::size_t size : {std::size_t{1}, bytes.size() / 2, bytes.size() - kKms.size(), bytes.size() - 1}) {
    RawClient client(socket_.path());
    ASSERT_TRUE(client.send(std::string_view(bytes).substr(0, size)));
    client.finish_sending();
    EXPECT_TRUE(client.ended()) << size;
  }
  EXPECT_EQ(room_.buckets.changes, 0);
  RawClient client(socket_.path());
  ASSERT_TRUE(client.send(bytes));
  EXPECT_EQ(client.read_response().status, 200);
  EXPECT_EQ(room_.buckets.rule_of("docs").kms_key, "alias/k");
}

TEST_F(OverSocket, ALongMessageIsRefusedAndChangesNothing) {  // PBE-50
  const auto body = kKms + std::string(kBodySizeMax, ' ');
  RawClient client(socket_.path());
  client.send(wire(room_.signed_request(room_.request("PUT", "/docs?encryption", body))));
  const auto response = client.read_response();
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(element(response.body, "Code"), "MaxMessageLengthExceeded");
  EXPECT_TRUE(client.ended());
  EXPECT_EQ(room_.buckets.changes, 0);
}

TEST_F(OverSocket, ABodyWithoutALengthIsNotTaken) {  // PBE-52
  auto request = room_.request("PUT", "/docs?encryption");
  std::erase_if(request.headers, [](const auto& header) { return header.name == "Content-Length"; });
  RawClient client(socket_.path());
  client.send(wire(room_.signed_request(request)) + kKms);
  EXPECT_EQ(client.read_response().status, 411);
  EXPECT_EQ(room_.buckets.changes, 0);
}

TEST_F(OverSocket, CurlIsServedWhenItSignsAsAwsDoes) {  // AUTH-12, AUTH-19
  if (!has_curl()) GTEST_SKIP() << "curl with --aws-sigv4 is not installed";
  const auto xml = file("rule.xml", kKms);
  const std::string s3 = "--aws-sigv4 aws:amz:us-east-1:s3 -H 'x-amz-content-sha256: UNSIGNED-PAYLOAD' ";
  EXPECT_EQ(curl(s3 + "-X PUT http://localhost/fresh").status, 200);
  EXPECT_TRUE(room_.buckets.has("fresh"));
  EXPECT_EQ(curl(s3 + "-T " + xml + " 'http://localhost/fresh?encryption='").status, 200);
  const auto got = curl(s3 + "'http://localhost/fresh?encryption='");
  EXPECT_EQ(got.status, 200);
  EXPECT_EQ(element(got.body, "KMSMasterKeyID"), "alias/k");
  EXPECT_EQ(curl(s3 + "-X DELETE 'http://localhost/fresh?encryption='").status, 204);
  EXPECT_EQ(curl(s3 + "-I http://localhost/fresh").status, 200);
  EXPECT_EQ(curl(s3 + "http://localhost/").status, 200);
  EXPECT_EQ(curl(s3 + "-X DELETE http://localhost/fresh").status, 204);
  EXPECT_EQ(curl(s3 + "-X DELETE http://localhost/fresh").status, 404);

  const auto no_hash = curl("--aws-sigv4 aws:amz:us-east-1:s3 'http://localhost/docs?encryption='");
  EXPECT_EQ(no_hash.status, 400);
  EXPECT_EQ(element(no_hash.body, "Message"), "Missing required header for this request: x-amz-content-sha256");
  const auto wrong_region =
      curl("--aws-sigv4 aws:amz:eu-west-1:s3 -H 'x-amz-content-sha256: UNSIGNED-PAYLOAD' http://localhost/");
  EXPECT_EQ(element(wrong_region.body, "Code"), "AuthorizationHeaderMalformed");
}

TEST_F(OverSocket, CurlReachesTheKms) {  // KMS-01
  if (!has_curl()) GTEST_SKIP() << "curl with --aws-sigv4 is not installed";
  const auto made = curl(
      "--aws-sigv4 aws:amz:us-east-1:kms -H 'X-Amz-Target: TrentService.CreateKey' -H 'Content-Type: "
      "application/x-amz-json-1.1' -d '{}' http://localhost/");
  EXPECT_EQ(made.status, 200);
  EXPECT_NE(made.body.find("\"KeyMetadata\""), std::string::npos) << made.body;
}

}  // namespace
}  // namespace coffer
