#include <gtest/gtest.h>

#include "admin/iam_api.h"
#include "admin/kms_api.h"
#include "admin/s3_api.h"
#include "tests/admin/admin_room.h"

// Policies, grants and users on the wire.
namespace coffer {
namespace {

using nlohmann::json;

json body_of(const HttpResponse& response) { return json::parse(response.body.empty() ? "{}" : response.body); }

const std::string kBucketPolicy =
    R"({"Statement":{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::docs"}})";

TEST(PolicyApi, ABucketPolicyIsPutReadAndDeleted) {
  AdminRoom room;
  const auto missing = room.s3("GET", "/docs?policy");
  EXPECT_EQ(missing.status, 404);
  EXPECT_EQ(element(missing.body, "Code"), "NoSuchBucketPolicy");
  EXPECT_EQ(element(missing.body, "Message"), "The bucket policy does not exist");
  EXPECT_EQ(room.s3("PUT", "/docs?policy", kBucketPolicy).status, 204);
  const auto got = room.s3("GET", "/docs?policy");
  EXPECT_EQ(got.status, 200);
  EXPECT_EQ(got.body, kBucketPolicy);
  EXPECT_EQ(header_of(got, "content-type"), "application/json");
  EXPECT_EQ(room.s3("DELETE", "/docs?policy").status, 204);
  EXPECT_EQ(room.s3("GET", "/docs?policy").status, 404);
  EXPECT_EQ(room.s3("PUT", "/none?policy", kBucketPolicy).status, 404);
}

TEST(PolicyApi, ABucketPolicyThatIsNoneIsMalformed) {
  AdminRoom room;
  for (const std::string text : {"{", "{\"Statement\":[]}", "x"}) {
    const auto response = room.s3("PUT", "/docs?policy", text);
    EXPECT_EQ(response.status, 400) << text;
    EXPECT_EQ(element(response.body, "Code"), "MalformedPolicy") << text;
  }
  EXPECT_EQ(element(room.s3("PUT", "/docs?policy", "").body, "Code"), "MissingRequestBodyError");
  EXPECT_TRUE(room.access.policies.empty());
}

const Principal kAnn{*AccountId::parse("000000000000"), "arn:aws:iam::000000000000:user/ann"};

// Each operation is one action of S3's, and is refused to a user where that is.
TEST(PolicyApi, EveryS3OperationAsksForItsAction) {  // SEED-30
  struct Row {
    std::string method, target, action;
  };
  const std::string dir = "/dir--usw2-az1--x-s3";
  const auto as_ann = [](AdminRoom& room, const std::string& method, const std::string& target) {
    room.buckets.add("dir--usw2-az1--x-s3");
    room.credentials.become(kAnn);
    const bool express = target.find("--x-s3") != std::string::npos || target.ends_with("?express");
    const auto path = target.substr(0, target.find("?express"));
    return room.server.handle(room.signed_request(room.request(method, path, method == "PUT" ? "<x/>" : ""),
                                                  express ? "s3express" : "s3"));
  };
  for (const auto& [method, target, action] :
       std::vector<Row>{{"GET", "/", "s3:ListAllMyBuckets"},
                        {"GET", "/?express", "s3express:ListAllMyDirectoryBuckets"},
                        {"PUT", "/new--usw2-az1--x-s3", "s3express:CreateBucket"},
                        {"HEAD", dir, "s3express:CreateSession"},
                        {"PUT", "/docs?policy", "s3:PutBucketPolicy"},
                        {"GET", "/docs?policy", "s3:GetBucketPolicy"},
                        {"DELETE", "/docs?policy", "s3:DeleteBucketPolicy"},
                        {"PUT", dir + "?policy", "s3express:PutBucketPolicy"},
                        {"GET", dir + "?policy", "s3express:GetBucketPolicy"},
                        {"DELETE", dir + "?policy", "s3express:DeleteBucketPolicy"},
                        {"PUT", "/fresh", "s3:CreateBucket"},
                        {"HEAD", "/docs", "s3:ListBucket"},
                        {"DELETE", "/docs", "s3:DeleteBucket"},
                        {"PUT", "/docs?encryption", "s3:PutEncryptionConfiguration"},
                        {"DELETE", "/docs?encryption", "s3:PutEncryptionConfiguration"},
                        {"GET", "/docs?encryption", "s3:GetEncryptionConfiguration"},
                        {"PUT", dir + "?encryption", "s3express:PutEncryptionConfiguration"},
                        {"GET", dir + "?encryption", "s3express:GetEncryptionConfiguration"},
                        {"DELETE", dir + "?encryption", "s3express:PutEncryptionConfiguration"},
                        {"DELETE", dir, "s3express:DeleteBucket"},
                        {"GET", dir + "?session", "s3express:CreateSession"}}) {
    AdminRoom room;
    room.access.denied = {action};
    const auto response = as_ann(room, method, target);
    EXPECT_EQ(response.status, 403) << method << " " << target;
    if (method != "HEAD") {
      EXPECT_EQ(element(response.body, "Code"), "AccessDenied") << method << " " << target;
    }
    EXPECT_EQ(room.buckets.changes, 0) << method << " " << target;
    EXPECT_TRUE(room.access.policies.empty()) << method << " " << target;
    AdminRoom open;
    EXPECT_NE(as_ann(open, method, target).status, 403) << method << " " << target;
  }
}

