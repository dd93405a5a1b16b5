#include "admin/coffer_api.h"

#include <gtest/gtest.h>

#include "base/encoding.h"

#include "tests/admin/admin_room.h"

namespace coffer {
namespace {

using nlohmann::json;

json body_of(const HttpResponse& response) { return json::parse(response.body, nullptr, false); }

TEST(CofferApi, StatusDescribesTheMount) {
  AdminRoom room;
  room.kms.calls = {{"Decrypt", 2}};
  const auto response = room.coffer_call("Status", "{}");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(body_of(response), (json{{"mounts",
                                      {{{"store", "/srv/store"},
                                        {"dir", "/mnt/coffer"},
                                        {"socket", "/srv/store/admin.sock"},
                                        {"pid", 42},
                                        {"commit", {{"counter", 7}, {"digest", "00ff"}}},
                                        {"jobs", {{{"kind", "reseal"}, {"done", 3}, {"total", 10}}}},
                                        {"poisoned", false},
                                        {"crypto", "openssl, libsodium"},
                                        {"cache", {{"open_objects", 5}}},
                                        {"kms", {{"Decrypt", 2}}},
                                        {"external_kms", nullptr}}}}}));
}

TEST(CofferApi, InspectShowsAnEnvelope) {
  AdminRoom room;
  EXPECT_EQ(body_of(room.coffer_call("Inspect", "{\"bucket\":\"docs\",\"key\":\"a/b\"}")),
            (json{{"bucket", "docs"},
                  {"key", "a/b"},
                  {"sse", "aws:kms:dsse"},
                  {"kms_key_arn", "arn:aws:kms:us-east-1:000000000000:key/x"},
                  {"bucket_key", false},
                  {"chunk_size", 16384},
                  {"size", 100},
                  {"layers",
                   {{{"cipher", "AES-256-GCM"}, {"key_source", "kms"}},
                    {{"cipher", "AES-256-GCM"}, {"key_source", "sse-s3"}}}},
                  {"context", {{"aws:s3:arn", "arn:aws:s3:::docs/a/b"}}},
                  {"reseal_pending", false}}));
  for (const auto& [body, type] :
       std::vector<std::pair<std::string, std::string>>{{"{\"bucket\":\"none\",\"key\":\"x\"}", "NoSuchBucket"},
                                                        {"{\"bucket\":\"docs\",\"key\":\"x\"}", "NoSuchKey"}}) {
    const auto response = room.coffer_call("Inspect", body);
    EXPECT_EQ(response.status, 404);
    EXPECT_EQ(body_of(response)["__type"], type);
  }
  EXPECT_EQ(body_of(room.coffer_call("Inspect", "{\"bucket\":\"docs\"}"))["__type"], "ValidationException");
}

TEST(CofferApi, KeysArePercentEncodedBytes) {
  AdminRoom room;
  EXPECT_EQ(body_of(room.coffer_call("Inspect", "{\"bucket\":\"docs\",\"key\":\"%61/b\"}"))["key"], "a/b");
  for (const auto* operation : {"Inspect", "Reseal"})
    EXPECT_EQ(body_of(room.coffer_call(operation, "{\"bucket\":\"docs\",\"key\":\"%6\",\"prefix\":\"%6\"}"))["__type"],
              "ValidationException");
}

TEST(CofferApi, ResealSaysHowManyObjectsItAdded) {
  AdminRoom room;
  EXPECT_EQ(body_of(room.coffer_call("Reseal", "{\"bucket\":\"docs\"}")), (json{{"added", 10}}));
  EXPECT_EQ(body_of(room.coffer_call("Reseal", "{\"bucket\":\"docs\",\"prefix\":\"a/\"}")), (json{{"added", 4}}));
  EXPECT_EQ(body_of(room.coffer_call("Reseal", "{\"bucket\":\"docs\",\"data\":true}")), (json{{"added", 99}}));
  EXPECT_EQ(body_of(room.coffer_call("Reseal", "{\"bucket\":\"docs\",\"data\":false}")), (json{{"added", 10}}));
  EXPECT_EQ(body_of(room.coffer_call("Reseal", "{\"bucket\":\"docs\",\"data\":\"true\"}"))["__type"],
            "SerializationException");
  EXPECT_EQ(body_of(room.coffer_call("Reseal", "{\"bucket\":\"none\"}"))["__type"], "NoSuchBucket");
  EXPECT_EQ(body_of(room.coffer_call("Reseal", "{\"bucket\":\"X\"}"))["__type"], "InvalidBucketName");
}

TEST(CofferApi, AScrubTakesARateAndTellsItsReport) {
  AdminRoom room;
  EXPECT_EQ(body_of(room.coffer_call("Scrub", "{}")), json::object());
  EXPECT_EQ(room.mount.scrub_asked, "64");
  EXPECT_EQ(body_of(room.coffer_call("Scrub", "{\"rate\":7,\"restart\":true}")), json::object());
  EXPECT_EQ(room.mount.scrub_asked, "7 anew");
  EXPECT_EQ(body_of(room.coffer_call("Scrub", "{\"rate\":0}"))["__type"], "ValidationException");
  const auto status = body_of(room.coffer_call("ScrubReport", "{}"));
  EXPECT_EQ(status["running"], true);
  EXPECT_EQ(status["done"], 5);
  EXPECT_EQ(status["total"], 9);
  EXPECT_EQ(status["failure"], nullptr);
  EXPECT_EQ(status["report"]["objects"], 3);
  EXPECT_EQ(status["report"]["damage"],
            (json{{{"object", "docs/a"}, {"what", "chunk 0: broken"}, {"repaired", nullptr}}}));
}

TEST(CofferApi, UnlockSlotsAreChangedOnTheUnixSocketAloneAndNotLogged) {
  AdminRoom room;
  const auto call = [&](std::uint8_t first, std::optional<uid_t> peer) {
    Bytes proof(48, first);
    auto asked = room.signed_request(
        room.request("POST", "/", json{{"keyslots", "{\"slots\"}"}, {"proof", base64(proof)}}.dump(),
                     {{"X-Amz-Target", "Coffer.ChangeUnlockSlots"}, {"Content-Type", "application/x-amz-json-1.1"}}),
        "coffer");
    asked.peer_uid = peer;
    return room.server.handle(asked);
  };
  EXPECT_EQ(call(7, std::nullopt).status, 403);
  EXPECT_EQ(body_of(call(7, std::nullopt))["__type"], "AccessDenied");
  EXPECT_EQ(room.unlock.changed_to, "");
  EXPECT_EQ(call(8, 0).status, 403);
  EXPECT_EQ(room.unlock.changed_to, "");
  EXPECT_EQ(call(7, 0).status, 200);
  EXPECT_EQ(room.unlock.changed_to, "{\"slots\"}");
  for (const auto& line : room.log_lines) EXPECT_EQ(line.find("slots\""), std::string::npos) << line;
}

TEST(CofferApi, StatsAreTheKmssCallCounts) {
  AdminRoom room;
  room.kms.calls = {{"GenerateDataKey", 3}, {"Decrypt", 1}};
  EXPECT_EQ(body_of(room.coffer_call("KmsStats", "{}")), (json{{"GenerateDataKey", 3}, {"Decrypt", 1}}));
}

TEST(CofferApi, CheckBucketSaysWhetherItsKeyCouldSealNow) {  // SEED-11
  AdminRoom room;
  const auto check = [&](const SseRule& rule) {
    EXPECT_TRUE(room.buckets.put_rule(*BucketName::parse("docs"), rule).ok());
    return body_of(room.coffer_call("CheckBucket", "{\"bucket\":\"docs\"}"));
  };
  EXPECT_EQ(
      check({}),
      (json{{"bucket", "docs"}, {"sse", "AES256"}, {"kms_key", nullptr}, {"kms_key_arn", nullptr}, {"usable", true}}));
  EXPECT_EQ(check({SseAlgorithm::kAwsKms, std::nullopt, false, {}})["usable"], true);  // made at its first use

  const auto key = *room.kms.create_key("");
  ASSERT_TRUE(room.kms.create_alias("alias/k", key.key_id).ok());
  const SseRule rule{SseAlgorithm::kAwsKmsDsse, "alias/k", false, {}};
  EXPECT_EQ(check(rule), (json{{"bucket", "docs"},
                               {"sse", "aws:kms:dsse"},
                               {"kms_key", "alias/k"},
                               {"kms_key_arn", key.arn},
                               {"usable", true}}));
  ASSERT_TRUE(room.kms.disable_key(key.key_id, {room.credentials.key().principal}).ok());
  auto refused = check(rule);
  EXPECT_EQ(refused["usable"], false);
  EXPECT_EQ(refused["code"], "KMS.DisabledException");
  EXPECT_EQ(refused["message"], key.arn + " is disabled.");
  ASSERT_TRUE(room.kms.schedule_key_deletion(key.key_id, 7, {room.credentials.key().principal}).ok());
  EXPECT_EQ(check(rule)["code"], "KMS.KMSInvalidStateException");
  refused = check({SseAlgorithm::kAwsKms, "no-such-key", false, {}});
  EXPECT_EQ(refused["code"], "KMS.NotFoundException");
  EXPECT_EQ(refused["message"], "Invalid keyId 'no-such-key'");
  EXPECT_TRUE(room.kms.calls.empty());  // asking is no use of the key

  EXPECT_EQ(room.coffer_call("CheckBucket", "{\"bucket\":\"nothere\"}").status, 404);
}

TEST(CofferApi, CheckBucketTellsOfTheKmsElsewhereThatIsAskedForAnArnThatIsNotHere) {
  AdminRoom room;
  const std::string there = "arn:aws:kms:eu-north-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
  const auto check = [&](const std::string& key) {
    EXPECT_TRUE(room.buckets.put_rule(*BucketName::parse("docs"), {SseAlgorithm::kAwsKms, key, false, {}}).ok());
    return body_of(room.coffer_call("CheckBucket", "{\"bucket\":\"docs\"}"));
  };
  EXPECT_EQ(check(there)["usable"], false) << "there is none";
  room.mount.external_kms = ExternalKmsStatus{"https://kms.example", "answers", 3, 0, 0, ""};
  EXPECT_EQ(check(there)["usable"], true);
  EXPECT_EQ(check(there)["kms_key_arn"], there);
  EXPECT_EQ(check("no-such-key")["usable"], false) << "ids are this KMS's";
  room.mount.external_kms = ExternalKmsStatus{"https://kms.example", "away", 3, 1, 0, "it does not answer"};
  EXPECT_EQ(check(there)["code"], "KMS.DependencyTimeoutException");
  EXPECT_EQ(check(there)["message"], "it does not answer");
}

TEST(CofferApi, StatusTellsOfTheKmsElsewhere) {
  AdminRoom room;
  const auto told = [&] { return body_of(room.coffer_call("Status", "{}"))["mounts"][0]["external_kms"]; };
  EXPECT_EQ(told(), nullptr);
  room.mount.external_kms = ExternalKmsStatus{"https://kms.example", "away", 3, 1, 2, "why"};
  EXPECT_EQ(told(), (json{{"endpoint", "https://kms.example"},
                          {"state", "away"},
                          {"calls", 3},
                          {"failures", 1},
                          {"under_way", 2},
                          {"last_failure", "why"}}));
}

TEST(CofferApi, UnknownOperationsAreUnknown) {
  AdminRoom room;
  const auto response = room.coffer_call("Explode", "{}");
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(body_of(response)["__type"], "UnknownOperationException");
}

}  // namespace
}  // namespace coffer
