#include <gmock/gmock.h>

#include <filesystem>

#include "daemon/bucket_control.h"
#include "daemon/key_control.h"
#include "daemon/mount_control.h"
#include "store/opened_store.h"

namespace coffer {
namespace {

using testing::ElementsAre;

class RecordedCache final : public KernelCache {
 public:
  void forget_name(InodeNumber directory, const std::string& name) override {
    forgotten.push_back(std::to_string(directory) + "/" + name);
  }
  bool drop_pages(const std::vector<InodeNumber>& objects, std::chrono::milliseconds) override {
    dropped.insert(dropped.end(), objects.begin(), objects.end());
    return true;
  }
  std::vector<std::string> forgotten;
  std::vector<InodeNumber> dropped;
};

// The controls over a real store in a folder of its own.
class ControlsTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "controls.XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
    const Realm realm{AccountId::parse("000000000000").value(), Region::parse("us-east-1").value()};
    const Status created = StoreFolder::create(folder_ + "/s", secret(), realm);
    ASSERT_TRUE(created.ok()) << created.error().message;
    open();
  }
  void TearDown() override {
    close();
    std::filesystem::remove_all(folder_);
  }

  UnlockSecret secret() const { return KeyFile{key_.duplicate()}; }
  void open() {
    auto opened = OpenedStore::open(folder_ + "/s", secret(), clock_, {});
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    opened_ = *std::move(opened);
    auto store =
        Store::open(*opened_->catalog, opened_->folder->disk(), *opened_->keyring, clock_, log_nowhere(), caller_);
    ASSERT_TRUE(store.ok()) << store.error().message;
    store_ = *std::move(store);
  }
  void close() {
    store_ = nullptr;
    opened_ = nullptr;
  }

  StoreBucketControl buckets() {
    return {*store_, *opened_->keyring, *opened_->kms, *opened_->observed_kms, cache_, Region::parse("us-east-1").value(), 1000, 100,
            [this](LogLevel, std::string_view line) { log_.emplace_back(line); }};
  }
  static BucketName name(std::string_view text) { return BucketName::parse(text).value(); }

  // A file of `bucket`, opened for writing.
  InodeNumber make_file(std::string_view bucket) {
    const auto directory = store_->lookup(kRootInode, bucket);
    const auto made = store_->create(directory->ino, "file", {0600, 0, 0, 0});
    EXPECT_TRUE(made.ok());
    return made->ino;
  }

  std::string folder_;
  Key key_ = Key::random();
  SystemClock clock_;
  Principal caller_ = Principal::root_of(AccountId::parse("000000000000").value());
  RecordedCache cache_;
  std::vector<std::string> log_;
  std::unique_ptr<OpenedStore> opened_;
  std::unique_ptr<Store> store_;
};

TEST_F(ControlsTest, ABucketIsADirectoryOfTheMounter) {
  ASSERT_TRUE(buckets().create_bucket(name("photos"), caller_).ok());
  const auto inode = store_->lookup(kRootInode, "photos");
  ASSERT_TRUE(inode.ok());
  EXPECT_EQ(inode->kind, FileKind::kDirectory);
  EXPECT_EQ(inode->mode, 0755U);
  EXPECT_EQ(inode->uid, 1000U);
  EXPECT_EQ(inode->gid, 100U);
}

TEST_F(ControlsTest, TheKernelForgetsTheNamesOfBucketsThatComeAndGo) {
  ASSERT_TRUE(buckets().create_bucket(name("photos"), caller_).ok());
  EXPECT_FALSE(buckets().create_bucket(name("photos"), caller_).ok());
  ASSERT_TRUE(buckets().delete_bucket(name("photos")).ok());
  EXPECT_FALSE(buckets().delete_bucket(name("photos")).ok());
  EXPECT_THAT(cache_.forgotten, ElementsAre("1/photos", "1/photos"));
}

