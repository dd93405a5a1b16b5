#include "admin/kms_api.h"

#include <gtest/gtest.h>

#include "base/encoding.h"
#include "tests/admin/admin_room.h"

namespace coffer {
namespace {

using nlohmann::json;

json body_of(const HttpResponse& response) { return json::parse(response.body, nullptr, false); }

std::string make_key(AdminRoom& room) { return body_of(room.kms_call("CreateKey", "{}"))["KeyMetadata"]["KeyId"]; }

void expect_error(const HttpResponse& response, const std::string& type, const std::string& message) {
  EXPECT_EQ(response.status, 400);
  const auto body = body_of(response);
  EXPECT_EQ(body.value("__type", ""), type) << response.body;
  if (message.empty()) {
    EXPECT_EQ(response.body, "{\"__type\":\"" + type + "\"}");
  } else {
    EXPECT_EQ(body.value("message", ""), message);
  }
}

TEST(KmsApi, ANewKeyHasKmssMetadata) {  // KMS-07
  AdminRoom room;
  const auto response = room.kms_call("CreateKey", "{\"Description\":\"d \\u00e9\"}");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(header_of(response, "content-type"), "application/x-amz-json-1.1");
  const auto metadata = body_of(response)["KeyMetadata"];
  const std::string id = metadata["KeyId"];
  EXPECT_EQ(metadata, (json{{"AWSAccountId", "000000000000"},
                            {"KeyId", id},
                            {"Arn", "arn:aws:kms:us-east-1:000000000000:key/" + id},
                            {"CreationDate", 1767225600.25},
                            {"Enabled", true},
                            {"Description", "d é"},
                            {"KeyUsage", "ENCRYPT_DECRYPT"},
                            {"KeyState", "Enabled"},
                            {"Origin", "AWS_KMS"},
                            {"KeyManager", "CUSTOMER"},
                            {"CustomerMasterKeySpec", "SYMMETRIC_DEFAULT"},
                            {"KeySpec", "SYMMETRIC_DEFAULT"},
                            {"EncryptionAlgorithms", {"SYMMETRIC_DEFAULT"}},
                            {"MultiRegion", false},
                            {"CurrentKeyMaterialId", std::string(64, 'a')}}));
  EXPECT_EQ(body_of(room.kms_call("DescribeKey", "{\"KeyId\":\"" + id + "\"}"))["KeyMetadata"], metadata);
}

TEST(KmsApi, TimesAreNumbersOfSeconds) {  // KMS-01
  AdminRoom room;
  EXPECT_NE(room.kms_call("CreateKey", "{}").body.find("\"CreationDate\":1767225600.25,"), std::string::npos);
}

TEST(KmsApi, AKeyThatIsNotThereIsNamedInKmssWords) {  // KMS-10..13
  AdminRoom room;
  for (const auto& [key, message] : std::vector<std::pair<std::string, std::string>>{
           {"fake-key-id", "Invalid keyId 'fake-key-id'"},
           {"134f2428cec14b25a1ae9048164dba47", "Invalid keyId '134f2428cec14b25a1ae9048164dba47'"},
           {"134f2428-cec1-4b25-a1ae-9048164dba47",
            "Key 'arn:aws:kms:us-east-1:000000000000:key/134f2428-cec1-4b25-a1ae-9048164dba47' does not exist"},
           {"arn:aws:kms:eu-west-1:000000000000:key/134f2428-cec1-4b25-a1ae-9048164dba47", "Invalid arn eu-west-1"},
           {"alias/none", "Alias arn:aws:kms:us-east-1:000000000000:alias/none is not found."}}) {
    for (const std::string operation :
         {"DescribeKey", "EnableKey", "DisableKey", "ScheduleKeyDeletion", "CancelKeyDeletion", "RotateKeyOnDemand"})
      expect_error(room.kms_call(operation, "{\"KeyId\":\"" + key + "\"}"), "NotFoundException", message);
    expect_error(room.kms_call("GenerateDataKey", "{\"KeySpec\":\"AES_256\",\"KeyId\":\"" + key + "\"}"),
                 "NotFoundException", message);
  }
}

TEST(KmsApi, GeneratesDataKeysOfTheSizeAskedFor) {  // KMS-04
  AdminRoom room;
  const auto id = make_key(room);
  for (const auto& [asked, size] : std::vector<std::pair<std::string, std::size_t>>{{"\"KeySpec\":\"AES_256\"", 32},
                                                                                    {"\"KeySpec\":\"AES_128\"", 16},
                                                                                    {"\"NumberOfBytes\":1", 1},
                                                                                    {"\"NumberOfBytes\":1024", 1024}}) {
    const auto response = room.kms_call("GenerateDataKey", "{\"KeyId\":\"" + id + "\"," + asked + "}");
    ASSERT_EQ(response.status, 200) << response.body;
    const auto body = body_of(response);
    EXPECT_EQ(body["KeyId"], "arn:aws:kms:us-east-1:000000000000:key/" + id);
    EXPECT_EQ(body["KeyMaterialId"], std::string(64, 'a'));
    EXPECT_EQ(unbase64(body["Plaintext"].get<std::string>())->size(), size);
    EXPECT_TRUE(unbase64(body["CiphertextBlob"].get<std::string>()));
    EXPECT_EQ(body.size(), 4U);

    const auto without =
        body_of(room.kms_call("GenerateDataKeyWithoutPlaintext", "{\"KeyId\":\"" + id + "\"," + asked + "}"));
    EXPECT_FALSE(without.contains("Plaintext"));
    EXPECT_TRUE(without.contains("CiphertextBlob"));
  }
}

TEST(KmsApi, DecryptGivesBackWhatWasGenerated) {  // KMS-05, KMS-18, KMS-19
  AdminRoom room;
  const auto id = make_key(room), other = make_key(room);
  const auto made = body_of(room.kms_call(
      "GenerateDataKey", "{\"KeyId\":\"" + id + "\",\"KeySpec\":\"AES_256\",\"EncryptionContext\":{\"a\":\"b\"}}"));
  const std::string blob = made["CiphertextBlob"];
  const auto decrypt = [&](const std::string& rest) {
    return room.kms_call("Decrypt", "{\"CiphertextBlob\":\"" + blob + "\"" + rest + "}");
  };
  const auto opened = body_of(decrypt(",\"EncryptionContext\":{\"a\":\"b\"}"));
  EXPECT_EQ(opened, (json{{"KeyId", "arn:aws:kms:us-east-1:000000000000:key/" + id},
                          {"EncryptionAlgorithm", "SYMMETRIC_DEFAULT"},
                          {"KeyMaterialId", std::string(64, 'a')},
                          {"Plaintext", made["Plaintext"]}}));
  EXPECT_EQ(decrypt(",\"EncryptionContext\":{\"a\":\"b\"},\"KeyId\":\"" + id + "\"").status, 200);
  expect_error(decrypt(",\"EncryptionContext\":{\"a\":\"B\"}"), "InvalidCiphertextException", "");
  expect_error(decrypt(""), "InvalidCiphertextException", "");
  expect_error(room.kms_call("Decrypt", "{\"CiphertextBlob\":\"AAAA\"}"), "InvalidCiphertextException", "");
  expect_error(decrypt(",\"EncryptionContext\":{\"a\":\"b\"},\"KeyId\":\"" + other + "\""), "IncorrectKeyException",
               "The key ID in the request does not identify a CMK that can perform this operation.");
}

TEST(KmsApi, AKeysStateForbidsItsUse) {  // KMS-14..16
  AdminRoom room;
  const auto id = make_key(room);
  const auto arn = "arn:aws:kms:us-east-1:000000000000:key/" + id;
  const auto named = "{\"KeyId\":\"" + id + "\"}";
  const auto generate = "{\"KeyId\":\"" + id + "\",\"KeySpec\":\"AES_256\"}";
  expect_error(room.kms_call("CancelKeyDeletion", named), "KMSInvalidStateException",
               arn + " is not pending deletion.");
  const auto disabled = room.kms_call("DisableKey", named);
  EXPECT_EQ(disabled.status, 200);
  EXPECT_EQ(disabled.body, "");
  EXPECT_EQ(body_of(room.kms_call("DescribeKey", named))["KeyMetadata"]["Enabled"], false);
  expect_error(room.kms_call("GenerateDataKey", generate), "DisabledException", arn + " is disabled.");
  EXPECT_EQ(room.kms_call("EnableKey", named).status, 200);
  EXPECT_EQ(room.kms_call("GenerateDataKey", generate).status, 200);

  const auto scheduled = body_of(room.kms_call("ScheduleKeyDeletion", named));
  EXPECT_EQ(scheduled, (json{{"KeyId", arn},
                             {"KeyState", "PendingDeletion"},
                             {"PendingWindowInDays", 30},
                             {"DeletionDate", 1767225600.25 + 30 * 86400}}));
  EXPECT_EQ(body_of(room.kms_call("DescribeKey", named))["KeyMetadata"]["DeletionDate"], 1767225600.25 + 30 * 86400);
  expect_error(room.kms_call("GenerateDataKey", generate), "KMSInvalidStateException", arn + " is pending deletion.");
  EXPECT_EQ(body_of(room.kms_call("CancelKeyDeletion", named)), (json{{"KeyId", arn}}));
}

TEST(KmsApi, RotationNamesTheKey) {  // KMS-41
  AdminRoom room;
  const auto id = make_key(room);
  const auto rotated =
      body_of(room.kms_call("RotateKeyOnDemand", "{\"KeyId\":\"arn:aws:kms:us-east-1:000000000000:key/" + id + "\"}"));
  EXPECT_EQ(rotated, (json{{"KeyId", id}}));
  EXPECT_EQ(body_of(room.kms_call("DescribeKey", "{\"KeyId\":\"" + id + "\"}"))["KeyMetadata"]["CurrentKeyMaterialId"],
            std::string(64, 'b'));
}

TEST(KmsApi, AliasesAreMadeListedAndFollowed) {
  AdminRoom room;
  const auto id = make_key(room), other = make_key(room);
  EXPECT_EQ(room.kms_call("CreateAlias", "{\"AliasName\":\"alias/one\",\"TargetKeyId\":\"" + id + "\"}").body, "");
  EXPECT_EQ(room.kms_call("CreateAlias", "{\"AliasName\":\"alias/two\",\"TargetKeyId\":\"" + other + "\"}").status,
            200);
  EXPECT_EQ(body_of(room.kms_call("DescribeKey", "{\"KeyId\":\"alias/one\"}"))["KeyMetadata"]["KeyId"], id);
  const auto all = body_of(room.kms_call("ListAliases", "{}"));
  EXPECT_EQ(all["Truncated"], false);
  ASSERT_EQ(all["Aliases"].size(), 2U);
  EXPECT_EQ(all["Aliases"][0], (json{{"AliasName", "alias/one"},
                                     {"AliasArn", "arn:aws:kms:us-east-1:000000000000:alias/one"},
                                     {"TargetKeyId", id},
                                     {"CreationDate", 1767225600.25},
                                     {"LastUpdatedDate", 1767225600.25}}));
  EXPECT_EQ(body_of(room.kms_call("ListAliases", "{\"KeyId\":\"" + other + "\"}"))["Aliases"].size(), 1U);
}

TEST(KmsApi, ListsComeInPages) {
  AdminRoom room;
  for (int i = 0; i < 7; ++i) make_key(room);
  std::vector<std::string> seen;
  std::string marker;
  for (int page = 0; page < 10; ++page) {
    const auto listed = body_of(
        room.kms_call("ListKeys", "{\"Limit\":3" + (marker.empty() ? "" : ",\"Marker\":\"" + marker + "\"") + "}"));
    for (const auto& key : listed["Keys"]) {
      seen.push_back(key["KeyId"]);
      EXPECT_EQ(key["KeyArn"], "arn:aws:kms:us-east-1:000000000000:key/" + seen.back());
    }
    if (!listed["Truncated"]) break;
    marker = listed["NextMarker"];
  }
  EXPECT_EQ(seen.size(), 7U);
  EXPECT_EQ(std::set<std::string>(seen.begin(), seen.end()).size(), 7U);
}

TEST(KmsApi, ValuesOutOfBoundsAreRefusedInKmssWords) {  // KMS-22
  AdminRoom room;
  const auto id = make_key(room);
  struct Case {
    std::string operation, body, type, message;
  };
  const std::string key = "\"KeyId\":\"" + id + "\"";
  const std::string detected = "1 validation error detected: Value ";
  for (const auto& c : std::vector<Case>{
           {"GenerateDataKey", "{" + key + ",\"NumberOfBytes\":1025}", "ValidationException",
            detected +
                "'1025' at 'numberOfBytes' failed to satisfy constraint: Member must have value less than or equal "
                "to 1024"},
           {"GenerateDataKey", "{" + key + ",\"NumberOfBytes\":0}", "ValidationException",
            detected +
                "'0' at 'numberOfBytes' failed to satisfy constraint: Member must have value greater than or equal "
                "to 1"},
           {"GenerateDataKey", "{" + key + ",\"NumberOfBytes\":18446744073709551615}", "ValidationException",
            detected + "'18446744073709551615' at 'numberOfBytes' failed to satisfy constraint: Member must have value "
                       "less than or equal to 1024"},
           {"GenerateDataKey", "{" + key + ",\"KeySpec\":\"AES_512\"}", "ValidationException",
            detected + "'AES_512' at 'keySpec' failed to satisfy constraint: Member must satisfy enum value set: "
                       "[AES_256, AES_128]"},
           {"GenerateDataKey", "{" + key + "}", "ValidationException",
            "Please specify either number of bytes or key spec."},
           {"GenerateDataKey", "{" + key + ",\"KeySpec\":\"AES_256\",\"NumberOfBytes\":32}", "ValidationException",
            "Please specify either number of bytes or key spec."},
           {"GenerateDataKey", "{\"KeySpec\":\"AES_256\"}", "ValidationException",
            detected + "null at 'keyId' failed to satisfy constraint: Member must not be null"},
           {"DescribeKey", "{\"KeyId\":\"\"}", "ValidationException",
            detected +
                "'' at 'keyId' failed to satisfy constraint: Member must have length greater than or equal to 1"},
           {"ScheduleKeyDeletion", "{" + key + ",\"PendingWindowInDays\":6}", "ValidationException",
            detected +
                "'6' at 'pendingWindowInDays' failed to satisfy constraint: Member must have value greater than or "
                "equal to 7"},
           {"ScheduleKeyDeletion", "{" + key + ",\"PendingWindowInDays\":31}", "ValidationException",
            detected +
                "'31' at 'pendingWindowInDays' failed to satisfy constraint: Member must have value less than or "
                "equal to 30"},
           {"ListKeys", "{\"Limit\":1001}", "ValidationException",
            detected +
                "'1001' at 'limit' failed to satisfy constraint: Member must have value less than or equal to 1000"},
           {"Decrypt", "{\"CiphertextBlob\":\"\"}", "ValidationException",
            detected +
                "'' at 'ciphertextBlob' failed to satisfy constraint: Member must have length greater than or equal "
                "to 1"},
           {"DescribeKey", "{\"KeyId\":1}", "SerializationException", "KeyId must be a string."},
           {"GenerateDataKey", "{" + key + ",\"NumberOfBytes\":\"32\"}", "SerializationException",
            "NumberOfBytes must be an integer."},
           {"GenerateDataKey", "{" + key + ",\"NumberOfBytes\":3.5}", "SerializationException",
            "NumberOfBytes must be an integer."},
           {"GenerateDataKey", "{" + key + ",\"KeySpec\":\"AES_256\",\"EncryptionContext\":{\"a\":1}}",
            "SerializationException", "EncryptionContext must be an object of strings."},
           {"Decrypt", "{\"CiphertextBlob\":\"%%\"}", "SerializationException", "CiphertextBlob must be base64."}})
    expect_error(room.kms_call(c.operation, c.body), c.type, c.message);
  EXPECT_TRUE(room.kms.calls.empty());
}

TEST(KmsApi, WhatItDoesNotDoIsRefusedAndNotPassedOver) {
  AdminRoom room;
  const auto id = make_key(room);
  for (const auto& [operation, body] : std::vector<std::pair<std::string, std::string>>{
           {"CreateKey", "{\"KeySpec\":\"RSA_2048\"}"},
           {"CreateKey", "{\"KeyUsage\":\"SIGN_VERIFY\"}"},
           {"CreateKey", "{\"Origin\":\"EXTERNAL\"}"},
           {"CreateKey", "{\"MultiRegion\":true}"},
           {"CreateKey", "{\"Policy\":\"{}\"}"},
           {"CreateKey", "{\"Tags\":[{\"TagKey\":\"a\",\"TagValue\":\"b\"}]}"},
           {"GenerateDataKey", "{\"KeyId\":\"" + id + "\",\"KeySpec\":\"AES_256\",\"DryRun\":true}"},
           {"GenerateDataKey", "{\"KeyId\":\"" + id + "\",\"KeySpec\":\"AES_256\",\"GrantTokens\":[\"t\"]}"},
           {"Decrypt", "{\"CiphertextBlob\":\"AAAA\",\"EncryptionAlgorithm\":\"RSAES_OAEP_SHA_1\"}"}}) {
    const auto response = room.kms_call(operation, body);
    EXPECT_EQ(response.status, 400) << body;
    EXPECT_EQ(body_of(response)["__type"], "UnsupportedOperationException") << body;
  }
  EXPECT_EQ(room.kms.list_keys()->size(), 1U);
  EXPECT_EQ(room.kms_call("CreateKey",
                          "{\"KeySpec\":\"SYMMETRIC_DEFAULT\",\"KeyUsage\":\"ENCRYPT_DECRYPT\",\"Origin\":"
                          "\"AWS_KMS\",\"MultiRegion\":false,\"Tags\":[],\"Description\":null}")
                .status,
            200);
}

TEST(KmsApi, BodiesThatAreNotOneObjectAreRefused) {
  AdminRoom room;
  std::string deep = "{\"a\":";
  for (int i = 0; i < 10'000; ++i) deep += "[";
  std::string nested;
  for (int i = 0; i < 40; ++i) nested += "{\"a\":";
  nested += "1" + std::string(40, '}');
  std::string wide = "{";
  for (int i = 0; i < 5'000; ++i) wide += "\"" + std::to_string(i) + "\":0,";
  for (const auto& body :
       {std::string(), std::string("x"), std::string("[]"), std::string("null"), std::string("{"), std::string("{} {}"),
        std::string("{\"a\":1,}"), std::string("{\"Description\":\"\xff\"}"),
        std::string("{\"Description\":\"a\",\"Description\":\"b\"}"), std::string("{\"x\":{\"a\":1,\"a\":2}}"), deep,
        nested, wide + "\"0\":0}", std::string("{}\0", 3), std::string("<xml/>"), std::string("{\"a\":1e999999}")}) {
    const auto response = room.kms_call("CreateKey", body);
    EXPECT_EQ(response.status, 400) << body.substr(0, 60);
    EXPECT_EQ(body_of(response)["__type"], "SerializationException") << body.substr(0, 60);
  }
  EXPECT_TRUE(room.kms.list_keys()->empty());
}

TEST(KmsApi, UnknownOperationsAreUnknown) {
  AdminRoom room;
  for (const std::string target :
       {"TrentService.Nonsense", "TrentService.", "TrentService", "trentservice.CreateKey", "Other.CreateKey", ""}) {
    const auto response = room.json("kms", target, "{}");
    EXPECT_EQ(response.status, 400) << target;
    EXPECT_EQ(body_of(response)["__type"], "UnknownOperationException") << target;
  }
  auto get = room.request("GET", "/", "", {{"X-Amz-Target", "TrentService.CreateKey"}});
  EXPECT_EQ(room.server.handle(room.signed_request(get, "kms")).status, 400);
  EXPECT_TRUE(room.kms.list_keys()->empty());
}

TEST(KmsApi, FaultsOfOursAreNotTheCallers) {  // KMS-03
  AdminRoom room;
  for (const auto& [code, status, type] :
       std::vector<std::tuple<Code, int, std::string>>{{Code::kKmsAway, 503, "DependencyTimeoutException"},
                                                       {Code::kPoisoned, 500, "KMSInternalException"},
                                                       {Code::kLimit, 400, "LimitExceededException"},
                                                       {Code::kKeyDenied, 400, "AccessDeniedException"},
                                                       {Code::kInvalidAliasName, 400, "ValidationException"},
                                                       {Code::kExists, 400, "AlreadyExistsException"}}) {
    room.kms.fail = Error{code, "why"};
    const auto response = room.kms_call("CreateKey", "{}");
    EXPECT_EQ(response.status, status);
    EXPECT_EQ(response.body, "{\"__type\":\"" + type + "\",\"message\":\"why\"}");
  }
}

}  // namespace
}  // namespace coffer
