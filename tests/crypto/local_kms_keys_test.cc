#include <gmock/gmock.h>

#include <functional>

#include "base/limits.h"
#include "crypto/kms_import.h"
#include "tests/support/local_kms_fixture.h"
#include "tests/support/material_wrapping.h"

// Managing keys, and using them over the wire.
namespace coffer {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::string_view kDry = "The request would have succeeded, but the DryRun option is set.";

class LocalKmsKeysTest : public LocalKmsTest {
 protected:
  const AccountId& account() const { return realm.account; }
  std::string text(const SecretBytes& secret) { return std::string(as_text(secret.view())); }
};

// --- using keys ---

TEST_F(LocalKmsKeysTest, DecryptGivesBackWhatEncryptSealed) {  // KMS-06
  const std::string arn = make_key();
  for (const std::size_t size : {1U, 32U, 1025U, 4096U}) {
    const Bytes plain(size, 0x5a);
    const auto sealed = kms->encrypt_bytes(arn, plain, context, {owner});
    ASSERT_TRUE(sealed.ok()) << size;
    EXPECT_EQ(sealed->key_arn, arn);
    const auto opened = kms->decrypt_bytes(sealed->blob, context, {owner}, "");
    ASSERT_TRUE(opened.ok()) << size;
    EXPECT_EQ(to_bytes(opened->plaintext.view()), plain);
    EXPECT_EQ(opened->material_id, sealed->material_id);
    EXPECT_EQ(kms->decrypt_bytes(sealed->blob, {}, {owner}, "").code(), Code::kInvalidCiphertext);
  }
  EXPECT_EQ(kms->encrypt_bytes(arn, {}, context, {owner}).code(), Code::kInvalidArgument);
  EXPECT_EQ(kms->encrypt_bytes(arn, Bytes(4097), context, {owner}).code(), Code::kInvalidArgument);
}

TEST_F(LocalKmsKeysTest, ReEncryptMovesABlobToAnotherKeyAndContext) {  // KMS-06, KMS-19
  const std::string from = make_key(), to = make_key();
  const EncryptionContext other{{"purpose", "other"}};
  const auto sealed = kms->encrypt_bytes(from, as_bytes("secret"), context, {owner});
  const auto moved = kms->re_encrypt({sealed->blob, "", context, to, other}, {owner});
  ASSERT_TRUE(moved.ok()) << moved.error().message;
  EXPECT_EQ(moved->source_key_arn, from);
  EXPECT_EQ(moved->encrypted.key_arn, to);
  EXPECT_EQ(moved->source_material_id, sealed->material_id);
  EXPECT_EQ(text(kms->decrypt_bytes(moved->encrypted.blob, other, {owner}, to)->plaintext), "secret");
  expect_error(kms->re_encrypt({sealed->blob, to, context, to, other}, {owner}), Code::kIncorrectKey,
               "The key ID in the request does not identify a CMK that can perform this operation.");
  expect_error(kms->re_encrypt({sealed->blob, "", other, to, other}, {owner}), Code::kInvalidCiphertext, "");
  ASSERT_TRUE(kms->disable(to).ok());
  expect_error(kms->re_encrypt({sealed->blob, "", context, to, other}, {owner}), Code::kKeyDisabled,
               to + " is disabled.");
}

TEST_F(LocalKmsKeysTest, ADryRunChecksEverythingAndDoesNothing) {  // KMS-21
  const std::string arn = make_key();
  const auto sealed = kms->encrypt_bytes(arn, as_bytes("secret"), context, {owner});
  const KmsCall dry{owner, /*dry_run=*/true};
  expect_error(kms->generate_bytes(arn, 32, context, dry), Code::kDryRun, kDry);
  expect_error(kms->encrypt_bytes(arn, as_bytes("x"), context, dry), Code::kDryRun, kDry);
  expect_error(kms->decrypt_bytes(sealed->blob, context, dry, ""), Code::kDryRun, kDry);
  expect_error(kms->re_encrypt({sealed->blob, "", context, arn, {}}, dry), Code::kDryRun, kDry);
  expect_error(kms->decrypt_bytes(sealed->blob, {}, dry, ""), Code::kInvalidCiphertext, "");
  ASSERT_TRUE(kms->disable(arn).ok());
  expect_error(kms->generate_bytes(arn, 32, context, dry), Code::kKeyDisabled, arn + " is disabled.");
  EXPECT_EQ(kms->generate_bytes(arn, 32, context, {stranger, true}).code(), Code::kKeyDenied);
}

TEST_F(LocalKmsKeysTest, RandomBytesAreOfTheSizeAskedForAndNeverTheSame) {
  const auto one = kms->random_bytes(32), other = kms->random_bytes(32);
  EXPECT_EQ(one->size(), 32U);
  EXPECT_FALSE(equal_constant_time(one->view(), other->view()));
  EXPECT_EQ(kms->random_bytes(1024)->size(), 1024U);
  EXPECT_EQ(kms->random_bytes(0).code(), Code::kInvalidArgument);
  EXPECT_EQ(kms->random_bytes(1025).code(), Code::kInvalidArgument);
}

// --- accounts ---

TEST_F(LocalKmsKeysTest, IdsAndAliasesAreTheAskingAccounts) {  // SEED-26, SEED-27, KMS-24
  const auto ours = kms->create_key({.description = "ours"}, account());
  const auto theirs = kms->create_key({.description = "theirs"}, stranger.account);
  EXPECT_EQ(theirs->arn, "arn:aws:kms:us-east-1:999999999999:key/" + theirs->key_id);
  ASSERT_TRUE(kms->create_alias("alias/same", ours->key_id, account()).ok());
  ASSERT_TRUE(kms->create_alias("alias/same", theirs->key_id, stranger.account).ok());
  EXPECT_EQ(kms->generate_data_key("alias/same", context, owner)->key_arn, ours->arn);
  EXPECT_EQ(kms->generate_data_key("alias/same", context, stranger)->key_arn, theirs->arn);
  expect_error(kms->generate_data_key(ours->key_id, context, stranger), Code::kKeyMissing,
               "Key 'arn:aws:kms:us-east-1:999999999999:key/" + ours->key_id + "' does not exist");
  EXPECT_EQ(kms->generate_data_key(ours->arn, context, stranger).code(), Code::kKeyDenied);
  EXPECT_EQ(kms->authorize("kms:DisableKey", ours->arn, {stranger}).code(), Code::kKeyDenied);
  EXPECT_EQ(kms->authorize("kms:DisableKey", "alias/same", {stranger})->arn, theirs->arn);
  EXPECT_EQ(kms->list_keys(stranger.account).size(), 1U);
  reopen();
  EXPECT_EQ(kms->list_aliases(stranger.account).size(), 1U);
  EXPECT_EQ(kms->generate_data_key("alias/same", context, stranger)->key_arn, theirs->arn);
}

TEST_F(LocalKmsKeysTest, EachAccountHasAnAwsManagedKeyOfItsOwn) {  // OBJ-04
  const auto ours = kms->generate_data_key("alias/aws/s3", context, owner);
  const auto theirs = kms->generate_data_key("alias/aws/s3", context, stranger);
  ASSERT_TRUE(ours.ok() && theirs.ok());
  EXPECT_NE(ours->key_arn, theirs->key_arn);
  EXPECT_EQ(kms->generate_data_key("alias/aws/s3", context, stranger)->key_arn, theirs->key_arn);
  EXPECT_EQ(kms->decrypt(theirs->blob, context, owner).code(), Code::kKeyDenied);
}

// --- aliases ---

TEST_F(LocalKmsKeysTest, AnAliasCanBeGivenAnotherKeyAndTakenAway) {
  const std::string one = make_key(), other = make_key();
  ASSERT_TRUE(kms->create_alias("alias/a", one).ok());
  clock.advance_ns(kDayNs);
  ASSERT_TRUE(kms->update_alias("alias/a", other, account()).ok());
  reopen();
  EXPECT_EQ(kms->describe("alias/a")->arn, other);
  const auto alias = kms->list_aliases().at(0);
  EXPECT_EQ(alias.updated_ns - alias.created_ns, kDayNs);
  ASSERT_TRUE(kms->delete_alias("alias/a", account()).ok());
  reopen();
  EXPECT_THAT(kms->list_aliases(), IsEmpty());
  EXPECT_TRUE(kms->describe(other).ok());
  const std::string missing = "Alias arn:aws:kms:us-east-1:000000000000:alias/a is not found.";
  expect_error(kms->delete_alias("alias/a", account()), Code::kKeyMissing, missing);
  expect_error(kms->update_alias("alias/a", one, account()), Code::kKeyMissing, missing);
  EXPECT_EQ(kms->delete_alias("alias/aws/s3", account()).code(), Code::kInvalidAliasName);
  EXPECT_EQ(kms->update_alias("alias/a", "alias/b", account()).code(), Code::kInvalidArgument);
}

TEST_F(LocalKmsKeysTest, AnAliasThatCannotBeSavedStaysAsItWas) {
  const std::string one = make_key(), other = make_key();
  ASSERT_TRUE(kms->create_alias("alias/a", one).ok());
  for (const std::function<Code()>& change :
       {std::function<Code()>([&] { return kms->update_alias("alias/a", other, account()).code(); }),
        std::function<Code()>([&] { return kms->delete_alias("alias/a", account()).code(); })}) {
    records.fail_save(1);
    EXPECT_EQ(change(), Code::kIo);
    EXPECT_EQ(kms->describe("alias/a")->arn, one);
  }
}

// --- descriptions and tags ---

TEST_F(LocalKmsKeysTest, ADescriptionCanBeChangedUnlessTheKeyGoes) {
  const std::string arn = make_key();
  ASSERT_TRUE(kms->set_description(arn, "new").ok());
  reopen();
  EXPECT_EQ(kms->describe(arn)->description, "new");
  EXPECT_EQ(kms->set_description(arn, std::string(8193, 'x')).code(), Code::kInvalidArgument);
  ASSERT_TRUE(kms->schedule_deletion(arn, 7).ok());
  expect_error(kms->set_description(arn, "late"), Code::kKeyPendingDeletion, arn + " is pending deletion.");
}

TEST_F(LocalKmsKeysTest, TagsAreAddedReplacedAndTakenAway) {
  const auto key = kms->create_key({.description = "", .tags = {{"b", "1"}, {"a", "2"}}}, account());
  ASSERT_TRUE(kms->tag(key->arn, {{"b", "3"}, {"c", ""}}).ok());
  reopen();
  EXPECT_THAT(*kms->list_tags(key->arn), ElementsAre(KeyTag{"a", "2"}, KeyTag{"b", "3"}, KeyTag{"c", ""}));
  ASSERT_TRUE(kms->untag(key->arn, {"a", "none"}).ok());
  EXPECT_THAT(*kms->list_tags(key->arn), ElementsAre(KeyTag{"b", "3"}, KeyTag{"c", ""}));
}

TEST_F(LocalKmsKeysTest, TagsAreRefusedInKmssWords) {
  const std::string arn = make_key();
  expect_error(kms->tag(arn, {{"a", "1"}, {"a", "2"}}), Code::kInvalidTag, "Duplicate tag keys");
  for (const std::string name : {"aws:mine", "AWS:mine", "aws:"})
    expect_error(kms->tag(arn, {{name, ""}}), Code::kInvalidTag, "Tags beginning with aws: are reserved");
  std::vector<KeyTag> many;
  for (std::size_t i = 0; i < kKeyTagsMax; ++i) many.push_back({std::to_string(i), ""});
  ASSERT_TRUE(kms->tag(arn, many).ok());
  expect_error(kms->tag(arn, {{"one more", ""}}), Code::kInvalidTag, "Too many tags");
  EXPECT_TRUE(kms->tag(arn, {{"7", "another value"}}).ok());
  many.push_back({"one more", ""});
  expect_error(kms->create_key({.description = "", .tags = many}, account()), Code::kInvalidTag, "Too many tags");
  EXPECT_EQ(kms->tag(arn, {{"", ""}}).code(), Code::kInvalidArgument);
  EXPECT_EQ(kms->tag(arn, {{"a", std::string(257, 'x')}}).code(), Code::kInvalidArgument);
}

// --- rotation ---

TEST_F(LocalKmsKeysTest, AKeyTurnsByItselfEachPeriod) {  // KMS-40
  const std::string arn = make_key();
  ASSERT_TRUE(kms->enable_rotation(arn, 90).ok());
  EXPECT_EQ(kms->rotation_status(arn)->next_rotation_ns, clock.wall_ns() + 90 * kDayNs);
  const auto before = kms->encrypt_bytes(arn, as_bytes("old"), context, {owner});
  clock.advance_ns(90 * kDayNs - 1);
  EXPECT_FALSE(*kms->rotate_due());
  clock.advance_ns(1);
  EXPECT_TRUE(*kms->rotate_due());
  EXPECT_FALSE(*kms->rotate_due());
  reopen();
  EXPECT_EQ(kms->rotation_status(arn)->next_rotation_ns, clock.wall_ns() + 90 * kDayNs);
  const auto after = kms->encrypt_bytes(arn, as_bytes("new"), context, {owner});
  EXPECT_NE(before->material_id, after->material_id);
  EXPECT_EQ(text(kms->decrypt_bytes(before->blob, context, {owner}, "")->plaintext), "old");
  const auto all = kms->list_rotations(arn);
  ASSERT_EQ(all->size(), 2U);
  EXPECT_EQ((*all)[0].kind, RotationKind::kNone);
  EXPECT_FALSE((*all)[0].current);
  EXPECT_EQ((*all)[1].kind, RotationKind::kAutomatic);
  EXPECT_TRUE((*all)[1].current);
  EXPECT_EQ((*all)[1].when_ns, clock.wall_ns());
}

TEST_F(LocalKmsKeysTest, ADisabledKeyDoesNotTurnAndCatchesUpOnceEnabled) {
  const std::string arn = make_key();
  ASSERT_TRUE(kms->enable_rotation(arn, 90).ok());
  ASSERT_TRUE(kms->disable(arn).ok());
  expect_error(kms->enable_rotation(arn, 100), Code::kKeyDisabled, arn + " is disabled.");
  expect_error(kms->disable_rotation(arn), Code::kKeyDisabled, arn + " is disabled.");
  clock.advance_ns(200 * kDayNs);
  EXPECT_FALSE(*kms->rotate_due());
  ASSERT_TRUE(kms->enable(arn).ok());
  EXPECT_TRUE(*kms->rotate_due());
  EXPECT_EQ(kms->list_rotations(arn)->size(), 2U);
  ASSERT_TRUE(kms->disable_rotation(arn).ok());
  EXPECT_FALSE(kms->rotation_status(arn)->rotation_days);
  clock.advance_ns(200 * kDayNs);
  EXPECT_FALSE(*kms->rotate_due());
}

TEST_F(LocalKmsKeysTest, TurningOnDemandLeavesTheScheduleAlone) {  // KMS-41
  const std::string arn = make_key();
  ASSERT_TRUE(kms->enable_rotation(arn, 365).ok());
  const auto before = kms->rotation_status(arn);
  clock.advance_ns(kDayNs);
  ASSERT_TRUE(kms->rotate(arn).ok());
  EXPECT_EQ(kms->rotation_status(arn)->next_rotation_ns, before->next_rotation_ns);
  EXPECT_EQ(kms->list_rotations(arn)->back().kind, RotationKind::kOnDemand);
}

TEST_F(LocalKmsKeysTest, OnlyTurnsOnDemandAreCountedAgainstTheirLimit) {  // KMS-25
  const std::string arn = make_key();
  ASSERT_TRUE(kms->enable_rotation(arn, 90).ok());
  for (int i = 0; i < 3; ++i) {
    clock.advance_ns(90 * kDayNs);
    ASSERT_TRUE(*kms->rotate_due());
  }
  for (std::size_t i = 0; i < kOnDemandRotationsMax; ++i) ASSERT_TRUE(kms->rotate(arn).ok()) << i;
  EXPECT_EQ(kms->rotate(arn).code(), Code::kLimit);
  clock.advance_ns(90 * kDayNs);
  EXPECT_TRUE(*kms->rotate_due());
  EXPECT_EQ(kms->list_rotations(arn)->size(), 30U);
}

TEST_F(LocalKmsKeysTest, APeriodIsNinetyToTwoThousandFiveHundredAndSixtyDays) {
  const std::string arn = make_key();
  expect_error(kms->enable_rotation(arn, 89), Code::kInvalidArgument,
               "1 validation error detected: Value '89' at 'rotationPeriodInDays' failed to satisfy constraint: Member "
               "must have value greater than or equal to 90");
  EXPECT_EQ(kms->enable_rotation(arn, 2561).code(), Code::kInvalidArgument);
  EXPECT_TRUE(kms->enable_rotation(arn, 2560).ok());
}

// --- imported material ---

class ImportTest : public LocalKmsKeysTest {
 protected:
  ImportTest() { key = kms->create_key({.description = "", .origin = KeyOrigin::kExternal}, account())->arn; }

