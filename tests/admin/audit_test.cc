#include <gtest/gtest.h>

#include "admin/audit_calls.h"
#include "base/audit_limits.h"
#include "base/encoding.h"
#include "base/limits.h"
#include "base/policy_limits.h"
#include "tests/admin/admin_room.h"

namespace coffer {
namespace {

using nlohmann::json;

class AuditTest : public ::testing::Test {
 protected:
  json last() { return room.audit.records.empty() ? json() : json::parse(room.audit.records.back()); }
  std::string create_key() {
    return json::parse(room.kms_call("CreateKey", "{}").body)["KeyMetadata"]["Arn"].get<std::string>();
  }
  AdminRoom room;
};

TEST_F(AuditTest, EachRequestLeavesOneRecordOfOneLine) {
  std::size_t calls = 0;
  const auto expect_one_more = [&](std::string_view source, std::string_view name) {
    ASSERT_EQ(room.audit.records.size(), ++calls);
    EXPECT_EQ(room.audit.records.back().find('\n'), std::string::npos);
    EXPECT_EQ(last()["eventSource"], source);
    EXPECT_EQ(last()["eventName"], name);
  };
  room.s3("GET", "/");
  expect_one_more("s3.amazonaws.com", "ListBuckets");
  room.s3("PUT", "/another-bucket");
  expect_one_more("s3.amazonaws.com", "CreateBucket");
  room.s3("GET", "/docs?encryption");
  expect_one_more("s3.amazonaws.com", "GetBucketEncryption");
  room.s3("GET", "/docs?acl");  // what this server has not
  expect_one_more("s3.amazonaws.com", "UnknownOperation");
  room.server.handle(room.request("GET", "/%zz"));  // cannot be signed
  expect_one_more("s3.amazonaws.com", "UnknownOperation");
  room.kms_call("ListKeys", "{}");
  expect_one_more("kms.amazonaws.com", "ListKeys");
  room.kms_call("NoSuchThing", "{}");
  expect_one_more("kms.amazonaws.com", "UnknownOperation");
  room.kms_call("ListKeys", "{");
  expect_one_more("kms.amazonaws.com", "ListKeys");
  room.coffer_call("Scrub", "{}");
  expect_one_more("coffer", "Scrub");
  for (const auto* reading : {"Status", "ScrubReport", "KmsStats", "Audit", "AuditVerify"}) {
    EXPECT_EQ(room.coffer_call(reading, "{}").status, 200) << reading;
    EXPECT_EQ(room.audit.records.size(), calls) << reading;
  }
}

TEST_F(AuditTest, RequestIdsAreThoseOfTheAnswer) {
  const auto s3 = room.s3("GET", "/docs?encryption");
  EXPECT_EQ(last()["requestID"], header_of(s3, "x-amz-request-id"));
  const auto kms = room.kms_call("ListKeys", "{}");
  EXPECT_EQ(last()["requestID"], header_of(kms, "x-amzn-RequestId"));
}

TEST_F(AuditTest, NoMemberThatMayHoldASecretIsTold) {  // AUD-03
  const auto arn = create_key();
  const std::string secret = base64(as_bytes("nobody may read this"));
  for (const auto* operation :
       {"Encrypt", "Decrypt", "ReEncrypt", "GenerateDataKey", "ImportKeyMaterial", "CreateKey", "NoSuchThing"}) {
    for (const auto* member :
         {"Plaintext", "CiphertextBlob", "EncryptedKeyMaterial", "ImportToken", "Recipient", "Unheard", "plaintext"}) {
      json request = {{"KeyId", arn}, {"DestinationKeyId", arn}, {member, secret}};
      room.kms_call(operation, request.dump());
      EXPECT_EQ(room.audit.records.back().find(secret), std::string::npos) << operation << " " << member;
    }
  }
  const auto generated =
      json::parse(room.kms_call("GenerateDataKey", json{{"KeyId", arn}, {"KeySpec", "AES_256"}}.dump()).body);
  for (const auto* member : {"Plaintext", "CiphertextBlob"})
    EXPECT_EQ(room.audit.records.back().find(generated[member].get<std::string>()), std::string::npos);
  EXPECT_EQ(last()["resources"][0]["ARN"], arn);
}

TEST_F(AuditTest, CallsOnUsersAreRecordedWithoutTheirSecretKeys) {
  room.coffer_call("CreateUser", R"({"UserName":"ann"})");
  EXPECT_EQ(last()["eventSource"], "iam.amazonaws.com");
  EXPECT_EQ(last()["eventName"], "CreateUser");
  EXPECT_EQ(last()["requestParameters"], json({{"userName", "ann"}}));
  const auto made = room.coffer_call("CreateAccessKey", R"({"UserName":"ann"})");
  const std::string secret = json::parse(made.body)["AccessKey"]["SecretAccessKey"];
  EXPECT_EQ(last()["eventName"], "CreateAccessKey");
  EXPECT_EQ(room.audit.records.back().find(secret), std::string::npos);
  room.coffer_call("DeleteUser", R"({"UserName":"nobody"})");
  EXPECT_FALSE(last()["errorCode"].get<std::string>().empty());
}

// As long as one may be; `filling` stands in a Sid and grows where it is written as a text within a text.
std::string long_policy(std::size_t size, std::string_view principal, std::string_view filling) {
  const std::string head = R"({"Statement":{"Effect":"Allow",)" + std::string(principal) +
                           R"("Action":"kms:*","Resource":"*","Sid":")",
                    tail = R"("}})";
  std::string sid;
  while (head.size() + sid.size() + filling.size() + tail.size() <= size) sid += filling;
  return head + sid + tail;
}