TEST(PolicyApi, AnotherAccountReachesNoPolicy) {  // SEED-32
  AdminRoom room;
  room.access.policies["docs"] = kBucketPolicy;
  room.credentials.become(Principal::root_of(*AccountId::parse("111122223333")));
  for (const auto* method : {"PUT", "GET", "DELETE"})
    EXPECT_EQ(room.s3(method, "/docs?policy", std::string_view(method) == "PUT" ? "{}" : "").status, 403) << method;
  EXPECT_EQ(room.access.policies.at("docs"), kBucketPolicy);
}

TEST(PolicyApi, CreateBucketSaysWhereAndSessionsSayTheirEncryption) {
  AdminRoom room;
  const auto said = [&](std::string_view key) {
    const auto* values = room.access.last_context.find(key);
    return values == nullptr || values->size() != 1 ? std::string("(absent)") : values->front();
  };
  room.s3("PUT", "/fresh",
          "<CreateBucketConfiguration><LocationConstraint>us-east-1</LocationConstraint></CreateBucketConfiguration>");
  EXPECT_EQ(said("s3:locationconstraint"), "us-east-1");
  EXPECT_EQ(said("s3:resourceaccount"), "000000000000");
  room.s3("PUT", "/other");
  EXPECT_EQ(said("s3:locationconstraint"), "(absent)");
  room.s3("PUT", "/new--usw2-az1--x-s3");
  EXPECT_EQ(said("s3express:locationname"), "usw2-az1");
  room.buckets.add("dir--usw2-az1--x-s3");
  room.s3("GET", "/dir--usw2-az1--x-s3?session", "",
          {{"x-amz-create-session-mode", "ReadOnly"}, {"x-amz-server-side-encryption", "AES256"}});
  EXPECT_EQ(said("s3express:sessionmode"), "ReadOnly");
  EXPECT_EQ(said("s3express:x-amz-server-side-encryption"), "AES256");
}

TEST(PolicyApi, EveryCallSaysItsUserAgent) {
  AdminRoom room;
  const std::vector<HttpHeader> agent = {{"User-Agent", "aws-cli/2"}};
  room.s3("GET", "/", "", agent);
  EXPECT_EQ(room.access.last_user_agent, "aws-cli/2");
  const auto call = [&](const std::string& service, const std::string& target) {
    room.access.last_user_agent = room.kms.last_user_agent = "";
    auto headers = agent;
    headers.push_back({"X-Amz-Target", target});
    room.server.handle(room.signed_request(room.request("POST", "/", "{}", headers), service));
  };
  for (const std::string operation : {"Status", "ListUsers"}) {
    call("coffer", "Coffer." + operation);
    EXPECT_EQ(room.access.last_user_agent, "aws-cli/2") << operation;
  }
  call("kms", "TrentService.ListKeys");
  EXPECT_EQ(room.kms.last_user_agent, "aws-cli/2");
}