  Result<KeyMetadata> import(BytesView bytes, std::optional<std::int64_t> expires_ns = {},
                             ImportWrapping wrapping = ImportWrapping::kOaepSha256) {
    const auto parameters = kms->parameters_for_import(key, wrapping, 2048);
    if (!parameters.ok()) return parameters.error();
    return kms->import_material(key, parameters->token, wrap_material_for(parameters->public_key, wrapping, bytes),
                                expires_ns);
  }

  const Bytes material = Bytes(32, 0x42);
  std::string key;
};

TEST_F(ImportTest, AKeyWithoutMaterialServesNothingUntilItIsImported) {  // KMS-17
  const std::string pending = key + " is pending import.";
  EXPECT_EQ(kms->describe(key)->state, KeyState::kPendingImport);
  expect_error(kms->generate_data_key(key, context, owner), Code::kKeyPendingImport, pending);
  expect_error(kms->encrypt_bytes(key, as_bytes("x"), context, {owner}), Code::kKeyPendingImport, pending);
  expect_error(kms->usable(key, context, owner), Code::kKeyPendingImport, pending);
  expect_error(kms->enable(key), Code::kKeyPendingImport, pending);
  expect_error(kms->disable(key), Code::kKeyPendingImport, pending);
  expect_error(kms->rotate(key), Code::kKeyPendingImport, pending);
  ASSERT_TRUE(import(material).ok());
  reopen();
  EXPECT_EQ(kms->describe(key)->state, KeyState::kEnabled);
  const auto made = kms->generate_data_key(key, context, owner);
  ASSERT_TRUE(made.ok());
  EXPECT_TRUE(equal_constant_time(*kms->decrypt(made->blob, context, owner), made->plaintext));
}

TEST_F(ImportTest, EveryWrappingBringsTheSameMaterial) {
  std::string id;
  for (const ImportWrapping wrapping : {ImportWrapping::kOaepSha1, ImportWrapping::kOaepSha256,
                                        ImportWrapping::kAesKeyWrapSha1, ImportWrapping::kAesKeyWrapSha256}) {
    const auto imported = import(material, {}, wrapping);
    ASSERT_TRUE(imported.ok()) << static_cast<int>(wrapping) << ": " << imported.error().message;
    EXPECT_TRUE(id.empty() || imported->current_material_id == id);
    id = imported->current_material_id;
  }
}

TEST_F(ImportTest, DeletedMaterialComesBackAndNoOther) {
  ASSERT_TRUE(import(material).ok());
  const auto made = kms->generate_data_key(key, context, owner);
  ASSERT_TRUE(kms->delete_imported_material(key).ok());
  for (bool restarted : {false, true}) {
    if (restarted) reopen();
    EXPECT_EQ(kms->describe(key)->state, KeyState::kPendingImport);
    EXPECT_EQ(kms->decrypt(made->blob, context, owner).code(), Code::kKeyPendingImport);
    EXPECT_TRUE(records.keys.begin()->second.materials.at(0).wrapped.empty());
  }
  EXPECT_EQ(import(Bytes(32, 0x43)).code(), Code::kWrongMaterial);
  ASSERT_TRUE(import(material).ok());
  EXPECT_TRUE(equal_constant_time(*kms->decrypt(made->blob, context, owner), made->plaintext));
}

TEST_F(ImportTest, MaterialExpiresToTheNanosecondAndCanBeRenewed) {
  ASSERT_TRUE(import(material, clock.wall_ns() + kDayNs).ok());
  const auto made = kms->generate_data_key(key, context, owner);
  clock.advance_ns(kDayNs - 1);
  EXPECT_TRUE(kms->usable(key, context, owner).ok());
  EXPECT_THAT(kms->expired_materials(), IsEmpty());
  clock.advance_ns(1);
  expect_error(kms->usable(key, context, owner), Code::kKeyPendingImport, key + " is pending import.");
  EXPECT_EQ(kms->decrypt(made->blob, context, owner).code(), Code::kKeyPendingImport);
  ASSERT_EQ(kms->expired_materials().size(), 1U);
  ASSERT_TRUE(kms->drop_expired_material(key).ok());
  EXPECT_THAT(kms->expired_materials(), IsEmpty());
  EXPECT_EQ(kms->describe(key)->state, KeyState::kPendingImport);
  ASSERT_TRUE(import(material, clock.wall_ns() + kDayNs).ok());
  ASSERT_TRUE(import(material).ok()) << "the same material again changes when it expires";
  clock.advance_ns(2 * kDayNs);
  EXPECT_TRUE(kms->decrypt(made->blob, context, owner).ok());
}

TEST_F(ImportTest, RenewedMaterialIsNotDropped) {
  ASSERT_TRUE(import(material, clock.wall_ns() + 1).ok());
  clock.advance_ns(1);
  ASSERT_TRUE(import(material).ok());
  ASSERT_TRUE(kms->drop_expired_material(key).ok());
  EXPECT_TRUE(kms->usable(key, context, owner).ok());
}

TEST_F(ImportTest, AnExpiryIsWithinAYear) {
  for (const std::int64_t at : {clock.wall_ns(), clock.wall_ns() - 1, clock.wall_ns() + 365 * kDayNs + 1})
    EXPECT_EQ(import(material, at).code(), Code::kInvalidArgument);
  EXPECT_TRUE(import(material, clock.wall_ns() + 365 * kDayNs).ok());
}

TEST_F(ImportTest, ATokenIsGoodForItsKeyAndADay) {
  const auto parameters = kms->parameters_for_import(key, ImportWrapping::kOaepSha256, 2048);
  ASSERT_TRUE(parameters.ok());
  const Bytes wrapped = wrap_material_for(parameters->public_key, ImportWrapping::kOaepSha256, material);
  const auto other = kms->create_key({.description = "", .origin = KeyOrigin::kExternal}, account())->arn;
  EXPECT_EQ(kms->import_material(other, parameters->token, wrapped, {}).code(), Code::kInvalidImportToken);
  for (std::size_t byte = 0; byte < parameters->token.size(); byte += byte < 96 ? 1 : 61) {
    Bytes token = parameters->token;
    token[byte] ^= 1;
    EXPECT_EQ(kms->import_material(key, token, wrapped, {}).code(), Code::kInvalidImportToken) << byte;
  }
  EXPECT_EQ(kms->import_material(key, {}, wrapped, {}).code(), Code::kInvalidImportToken);
  reopen();
  clock.advance_ns(kDayNs - 1);
  EXPECT_TRUE(kms->import_material(key, parameters->token, wrapped, {}).ok()) << "a restart ends no import";
  clock.advance_ns(1);
  const auto late = kms->import_material(key, parameters->token, wrapped, {});
  ASSERT_EQ(late.code(), Code::kExpiredImportToken);
  EXPECT_EQ(late.error().message, "The import token has expired. Call GetParametersForImport again");
}

TEST_F(ImportTest, WhatIsNoMaterialIsRefused) {
  for (const std::size_t size : {1U, 16U, 31U, 33U}) EXPECT_EQ(import(Bytes(size, 1)).code(), Code::kInvalidCiphertext);
  const auto parameters = kms->parameters_for_import(key, ImportWrapping::kAesKeyWrapSha256, 2048);
  const Bytes wrapped = wrap_material_for(parameters->public_key, ImportWrapping::kAesKeyWrapSha256, material);
  for (const std::size_t byte : {std::size_t{0}, std::size_t{255}, std::size_t{256}, wrapped.size() - 1}) {
    Bytes changed = wrapped;
    changed[byte] ^= 1;
    EXPECT_EQ(kms->import_material(key, parameters->token, changed, {}).code(), Code::kInvalidCiphertext) << byte;
  }
  for (const std::size_t size : {std::size_t{0}, std::size_t{255}, std::size_t{256}, wrapped.size() - 1})
    EXPECT_EQ(kms->import_material(key, parameters->token, BytesView(wrapped).first(size), {}).code(),
              Code::kInvalidCiphertext)
        << size;
  EXPECT_EQ(kms->describe(key)->state, KeyState::kPendingImport);
}

TEST_F(ImportTest, OnlyExternalKeysImportAndTheyDoNotTurn) {
  const std::string own = make_key();
  const std::string wrong = own + " origin is AWS_KMS which is not valid for this operation.";
  expect_error(kms->parameters_for_import(own, ImportWrapping::kOaepSha256, 2048), Code::kUnsupported, wrong);
  expect_error(kms->delete_imported_material(own), Code::kUnsupported, wrong);
  expect_error(kms->enable_rotation(key, 365), Code::kUnsupported,
               key + " origin is EXTERNAL which is not valid for this operation.");
  ASSERT_TRUE(import(material).ok());
  expect_error(kms->rotate(key), Code::kKeyState,
               "No available key material pending rotation for the key: " + key + ".");
}

TEST_F(ImportTest, AnImportedKeyPendingDeletionStaysSo) {
  ASSERT_TRUE(kms->schedule_deletion(key, 7).ok());
  EXPECT_EQ(kms->parameters_for_import(key, ImportWrapping::kOaepSha256, 2048).code(), Code::kKeyPendingDeletion);
  ASSERT_TRUE(kms->delete_expired().ok());
  EXPECT_EQ(kms->list_keys().size(), 1U) << "no material is not the same as deleted";
  EXPECT_EQ(kms->cancel_deletion(key)->state, KeyState::kPendingImport);
  ASSERT_TRUE(import(material).ok());
  ASSERT_TRUE(kms->schedule_deletion(key, 7).ok());
  ASSERT_TRUE(kms->delete_imported_material(key).ok());
  EXPECT_EQ(kms->describe(key)->state, KeyState::kPendingDeletion);
  clock.advance_ns(7 * kDayNs);
  EXPECT_TRUE(*kms->delete_expired());
  reopen();
  EXPECT_EQ(kms->describe(key).code(), Code::kKeyMissing);
}

TEST_F(ImportTest, AMarkKnowsItsMaterialUnderItsKeyAlone) {
  const Key one = Key::copy_of(material), other = Key::copy_of(Bytes(32, 0x43));
  const Bytes mark = mark_material("key", one);
  EXPECT_TRUE(is_marked(mark, "key", one));
  EXPECT_FALSE(is_marked(mark, "key", other));
  EXPECT_FALSE(is_marked(mark, "yek", one));
  EXPECT_FALSE(is_marked({}, "key", one));
  EXPECT_NE(mark_material("key", one), mark) << "marks do not tell that two keys have the same material";
  for (std::size_t byte = 0; byte < mark.size(); ++byte) {
    Bytes changed = mark;
    changed[byte] ^= 1;
    EXPECT_FALSE(is_marked(changed, "key", one)) << byte;
  }
}

}  // namespace
}  // namespace coffer
