#include "admin/audit_record.h"

#include <sys/random.h>

#include <algorithm>
#include <array>

#include "admin/timestamps.h"
#include "base/audit_limits.h"
#include "base/encoding.h"
#include "base/limits.h"

namespace coffer {
namespace {

using nlohmann::ordered_json;

std::string random_uuid() {
  std::array<std::uint8_t, 16> bytes{};
  if (getrandom(bytes.data(), bytes.size(), 0) < 0) bytes.fill(0);  // nothing depends on it
  bytes[6] = static_cast<std::uint8_t>((bytes[6] & 0x0f) | 0x40);
  bytes[8] = static_cast<std::uint8_t>((bytes[8] & 0x3f) | 0x80);
  std::string text;
  for (const char digit : hex(bytes)) {
    text.push_back(digit);
    if (text.size() == 8 || text.size() == 13 || text.size() == 18 || text.size() == 23) text.push_back('-');
  }
  return text;
}

ordered_json identity(const AuditCall& call) {
  if (!call.caller) return {{"type", "Unknown"}};
  const std::string& arn = call.caller->arn;
  const auto user = arn.find(":user/");
  const bool is_root = arn.ends_with(":root");
  const std::string account = call.caller->account.str();
  ordered_json out = {{"type", is_root ? "Root" : "IAMUser"},
                      {"principalId", is_root ? account : arn.substr(arn.rfind(':') + 1)},
                      {"arn", arn},
                      {"accountId", account}};
  if (!call.access_key_id.empty()) out["accessKeyId"] = call.access_key_id;
  if (user != arn.npos) out["userName"] = arn.substr(arn.rfind('/') + 1);
  if (call.by_service) out["invokedBy"] = kAuditInternal;
  return out;
}

bool is_read_only(const AuditCall& call) {
  constexpr std::array kReading = {"Decrypt", "Encrypt", "ReEncrypt", "Verify"};
  if (std::find(kReading.begin(), kReading.end(), call.name) != kReading.end()) return true;
  for (const std::string_view verb : {"Get", "List", "Head", "Describe", "Generate"})
    if (call.name.starts_with(verb)) return true;
  return false;
}

std::string_view type_of(std::string_view arn) {
  if (arn.find(":alias/") != arn.npos) return "AWS::KMS::Alias";
  if (arn.starts_with("arn:aws:s3express:")) return "AWS::S3Express::DirectoryBucket";
  return arn.starts_with("arn:aws:kms:") ? "AWS::KMS::Key" : "AWS::S3::Bucket";
}

ordered_json resources_of(const AuditCall& call, const Realm& realm) {
  auto out = ordered_json::array();
  for (const auto& arn : call.resources) {
    const auto parsed = parse_kms_arn(arn);
    const AccountId& owner = call.bucket_owner ? *call.bucket_owner : realm.account;
    out.push_back({{"accountId", parsed ? parsed->account : owner.str()}, {"type", type_of(arn)}, {"ARN", arn}});
  }
  return out;
}

std::string print(const ordered_json& record) {
  return record.dump(-1, ' ', /*ensure_ascii=*/false, ordered_json::error_handler_t::replace);
}

}  // namespace

std::string audit_text(std::string_view text) {
  if (text.size() <= kAuditTextMax) return std::string(text);
  std::string cut(text.substr(0, kAuditTextMax));
  cut.append("...");
  return cut;
}

std::string audit_error_code(std::string_view type) {
  return type == "AccessDeniedException" ? "AccessDenied" : std::string(type);
}

ordered_json audit_context(const std::map<std::string, std::string>& context) {
  std::size_t bytes = 0;
  for (const auto& [name, value] : context) bytes += name.size() + value.size();
  if (bytes > kAuditContextMax) return {{"(omitted)", std::to_string(bytes) + " bytes"}};
  auto out = ordered_json::object();
  for (const auto& [name, value] : context) out[name] = value;
  return out;
}

std::string audit_record(const AuditCall& call, const Realm& realm) {
  ordered_json record = {{"eventVersion", "1.08"},
                         {"userIdentity", identity(call)},
                         {"eventTime", iso8601_ms(call.time_ns)},
                         {"eventSource", call.source},
                         {"eventName", call.name},
                         {"awsRegion", realm.region.str()},
                         {"sourceIPAddress", call.by_service ? std::string(kAuditInternal) : call.address},
                         {"userAgent", call.by_service ? std::string(kAuditInternal) : audit_text(call.agent)}};
  if (!call.error_code.empty()) record["errorCode"] = call.error_code;
  if (!call.error_message.empty()) record["errorMessage"] = audit_text(call.error_message);
  record["requestParameters"] = call.parameters;
  record["responseElements"] = call.response;
  if (!call.additional.is_null()) record["additionalEventData"] = call.additional;
  record["requestID"] = call.request_id.empty() ? random_uuid() : call.request_id;
  record["eventID"] = random_uuid();
  record["readOnly"] = is_read_only(call);
  if (!call.resources.empty()) record["resources"] = resources_of(call, realm);
  record["eventType"] = call.source == kAuditCoffer ? "CofferCall" : "AwsApiCall";
  record["managementEvent"] = true;
  record["recipientAccountId"] = realm.account.str();
  std::string text = print(record);
  if (text.size() <= kAuditRecordMax) return text;
  record["requestParameters"] = {{"(omitted)", std::to_string(text.size()) + " bytes"}};
  record["responseElements"] = nullptr;
  text = print(record);
  if (text.size() <= kAuditRecordMax) return text;
  // What a client chose and JSON writes six times as long.
  for (const auto* name : {"resources", "errorMessage", "userAgent"}) record.erase(name);
  return print(record);
}

}  // namespace coffer
