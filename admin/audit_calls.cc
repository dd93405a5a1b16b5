#include "admin/audit_calls.h"

#include <algorithm>
#include <array>
#include <span>

#include "admin/json_rpc.h"
#include "admin/s3_xml.h"
#include "base/audit_limits.h"
#include "base/limits.h"

namespace coffer {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr std::string_view kS3Namespace = "http://s3.amazonaws.com/doc/2006-03-01/";

// As CloudTrail writes the members of a JSON protocol.
std::string lower_first(std::string name) {
  if (!name.empty() && name[0] >= 'A' && name[0] <= 'Z') name[0] = static_cast<char>(name[0] - 'A' + 'a');
  return name;
}

ordered_json shown(const json& value) {
  if (value.is_string()) return audit_text(value.get_ref<const std::string&>());
  if (value.is_number() || value.is_boolean()) return value;
  return nullptr;
}

// Texts of a map, or of a list of texts or of flat objects.
ordered_json shown_deep(const json& value) {
  if (value.is_object()) {
    auto out = ordered_json::object();
    for (const auto& [name, inner] : value.items()) out[lower_first(name)] = shown_deep(inner);
    return out;
  }
  if (value.is_array()) {
    auto out = ordered_json::array();
    for (const auto& inner : value) out.push_back(shown_deep(inner));
    return out;
  }
  return shown(value);
}

// The document of a policy, as JSON. Nothing where it is none: then it was refused.
ordered_json policy_document(std::string_view text) {
  const auto parsed = parse_json_object(text);
  if (const auto* policy = std::get_if<json>(&parsed)) return *policy;
  return audit_text(text);
}

// The text of a policy, whole.
ordered_json policy_in(const json& value) {
  if (!value.is_string()) return shown(value);
  const auto& text = value.get_ref<const std::string&>();
  const auto written = value.dump(-1, ' ', /*ensure_ascii=*/false, json::error_handler_t::replace);
  return written.size() <= kAuditPolicyMax ? ordered_json(text) : policy_document(text);
}

ordered_json context_in(const json& value) {
  std::map<std::string, std::string> context;
  if (!value.is_object()) return nullptr;
  for (const auto& [name, text] : value.items())
    if (text.is_string()) context[name] = text.get<std::string>();
  return audit_context(context);
}

enum class Form { kPlain, kDeep, kContext, kPolicy };
struct Told {
  std::string_view name;
  Form form = Form::kPlain;
};
constexpr std::array kToldOfKms = {Told{"KeyId"},
                                   Told{"KeySpec"},
                                   Told{"NumberOfBytes"},
                                   Told{"EncryptionAlgorithm"},
                                   Told{"EncryptionContext", Form::kContext},
                                   Told{"SourceKeyId"},
                                   Told{"DestinationKeyId"},
                                   Told{"SourceEncryptionContext", Form::kContext},
                                   Told{"DestinationEncryptionContext", Form::kContext},
                                   Told{"SourceEncryptionAlgorithm"},
                                   Told{"DestinationEncryptionAlgorithm"},
                                   Told{"DryRun"},
                                   Told{"Description"},
                                   Told{"KeyUsage"},
                                   Told{"CustomerMasterKeySpec"},
                                   Told{"Origin"},
                                   Told{"MultiRegion"},
                                   Told{"BypassPolicyLockoutSafetyCheck"},
                                   Told{"Tags", Form::kDeep},
                                   Told{"TagKeys", Form::kDeep},
                                   Told{"AliasName"},
                                   Told{"TargetKeyId"},
                                   Told{"PendingWindowInDays"},
                                   Told{"RotationPeriodInDays"},
                                   Told{"ExpirationModel"},
                                   Told{"ValidTo"},
                                   Told{"WrappingAlgorithm"},
                                   Told{"WrappingKeySpec"},
                                   Told{"ImportType"},
                                   Told{"KeyMaterialId"},
                                   Told{"PolicyName"},
                                   Told{"Policy", Form::kPolicy},
                                   Told{"GranteePrincipal"},
                                   Told{"RetiringPrincipal"},
                                   Told{"Operations", Form::kDeep},
                                   Told{"Constraints", Form::kDeep},
                                   Told{"Name"},
                                   Told{"GrantId"},
                                   Told{"Limit"},
                                   Told{"Marker"}};

constexpr std::array kToldOfIam = {Told{"UserName"},    Told{"Account"}, Told{"PolicyName"}, Told{"PolicyDocument", Form::kPolicy},
                                   Told{"AccessKeyId"}, Told{"Status"}};

constexpr std::array kToldOfCoffer = {Told{"bucket"}, Told{"prefix"}, Told{"data"}, Told{"rate"}, Told{"restart"}};

// Answers that hold no secret, and say what came of the call.
constexpr std::array kAnswersTold = {"CreateKey", "ScheduleKeyDeletion", "CancelKeyDeletion", "RotateKeyOnDemand"};

ordered_json told_of(const json& request, std::span<const Told> members) {
  auto parameters = ordered_json::object();
  for (const Told& told : members) {
    const auto found = request.find(told.name);
    if (found == request.end()) continue;
    auto& out = parameters[lower_first(std::string(told.name))];
    switch (told.form) {
      case Form::kPlain: out = shown(*found); break;
      case Form::kDeep: out = shown_deep(*found); break;
      case Form::kContext: out = context_in(*found); break;
      case Form::kPolicy: out = policy_in(*found); break;
    }
  }
  return parameters.empty() ? ordered_json(nullptr) : parameters;
}

// A text member of a JSON document as print_json writes it, without reading what else is in there: it may be a secret.
std::string text_in(std::string_view body, std::string_view name) {
  const std::string mark = "\"" + std::string(name) + "\":\"";
  const auto at = body.find(mark);
  if (at == body.npos) return {};
  const auto rest = body.substr(at + mark.size());
  return std::string(rest.substr(0, rest.find('"')));
}

void add_resource(AuditCall& call, const std::string& arn) {
  if (!arn.starts_with("arn:aws:")) return;
  if (std::find(call.resources.begin(), call.resources.end(), arn) == call.resources.end())
    call.resources.push_back(audit_text(arn));
}

ordered_json rule_json(const SseRule& rule) {
  ordered_json by_default = {{"SSEAlgorithm", sse_name(rule.algorithm)}};
  if (rule.kms_key) by_default["KMSMasterKeyID"] = *rule.kms_key;
  ordered_json out = {{"ApplyServerSideEncryptionByDefault", by_default},
                      {"BucketKeyEnabled", rule.bucket_key_enabled}};
  for (const BlockedEncryption type : rule.blocked)
    out["BlockedEncryptionTypes"]["EncryptionType"] = type == BlockedEncryption::kSseC ? "SSE-C" : "NONE";
  return {{"Rule", std::move(out)}, {"xmlns", kS3Namespace}};
}

ordered_json new_bucket_json(const NewBucket& bucket) {
  ordered_json out;
  if (bucket.region) out["LocationConstraint"] = *bucket.region;
  if (bucket.zone) out = {{"Location", {{"Name", *bucket.zone}}}, {"Bucket", {{"Type", "Directory"}}}};
  out["xmlns"] = kS3Namespace;
  return out;
}

}  // namespace

