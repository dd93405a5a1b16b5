#include "admin/s3_api.h"

#include <gtest/gtest.h>

#include "admin/body_digests.h"
#include "admin/digest.h"
#include "base/encoding.h"
#include "tests/admin/admin_room.h"

namespace coffer {
namespace {

std::string configuration(std::string_view inside) {
  return "<ServerSideEncryptionConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Rule>" +
         std::string(inside) + "</Rule></ServerSideEncryptionConfiguration>";
}

std::string apply(std::string_view inside) {
  return configuration("<ApplyServerSideEncryptionByDefault>" + std::string(inside) +
                       "</ApplyServerSideEncryptionByDefault>");
}

const std::string kPlain = apply("<SSEAlgorithm>AES256</SSEAlgorithm>");
const std::string kKms = apply("<SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID>alias/k</KMSMasterKeyID>");

TEST(S3Api, PutAnswers200WithAnEmptyBodyAndStoresTheRule) {  // PBE-01, SEED-74, SEED-75
  AdminRoom room;
  const auto response = room.s3("PUT", "/docs?encryption", kKms);
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body, "");
  EXPECT_FALSE(header_of(response, "x-amz-request-id").empty());
  EXPECT_FALSE(header_of(response, "x-amz-id-2").empty());
  EXPECT_EQ(room.buckets.rule_of("docs").algorithm, SseAlgorithm::kAwsKms);
  EXPECT_EQ(room.buckets.rule_of("docs").kms_key, "alias/k");
}

TEST(S3Api, GetOnAFreshBucketSaysAes256) {  // GBE-01, 06, 07
  AdminRoom room;
  const auto response = room.s3("GET", "/docs?encryption");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(header_of(response, "content-type"), "application/xml");
  EXPECT_EQ(response.body,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
            "<ServerSideEncryptionConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Rule>"
            "<ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm>"
            "</ApplyServerSideEncryptionByDefault><BucketKeyEnabled>false</BucketKeyEnabled></Rule>"
            "</ServerSideEncryptionConfiguration>");
}

TEST(S3Api, GetReturnsWhatWasPut) {  // PBE-09, 12..16, GBE-03, GBE-04
  struct Case {
    std::string inside;  // of Rule
    std::string key, bucket_key, algorithm;
  };
  const std::string arn = "arn:aws:kms:eu-west-1:999999999999:key/6e551f00-8a7b-4b4e-8f57-58a9a6b4c5f1";
  const std::string open = "<ApplyServerSideEncryptionByDefault><SSEAlgorithm>",
                    close = "</ApplyServerSideEncryptionByDefault>";
  for (const auto& c :
       std::vector<Case>{{open + "AES256</SSEAlgorithm>" + close + "<BucketKeyEnabled>true</BucketKeyEnabled>",
                          "(absent)", "true", "AES256"},
                         {open + "aws:kms</SSEAlgorithm>" + close, "(absent)", "false", "aws:kms"},
                         {open + "aws:kms</SSEAlgorithm><KMSMasterKeyID>" + arn + "</KMSMasterKeyID>" + close, arn,
                          "false", "aws:kms"},
                         {open + "aws:kms</SSEAlgorithm><KMSMasterKeyID>no-such-key</KMSMasterKeyID>" + close,
                          "no-such-key", "false", "aws:kms"},
                         {open + "aws:kms</SSEAlgorithm><KMSMasterKeyID>a&amp;b&lt;</KMSMasterKeyID>" + close,
                          "a&amp;b&lt;", "false", "aws:kms"},
                         {open + "aws:kms:dsse</SSEAlgorithm>" + close, "(absent)", "false", "aws:kms:dsse"},
                         {open + "aws:kms:dsse</SSEAlgorithm><KMSMasterKeyID>alias/d</KMSMasterKeyID>" + close +
                              "<BucketKeyEnabled>true</BucketKeyEnabled>",
                          "alias/d", "true", "aws:kms:dsse"}}) {
    AdminRoom room;
    ASSERT_EQ(room.s3("PUT", "/docs?encryption", configuration(c.inside)).status, 200) << c.inside;
    const auto got = room.s3("GET", "/docs?encryption=");
    EXPECT_EQ(element(got.body, "SSEAlgorithm"), c.algorithm);
    EXPECT_EQ(element(got.body, "KMSMasterKeyID"), c.key);
    EXPECT_EQ(element(got.body, "BucketKeyEnabled"), c.bucket_key);
    EXPECT_EQ(room.s3("PUT", "/docs?encryption", got.body).status, 200) << got.body;  // PBE-59
    EXPECT_EQ(room.s3("GET", "/docs?encryption").body, got.body);
  }
}

TEST(S3Api, DeleteResetsToAes256AndMayBeRepeated) {  // DBE-01..03, SEED-40
  AdminRoom room;
  ASSERT_EQ(room.s3("PUT", "/docs?encryption", kKms).status, 200);
  for (int i = 0; i < 2; ++i) {
    const auto deleted = room.s3("DELETE", "/docs?encryption");
    EXPECT_EQ(deleted.status, 204);
    EXPECT_EQ(deleted.body, "");
  }
  EXPECT_EQ(room.buckets.rule_of("docs"), SseRule{});
  EXPECT_TRUE(room.buckets.has("docs"));
}

TEST(S3Api, DeleteForgetsBlockedTypesAndBucketKeysToo) {  // DBE-03, 04, GBE-06
  AdminRoom room;
  const auto fresh = room.s3("GET", "/docs?encryption").body;
  const auto full = configuration(
      "<ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm></ApplyServerSideEncryptionByDefault>"
      "<BucketKeyEnabled>true</BucketKeyEnabled>"
      "<BlockedEncryptionTypes><EncryptionType>SSE-C</EncryptionType></BlockedEncryptionTypes>");
  ASSERT_EQ(room.s3("PUT", "/docs?encryption", full).status, 200);
  EXPECT_EQ(element(room.s3("GET", "/docs?encryption").body, "EncryptionType"), "SSE-C");
  ASSERT_EQ(room.s3("DELETE", "/docs?encryption").status, 204);
  const auto after = room.s3("GET", "/docs?encryption");
  EXPECT_EQ(after.status, 200);
  EXPECT_EQ(after.body, fresh);
}

TEST(S3Api, BlockedTypesRoundTrip) {  // PBE-16, GBE-07
  for (const std::string type : {"SSE-C", "NONE"}) {
    AdminRoom room;
    const auto rule = configuration(
        "<ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault>"
        "<BucketKeyEnabled>false</BucketKeyEnabled><BlockedEncryptionTypes><EncryptionType>" +
        type + "</EncryptionType></BlockedEncryptionTypes>");
    ASSERT_EQ(room.s3("PUT", "/docs?encryption", rule).status, 200) << type;
    EXPECT_EQ(room.s3("GET", "/docs?encryption").body, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n" + rule);
  }
}

TEST(S3Api, TheContentTypeOfABodyIsNotLookedAt) {  // SEED-71
  for (const std::string type : {"application/xml", "text/plain", "application/x-www-form-urlencoded", "nonsense"}) {
    AdminRoom room;
    EXPECT_EQ(room.s3("PUT", "/docs?encryption", kKms, {{"Content-Type", type}}).status, 200) << type;
    EXPECT_EQ(room.buckets.rule_of("docs").kms_key, "alias/k") << type;
  }
}

TEST(S3Api, APutReplacesTheWholeRule) {  // SEED-01
  AdminRoom room;
  ASSERT_EQ(room.s3("PUT", "/docs?encryption", kKms).status, 200);
  ASSERT_EQ(room.s3("PUT", "/docs?encryption", apply("<SSEAlgorithm>aws:kms</SSEAlgorithm>")).status, 200);
  EXPECT_EQ(room.buckets.rule_of("docs").kms_key, std::nullopt);
}

TEST(S3Api, AnUnknownBucketIs404BeforeTheBodyIsRead) {  // PBE-10, 11, GBE-05, DBE-05, ERR-04, SEED-01
  AdminRoom room;
  for (const auto& [method, body] : std::vector<std::pair<std::string, std::string>>{
           {"PUT", kKms}, {"PUT", "<nonsense"}, {"GET", ""}, {"DELETE", ""}}) {
    const auto response = room.s3(method, "/nothere?encryption", body);
    EXPECT_EQ(response.status, 404);
    EXPECT_EQ(element(response.body, "Code"), "NoSuchBucket");
    EXPECT_EQ(element(response.body, "Message"), "The specified bucket does not exist");
    EXPECT_EQ(element(response.body, "BucketName"), "nothere");
  }
  EXPECT_EQ(room.buckets.changes, 0);
}

TEST(S3Api, AnErrorDocumentHasS3sShape) {  // ERR-01
  AdminRoom room;
  const auto response = room.s3("GET", "/nothere?encryption");
  EXPECT_EQ(header_of(response, "content-type"), "application/xml");
  EXPECT_EQ(response.body,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>NoSuchBucket</Code>"
            "<Message>The specified bucket does not exist</Message><BucketName>nothere</BucketName>"
            "<RequestId>" +
                header_of(response, "x-amz-request-id") + "</RequestId><HostId>" + header_of(response, "x-amz-id-2") +
                "</HostId></Error>");
}

TEST(S3Api, MalformedXmlChangesNothing) {  // PBE-02..07, ERR-04, SEED-72, 73
  AdminRoom room;
  ASSERT_EQ(room.s3("PUT", "/docs?encryption", kKms).status, 200);
  const auto before = room.buckets.rule_of("docs");
  for (const auto& body : {std::string("x"), kPlain.substr(0, kPlain.size() - 1), apply(""), configuration(""),
                           apply("<SSEAlgorithm>SSE-KMS</SSEAlgorithm>")}) {
    const auto response = room.s3("PUT", "/docs?encryption", body);
    EXPECT_EQ(response.status, 400);
    EXPECT_EQ(element(response.body, "Code"), "MalformedXML");
    EXPECT_EQ(element(response.body, "Message"),
              "The XML you provided was not well-formed or did not validate against our published schema");
  }
  EXPECT_EQ(room.buckets.rule_of("docs"), before);
}

TEST(S3Api, AKeyWithAes256IsAnInvalidArgument) {  // PBE-08
  AdminRoom room;
  const auto response = room.s3("PUT", "/docs?encryption",
                                apply("<SSEAlgorithm>AES256</SSEAlgorithm><KMSMasterKeyID>k</KMSMasterKeyID>"));
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(element(response.body, "Code"), "InvalidArgument");
  EXPECT_EQ(element(response.body, "Message"),
            "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse");
  EXPECT_EQ(element(response.body, "ArgumentName"), "ApplyServerSideEncryptionByDefault");
  EXPECT_EQ(element(response.body, "ArgumentValue"), "(absent)");
  EXPECT_EQ(room.buckets.changes, 0);
}

TEST(S3Api, AMachineThatCannotServeDsseSaysNotImplemented) {
  AdminRoom room;
  room.buckets.refuse_dsse = true;
  const auto response = room.s3("PUT", "/docs?encryption", apply("<SSEAlgorithm>aws:kms:dsse</SSEAlgorithm>"));
  EXPECT_EQ(response.status, 501);
  EXPECT_EQ(element(response.body, "Code"), "NotImplemented");
  EXPECT_EQ(element(response.body, "Message"), "DSSE needs two libraries that seal");
}

struct DigestCase {
  std::string row;
  std::vector<HttpHeader> headers;
  int status;
  std::string code, message;
};

TEST(S3Api, VerifiesEveryDigestThatIsSent) {  // PBE-20..36, 58, SEED-43, 44, 56, 63..66, 70
  const auto body = as_bytes(kPlain);
  const auto of = [&](ChecksumAlgorithm algorithm) { return base64(checksum(algorithm, body)); };
  const std::string crc32 = of(ChecksumAlgorithm::kCrc32), md5_good = base64(md5(body)),
                    md5_bad = base64(md5(as_bytes("other")));
  const std::string bad_md5_text = "The Content-MD5 you specified was invalid.";
  const std::string unsupported =
      "Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, "
      "CRC64NVME, SHA1, SHA256]";
  std::vector<DigestCase> cases = {
      {"none, PBE-23", {}, 200, "", ""},
      {"good MD5", {{"Content-MD5", md5_good}}, 200, "", ""},
      {"PBE-20",
       {{"Content-MD5", md5_bad}},
       400,
       "BadDigest",
       "The Content-MD5 you specified did not match what we received."},
      {"PBE-21", {{"Content-MD5", "__invalid__"}}, 400, "InvalidDigest", bad_md5_text},
      {"PBE-21", {{"Content-MD5", "000"}}, 400, "InvalidDigest", bad_md5_text},
      {"PBE-21", {{"Content-MD5", "MTIz"}}, 400, "InvalidDigest", bad_md5_text},
      {"PBE-22", {{"Content-MD5", ""}}, 400, "InvalidDigest", bad_md5_text},
      {"PBE-30",
       {{"x-amz-sdk-checksum-algorithm", "CRC32"}},
       400,
       "InvalidRequest",
       "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were "
       "found."},
      {"PBE-31",
       {{"x-amz-checksum-crc32", "####"}},
       400,
       "InvalidRequest",
       "Value for x-amz-checksum-crc32 header is invalid."},
      {"PBE-31",
       {{"x-amz-checksum-sha256", of(ChecksumAlgorithm::kSha1)}},
       400,
       "InvalidRequest",
       "Value for x-amz-checksum-sha256 header is invalid."},
      {"PBE-33",
       {{"x-amz-checksum-crc32", of(ChecksumAlgorithm::kCrc32)}, {"x-amz-checksum-sha1", of(ChecksumAlgorithm::kSha1)}},
       400,
       "InvalidRequest",
       "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."},
      {"PBE-34, SEED-68",
       {{"x-amz-sdk-checksum-algorithm", "CRC32"}, {"x-amz-checksum-sha256", of(ChecksumAlgorithm::kSha256)}},
       200,
       "",
       ""},
      {"PBE-35", {{"x-amz-sdk-checksum-algorithm", "ADLER"}}, 400, "InvalidRequest", unsupported},
      {"unknown checksum", {{"x-amz-checksum-xxhash64", "AAAAAAAAAAA="}}, 400, "InvalidRequest", unsupported},
      {"PBE-36", {{"Content-MD5", md5_good}, {"x-amz-checksum-crc32", of(ChecksumAlgorithm::kCrc32)}}, 200, "", ""},
      {"PBE-36",
       {{"Content-MD5", md5_bad}, {"x-amz-checksum-crc32", of(ChecksumAlgorithm::kCrc32)}},
       400,
       "BadDigest",
       "The Content-MD5 you specified did not match what we received."},
      {"PBE-34", {{"x-amz-sdk-checksum-algorithm", "ADLER"}, {"x-amz-checksum-crc32", crc32}}, 200, "", ""},
      {"PBE-36",
       {{"Content-MD5", md5_good}, {"x-amz-checksum-crc32", "AAAAAA=="}},
       400,
       "BadDigest",
       "The CRC32 you specified did not match the calculated checksum."},
      {"says nothing of the body, PBE-33",
       {{"x-amz-checksum-type", "FULL_OBJECT"}, {"x-amz-checksum-crc32", crc32}},
       200,
       "",
       ""},
  };
  for (const auto& header : std::vector<HttpHeader>{{"Content-Encoding", "aws-chunked"},
                                                    {"Content-Encoding", "gzip,AWS-Chunked"},
                                                    {"x-amz-trailer", "x-amz-checksum-crc32"}})
    cases.push_back(
        {"PBE-58", {header}, 400, "InvalidRequest", "The value of x-amz-content-sha256 header is invalid."});
  for (const std::string name : {"CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256", "SHA512"}) {
    const auto algorithm = *parse_checksum(name);
    const auto header = "x-amz-checksum-" + lower_case(name);
    cases.push_back({name, {{header, of(algorithm)}}, 200, "", ""});
    for (const std::size_t size : {checksum_size(algorithm) - 1, checksum_size(algorithm) + 1, std::size_t{0}})
      cases.push_back({"PBE-31",
                       {{header, base64(Bytes(size))}},
                       400,
                       "InvalidRequest",
                       "Value for " + header + " header is invalid."});
    cases.push_back({"PBE-32",
                     {{header, base64(checksum(algorithm, as_bytes("other")))}},
                     400,
                     "BadDigest",
                     "The " + name + " you specified did not match the calculated checksum."});
  }
  for (const auto& c : cases) {
    AdminRoom room;
    const auto response = room.s3("PUT", "/docs?encryption", kPlain, c.headers);
    EXPECT_EQ(response.status, c.status) << c.row;
    EXPECT_EQ(room.buckets.changes, c.status == 200 ? 1 : 0) << c.row;
    if (c.status == 200) continue;
    EXPECT_EQ(element(response.body, "Code"), c.code) << c.row;
    EXPECT_EQ(element(response.body, "Message"), c.message) << c.row;
  }
}

TEST(S3Api, ABadDigestNamesBothAndAnInvalidOneIsEchoed) {  // PBE-20, 21
  AdminRoom room;
  const auto wrong = base64(md5(as_bytes("other")));
  const auto bad = room.s3("PUT", "/docs?encryption", kPlain, {{"Content-MD5", wrong}});
  EXPECT_EQ(element(bad.body, "ExpectedDigest"), wrong);
  EXPECT_EQ(element(bad.body, "CalculatedDigest"), base64(md5(as_bytes(kPlain))));
  const auto invalid = room.s3("PUT", "/docs?encryption", kPlain, {{"Content-MD5", "MTIz"}});
  EXPECT_EQ(element(invalid.body, "Content-MD5"), "MTIz");
}

TEST(S3Api, ChecksOwnersThatAreExpected) {  // PBE-40..42, SEED-45, 59, 60
  struct Case {
    std::string owner;
    int status;
    std::string code;
  };
  for (const auto& c : std::vector<Case>{{"000000000000", 200, ""},
                                         {"111122223333", 403, "AccessDenied"},
                                         {"0000", 400, "InvalidBucketOwnerAWSAccountID"},
                                         {"0000000000000", 400, "InvalidBucketOwnerAWSAccountID"},
                                         {"abcd", 400, "InvalidBucketOwnerAWSAccountID"},
                                         {"aa000000000$", 400, "InvalidBucketOwnerAWSAccountID"},
                                         {"", 400, "InvalidBucketOwnerAWSAccountID"}}) {
    for (const std::string method : {"PUT", "GET", "DELETE"}) {
      AdminRoom room;
      const auto response = room.s3(method, "/docs?encryption", method == "PUT" ? kPlain : "",
                                    {{"x-amz-expected-bucket-owner", c.owner}});
      EXPECT_EQ(response.status, c.status == 200 && method == "DELETE" ? 204 : c.status) << c.owner;
      if (c.status == 200) continue;
      EXPECT_EQ(element(response.body, "Code"), c.code) << c.owner;
      EXPECT_EQ(room.buckets.changes, 0);
      if (c.status == 403) {
        EXPECT_EQ(element(response.body, "Message"), "Access Denied");
      }
      if (c.owner == "0000") {
        EXPECT_EQ(element(response.body, "Message"),
                  "The value of the expected bucket owner parameter must be an AWS Account ID... [0000]");
      }
    }
  }
}

TEST(S3Api, ChecksRunInTheirOrder) {  // AUTH-17
  AdminRoom room;
  // digest before bucket
  EXPECT_EQ(element(room.s3("PUT", "/nothere?encryption", kPlain, {{"Content-MD5", "x"}}).body, "Code"),
            "InvalidDigest");
  // digest form before empty body, empty body before checksums and bucket
  EXPECT_EQ(element(room.s3("PUT", "/nothere?encryption", "", {{"Content-MD5", "x"}}).body, "Code"), "InvalidDigest");
  EXPECT_EQ(element(room.s3("PUT", "/nothere?encryption", "", {{"x-amz-checksum-crc32", "x"}}).body, "Code"),
            "MissingRequestBodyError");  // PBE-51
  // checksum before bucket
  EXPECT_EQ(element(room.s3("PUT", "/nothere?encryption", kPlain, {{"x-amz-checksum-crc32", "x"}}).body, "Code"),
            "InvalidRequest");
  // signature before anything about the bucket
  auto request = room.signed_request(room.request("PUT", "/nothere?encryption", kPlain, {{"Content-MD5", "x"}}));
  request.target = "/nothere?encryption&x-id=1";
  EXPECT_EQ(element(room.server.handle(request).body, "Code"), "SignatureDoesNotMatch");
}

TEST(S3Api, AnEmptyBodyIsMissing) {  // PBE-51
  AdminRoom room;
  const auto response = room.s3("PUT", "/docs?encryption", "");
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(element(response.body, "Code"), "MissingRequestBodyError");
  EXPECT_EQ(element(response.body, "Message"), "Request Body is empty");
}

TEST(S3Api, ALengthMustBeGiven) {  // PBE-52
  AdminRoom room;
  auto request = room.request("PUT", "/docs?encryption", kPlain);
  std::erase_if(request.headers, [](const auto& header) { return header.name == "Content-Length"; });
  const auto response = room.server.handle(room.signed_request(request));
  EXPECT_EQ(response.status, 411);
  EXPECT_EQ(element(response.body, "Code"), "MissingContentLength");
  EXPECT_EQ(element(response.body, "Message"), "You must provide the Content-Length HTTP header.");
}

TEST(S3Api, ABucketIsNamedByPathOrHost) {  // SEED-03, SEED-42
  for (const std::string host :
       {"docs.s3.amazonaws.com", "docs.s3.us-east-1.amazonaws.com", "docs.localhost", "docs.s3.localhost:9000",
        "DOCS.s3.amazonaws.com", "docs.s3-us-east-1.amazonaws.com"}) {
    AdminRoom room;
    EXPECT_EQ(room.s3("PUT", "/?encryption", kKms, {{"Host", host}}).status, 200) << host;
    EXPECT_EQ(room.buckets.rule_of("docs").kms_key, "alias/k") << host;
  }
  for (const std::string host :
       {"localhost", "127.0.0.1:9000", "[::1]:9000", "s3.amazonaws.com", "s3.us-east-1.amazonaws.com",
        "s3-us-east-1.amazonaws.com", "s3.localhost", "example.org"}) {
    AdminRoom room;
    EXPECT_EQ(room.s3("PUT", "/docs?encryption", kKms, {{"Host", host}}).status, 200) << host;
    EXPECT_EQ(room.s3("PUT", "/docs/?encryption", kKms, {{"Host", host}}).status, 200) << host;
    EXPECT_EQ(room.s3("PUT", "/%64ocs?encryption=&x-id=PutBucketEncryption", kKms, {{"Host", host}}).status, 200);
    EXPECT_EQ(room.s3("PUT", "/?encryption", kKms, {{"Host", host}}).status, 405) << host;  // SEED-55
  }
}

TEST(S3Api, WhatIsNotServedSaysSo) {
  struct Case {
    std::string method, target;
    int status;
    std::string code;
  };
  for (const auto& c : std::vector<Case>{{"GET", "/docs?acl", 501, "NotImplemented"},
                                         {"PUT", "/docs?versioning", 501, "NotImplemented"},
                                         {"PUT", "/docs?encryptoin", 501, "NotImplemented"},
                                         {"GET", "/docs?encryption&acl", 501, "NotImplemented"},
                                         {"GET", "/docs", 501, "NotImplemented"},
                                         {"GET", "/docs/key", 501, "NotImplemented"},
                                         {"PUT", "/docs/key", 501, "NotImplemented"},
                                         {"PUT", "/docs/key?encryption", 501, "NotImplemented"},
                                         {"POST", "/docs", 405, "MethodNotAllowed"},
                                         {"POST", "/docs?encryption", 405, "MethodNotAllowed"},
                                         {"PATCH", "/docs", 405, "MethodNotAllowed"},
                                         {"PUT", "/", 405, "MethodNotAllowed"},
                                         {"PUT", "/?encryption", 405, "MethodNotAllowed"},
                                         {"PUT", "/base--use1-az1--x-s3?encryption", 404, "NoSuchBucket"},
                                         {"PUT", "/Bad_Name", 400, "InvalidBucketName"},
                                         {"PUT", "/ab?encryption", 400, "InvalidBucketName"}}) {
    AdminRoom room;
    const auto response = room.s3(c.method, c.target, c.target.ends_with("?encryption") ? kPlain : "");
    EXPECT_EQ(response.status, c.status) << c.method << " " << c.target;
    EXPECT_EQ(element(response.body, "Code"), c.code) << c.method << " " << c.target;
    EXPECT_EQ(room.buckets.changes, 0) << c.method << " " << c.target;
  }
}

TEST(S3Api, TargetsThatCannotBeDecodedAreInvalid) {  // SEED-78
  AdminRoom room;
  for (const std::string target : {"/docs?encryption=%zz", "/%", "docs", "*", "/docs?%"}) {
    HttpRequest request = room.request("GET", target);
    request.headers.push_back({"X-Amz-Date", "20260101T000000Z"});
    request.headers.push_back({"Authorization", "AWS4-HMAC-SHA256 nonsense"});
    EXPECT_EQ(room.server.handle(request).status, 400) << target;
  }
}

TEST(S3Api, CreatesABucketOnce) {
  AdminRoom room;
  const auto created = room.s3("PUT", "/fresh");
  EXPECT_EQ(created.status, 200);
  EXPECT_EQ(header_of(created, "location"), "/fresh");
  EXPECT_TRUE(room.buckets.has("fresh"));
  EXPECT_EQ(room.s3("PUT", "/fresh").status, 200);  // us-east-1: one's own bucket again is no conflict
  EXPECT_EQ(room.buckets.changes, 1);
}

TEST(S3Api, ElsewhereOnesOwnBucketAgainIsAConflict) {
  AdminRoom room("eu-west-1");
  ASSERT_EQ(room.s3("PUT", "/fresh").status, 200);
  const auto again = room.s3("PUT", "/fresh");
  EXPECT_EQ(again.status, 409);
  EXPECT_EQ(element(again.body, "Code"), "BucketAlreadyOwnedByYou");
  EXPECT_EQ(element(again.body, "Message"),
            "Your previous request to create the named bucket succeeded and you already own it.");
  EXPECT_EQ(element(again.body, "BucketName"), "fresh");
}

TEST(S3Api, AnothersBucketIsTaken) {
  AdminRoom room;
  room.buckets.add_foreign("theirs", "111122223333");
  const auto response = room.s3("PUT", "/theirs");
  EXPECT_EQ(response.status, 409);
  EXPECT_EQ(element(response.body, "Code"), "BucketAlreadyExists");
}

TEST(S3Api, CreateReadsItsConfiguration) {
  const auto with = [](std::string_view inside) {
    return "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">" + std::string(inside) +
           "</CreateBucketConfiguration>";
  };
  struct Case {
    std::string body;
    int status;
    std::string code;
  };
  for (const auto& c : std::vector<Case>{
           {with("<LocationConstraint>eu-west-1</LocationConstraint>"), 200, ""},
           {with(""), 200, ""},
           {with("<LocationConstraint>us-west-2</LocationConstraint>"), 400, "IllegalLocationConstraintException"},
           {with("<Location><Name>use1-az1</Name></Location>"), 400, "MalformedXML"},
           {with("<Zone>x</Zone>"), 400, "MalformedXML"},
           {"<CreateBucketConfiguration>", 400, "MalformedXML"},
           {"junk", 400, "MalformedXML"}}) {
    AdminRoom room("eu-west-1");
    const auto response = room.s3("PUT", "/fresh", c.body);
    EXPECT_EQ(response.status, c.status) << c.body;
    EXPECT_EQ(room.buckets.has("fresh"), c.status == 200) << c.body;
    if (c.status != 200) {
      EXPECT_EQ(element(response.body, "Code"), c.code) << c.body;
    }
  }
}

TEST(S3Api, HeadersThatAskForAnotherKindOfBucketAreRefused) {  // ERR-03
  for (const auto& [name, value] : std::vector<std::pair<std::string, std::string>>{
           {"x-amz-acl", "public-read"}, {"x-amz-bucket-object-lock-enabled", "true"}, {"x-amz-grant-read", "id=1"}}) {
    AdminRoom room;
    const auto response = room.s3("PUT", "/fresh", "", {{name, value}});
    EXPECT_EQ(response.status, 501) << name;
    EXPECT_EQ(element(response.body, "Message"), "A header you provided implies functionality that is not implemented");
    EXPECT_EQ(element(response.body, "Header"), name);
    EXPECT_FALSE(room.buckets.has("fresh"));
  }
  AdminRoom room;
  EXPECT_EQ(room.s3("PUT", "/fresh", "", {{"x-amz-acl", "private"}}).status, 200);
}

TEST(S3Api, DeletesAnEmptyBucketAndNoOther) {
  AdminRoom room;
  room.buckets.add("full", /*full=*/true);
  EXPECT_EQ(room.s3("DELETE", "/docs").status, 204);
  EXPECT_EQ(room.s3("DELETE", "/docs").status, 404);
  const auto response = room.s3("DELETE", "/full");
  EXPECT_EQ(response.status, 409);
  EXPECT_EQ(element(response.body, "Code"), "BucketNotEmpty");
  EXPECT_EQ(element(response.body, "Message"), "The bucket you tried to delete is not empty");
  EXPECT_EQ(element(response.body, "BucketName"), "full");
  EXPECT_TRUE(room.buckets.has("full"));
}

TEST(S3Api, NoAnswerToHeadHasABody) {  // ERR-02
  AdminRoom room;
  const std::string owner = "x-amz-expected-bucket-owner";
  EXPECT_EQ(room.s3("HEAD", "/docs", "", {{owner, "111122223333"}}).status, 403);
  EXPECT_EQ(room.s3("HEAD", "/docs", "", {{owner, "1"}}).status, 400);
  EXPECT_EQ(room.s3("HEAD", "/nothere").status, 404);
  EXPECT_EQ(room.server.handle(room.request("HEAD", "/docs")).status, 403);
  for (const auto& response :
       {room.s3("HEAD", "/docs", "", {{owner, "111122223333"}}), room.s3("HEAD", "/docs", "", {{owner, "1"}}),
        room.s3("HEAD", "/nothere"), room.server.handle(room.request("HEAD", "/docs"))}) {
    EXPECT_EQ(response.body, "");
    EXPECT_FALSE(header_of(response, "x-amz-request-id").empty());
  }
}

TEST(S3Api, HeadSaysWhereABucketIsAndHasNoBody) {  // ERR-02
  AdminRoom room;
  const auto there = room.s3("HEAD", "/docs");
  EXPECT_EQ(there.status, 200);
  EXPECT_EQ(header_of(there, "x-amz-bucket-region"), "us-east-1");
  const auto gone = room.s3("HEAD", "/nothere");
  EXPECT_EQ(gone.status, 404);
  EXPECT_EQ(gone.body, "");
}

TEST(S3Api, ListsBucketsByName) {
  AdminRoom room;
  room.buckets.add("alpha");
  room.buckets.add_foreign("theirs", "111122223333");
  const auto response = room.s3("GET", "/");
  EXPECT_EQ(response.status, 200);
  EXPECT_NE(
      response.body.find("<Buckets><Bucket><Name>alpha</Name><CreationDate>2026-01-01T00:00:00.250Z</CreationDate>"
                         "</Bucket><Bucket><Name>docs</Name>"),
      std::string::npos)
      << response.body;
  EXPECT_EQ(response.body.find("theirs"), std::string::npos);
  EXPECT_EQ(element(response.body, "ID").size(), 64U);
}

TEST(S3Api, ListsBucketsByPages) {
  AdminRoom room;
  for (const std::string name : {"logs-1", "logs-2", "logs-3"}) room.buckets.add(name);
  std::string token;
  std::vector<std::string> names;
  for (int page = 0; page < 10; ++page) {
    auto target = std::string("/?max-buckets=2&prefix=logs-");
    if (!token.empty()) target += "&continuation-token=" + percent_encode(token, Slash::kEncode);
    const auto body = room.s3("GET", target).body;
    std::string_view rest = body;
    for (std::size_t at; (at = rest.find("<Name>")) != std::string_view::npos; rest.remove_prefix(at + 1))
      names.push_back(element(rest.substr(at), "Name"));
    token = element(body, "ContinuationToken");
    if (token == "(absent)") break;
  }
  EXPECT_EQ(names, (std::vector<std::string>{"logs-1", "logs-2", "logs-3"}));
  for (const std::string bad : {"/?max-buckets=0", "/?max-buckets=x", "/?max-buckets=10001", "/?continuation-token=!"})
    EXPECT_EQ(element(room.s3("GET", bad).body, "Code"), "InvalidArgument") << bad;
}

TEST(S3Api, AStoreThatFailsSaysSoAndIsNotBelieved) {
  AdminRoom room;
  room.buckets.fail = Error{Code::kPoisoned, "the store is poisoned: remount it"};
  for (const auto& [method, target] : std::vector<std::pair<std::string, std::string>>{
           {"GET", "/"}, {"PUT", "/fresh"}, {"GET", "/docs?encryption"}, {"DELETE", "/docs"}}) {
    const auto response = room.s3(method, target);
    EXPECT_EQ(response.status, 500) << method << target;
    EXPECT_EQ(element(response.body, "Code"), "InternalError");
    EXPECT_EQ(element(response.body, "Message"), "the store is poisoned: remount it");
  }
}

TEST(Digests, AnswerTheKnownValues) {  // the check value of each CRC is over 123456789
  const auto text = as_bytes("123456789");
  EXPECT_EQ(hex(checksum(ChecksumAlgorithm::kCrc32, text)), "cbf43926");
  EXPECT_EQ(hex(checksum(ChecksumAlgorithm::kCrc32c, text)), "e3069283");
  EXPECT_EQ(hex(checksum(ChecksumAlgorithm::kCrc64Nvme, text)), "ae8b14860a799888");
  EXPECT_EQ(hex(checksum(ChecksumAlgorithm::kSha1, text)), "f7c3bc1d808e04732adf679965ccc34ca7ae3441");
  EXPECT_EQ(hex(checksum(ChecksumAlgorithm::kSha256, text)),
            "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225");
  EXPECT_EQ(hex(md5(text)), "25f9e794323b453885f5181f1b624d0b");
}

}  // namespace
}  // namespace coffer
