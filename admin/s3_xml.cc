#include "admin/s3_xml.h"

#include <algorithm>

#include "admin/digest.h"
#include "admin/http.h"
#include "admin/timestamps.h"
#include "admin/xml_reader.h"
#include "base/encoding.h"
#include "base/limits.h"
#include "base/server_limits.h"

namespace coffer {
namespace {

constexpr std::string_view kDeclaration = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
constexpr std::string_view kNamespaceAttribute = " xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"";

// ---- reading ----

std::optional<bool> parse_boolean(std::string_view text) {
  if (text == "true") return true;
  if (text == "false") return false;
  return std::nullopt;
}

// The key's name is stored as it is, so it must be meant as it is: blanks around it are refused, not trimmed (PBE-57).
std::optional<std::string> parse_kms_key(pugi::xml_node node) {
  auto text = xml_text(node);
  if (!text || text->empty() || text->size() > kKmsKeyNameMax || trim(*text).size() != text->size())
    return std::nullopt;
  return text;
}

bool read_default(pugi::xml_node node, SseRule& rule) {
  const auto parts = xml_children(node, {"SSEAlgorithm", "KMSMasterKeyID", "KMSKeyID"});
  if (!parts) return false;
  std::optional<SseAlgorithm> algorithm;
  for (const auto part : *parts) {
    if (std::string_view(part.name()) == "SSEAlgorithm") {
      const auto text = xml_text(part);
      algorithm = text ? parse_sse(trim(*text)) : std::nullopt;
      if (!algorithm) return false;
    } else {
      if (rule.kms_key) return false;  // both names of one thing
      rule.kms_key = parse_kms_key(part);
      if (!rule.kms_key) return false;
    }
  }
  if (!algorithm) return false;
  rule.algorithm = *algorithm;
  return true;
}

bool read_blocked(pugi::xml_node node, SseRule& rule) {
  const auto parts = xml_children(node, {"EncryptionType"}, "EncryptionType");
  if (!parts || parts->empty()) return false;
  for (const auto part : *parts) {
    const auto text = xml_text(part);
    if (!text) return false;
    const auto name = trim(*text);
    if (name != "SSE-C" && name != "NONE") return false;
    const auto type = name == "SSE-C" ? BlockedEncryption::kSseC : BlockedEncryption::kNone;
    if (std::find(rule.blocked.begin(), rule.blocked.end(), type) != rule.blocked.end()) return false;
    rule.blocked.push_back(type);
  }
  return rule.blocked.size() == 1;  // SSE-C and NONE contradict each other
}

// stated: what it says of Bucket Keys itself.
bool read_rule(pugi::xml_node node, SseRule& rule, std::optional<bool>& stated) {
  const auto parts =
      xml_children(node, {"ApplyServerSideEncryptionByDefault", "BucketKeyEnabled", "BlockedEncryptionTypes"});
  if (!parts) return false;
  bool says_what = false;  // a rule must have a default or blocked types; without a default it is over AES256
  for (const auto part : *parts) {
    const std::string_view name = part.name();
    if (name == "BucketKeyEnabled") {
      const auto text = xml_text(part);
      const auto enabled = text ? parse_boolean(trim(*text)) : std::nullopt;
      if (!enabled) return false;
      rule.bucket_key_enabled = *enabled;
      stated = enabled;
    } else {
      says_what = true;
      if (!(name == "BlockedEncryptionTypes" ? read_blocked(part, rule) : read_default(part, rule))) return false;
    }
  }
  return says_what;
}

S3Result<SseRule> read_configuration(std::string_view body, std::optional<bool>& stated_bucket_key) {
  XmlReader reader;
  if (!reader.parse(body)) return malformed_xml();
  const auto root = reader.root("ServerSideEncryptionConfiguration");
  if (!root) return malformed_xml();
  const auto rules = xml_children(root, {"Rule"});
  SseRule rule;
  if (!rules || rules->size() != 1 || !read_rule(rules->front(), rule, stated_bucket_key)) return malformed_xml();
  if (rule.algorithm == SseAlgorithm::kAes256 && rule.kms_key)
    return S3Error{400,
                   "InvalidArgument",
                   "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse",
                   {{"ArgumentName", "ApplyServerSideEncryptionByDefault"}}};
  return rule;
}

bool names_alias(std::string_view key) { return key.starts_with("alias/") || key.find(":alias/") != std::string::npos; }

// A directory bucket's two elements, as the one pair of each zone type.
std::optional<std::string> read_zone(pugi::xml_node location, pugi::xml_node bucket) {
  const auto texts = [](pugi::xml_node node, std::string_view first,
                        std::string_view second) -> std::optional<std::pair<std::string, std::string>> {
    const auto parts = xml_children(node, {first, second});
    if (!parts || parts->size() != 2) return std::nullopt;
    auto a = xml_text(node.child(std::string(first).c_str())), b = xml_text(node.child(std::string(second).c_str()));
    if (!a || !b) return std::nullopt;
    return std::pair(std::string(trim(*a)), std::string(trim(*b)));
  };
  const auto where = texts(location, "Type", "Name"), what = texts(bucket, "Type", "DataRedundancy");
  if (!where || !what || what->first != "Directory" || where->second.empty()) return std::nullopt;
  const bool zone = where->first == "AvailabilityZone" && what->second == "SingleAvailabilityZone";
  const bool local = where->first == "LocalZone" && what->second == "SingleLocalZone";
  if (!zone && !local) return std::nullopt;
  return where->second;
}

// ---- writing ----

// Error documents repeat what strangers sent: what XML 1.0 cannot say becomes a question mark.
std::string ascii_or_replaced(std::string_view text) {
  std::string out;
  for (const char c : text) out += is_xml_text({&c, 1}) ? c : '?';
  return out;
}

void append_escaped(std::string& out, std::string_view text) {
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      case '\r': out += "&#13;"; break;
      default: out += c;
    }
  }
}

