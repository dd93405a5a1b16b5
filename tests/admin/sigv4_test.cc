#include "admin/sigv4.h"

#include <gtest/gtest.h>

#include "admin/digest.h"
#include "admin/timestamps.h"
#include "base/encoding.h"
#include "base/server_limits.h"
#include "tests/admin/fake_controls.h"

namespace coffer {
namespace {

constexpr std::string_view kEmptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
constexpr std::int64_t kNs = 1'000'000'000;

const Principal kOwner = Principal::root_of(*AccountId::parse("000000000000"));

const AuthFailure* failure_of(const Verified& verified) { return std::get_if<AuthFailure>(&verified); }

// The examples of the S3 API reference, "Examples: Signature Calculations": bucket examplebucket, 24 May 2013.
struct Example {
  std::string method, target, body;
  std::vector<HttpHeader> headers;
  std::string signed_headers, signature;
};

std::vector<Example> published_examples() {
  const HttpHeader host{"Host", "examplebucket.s3.amazonaws.com"};
  const HttpHeader date{"x-amz-date", "20130524T000000Z"};
  const HttpHeader empty{"x-amz-content-sha256", std::string(kEmptyHash)};
  return {
      {"GET",
       "/test.txt",
       "",
       {host, {"Range", "bytes=0-9"}, empty, date},
       "host;range;x-amz-content-sha256;x-amz-date",
       "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"},
      {"PUT",
       "/test$file.text",
       "Welcome to Amazon S3.",
       {host,
        {"Date", "Fri, 24 May 2013 00:00:00 GMT"},
        date,
        {"x-amz-storage-class", "REDUCED_REDUNDANCY"},
        {"x-amz-content-sha256", "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"}},
       "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
       "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"},
      {"GET",
       "/?lifecycle",
       "",
       {host, empty, date},
       "host;x-amz-content-sha256;x-amz-date",
       "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"},
      {"GET",
       "/?max-keys=2&prefix=J",
       "",
       {host, empty, date},
       "host;x-amz-content-sha256;x-amz-date",
       "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"},
  };
}

HttpRequest request_of(const Example& example) {
  HttpRequest request{example.method, example.target, example.headers, example.body};
  request.headers.push_back({"Authorization",
                             "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
                             "SignedHeaders=" +
                                 example.signed_headers + ", Signature=" + example.signature});
  return request;
}

constexpr SigningScope kS3Scope{"s3", "us-east-1"};
const std::int64_t kExampleTime = *parse_amz_date("20130524T000000Z") * kNs;

TEST(SigV4, AcceptsTheExamplesThatAwsPublishes) {
  const FakeCredentials credentials(kOwner);
  for (const auto& example : published_examples()) {
    const auto verified = verify_signature(request_of(example), kS3Scope, credentials, kExampleTime);
    const auto* failure = failure_of(verified);
    EXPECT_EQ(failure, nullptr) << example.target << ": " << (failure ? failure->answer.code : "");
  }
}

TEST(SigV4, RefusesEachExampleWithAnyPartOfItChanged) {  // AUTH-02
  const FakeCredentials credentials(kOwner);
  for (const auto& example : published_examples()) {
    std::vector<HttpRequest> changed;
    auto request = request_of(example);
    request.method = "DELETE";
    changed.push_back(request);
    for (std::size_t i = 1; i < example.target.size(); ++i) {
      request = request_of(example);
      request.target[i] = request.target[i] == 'x' ? 'y' : 'x';
      changed.push_back(request);
    }
    for (std::size_t i = 0; i < example.headers.size(); ++i) {
      if (equal_ignoring_case(example.headers[i].name, "x-amz-date")) continue;  // the scope's day catches that
      request = request_of(example);
      if (equal_ignoring_case(request.headers[i].name, "x-amz-content-sha256"))
        request.headers[i].value = std::string(64, '0');
      else
        request.headers[i].value += "x";
      changed.push_back(request);
      request = request_of(example);
      request.headers.insert(request.headers.begin() + static_cast<std::ptrdiff_t>(i), request.headers[i]);
      changed.push_back(request);
    }
    for (const auto& bad : changed) {
      const auto verified = verify_signature(bad, kS3Scope, credentials, kExampleTime);
      ASSERT_NE(failure_of(verified), nullptr) << bad.method << " " << bad.target;
      EXPECT_EQ(failure_of(verified)->answer.code, "SignatureDoesNotMatch") << bad.method << " " << bad.target;
    }
  }
}

TEST(SigV4, RefusesASignatureWithAnyDigitChanged) {  // AUTH-02
  const FakeCredentials credentials(kOwner);
  const auto example = published_examples()[0];
  const auto good = request_of(example);
  for (std::size_t i = 0; i < 64; ++i) {
    auto request = good;
    auto& c = request.headers.back().value[request.headers.back().value.size() - 64 + i];
    c = c == '0' ? '1' : '0';
    EXPECT_NE(failure_of(verify_signature(request, kS3Scope, credentials, kExampleTime)), nullptr) << i;
  }
  auto cut = good;
  cut.headers.back().value.pop_back();
  EXPECT_NE(failure_of(verify_signature(cut, kS3Scope, credentials, kExampleTime)), nullptr);
}

TEST(SigV4, SaysWhatItCalculatedWhenASignatureDoesNotMatch) {  // AUTH-02
  const FakeCredentials credentials(kOwner);
  auto request = request_of(published_examples()[2]);
  request.headers[0].value = "other.s3.amazonaws.com";
  const auto verified = verify_signature(request, kS3Scope, credentials, kExampleTime);
  ASSERT_NE(failure_of(verified), nullptr);
  const auto& answer = failure_of(verified)->answer;
  EXPECT_EQ(answer.status, 403);
  EXPECT_EQ(answer.message,
            "The request signature we calculated does not match the signature you provided. Check your key and signing "
            "method.");
  std::vector<std::string> names;
  for (const auto& [name, value] : answer.extras) names.push_back(name);
  EXPECT_EQ(names, (std::vector<std::string>{"AWSAccessKeyId", "StringToSign", "SignatureProvided", "StringToSignBytes",
                                             "CanonicalRequest", "CanonicalRequestBytes"}));
  EXPECT_EQ(answer.extras[0].second, "AKIAIOSFODNN7EXAMPLE");
  EXPECT_TRUE(
      answer.extras[1].second.starts_with("AWS4-HMAC-SHA256\n20130524T000000Z\n20130524/us-east-1/s3/aws4_request"
                                          "\n"));
  EXPECT_TRUE(answer.extras[3].second.starts_with("41 57 53 34 2d"));
  EXPECT_TRUE(answer.extras[4].second.starts_with("GET\n/\nlifecycle=\nhost:other.s3.amazonaws.com\n"));
}

TEST(SigV4, SignsWhatItAccepts) {
  const FakeCredentials credentials(kOwner);
  struct Case {
    std::string_view service;
    std::string method, target, body;
  };
  for (const auto& c : std::vector<Case>{{"s3", "PUT", "/docs?encryption", "<x/>"},
                                         {"s3", "PUT", "/docs?encryption=", "<x/>"},
                                         {"s3", "GET", "/a%20b/%E2%82%AC+c?z=1&a=%2F&a=!", ""},
                                         {"kms", "POST", "/", "{}"},
                                         {"coffer", "POST", "/", "{\"bucket\":\"docs\"}"}}) {
    HttpRequest request{c.method, c.target, {{"Host", "localhost:9000"}, {"X-Amz-Target", "  a   b "}}, c.body};
    for (auto& header : sign(request, credentials.key(), c.service, "eu-west-1", kExampleTime))
      request.headers.push_back(std::move(header));
    const SigningScope scope{c.service, "eu-west-1"};
    EXPECT_EQ(failure_of(verify_signature(request, scope, credentials, kExampleTime)), nullptr) << c.target;
    request.body += " ";
    EXPECT_NE(failure_of(verify_signature(request, scope, credentials, kExampleTime)), nullptr) << c.target;
  }
}

// Every refusal that has a row, from one good request.
struct Refusal {
  std::string row;
  std::function<void(HttpRequest&)> spoil;
  int status;
  std::string code, message;
  std::vector<std::pair<std::string, std::string>> extras;
};

void replace_header(HttpRequest& request, std::string_view name, const std::string& from, const std::string& to) {
  for (auto& header : request.headers) {
    if (!equal_ignoring_case(header.name, name)) continue;
    const auto at = header.value.find(from);
    ASSERT_NE(at, std::string::npos);
    header.value.replace(at, from.size(), to);
  }
}

void drop_header(HttpRequest& request, std::string_view name) {
  std::erase_if(request.headers, [&](const auto& header) { return equal_ignoring_case(header.name, name); });
}

void set_header(HttpRequest& request, std::string_view name, std::string value) {
  drop_header(request, name);
  request.headers.push_back({std::string(name), std::move(value)});
}

TEST(SigV4, AnswersEachFaultWithItsOwnError) {
  const std::string stars(64, '0');
  const std::vector<Refusal> refusals = {
      {"AUTH-01", [](auto& r) { drop_header(r, "authorization"); }, 403, "AccessDenied", "Access Denied", {}},
      {"AUTH-03",
       [](auto& r) { replace_header(r, "authorization", "AKIAIOSFODNN7EXAMPLE", "AKIANOBODY"); },
       403,
       "InvalidAccessKeyId",
       "The AWS Access Key Id you provided does not exist in our records.",
       {{"AWSAccessKeyId", "AKIANOBODY"}}},
      {"AUTH-06",
       [](auto& r) { replace_header(r, "authorization", "us-east-1", "eu-west-1"); },
       400,
       "AuthorizationHeaderMalformed",
       "The authorization header is malformed; the region 'eu-west-1' is wrong; expecting 'us-east-1'",
       {{"Region", "us-east-1"}}},
      {"AUTH-07",
       [](auto& r) { replace_header(r, "authorization", "/s3/", "/ec2/"); },
       400,
       "AuthorizationHeaderMalformed",
       "The authorization header is malformed; incorrect service \"ec2\". This endpoint belongs to \"s3\".",
       {}},
      {"AUTH-08",
       [](auto& r) { replace_header(r, "authorization", "20130524", "20130523"); },
       400,
       "AuthorizationHeaderMalformed",
       "The authorization header is malformed; Invalid credential date. Date is not the same as X-Amz-Date.",
       {}},
      {"AUTH-09",
       [](auto& r) { drop_header(r, "x-amz-date"); },
       403,
       "AccessDenied",
       "AWS authentication requires a valid Date or x-amz-date header.",
       {}},
      {"AUTH-09",
       [](auto& r) { set_header(r, "x-amz-date", "20130231T000000Z"); },
       403,
       "AccessDenied",
       "AWS authentication requires a valid Date or x-amz-date header.",
       {}},
      {"AUTH-10",
       [](auto& r) { set_header(r, "Authorization", "AWS4-HMAC-SHA256"); },
       400,
       "InvalidArgument",
       "Authorization header is invalid -- one and only one ' ' (space) required.",
       {{"ArgumentName", "Authorization"}, {"ArgumentValue", "AWS4-HMAC-SHA256"}}},
      {"AUTH-10",
       [](auto& r) { set_header(r, "Authorization", "Basic Zm9v"); },
       400,
       "InvalidArgument",
       "Unsupported Authorization Type",
       {{"ArgumentName", "Authorization"}, {"ArgumentValue", "Basic Zm9v"}}},
      {"AUTH-11",
       [](auto& r) { set_header(r, "Authorization", "AWS AKIAIOSFODNN7EXAMPLE:sig"); },
       400,
       "InvalidRequest",
       "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.",
       {}},
      {"AUTH-12",
       [](auto& r) { drop_header(r, "x-amz-content-sha256"); },
       400,
       "InvalidRequest",
       "Missing required header for this request: x-amz-content-sha256",
       {}},
      {"AUTH-13",
       [](auto& r) { set_header(r, "x-amz-content-sha256", "nonsense"); },
       400,
       "InvalidArgument",
       "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, "
       "STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER, "
       "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD, STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER or a valid sha256 "
       "value.",
       {{"ArgumentName", "x-amz-content-sha256"}, {"ArgumentValue", "nonsense"}}},
      {"AUTH-14",
       [](auto& r) { r.body = "more"; },
       400,
       "XAmzContentSHA256Mismatch",
       "The provided 'x-amz-content-sha256' header does not match what was computed.",
       {{"ClientComputedContentSHA256", std::string(kEmptyHash)},
        {"S3ComputedContentSHA256", hex(sha256(as_bytes("more")))}}},
      {"AUTH-15",
       [](auto& r) { set_header(r, "x-amz-acl", "private"); },
       403,
       "AccessDenied",
       "There were headers present in the request which were not signed",
       {{"HeadersNotSigned", "x-amz-acl"}}},
      {"a session's token",
       [](auto& r) { set_header(r, "x-amz-security-token", "t"); },
       400,
       "InvalidToken",
       "The provided token is malformed or otherwise invalid.",
       {}},
  };
  const FakeCredentials credentials(kOwner);
  for (const auto& refusal : refusals) {
    auto request = request_of(published_examples()[2]);
    refusal.spoil(request);
    const auto verified = verify_signature(request, kS3Scope, credentials, kExampleTime);
    ASSERT_NE(failure_of(verified), nullptr) << refusal.row;
    const auto& answer = failure_of(verified)->answer;
    EXPECT_EQ(answer.status, refusal.status) << refusal.row;
    EXPECT_EQ(answer.code, refusal.code) << refusal.row;
    EXPECT_EQ(answer.message, refusal.message) << refusal.row;
    EXPECT_EQ(answer.extras, refusal.extras) << refusal.row;
  }
}

// Everything is wrong at first; each step puts right what was refused, and the next check speaks.
TEST(SigV4, ChecksRunInTheirOrder) {  // AUTH-17
  const FakeCredentials credentials(kOwner);
  auto request = request_of(published_examples()[2]);
  const auto good = request;
  request.body = "more";
  set_header(request, "x-amz-date", "never");
  set_header(request, "x-amz-acl", "private");
  set_header(request, "x-amz-content-sha256", "nonsense");
  set_header(request, "Authorization", "AWS4-HMAC-SHA256 nonsense");
  const auto put_right = [&](const std::string& from, const std::string& to) {
    return [=](HttpRequest& r) { replace_header(r, "authorization", from, to); };
  };
  const std::string authorization =
      "AWS4-HMAC-SHA256 Credential=AKIANOBODY/20130523/eu-west-1/ec2/aws4_request, "
      "SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=" +
      published_examples()[2].signature;
  struct Step {
    std::function<void(HttpRequest&)> put_right;
    std::string code, part_of_message;
  };
  for (const auto& step : std::vector<Step>{
           {[](auto&) {}, "AccessDenied", "valid Date"},
           {[](auto& r) { set_header(r, "x-amz-date", "20130524T001501Z"); }, "AuthorizationHeaderMalformed",
            "component"},
           {[&](auto& r) { set_header(r, "Authorization", authorization); }, "AuthorizationHeaderMalformed", "service"},
           {put_right("/ec2/", "/s3/"), "AuthorizationHeaderMalformed", "region"},
           {put_right("eu-west-1", "us-east-1"), "InvalidAccessKeyId", ""},
           {put_right("AKIANOBODY", "AKIAIOSFODNN7EXAMPLE"), "AuthorizationHeaderMalformed", "credential date"},
           {put_right("20130523", "20130524"), "RequestTimeTooSkewed", ""},
           {[](auto& r) { set_header(r, "x-amz-date", "20130524T000001Z"); }, "InvalidArgument",
            "x-amz-content-sha256"},
           {[](auto& r) { set_header(r, "x-amz-content-sha256", std::string(kEmptyHash)); }, "AccessDenied",
            "not signed"},
           {[](auto& r) { drop_header(r, "x-amz-acl"); }, "SignatureDoesNotMatch", ""},
           {[](auto& r) { set_header(r, "x-amz-date", "20130524T000000Z"); }, "XAmzContentSHA256Mismatch", ""}}) {
    step.put_right(request);
    const auto verified = verify_signature(request, kS3Scope, credentials, kExampleTime);
    ASSERT_NE(failure_of(verified), nullptr) << step.code << " " << step.part_of_message;
    EXPECT_EQ(failure_of(verified)->answer.code, step.code);
    EXPECT_NE(failure_of(verified)->answer.message.find(step.part_of_message), std::string::npos)
        << failure_of(verified)->answer.message;
  }
  request.body = good.body;
  EXPECT_EQ(failure_of(verify_signature(request, kS3Scope, credentials, kExampleTime)), nullptr);
}

TEST(SigV4, AllowsAQuarterOfAnHourOfSkewAndNoSecondMore) {  // AUTH-04
  const FakeCredentials credentials(kOwner);
  const auto request = request_of(published_examples()[0]);
  for (const std::int64_t skew : {-900, -1, 0, 1, 900})
    EXPECT_EQ(failure_of(verify_signature(request, kS3Scope, credentials, kExampleTime + skew * kNs)), nullptr) << skew;
  for (const std::int64_t skew : {-901, 901, 86'400}) {
    const auto verified = verify_signature(request, kS3Scope, credentials, kExampleTime + skew * kNs);
    ASSERT_NE(failure_of(verified), nullptr) << skew;
    const auto& answer = failure_of(verified)->answer;
    EXPECT_EQ(answer.status, 403);
    EXPECT_EQ(answer.code, "RequestTimeTooSkewed");
    EXPECT_EQ(answer.message, "The difference between the request time and the current time is too large.");
    ASSERT_EQ(answer.extras.size(), 3U);
    EXPECT_EQ(answer.extras[0], (std::pair<std::string, std::string>("RequestTime", "20130524T000000Z")));
    EXPECT_EQ(answer.extras[1].first, "ServerTime");
    EXPECT_EQ(answer.extras[2], (std::pair<std::string, std::string>("MaxAllowedSkewMilliseconds", "900000")));
  }
}

TEST(SigV4, TakesS3ExpressOnlyWhereDirectoryBucketsAre) {  // AUTH-07
  const FakeCredentials credentials(kOwner);
  HttpRequest request{"GET", "/", {{"Host", "localhost"}}, ""};
  for (auto& header : sign(request, credentials.key(), "s3express", "us-east-1", kExampleTime))
    request.headers.push_back(std::move(header));
  const SigningScope express{"s3", "us-east-1", /*s3express=*/true};
  EXPECT_EQ(failure_of(verify_signature(request, express, credentials, kExampleTime)), nullptr);
  ASSERT_NE(failure_of(verify_signature(request, kS3Scope, credentials, kExampleTime)), nullptr);
}

// A request for this service whose signature covers exactly `canonical`, by hand.
HttpRequest signed_over(HttpRequest request, const std::string& canonical, const std::string& service) {
  const std::string scope = "20130524/us-east-1/" + service + "/aws4_request";
  auto key = hmac_sha256(as_bytes("AWS4wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"), as_bytes("20130524"));
  for (const auto& part : {std::string("us-east-1"), service, std::string("aws4_request")})
    key = hmac_sha256(key, as_bytes(part));
  const auto text = "AWS4-HMAC-SHA256\n20130524T000000Z\n" + scope + "\n" + hex(sha256(as_bytes(canonical)));
  request.headers.push_back({"Authorization", "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/" + scope +
                                                  ",SignedHeaders=host;x-amz-content-sha256;x-amz-date,Signature=" +
                                                  hex(hmac_sha256(key, as_bytes(text)))});
  return request;
}

HttpRequest unsigned_payload_request(std::string target) {
  return {"PUT",
          std::move(target),
          {{"Host", "h"}, {"X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD"}, {"X-Amz-Date", "20130524T000000Z"}},
          "any"};
}

const std::string kSignedTail =
    "\nhost:h\nx-amz-content-sha256:UNSIGNED-PAYLOAD\nx-amz-date:20130524T000000Z\n\n"
    "host;x-amz-content-sha256;x-amz-date\nUNSIGNED-PAYLOAD";

TEST(SigV4, TakesAnUnsignedPayloadOnS3Alone) {
  const FakeCredentials credentials(kOwner);
  for (const std::string service : {"s3", "kms"}) {
    const auto sent = signed_over(unsigned_payload_request("/docs"), "PUT\n/docs\n" + kSignedTail, service);
    const auto verified = verify_signature(sent, {service, "us-east-1"}, credentials, kExampleTime);
    EXPECT_EQ(failure_of(verified) == nullptr, service == "s3") << service;
  }
}

// Debian's curl signs `?encryption` as it stands. AWS refuses that, and so must we.
TEST(SigV4, RefusesAQueryThatIsSignedWithoutItsEqualsSign) {  // AUTH-19
  const FakeCredentials credentials(kOwner);
  for (const std::string query : {"encryption", "encryption="}) {
    for (const std::string signed_query : {"encryption", "encryption="}) {
      const auto sent =
          signed_over(unsigned_payload_request("/docs?" + query), "PUT\n/docs\n" + signed_query + kSignedTail, "s3");
      const auto verified = verify_signature(sent, kS3Scope, credentials, kExampleTime);
      EXPECT_EQ(failure_of(verified) == nullptr, signed_query == "encryption=") << query << " " << signed_query;
    }
  }
}

TEST(SigV4, RefusesMalformedAuthorizationHeaders) {  // AUTH-10
  const FakeCredentials credentials(kOwner);
  const std::string credential = "Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request";
  for (const std::string& rest :
       {std::string(), std::string(","), credential, credential + ", SignedHeaders=host",
        credential + ", SignedHeaders=host, Signature=", credential + ", " + credential + ", Signature=00",
        std::string("Credential=AKIA/20130524/us-east-1/s3, SignedHeaders=host, Signature=00"),
        std::string("Credential=///, SignedHeaders=host, Signature=00"),
        credential + ", SignedHeaders=host, Signature=00, Extra=1", std::string(60'000, '/'),
        std::string(60'000, ',')}) {
    auto request = request_of(published_examples()[2]);
    set_header(request, "Authorization", "AWS4-HMAC-SHA256 " + rest);
    const auto verified = verify_signature(request, kS3Scope, credentials, kExampleTime);
    ASSERT_NE(failure_of(verified), nullptr) << rest.substr(0, 100);
    EXPECT_EQ(failure_of(verified)->answer.code, "AuthorizationHeaderMalformed") << rest.substr(0, 100);
  }
}

// Else the text that is signed, and the refusal that shows it, would be a thousand times what was sent.
TEST(SigV4, SignedHeadersAreNamedOnceAndAreNotMoreThanARequestHas) {
  const FakeCredentials credentials(kOwner);
  std::string many = "host;x-amz-content-sha256;x-amz-date";
  for (std::size_t i = 0; i < kHeadersMax; ++i) many += ";a" + std::to_string(i);
  for (const std::string& names : {std::string("host;host;x-amz-content-sha256;x-amz-date"),
                                   std::string("host;x-amz-content-sha256;host;x-amz-date"), many}) {
    auto request = request_of(published_examples()[2]);
    set_header(request, "Authorization",
               "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, SignedHeaders=" +
                   names + ", Signature=00");
    const auto verified = verify_signature(request, kS3Scope, credentials, kExampleTime);
    ASSERT_NE(failure_of(verified), nullptr) << names;
    EXPECT_EQ(failure_of(verified)->answer.code, "AuthorizationHeaderMalformed") << names;

    HttpRequest presigned{
        "GET",
        "/?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2F"
        "s3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=9&X-Amz-Signature=00&"
        "X-Amz-SignedHeaders=" +
            names,
        {{"Host", "h"}}};
    const auto refused = verify_signature(presigned, kS3Scope, credentials, kExampleTime);
    ASSERT_NE(failure_of(refused), nullptr) << names;
    EXPECT_EQ(failure_of(refused)->answer.code, "AuthorizationQueryParametersError") << names;
  }
}

TEST(Timestamps, ReadWhatTheyWriteAndNothingElse) {
  for (const std::int64_t seconds : {0LL, 951'782'400LL, 1'369'353'600LL, 1'767'225'599LL, 4'102'444'800LL})
    EXPECT_EQ(parse_amz_date(amz_date(seconds)), seconds);
  EXPECT_EQ(iso8601_ms(1'369'353'600'042'999'999), "2013-05-24T00:00:00.042Z");
  EXPECT_EQ(parse_http_date("Fri, 24 May 2013 00:00:00 GMT"), 1'369'353'600);
  for (const std::string text : {"", "20130524T000000", "20130524 000000Z", "2013-05-24T00:00Z", "20131324T000000Z",
                                 "20130532T000000Z", "20130524T240000Z", "2013o524T000000Z", "20130229T000000Z"})
    EXPECT_EQ(parse_amz_date(text), std::nullopt) << text;
  for (const std::string text : {"", "Fri, 24 Mai 2013 00:00:00 GMT", "Fri, 24 May 2013 00:00:00 CET",
                                 "Friday, 24-May-13 00:00:00 GMT", "Fri, 24 anF 2013 00:00:00 GMT"})
    EXPECT_EQ(parse_http_date(text), std::nullopt) << text;
}

}  // namespace
}  // namespace coffer
