#include "crypto/external_kms.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/external_kms_limits.h"
#include "crypto/bucket_keys.h"
#include "crypto/kms_answer.h"
#include "crypto/kms_router.h"
#include "tests/support/elsewhere_kms.h"
#include "tests/support/local_kms_fixture.h"

namespace coffer {
namespace {

using testing::ElementsAre;

// `kms` of the fixture is the one elsewhere.
class ExternalKmsTest : public LocalKmsTest {
 protected:
  ExternalKmsTest() : arn(make_key()), wire(*kms, owner), external(wire, clock, log(), pause()) {}

  Log log() {
    return [this](LogLevel, std::string_view line) { logged.emplace_back(line); };
  }
  ExternalKms::Pause pause() {
    return [this](std::int64_t ms) {
      pauses_ms.push_back(ms);
      clock.advance_ns(ms * 1'000'000);
    };
  }
  DataKey make() {
    auto made = external.generate_data_key(arn, context, owner);
    EXPECT_TRUE(made.ok()) << made.error().message;
    return *std::move(made);
  }
  Code refused() { return external.generate_data_key(arn, context, owner).code(); }
  std::size_t asked() const { return wire.operations.size(); }
  void advance_ms(std::int64_t ms) { clock.advance_ns(ms * 1'000'000); }

