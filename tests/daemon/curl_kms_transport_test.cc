#include "daemon/curl_kms_transport.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "admin/canonical_request.h"
#include "admin/sigv4.h"
#include "base/clock.h"
#include "tests/daemon/raw_kms_server.h"

namespace coffer {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr std::string_view kSecret = "notSecretAtAll/+Key";

class CurlKmsTransportTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "kms.XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
    write_credentials("AKIAEXAMPLE", std::string(kSecret));
    credentials_ = *KmsCredentials::find(file());
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string file() const { return folder_ + "/credentials"; }
  void write_credentials(const std::string& id, const std::string& secret, const std::string& more = "") {
    const std::string fresh = file() + ".new";
    std::ofstream(fresh) << "[default]\naws_access_key_id = " << id << "\naws_secret_access_key = " << secret << "\n"
                         << more;
    chmod(fresh.c_str(), 0600);
    std::filesystem::rename(fresh, file());
  }
  std::string refusal(const std::string& url) {
    const auto made = CurlKmsTransport::to(url, std::nullopt, *credentials_);
    if (made.ok()) return "accepted";
    EXPECT_EQ(made.code(), Code::kInvalidArgument);
    return made.error().message;
  }
  // One request against a server that does as it is told; the answer, or why there is none.
  Result<KmsTransport::Answer> post(RawKmsServer& server, std::int64_t limit_ms = 2000) {
    if (!transport_) transport_ = *CurlKmsTransport::to(server.url(), std::nullopt, *credentials_);
    into_.assign(4096, 0);
    return transport_->post({"Decrypt", "eu-north-7", as_bytes(R"({"KeyId":"k"})"), limit_ms}, into_);
  }

  std::string folder_;
  std::unique_ptr<KmsCredentials> credentials_;
  std::unique_ptr<CurlKmsTransport> transport_;
  Bytes into_;
};

std::string ok(const std::string& body) {
  return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

class OneKey final : public Credentials {
 public:
  explicit OneKey(AccessKey key) : key_(std::make_shared<const AccessKey>(std::move(key))) {}
  std::shared_ptr<const AccessKey> find(std::string_view id) const override { return id == key_->id ? key_ : nullptr; }

 private:
  std::shared_ptr<const AccessKey> key_;
};

TEST_F(CurlKmsTransportTest, ARequestIsSignedForTheKeysRegion) {
  RawKmsServer server({ok("{}")});
  const auto answer = post(server);
  ASSERT_TRUE(answer.ok()) << answer.error().message;
  EXPECT_EQ(answer->status, 200);
  EXPECT_EQ(as_text(BytesView(into_).first(answer->size)), "{}");
  const HttpRequest request = server.request(0);
  EXPECT_EQ(request.method, "POST");
  EXPECT_EQ(request.header("X-Amz-Target"), "TrentService.Decrypt");
  EXPECT_EQ(request.header("Content-Type"), "application/x-amz-json-1.1");
  EXPECT_EQ(request.body, R"({"KeyId":"k"})");
  const OneKey key(
      {"AKIAEXAMPLE", SecretBytes(as_bytes(kSecret)), Principal::root_of(*AccountId::parse("000000000000"))});
  const auto verified = verify_signature(request, {"kms", "eu-north-7"}, key, SystemClock().wall_ns());
  EXPECT_TRUE(std::holds_alternative<std::shared_ptr<const AccessKey>>(verified))
      << std::get<AuthFailure>(verified).answer.message;
}

TEST_F(CurlKmsTransportTest, ASessionTokenIsSentAndSigned) {
  write_credentials("ASIAEXAMPLE", std::string(kSecret), "aws_session_token = to/ken+==\n");
  credentials_ = *KmsCredentials::find(file());
  RawKmsServer server({ok("{}")});
  ASSERT_TRUE(post(server).ok());
  EXPECT_EQ(server.request(0).header("X-Amz-Security-Token"), "to/ken+==");
  EXPECT_THAT(*server.request(0).header("Authorization"), HasSubstr("x-amz-security-token"));
}

TEST_F(CurlKmsTransportTest, ACredentialsFileThatChangesIsReadAgain) {
  RawKmsServer server({ok("{}"), ok("{}"), ok("{}")});
  ASSERT_TRUE(post(server).ok());
  write_credentials("AKIARENEWED", "another");
  ASSERT_TRUE(post(server).ok());
  EXPECT_THAT(*server.request(1).header("Authorization"), HasSubstr("AKIARENEWED"));
  std::filesystem::remove(file());
  ASSERT_TRUE(post(server).ok()) << "the last one that could be read goes on";
}

TEST_F(CurlKmsTransportTest, AConnectionIsKeptAndReplacedWhenTheServerClosedIt) {
  RawKmsServer server({ok("{\"a\":1}"), ok("{\"a\":2}")});
  ASSERT_TRUE(post(server).ok());
  ASSERT_TRUE(post(server).ok());
  EXPECT_EQ(server.connections(), 1);
  RawKmsServer closing({ok("{}"), ok("{}")}, RawKmsServer::After::kClose);
  transport_ = nullptr;
  ASSERT_TRUE(post(closing).ok());
  ASSERT_TRUE(post(closing).ok());
  EXPECT_EQ(closing.connections(), 2);
}

TEST_F(CurlKmsTransportTest, WhatIsNoWholeAnswerIsNone) {
  for (const std::string& said :
       {std::string(), std::string("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"half\":"),
        std::string("HTTP/1.1 200 OK\r\nContent-Le"), std::string("garbage\r\n\r\n"), ok(std::string(5000, 'x'))}) {
    RawKmsServer server({said}, RawKmsServer::After::kClose);
    transport_ = nullptr;
    const auto answer = post(server);
    ASSERT_FALSE(answer.ok()) << said;
    EXPECT_EQ(answer.code(), Code::kKmsAway) << said;
    EXPECT_THAT(answer.error().message, Not(HasSubstr(std::string(kSecret))));
  }
}

TEST_F(CurlKmsTransportTest, SilenceAndDrippingEndInTime) {
  for (const std::string& said : {std::string(), std::string("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")}) {
    RawKmsServer server({said}, RawKmsServer::After::kSilence);
    transport_ = nullptr;
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_EQ(post(server, /*limit_ms=*/200).code(), Code::kKmsAway);
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
  }
}

TEST_F(CurlKmsTransportTest, NobodyThereIsToldAtOnce) {
  std::string url;
  {
    RawKmsServer gone({});
    url = gone.url();
  }
  transport_ = *CurlKmsTransport::to(url, std::nullopt, *credentials_);
  into_.resize(100);
  EXPECT_EQ(transport_->post({"Decrypt", "eu-north-7", as_bytes("{}"), 2000}, into_).code(), Code::kKmsAway);
}

TEST_F(CurlKmsTransportTest, ARedirectionIsNotFollowed) {
  RawKmsServer target({ok("{}")});
  RawKmsServer server(
      {"HTTP/1.1 307 Temporary Redirect\r\nLocation: " + target.url() + "/\r\nContent-Length: 0\r\n\r\n"});
  const auto answer = post(server);
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->status, 307);
  EXPECT_EQ(target.connections(), 0);
}

