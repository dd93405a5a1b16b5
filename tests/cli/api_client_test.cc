#include "cli/api_client.h"

#include <gtest/gtest.h>

#include <fstream>

#include "admin/credentials_file.h"
#include "admin/sigv4.h"
#include "base/clock.h"
#include "tests/cli/fake_server.h"

namespace coffer {
namespace {

HttpResponse ok(std::string body = {}) { return {200, {}, std::move(body)}; }

Result<ApiClient> client_of(const FakeServer& server) { return ApiClient::to({server.socket(), server.credentials()}); }

// What the real server says of a request.
bool verifies(const FakeServer& server, const HttpRequest& request, std::string_view service) {
  const auto account = AccountId::parse("000000000000");
  const auto credentials = CredentialsFile::parse(read_file(server.credentials()), Principal::root_of(*account));
  const auto verified = verify_signature(request, {service, "eu-north-7"}, *credentials, SystemClock().wall_ns());
  return std::holds_alternative<std::shared_ptr<const AccessKey>>(verified);
}

TEST(ApiClient, EveryDialectIsSignedForItsServiceInTheCredentialsRegion) {
  const FakeServer server([](const HttpRequest&) { return ok("{}"); });
  auto client = client_of(server);
  ASSERT_TRUE(client.ok());
  ASSERT_TRUE(client->s3("PUT", "/bucket?encryption=", "<xml/>").ok());
  ASSERT_TRUE(client->kms("CreateKey", {{"Description", "d"}}).ok());
  ASSERT_TRUE(client->coffer("Status").ok());
  const auto requests = server.requests();
  ASSERT_EQ(requests.size(), 3U);
  EXPECT_TRUE(verifies(server, requests[0], "s3"));
  EXPECT_TRUE(verifies(server, requests[1], "kms"));
  EXPECT_TRUE(verifies(server, requests[2], "coffer"));
  EXPECT_FALSE(verifies(server, requests[2], "kms"));
}

TEST(ApiClient, RequestsArriveAsTheyWereMeant) {
  const FakeServer server([](const HttpRequest&) { return ok("{}"); });
  auto client = client_of(server);
  ASSERT_TRUE(client.ok());
  ASSERT_TRUE(client->s3("GET", "/a/../b?x=%2F").ok());
  ASSERT_TRUE(client->s3("DELETE", "/b").ok());
  ASSERT_TRUE(client->kms("DescribeKey", {{"KeyId", "k\xff"}}).ok());
  const auto requests = server.requests();
  ASSERT_EQ(requests.size(), 3U);
  EXPECT_EQ(requests[0].method, "GET");
  EXPECT_EQ(requests[0].target, "/a/../b?x=%2F");
  EXPECT_EQ(requests[1].method, "DELETE");
  EXPECT_EQ(requests[2].method, "POST");
  EXPECT_EQ(requests[2].header("X-Amz-Target"), "TrentService.DescribeKey");
  EXPECT_EQ(requests[2].header("Content-Type"), "application/x-amz-json-1.1");
  EXPECT_EQ(requests[2].body, "{\"KeyId\":\"k\xEF\xBF\xBD\"}");
}

TEST(ApiClient, ARefusalIsAnErrorInWords) {
  const FakeServer server([](const HttpRequest& request) -> HttpResponse {
    if (request.header("X-Amz-Target"))
      return {400, {}, R"({"__type":"DisabledException","message":"arn is disabled."})"};
    return {404, {}, "<Error><Code>NoSuchBucket</Code><Message>gone</Message></Error>"};
  });
  auto client = client_of(server);
  ASSERT_TRUE(client.ok());
  EXPECT_EQ(client->s3("GET", "/b").code(), Code::kNoSuchBucket);
  EXPECT_EQ(client->kms("DescribeKey", {{"KeyId", "k"}}).code(), Code::kKeyDisabled);
}

TEST(ApiClient, NoDaemonIsSaidPlainly) {
  const ScratchFolder scratch;
  std::ofstream(scratch.path() + "/credentials") << "[coffer]\naws_access_key_id = COFFX\naws_secret_access_key = y\n";
  auto client = ApiClient::to({scratch.path() + "/admin.sock", scratch.path() + "/credentials"});
  ASSERT_TRUE(client.ok());
  const auto answer = client->coffer("Status");
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.code(), Code::kIo);
  EXPECT_NE(answer.error().message.find("coffer mount"), std::string::npos);
}

TEST(ApiClient, AnAnswerThatIsNoJsonIsAnError) {
  const FakeServer server([](const HttpRequest&) { return ok("<html/>"); });
  auto client = client_of(server);
  ASSERT_TRUE(client.ok());
  EXPECT_FALSE(client->coffer("Status").ok());
}

}  // namespace
}  // namespace coffer