TEST(PolicyApi, TheOwnerAlwaysReachesThePolicy) {  // SEED-31
  AdminRoom room;
  room.access.denied = {"s3:PutBucketPolicy", "s3:GetBucketPolicy", "s3:DeleteBucketPolicy"};
  EXPECT_EQ(room.s3("PUT", "/docs?policy", kBucketPolicy).status, 204);
  EXPECT_EQ(room.s3("GET", "/docs?policy").status, 200);
  EXPECT_EQ(room.s3("DELETE", "/docs?policy").status, 204);
}

TEST(PolicyApi, AKeyHasOnePolicyNamedDefault) {  // KMS-45
  AdminRoom room;
  EXPECT_EQ(body_of(room.kms_call("ListKeyPolicies", R"({"KeyId":"k"})"))["PolicyNames"], json({"default"}));
  const std::string text = R"({"Statement":{"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*"}})";
  const auto put = [&](const json& more) {
    json body = {{"KeyId", "k"}, {"Policy", text}};
    body.update(more);
    return room.kms_call("PutKeyPolicy", body.dump());
  };
  EXPECT_EQ(put(json::object()).status, 200);
  EXPECT_EQ(room.kms.access.last_lock_out, KeyAccessControl::LockOut::kRefuse);
  EXPECT_EQ(put({{"PolicyName", "default"}, {"BypassPolicyLockoutSafetyCheck", true}}).status, 200);
  EXPECT_EQ(room.kms.access.last_lock_out, KeyAccessControl::LockOut::kAllow);
  EXPECT_EQ(body_of(put({{"PolicyName", "other"}}))["__type"], "NotFoundException");
  EXPECT_EQ(body_of(room.kms_call("GetKeyPolicy", R"({"KeyId":"k"})"))["Policy"], text);
  room.kms.access.fail = Error{Code::kInvalidArgument, "Missing required field Effect"};
  EXPECT_EQ(body_of(put(json::object()))["__type"], "MalformedPolicyDocumentException");
  room.kms.access.fail = Error{Code::kKeyDenied, "User: x"};
  EXPECT_EQ(body_of(put(json::object()))["__type"], "AccessDeniedException");  // KMS-26
}

TEST(PolicyApi, CreateKeyTakesAPolicyAndRefusesWhatIsNone) {
  AdminRoom room;
  EXPECT_EQ(body_of(room.kms_call("CreateKey", R"({"Policy":"{}"})"))["__type"], "MalformedPolicyDocumentException");
  EXPECT_EQ(room.kms.list_keys({room.credentials.key().principal})->size(), 0U);
}

TEST(PolicyApi, GrantsAreMadeListedRevokedAndRetired) {  // KMS-42
  AdminRoom room;
  const std::string ann = "arn:aws:iam::000000000000:user/ann";
  const json terms = {{"KeyId", "k"},
                      {"GranteePrincipal", ann},
                      {"RetiringPrincipal", ann},
                      {"Name", "n"},
                      {"Operations", {"Decrypt", "GenerateDataKey"}},
                      {"Constraints", {{"EncryptionContextEquals", {{"aws:s3:arn", "arn:aws:s3:::b/k"}}}}}};
  const auto made = body_of(room.kms_call("CreateGrant", terms.dump()));
  ASSERT_TRUE(made.contains("GrantToken"));
  const auto grants = body_of(room.kms_call("ListGrants", R"({"KeyId":"k"})"))["Grants"];
  ASSERT_EQ(grants.size(), 1U);
  EXPECT_EQ(grants[0]["GrantId"], made["GrantId"]);
  EXPECT_EQ(grants[0]["Operations"], terms["Operations"]);
  EXPECT_EQ(grants[0]["Constraints"], terms["Constraints"]);
  EXPECT_EQ(grants[0]["IssuingAccount"], "arn:aws:iam::000000000000:root");
  EXPECT_EQ(body_of(room.kms_call("ListRetirableGrants", json{{"RetiringPrincipal", ann}}.dump()))["Grants"].size(),
            1U);
  EXPECT_EQ(body_of(room.kms_call("ListGrants", R"({"KeyId":"k","GrantId":"x"})"))["Grants"].size(), 0U);
  EXPECT_EQ(body_of(room.kms_call("RetireGrant", "{}"))["message"],
            "Grant token OR (grant ID, key ID) must be specified");
  EXPECT_EQ(room.kms_call("RetireGrant", json{{"GrantToken", made["GrantToken"]}}.dump()).status, 200);
  EXPECT_EQ(body_of(room.kms_call("RevokeGrant", json{{"KeyId", "k"}, {"GrantId", made["GrantId"]}}.dump()))["__type"],
            "NotFoundException");
}