TEST_F(CurlKmsTransportTest, EndpointsAreHttpsOrThisMachine) {  // OBJ-22
  for (const char* url : {"https://kms.eu-west-1.amazonaws.com", "https://kms.example:8443/path",
                          "http://127.0.0.1:4566", "http://127.1.2.3", "http://[::1]:80", "http://localhost:4566"})
    EXPECT_EQ(refusal(url), "accepted") << url;
  for (const char* url : {"http://kms.example", "http://10.0.0.1", "http://127.0.0.1.example",
                          "http://localhost.example", "http://0.0.0.0", "ftp://127.0.0.1", "file:///etc/passwd",
                          "kms.example", "", "https://", "https://id:secret@kms.example", "https://kms.example/?x=y",
                          "https://kms.example/#x", "http://127.0.0.1@kms.example"})
    EXPECT_NE(refusal(url), "accepted") << url;
  EXPECT_EQ(CurlKmsTransport::to("https://kms.example", folder_ + "/none.pem", *credentials_).code(),
            Code::kInvalidArgument);
}

TEST_F(CurlKmsTransportTest, NothingOfARequestReachesAServerWithoutTls) {  // certificates: external_kms_test
  RawKmsServer server({ok("{}")});
  transport_ = *CurlKmsTransport::to("https://" + server.url().substr(7), std::nullopt, *credentials_);
  into_.resize(100);
  EXPECT_EQ(transport_->post({"Decrypt", "eu-north-7", as_bytes("{\"canary\":1}"), 1000}, into_).code(),
            Code::kKmsAway);
  EXPECT_THAT(server.received(), Not(HasSubstr("canary")));
}

TEST(KmsCredentials, AProfileIsFoundAsAwsToolsFindIt) {
  const std::string two =
      "[default]\naws_access_key_id=A\naws_secret_access_key=B\n; note\n[other]\naws_access_key_id = C\n"
      "aws_secret_access_key = D\nregion = x\n";
  EXPECT_EQ(KmsCredentials::parse(two, "")->id, "A");
  EXPECT_EQ(KmsCredentials::parse(two, "other")->id, "C");
  EXPECT_EQ(KmsCredentials::parse("[coffer]\naws_access_key_id=A\naws_secret_access_key=B\n", "")->id, "A")
      << "the only one";
  for (const auto* profile : {"none", "defaul"}) EXPECT_EQ(KmsCredentials::parse(two, profile).code(), Code::kNoUnlock);
  for (const char* text : {"", "[default]\n", "[default]\naws_access_key_id=A\n", "aws_access_key_id=A\n", "nonsense",
                           "[default]\naws_access_key_id=A\naws_secret_access_key=\n",
                           "[default]\naws_access_key_id=A\x01\naws_secret_access_key=B\n"})
    EXPECT_EQ(KmsCredentials::parse(text, "").code(), Code::kNoUnlock) << text;
}

TEST(KmsCredentials, AFileThatEverybodyReadsIsRefused) {
  std::string name = testing::TempDir() + "credentials.XXXXXX";
  const int fd = mkstemp(name.data());
  const std::string text = "[default]\naws_access_key_id=A\naws_secret_access_key=B\n";
  ASSERT_EQ(write(fd, text.data(), text.size()), static_cast<ssize_t>(text.size()));
  ASSERT_EQ(fchmod(fd, 0644), 0);
  const auto open_to_all = KmsCredentials::find(name);
  EXPECT_EQ(open_to_all.code(), Code::kNoUnlock);
  EXPECT_THAT(open_to_all.error().message, HasSubstr("0600"));
  ASSERT_EQ(fchmod(fd, 0600), 0);
  EXPECT_TRUE(KmsCredentials::find(name).ok());
  close(fd);
  std::filesystem::remove(name);
}

}  // namespace
}  // namespace coffer