TEST_F(ControlsTest, RefusalsKeepTheirCodes) {
  EXPECT_EQ(buckets().find_bucket(name("none")).code(), Code::kNoSuchBucket);
  EXPECT_EQ(buckets().rule(name("none")).code(), Code::kNoSuchBucket);
  EXPECT_EQ(buckets().put_rule(name("none"), SseRule()).code(), Code::kNoSuchBucket);
  EXPECT_EQ(buckets().reset_rule(name("none")).code(), Code::kNoSuchBucket);
  EXPECT_EQ(buckets().delete_bucket(name("none")).code(), Code::kNoSuchBucket);
  ASSERT_TRUE(buckets().create_bucket(name("full"), caller_).ok());
  EXPECT_EQ(buckets().create_bucket(name("full"), caller_).code(), Code::kExists);
  make_file("full");
  EXPECT_EQ(buckets().delete_bucket(name("full")).code(), Code::kNotEmpty);
}

TEST_F(ControlsTest, BucketsAreListedByName) {
  for (const char* bucket : {"bbb", "ccc", "aaa"}) ASSERT_TRUE(buckets().create_bucket(name(bucket), caller_).ok());
  const auto listed = buckets().list_buckets();
  ASSERT_TRUE(listed.ok());
  std::vector<std::string> names;
  for (const BucketInfo& bucket : *listed) names.push_back(bucket.name.str());
  EXPECT_THAT(names, ElementsAre("aaa", "bbb", "ccc"));
}

TEST_F(ControlsTest, ARuleOutlivesTheProcessAndResettingEndsIt) {
  ASSERT_TRUE(buckets().create_bucket(name("photos"), caller_).ok());
  EXPECT_EQ(*buckets().rule(name("photos")), SseRule());
  SseRule rule;
  rule.algorithm = SseAlgorithm::kAwsKms;
  rule.kms_key = "alias/not-there";
  rule.bucket_key_enabled = true;
  ASSERT_TRUE(buckets().put_rule(name("photos"), rule).ok());
  close();
  open();
  EXPECT_EQ(*buckets().rule(name("photos")), rule);
  ASSERT_TRUE(buckets().reset_rule(name("photos")).ok());
  EXPECT_EQ(*buckets().rule(name("photos")), SseRule());
}

SseRule kms_rule(std::string key, bool bucket_key = true) {
  SseRule rule;
  rule.algorithm = SseAlgorithm::kAwsKms;
  rule.kms_key = std::move(key);
  rule.bucket_key_enabled = bucket_key;
  return rule;
}

TEST_F(ControlsTest, ADirectoryBucketHasOneKeyForLife) {  // DIR-05, DIR-10, SEED-17, SEED-24
  const BucketName bucket = name("base--use1-az4--x-s3");
  LocalKms& kms = *opened_->kms;
  ASSERT_TRUE(buckets().create_bucket(bucket, caller_).ok());
  const auto first = kms.create_key({.description = "first"}, caller_.account);
  const auto second = kms.create_key({.description = "second"}, caller_.account);
  ASSERT_TRUE(buckets().put_directory_rule(bucket, kms_rule(first->arn), caller_).ok());
  EXPECT_TRUE(buckets().put_directory_rule(bucket, kms_rule(first->key_id), caller_).ok()) << "the same by its id";
  EXPECT_EQ(buckets().rule(bucket)->kms_key, first->key_id) << "and kept as written";

  const auto refused = [&] {
    EXPECT_EQ(buckets().put_directory_rule(bucket, kms_rule(second->arn), caller_).code(), Code::kKeyPinned);
    EXPECT_EQ(buckets().put_directory_rule(bucket, kms_rule(second->key_id), caller_).code(), Code::kKeyPinned);
  };
  refused();
  ASSERT_TRUE(buckets().reset_rule(bucket).ok());
  EXPECT_EQ(*buckets().rule(bucket), SseRule::unconfigured(bucket));
  refused();
  ASSERT_TRUE(buckets().put_directory_rule(bucket, SseRule::unconfigured(bucket), caller_).ok());
  refused();
  const std::string arn = second->arn, kept = first->arn;
  close();
  open();
  EXPECT_EQ(buckets().put_directory_rule(bucket, kms_rule(arn), caller_).code(), Code::kKeyPinned) << "after a restart";
  EXPECT_TRUE(buckets().put_directory_rule(bucket, kms_rule(kept), caller_).ok());
}