void append_element(std::string& out, std::string_view name, std::string_view text) {
  out.append("<").append(name).append(">");
  append_escaped(out, is_xml_text(text) ? std::string(text) : ascii_or_replaced(text));
  out.append("</").append(name).append(">");
}

// Whoever sent much is not sent much back.
std::string_view cut_text(std::string_view text) { return text.substr(0, kErrorTextMax); }

// S3 names owners by 64 hex digits; here they follow from the account.
std::string canonical_user_id(const AccountId& account) {
  return hex(sha256(as_bytes("coffer canonical user " + account.str())));
}

void append_buckets(std::string& out, const BucketPage& page) {
  out += "<Buckets>";
  for (const auto& bucket : page.buckets) {
    out += "<Bucket>";
    append_element(out, "Name", bucket.name.str());
    append_element(out, "CreationDate", iso8601_ms(bucket.created_ns));
    out += "</Bucket>";
  }
  out += "</Buckets>";
}

}  // namespace

S3Result<SseRule> parse_encryption_configuration(std::string_view body) {
  std::optional<bool> stated_bucket_key;
  return read_configuration(body, stated_bucket_key);
}

S3Result<SseRule> parse_directory_encryption_configuration(std::string_view body) {
  std::optional<bool> stated_bucket_key;
  auto read = read_configuration(body, stated_bucket_key);
  auto* rule = std::get_if<SseRule>(&read);
  if (rule == nullptr) return read;
  const auto refused = [&](std::string message, std::string_view argument, std::string_view value) -> S3Error {
    return invalid_argument(std::move(message), std::string(argument), std::string(value));
  };
  if (rule->algorithm == SseAlgorithm::kAwsKmsDsse)
    return refused("Directory buckets support AES256 and aws:kms alone.", "SSEAlgorithm", sse_name(rule->algorithm));
  if (!rule->blocked.empty())
    return refused("Directory buckets do not support BlockedEncryptionTypes.", "BlockedEncryptionTypes", "");
  if (stated_bucket_key == false)
    return invalid_request("S3 Bucket Keys are always enabled in directory buckets and cannot be disabled.");
  if (rule->algorithm == SseAlgorithm::kAwsKms && !rule->kms_key)
    return refused("aws:kms in a directory bucket needs a customer managed key.", "KMSMasterKeyID", "");
  if (rule->kms_key && names_alias(*rule->kms_key))
    return refused("Directory buckets take a key's id or ARN, not an alias.", "KMSMasterKeyID", *rule->kms_key);
  rule->bucket_key_enabled = true;
  return read;
}

