#include "base/names.h"

#include <algorithm>

namespace coffer {
namespace {

bool lower_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }
bool digit(char c) { return c >= '0' && c <= '9'; }

bool looks_like_ipv4(std::string_view text) {
  return std::count(text.begin(), text.end(), '.') == 3 &&
         std::all_of(text.begin(), text.end(), [](char c) { return digit(c) || c == '.'; });
}

}  // namespace

Result<BucketName> BucketName::parse(std::string_view text) {
  const Error refused{Code::kInvalidBucketName,
                      "a bucket's name has 3 to 63 characters a-z 0-9 . - and begins and ends with a letter or digit"};
  if (text.size() < 3 || text.size() > 63) return refused;
  if (!lower_or_digit(text.front()) || !lower_or_digit(text.back())) return refused;
  for (char c : text)
    if (!lower_or_digit(c) && c != '.' && c != '-') return refused;
  if (text.find("..") != std::string_view::npos || looks_like_ipv4(text)) return refused;
  for (std::string_view prefix : {"xn--", "sthree-", "amzn-s3-demo-"})
    if (text.starts_with(prefix)) return Error{Code::kInvalidBucketName, "S3 reserves this beginning of a bucket's name"};
  for (std::string_view suffix : {"-s3alias", "--ol-s3", ".mrap", "--table-s3"})
    if (text.ends_with(suffix)) return Error{Code::kInvalidBucketName, "S3 reserves this ending of a bucket's name"};
  BucketName name{std::string(text)};
  if (text.ends_with("--x-s3") && (!name.is_directory_bucket() || text.find('.') != std::string_view::npos))
    return Error{Code::kInvalidBucketName, "a directory bucket's name is base--zone--x-s3, without dots"};
  return name;
}

bool BucketName::is_directory_bucket() const { return !zone().empty(); }

std::string_view BucketName::zone() const {
  constexpr std::string_view kSuffix = "--x-s3";
  if (!text_.ends_with(kSuffix)) return {};
  const auto stem = std::string_view(text_).substr(0, text_.size() - kSuffix.size());
  const auto mark = stem.rfind("--");
  if (mark == std::string_view::npos || mark == 0) return {};
  return stem.substr(mark + 2);
}

Result<AccountId> AccountId::parse(std::string_view text) {
  if (text.size() != 12 || !std::all_of(text.begin(), text.end(), digit))
    return Error{Code::kInvalidArgument, "an account id is 12 digits"};
  return AccountId{std::string(text)};
}

Result<Region> Region::parse(std::string_view text) {
  const auto fits = [](char c) { return lower_or_digit(c) || c == '-'; };
  if (text.empty() || text.size() > 32 || !std::all_of(text.begin(), text.end(), fits))
    return Error{Code::kInvalidArgument, "a region is written like us-east-1"};
  return Region{std::string(text)};
}

std::string bucket_arn(const Realm& realm, const BucketName& bucket) {
  if (!bucket.is_directory_bucket()) return "arn:aws:s3:::" + bucket.str();
  return "arn:aws:s3express:" + realm.region.str() + ":" + realm.account.str() + ":bucket/" + bucket.str();
}

std::string object_arn(const BucketName& bucket, std::string_view key) {
  return "arn:aws:s3:::" + bucket.str() + "/" + std::string(key);
}

std::string kms_key_arn(const Realm& realm, std::string_view key_id) {
  return "arn:aws:kms:" + realm.region.str() + ":" + realm.account.str() + ":key/" + std::string(key_id);
}

std::string kms_alias_arn(const Realm& realm, std::string_view alias_name) {
  return "arn:aws:kms:" + realm.region.str() + ":" + realm.account.str() + ":" + std::string(alias_name);
}

bool is_uuid(std::string_view text) {
  if (text.size() != 36) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool hyphen = i == 8 || i == 13 || i == 18 || i == 23;
    const bool hex = digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
    if (hyphen ? c != '-' : !hex) return false;
  }
  return true;
}

std::optional<KmsArn> parse_kms_arn(std::string_view text) {
  constexpr std::string_view kPrefix = "arn:aws:kms:";
  if (!text.starts_with(kPrefix)) return std::nullopt;
  text.remove_prefix(kPrefix.size());
  const auto region_end = text.find(':');
  if (region_end == std::string_view::npos) return std::nullopt;
  const auto account_end = text.find(':', region_end + 1);
  if (account_end == std::string_view::npos) return std::nullopt;
  return KmsArn{std::string(text.substr(0, region_end)),
                std::string(text.substr(region_end + 1, account_end - region_end - 1)),
                std::string(text.substr(account_end + 1))};
}

}  // namespace coffer
