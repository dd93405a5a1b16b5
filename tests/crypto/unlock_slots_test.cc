#include "crypto/unlock_slots.h"

#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>

namespace coffer {
namespace {

UnlockSecret passphrase(std::string_view text) { return Passphrase{SecretBytes(as_bytes(text))}; }
UnlockSecret key_file(std::uint8_t filler) { return KeyFile{Key::copy_of(Bytes(32, filler))}; }

class UnlockSlotsTest : public testing::Test {
 protected:
  static bool same_root(const KeySchedule& a, const KeySchedule& b) {
    return equal_constant_time(a.purpose_key(Purpose::kKms), b.purpose_key(Purpose::kKms));
  }
  AeadSuite suite = AeadSuite::detect().value();
};

TEST_F(UnlockSlotsTest, AKeyFileOpensWhatItMadeAndNoOtherDoes) {
  const auto created = UnlockSlots::create(suite, key_file(1));
  ASSERT_TRUE(created.ok());
  const auto parsed = UnlockSlots::parse(created->first.to_json());
  ASSERT_TRUE(parsed.ok());
  const auto unlocked = parsed->unlock(suite, key_file(1));
  ASSERT_TRUE(unlocked.ok());
  EXPECT_TRUE(same_root(*unlocked, created->second));
  EXPECT_EQ(unlocked->store_id(), created->first.store_id());
  EXPECT_EQ(parsed->unlock(suite, key_file(2)).code(), Code::kWrongUnlock);
  EXPECT_EQ(parsed->unlock(suite, passphrase("a passphrase")).code(), Code::kWrongUnlock);
}

TEST_F(UnlockSlotsTest, APassphraseOpensWhatItMadeAndNoOtherDoes) {
  const auto created = UnlockSlots::create(suite, passphrase("correct horse"));
  ASSERT_TRUE(created.ok());
  EXPECT_GE(created->first.slots()[0].argon2_ops, 3U);
  EXPECT_GE(created->first.slots()[0].argon2_bytes, 64U << 20);
  const auto parsed = UnlockSlots::parse(created->first.to_json());
  ASSERT_TRUE(parsed.ok());
  const auto unlocked = parsed->unlock(suite, passphrase("correct horse"));
  ASSERT_TRUE(unlocked.ok());
  EXPECT_TRUE(same_root(*unlocked, created->second));
  EXPECT_EQ(parsed->unlock(suite, passphrase("correct horse ")).code(), Code::kWrongUnlock);
  EXPECT_EQ(parsed->unlock(suite, key_file(1)).code(), Code::kWrongUnlock);
}

TEST_F(UnlockSlotsTest, AnEmptyPassphraseMakesNoStore) {
  EXPECT_EQ(UnlockSlots::create(suite, passphrase("")).code(), Code::kInvalidArgument);
}

TEST_F(UnlockSlotsTest, TwoStoresOfOneSecretShareNothing) {
  const auto one = UnlockSlots::create(suite, key_file(1)), other = UnlockSlots::create(suite, key_file(1));
  EXPECT_NE(one->first.store_id(), other->first.store_id());
  EXPECT_FALSE(same_root(one->second, other->second));
  EXPECT_NE(one->first.hash(), other->first.hash());
}

TEST_F(UnlockSlotsTest, EveryChangedDigitOfAValueIsRefused) {
  const auto created = UnlockSlots::create(suite, key_file(1));
  const std::string json = created->first.to_json();
  for (std::size_t at = 0; at < json.size(); ++at) {
    std::string changed = json;
    changed[at] = changed[at] == '1' ? '2' : '1';
    if (changed == json) continue;
    const auto parsed = UnlockSlots::parse(changed);
    if (!parsed.ok()) {
      EXPECT_EQ(parsed.code(), Code::kDamaged);
    } else {
      const auto unlocked = parsed->unlock(suite, key_file(1));
      ASSERT_FALSE(unlocked.ok() && parsed->to_json() != json) << "at " << at;
      EXPECT_TRUE(unlocked.ok() || unlocked.code() == Code::kWrongUnlock);
    }
  }
}

TEST_F(UnlockSlotsTest, EveryBeginningOfTheFileIsDamage) {
  const std::string json = UnlockSlots::create(suite, key_file(1))->first.to_json();
  for (std::size_t size = 0; size + 1 < json.size(); ++size)  // without its line end it is whole
    EXPECT_EQ(UnlockSlots::parse(json.substr(0, size)).code(), Code::kDamaged) << size;
}

TEST_F(UnlockSlotsTest, WhatIsNotAsCofferWritesItIsDamage) {
  using Json = nlohmann::ordered_json;
  const Json good = Json::parse(UnlockSlots::create(suite, passphrase("secret"))->first.to_json());
  const auto code_of = [](const Json& json) {
    const auto parsed = UnlockSlots::parse(json.dump());
    return parsed.ok() ? std::nullopt : std::optional(parsed.code());
  };
  EXPECT_EQ(code_of(good), std::nullopt);
  const auto refused = [&](const std::function<void(Json&)>& change) {
    Json changed = good;
    change(changed);
    EXPECT_EQ(code_of(changed), Code::kDamaged) << changed.dump();
  };
  refused([](Json& json) { json["version"] = 2; });
  refused([](Json& json) { json["version"] = "1"; });
  refused([](Json& json) { json["more"] = 1; });
  refused([](Json& json) { json["store"] = "00"; });
  refused([](Json& json) { json["slots"] = Json::array(); });
  refused([](Json& json) { json["slots"] = Json::object(); });
  refused([](Json& json) { json.erase("slots"); });
  refused([](Json& json) { json["slots"][0]["more"] = 1; });
  refused([](Json& json) { json["slots"][0]["kind"] = "fingerprint"; });
  refused([](Json& json) { json["slots"][0]["kind"] = "key-file"; });  // with argon2id still there
  refused([](Json& json) { json["slots"][0]["id"] = "one"; });
  refused([](Json& json) { json["slots"][0]["wrapped"] = "00"; });
  refused([](Json& json) { json["slots"][0]["wrapped"] = 5; });
  refused([](Json& json) { json["slots"][0]["argon2id"]["salt"] = "00"; });
  refused([](Json& json) { json["slots"][0].erase("argon2id"); });
  refused([](Json& json) {
    while (json["slots"].size() < 9) json["slots"].push_back(json["slots"][0]);
  });
  for (const char* text : {"", "null", "[]", "{", "\xff\xfe", "5"})
    EXPECT_EQ(UnlockSlots::parse(text).code(), Code::kDamaged);
  EXPECT_EQ(UnlockSlots::parse(std::string(100'000, '[')).code(), Code::kDamaged);
}

// Refused by parse(), before Argon2id would run with them.
TEST_F(UnlockSlotsTest, Argon2ParametersOutOfBoundsNeverRun) {
  using Json = nlohmann::ordered_json;
  const Json good = Json::parse(UnlockSlots::create(suite, passphrase("secret"))->first.to_json());
  for (const auto& [member, value] : std::vector<std::pair<std::string, Json>>{{"passes", 2},
                                                                               {"passes", 65},
                                                                               {"passes", -1},
                                                                               {"passes", 3.5},
                                                                               {"passes", 18446744073709551615U},
                                                                               {"bytes", (64 << 20) - 1},
                                                                               {"bytes", (4LL << 30) + 1}}) {
    Json changed = good;
    changed["slots"][0]["argon2id"][member] = value;
    EXPECT_EQ(UnlockSlots::parse(changed.dump()).code(), Code::kDamaged) << changed.dump();
  }
}

TEST_F(UnlockSlotsTest, OtherParametersWithinBoundsDoNotOpen) {
  using Json = nlohmann::ordered_json;
  const auto created = UnlockSlots::create(suite, passphrase("secret"));
  Json changed = Json::parse(created->first.to_json());
  changed["slots"][0]["argon2id"]["passes"] = 4;
  const auto parsed = UnlockSlots::parse(changed.dump());
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->unlock(suite, passphrase("secret")).code(), Code::kWrongUnlock);
  EXPECT_NE(parsed->hash(), created->first.hash());
}

TEST_F(UnlockSlotsTest, TheHashIsOfTheCanonicalText) {
  const auto created = UnlockSlots::create(suite, key_file(1));
  const std::string json = created->first.to_json();
  const auto compact = UnlockSlots::parse(nlohmann::ordered_json::parse(json).dump());
  ASSERT_TRUE(compact.ok());
  EXPECT_EQ(compact->to_json(), json);
  EXPECT_EQ(compact->hash(), created->first.hash());
}

// --- more slots and fewer ---

TEST_F(UnlockSlotsTest, EverySlotOpensTheSameRootAndARemovedOneNothing) {
  auto [first, keys] = UnlockSlots::create(suite, key_file(1)).value();
  const auto two = first.with(suite, keys, passphrase("second"), SlotKind::kPassphrase).value();
  const auto three = two.with(suite, keys, key_file(3), SlotKind::kRecovery).value();
  const auto parsed = UnlockSlots::parse(three.to_json());
  ASSERT_TRUE(parsed.ok());
  for (const auto& secret : {key_file(1), passphrase("second"), key_file(3)}) {
    const auto opened = parsed->open(suite, secret);
    ASSERT_TRUE(opened.ok());
    EXPECT_TRUE(same_root(opened->keys, keys));
    const auto fewer = parsed->without(opened->slot);
    ASSERT_TRUE(fewer.ok());
    EXPECT_EQ(fewer->slots().size(), 2U);
    EXPECT_EQ(fewer->open(suite, secret).code(), Code::kWrongUnlock);
  }
}

TEST_F(UnlockSlotsTest, TheLastSlotStaysAndAnUnknownOneIsNotFound) {
  const auto slots = UnlockSlots::create(suite, key_file(1)).value().first;
  EXPECT_EQ(slots.without(slots.slots()[0].id).code(), Code::kNotPermitted);
  EXPECT_EQ(slots.without("00000000-0000-0000-0000-000000000000").code(), Code::kNotFound);
}

TEST_F(UnlockSlotsTest, NoNinthSlotAndNoSecretTwice) {
  auto [slots, keys] = UnlockSlots::create(suite, key_file(1)).value();
  EXPECT_EQ(slots.with(suite, keys, key_file(1), SlotKind::kKeyFile).code(), Code::kExists);
  EXPECT_EQ(slots.with(suite, keys, passphrase(""), SlotKind::kPassphrase).code(), Code::kInvalidArgument);
  for (std::uint8_t filler = 2; slots.slots().size() < 8; ++filler)
    slots = slots.with(suite, keys, key_file(filler), SlotKind::kKeyFile).value();
  EXPECT_TRUE(UnlockSlots::parse(slots.to_json()).ok());
  EXPECT_EQ(slots.with(suite, keys, key_file(99), SlotKind::kKeyFile).code(), Code::kLimit);
}

TEST_F(UnlockSlotsTest, AProofIsOfBothFilesAndOfTheRoot) {
  const auto [first, keys] = UnlockSlots::create(suite, key_file(1)).value();
  const auto next = first.with(suite, keys, key_file(2), SlotKind::kKeyFile).value();
  const auto other = first.with(suite, keys, key_file(2), SlotKind::kKeyFile).value();
  const KeySchedule stranger(Key::random(), first.store_id());
  const Bytes proof = first.change_proof(keys, next);
  EXPECT_EQ(proof, first.change_proof(keys, next));
  EXPECT_NE(proof, first.change_proof(keys, other));
  EXPECT_NE(proof, next.change_proof(keys, first));
  EXPECT_NE(proof, first.change_proof(stranger, next));
}

}  // namespace
}  // namespace coffer