TEST_F(AuditTest, WhoLetWhomInIsToldWhole) {  // AUD-01, AUD-05
  const std::string bucket_policy =
      R"({"Statement":[{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"s3:*","Resource":"arn:aws:s3:::docs"}]})";
  ASSERT_EQ(room.s3("PUT", "/docs?policy", bucket_policy).status, 204);
  EXPECT_EQ(last()["requestParameters"]["bucketPolicy"], json::parse(bucket_policy));
  EXPECT_EQ(last()["requestParameters"]["policy"], "");
  EXPECT_EQ(last()["requestParameters"]["bucketName"], "docs");
  room.s3("PUT", "/docs?policy", "{" + std::string(60'000, 'x'));
  EXPECT_EQ(last()["errorCode"], "MalformedPolicy");
  EXPECT_LT(room.audit.records.back().size(), 5000U) << "it let nobody in";

  const std::vector<HttpHeader> agent = {{"User-Agent", std::string(5000, '\x01')}};
  const auto record_of = [&](const std::string& service, const std::string& target, const json& body) {
    auto headers = agent;
    headers.push_back({"X-Amz-Target", target});
    const auto response = room.server.handle(room.signed_request(room.request("POST", "/", body.dump(), headers), service));
    EXPECT_EQ(response.status, 200) << response.body;
    EXPECT_LE(room.audit.records.back().size(), kAuditRecordMax);
    return last()["requestParameters"];
  };
  const auto said = [](const json& told) { return told.is_string() ? json::parse(told.get<std::string>()) : told; };
  for (const std::string_view filling : {"s", R"(\\)", R"(\")", R"(\u0001)"}) {
    const auto policy = long_policy(kKeyPolicySizeMax, R"("Principal":"*",)", filling);
    const auto put = record_of("kms", "TrentService.PutKeyPolicy", {{"KeyId", "k"}, {"Policy", policy}});
    EXPECT_EQ(said(put["policy"]), json::parse(policy)) << filling;
    EXPECT_EQ(put["keyId"], "k");
    const auto made = record_of("kms", "TrentService.CreateKey",
                                {{"Policy", policy}, {"BypassPolicyLockoutSafetyCheck", true}});
    EXPECT_EQ(said(made["policy"]), json::parse(policy)) << filling;
  }
  room.coffer_call("CreateUser", R"({"UserName":"ann"})");
  const auto policy = long_policy(kIdentityPolicySizeMax, "", "s");
  const auto put = record_of("coffer", "Coffer.PutUserPolicy",
                             {{"UserName", "ann"}, {"PolicyName", "p"}, {"PolicyDocument", policy}});
  EXPECT_EQ(put["policyDocument"], policy) << "as CloudTrail has it: its text";
}

TEST_F(AuditTest, ABucketsConfigurationIsTold) {  // AUD-05
  room.s3("PUT", "/docs?encryption",
          "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256"
          "</SSEAlgorithm></ApplyServerSideEncryptionByDefault><BlockedEncryptionTypes><EncryptionType>SSE-C"
          "</EncryptionType></BlockedEncryptionTypes></Rule></ServerSideEncryptionConfiguration>");
  EXPECT_EQ(last()["requestParameters"]["ServerSideEncryptionConfiguration"]["Rule"]["BlockedEncryptionTypes"],
            json({{"EncryptionType", "SSE-C"}}));
  room.s3("PUT", "/fresh",
          "<CreateBucketConfiguration><LocationConstraint>us-east-1</LocationConstraint></CreateBucketConfiguration>");
  EXPECT_EQ(last()["requestParameters"]["CreateBucketConfiguration"]["LocationConstraint"], "us-east-1");
  room.s3("PUT", "/new--usw2-az1--x-s3",
          "<CreateBucketConfiguration><Location><Type>AvailabilityZone</Type><Name>usw2-az1</Name></Location><Bucket>"
          "<Type>Directory</Type><DataRedundancy>SingleAvailabilityZone</DataRedundancy></Bucket>"
          "</CreateBucketConfiguration>");
  EXPECT_EQ(last()["requestParameters"]["CreateBucketConfiguration"]["Location"]["Name"], "usw2-az1");
}

TEST_F(AuditTest, ABucketIsOfItsKindAndItsOwner) {
  const std::string other = "111122223333", directory = "dir--usw2-az1--x-s3";
  const auto resource = [&] { return last()["resources"][0]; };
  room.buckets.add_foreign("theirs", other);
  room.buckets.add_foreign(directory, other);
  room.s3("GET", "/theirs?encryption");
  EXPECT_EQ(resource(), json({{"accountId", other}, {"type", "AWS::S3::Bucket"}, {"ARN", "arn:aws:s3:::theirs"}}));
  room.s3("GET", "/" + directory + "?encryption");
  EXPECT_EQ(resource(), json({{"accountId", other},
                              {"type", "AWS::S3Express::DirectoryBucket"},
                              {"ARN", "arn:aws:s3express:us-east-1:" + other + ":bucket/" + directory}}));
  room.credentials.become(Principal::root_of(*AccountId::parse(other)));
  room.s3("PUT", "/new");
  EXPECT_EQ(resource()["accountId"], other);
  room.s3("DELETE", "/" + directory);
  EXPECT_EQ(last()["errorCode"], json());
  EXPECT_EQ(resource()["accountId"], other);
}

TEST_F(AuditTest, AWrongSignatureIsRecordedAsNobodys) {  // AUD-04
  auto request = room.signed_request(room.request("GET", "/docs?encryption"));
  request.target = "/docs?encryption=";
  request.headers.push_back({"x-amz-date", "twice"});
  room.server.handle(request);
  EXPECT_EQ(last()["userIdentity"], json({{"type", "Unknown"}}));
  EXPECT_FALSE(last()["errorCode"].get<std::string>().empty());
  room.server.handle(room.request("GET", "/docs?encryption"));
  EXPECT_EQ(last()["errorCode"], "AccessDenied");
  EXPECT_EQ(last()["eventName"], "GetBucketEncryption");
}

TEST_F(AuditTest, StrangersAreRecordedSoOftenAMinuteAndTheRestIsCounted) {
  const auto unsigned_request = room.request("GET", "/docs?encryption");
  for (std::uint64_t i = 0; i < kAuditStrangersPerMinute + 25; ++i) room.server.handle(unsigned_request);
  EXPECT_EQ(room.audit.records.size(), kAuditStrangersPerMinute);
  room.s3("GET", "/docs?encryption");  // somebody known is always recorded
  EXPECT_EQ(room.audit.records.size(), kAuditStrangersPerMinute + 1);
  room.clock.advance_ns(60'000'000'000);
  room.server.handle(unsigned_request);
  EXPECT_EQ(last()["additionalEventData"]["unrecordedBefore"], 25);
}

TEST_F(AuditTest, RecordsHaveALimitWhateverIsAskedFor) {
  const auto arn = create_key();
  for (const std::size_t size : {1000U, 8000U, 20000U, 60000U}) {
    json context = {{"name", std::string(size, '"')}};
    room.kms_call("GenerateDataKey",
                  json{{"KeyId", arn}, {"KeySpec", "AES_256"}, {"EncryptionContext", context}}.dump());
    EXPECT_LE(room.audit.records.back().size(), kAuditRecordMax);
    EXPECT_TRUE(json::accept(room.audit.records.back()));
    json tags = json::array();
    while (tags.size() < size / 20) tags.push_back({{"TagKey", "\x01\x01\x01"}, {"TagValue", "v"}});
    room.kms_call("TagResource", json{{"KeyId", arn}, {"Tags", tags}}.dump());
    EXPECT_LE(room.audit.records.back().size(), kAuditRecordMax);
    EXPECT_TRUE(json::accept(room.audit.records.back()));
  }
}

TEST_F(AuditTest, TextsThatGrowWhenTheyAreWrittenHaveThatLimitToo) {
  const std::string arn = "arn:aws:kms:us-east-1:000000000000:key/" + std::string(3000, '\x01');
  AuditCall call;
  call.source = kAuditKms;
  call.name = "ReEncrypt";
  call.agent = call.error_message = std::string(5000, '\x02');
  call.resources = std::vector<std::string>(4, audit_text(arn));
  const auto text = audit_record(call, room.realm);
  EXPECT_LE(text.size(), kAuditRecordMax);
  EXPECT_TRUE(json::accept(text));
}

TEST_F(AuditTest, AUsersNameIsTold) {  // AUD-01
  AuditCall call;
  call.source = kAuditKms;
  call.name = "Decrypt";
  call.caller = Principal{*AccountId::parse("123456789012"), "arn:aws:iam::123456789012:user/team/ana"};
  const auto record = json::parse(audit_record(call, room.realm));
  EXPECT_EQ(record["userIdentity"]["type"], "IAMUser");
  EXPECT_EQ(record["userIdentity"]["userName"], "ana");
  EXPECT_EQ(record["userIdentity"]["accountId"], "123456789012");
  EXPECT_EQ(record["recipientAccountId"], "000000000000");
  EXPECT_EQ(record["readOnly"], true);
}

TEST_F(AuditTest, TheTrailIsReadInPages) {
  for (int i = 0; i < 5; ++i) room.s3("GET", "/");
  const auto first = json::parse(room.coffer_call("Audit", R"({"limit":3})").body);
  EXPECT_EQ(first["entries"].size(), 3U);
  const auto rest = json::parse(room.coffer_call("Audit", json{{"from", first["next"]}}.dump()).body);
  EXPECT_EQ(rest["entries"].size(), 2U);
  EXPECT_EQ(rest["entries"][1]["number"], 5);
  EXPECT_EQ(json::parse(rest["entries"][1]["record"].get<std::string>())["eventName"], "ListBuckets");
}

TEST(Audit, IsShownToTheRootAlone) {
  FakeCredentials credentials(Principal{*AccountId::parse("000000000000"), "arn:aws:iam::000000000000:user/ana"});
  AdminRoom room;
  Server server(room.realm,
                {room.buckets, room.kms.controls(), room.mount, room.unlock, room.audit, room.access, room.access,
                 room.users},
                credentials,
                room.clock, log_nowhere());
  for (const auto* target : {"Coffer.Audit", "Coffer.AuditVerify"}) {
    const auto request = room.signed_request(room.request("POST", "/", "{}", {{"X-Amz-Target", target}}), "coffer");
    EXPECT_EQ(server.handle(request).status, 403) << target;
  }
}

}  // namespace
}  // namespace coffer
