// bucket, encryption, kms and status against an admin socket that answers what the real one does.
#include <gtest/gtest.h>

#include <fstream>

#include "admin/s3_xml.h"
#include "cli/json.h"
#include "tests/cli/fake_server.h"

namespace coffer {
namespace {

HttpResponse ok(std::string body = {}) { return {200, {}, std::move(body)}; }

Json json_of(const Outcome& run) {
  const auto json = parse_json(run.out);
  EXPECT_TRUE(json.ok()) << run.out << run.err;
  return json.ok() ? *json : Json();
}

BucketInfo bucket(const std::string& name) { return {*BucketName::parse(name), *AccountId::parse("000000000000"), 0}; }

HttpResponse two_pages(const HttpRequest& request) {
  const auto owner = *AccountId::parse("000000000000");
  const bool second = request.query().find("continuation-token=t%2F1") != std::string_view::npos;
  return ok(second ? list_all_my_buckets_result(owner, {{bucket("bbb")}, "", ""})
                   : list_all_my_buckets_result(owner, {{bucket("aaa")}, "", "t/1"}));
}

TEST(BucketCommands, ListNamesTheBucketsOfAllPages) {
  const FakeServer server(two_pages);
  EXPECT_EQ(run_against(server, {"bucket", "list"}).out, "aaa\nbbb\n");
  const Json json = json_of(run_against(server, {"bucket", "list", "--json"}));
  ASSERT_EQ(json["Buckets"].size(), 2U);
  EXPECT_EQ(json["Buckets"][1]["Name"], "bbb");
  EXPECT_EQ(json["Buckets"][1]["CreationDate"], "1970-01-01T00:00:00.000Z");
}

TEST(BucketCommands, CreateAndDeleteAreOneRequestEach) {
  const FakeServer server([](const HttpRequest&) { return ok(); });
  const Outcome created = run_against(server, {"bucket", "create", "odd/name"});
  EXPECT_EQ(created.exit, 0) << created.err;
  EXPECT_EQ(created.out, "");
  EXPECT_EQ(run_against(server, {"bucket", "delete", "b"}).exit, 0);
  const auto requests = server.requests();
  ASSERT_EQ(requests.size(), 2U);
  EXPECT_EQ(requests[0].method + " " + requests[0].target, "PUT /odd%2Fname");
  EXPECT_EQ(requests[1].method + " " + requests[1].target, "DELETE /b");
}

TEST(BucketCommands, ARefusalIsOneLineOnStderrAndAnExitCode) {
  const FakeServer server([](const HttpRequest&) -> HttpResponse {
    return {404, {}, "<Error><Code>NoSuchBucket</Code><Message>The specified bucket does not exist</Message></Error>"};
  });
  const Outcome refused = run_against(server, {"bucket", "delete", "b"});
  EXPECT_EQ(refused.exit, 5);
  EXPECT_EQ(refused.out, "");
  EXPECT_EQ(
      refused.err,
      "coffer: NoSuchBucket: The specified bucket does not exist: `coffer bucket list` names the buckets there are\n");
}

TEST(EncryptionCommands, PutByFlagsWritesS3sXml) {
  const FakeServer server([](const HttpRequest&) { return ok(); });
  const Outcome put =
      run_against(server, {"encryption", "put", "b", "--sse", "aws:kms", "--key", "alias/a", "--bucket-key"});
  EXPECT_EQ(put.exit, 0) << put.err;
  const auto requests = server.requests();
  ASSERT_EQ(requests.size(), 1U);
  EXPECT_EQ(requests[0].target, "/b?encryption=");
  const auto rule = parse_encryption_configuration(requests[0].body);
  ASSERT_TRUE(std::holds_alternative<SseRule>(rule));
  EXPECT_EQ(std::get<SseRule>(rule), (SseRule{SseAlgorithm::kAwsKms, "alias/a", true, {}}));
}

TEST(EncryptionCommands, PutSendsAFileAsItStands) {
  const FakeServer server([](const HttpRequest&) { return ok(); });
  const std::string file = server.folder() + "/rule.xml", text = "<not even XML \xff";
  std::ofstream(file) << text;
  EXPECT_EQ(run_against(server, {"encryption", "put", "b", file}).exit, 0);
  EXPECT_EQ(server.requests().at(0).body, text);
  EXPECT_EQ(run_against(server, {"encryption", "put", "b", file + ".none"}).exit, 2);
  std::ofstream(file) << std::string(65 * 1024, 'x');
  EXPECT_EQ(run_against(server, {"encryption", "put", "b", file}).exit, 2);
  EXPECT_EQ(server.requests().size(), 1U);
}

TEST(EncryptionCommands, GetPrintsS3sXmlOrItsJson) {
  const std::string xml =
      encryption_configuration({SseAlgorithm::kAwsKmsDsse, "arn:x", false, {BlockedEncryption::kSseC}});
  const FakeServer server([xml](const HttpRequest&) { return ok(xml); });
  const Outcome plain = run_against(server, {"encryption", "get", "b"});
  EXPECT_NE(plain.out.find(xml), std::string::npos);
  const Json json = json_of(run_against(server, {"encryption", "get", "b", "--json"}));
  const Json expected = parse_json(R"({"ServerSideEncryptionConfiguration":{"Rules":[{
      "ApplyServerSideEncryptionByDefault":{"SSEAlgorithm":"aws:kms:dsse","KMSMasterKeyID":"arn:x"},
      "BucketKeyEnabled":false,"BlockedEncryptionTypes":{"EncryptionType":["SSE-C"]}}]}})")
                            .value();
  EXPECT_EQ(json, expected) << json;
}

