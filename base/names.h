#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace coffer {

// A bucket's name, checked against S3's naming rules for general purpose buckets (User Guide,
// "General purpose bucket naming rules"), or of the directory-bucket form base--zone--x-s3.
class BucketName {
 public:
  static Result<BucketName> parse(std::string_view text);
  const std::string& str() const { return text_; }
  bool is_directory_bucket() const;
  std::string_view zone() const;  // of a directory bucket: the zone its name says; else empty
  auto operator<=>(const BucketName&) const = default;

 private:
  explicit BucketName(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

// 12 digits.
class AccountId {
 public:
  static Result<AccountId> parse(std::string_view text);
  const std::string& str() const { return text_; }
  auto operator<=>(const AccountId&) const = default;

 private:
  explicit AccountId(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

// Lower-case letters, digits and hyphens, as us-east-1.
class Region {
 public:
  static Result<Region> parse(std::string_view text);
  const std::string& str() const { return text_; }
  auto operator<=>(const Region&) const = default;

 private:
  explicit Region(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

// Where a store believes it is: account and region of all its ARNs.
struct Realm {
  AccountId account;
  Region region;
};

// Who asks: the IAM ARN that key policies and Bucket Keys tell callers apart by.
struct Principal {
  AccountId account;
  std::string arn;
  static Principal root_of(const AccountId& account) { return {account, "arn:aws:iam::" + account.str() + ":root"}; }
  auto operator<=>(const Principal&) const = default;
};

// arn:aws:s3:::BUCKET; of a directory bucket arn:aws:s3express:R:A:bucket/BUCKET
std::string bucket_arn(const Realm& realm, const BucketName& bucket);
std::string object_arn(const BucketName& bucket, std::string_view key);       // arn:aws:s3:::BUCKET/KEY
std::string kms_key_arn(const Realm& realm, std::string_view key_id);         // arn:aws:kms:R:A:key/ID
std::string kms_alias_arn(const Realm& realm, std::string_view alias_name);   // arn:aws:kms:R:A:alias/NAME; alias_name has the alias/
bool is_uuid(std::string_view text);                                          // 8-4-4-4-12 lower or upper hex

// The parts of arn:aws:kms:REGION:ACCOUNT:RESOURCE, unchecked beyond their shape.
struct KmsArn {
  std::string region, account, resource;  // resource: key/ID or alias/NAME
};
std::optional<KmsArn> parse_kms_arn(std::string_view text);

// The alias whose key serves SSE-KMS rules that name none.
inline constexpr std::string_view kAwsManagedAlias = "alias/aws/s3";

}  // namespace coffer
