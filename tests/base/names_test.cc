#include "base/names.h"

#include <gtest/gtest.h>

namespace coffer {
namespace {

TEST(BucketName, TakesWhatS3Takes) {
  for (const std::string& good : {std::string("abc"), std::string("my-bucket"), std::string("my.bucket.1"),
                                  std::string("0start"), std::string("a--b"), std::string(63, 'a')})
    EXPECT_TRUE(BucketName::parse(good).ok()) << good;
}

TEST(BucketName, RefusesWhatS3Refuses) {
  for (const std::string& bad : {std::string(),
                                 std::string("ab"),
                                 std::string(64, 'a'),
                                 std::string("Upper"),
                                 std::string("under_score"),
                                 std::string("-start"),
                                 std::string("end-"),
                                 std::string(".start"),
                                 std::string("end."),
                                 std::string("two..dots"),
                                 std::string("192.168.5.4"),
                                 std::string("xn--name"),
                                 std::string("sthree-name"),
                                 std::string("amzn-s3-demo-b"),
                                 std::string("name-s3alias"),
                                 std::string("name--ol-s3"),
                                 std::string("name.mrap"),
                                 std::string("name--table-s3"),
                                 std::string("with blank"),
                                 std::string("with/slash"),
                                 std::string("n\0ul", 4),
                                 std::string("tr\xc3\xa9s"),
                                 std::string("--x-s3"),
                                 std::string("base--x-s3")}) {
    const auto parsed = BucketName::parse(bad);
    ASSERT_FALSE(parsed.ok()) << bad;
    EXPECT_EQ(parsed.code(), Code::kInvalidBucketName);
  }
}

TEST(BucketName, KnowsADirectoryBucket) {
  const auto name = BucketName::parse("base--use1-az4--x-s3");
  ASSERT_TRUE(name.ok());
  EXPECT_TRUE(name->is_directory_bucket());
  EXPECT_EQ(name->zone(), "use1-az4");
  EXPECT_FALSE(BucketName::parse("base--use1-az4")->is_directory_bucket());
}

TEST(AccountId, IsTwelveDigits) {
  EXPECT_TRUE(AccountId::parse("000000000000").ok());
  for (const char* bad : {"", "00000000000", "0000000000000", "00000000000a", "-00000000000"})
    EXPECT_EQ(AccountId::parse(bad).code(), Code::kInvalidArgument) << bad;
}

TEST(Region, IsWrittenLikeAwsWritesIt) {
  EXPECT_TRUE(Region::parse("us-east-1").ok());
  for (const std::string& bad :
       {std::string(), std::string("US"), std::string("us east"), std::string("us:east"), std::string(33, 'a')})
    EXPECT_EQ(Region::parse(bad).code(), Code::kInvalidArgument) << bad;
}

TEST(Arn, HasTheFormOfAws) {
  const Realm realm{AccountId::parse("111122223333").value(), Region::parse("eu-west-1").value()};
  const BucketName bucket = BucketName::parse("bucket").value();
  EXPECT_EQ(bucket_arn(realm, bucket), "arn:aws:s3:::bucket");
  EXPECT_EQ(bucket_arn(realm, BucketName::parse("b--use1-az4--x-s3").value()),
            "arn:aws:s3express:eu-west-1:111122223333:bucket/b--use1-az4--x-s3");
  EXPECT_EQ(object_arn(bucket, "dir/a b"), "arn:aws:s3:::bucket/dir/a b");
  EXPECT_EQ(kms_key_arn(realm, "id"), "arn:aws:kms:eu-west-1:111122223333:key/id");
  EXPECT_EQ(kms_alias_arn(realm, "alias/a"), "arn:aws:kms:eu-west-1:111122223333:alias/a");
  EXPECT_EQ(Principal::root_of(realm.account).arn, "arn:aws:iam::111122223333:root");
}

TEST(Arn, OfKmsComesApart) {
  const auto arn = parse_kms_arn("arn:aws:kms:eu-west-1:111122223333:alias/a:b/c");
  ASSERT_TRUE(arn);
  EXPECT_EQ(arn->region, "eu-west-1");
  EXPECT_EQ(arn->account, "111122223333");
  EXPECT_EQ(arn->resource, "alias/a:b/c");
  for (const char* bad :
       {"", "arn:aws:s3:::bucket", "arn:aws:kms:", "arn:aws:kms:eu-west-1", "arn:aws:kms:eu-west-1:1"})
    EXPECT_FALSE(parse_kms_arn(bad)) << bad;
}

TEST(Uuid, HasFiveGroupsOfHex) {
  EXPECT_TRUE(is_uuid("123e4567-e89b-12d3-a456-426614174000"));
  EXPECT_TRUE(is_uuid("123E4567-E89B-12D3-A456-426614174000"));
  for (const char* bad : {"", "123e4567e89b12d3a456426614174000", "123e4567-e89b-12d3-a456-42661417400",
                          "123e4567-e89b-12d3-a456-4266141740000", "123e4567-e89b-12d3-a456-42661417400g",
                          "123e4567-e89b-12d3-a4560426614174000"})
    EXPECT_FALSE(is_uuid(bad)) << bad;
}

}  // namespace
}  // namespace coffer