HttpResponse kms_answer(const HttpRequest& request) {
  const auto target = request.header("X-Amz-Target").value_or("");
  if (target == "TrentService.CreateKey") return ok(R"({"KeyMetadata":{"Arn":"arn:k","KeyState":"Enabled"}})");
  if (target == "TrentService.ListKeys" && request.body.find("Marker") == std::string::npos) {
    return ok(R"({"Keys":[{"KeyId":"1","KeyArn":"arn:1"}],"Truncated":true,"NextMarker":"1"})");
  }
  if (target == "TrentService.ListKeys") return ok(R"({"Keys":[{"KeyId":"2","KeyArn":"arn:2"}],"Truncated":false})");
  if (target == "TrentService.ListAliases") {
    return ok(R"({"Aliases":[{"AliasName":"alias/a","TargetKeyId":"1"}],"Truncated":false})");
  }
  if (target == "TrentService.ScheduleKeyDeletion") return ok(R"({"KeyId":"arn:k","DeletionDate":86400.0})");
  if (target == "Coffer.KmsStats") return ok(R"({"GenerateDataKey":3,"Decrypt":1})");
  if (target == "Coffer.CheckBucket") {
    return ok(R"({"bucket":"b","sse":"aws:kms","kms_key":"k","kms_key_arn":"arn:k","usable":false,
                  "code":"KMS.DisabledException","message":"arn:k is disabled."})");
  }
  return ok();
}

TEST(KmsCommands, CreateKeyPrintsTheArnAloneOrTheMetadata) {
  const FakeServer server(kms_answer);
  EXPECT_EQ(run_against(server, {"kms", "create-key", "--description", "d"}).out, "arn:k\n");
  EXPECT_EQ(json_of(run_against(server, {"kms", "create-key", "--json"}))["KeyMetadata"]["Arn"], "arn:k");
  EXPECT_EQ(server.requests().at(0).body, R"({"Description":"d"})");
}

TEST(KmsCommands, ListsAreWhole) {
  const FakeServer server(kms_answer);
  EXPECT_EQ(run_against(server, {"kms", "list-keys"}).out, "arn:1\narn:2\n");
  EXPECT_EQ(json_of(run_against(server, {"kms", "list-keys", "--json"}))["Keys"].size(), 2U);
  EXPECT_EQ(run_against(server, {"kms", "list-aliases"}).out, "alias/a\t1\n");
}