TEST_F(ControlsTest, ADirectoryBucketsKeyIsTriedAsTheCallerBeforeItIsStored) {
  // DIR-06, DIR-10, SEED-18, SEED-24, SEED-38
  const BucketName bucket = name("base--use1-az4--x-s3");
  LocalKms& kms = *opened_->kms;
  ASSERT_TRUE(buckets().create_bucket(bucket, caller_).ok());
  const auto key = kms.create_key({.description = "k"}, caller_.account);
  const auto put = [&](const std::string& named, const Principal& caller) {
    return buckets().put_directory_rule(bucket, kms_rule(named), caller).code();
  };
  EXPECT_EQ(put("no-such-key", caller_), Code::kKeyMissing);
  EXPECT_EQ(put("arn:aws:kms:eu-west-1:000000000000:key/" + key->key_id, caller_), Code::kKeyMissing);
  EXPECT_EQ(put(key->arn, Principal::root_of(AccountId::parse("111111111111").value())), Code::kKeyDenied);
  ASSERT_TRUE(kms.disable(key->arn).ok());
  EXPECT_EQ(put(key->arn, caller_), Code::kKeyDisabled);
  ASSERT_TRUE(kms.enable(key->arn).ok());
  ASSERT_TRUE(kms.schedule_deletion(key->arn, 7).ok());
  EXPECT_EQ(put(key->arn, caller_), Code::kKeyPendingDeletion);
  ASSERT_TRUE(kms.cancel_deletion(key->arn).ok());
  ASSERT_TRUE(kms.enable(key->arn).ok());
  ASSERT_TRUE(kms.generate_data_key(kAwsManagedAlias, {}, caller_).ok());
  const auto managed = kms.describe(kAwsManagedAlias);
  EXPECT_EQ(put(managed->arn, caller_), Code::kInvalidArgument) << "aws/s3 by its ARN";
  EXPECT_EQ(put(managed->key_id, caller_), Code::kInvalidArgument);
  EXPECT_EQ(*buckets().rule(bucket), SseRule::unconfigured(bucket));

  const auto before = kms.call_counts();
  ASSERT_TRUE(buckets().put_directory_rule(bucket, kms_rule(key->arn), caller_).ok());
  const auto after = kms.call_counts();
  EXPECT_EQ(after.at("GenerateDataKey") - before.at("GenerateDataKey"), 1U);
  EXPECT_EQ(after.at("Decrypt") - before.at("Decrypt"), 1U);
}

// What AWS advises for keys of S3: they serve through S3, or for this bucket, and not otherwise.
TEST_F(ControlsTest, ADirectoryBucketTakesAKeyWhosePolicyServesS3Alone) {  // SEED-38, DIR-16
  const Principal ann{caller_.account, "arn:aws:iam::000000000000:user/ann"};
  const auto by_ann = [](const std::string& condition) {
    return R"({"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::000000000000:user/ann"},)"
           R"("Action":["kms:GenerateDataKey","kms:Decrypt"],"Resource":"*","Condition":)" + condition + "}";
  };
  const std::string condition_of_context = R"({"StringEquals":{"kms:EncryptionContext:aws:s3:arn":)";
  const std::string arn_of_account = R"("arn:aws:s3express:us-east-1:000000000000:bucket/)";
  struct Case {
    std::string statement;
    Principal caller;
    bool serves;
  };
  const Case cases[] = {
      {by_ann(R"({"StringEquals":{"kms:ViaService":"s3.us-east-1.amazonaws.com"}})"), ann, true},
      {by_ann(R"({"StringEquals":{"kms:ViaService":"sqs.us-east-1.amazonaws.com"}})"), ann, false},
      {by_ann(condition_of_context + arn_of_account + R"(b1--use1-az4--x-s3"}})"), ann, false},
      {by_ann(condition_of_context + arn_of_account + R"(b3--use1-az4--x-s3"}})"), ann, true},
      {R"({"Effect":"Deny","Principal":"*","Action":"kms:GenerateDataKey","Resource":"*","Condition":)"
       R"({"StringNotEquals":{"kms:ViaService":"s3.us-east-1.amazonaws.com"}}})",
       caller_, true}};
  const std::string owners =
      R"({"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::000000000000:root"},"Action":"kms:*","Resource":"*"})";
  LocalKms& kms = *opened_->kms;
  for (std::size_t i = 0; i < std::size(cases); ++i) {
    const BucketName bucket = name("b" + std::to_string(i) + "--use1-az4--x-s3");
    ASSERT_TRUE(buckets().create_bucket(bucket, caller_).ok());
    const std::string key = kms.create_key("")->arn;
    const std::string policy = R"({"Version":"2012-10-17","Statement":[)" + owners + "," + cases[i].statement + "]}";
    ASSERT_TRUE(kms.put_key_policy(key, policy, LocalKms::LockOut::kRefuse, {caller_}).ok()) << policy;
    const Status put = buckets().put_directory_rule(bucket, kms_rule(key), cases[i].caller);
    EXPECT_EQ(put.ok(), cases[i].serves) << policy << (put.ok() ? "" : put.error().message);
    if (!put.ok()) {
      EXPECT_EQ(put.code(), Code::kKeyDenied);
    }
    EXPECT_EQ(buckets().rule(bucket)->kms_key.has_value(), cases[i].serves);
  }
}