void tell_kms_request(AuditCall& call, std::string_view operation, std::string_view body) {
  call.source = kAuditKms;
  call.name = operation;
  const auto parsed = parse_json_object(body);
  const auto* request = std::get_if<json>(&parsed);
  if (request == nullptr) return;
  call.parameters = told_of(*request, kToldOfKms);
  for (const auto* name : {"KeyId", "SourceKeyId", "DestinationKeyId", "TargetKeyId"}) {
    const auto found = request->find(name);
    if (found != request->end() && found->is_string()) add_resource(call, found->get_ref<const std::string&>());
  }
}

void tell_kms_answer(AuditCall& call, std::string_view operation, std::string_view body) {
  for (const auto* name : {"KeyId", "SourceKeyId", "Arn"}) add_resource(call, text_in(body, name));
  if (std::find(kAnswersTold.begin(), kAnswersTold.end(), operation) == kAnswersTold.end()) return;
  const auto answer = json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (answer.is_object()) call.response = shown_deep(answer);
}

void tell_iam_request(AuditCall& call, std::string_view operation, std::string_view body) {
  call.source = kAuditIam;
  call.name = operation;
  const auto parsed = parse_json_object(body);
  if (const auto* request = std::get_if<json>(&parsed)) call.parameters = told_of(*request, kToldOfIam);
}

void tell_s3_request(AuditCall& call, const S3Target& target, const HttpRequest& request, const Realm& realm) {
  call.source = kAuditS3;
  auto parameters = ordered_json::object();
  if (!target.bucket.empty()) parameters["bucketName"] = audit_text(target.bucket);
  if (const auto host = request.header("host")) parameters["Host"] = audit_text(*host);
  for (const auto* name : {"encryption", "policy", "session"})
    if (target.has_query(name)) parameters[name] = "";
  if (call.name == "PutBucketEncryption") {
    const bool directory = target.bucket.ends_with("--x-s3");
    const auto rule = directory ? parse_directory_encryption_configuration(request.body)
                                : parse_encryption_configuration(request.body);
    if (const auto* read = std::get_if<SseRule>(&rule))
      parameters["ServerSideEncryptionConfiguration"] = rule_json(*read);
  }
  if (call.name == "CreateBucket" && !request.body.empty()) {
    const auto asked = parse_create_bucket_configuration(request.body);
    if (const auto* read = std::get_if<NewBucket>(&asked))
      parameters["CreateBucketConfiguration"] = new_bucket_json(*read);
  }
  if (call.name == "PutBucketPolicy") parameters["bucketPolicy"] = policy_document(request.body);
  call.parameters = std::move(parameters);
  if (const auto bucket = BucketName::parse(target.bucket); bucket.ok())
    call.resources.push_back(bucket_arn({call.bucket_owner.value_or(realm.account), realm.region}, *bucket));
}

bool tell_coffer_request(AuditCall& call, std::string_view operation, std::string_view body) {
  call.source = kAuditCoffer;
  call.name = operation;
  constexpr std::array<std::string_view, 3> kRecorded = {"Reseal", "Scrub", "ChangeUnlockSlots"};
  if (std::find(kRecorded.begin(), kRecorded.end(), operation) == kRecorded.end()) return false;
  const auto parsed = parse_json_object(body);
  const auto* request = std::get_if<json>(&parsed);
  if (request == nullptr) return true;
  call.parameters = told_of(*request, kToldOfCoffer);
  return true;
}

}  // namespace coffer
