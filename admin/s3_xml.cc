#include "admin/s3_xml.h"

#include <algorithm>

#include "admin/digest.h"
#include "admin/http.h"
#include "admin/timestamps.h"
#include "admin/xml_reader.h"
#include "base/encoding.h"
#include "base/limits.h"

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

bool read_rule(pugi::xml_node node, SseRule& rule) {
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
    } else {
      says_what = true;
      if (!(name == "BlockedEncryptionTypes" ? read_blocked(part, rule) : read_default(part, rule))) return false;
    }
  }
  return says_what;
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

// S3 names owners by 64 hex digits; here they follow from the account.
std::string canonical_user_id(const AccountId& account) {
  return hex(sha256(as_bytes("coffer canonical user " + account.str())));
}

}  // namespace

S3Result<SseRule> parse_encryption_configuration(std::string_view body) {
  XmlReader reader;
  if (!reader.parse(body)) return malformed_xml();
  const auto root = reader.root("ServerSideEncryptionConfiguration");
  if (!root) return malformed_xml();
  const auto rules = xml_children(root, {"Rule"});
  SseRule rule;
  if (!rules || rules->size() != 1 || !read_rule(rules->front(), rule)) return malformed_xml();
  if (rule.algorithm == SseAlgorithm::kAes256 && rule.kms_key)
    return S3Error{400,
                   "InvalidArgument",
                   "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse",
                   {{"ArgumentName", "ApplyServerSideEncryptionByDefault"}}};
  return rule;
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

S3Result<std::optional<std::string>> parse_create_bucket_configuration(std::string_view body) {
  XmlReader reader;
  if (!reader.parse(body)) return malformed_xml();
  const auto root = reader.root("CreateBucketConfiguration");
  if (!root) return malformed_xml();
  const auto parts = xml_children(root, {"LocationConstraint", "Location", "Bucket", "Tags"});
  if (!parts) return malformed_xml();
  std::optional<std::string> region;
  for (const auto part : *parts) {
    if (std::string_view(part.name()) != "LocationConstraint")
      return not_implemented("CreateBucketConfiguration is served with LocationConstraint alone; " +
                             std::string(part.name()) + " is not implemented.");
    const auto text = xml_text(part);
    if (!text) return malformed_xml();
    region = trim(*text);
  }
  return region;
}

std::string list_all_my_buckets_result(const AccountId& owner, const BucketPage& page) {
  std::string out(kDeclaration);
  out.append("<ListAllMyBucketsResult").append(kNamespaceAttribute).append("><Owner>");
  append_element(out, "ID", canonical_user_id(owner));
  out += "</Owner><Buckets>";
  for (const auto& bucket : page.buckets) {
    out += "<Bucket>";
    append_element(out, "Name", bucket.name.str());
    append_element(out, "CreationDate", iso8601_ms(bucket.created_ns));
    out += "</Bucket>";
  }
  out += "</Buckets>";
  if (!page.prefix.empty()) append_element(out, "Prefix", page.prefix);
  if (!page.continuation_token.empty()) append_element(out, "ContinuationToken", page.continuation_token);
  return out + "</ListAllMyBucketsResult>";
}

std::string error_document(const S3Error& error, std::string_view request_id, std::string_view host_id) {
  std::string out(kDeclaration);
  out += "<Error>";
  append_element(out, "Code", error.code);
  append_element(out, "Message", error.message);
  for (const auto& [name, text] : error.extras) append_element(out, name, text);
  append_element(out, "RequestId", request_id);
  append_element(out, "HostId", host_id);
  return out + "</Error>";
}

}  // namespace coffer