std::string encryption_configuration(const SseRule& rule) {
  std::string out(kDeclaration);
  out.append("<ServerSideEncryptionConfiguration").append(kNamespaceAttribute).append("><Rule>");
  out += "<ApplyServerSideEncryptionByDefault>";
  append_element(out, "SSEAlgorithm", sse_name(rule.algorithm));
  if (rule.kms_key) append_element(out, "KMSMasterKeyID", *rule.kms_key);
  out += "</ApplyServerSideEncryptionByDefault>";
  append_element(out, "BucketKeyEnabled", rule.bucket_key_enabled ? "true" : "false");
  if (!rule.blocked.empty()) {
    out += "<BlockedEncryptionTypes>";
    for (const auto type : rule.blocked)
      append_element(out, "EncryptionType", type == BlockedEncryption::kSseC ? "SSE-C" : "NONE");
    out += "</BlockedEncryptionTypes>";
  }
  return out + "</Rule></ServerSideEncryptionConfiguration>";
}

S3Result<NewBucket> parse_create_bucket_configuration(std::string_view body) {
  XmlReader reader;
  if (!reader.parse(body)) return malformed_xml();
  const auto root = reader.root("CreateBucketConfiguration");
  if (!root) return malformed_xml();
  const auto parts = xml_children(root, {"LocationConstraint", "Location", "Bucket", "Tags"});
  if (!parts) return malformed_xml();
  NewBucket asked;
  for (const auto part : *parts) {
    if (std::string_view(part.name()) == "Tags") return not_implemented("Tags of buckets are not implemented.");
    if (std::string_view(part.name()) != "LocationConstraint") continue;
    const auto text = xml_text(part);
    if (!text) return malformed_xml();
    asked.region = trim(*text);
  }
  const auto location = root.child("Location"), bucket = root.child("Bucket");
  if (!location && !bucket) return asked;
  if (asked.region) return malformed_xml();
  asked.zone = read_zone(location, bucket);
  if (!asked.zone) return malformed_xml();
  return asked;
}

std::string create_bucket_configuration(std::string_view zone) {
  std::string out(kDeclaration);
  out.append("<CreateBucketConfiguration").append(kNamespaceAttribute).append(">");
  out += "<Location>";
  append_element(out, "Type", "AvailabilityZone");
  append_element(out, "Name", zone);
  out += "</Location><Bucket>";
  append_element(out, "Type", "Directory");
  append_element(out, "DataRedundancy", "SingleAvailabilityZone");
  return out + "</Bucket></CreateBucketConfiguration>";
}

std::string list_directory_buckets_result(const BucketPage& page) {
  std::string out(kDeclaration);
  out.append("<ListAllMyDirectoryBucketsResult").append(kNamespaceAttribute).append(">");
  append_buckets(out, page);
  if (!page.continuation_token.empty()) append_element(out, "ContinuationToken", page.continuation_token);
  return out + "</ListAllMyDirectoryBucketsResult>";
}

std::string create_session_result(const SessionCredentials& session) {
  std::string out;
  out.reserve(1024 + session.token.size() + session.secret.size());  // no copy of the secret is left behind by growing
  out.append(kDeclaration).append("<CreateSessionResult").append(kNamespaceAttribute).append("><Credentials>");
  append_element(out, "SessionToken", session.token);
  out.append("<SecretAccessKey>").append(as_text(session.secret.view())).append("</SecretAccessKey>");
  append_element(out, "AccessKeyId", session.access_key_id);
  append_element(out, "Expiration", iso8601(session.expires));
  return out + "</Credentials></CreateSessionResult>";
}

std::string list_all_my_buckets_result(const AccountId& owner, const BucketPage& page) {
  std::string out(kDeclaration);
  out.append("<ListAllMyBucketsResult").append(kNamespaceAttribute).append("><Owner>");
  append_element(out, "ID", canonical_user_id(owner));
  out += "</Owner>";
  append_buckets(out, page);
  if (!page.prefix.empty()) append_element(out, "Prefix", page.prefix);
  if (!page.continuation_token.empty()) append_element(out, "ContinuationToken", page.continuation_token);
  return out + "</ListAllMyBucketsResult>";
}

std::string error_document(const S3Error& error, std::string_view request_id, std::string_view host_id) {
  std::string out(kDeclaration);
  out += "<Error>";
  append_element(out, "Code", error.code);
  append_element(out, "Message", cut_text(error.message));
  for (const auto& [name, text] : error.extras) append_element(out, name, cut_text(text));
  append_element(out, "RequestId", request_id);
  append_element(out, "HostId", host_id);
  return out + "</Error>";
}

}  // namespace coffer
