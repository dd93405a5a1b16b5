#include <gtest/gtest.h>

#include <set>

#include "base/limits.h"
#include "crypto/kms_blob.h"
#include "store/fsck.h"
#include "tests/store/store_rig.h"

// Keys over time: after a rotation, or under another key of the same algorithm, an object's data keys are wrapped anew
// and its data stays where it is.
namespace coffer {
namespace {

using testing::read_all;
using testing::some_bytes;
using testing::StoreRig;

constexpr std::int64_t kDayNs = std::int64_t{24} * 3600 * 1'000'000'000;

SseRule rule_of(SseAlgorithm algorithm, std::string key, bool bucket_key = false) {
  SseRule rule;
  rule.algorithm = algorithm;
  if (algorithm != SseAlgorithm::kAes256) rule.kms_key = std::move(key);
  rule.bucket_key_enabled = bucket_key;
  return rule;
}

// Objects small and large under each way of using a KMS key.
struct Scheme {
  SseAlgorithm algorithm;
  bool bucket_key;
};
std::vector<Scheme> kms_schemes() {
  std::vector<Scheme> schemes{{SseAlgorithm::kAwsKms, false}, {SseAlgorithm::kAwsKms, true}};
  if (StoreRig::suite().can_double()) schemes.push_back({SseAlgorithm::kAwsKmsDsse, false});
  return schemes;
}

class RewrapTest : public ::testing::Test {
 protected:
  void SetUp() override {
    bucket = store().create_bucket(name, NewInode{0755, 1, 1, 0})->ino;
    key = rig.kms().create_key("one")->arn;
    other_key = rig.kms().create_key("other")->arn;
    ASSERT_TRUE(store().sync_all().ok());
  }
  Store& store() { return rig.store(); }
  InodeNumber create(std::string_view leaf, BytesView bytes) {
    const auto made = store().create(bucket, leaf, NewInode{0644, 1000, 1000, 0});
    EXPECT_TRUE(made.ok()) << made.error().message;
    if (!made.ok()) return 0;
    EXPECT_TRUE(store().write(made->ino, 0, bytes).ok());
    store().release(made->ino);
    return made->ino;
  }
  void put_rule(const SseRule& rule) { ASSERT_TRUE(store().put_rule(name, rule).ok()); }
  InodeNumber find(std::string_view leaf) { return *store().resolve(name.str(), leaf); }
  Envelope envelope_of(std::string_view leaf) { return store().sealing(find(leaf))->envelope; }
  void expect_content(std::string_view leaf, const Bytes& expected) {
    const auto got = read_all(store(), find(leaf));
    ASSERT_TRUE(got.ok()) << leaf << ": " << got.error().message;
    EXPECT_TRUE(*got == expected) << leaf;
  }
  Code read_code(std::string_view leaf) {
    const auto got = read_all(store(), find(leaf));
    return got.ok() ? Code::kBusy : got.code();
  }
  std::uint64_t queue(ResealScope what = ResealScope::kWhatIsDue) {
    const auto queued = store().queue_reseal(name, "", what);
    EXPECT_TRUE(queued.ok());
    return queued.ok() ? *queued : 0;
  }
  void reseal_all() {
    for (int steps = 0; steps < 10'000; ++steps) {
      const auto more = store().reseal_step();
      ASSERT_TRUE(more.ok()) << more.error().message;
      if (!*more) return;
    }
    FAIL() << "the queue does not end";
  }
  std::uint64_t calls(const std::string& operation) { return rig.kms().call_counts()[operation]; }
  std::map<std::string, Bytes> data_files() {
    auto files = rig.disk.snapshot();
    std::erase_if(files, [](const auto& file) { return !file.first.starts_with("objects/"); });
    return files;
  }
  // The version of the key's material that the object's KMS layer names.
  static std::string material_of(const Envelope& envelope) {
    const BytesView wrapped = envelope.layers[0].wrapped_key;
    const auto blob = parse_kms_blob(envelope.bucket_key() ? wrapped.subspan(3) : wrapped);
    return blob.ok() ? blob->material_id : "";
  }
  // As somebody could who has the catalog's key: the rest of the row stays.
  void put_envelope(std::string_view leaf, const Envelope& envelope) {
    const auto ino = find(leaf);
    {
      std::lock_guard lock(rig.catalog().mutex());
      const auto row = rig.catalog().content(ino);
      ASSERT_TRUE(row.ok());
      ASSERT_TRUE(rig.catalog().put_envelope(ino, envelope.encode(), row->rule_version).ok());
    }
    ASSERT_TRUE(store().sync_all().ok());
    rig.reopen();
    ASSERT_TRUE(envelope_of(leaf).encode() == envelope.encode());
  }
  void delete_key(const std::string& arn) {
    ASSERT_TRUE(rig.kms().schedule_deletion(arn, 7).ok());
    store().wipe_key(arn);
    rig.bucket_keys().flush(arn);
    rig.clock.advance_ns(8 * kDayNs);
    ASSERT_TRUE(rig.kms().delete_expired().ok());
    ASSERT_TRUE(store().sync_all().ok());
  }

