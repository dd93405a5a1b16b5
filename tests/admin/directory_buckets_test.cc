#include <gtest/gtest.h>

#include "admin/body_digests.h"
#include "admin/digest.h"
#include "admin/s3_xml.h"
#include "admin/session.h"
#include "base/encoding.h"
#include "base/limits.h"
#include "tests/admin/admin_room.h"

namespace coffer {
namespace {

const std::string kBucket = "base--use1-az4--x-s3";
const std::string kKey(FakeBuckets::kDirectoryKey);

std::string rule(std::string_view inside, std::string_view behind = "") {
  return "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault>" + std::string(inside) +
         "</ApplyServerSideEncryptionByDefault>" + std::string(behind) + "</Rule></ServerSideEncryptionConfiguration>";
}

std::string kms_rule(std::string_view key) {
  return rule("<SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID>" + std::string(key) + "</KMSMasterKeyID>");
}

std::string location(std::string_view type, std::string_view zone, std::string_view redundancy) {
  return "<CreateBucketConfiguration><Location><Type>" + std::string(type) + "</Type><Name>" + std::string(zone) +
         "</Name></Location><Bucket><Type>Directory</Type><DataRedundancy>" + std::string(redundancy) +
         "</DataRedundancy></Bucket></CreateBucketConfiguration>";
}

struct DirectoryRoom : AdminRoom {
  DirectoryRoom() { buckets.add(kBucket); }

