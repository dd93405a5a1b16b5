#include "admin/kms_api.h"

#include <gtest/gtest.h>

#include "admin/kms_error.h"
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

TEST(KmsApi, AKeyThatIsNotThereIsNamedAsTheKmsNamesIt) {
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

TEST(KmsApi, AKeysStateForbidsItsUse) {
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
  EXPECT_EQ(rotated, (json{{"KeyId", "arn:aws:kms:us-east-1:000000000000:key/" + id}}));
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

TEST(KmsApi, EveryConstraintThatDoesNotHoldIsNamed) {  // KMS-22
  AdminRoom room;
  expect_error(room.kms_call("GetParametersForImport", "{}"), "ValidationException",
               "3 validation errors detected: Value null at 'keyId' failed to satisfy constraint: Member must not be "
               "null; Value null at 'wrappingAlgorithm' failed to satisfy constraint: Member must not be null; Value "
               "null at 'wrappingKeySpec' failed to satisfy constraint: Member must not be null");
  expect_error(
      room.kms_call("CreateKey", "{\"Tags\":[{\"TagKey\":\"a\",\"TagValue\":\"b\"},{\"TagKey\":\"\",\"TagValue\":\"" +
                                     std::string(257, 'v') + "\"}]}"),
      "ValidationException",
      "2 validation errors detected: Value '' at 'tags.2.member.tagKey' failed to satisfy constraint: Member "
      "must have length greater than or equal to 1; Value '" +
          std::string(257, 'v') +
          "' at 'tags.2.member.tagValue' failed to satisfy constraint: Member must have length less than or "
          "equal to 256");
  expect_error(room.kms_call("CreateKey", "{\"KeyUsage\":\"RANDOM\"}"), "ValidationException",
               "1 validation error detected: Value 'RANDOM' at 'keyUsage' failed to satisfy constraint: Member must "
               "satisfy enum value set: [SIGN_VERIFY, ENCRYPT_DECRYPT, GENERATE_VERIFY_MAC, KEY_AGREEMENT]");
}

TEST(KmsApi, APlaintextIsNeverShownInAMessage) {
  AdminRoom room;
  const auto id = make_key(room);
  expect_error(
      room.kms_call("Encrypt", "{\"KeyId\":\"" + id + "\",\"Plaintext\":\"" + base64(Bytes(4097, 1)) + "\"}"),
      "ValidationException",
      "1 validation error detected: Value at 'plaintext' failed to satisfy constraint: Member must have length "
      "less than or equal to 4096");
}

TEST(KmsApi, EncryptDecryptAndReEncryptGoTogether) {  // KMS-06
  AdminRoom room;
  const auto id = make_key(room), other = make_key(room);
  const auto arn = "arn:aws:kms:us-east-1:000000000000:key/";
  const auto sealed = body_of(room.kms_call(
      "Encrypt", "{\"KeyId\":\"" + id + "\",\"Plaintext\":\"c2VjcmV0\",\"EncryptionContext\":{\"a\":\"b\"}}"));
  EXPECT_EQ(sealed["KeyId"], arn + id);
  EXPECT_EQ(sealed["EncryptionAlgorithm"], "SYMMETRIC_DEFAULT");
  EXPECT_EQ(sealed.size(), 3U);
  const std::string blob = sealed["CiphertextBlob"];
  const auto moved = body_of(room.kms_call(
      "ReEncrypt", "{\"CiphertextBlob\":\"" + blob + "\",\"DestinationKeyId\":\"" + other +
                       "\",\"SourceEncryptionContext\":{\"a\":\"b\"},\"DestinationEncryptionContext\":{\"c\":\"d\"}}"));
  EXPECT_EQ(moved["SourceKeyId"], arn + id);
  EXPECT_EQ(moved["KeyId"], arn + other);
  EXPECT_EQ(moved["SourceEncryptionAlgorithm"], "SYMMETRIC_DEFAULT");
  EXPECT_EQ(moved["DestinationEncryptionAlgorithm"], "SYMMETRIC_DEFAULT");
  EXPECT_EQ(moved["SourceKeyMaterialId"], std::string(64, 'a'));
  EXPECT_EQ(moved["DestinationKeyMaterialId"], std::string(64, 'a'));
  const std::string moved_blob = moved["CiphertextBlob"];
  const auto opened = body_of(
      room.kms_call("Decrypt", "{\"CiphertextBlob\":\"" + moved_blob + "\",\"EncryptionContext\":{\"c\":\"d\"}}"));
  EXPECT_EQ(opened["Plaintext"], "c2VjcmV0");
  expect_error(room.kms_call("ReEncrypt", "{\"CiphertextBlob\":\"" + blob + "\",\"DestinationKeyId\":\"" + other +
                                              "\",\"SourceKeyId\":\"" + other + "\"}"),
               "IncorrectKeyException",
               "The key ID in the request does not identify a CMK that can perform this operation.");
}

TEST(KmsApi, ADryRunSaysWhatWouldHaveHappened) {  // KMS-21
  AdminRoom room;
  const auto id = make_key(room);
  const std::string message = "The request would have succeeded, but the DryRun option is set.";
  const std::string key = "\"KeyId\":\"" + id + "\",\"DryRun\":true";
  expect_error(room.kms_call("GenerateDataKey", "{" + key + ",\"KeySpec\":\"AES_256\"}"), "DryRunOperationException",
               message);
  expect_error(room.kms_call("GenerateDataKeyWithoutPlaintext", "{" + key + ",\"KeySpec\":\"AES_256\"}"),
               "DryRunOperationException", message);
  expect_error(room.kms_call("Encrypt", "{" + key + ",\"Plaintext\":\"AAAA\"}"), "DryRunOperationException", message);
  EXPECT_TRUE(room.kms.calls.empty());
}

TEST(KmsApi, RandomBytesAreBase64OfTheNumberAskedFor) {  // KMS-06
  AdminRoom room;
  const auto response = room.kms_call("GenerateRandom", "{\"NumberOfBytes\":12}");
  EXPECT_EQ(unbase64(body_of(response)["Plaintext"].get<std::string>())->size(), 12U) << response.body;
  EXPECT_EQ(body_of(response).size(), 1U);
  expect_error(room.kms_call("GenerateRandom", "{}"), "ValidationException", "NumberOfBytes is required.");
  expect_error(room.kms_call("GenerateRandom", "{\"NumberOfBytes\":1025}"), "ValidationException",
               "1 validation error detected: Value '1025' at 'numberOfBytes' failed to satisfy constraint: Member must "
               "have value less than or equal to 1024");
}

TEST(KmsApi, AliasesAreUpdatedAndDeleted) {  // KMS-06
  AdminRoom room;
  const auto one = make_key(room), other = make_key(room);
  ASSERT_EQ(room.kms_call("CreateAlias", "{\"AliasName\":\"alias/a\",\"TargetKeyId\":\"" + one + "\"}").status, 200);
  const auto updated = room.kms_call("UpdateAlias", "{\"AliasName\":\"alias/a\",\"TargetKeyId\":\"" + other + "\"}");
  EXPECT_EQ(updated.status, 200);
  EXPECT_EQ(updated.body, "");
  const auto alias = body_of(room.kms_call("ListAliases", "{}"))["Aliases"][0];
  EXPECT_EQ(alias["TargetKeyId"], other);
  EXPECT_EQ(alias["CreationDate"], 1767225600.25);
  EXPECT_EQ(alias["LastUpdatedDate"], 1767225601.25);
  EXPECT_EQ(room.kms_call("DeleteAlias", "{\"AliasName\":\"alias/a\"}").body, "");
  expect_error(room.kms_call("DeleteAlias", "{\"AliasName\":\"alias/a\"}"), "NotFoundException",
               "Alias arn:aws:kms:us-east-1:000000000000:alias/a is not found.");
}

TEST(KmsApi, DescriptionsAndTagsCanBeChanged) {  // KMS-06
  AdminRoom room;
  const std::string id =
      body_of(room.kms_call("CreateKey", "{\"Tags\":[{\"TagKey\":\"b\",\"TagValue\":\"1\"}]}"))["KeyMetadata"]["KeyId"];
  const std::string key = "\"KeyId\":\"" + id + "\"";
  EXPECT_EQ(room.kms_call("UpdateKeyDescription", "{" + key + ",\"Description\":\"new\"}").body, "");
  EXPECT_EQ(body_of(room.kms_call("DescribeKey", "{" + key + "}"))["KeyMetadata"]["Description"], "new");
  EXPECT_EQ(room.kms_call("TagResource", "{" + key + ",\"Tags\":[{\"TagKey\":\"a\",\"TagValue\":\"\"}]}").body, "");
  EXPECT_EQ(body_of(room.kms_call("ListResourceTags", "{" + key + "}")),
            json::parse(R"({"Tags":[{"TagKey":"a","TagValue":""},{"TagKey":"b","TagValue":"1"}],"Truncated":false})"));
  const auto page = body_of(room.kms_call("ListResourceTags", "{" + key + ",\"Limit\":1}"));
  EXPECT_EQ(page["Truncated"], true);
  EXPECT_EQ(body_of(room.kms_call("ListResourceTags",
                                  "{" + key + ",\"Marker\":\"" + page["NextMarker"].get<std::string>() + "\"}"))["Tags"]
                .size(),
            1U);
  EXPECT_EQ(room.kms_call("UntagResource", "{" + key + ",\"TagKeys\":[\"a\",\"b\"]}").body, "");
  EXPECT_TRUE(body_of(room.kms_call("ListResourceTags", "{" + key + "}"))["Tags"].empty());
  room.kms.fail = Error{Code::kInvalidTag, "Duplicate tag keys"};
  expect_error(room.kms_call("TagResource", "{" + key + ",\"Tags\":[]}"), "TagException", "Duplicate tag keys");
}

TEST(KmsApi, RotationIsTurnedOnShownAndTurnedOff) {  // KMS-06, KMS-40, KMS-41
  AdminRoom room;
  const auto id = make_key(room);
  const auto arn = "arn:aws:kms:us-east-1:000000000000:key/" + id;
  const std::string key = "{\"KeyId\":\"" + id + "\"}";
  EXPECT_EQ(body_of(room.kms_call("GetKeyRotationStatus", key)), (json{{"KeyId", arn}, {"KeyRotationEnabled", false}}));
  EXPECT_EQ(room.kms_call("EnableKeyRotation", key).body, "");
  EXPECT_EQ(body_of(room.kms_call("GetKeyRotationStatus", key)), (json{{"KeyId", arn},
                                                                       {"KeyRotationEnabled", true},
                                                                       {"RotationPeriodInDays", 365},
                                                                       {"NextRotationDate", 1798761600.25}}));
  EXPECT_EQ(room.kms_call("DisableKeyRotation", key).body, "");
  EXPECT_EQ(body_of(room.kms_call("GetKeyRotationStatus", key))["KeyRotationEnabled"], false);
  expect_error(room.kms_call("EnableKeyRotation", "{\"KeyId\":\"" + id + "\",\"RotationPeriodInDays\":89}"),
               "ValidationException",
               "1 validation error detected: Value '89' at 'rotationPeriodInDays' failed to satisfy constraint: Member "
               "must have value greater than or equal to 90");
}

TEST(KmsApi, RotationsAreListedInTheirOrderAndInPages) {  // KMS-06
  AdminRoom room;
  const auto id = make_key(room);
  const auto arn = "arn:aws:kms:us-east-1:000000000000:key/" + id;
  const std::string key = "\"KeyId\":\"" + id + "\"";
  for (int i = 0; i < 11; ++i) room.kms_call("RotateKeyOnDemand", "{" + key + "}");
  std::vector<std::string> seen;
  std::string marker;
  for (int page = 0; page < 10; ++page) {
    const auto listed =
        body_of(room.kms_call("ListKeyRotations", "{" + key + ",\"Limit\":5" +
                                                      (marker.empty() ? "" : ",\"Marker\":\"" + marker + "\"") + "}"));
    for (const auto& rotation : listed["Rotations"]) {
      seen.push_back(rotation["KeyMaterialId"]);
      EXPECT_EQ(rotation["KeyId"], arn);
      EXPECT_EQ(rotation["RotationType"], "ON_DEMAND");
      EXPECT_EQ(rotation["RotationDate"], 1767225600.25);
    }
    if (!listed["Truncated"]) break;
    marker = listed["NextMarker"];
  }
  ASSERT_EQ(seen.size(), 11U);
  for (std::size_t i = 0; i < seen.size(); ++i) EXPECT_EQ(seen[i][0], static_cast<char>('b' + i));
  const auto all = body_of(
      room.kms_call("ListKeyRotations", "{" + key + ",\"IncludeKeyMaterial\":\"ALL_KEY_MATERIAL\"}"))["Rotations"];
  ASSERT_EQ(all.size(), 12U);
  EXPECT_EQ(all[0],
            (json{{"KeyId", arn}, {"KeyMaterialId", std::string(64, 'a')}, {"KeyMaterialState", "NON_CURRENT"}}));
  EXPECT_EQ(all[11]["KeyMaterialState"], "CURRENT");
}

TEST(KmsApi, KeyMaterialIsImportedShownAndDeleted) {  // KMS-17
  AdminRoom room;
  const auto made = body_of(room.kms_call("CreateKey", "{\"Origin\":\"EXTERNAL\"}"))["KeyMetadata"];
  const std::string id = made["KeyId"], arn = made["Arn"], key = "\"KeyId\":\"" + id + "\"";
  EXPECT_EQ(made["KeyState"], "PendingImport");
  EXPECT_EQ(made["Enabled"], false);
  EXPECT_EQ(made["Origin"], "EXTERNAL");
  EXPECT_FALSE(made.contains("CurrentKeyMaterialId"));
  EXPECT_FALSE(made.contains("ExpirationModel"));
  expect_error(room.kms_call("Encrypt", "{" + key + ",\"Plaintext\":\"AAAA\"}"), "KMSInvalidStateException",
               arn + " is pending import.");
  const auto parameters = body_of(room.kms_call(
      "GetParametersForImport",
      "{" + key + ",\"WrappingAlgorithm\":\"RSA_AES_KEY_WRAP_SHA_256\",\"WrappingKeySpec\":\"RSA_4096\"}"));
  EXPECT_EQ(
      parameters,
      (json{{"KeyId", arn}, {"ImportToken", "BAUG"}, {"PublicKey", "AQID"}, {"ParametersValidTo", 1767225600.25}}));
  EXPECT_EQ(room.kms.asked_for, std::pair(ImportWrapping::kAesKeyWrapSha256, 4096));

  const auto import = [&](const std::string& rest, const std::string& token = "BAUG") {
    return room.kms_call("ImportKeyMaterial", "{" + key + ",\"ImportToken\":\"" + token +
                                                  "\",\"EncryptedKeyMaterial\":\"AAAA\"" + rest + "}");
  };
  expect_error(import(""), "ValidationException",
               "A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES");
  expect_error(import(",\"ExpirationModel\":\"KEY_MATERIAL_DOES_NOT_EXPIRE\"", "AAAA"), "InvalidImportTokenException",
               "not mine");
  EXPECT_EQ(body_of(import(",\"ValidTo\":1798761600.5")),
            (json{{"KeyId", arn}, {"KeyMaterialId", std::string(64, 'e')}}));
  const auto expiring = body_of(room.kms_call("DescribeKey", "{" + key + "}"))["KeyMetadata"];
  EXPECT_EQ(expiring["ExpirationModel"], "KEY_MATERIAL_EXPIRES");
  EXPECT_EQ(expiring["ValidTo"], 1798761600.5);
  EXPECT_EQ(expiring["KeyState"], "Enabled");
  ASSERT_EQ(import(",\"ExpirationModel\":\"KEY_MATERIAL_DOES_NOT_EXPIRE\"").status, 200);
  const auto lasting = body_of(room.kms_call("DescribeKey", "{" + key + "}"))["KeyMetadata"];
  EXPECT_EQ(lasting["ExpirationModel"], "KEY_MATERIAL_DOES_NOT_EXPIRE");
  EXPECT_FALSE(lasting.contains("ValidTo"));

  expect_error(
      room.kms_call("DeleteImportedKeyMaterial", "{" + key + ",\"KeyMaterialId\":\"" + std::string(64, 'f') + "\"}"),
      "NotFoundException", "The key has no key material of this KeyMaterialId");
  EXPECT_EQ(body_of(room.kms_call("DeleteImportedKeyMaterial", "{" + key + "}")),
            (json{{"KeyId", arn}, {"KeyMaterialId", std::string(64, 'e')}}));
  const auto gone = body_of(room.kms_call("DescribeKey", "{" + key + "}"))["KeyMetadata"];
  EXPECT_EQ(gone["KeyState"], "PendingImport");
  EXPECT_EQ(gone["CurrentKeyMaterialId"], std::string(64, 'e'));
  EXPECT_FALSE(gone.contains("ExpirationModel"));
}

TEST(KmsApi, AnAlgorithmThatIsNotTheKeysIsAWrongUsageOfIt) {  // KMS-20
  AdminRoom room;
  const auto id = make_key(room);
  for (const auto& [operation, algorithm] : std::vector<std::pair<std::string, std::string>>{
           {"Encrypt", "EncryptionAlgorithm"},
           {"Decrypt", "EncryptionAlgorithm"},
           {"ReEncrypt", "SourceEncryptionAlgorithm"},
           {"ReEncrypt", "DestinationEncryptionAlgorithm"}}) {
    const json request = {{"KeyId", id}, {"Plaintext", "AAAA"}, {"CiphertextBlob", "AAAA"}, {"DestinationKeyId", id}};
    for (const char* other : {"RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256", "SM2PKE"}) {
      json asked = request;
      asked[algorithm] = other;
      expect_error(room.kms_call(operation, asked.dump()), "InvalidKeyUsageException",
                   "The algorithm " + std::string(other) +
                       " is not valid for a key whose KeySpec is SYMMETRIC_DEFAULT.");
    }
    json nonsense = request;
    nonsense[algorithm] = "ROT13";
    EXPECT_EQ(body_of(room.kms_call(operation, nonsense.dump()))["__type"], "ValidationException");
  }
  EXPECT_TRUE(room.kms.calls.empty());
}

TEST(KmsApi, WhatItDoesNotDoIsRefusedAndNotPassedOver) {
  AdminRoom room;
  const auto id = make_key(room);
  for (const auto& [operation, body] : std::vector<std::pair<std::string, std::string>>{
           {"CreateKey", "{\"KeySpec\":\"RSA_2048\"}"},
           {"CreateKey", "{\"KeyUsage\":\"SIGN_VERIFY\"}"},
           {"CreateKey", "{\"Origin\":\"AWS_CLOUDHSM\"}"},
           {"CreateKey", "{\"MultiRegion\":true}"},
           {"GetParametersForImport",
            "{\"KeyId\":\"" + id + "\",\"WrappingAlgorithm\":\"RSAES_PKCS1_V1_5\",\"WrappingKeySpec\":\"RSA_2048\"}"},
           {"GetParametersForImport",
            "{\"KeyId\":\"" + id + "\",\"WrappingAlgorithm\":\"RSAES_OAEP_SHA_256\",\"WrappingKeySpec\":\"SM2\"}"},
           {"GenerateDataKey", "{\"KeyId\":\"" + id + "\",\"KeySpec\":\"AES_256\",\"DryRunModifiers\":[\"t\"]}"}}) {
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

TEST(KmsApi, RefusalsOfAnImportHaveTheirOwnNames) {
  for (const auto& [code, type] : std::vector<std::pair<Code, std::string>>{
           {Code::kWrongMaterial, "IncorrectKeyMaterialException"},
           {Code::kInvalidImportToken, "InvalidImportTokenException"},
           {Code::kExpiredImportToken, "ExpiredImportTokenException"},
           {Code::kKeyPendingImport, "KMSInvalidStateException"}}) {
    const JsonError told = to_kms({code, "why"});
    EXPECT_EQ(told.status, 400);
    EXPECT_EQ(told.type, type);
    EXPECT_EQ(told.message, "why");
  }
  EXPECT_EQ(to_kms({Code::kInvalidCiphertext, ""}).message, std::nullopt);
}

// The words are KMS's, and the code of each is 400.
TEST(KmsApi, WhoDoesNotSignAsKmsDemandsIsToldWhy) {
  AdminRoom room;
  const auto answer = [&](const AccessKey& key, std::string_view service, std::string_view region, std::int64_t skew_ns) {
    auto request = room.request("POST", "/", "{}", {{"X-Amz-Target", "TrentService.ListKeys"}});
    for (auto& header : sign(request, key, service, region, room.clock.wall_ns() + skew_ns))
      request.headers.push_back(std::move(header));
    return room.server.handle(request);
  };
  const AccessKey& key = room.credentials.key();
  constexpr std::int64_t kHourNs = std::int64_t{3600} * 1'000'000'000;
  EXPECT_EQ(answer(key, "kms", "us-east-1", 0).status, 200);
  expect_error(answer(key, "kms", "eu-west-1", 0), "InvalidSignatureException",
               "Credential should be scoped to a valid region.");
  expect_error(answer(key, "s3express", "us-east-1", 0), "InvalidSignatureException",
               "Credential should be scoped to correct service.");
  for (const std::int64_t skew_ns : {-kHourNs, kHourNs})
    expect_error(answer(key, "kms", "us-east-1", skew_ns), "InvalidSignatureException",
                 "The difference between the request time and the current time is too large.");
  const AccessKey unknown{"AKIAUNKNOWNUNKNOWN00", SecretBytes(40), key.principal};
  expect_error(answer(unknown, "kms", "us-east-1", 0), "UnrecognizedClientException",
               "The security token included in the request is invalid.");
  auto unsigned_request = room.request("POST", "/", "{}", {{"X-Amz-Target", "TrentService.ListKeys"}});
  expect_error(room.server.handle(unsigned_request), "MissingAuthenticationTokenException",
               "Missing Authentication Token");
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