  StoreRig rig;
  const BucketName name = *BucketName::parse("bucket");
  InodeNumber bucket = 0;
  std::string key, other_key;
  const Bytes small = some_bytes(100, 1), large = some_bytes(200 * std::size_t{kChunkSize} + 5, 2);
};

// No key, an alias and an id name a key of whoever asks.
TEST_F(RewrapTest, UnderAnotherAccountsPrincipalTheQueueEndsWithItsOwnKeys) {  // SEED-26, SEED-27
  const AccountId account = *AccountId::parse("111122223333");
  rig.mounted_as = Principal::root_of(account);
  rig.reopen();
  const std::string first = rig.kms().create_key({.description = "first"}, account)->arn;
  const auto second = rig.kms().create_key({.description = "second"}, account);
  ASSERT_TRUE(rig.kms().create_alias("alias/same", key).ok());
  ASSERT_TRUE(rig.kms().create_alias("alias/same", second->key_id, account).ok());
  for (const auto& [algorithm, bucket_key] : kms_schemes()) {
    for (const std::string& named : {std::string("alias/same"), second->key_id, std::string()}) {
      put_rule(rule_of(algorithm, first, bucket_key));
      create("f", small);
      SseRule rule = rule_of(algorithm, named, bucket_key);
      if (named.empty()) rule.kms_key.reset();
      put_rule(rule);
      EXPECT_EQ(queue(), 1U);
      reseal_all();
      EXPECT_EQ(store().reseal_progress().waiting, 0U);
      EXPECT_EQ(queue(), 0U) << "as the rule says";
      const std::string under = envelope_of("f").kms_key_arn;
      EXPECT_EQ(under, named.empty() ? rig.kms().find(kAwsManagedAlias, account)->arn : second->arn);
      expect_content("f", small);
      ASSERT_TRUE(store().unlink(bucket, "f").ok());
    }
  }
}

TEST_F(RewrapTest, AfterARotationEveryBlobIsUnderTheNewMaterialAndNoDataMoves) {
  for (const auto& scheme : kms_schemes()) {
    put_rule(rule_of(scheme.algorithm, key, scheme.bucket_key));
    create("small", small);
    create("large", large);
    ASSERT_TRUE(store().sync_all().ok());
    const auto files = data_files();
    const auto before = envelope_of("large");
    EXPECT_EQ(queue(), 0U) << "nothing is due yet";
    ASSERT_TRUE(rig.kms().rotate(key).ok());
    EXPECT_EQ(queue(), 2U);
    reseal_all();
    ASSERT_TRUE(store().sync_all().ok());
    EXPECT_TRUE(data_files() == files);
    const auto after = envelope_of("large");
    EXPECT_EQ(material_of(after), rig.kms().describe(key)->current_material_id);
    EXPECT_NE(material_of(before), material_of(after));
    EXPECT_EQ(after.generation, before.generation);
    EXPECT_EQ(after.context_arn, before.context_arn);
    for (std::size_t layer = 0; layer < after.layers.size(); ++layer) {
      EXPECT_NE(after.layers[layer].wrapped_key, before.layers[layer].wrapped_key) << layer;
      EXPECT_NE(after.layers[layer].commitment, before.layers[layer].commitment) << layer;
    }
    EXPECT_EQ(queue(), 0U) << "and nothing is due any more";
    for (int opening = 0; opening < 2; ++opening) {
      expect_content("small", small);
      expect_content("large", large);
      rig.reopen();
    }
    ASSERT_TRUE(store().unlink(bucket, "small").ok());
    ASSERT_TRUE(store().unlink(bucket, "large").ok());
    ASSERT_TRUE(store().sync_all().ok());
    ASSERT_TRUE(store().collect_garbage().ok());
  }
}

TEST_F(RewrapTest, UnderAnotherKeyOfTheSameAlgorithmTheOldKeyIsNotNeededAnyMore) {
  for (const auto& scheme : kms_schemes()) {
    const auto old_key = rig.kms().create_key("old")->arn;
    put_rule(rule_of(scheme.algorithm, old_key, scheme.bucket_key));
    create("a-small", small);
    create("a-large", large);
    create("b-left", small);
    ASSERT_TRUE(store().sync_all().ok());
    const auto files = data_files();
    put_rule(rule_of(scheme.algorithm, other_key, scheme.bucket_key));
    ASSERT_EQ(*store().queue_reseal(name, "a-"), 2U);
    reseal_all();
    ASSERT_TRUE(store().sync_all().ok());
    EXPECT_TRUE(data_files() == files);
    EXPECT_EQ(envelope_of("a-large").kms_key_arn, other_key);
    EXPECT_EQ(envelope_of("a-large").generation, 1U);
    delete_key(old_key);
    for (int opening = 0; opening < 2; ++opening) {
      expect_content("a-small", small);
      expect_content("a-large", large);
      EXPECT_EQ(read_code("b-left"), Code::kKeyMissing);
      rig.reopen();
    }
    for (const auto* leaf : {"a-small", "a-large", "b-left"}) ASSERT_TRUE(store().unlink(bucket, leaf).ok());
  }
}

TEST_F(RewrapTest, BucketKeysAreTurnedOnAndOffWithoutMovingData) {
  put_rule(rule_of(SseAlgorithm::kAwsKms, key));
  create("large", large);
  ASSERT_TRUE(store().rename(bucket, "large", bucket, "renamed", RenameMode::kReplace).ok());
  ASSERT_TRUE(store().sync_all().ok());
  const auto files = data_files();
  put_rule(rule_of(SseAlgorithm::kAwsKms, key, /*bucket_key=*/true));
  ASSERT_EQ(queue(), 1U);
  reseal_all();
  EXPECT_TRUE(envelope_of("renamed").bucket_key());
  EXPECT_EQ(envelope_of("renamed").context_arn, "arn:aws:s3:::bucket");
  put_rule(rule_of(SseAlgorithm::kAwsKms, key));
  ASSERT_EQ(queue(), 1U);
  reseal_all();
  EXPECT_FALSE(envelope_of("renamed").bucket_key());
  EXPECT_EQ(envelope_of("renamed").context_arn, "arn:aws:s3:::bucket/renamed");
  ASSERT_TRUE(store().sync_all().ok());
  EXPECT_TRUE(data_files() == files);
  rig.reopen();
  expect_content("renamed", large);
}

TEST_F(RewrapTest, AnotherAlgorithmMovesTheDataUnderNewDataKeys) {
  put_rule(rule_of(SseAlgorithm::kAwsKms, key));
  create("large", large);
  ASSERT_TRUE(store().sync_all().ok());
  const auto files = data_files();
  put_rule(SseRule());
  ASSERT_EQ(queue(), 1U);
  reseal_all();
  ASSERT_TRUE(store().sync_all().ok());
  EXPECT_FALSE(data_files() == files);
  EXPECT_EQ(envelope_of("large").generation, 2U);
  expect_content("large", large);
}

TEST_F(RewrapTest, NewDataKeysAreMadeForWhoeverAsksForThemAlsoTwiceAndAfterAKill) {
  put_rule(rule_of(SseAlgorithm::kAwsKms, key));
  create("large", large);
  create("small", small);
  ASSERT_TRUE(store().sync_all().ok());
  const auto files = data_files();
  ASSERT_EQ(queue(ResealScope::kNewDataKeys), 2U);
  ASSERT_TRUE(store().reseal_step().ok());
  // While the first is under way its new data key counts as old for whoever asks now.
  ASSERT_EQ(queue(ResealScope::kNewDataKeys), 2U);
  ASSERT_TRUE(store().commit_soon().ok());
  rig.kill();
  rig.open();
  reseal_all();
  ASSERT_TRUE(store().sync_all().ok());
  EXPECT_FALSE(data_files() == files);
  EXPECT_EQ(store().reseal_progress().waiting, 0U);
  EXPECT_GE(envelope_of("large").generation, 2U);
  EXPECT_GE(envelope_of("small").generation, 2U);
  EXPECT_EQ(envelope_of("large").generation + envelope_of("small").generation, 5U);
  expect_content("large", large);
  expect_content("small", small);
}

// After two times the chunks' parity is the old envelope's again.
TEST_F(RewrapTest, AnEnvelopeOfBeforeNewDataKeysOpensNothingWhenItIsPutBack) {
  auto schemes = kms_schemes();
  schemes.push_back({SseAlgorithm::kAes256, false});
  for (const auto& scheme : schemes) {
    put_rule(rule_of(scheme.algorithm, key, scheme.bucket_key));
    create("large", large);
    create("small", small);
    ASSERT_TRUE(store().sync_all().ok());
    const std::map<std::string, Envelope> old = {{"large", envelope_of("large")}, {"small", envelope_of("small")}};
    for (std::uint32_t times = 1; times <= 2; ++times) {
      ASSERT_EQ(queue(ResealScope::kNewDataKeys), 2U);
      reseal_all();
      ASSERT_TRUE(store().sync_all().ok());
      for (const auto& [leaf, envelope] : old) {
        const auto now = envelope_of(leaf);
        ASSERT_EQ(now.generation, envelope.generation + times);
        put_envelope(leaf, envelope);
        EXPECT_EQ(read_code(leaf), Code::kDamaged) << leaf;
        put_envelope(leaf, now);
        expect_content(leaf, leaf == "large" ? large : small);
      }
    }
    for (const auto& [leaf, envelope] : old) ASSERT_TRUE(store().unlink(bucket, leaf).ok());
  }
}

TEST_F(RewrapTest, AKillAfterAnyStepLosesNothingAndTheRestIsDoneLater) {
  constexpr int kObjects = 600;  // more than two steps take
  put_rule(rule_of(SseAlgorithm::kAwsKms, key, /*bucket_key=*/true));
  for (int i = 0; i < kObjects; ++i) create("f" + std::to_string(i), some_bytes(50, static_cast<std::uint64_t>(i)));
  ASSERT_TRUE(store().sync_all().ok());
  ASSERT_TRUE(rig.kms().rotate(key).ok());
  ASSERT_EQ(queue(), std::uint64_t{kObjects});
  ASSERT_TRUE(store().sync_all().ok());
  std::uint64_t waiting = kObjects;
  for (int round = 0; waiting > 0 && round < 20; ++round) {
    ASSERT_TRUE(store().reseal_step().ok());
    if (round % 2 == 0) {
      ASSERT_TRUE(store().commit_soon().ok());
      rig.kill();
    } else {
      rig.crash(static_cast<std::uint64_t>(round));
    }
    rig.open();
    const auto left = store().reseal_progress().waiting;
    EXPECT_LE(left, waiting);
    waiting = left;
    for (int i = 0; i < kObjects; i += 37)
      expect_content("f" + std::to_string(i), some_bytes(50, static_cast<std::uint64_t>(i)));
  }
  EXPECT_EQ(waiting, 0U);
  const auto current = rig.kms().describe(key)->current_material_id;
  for (int i = 0; i < kObjects; ++i) {
    EXPECT_EQ(material_of(envelope_of("f" + std::to_string(i))), current);
    expect_content("f" + std::to_string(i), some_bytes(50, static_cast<std::uint64_t>(i)));
  }
  const auto report = fsck(rig.catalog(), rig.disk, rig.keyring(), StoreRig::principal(), FsckMode::kCheck, rig.clock,
                           [](auto, auto) {});
  ASSERT_TRUE(report.ok());
  EXPECT_TRUE(report->damage.empty());
}

TEST_F(RewrapTest, WritesAroundARewrapAreKept) {
  put_rule(rule_of(SseAlgorithm::kAwsKms, key));
  auto bytes = large;
  create("large", bytes);
  const auto ino = find("large");
  for (int round = 0; round < 4; ++round) {
    put_rule(rule_of(SseAlgorithm::kAwsKms, round % 2 == 0 ? other_key : key));
    bytes[static_cast<std::size_t>(round) * kChunkSize] ^= 0xff;
    const BytesView changed = BytesView(bytes).subspan(static_cast<std::size_t>(round) * kChunkSize, 1);
    // Dirty while the envelope changes: it is sealed afterwards, under the same data key.
    ASSERT_TRUE(store().write(ino, static_cast<std::uint64_t>(round) * kChunkSize, changed).ok());
    reseal_all();
    EXPECT_EQ(store().sealing(ino)->envelope.kms_key_arn, round % 2 == 0 ? other_key : key);
    EXPECT_EQ(store().sealing(ino)->envelope.generation, 1U);
    expect_content("large", bytes);
    if (round == 2) {
      ASSERT_TRUE(store().sync_all().ok());
      rig.crash(7);
      rig.open();
    }
  }
  ASSERT_TRUE(store().sync_all().ok());
  rig.reopen();
  expect_content("large", bytes);
}

TEST_F(RewrapTest, ANewKeyThatFailsLeavesEveryObjectUnderTheOldOne) {
  put_rule(rule_of(SseAlgorithm::kAwsKms, key));
  create("small", small);
  create("large", large);
  put_rule(rule_of(SseAlgorithm::kAwsKms, other_key));
  ASSERT_TRUE(rig.kms().disable(other_key).ok());
  ASSERT_EQ(queue(), 2U);
  reseal_all();
  EXPECT_EQ(store().reseal_progress().waiting, 2U);
  EXPECT_EQ(envelope_of("large").kms_key_arn, key);
  expect_content("small", small);
  expect_content("large", large);
  ASSERT_TRUE(rig.kms().enable(other_key).ok());
  store().release_key(other_key);
  reseal_all();
  EXPECT_EQ(store().reseal_progress().waiting, 0U);
  EXPECT_EQ(envelope_of("large").kms_key_arn, other_key);
  expect_content("large", large);
}

TEST_F(RewrapTest, AnObjectWhoseKeyIsDisabledStaysShutUnderTheNewOneUntilItServes) {
  put_rule(rule_of(SseAlgorithm::kAwsKms, key));
  create("small", small);
  expect_content("small", small);  // its cipher is in memory
  put_rule(rule_of(SseAlgorithm::kAwsKms, other_key));
  ASSERT_EQ(queue(), 1U);
  reseal_all();
  ASSERT_TRUE(rig.kms().disable(other_key).ok());
  EXPECT_EQ(read_code("small"), Code::kKeyDisabled);
  store().wipe_key(other_key);
  ASSERT_TRUE(rig.kms().enable(other_key).ok());
  expect_content("small", small);
}

TEST_F(RewrapTest, BucketKeysSpareTheKmsAndAreNotOlderThanTheMaterial) {
  put_rule(rule_of(SseAlgorithm::kAwsKms, key, /*bucket_key=*/true));
  for (int i = 0; i < 100; ++i) create("f" + std::to_string(i), small);
  ASSERT_TRUE(store().sync_all().ok());
  ASSERT_TRUE(rig.kms().rotate(key).ok());  // the bucket-level key in memory is of the old material now
  const auto generated = calls("GenerateDataKey"), decrypted = calls("Decrypt");
  ASSERT_EQ(queue(), 100U);
  reseal_all();
  EXPECT_EQ(calls("GenerateDataKey") - generated, 1U);
  EXPECT_LE(calls("Decrypt") - decrypted, 1U);
  EXPECT_EQ(calls("Encrypt"), 0U);
  std::set<std::string> materials;
  for (int i = 0; i < 100; ++i) materials.insert(material_of(envelope_of("f" + std::to_string(i))));
  EXPECT_EQ(materials, std::set{rig.kms().describe(key)->current_material_id});
}

TEST_F(RewrapTest, WithoutBucketKeysTheKmsIsAskedTwiceForEachObject) {
  put_rule(rule_of(SseAlgorithm::kAwsKms, key));
  for (int i = 0; i < 10; ++i) create("f" + std::to_string(i), small);
  ASSERT_TRUE(rig.kms().rotate(key).ok());
  const auto decrypted = calls("Decrypt");
  ASSERT_EQ(queue(), 10U);
  reseal_all();
  EXPECT_EQ(calls("Decrypt") - decrypted, 10U);
  EXPECT_EQ(calls("Encrypt"), 10U);
}

TEST_F(RewrapTest, TheCountOfSealsGoesOn) {
  put_rule(rule_of(SseAlgorithm::kAwsKms, key));
  create("small", small);
  ASSERT_TRUE(store().sync_all().ok());
  const auto ino = find("small");
  {
    std::lock_guard lock(rig.catalog().mutex());
    auto row = *rig.catalog().content(ino);
    row.seals_leased = 5 * kSealLease;
    ASSERT_TRUE(rig.catalog().put_content(row).ok());
  }
  ASSERT_TRUE(store().sync_all().ok());
  rig.reopen();
  ASSERT_TRUE(rig.kms().rotate(key).ok());
  ASSERT_EQ(queue(), 1U);
  reseal_all();
  ASSERT_TRUE(store().sync_all().ok());
  std::lock_guard lock(rig.catalog().mutex());
  EXPECT_GE(rig.catalog().content(ino)->seals_leased, 5 * kSealLease);
}

// A data key that has sealed enough is not kept, whatever the rule says.
TEST_F(RewrapTest, AWornDataKeyIsReplacedAndNotWrappedAnew) {
  put_rule(rule_of(SseAlgorithm::kAwsKms, key));
  create("small", small);
  ASSERT_TRUE(store().sync_all().ok());
  const auto ino = find("small");
  {
    std::lock_guard lock(rig.catalog().mutex());
    auto row = *rig.catalog().content(ino);
    row.seals_leased = kSealsPerKeyMax / 2;
    ASSERT_TRUE(rig.catalog().put_content(row).ok());
  }
  ASSERT_TRUE(store().sync_all().ok());
  rig.reopen();
  ASSERT_TRUE(rig.kms().rotate(key).ok());
  ASSERT_EQ(queue(), 1U);
  reseal_all();
  EXPECT_EQ(envelope_of("small").generation, 2U);
  expect_content("small", small);
}

// --- buckets of other accounts ---

TEST_F(RewrapTest, ADirectoryBucketsContextNamesItsOwnersAccount) {  // DIR-16
  const Principal eve = Principal::root_of(*AccountId::parse("111122223333"));
  const BucketName directory = *BucketName::parse("base--use1-az4--x-s3");
  NewInode attributes{0755, 1, 1, 0};
  attributes.as = &eve;
  const auto made = store().create_bucket(directory, attributes);
  ASSERT_TRUE(made.ok());
  const std::string arn = "arn:aws:s3express:us-east-1:111122223333:bucket/" + directory.str();
  for (const SseRule& rule :
       {rule_of(SseAlgorithm::kAwsKms, key, /*bucket_key=*/true), rule_of(SseAlgorithm::kAes256, "")}) {
    ASSERT_TRUE(store().put_rule(directory, rule).ok());
    const auto file = store().create(made->ino, "f", NewInode{0644, 1000, 1000, 0});
    ASSERT_TRUE(file.ok());
    ASSERT_TRUE(store().write(file->ino, 0, small).ok());
    EXPECT_EQ(store().sealing(file->ino)->envelope.context_arn, arn);
    ASSERT_EQ(*store().queue_reseal(directory, "", ResealScope::kNewDataKeys), 1U);
    reseal_all();
    EXPECT_EQ(store().sealing(file->ino)->envelope.context_arn, arn) << "under other data keys too";
    store().release(file->ino);
    ASSERT_TRUE(store().unlink(made->ino, "f").ok());
  }
}

// As earlier versions sealed what is in a directory bucket of another account: the context is what the envelope says.
TEST_F(RewrapTest, AnObjectOpensByTheContextInItsEnvelopeWhateverItsBucketsArn) {
  for (const auto& [algorithm, bucket_key] : kms_schemes()) {
    const SseRule rule = rule_of(algorithm, key, bucket_key);
    put_rule(rule);
    create("f", large);
    const std::string other = "arn:aws:s3express:us-east-1:000000000000:bucket/base--use1-az4--x-s3";
    const auto earlier = rig.keyring().rewrap(envelope_of("f"), rule, other, StoreRig::principal());
    ASSERT_TRUE(earlier.ok());
    ASSERT_TRUE(store().sync_all().ok());
    put_envelope("f", *earlier);
    expect_content("f", large);
    ASSERT_TRUE(rig.kms().rotate(key).ok());
    EXPECT_EQ(queue(), 1U);
    reseal_all();
    EXPECT_EQ(envelope_of("f").context_arn, other);
    expect_content("f", large);
    ASSERT_TRUE(store().unlink(bucket, "f").ok());
  }
}

}  // namespace
}  // namespace coffer