TEST_F(ControlsTest, AKeyNamedByIdOrAliasIsWarnedOf) {  // SEED-25
  ASSERT_TRUE(buckets().create_bucket(name("photos"), caller_).ok());
  ASSERT_TRUE(buckets().put_rule(name("photos"), kms_rule("arn:aws:kms:us-east-1:000000000000:key/x")).ok());
  EXPECT_TRUE(log_.empty());
  for (const char* key : {"alias/mine", "11111111-2222-4333-8444-555555555555"}) {
    ASSERT_TRUE(buckets().put_rule(name("photos"), kms_rule(key)).ok());
    ASSERT_EQ(log_.size(), 1U);
    EXPECT_EQ(log_[0].find(key), std::string::npos) << "logs name no keys";
    log_.clear();
  }
}

TEST_F(ControlsTest, NewBucketsBlockSseCWhereThatWasAskedFor) {  // GBE-02
  ASSERT_TRUE(buckets().create_bucket(name("before"), caller_).ok());
  store_->block_sse_c_in_new_buckets();
  for (const char* bucket : {"after", "base--use1-az4--x-s3"}) ASSERT_TRUE(buckets().create_bucket(name(bucket), caller_).ok());
  EXPECT_TRUE(buckets().rule(name("before"))->blocked.empty());
  EXPECT_THAT(buckets().rule(name("after"))->blocked, ElementsAre(BlockedEncryption::kSseC));
  EXPECT_TRUE(buckets().rule(name("base--use1-az4--x-s3"))->blocked.empty());
  ASSERT_TRUE(buckets().reset_rule(name("after")).ok());
  EXPECT_EQ(*buckets().rule(name("after")), SseRule());
}