TEST(KmsCommands, StatsAreAnObjectOfCounts) {
  const FakeServer server(kms_answer);
  EXPECT_EQ(json_of(run_against(server, {"kms", "stats", "--json"}))["GenerateDataKey"], 3);
  EXPECT_EQ(run_against(server, {"kms", "stats"}).out, "GenerateDataKey\t3\nDecrypt\t1\n");
}

TEST(KmsCommands, EachVerbAsksForItsOperation) {
  const FakeServer server(kms_answer);
  const std::vector<std::pair<std::vector<std::string>, std::string>> verbs = {
      {{"kms", "describe-key", "k"}, "TrentService.DescribeKey {\"KeyId\":\"k\"}"},
      {{"kms", "enable-key", "k"}, "TrentService.EnableKey {\"KeyId\":\"k\"}"},
      {{"kms", "disable-key", "k"}, "TrentService.DisableKey {\"KeyId\":\"k\"}"},
      {{"kms", "rotate-key", "k"}, "TrentService.RotateKeyOnDemand {\"KeyId\":\"k\"}"},
      {{"kms", "cancel-key-deletion", "k"}, "TrentService.CancelKeyDeletion {\"KeyId\":\"k\"}"},
      {{"kms", "schedule-key-deletion", "k", "--days", "9"},
       "TrentService.ScheduleKeyDeletion {\"KeyId\":\"k\",\"PendingWindowInDays\":9}"},
      {{"kms", "enable-key-rotation", "k", "--period", "90"},
       "TrentService.EnableKeyRotation {\"KeyId\":\"k\",\"RotationPeriodInDays\":90}"},
      {{"kms", "disable-key-rotation", "k"}, "TrentService.DisableKeyRotation {\"KeyId\":\"k\"}"},
      {{"kms", "get-key-rotation-status", "k"}, "TrentService.GetKeyRotationStatus {\"KeyId\":\"k\"}"},
      {{"kms", "list-key-rotations", "k"},
       "TrentService.ListKeyRotations {\"KeyId\":\"k\",\"IncludeKeyMaterial\":\"ALL_KEY_MATERIAL\"}"},
      {{"kms", "update-key-description", "k", "new words"},
       "TrentService.UpdateKeyDescription {\"KeyId\":\"k\",\"Description\":\"new words\"}"},
      {{"kms", "tag-resource", "k", "a=b", "c=d=e", "f"},
       "TrentService.TagResource "
       "{\"KeyId\":\"k\",\"Tags\":[{\"TagKey\":\"a\",\"TagValue\":\"b\"},{\"TagKey\":\"c\",\"TagValue\":"
       "\"d=e\"},{\"TagKey\":\"f\",\"TagValue\":\"\"}]}"},
      {{"kms", "untag-resource", "k", "a", "c"},
       "TrentService.UntagResource {\"KeyId\":\"k\",\"TagKeys\":[\"a\",\"c\"]}"},
      {{"kms", "list-resource-tags", "k"}, "TrentService.ListResourceTags {\"KeyId\":\"k\"}"},
      {{"kms", "delete-imported-key-material", "k"}, "TrentService.DeleteImportedKeyMaterial {\"KeyId\":\"k\"}"},
      {{"kms", "create-key", "--external", "--tag", "a=b"},
       "TrentService.CreateKey "
       "{\"Description\":\"\",\"Origin\":\"EXTERNAL\",\"Tags\":[{\"TagKey\":\"a\",\"TagValue\":\"b\"}]}"},
      {{"kms", "update-alias", "alias/a", "k"},
       "TrentService.UpdateAlias {\"AliasName\":\"alias/a\",\"TargetKeyId\":\"k\"}"},
      {{"kms", "delete-alias", "alias/a"}, "TrentService.DeleteAlias {\"AliasName\":\"alias/a\"}"},
      {{"kms", "create-alias", "alias/a", "k"},
       "TrentService.CreateAlias {\"AliasName\":\"alias/a\",\"TargetKeyId\":\"k\"}"},
  };
  for (const auto& [arguments, expected] : verbs) {
    const Outcome done = run_against(server, arguments);
    EXPECT_EQ(done.exit, 0) << done.err;
    const auto request = server.requests().back();
    EXPECT_EQ(std::string(request.header("X-Amz-Target").value_or("")) + " " + request.body, expected);
  }
}