  std::vector<std::string> logged;
  std::vector<std::int64_t> pauses_ms;
  std::string arn;
  ElsewhereKms wire;
  ExternalKms external;
};

TEST_F(ExternalKmsTest, WhatItMakesItOpensAndOnlyUnderTheSameContext) {
  const DataKey made = make();
  EXPECT_EQ(made.key_arn, arn);
  EXPECT_TRUE(ExternalKms::made(made.blob));
  const auto opened = external.decrypt(made.blob, context, owner);
  ASSERT_TRUE(opened.ok()) << opened.error().message;
  EXPECT_TRUE(equal_constant_time(*opened, made.plaintext));
  const EncryptionContext other{{"aws:s3:arn", "arn:aws:s3:::bucket/other"}};
  EXPECT_EQ(external.decrypt(made.blob, other, owner).code(), Code::kInvalidCiphertext);
  EXPECT_THAT(wire.operations, ElementsAre("GenerateDataKey", "Decrypt", "Decrypt"));
  EXPECT_THAT(wire.regions, testing::Each("us-east-1"));
}

TEST_F(ExternalKmsTest, AKeyThatIsThereIsWrappedAndOpensAsItself) {
  const Key key = Key::random();
  const auto wrapped = external.encrypt(arn, key, context, owner);
  ASSERT_TRUE(wrapped.ok()) << wrapped.error().message;
  EXPECT_EQ(wrapped->key_arn, arn);
  EXPECT_TRUE(equal_constant_time(*external.decrypt(wrapped->blob, context, owner), key));
}

TEST_F(ExternalKmsTest, ABlobsKeyAndBytesAreBound) {
  const DataKey made = make();
  for (std::size_t at = 0; at < made.blob.size(); ++at) {
    Bytes damaged = made.blob;
    damaged[at] ^= 1;
    EXPECT_FALSE(external.decrypt(damaged, context, owner).ok()) << at;
  }
  for (std::size_t size = 0; size < made.blob.size(); ++size)
    EXPECT_FALSE(external.decrypt(BytesView(made.blob).first(size), context, owner).ok()) << size;
}

TEST_F(ExternalKmsTest, NamesOfAnyBytesMakeAValidRequest) {
  const EncryptionContext odd{{"aws:s3:arn", "arn:aws:s3:::bucket/\xff\xfe\"\\\n\x01 caf\xc3\xa9"}};
  const auto made = external.generate_data_key(arn, odd, owner);
  ASSERT_TRUE(made.ok()) << made.error().message;
  EXPECT_TRUE(external.decrypt(made->blob, odd, owner).ok());
  EXPECT_TRUE(external.encrypt(arn, made->plaintext, odd, owner).ok());
}

TEST_F(ExternalKmsTest, AnAliasOfItIsRememberedByItsKey) {
  ASSERT_TRUE(kms->create_alias("alias/name", arn).ok());
  const std::string alias = kms_alias_arn(realm, "alias/name");
  const auto made = external.generate_data_key(alias, context, owner);
  ASSERT_TRUE(made.ok()) << made.error().message;
  EXPECT_EQ(made->key_arn, arn);
  EXPECT_TRUE(external.is_current(made->blob, alias, owner));
  EXPECT_TRUE(external.is_current(made->blob, arn, owner));
  EXPECT_FALSE(external.is_current(made->blob, make_key(), owner));
  EXPECT_FALSE(external.is_current(made->blob, kms_alias_arn(realm, "alias/unknown"), owner));
}

TEST_F(ExternalKmsTest, RefusalsAreWhatTheLocalKmsWouldSay) {  // KMS-20
  const struct {
    const char *type, *message;
    Code code;
  } kRows[] = {
      {"NotFoundException", "Key 'x' does not exist", Code::kKeyMissing},
      {"DisabledException", "x is disabled.", Code::kKeyDisabled},
      {"KMSInvalidStateException", "x is pending deletion.", Code::kKeyPendingDeletion},
      {"KMSInvalidStateException", "x is pending import.", Code::kKeyPendingImport},
      {"AccessDeniedException", "User: y is not authorized", Code::kKeyDenied},
      {"com.amazonaws.kms#AccessDeniedException", "no", Code::kKeyDenied},
      {"AccessDeniedException:http://internal.amazon.com/coral/", "no", Code::kKeyDenied},
      {"InvalidSignatureException", "Signature expired", Code::kKeyDenied},
      {"ExpiredTokenException", "over", Code::kKeyDenied},
      {"IncorrectKeyException", "another", Code::kIncorrectKey},
      {"InvalidKeyUsageException", "x key usage is SIGN_VERIFY which is not valid for Encrypt.", Code::kWrongKeyUsage}};
  for (const auto& row : kRows) {
    wire.next_refusal(400, row.type, row.message);
    expect_error(external.generate_data_key(arn, context, owner), row.code, row.message);
  }
  EXPECT_EQ(asked(), std::size(kRows)) << "a refusal is an answer: nobody asks again";
  EXPECT_EQ(external.condition().state, ExternalKms::Condition::State::kAnswers);
  EXPECT_EQ(external.condition().failures, 0U);
}

TEST_F(ExternalKmsTest, AttemptsAreBoundedInNumberAndTime) {
  wire.next_silence(100);
  EXPECT_EQ(refused(), Code::kKmsAway);
  EXPECT_EQ(asked(), static_cast<std::size_t>(kExternalAttempts));
  EXPECT_EQ(pauses_ms.size(), static_cast<std::size_t>(kExternalAttempts) - 1);
  for (const auto limit : wire.limits_ms) EXPECT_LE(limit, kExternalAttemptMs);
}

TEST_F(ExternalKmsTest, ACallWhoseAttemptsAllTimeOutEndsInItsTime) {
  for (int i = 0; i < 10; ++i) {
    wire.next([this](const KmsTransport::Request& request, MutableBytes) {
      advance_ms(request.limit_ms);
      return Error{Code::kKmsAway, "timed out"};
    });
  }
  const auto begin = clock.monotonic_ns();
  EXPECT_EQ(refused(), Code::kKmsAway);
  EXPECT_LE(clock.monotonic_ns() - begin, kExternalCallMs * 1'000'000);
}

TEST_F(ExternalKmsTest, WhatPassesIsTriedAgainAndSucceeds) {
  wire.next_silence();
  wire.next_refusal(500, "KMSInternalException", "");
  EXPECT_TRUE(make().key_arn == arn);
  wire.next_refusal(400, "ThrottlingException", "Rate exceeded");
  wire.next(503, "<html>busy</html>");
  EXPECT_TRUE(make().key_arn == arn);
  EXPECT_EQ(asked(), 6U);
  EXPECT_EQ(external.condition().failures, 0U);
}

TEST_F(ExternalKmsTest, WhileItIsAwayCallsFailAtOnceAndOneTries) {
  wire.next_silence(kExternalAttempts);
  EXPECT_EQ(refused(), Code::kKmsAway);
  const auto before = asked();
  for (int i = 0; i < 100; ++i) EXPECT_EQ(refused(), Code::kKmsAway);
  EXPECT_EQ(asked(), before) << "nobody asks while it rests";
  EXPECT_EQ(external.condition().state, ExternalKms::Condition::State::kAway);
  EXPECT_EQ(external.condition().failures, 101U);
  EXPECT_NE(external.condition().last_failure, "");

  advance_ms(kExternalRestMsMin + 1);
  wire.next_silence();
  EXPECT_EQ(refused(), Code::kKmsAway);
  EXPECT_EQ(asked(), before + 1) << "one attempt, and no more";
  advance_ms(kExternalRestMsMin + 1);
  EXPECT_EQ(refused(), Code::kKmsAway) << "the rest has doubled";
  EXPECT_EQ(asked(), before + 1);
  advance_ms(kExternalRestMsMin);
  make();
  EXPECT_EQ(external.condition().state, ExternalKms::Condition::State::kAnswers);
  make();
  EXPECT_THAT(logged, ElementsAre(testing::HasSubstr("fails until it answers"), testing::HasSubstr("answers again")));
}

TEST_F(ExternalKmsTest, WhileOneTriesOthersAreToldNo) {
  wire.next_silence(kExternalAttempts);
  EXPECT_EQ(refused(), Code::kKmsAway);
  advance_ms(kExternalRestMsMin + 1);
  bool nested = false;
  wire.next([&](const KmsTransport::Request&, MutableBytes) {
    const auto before = asked();
    EXPECT_EQ(refused(), Code::kKmsAway);
    EXPECT_EQ(asked(), before);
    nested = true;
    return Error{Code::kKmsAway, "still away"};
  });
  EXPECT_EQ(refused(), Code::kKmsAway);
  EXPECT_TRUE(nested);
}

TEST_F(ExternalKmsTest, NoMoreCallsWaitThanItsLimit) {
  std::size_t under_way_max = 0, turned_away = 0;
  std::function<void()> call_within = [&] {
    wire.next([&](const KmsTransport::Request&, MutableBytes) {
      under_way_max = std::max<std::size_t>(under_way_max, external.condition().under_way);
      if (turned_away == 0) call_within();
      return Error{Code::kKmsAway, "as slow as can be"};
    });
    const auto before = asked();
    EXPECT_EQ(refused(), Code::kKmsAway);
    turned_away += asked() == before ? 1 : 0;
    wire.next_silence(kExternalAttempts);
  };
  call_within();
  EXPECT_EQ(under_way_max, kExternalCallsMax);
  EXPECT_GE(turned_away, 1U);
  EXPECT_EQ(external.condition().under_way, 0U);
}

TEST_F(ExternalKmsTest, WhatIsNoAnswerOfAKmsIsNoAnswer) {
  const std::string other = make_key();
  const std::vector<std::function<void()>> answers = {
      [&] { wire.next(200, ""); },
      [&] { wire.next(200, "{"); },
      [&] { wire.next(200, "[]"); },
      [&] { wire.next(200, "{} {}"); },
      [&] { wire.next(200, "{\"KeyId\": \"" + arn + "\"}"); },
      [&] { wire.next(200, std::string(100, '[')); },
      [&] { wire.next(200, "{\"a\":" + std::string(100, '[') + std::string(100, ']') + "}"); },
      [&] { wire.next(301, "<html>"); },
      [&] { wire.next(307, "{\"__type\": \"NotFoundException\"}"); },
      [&] { wire.next(404, "<html>not found</html>"); },
      [&] { wire.next(400, "{\"__type\": \"SomethingElse\"}"); },
      [&] { wire.next_changed([](auto& body) { body.erase("Plaintext"); }); },
      [&] { wire.next_changed([](auto& body) { body["Plaintext"] = base64(Bytes(31)); }); },
      [&] { wire.next_changed([](auto& body) { body["Plaintext"] = base64(Bytes(33)); }); },
      [&] { wire.next_changed([](auto& body) { body["Plaintext"] = base64(Bytes(64)); }); },
      [&] { wire.next_changed([](auto& body) { body["Plaintext"] = std::string(43, '!') + "="; }); },
      [&] { wire.next_changed([](auto& body) { body["Plaintext"] = 5; }); },
      [&] { wire.next_changed([](auto& body) { body.erase("CiphertextBlob"); }); },
      [&] { wire.next_changed([](auto& body) { body["CiphertextBlob"] = ""; }); },
      [&] { wire.next_changed([](auto& body) { body["CiphertextBlob"] = base64(Bytes(kKmsBlobMax)); }); },
      [&] { wire.next_changed([](auto& body) { body["KeyId"] = "1234"; }); },
      [&] { wire.next_changed([&](auto& body) { body["KeyId"] = other; }); }};
  for (std::size_t i = 0; i < answers.size(); ++i) {
    advance_ms(2 * kExternalRestMsMax);
    make();
    const auto before = asked();
    answers[i]();
    EXPECT_EQ(refused(), Code::kKmsAway) << i;
    EXPECT_EQ(asked(), before + 1) << i << ": asking again would answer the same";
  }
}

TEST_F(ExternalKmsTest, AnotherKeysPlaintextIsNotTakenForAnObjects) {
  const DataKey made = make();
  const std::string other = make_key();
  wire.next_changed([&](auto& body) { body["KeyId"] = other; });
  EXPECT_EQ(external.decrypt(made.blob, context, owner).code(), Code::kKmsAway);
}

TEST_F(ExternalKmsTest, KeysThatAreNoArnsAreNotAskedFor) {
  for (const char* name : {"1234abcd-12ab-34cd-56ef-1234567890ab", "alias/x", "arn:aws:kms::000000000000:key/x",
                           "arn:aws:kms:us-east-1/../x:000000000000:key/x", "arn:aws:s3:::x", ""})
    EXPECT_EQ(external.generate_data_key(name, context, owner).code(), Code::kKeyMissing) << name;
  EXPECT_EQ(asked(), 0U);
}

// --- keys in memory ---

TEST_F(ExternalKmsTest, AKeyThatIsRefusedEndsUntilItIsForgotten) {
  const DataKey made = make();
  EXPECT_THAT(external.ending_keys(), ElementsAre());
  ASSERT_TRUE(kms->disable(arn).ok());
  EXPECT_EQ(external.decrypt(made.blob, context, owner).code(), Code::kKeyDisabled);
  EXPECT_THAT(external.ending_keys(), ElementsAre(arn));
  external.forget(arn);
  EXPECT_THAT(external.ending_keys(), ElementsAre());
  ASSERT_TRUE(kms->enable(arn).ok());
  EXPECT_TRUE(external.decrypt(made.blob, context, owner).ok()) << "asked for at the next use";
}

TEST_F(ExternalKmsTest, AKeyNobodyAsksForIsAskedAboutAndEnds) {
  make();
  ASSERT_TRUE(kms->disable(arn).ok());
  const auto before = asked();
  clock.advance_ns((kExternalCheckSeconds * 1000 - 1) * 1'000'000);
  external.check_keys();
  EXPECT_EQ(asked(), before) << "not yet";
  advance_ms(2);
  external.check_keys();
  EXPECT_EQ(asked(), before + 1);
  EXPECT_THAT(external.ending_keys(), ElementsAre(arn));
}

TEST_F(ExternalKmsTest, ADeniedKeyEndsAtItsCheckAndNotForOneObject) {
  const DataKey made = make();
  wire.next_refusal(400, "AccessDeniedException", "not this object");
  EXPECT_EQ(external.decrypt(made.blob, context, owner).code(), Code::kKeyDenied);
  EXPECT_THAT(external.ending_keys(), ElementsAre()) << "a policy may look at the context";
  clock.advance_ns((kExternalCheckSeconds + 1) * 1'000'000'000);
  wire.next_refusal(400, "AccessDeniedException", "no more");
  external.check_keys();
  EXPECT_THAT(external.ending_keys(), ElementsAre(arn));
}

TEST_F(ExternalKmsTest, WhileItIsAwayNoKeyEnds) {
  make();
  clock.advance_ns((kExternalCheckSeconds + 1) * 1'000'000'000);
  wire.next_silence(kExternalAttempts);
  external.check_keys();
  EXPECT_THAT(external.ending_keys(), ElementsAre());
  advance_ms(kExternalRestMsMin + 1);
  ASSERT_TRUE(kms->disable(arn).ok());
  external.check_keys();
  EXPECT_THAT(external.ending_keys(), ElementsAre(arn)) << "the first that is heard of it again";
}

TEST_F(ExternalKmsTest, WhatWasUnderWayWhenAKeyEndedIsAskedAboutOnceMore) {
  make();
  ASSERT_TRUE(kms->disable(arn).ok());
  clock.advance_ns((kExternalCheckSeconds + 1) * 1'000'000'000);
  for (const bool again : {true, false}) {
    external.check_keys();
    ASSERT_EQ(external.ending_keys().size(), 1U) << again;
    external.forget(arn);
    clock.advance_ns((kExternalCheckSeconds + 1) * 1'000'000'000);
  }
  const auto before = asked();
  external.check_keys();
  EXPECT_EQ(asked(), before) << "and then no more";
}

// --- beside the local KMS ---

class KmsRouterTest : public ExternalKmsTest {
 protected:
  KmsRouterTest()
      : local(*LocalKms::open(local_schedule, suite, local_records, clock, realm)), router(*local, external) {}

  KeySchedule local_schedule{Key::random(), StoreId{4, 5, 6}};
  MemoryKmsRecords local_records;
  std::unique_ptr<LocalKms> local;
  KmsRouter router;
};

TEST_F(KmsRouterTest, AnArnThatIsNotHereIsAskedForThereAndEverythingElseStays) {
  const std::string here = local->create_key("")->arn;
  const auto from_here = router.generate_data_key(here, context, owner);
  ASSERT_TRUE(from_here.ok());
  ASSERT_TRUE(router.generate_data_key("alias/aws/s3", context, owner).ok());
  ASSERT_TRUE(router.generate_data_key(kms_alias_arn(realm, "alias/aws/s3"), context, owner).ok());
  EXPECT_EQ(router.generate_data_key("1234abcd-12ab-34cd-56ef-1234567890ab", context, owner).code(), Code::kKeyMissing);
  EXPECT_EQ(asked(), 0U);
  const auto from_there = router.generate_data_key(arn, context, owner);
  ASSERT_TRUE(from_there.ok()) << from_there.error().message;
  EXPECT_EQ(asked(), 1U);
  EXPECT_TRUE(router.usable(arn, context, owner).ok());
  EXPECT_TRUE(router.usable(here, context, owner).ok());
  EXPECT_TRUE(equal_constant_time(*router.decrypt(from_here->blob, context, owner), from_here->plaintext));
  EXPECT_EQ(asked(), 1U);
  EXPECT_TRUE(equal_constant_time(*router.decrypt(from_there->blob, context, owner), from_there->plaintext));
  EXPECT_EQ(asked(), 2U);
  EXPECT_EQ(local->decrypt(from_there->blob, context, owner).code(), Code::kKeyMissing) << "missing here, not damaged";
  EXPECT_EQ(router.key_arn_of(from_there->blob), arn);
  EXPECT_EQ(router.key_arn_of(from_here->blob), here);
  EXPECT_EQ(router.key_arn_of(Bytes(10)), "");
  EXPECT_TRUE(router.is_current(from_there->blob, arn, owner));
  EXPECT_FALSE(router.is_current(from_there->blob, here, owner));
  EXPECT_FALSE(router.is_current(from_here->blob, arn, owner));
}

TEST_F(KmsRouterTest, ALocalKeyThatIsDeletedForEverTakesItsBlobsAlong) {  // KMS-46
  const std::string here = local->create_key("")->arn;
  const auto made = router.generate_data_key(here, context, owner);
  const auto before_the_end = local->schedule_deletion(here, 7);
  ASSERT_TRUE(before_the_end.ok());
  EXPECT_EQ(router.usable(here, context, owner).code(), Code::kKeyPendingDeletion);
  clock.advance_ns(7 * kDayNs);
  ASSERT_TRUE(*local->delete_expired());
  EXPECT_EQ(router.decrypt(made->blob, context, owner).code(), Code::kKeyMissing);
  EXPECT_EQ(local->cancel_deletion(here).code(), Code::kKeyMissing);
  EXPECT_EQ(asked(), 0U) << "what was wrapped here is opened here or nowhere";
}

TEST_F(KmsRouterTest, BucketKeysStandBeforeBothAlike) {
  BucketKeys bucket_keys(router, suite, clock);
  const auto one = bucket_keys.generate_data_key(arn, context, owner);
  ASSERT_TRUE(one.ok()) << one.error().message;
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(bucket_keys.generate_data_key(arn, context, owner).ok());
  EXPECT_EQ(asked(), 1U) << "one call for a bucket's objects";
  wire.next_silence(100);
  EXPECT_TRUE(bucket_keys.generate_data_key(arn, context, owner).ok()) << "while it is away, too";
  BucketKeys reader(router, suite, clock);
  EXPECT_EQ(reader.decrypt(one->blob, context, owner).code(), Code::kKmsAway);
}

// --- reading answers ---

std::optional<std::string> text_in(std::string json, std::string_view name) {
  const auto parsed = KmsAnswer::parse({reinterpret_cast<std::uint8_t*>(json.data()), json.size()});
  if (!parsed) return std::nullopt;
  return std::string(parsed->text(name));
}

TEST(KmsAnswer, FindsTextsAndPassesOverTheRest) {
  EXPECT_EQ(text_in(R"({"a":"x","b":"y"})", "b"), "y");
  EXPECT_EQ(text_in(" {\r\n\t\"a\" : \"x\" } ", "a"), "x");
  EXPECT_EQ(text_in(R"({"n":[1,{"a":"no"},"]"],"m":null,"a":"yes","t":-1.5e3})", "a"), "yes");
  EXPECT_EQ(text_in(R"({"a":"x\/y"})", "a"), "x/y");
  EXPECT_EQ(text_in(R"({"a":"x\ny","b":"z"})", "b"), "z");
  EXPECT_EQ(text_in(R"({"a":"x\u002fy"})", "a"), "") << "an escape that is not understood is no text";
  EXPECT_EQ(text_in("{}", "a"), "");
}

TEST(KmsAnswer, RefusesWhatIsNoObject) {
  for (const char* json :
       {"", "{", "}", "[]", "\"a\"", "{\"a\"}", "{\"a\":}", "{\"a\":\"x\"", "{\"a\":\"x\"}}", "{\"a\":\"x\",}", "{,}",
        "{\"a\":\"x\" \"b\":\"y\"}", "{\"a\":\"x\",\"a\":\"y\"}", "{\"a\":\"x\n\"}", "{\"a\":[}", "{\"a\":\"\\"})
    EXPECT_EQ(text_in(json, "a"), std::nullopt) << json;
}

}  // namespace
}  // namespace coffer