  HttpResponse express(std::string method, std::string target, std::string body = "",
                       std::vector<HttpHeader> headers = {}) {
    return server.handle(signed_request(
        request(std::move(method), std::move(target), std::move(body), std::move(headers)), "s3express"));
  }
  HttpResponse create_session(std::vector<HttpHeader> headers = {}) {
    return express("GET", "/" + kBucket + "?session", "", std::move(headers));
  }
  // A request signed with what CreateSession answered.
  HttpResponse in_session(const HttpResponse& created, std::string method, std::string target, std::string body = "",
                          std::vector<HttpHeader> headers = {}) {
    headers.push_back({"x-amz-s3session-token", element(created.body, "SessionToken")});
    auto out = request(std::move(method), std::move(target), std::move(body), std::move(headers));
    const AccessKey key{element(created.body, "AccessKeyId"),
                        SecretBytes(as_bytes(element(created.body, "SecretAccessKey"))),
                        credentials.key().principal};
    for (auto& header : sign(out, key, "s3express", realm.region.str(), clock.wall_ns()))
      out.headers.push_back(std::move(header));
    return server.handle(out);
  }
};

TEST(DirectoryBuckets, AreMadeInTheZoneOfTheirNameAndNoOther) {  // DIR-01, 02, 20, SEED-52, SEED-53
  DirectoryRoom room;
  const std::string name = "other--use1-az4--x-s3";
  struct Case {
    std::string target, body, code;
  };
  const auto zone = location("AvailabilityZone", "use1-az4", "SingleAvailabilityZone");
  for (const auto& c : std::vector<Case>{
           {name, "", "MalformedXML"},
           {name, "<CreateBucketConfiguration/>", "MalformedXML"},
           {name, "<CreateBucketConfiguration><LocationConstraint>us-east-1</LocationConstraint></CreateBucketConfiguration>",
            "MalformedXML"},
           {name, location("AvailabilityZone", "use1-az4", "SingleLocalZone"), "MalformedXML"},
           {name, location("Zone", "use1-az4", "SingleAvailabilityZone"), "MalformedXML"},
           {name, location("AvailabilityZone", "use1-az5", "SingleAvailabilityZone"), "InvalidRequest"},
           {"plain-name", zone, "InvalidBucketName"},
           {"Upper--use1-az4--x-s3", zone, "InvalidBucketName"},
           {"with.dot--use1-az4--x-s3", zone, "InvalidBucketName"},
           {"xn--a--use1-az4--x-s3", zone, "InvalidBucketName"},
           {"--use1-az4--x-s3", zone, "InvalidBucketName"},
           {"base----x-s3", zone, "InvalidBucketName"},
           {std::string(50, 'a') + "--use1-az4--x-s3", zone, "InvalidBucketName"}}) {
    const auto answer = room.s3("PUT", "/" + c.target, c.body);
    EXPECT_EQ(answer.status, 400) << c.target << c.body;
    EXPECT_EQ(element(answer.body, "Code"), c.code) << c.target << c.body;
    if (c.code == "InvalidBucketName") {
      EXPECT_EQ(element(answer.body, "Message"), "The specified bucket is not valid.") << c.target;
    }
  }
  EXPECT_EQ(room.buckets.changes, 0);
  EXPECT_EQ(room.express("PUT", "/" + name, zone).status, 200);
  EXPECT_EQ(element(room.express("PUT", "/" + name, zone).body, "Code"), "BucketAlreadyOwnedByYou");
  const std::string same_base = "other--use1-az5--x-s3";  // unique in its zone alone
  EXPECT_EQ(room.express("PUT", "/" + same_base, location("AvailabilityZone", "use1-az5", "SingleAvailabilityZone")).status,
            200);
  EXPECT_EQ(room.express("PUT", "/base--usw2-lax1-az1--x-s3", location("LocalZone", "usw2-lax1-az1", "SingleLocalZone")).status,
            200);
  const auto head = room.express("HEAD", "/" + name);
  EXPECT_EQ(header_of(head, "x-amz-bucket-location-name"), "use1-az4");
}

TEST(DirectoryBuckets, AreListedApartFromTheOthers) {
  DirectoryRoom room;
  const auto theirs = room.express("GET", "/");
  EXPECT_NE(theirs.body.find("<ListAllMyDirectoryBucketsResult"), std::string::npos) << theirs.body;
  EXPECT_NE(theirs.body.find(kBucket), std::string::npos);
  EXPECT_EQ(theirs.body.find("docs"), std::string::npos);
  const auto at_control =
      room.s3("GET", "/", "", {{"Host", "s3express-control.us-east-1.amazonaws.com"}});
  EXPECT_EQ(element(at_control.body, "Name"), kBucket);
  const auto others = room.s3("GET", "/");
  EXPECT_EQ(others.body.find(kBucket), std::string::npos);
  EXPECT_NE(others.body.find("docs"), std::string::npos);

  room.buckets.add("second--use1-az4--x-s3");
  const auto page = room.express("GET", "/?max-directory-buckets=1");
  EXPECT_EQ(element(page.body, "Name"), kBucket);
  const auto token = percent_encode(element(page.body, "ContinuationToken"), Slash::kEncode);
  EXPECT_EQ(element(room.express("GET", "/?continuation-token=" + token).body, "Name"), "second--use1-az4--x-s3");
}

TEST(DirectoryBuckets, AreConfiguredAtTheRegionalEndpointByPathAlone) {  // SEED-02, SEED-03, SEED-04, SEED-39, SEED-51
  DirectoryRoom room;
  struct Case {
    std::string host, target;
    int status;
  };
  for (const auto& c : std::vector<Case>{
           {"s3express-control.us-east-1.amazonaws.com", "/" + kBucket, 200},
           {"s3express-control.us-east-1.amazonaws.com:8443", "/" + kBucket, 200},
           {"localhost", "/" + kBucket, 200},
           {"127.0.0.1:9000", "/" + kBucket, 200},
           {"example.com", "/" + kBucket, 200},
           {kBucket + ".s3express-control.us-east-1.amazonaws.com", "/", 400},
           {kBucket + ".s3express-use1-az4.us-east-1.amazonaws.com", "/", 400},
           {"s3express-use1-az4.us-east-1.amazonaws.com", "/" + kBucket, 400},
           {kBucket + ".s3.us-east-1.amazonaws.com", "/", 400},
           {kBucket + ".localhost", "/", 400},
           {"s3express-control.us-east-1.amazonaws.com", "/docs", 400}}) {
    for (const std::string method : {"GET", "PUT", "DELETE"}) {
      const auto body = method == "PUT" ? rule("<SSEAlgorithm>AES256</SSEAlgorithm>") : "";
      const auto answer = room.s3(method, c.target + "?encryption", body, {{"Host", c.host}});
      const bool refused = answer.status == 400;
      EXPECT_EQ(refused, c.status == 400) << method << c.host << answer.body;
      EXPECT_EQ(element(answer.body, "Code") == "InvalidRequest", refused) << answer.body;
    }
  }
  EXPECT_EQ(room.express("HEAD", "/", "", {{"Host", kBucket + ".s3express-use1-az4.us-east-1.amazonaws.com"}}).status, 200)
      << "what is zonal is served there";
}

TEST(DirectoryBuckets, DoNotTakeContentMd5OrAnExpectedOwner) {  // DIR-03, 04, SEED-58, SEED-61, SEED-62, ERR-03
  DirectoryRoom room;
  const auto body = rule("<SSEAlgorithm>AES256</SSEAlgorithm>");
  const auto md5_answer = room.express("PUT", "/" + kBucket + "?encryption", body,
                                       {{"Content-MD5", base64(md5(as_bytes(body)))}});
  EXPECT_EQ(md5_answer.status, 501);
  EXPECT_EQ(element(md5_answer.body, "Code"), "NotImplemented");
  EXPECT_EQ(element(md5_answer.body, "Message"), "This bucket does not support Content Md5 header.");
  for (const std::string method : {"PUT", "GET", "DELETE"}) {
    const auto answer = room.express(method, "/" + kBucket + "?encryption", method == "PUT" ? body : "",
                                     {{"x-amz-expected-bucket-owner", "000000000000"}});
    EXPECT_EQ(answer.status, 501) << method;
    EXPECT_EQ(element(answer.body, "Code"), "NotImplemented");
    EXPECT_EQ(element(answer.body, "Message"), "A header you provided implies functionality that is not implemented");
    EXPECT_EQ(element(answer.body, "Header"), "x-amz-expected-bucket-owner");
  }
  EXPECT_EQ(room.buckets.changes, 0);
}

TEST(DirectoryBuckets, TakeTheirChecksumsInstead) {  // SEED-69
  DirectoryRoom room;
  const auto body = rule("<SSEAlgorithm>AES256</SSEAlgorithm>");
  const auto crc = [&](std::string_view of) { return base64(checksum(ChecksumAlgorithm::kCrc32, as_bytes(of))); };
  EXPECT_EQ(room.express("PUT", "/" + kBucket + "?encryption", body,
                         {{"x-amz-sdk-checksum-algorithm", "CRC32"}, {"x-amz-checksum-crc32", crc(body)}}).status, 200);
  const auto wrong = room.express("PUT", "/" + kBucket + "?encryption", body,
                                  {{"x-amz-sdk-checksum-algorithm", "CRC32"}, {"x-amz-checksum-crc32", crc("other")}});
  EXPECT_EQ(element(wrong.body, "Code"), "BadDigest");
}

TEST(DirectoryBuckets, TakeAes256OrTheirOwnKeyWithBucketKeys) {
  // DIR-06..09, 11, 18, DSSE-08, SEED-13, SEED-18, SEED-19, SEED-22, SEED-23
  DirectoryRoom room;
  struct Case {
    std::string body, code;
  };
  const auto fresh = room.express("GET", "/" + kBucket + "?encryption");
  EXPECT_EQ(element(fresh.body, "SSEAlgorithm"), "AES256");
  EXPECT_EQ(element(fresh.body, "BucketKeyEnabled"), "true");
  for (const auto& c : std::vector<Case>{
           {rule("<SSEAlgorithm>aws:kms:dsse</SSEAlgorithm>"), "InvalidArgument"},
           {rule("<SSEAlgorithm>aws:kms</SSEAlgorithm>"), "InvalidArgument"},
           {kms_rule("alias/mine"), "InvalidArgument"},
           {kms_rule("alias/aws/s3"), "InvalidArgument"},
           {kms_rule("arn:aws:kms:us-east-1:000000000000:alias/mine"), "InvalidArgument"},
           {kms_rule("no-such-key"), "KMS.NotFoundException"},
           {rule("<SSEAlgorithm>AES256</SSEAlgorithm><KMSMasterKeyID>" + kKey + "</KMSMasterKeyID>"), "InvalidArgument"},
           {rule("<SSEAlgorithm>AES256</SSEAlgorithm>", "<BucketKeyEnabled>false</BucketKeyEnabled>"), "InvalidRequest"},
           {rule("<SSEAlgorithm>AES256</SSEAlgorithm>",
                 "<BlockedEncryptionTypes><EncryptionType>SSE-C</EncryptionType></BlockedEncryptionTypes>"),
            "InvalidArgument"}}) {
    const auto answer = room.express("PUT", "/" + kBucket + "?encryption", c.body);
    EXPECT_EQ(answer.status, 400) << c.body;
    EXPECT_EQ(element(answer.body, "Code"), c.code) << c.body;
  }
  EXPECT_EQ(room.buckets.changes, 0);
  for (const std::string behind : {"", "<BucketKeyEnabled>true</BucketKeyEnabled>"}) {
    const auto body = rule("<SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID>" + kKey + "</KMSMasterKeyID>", behind);
    EXPECT_EQ(room.express("PUT", "/" + kBucket + "?encryption", body).status, 200);
    const auto got = room.express("GET", "/" + kBucket + "?encryption");
    EXPECT_EQ(element(got.body, "KMSMasterKeyID"), kKey);
    EXPECT_EQ(element(got.body, "BucketKeyEnabled"), "true");
  }
  EXPECT_EQ(room.express("DELETE", "/" + kBucket + "?encryption").status, 204);
  EXPECT_EQ(room.express("GET", "/" + kBucket + "?encryption").body, fresh.body);
}

TEST(DirectoryBuckets, SayInKmssWordsWhyAKeyDoesNotServe) {  // DIR-10, KMS-20
  DirectoryRoom room;
  struct Case {
    Code code;
    int status;
    std::string said;
  };
  for (const auto& [code, status, said] : std::vector<Case>{
           {Code::kKeyMissing, 400, "KMS.NotFoundException"},
           {Code::kKeyDisabled, 400, "KMS.DisabledException"},
           {Code::kKeyPendingDeletion, 400, "KMS.KMSInvalidStateException"},
           {Code::kKeyPendingImport, 400, "KMS.KMSInvalidStateException"},
           {Code::kWrongKeyUsage, 400, "KMS.InvalidKeyUsageException"},  // asymmetric, or for HMACs
           {Code::kKeyDenied, 403, "AccessDenied"},
           {Code::kKmsAway, 503, "KMS.DependencyTimeoutException"}}) {
    room.buckets.key_refuses = Error{code, "as the KMS says it"};
    const auto answer = room.express("PUT", "/" + kBucket + "?encryption", kms_rule(kKey));
    EXPECT_EQ(answer.status, status) << said;
    EXPECT_EQ(element(answer.body, "Code"), said);
    EXPECT_EQ(element(answer.body, "Message"), "as the KMS says it");
  }
  EXPECT_EQ(room.buckets.changes, 0);
}

TEST(DirectoryBuckets, AreTheirAccountsAlone) {  // SEED-35, SEED-36
  DirectoryRoom room;
  const std::string foreign = "foreign--use1-az4--x-s3";
  room.buckets.add_foreign(foreign, "111111111111");
  for (const auto& [method, body] : std::vector<std::pair<std::string, std::string>>{
           {"PUT", rule("<SSEAlgorithm>AES256</SSEAlgorithm>")}, {"GET", ""}, {"DELETE", ""}}) {
    const auto answer = room.express(method, "/" + foreign + "?encryption", body);
    EXPECT_EQ(answer.status, 403) << method;
    EXPECT_EQ(element(answer.body, "Code"), "AccessDenied") << method;
  }
  EXPECT_EQ(room.express("GET", "/" + foreign + "?session").status, 403);
  EXPECT_EQ(room.buckets.changes, 0);
}

TEST(DirectoryBuckets, AreSignedForEitherService) {  // DIR-19, AUTH-07
  DirectoryRoom room;
  EXPECT_EQ(room.s3("GET", "/" + kBucket + "?encryption").status, 200);
  EXPECT_EQ(room.express("GET", "/" + kBucket + "?encryption").status, 200);
  const auto general = room.express("GET", "/docs?encryption");
  EXPECT_EQ(element(general.body, "Code"), "AuthorizationHeaderMalformed");
}

TEST(DirectorySessions, GiveAKeyForOneBucketAndFiveMinutes) {  // DIR-12, DIR-19
  DirectoryRoom room;
  const auto created = room.create_session();
  ASSERT_EQ(created.status, 200) << created.body;
  EXPECT_EQ(header_of(created, "x-amz-server-side-encryption"), "AES256");
  EXPECT_EQ(room.in_session(created, "HEAD", "/" + kBucket).status, 200);
  const auto body = kms_rule(kKey);
  EXPECT_EQ(room.in_session(created, "PUT", "/" + kBucket + "?encryption", body).status, 200);
  EXPECT_EQ(element(room.in_session(created, "GET", "/" + kBucket + "?encryption").body, "KMSMasterKeyID"), kKey);

  EXPECT_EQ(room.in_session(created, "GET", "/" + kBucket + "?session").status, 403) << "a session makes none";
  room.buckets.add("other--use1-az4--x-s3");
  EXPECT_EQ(room.in_session(created, "GET", "/other--use1-az4--x-s3?encryption").status, 403);
  EXPECT_EQ(room.in_session(created, "GET", "/docs?encryption").status, 400) << "signed for s3express";

  room.clock.advance_ns((kSessionSeconds + 1) * 1'000'000'000);
  const auto late = room.in_session(created, "HEAD", "/" + kBucket);
  EXPECT_EQ(late.status, 403);
}

TEST(DirectorySessions, ReadOnlyOnesChangeNothing) {  // DIR-12
  DirectoryRoom room;
  const auto created = room.create_session({{"x-amz-create-session-mode", "ReadOnly"}});
  ASSERT_EQ(created.status, 200);
  EXPECT_EQ(room.in_session(created, "GET", "/" + kBucket + "?encryption").status, 200);
  EXPECT_EQ(room.in_session(created, "PUT", "/" + kBucket + "?encryption", kms_rule(kKey)).status, 403);
  EXPECT_EQ(room.in_session(created, "DELETE", "/" + kBucket + "?encryption").status, 403);
  EXPECT_EQ(room.in_session(created, "DELETE", "/" + kBucket).status, 403);
  EXPECT_EQ(room.buckets.changes, 0);
  EXPECT_EQ(element(room.create_session({{"x-amz-create-session-mode", "Any"}}).body, "Code"), "InvalidArgument");
}

TEST(DirectorySessions, HaveTheEncryptionOfTheirBucketAndNoOther) {  // DIR-12, 13, 15, 16, SEED-14
  DirectoryRoom room;
  ASSERT_EQ(room.express("PUT", "/" + kBucket + "?encryption", kms_rule(kKey)).status, 200);
  const std::string sse = "x-amz-server-side-encryption", key = sse + "-aws-kms-key-id", context = sse + "-context",
                    bucket_key = sse + "-bucket-key-enabled";
  const auto arn = "{\"aws:s3:arn\":\"arn:aws:s3express:us-east-1:000000000000:bucket/" + kBucket + "\"}";
  const auto encoded = [](std::string_view text) { return base64(as_bytes(text)); };
  const auto id = kKey.substr(kKey.rfind('/') + 1);
  for (const auto& headers : std::vector<std::vector<HttpHeader>>{
           {}, {{sse, "aws:kms"}, {key, kKey}}, {{sse, "aws:kms"}, {key, id}}, {{bucket_key, "true"}},
           {{sse, "aws:kms"}, {key, kKey}, {context, encoded(arn)}}}) {
    const auto created = room.create_session(headers);
    EXPECT_EQ(created.status, 200) << created.body;
    EXPECT_EQ(header_of(created, sse), "aws:kms");
    EXPECT_EQ(header_of(created, key), kKey);
    EXPECT_EQ(header_of(created, bucket_key), "true");
  }
  for (const auto& headers : std::vector<std::vector<HttpHeader>>{
           {{sse, "AES256"}}, {{sse, "aws:kms:dsse"}}, {{sse, "aws:kms"}}, {{key, kKey}},
           {{sse, "aws:kms"}, {key, "alias/mine"}}, {{sse, "aws:kms"}, {key, std::string(36, '1')}},
           {{bucket_key, "false"}}, {{context, encoded("{}")}},
           {{context, encoded("{\"aws:s3:arn\":\"x\",\"more\":\"y\"}")}}, {{context, "not base64"}}})
    EXPECT_EQ(room.create_session(headers).status, 400) << headers[0].name << headers[0].value;

  const auto created = room.create_session();
  for (const auto& headers : std::vector<std::vector<HttpHeader>>{{{sse, "aws:kms"}, {key, kKey}},
                                                                  {{sse, "aws:kms"}, {key, id}},
                                                                  {{key, kKey}},
                                                                  {{sse, "aws:kms"}},  // DIR-14
                                                                  {{bucket_key, "true"}},
                                                                  {{context, encoded(arn)}}})
    EXPECT_EQ(room.in_session(created, "HEAD", "/" + kBucket, "", headers).status, 200) << headers[0].value;
  for (const auto& headers : std::vector<std::vector<HttpHeader>>{
           {{sse, "AES256"}}, {{sse, "aws:kms:dsse"}}, {{key, "alias/mine"}}, {{key, std::string(36, '1')}},
           {{bucket_key, "false"}}, {{bucket_key, "FALSE"}}, {{context, encoded("{}")}}, {{context, arn}},
           {{context, encoded("{\"aws:s3:arn\":\"x\",\"more\":\"y\"}")}}})
    EXPECT_EQ(room.in_session(created, "HEAD", "/" + kBucket, "", headers).status, 400) << headers[0].value;
}

TEST(DirectorySessions, OfABucketUnderAes256HaveNoKey) {  // DIR-13, DIR-15
  DirectoryRoom room;
  const auto created = room.create_session();
  const std::string sse = "x-amz-server-side-encryption", key = sse + "-aws-kms-key-id";
  EXPECT_EQ(room.in_session(created, "HEAD", "/" + kBucket, "", {{sse, "AES256"}}).status, 200);
  EXPECT_EQ(room.in_session(created, "HEAD", "/" + kBucket, "", {{key, kKey}}).status, 400);
  EXPECT_EQ(room.in_session(created, "HEAD", "/" + kBucket, "", {{key, ""}}).status, 400);
}

TEST(DirectorySessions, ATokenThatIsChangedOrForgedOpensNothing) {
  DirectoryRoom room;
  const auto created = room.create_session();
  const auto token = element(created.body, "SessionToken");
  const auto text = *unbase64(token);
  for (std::size_t at = 0; at < text.size(); ++at) {
    auto damaged = text;
    damaged[at] ^= 1;
    auto changed = created;
    const auto from = changed.body.find(token);
    changed.body.replace(from, token.size(), base64(damaged));
    EXPECT_EQ(room.in_session(changed, "HEAD", "/" + kBucket).status, 403) << "byte " << at;
  }
  const auto other = room.create_session();
  auto mixed = created;
  mixed.body.replace(mixed.body.find(token), token.size(), element(other.body, "SessionToken"));
  EXPECT_EQ(room.in_session(mixed, "HEAD", "/" + kBucket).status, 403) << "another session's key";
  for (const auto& bad : {std::string(), std::string("x"), std::string("MQ=="), std::string(10'000, 'A')})
    EXPECT_FALSE(open_session(bad, room.credentials, 0).has_value());
}

TEST(DirectoryBuckets, AnSdksSlashBehindTheirNameIsNoKey) {  // DIR-19
  DirectoryRoom room;
  EXPECT_EQ(room.express("GET", "/" + kBucket + "//?session=").status, 200);
  EXPECT_EQ(room.express("GET", "/" + kBucket + "//?encryption=").status, 200);
  EXPECT_EQ(room.express("GET", "/" + kBucket + "///?encryption=").status, 501);
  EXPECT_EQ(room.s3("GET", "/docs//?encryption=").status, 501);
}

TEST(DirectorySessions, AreForDirectoryBucketsAlone) {
  DirectoryRoom room;
  EXPECT_EQ(element(room.s3("GET", "/docs?session").body, "Code"), "InvalidRequest");
  EXPECT_EQ(room.express("POST", "/" + kBucket + "?session").status, 405);
  EXPECT_EQ(element(room.express("GET", "/missing--use1-az4--x-s3?session").body, "Code"), "NoSuchBucket");
}

}  // namespace
}  // namespace coffer