TEST(KmsCommands, SchedulingADeletionSaysWhatGoesWithTheKeyAndWhen) {  // KMS-46
  const FakeServer server(kms_answer);
  const std::string said = run_against(server, {"kms", "schedule-key-deletion", "k"}).out;
  EXPECT_NE(said.find("arn:k will be deleted for ever at 1970-01-02T00:00:00"), std::string::npos) << said;
  EXPECT_NE(said.find("every object under it"), std::string::npos) << said;
  EXPECT_NE(said.find("cancel-key-deletion"), std::string::npos) << said;
}

TEST(KmsCommands, ABucketWhoseKeyDoesNotServeIsSaidWithTheKeysExitCode) {
  const FakeServer server(kms_answer);
  const Outcome checked = run_against(server, {"kms", "check-bucket", "b", "--json"});
  EXPECT_EQ(checked.exit, 4);
  EXPECT_EQ(json_of(checked)["usable"], false);
  EXPECT_NE(checked.err.find("arn:k is disabled"), std::string::npos);
}

TEST(StatusCommand, OneSocketsMountIsPrintedInTheAgreedShape) {
  const std::string answer = R"({"mounts":[{"store":"/s","dir":"/d","socket":"/s/admin.sock","pid":7,
      "commit":{"counter":12,"digest":"ab"},"jobs":[{"kind":"reseal","done":1,"total":4}],"poisoned":true,
      "crypto":"c","cache":{"open_objects":3},"kms":{}}]})";
  const FakeServer server([&](const HttpRequest&) { return ok(answer); });
  EXPECT_EQ(json_of(run_against(server, {"status", "--json"})), parse_json(answer).value());
  const std::string plain = run_against(server, {"status"}).out;
  for (const auto* part : {"/d\n", "12 ab", "reseal 1 of 4", "open_objects 3", "POISONED"}) {
    EXPECT_NE(plain.find(part), std::string::npos) << plain;
  }
}

TEST(StatusCommand, AMountThatDoesNotAnswerIsAnErrorAfterTheRest) {
  const ScratchFolder scratch;
  std::ofstream(scratch.path() + "/credentials") << "[coffer]\naws_access_key_id = COFFX\naws_secret_access_key = y\n";
  const Outcome asked = run({"status", "--json", "--socket", scratch.path() + "/admin.sock"});
  EXPECT_EQ(asked.exit, 1);
  EXPECT_EQ(json_of(asked)["mounts"], Json::array());
}

TEST(MountedCommands, WhatIsNoMountIsWrongUsage) {
  const ScratchFolder scratch;
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{"unmount", scratch.path()},
                                                    {"sync", scratch.path()},
                                                    {"status", scratch.path()},
                                                    {"inspect", scratch.path() + "/b/k"},
                                                    {"scrub", scratch.path()},
                                                    {"reseal", scratch.path() + "/b"}}) {
    const Outcome refused = run(arguments);
    EXPECT_EQ(refused.exit, 2) << arguments[0];
    EXPECT_NE(refused.err.find("coffer status"), std::string::npos);
  }
}

TEST(MountedCommands, MountOfNoStoreIsFive) {
  const ScratchFolder scratch;
  EXPECT_EQ(run({"mount", scratch.path(), scratch.path()}).exit, 5);
}

}  // namespace
}  // namespace coffer
