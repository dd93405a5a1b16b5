#include "admin/authorization.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "admin/canonical_request.h"
#include "admin/digest.h"
#include "admin/timestamps.h"
#include "base/encoding.h"
#include "tests/admin/admin_room.h"

namespace coffer {
namespace {

// The example of the S3 API reference, "Authenticating Requests: Using Query Parameters".
const std::string kSigning =
    "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&"
    "X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&"
    "X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";
constexpr std::int64_t kNs = 1'000'000'000;
const std::int64_t kExampleTime = *parse_amz_date("20130524T000000Z");

HttpRequest example(std::string query = kSigning) {
  return {"GET", "/test.txt?" + std::move(query), {{"Host", "examplebucket.s3.amazonaws.com"}}, ""};
}

// The refusal; nothing of a request that is served.
std::optional<AuthFailure> refusal(const HttpRequest& request, std::int64_t seconds = kExampleTime,
                                   std::string_view service = "s3") {
  const FakeCredentials credentials(Principal::root_of(*AccountId::parse("000000000000")));
  const auto verified = verify_signature(request, {service, "us-east-1"}, credentials, seconds * kNs);
  const auto* failure = std::get_if<AuthFailure>(&verified);
  return failure == nullptr ? std::nullopt : std::optional(*failure);
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  const auto at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(SignedInTheQuery, ServesTheExampleThatAwsPublishes) { EXPECT_FALSE(refusal(example())); }

TEST(SignedInTheQuery, AnyPartOfItChangedIsRefused) {  // AUTH-02
  for (std::size_t i = 0; i < kSigning.size(); ++i) {
    auto query = kSigning;
    query[i] = static_cast<char>(query[i] ^ 1);
    EXPECT_TRUE(refusal(example(query))) << query;
  }
  auto request = example();
  request.method = "DELETE";
  EXPECT_EQ(refusal(request)->answer.code, "SignatureDoesNotMatch");
  request = example();
  request.headers[0].value += ":80";
  EXPECT_EQ(refusal(request)->answer.code, "SignatureDoesNotMatch");
  EXPECT_EQ(refusal(example(kSigning + "&acl"))->answer.code, "SignatureDoesNotMatch");
}

TEST(SignedInTheQuery, HoldsFromAQuarterOfAnHourBeforeItsDateToItsExpiry) {  // AUTH-05
  for (const std::int64_t after : {-900, 0, 86'400}) EXPECT_FALSE(refusal(example(), kExampleTime + after)) << after;
  const auto expired = refusal(example(), kExampleTime + 86'401);
  ASSERT_TRUE(expired);
  EXPECT_EQ(expired->answer.status, 403);
  EXPECT_EQ(expired->answer.code, "AccessDenied");
  EXPECT_EQ(expired->answer.message, "Request has expired");
  EXPECT_EQ(
      expired->answer.extras,
      (std::vector<std::pair<std::string, std::string>>{
          {"X-Amz-Expires", "86400"}, {"Expires", "2013-05-25T00:00:00Z"}, {"ServerTime", "2013-05-25T00:00:01Z"}}));
  const auto early = refusal(example(), kExampleTime - 901);
  ASSERT_TRUE(early);
  EXPECT_EQ(early->answer.status, 403);
  EXPECT_EQ(early->answer.code, "AccessDenied");
  EXPECT_EQ(early->answer.message, "Request is not valid yet");
}

TEST(SignedInTheQuery, EachParameterIsNeededOnce) {  // AUTH-16
  const auto parameters = *decode_query(kSigning);
  for (std::size_t without = 0; without < parameters.size(); ++without) {
    for (const bool twice : {false, true}) {
      std::string query;
      for (std::size_t i = 0; i < parameters.size(); ++i) {
        const auto text = parameters[i].first + "=" + percent_encode(parameters[i].second, Slash::kEncode) + "&";
        if (i != without) query += text;
        if (i == without && twice) query += text + text;
      }
      const auto refused = refusal(example(query));
      ASSERT_TRUE(refused) << query;
      EXPECT_EQ(refused->answer.status, 400);
      EXPECT_EQ(refused->answer.code, "AuthorizationQueryParametersError") << query;
      EXPECT_EQ(refused->answer.message,
                "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, "
                "X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.");
    }
  }
}

TEST(SignedInTheQuery, EachParameterMustMakeSense) {  // AUTH-06, 07, 08, 10, 11, 16
  struct Case {
    std::string from, to, code, message;
  };
  const std::string parameters = "AuthorizationQueryParametersError",
                    credential = "Error parsing the X-Amz-Credential parameter; ";
  for (const auto& c : std::vector<Case>{
           {"AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1", parameters,
            "X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256 and AWS4-ECDSA-P256-SHA256\""},
           {"AKIAIOSFODNN7EXAMPLE%2F", "", parameters,
            credential +
                "the Credential is mal-formed; expecting \"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\"."},
           {"aws4_request", "aws3_request", parameters,
            credential +
                "the Credential is mal-formed; expecting \"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\"."},
           {"us-east-1", "eu-west-1", parameters,
            credential + "the region 'eu-west-1' is wrong; expecting 'us-east-1'"},
           {"%2Fs3%2F", "%2Fec2%2F", parameters,
            credential + "incorrect service \"ec2\". This endpoint belongs to \"s3\"."},
           {"F20130524%2F", "F20130523%2F", parameters,
            credential + "Invalid credential date. Date is not the same as X-Amz-Date."},
           {"20130524T000000Z", "2013-05-24", parameters,
            "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\""},
           {"=86400", "=", parameters,
            "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, "
            "X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters."},
           {"=86400", "=soon", parameters, "X-Amz-Expires should be a number"},
           {"=86400", "=1.5", parameters, "X-Amz-Expires should be a number"},
           {"=86400", "=-1", parameters, "X-Amz-Expires must be non-negative"},
           {"=86400", "=-99999999999999999999", parameters, "X-Amz-Expires must be non-negative"},
           {"=86400", "=604801", parameters,
            "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than "
            "604800 seconds"},
           {"=86400", "=99999999999999999999", parameters,
            "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than "
            "604800 seconds"},
           {"SignedHeaders=host", "SignedHeaders=date", "AccessDenied",
            "There were headers present in the request which were not signed"},
           {"IOSFODNN7", "NOBODY", "InvalidAccessKeyId",
            "The AWS Access Key Id you provided does not exist in our records."},
           {kSigning, "AWSAccessKeyId=AKIAIOSFODNN7EXAMPLE&Expires=1175139620&Signature=x", "InvalidRequest",
            "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."},
           {"&X-Amz-Date", "&X-Amz-Security-Token=t&X-Amz-Date", "InvalidToken",
            "The provided token is malformed or otherwise invalid."},
           {"X-Amz-Expires=86400", "X-Amz-Expires=%zz", "InvalidURI", "Couldn't parse the specified URI."}}) {
    const auto refused = refusal(example(replaced(kSigning, c.from, c.to)));
    ASSERT_TRUE(refused) << c.to;
    EXPECT_EQ(refused->answer.code, c.code) << c.to;
    EXPECT_EQ(refused->answer.message, c.message) << c.to;
  }
}

TEST(SignedInTheQuery, IsNoSecondSignatureBesideTheHeader) {
  for (const std::string& query : {kSigning, std::string("X-Amz-Date=20130524T000000Z"), std::string("Signature=x")}) {
    auto request = example(query);
    request.headers.push_back({"Authorization", "AWS4-HMAC-SHA256 any"});
    const auto refused = refusal(request);
    ASSERT_TRUE(refused) << query;
    EXPECT_EQ(refused->answer.status, 400);
    EXPECT_EQ(refused->answer.code, "InvalidArgument");
    EXPECT_EQ(refused->answer.message,
              "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string "
              "parameter or the Authorization header should be specified");
    EXPECT_EQ(refused->answer.extras,
              (std::vector<std::pair<std::string, std::string>>{{"ArgumentName", "Authorization"},
                                                                {"ArgumentValue", "AWS4-HMAC-SHA256 any"}}));
  }
}

TEST(SignedInTheQuery, AHeaderThatIsNotSignedIsRefused) {  // AUTH-15
  auto request = example();
  request.headers.push_back({"x-amz-acl", "private"});
  request.headers.push_back({"X-Amz-Expected-Bucket-Owner", "000000000000"});
  const auto refused = refusal(request);
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->answer.code, "AccessDenied");
  EXPECT_EQ(refused->answer.extras, (std::vector<std::pair<std::string, std::string>>{
                                        {"HeadersNotSigned", "x-amz-acl,x-amz-expected-bucket-owner"}}));
}

TEST(SignedInTheQuery, OnlyS3TakesIt) {
  for (const std::string_view service : {"kms", "coffer"}) {
    const auto refused = refusal(example(replaced(kSigning, "%2Fs3%2F", "%2Fkms%2F")), kExampleTime, service);
    ASSERT_TRUE(refused);
    EXPECT_EQ(refused->fault, AuthFault::kPresigned) << service;
  }
}

// ---- through the server ----

// The request with a signature in its query over Host and `more`, made with the canonical request that the published
// examples prove.
HttpRequest presigned(AdminRoom& room, HttpRequest request, std::vector<std::string> more = {},
                      std::string_view payload_hash = "UNSIGNED-PAYLOAD") {
  const auto date = amz_date(room.clock.wall_ns() / kNs);
  const auto day = date.substr(0, 8);
  more.push_back("host");
  std::sort(more.begin(), more.end());
  std::string names;
  for (const auto& name : more) names += (names.empty() ? "" : ";") + name;
  request.target += (request.query().empty() ? "?" : "&") +
                    ("X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=" + room.credentials.key().id + "%2F" + day +
                     "%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=" + date + "&X-Amz-Expires=60&X-Amz-SignedHeaders=") +
                    percent_encode(names, Slash::kEncode);
  const auto canonical = *canonical_request(request, "s3", more, payload_hash);
  const auto text =
      "AWS4-HMAC-SHA256\n" + date + "\n" + day + "/us-east-1/s3/aws4_request\n" + hex(sha256(as_bytes(canonical)));
  auto key = hmac_sha256(as_bytes("AWS4" + std::string(as_text(room.credentials.key().secret.view()))), as_bytes(day));
  for (const std::string_view part : {"us-east-1", "s3", "aws4_request"}) key = hmac_sha256(key, as_bytes(part));
  request.target += "&X-Amz-Signature=" + hex(hmac_sha256(key, as_bytes(text)));
  return request;
}

const std::string kPlain =
    "<ServerSideEncryptionConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Rule>"
    "<ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm></ApplyServerSideEncryptionByDefault>"
    "</Rule></ServerSideEncryptionConfiguration>";

TEST(SignedInTheQuery, SetsReadsAndDeletesTheDefault) {  // SEED-41
  AdminRoom room;
  EXPECT_EQ(room.server.handle(presigned(room, room.request("PUT", "/docs?encryption", kPlain))).status, 200);
  EXPECT_EQ(room.buckets.rule_of("docs").algorithm, SseAlgorithm::kAwsKms);
  const auto got = room.server.handle(presigned(room, room.request("GET", "/docs?encryption")));
  EXPECT_EQ(got.status, 200);
  EXPECT_EQ(element(got.body, "SSEAlgorithm"), "aws:kms");
  EXPECT_EQ(room.server.handle(presigned(room, room.request("DELETE", "/docs?encryption"))).status, 204);
  EXPECT_EQ(room.server.handle(presigned(room, room.request("GET", "/"))).status, 200);
  EXPECT_EQ(room.server.handle(presigned(room, room.request("GET", "/docs?acl"))).status, 501);
}

TEST(SignedInTheQuery, HeadersInTheQueryCountAsHeaders) {  // PBE-30, PBE-32, PBE-40, PBE-58
  struct Case {
    std::string parameter;
    int status;
    std::string code;
  };
  for (const auto& c : std::vector<Case>{
           {"X-Amz-Expected-Bucket-Owner=000000000000", 200, ""},
           {"x-amz-expected-bucket-owner=111122223333", 403, "AccessDenied"},
           {"x-amz-checksum-crc32=AAAAAA%3D%3D", 400, "BadDigest"},
           {"x-amz-sdk-checksum-algorithm=CRC32", 400, "InvalidRequest"},
           {"x-amz-expected-bucket-owner=000000000000&X-Amz-Expected-Bucket-Owner=000000000000", 400, "InvalidRequest"},
           {"x-id=PutBucketEncryption", 200, ""}}) {
    AdminRoom room;
    const auto response =
        room.server.handle(presigned(room, room.request("PUT", "/docs?encryption&" + c.parameter, kPlain)));
    EXPECT_EQ(response.status, c.status) << c.parameter;
    EXPECT_EQ(room.buckets.changes, c.status == 200 ? 1 : 0) << c.parameter;
    if (c.status != 200) {
      EXPECT_EQ(element(response.body, "Code"), c.code) << c.parameter;
    }
  }
  AdminRoom room;
  auto request = room.request("PUT", "/docs?encryption&x-amz-expected-bucket-owner=000000000000", kPlain,
                              {{"x-amz-expected-bucket-owner", "000000000000"}});
  const auto both = room.server.handle(presigned(room, request, {"x-amz-expected-bucket-owner"}));
  EXPECT_EQ(element(both.body, "Message"), "The x-amz-expected-bucket-owner header must be given once.");
  EXPECT_EQ(room.buckets.changes, 0);
}

TEST(SignedInTheQuery, AHashThatIsGivenIsVerified) {  // AUTH-13, 14, PBE-58
  const auto right = hex(sha256(as_bytes(kPlain))), wrong = hex(sha256(as_bytes("other")));
  struct Case {
    std::string hash;
    int status;
    std::string code;
  };
  for (const auto& c : std::vector<Case>{{"UNSIGNED-PAYLOAD", 200, ""},
                                         {right, 200, ""},
                                         {wrong, 400, "XAmzContentSHA256Mismatch"},
                                         {"nonsense", 400, "InvalidArgument"},
                                         {"STREAMING-UNSIGNED-PAYLOAD-TRAILER", 400, "InvalidRequest"},
                                         {"STREAMING-AWS4-HMAC-SHA256-PAYLOAD", 400, "InvalidRequest"},
                                         {"STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", 400, "InvalidRequest"},
                                         {"STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", 400, "InvalidRequest"},
                                         {"STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER", 400, "InvalidRequest"}}) {
    for (const bool in_query : {false, true}) {
      AdminRoom room;
      auto request = in_query ? room.request("PUT", "/docs?encryption&X-Amz-Content-Sha256=" + c.hash, kPlain)
                              : room.request("PUT", "/docs?encryption", kPlain, {{"x-amz-content-sha256", c.hash}});
      std::vector<std::string> names;
      if (!in_query) names.push_back("x-amz-content-sha256");
      const auto response = room.server.handle(presigned(room, std::move(request), names, c.hash));
      EXPECT_EQ(response.status, c.status) << c.hash << in_query;
      EXPECT_EQ(room.buckets.changes, c.status == 200 ? 1 : 0) << c.hash << in_query;
      if (c.status != 200) {
        EXPECT_EQ(element(response.body, "Code"), c.code) << c.hash << in_query;
      }
    }
  }
}

// "Deny requests with signatures older than ten minutes" (S3 User Guide, "SigV4 authentication-specific policy keys").
TEST(SignedInTheQuery, APolicySeesHowOldASignatureIs) {
  constexpr std::int64_t kSignedNs = 1'767'225'600 * kNs;
  struct Case {
    std::string bucket, key;
  };
  for (const auto& c :
       std::vector<Case>{{"docs", "s3:signatureage"}, {"dir--usw2-az1--x-s3", "s3express:signatureage"}}) {
    AdminRoom room;
    room.buckets.add("dir--usw2-az1--x-s3");
    const auto age = [&] {
      const auto* said = room.access.last_context.find(c.key);
      return said == nullptr || said->size() != 1 ? std::string("(absent)") : said->front();
    };
    room.clock.set_wall_ns(kSignedNs);
    const auto in_query = presigned(room, room.request("GET", "/" + c.bucket + "?encryption"));
    const auto in_header = room.signed_request(room.request("GET", "/" + c.bucket + "?encryption"));
    for (const auto& request : {in_query, in_header}) {
      for (const std::int64_t ms : {0, 1, 59'999}) {
        room.clock.set_wall_ns(kSignedNs + ms * 1'000'000);
        ASSERT_EQ(room.server.handle(request).status, 200);
        EXPECT_EQ(age(), std::to_string(ms)) << c.key;
      }
      room.clock.set_wall_ns(kSignedNs - 60 * kNs);  // the client's clock is ahead
      ASSERT_EQ(room.server.handle(request).status, 200);
      EXPECT_EQ(age(), "0") << c.key;
    }
  }
}

}  // namespace
}  // namespace coffer