TEST(PolicyApi, UsersKeysAndPoliciesComeAndGo) {
  AdminRoom room;
  EXPECT_EQ(body_of(room.coffer_call("CreateUser", R"({"UserName":"ann"})"))["User"]["Arn"],
            "arn:aws:iam::000000000000:user/ann");
  EXPECT_EQ(room.coffer_call("CreateUser", R"({"UserName":"ann"})").status, 409);
  const auto key = body_of(room.coffer_call("CreateAccessKey", R"({"UserName":"ann"})"))["AccessKey"];
  EXPECT_EQ(key["SecretAccessKey"], "a secret");
  const auto listed = room.coffer_call("ListAccessKeys", R"({"UserName":"ann"})");
  EXPECT_EQ(body_of(listed)["AccessKeyMetadata"][0]["AccessKeyId"], key["AccessKeyId"]);
  EXPECT_EQ(listed.body.find("a secret"), std::string::npos);
  const json policy = {{"UserName", "ann"},
                       {"PolicyName", "p"},
                       {"PolicyDocument", R"({"Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*"}})"}};
  EXPECT_EQ(room.coffer_call("PutUserPolicy", policy.dump()).status, 200);
  EXPECT_EQ(body_of(room.coffer_call("GetUserPolicy", R"({"UserName":"ann","PolicyName":"p"})"))["PolicyDocument"],
            policy["PolicyDocument"]);
  EXPECT_EQ(body_of(room.coffer_call("ListUserPolicies", R"({"UserName":"ann"})"))["PolicyNames"], json({"p"}));
  auto wrong = policy;
  wrong["PolicyDocument"] = "{}";
  EXPECT_EQ(body_of(room.coffer_call("PutUserPolicy", wrong.dump()))["__type"], "MalformedPolicyDocument");
  EXPECT_EQ(body_of(room.coffer_call("DeleteUser", R"({"UserName":"ann"})"))["__type"], "DeleteConflict");
  const auto id = key["AccessKeyId"].get<std::string>();
  EXPECT_EQ(
      room.coffer_call("UpdateAccessKey", json{{"UserName", "ann"}, {"AccessKeyId", id}, {"Status", "Inactive"}}.dump())
          .status,
      200);
  EXPECT_EQ(room.coffer_call("DeleteAccessKey", json{{"UserName", "ann"}, {"AccessKeyId", id}}.dump()).status, 200);
  EXPECT_EQ(room.coffer_call("DeleteUser", R"({"UserName":"ann"})").status, 200);
  EXPECT_EQ(body_of(room.coffer_call("GetUser", R"({"UserName":"ann"})"))["__type"], "NoSuchEntity");
}

TEST(PolicyApi, EveryCofferAndUserOperationIsAnAction) {
  AdminRoom room;
  room.access.denied = {"coffer:Status", "iam:CreateUser"};
  EXPECT_EQ(room.coffer_call("Status", "{}").status, 403);
  EXPECT_EQ(room.coffer_call("KmsStats", "{}").status, 200);
  EXPECT_EQ(room.coffer_call("CreateUser", R"({"UserName":"ann"})").status, 403);
  EXPECT_EQ(room.access.last_resource, "arn:aws:iam::000000000000:user/ann");
  EXPECT_TRUE(room.users.users.empty());
}

}  // namespace
}  // namespace coffer