TEST_F(ControlsTest, ADisabledKeyTakesItsObjectsAlongAndEnablingBringsThemBack) {
  StoreKeyUsers users(*store_, *opened_->bucket_keys, cache_, log_nowhere());
  KmsKeyControl keys(*opened_->kms, users, [&] { return store_->sync_all(); });
  ASSERT_TRUE(buckets().create_bucket(name("secret"), caller_).ok());
  ASSERT_TRUE(buckets().create_bucket(name("plain"), caller_).ok());
  const auto key = keys.create_key({.description = "k"}, {caller_});
  SseRule rule;
  rule.algorithm = SseAlgorithm::kAwsKms;
  rule.kms_key = key->arn;
  ASSERT_TRUE(buckets().put_rule(name("secret"), rule).ok());

  const Bytes text(100'000, 'x');
  const InodeNumber secret_file = make_file("secret"), plain_file = make_file("plain");
  for (const InodeNumber file : {secret_file, plain_file}) ASSERT_TRUE(store_->write(file, 0, text).ok());

  ASSERT_TRUE(keys.disable_key(key->key_id, {caller_}).ok());
  Bytes read(text.size());
  EXPECT_EQ(store_->read(secret_file, 0, read).code(), Code::kKeyDisabled);
  EXPECT_EQ(store_->open_object(secret_file, /*truncate=*/false).code(), Code::kKeyDisabled);
  EXPECT_EQ(store_->read(plain_file, 0, read).value(), text.size()) << "under another key";
  EXPECT_THAT(cache_.dropped, ElementsAre(secret_file, secret_file)) << "before the state changed, and after";
  EXPECT_FALSE(store_->poisoned());

  ASSERT_TRUE(keys.enable_key(key->key_id, {caller_}).ok());
  ASSERT_EQ(store_->read(secret_file, 0, read).value(), text.size()) << "what was dirty has been sealed";
  EXPECT_EQ(read, text);
}

TEST_F(ControlsTest, AKeyScheduledForDeletionServesAgainOnlyAfterEnabling) {
  StoreKeyUsers users(*store_, *opened_->bucket_keys, cache_, log_nowhere());
  KmsKeyControl keys(*opened_->kms, users, [&] { return store_->sync_all(); });
  ASSERT_TRUE(buckets().create_bucket(name("secret"), caller_).ok());
  const auto key = keys.create_key({.description = "k"}, {caller_});
  SseRule rule;
  rule.algorithm = SseAlgorithm::kAwsKmsDsse;
  rule.kms_key = key->arn;
  if (!opened_->suite->can_double()) GTEST_SKIP() << "one library alone works here";
  ASSERT_TRUE(buckets().put_rule(name("secret"), rule).ok());
  const InodeNumber file = make_file("secret");
  ASSERT_TRUE(store_->write(file, 0, as_bytes("text")).ok());

  Bytes read(4);
  ASSERT_TRUE(keys.schedule_key_deletion(key->arn, 7, {caller_}).ok());
  EXPECT_EQ(store_->read(file, 0, read).code(), Code::kKeyPendingDeletion);
  ASSERT_TRUE(keys.cancel_key_deletion(key->arn, {caller_}).ok());
  EXPECT_EQ(store_->read(file, 0, read).code(), Code::kKeyDisabled);
  ASSERT_TRUE(keys.enable_key(key->arn, {caller_}).ok());
  EXPECT_EQ(store_->read(file, 0, read).value(), 4U);
  EXPECT_EQ(as_text(read), "text");
}

TEST_F(ControlsTest, InspectTellsTheEnvelopeAndStatusTheCommits) {
  StoreMountControl mount(*store_, *opened_->suite, {"/store", "/dir", "/store/admin.sock"});
  ASSERT_TRUE(buckets().create_bucket(name("photos"), caller_).ok());
  const InodeNumber file = make_file("photos");
  ASSERT_TRUE(store_->write(file, 0, as_bytes("text")).ok());
  const auto object = mount.inspect("photos", "file");
  ASSERT_TRUE(object.ok()) << object.error().message;
  EXPECT_EQ(object->sse, "AES256");
  EXPECT_EQ(object->size, 4U);
  ASSERT_EQ(object->layers.size(), 1U);
  EXPECT_EQ(object->layers[0].cipher, "AES-256-GCM");
  EXPECT_EQ(object->layers[0].key_source, "sse-s3");
  EXPECT_EQ(object->context.at("aws:s3:arn"), "arn:aws:s3:::photos/file");
  EXPECT_EQ(mount.inspect("photos", "none").code(), Code::kNotFound);
  EXPECT_EQ(mount.inspect("none", "file").code(), Code::kNoSuchBucket);

  const auto before = mount.status();
  ASSERT_TRUE(store_->sync_all().ok());
  const auto after = mount.status();
  EXPECT_GT(after->commit_counter, before->commit_counter);
  EXPECT_NE(after->commit_digest, before->commit_digest);
  EXPECT_EQ(after->store, "/store");
  EXPECT_FALSE(after->poisoned);
}

}  // namespace
}  // namespace coffer
