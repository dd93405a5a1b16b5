#include "admin/coffer_api.h"

#include <algorithm>
#include <array>

#include "admin/report_json.h"
#include "admin/s3_error.h"
#include "base/encoding.h"
#include "base/limits.h"

namespace coffer {
namespace {

using nlohmann::json;

JsonError to_coffer(const Error& error, std::string_view bucket) {
  auto s3 = to_s3(error, bucket);
  return {s3.status, std::move(s3.code), std::move(s3.message)};
}

json text_or_null(std::string_view text) { return text.empty() ? json(nullptr) : json(text); }

json job_json(const JobStatus& job) { return {{"kind", job.kind}, {"done", job.done}, {"total", job.total}}; }
json layer_json(const LayerInfo& layer) { return {{"cipher", layer.cipher}, {"key_source", layer.key_source}}; }

json external_kms_json(const std::optional<ExternalKmsStatus>& kms) {
  if (!kms) return nullptr;
  return {{"endpoint", kms->endpoint}, {"state", kms->state},           {"calls", kms->calls},
          {"failures", kms->failures}, {"under_way", kms->under_way}, {"last_failure", text_or_null(kms->last_failure)}};
}

template <class T, class Print>
json array_of(const std::vector<T>& items, Print print) {
  auto out = json::array();
  for (const auto& item : items) out.push_back(print(item));
  return out;
}

// Why a key cannot seal now, or nothing. A key that is made at its first use is as good as there.
std::optional<Error> unusable(const KeyMetadata& key) {
  switch (key.state) {
    case KeyState::kEnabled: return std::nullopt;
    case KeyState::kDisabled: return Error{Code::kKeyDisabled, key.arn + " is disabled."};
    case KeyState::kPendingDeletion: return Error{Code::kKeyPendingDeletion, key.arn + " is pending deletion."};
    case KeyState::kPendingImport: return Error{Code::kKeyPendingImport, key.arn + " is pending import."};
  }
  return std::nullopt;
}

bool is_missing(Code code) { return code == Code::kNotFound || code == Code::kKeyMissing; }

constexpr JsonMembers::Sizes kKeySizes{1, 64 * 1024};

constexpr std::string_view kChangeUnlockSlots = "ChangeUnlockSlots";
constexpr JsonMembers::Sizes kProofSizes{48, 48};

constexpr std::size_t kAuditPlaceMax = 256;  // 176 hex digits
json damage_json(const Damage& damage) { return {{"object", damage.object}, {"what", damage.what}}; }
JsonError not_the_root() { return {403, "AccessDenied", "The audit trail is shown to the account's root alone"}; }

JsonError badly_encoded() { return validation_error("key and prefix are percent-encoded"); }

}  // namespace

struct CofferApi::Row {
  std::string_view name;
  JsonAnswer (CofferApi::*operation)(Request, const Principal&);
};

const CofferApi::Row* CofferApi::find(std::string_view operation) {
  static constexpr std::array<Row, 10> kRows = {{
      {"Status", &CofferApi::status},
      {"Inspect", &CofferApi::inspect},
      {"Reseal", &CofferApi::reseal},
      {"Scrub", &CofferApi::scrub},
      {"ScrubReport", &CofferApi::scrub_report},
      {kChangeUnlockSlots, &CofferApi::change_unlock_slots},
      {"Audit", &CofferApi::audit},
      {"AuditVerify", &CofferApi::audit_verify},
      {"KmsStats", &CofferApi::kms_stats},
      {"CheckBucket", &CofferApi::check_bucket},
  }};
  const auto* row = std::find_if(kRows.begin(), kRows.end(), [&](const Row& r) { return r.name == operation; });
  return row == kRows.end() ? nullptr : row;
}

bool CofferApi::knows(std::string_view operation) { return find(operation) != nullptr; }

bool CofferApi::is_local(std::string_view operation) { return operation == kChangeUnlockSlots; }

JsonAnswer CofferApi::serve(std::string_view operation, std::string_view body, const Principal& caller,
                            std::string_view user_agent) {
  const auto* row = find(operation);
  if (row == nullptr) return unknown_operation();
  const auto action = "coffer:" + std::string(operation);
  const auto allowed = access_.authorize_store({action, "*", caller, user_agent});
  if (!allowed.ok()) return to_coffer(allowed.error(), "");
  const auto request = parse_json_object(body);
  if (const auto* error = std::get_if<JsonError>(&request)) return *error;
  return (this->*row->operation)(std::get<json>(request), caller);
}

JsonAnswer CofferApi::status(Request, const Principal&) {
  const auto status = mount_.status();
  if (!status.ok()) return to_coffer(status.error(), "");
  const auto calls = data_keys_.call_counts();
  if (!calls.ok()) return to_coffer(calls.error(), "");
  const json mount = {{"store", status->store},
                      {"dir", status->dir},
                      {"socket", status->socket},
                      {"pid", status->pid},
                      {"commit", {{"counter", status->commit_counter}, {"digest", status->commit_digest}}},
                      {"jobs", array_of(status->jobs, job_json)},
                      {"poisoned", status->poisoned},
                      {"crypto", status->crypto},
                      {"cache", status->cache},
                      {"kms", *calls},
                      {"external_kms", external_kms_json(status->external_kms)}};
  return print_json({{"mounts", json::array({mount})}});
}

JsonAnswer CofferApi::inspect(Request request, const Principal&) {
  JsonMembers members(request);
  const auto bucket = members.required_text("bucket", kKeySizes);
  const auto key = members.required_text("key", kKeySizes);
  if (members.error()) return *members.error();
  const auto name = percent_decode(key);
  if (!name) return badly_encoded();
  const auto object = mount_.inspect(bucket, *name);
  if (!object.ok()) return to_coffer(object.error(), bucket);
  return print_json({{"bucket", object->bucket},
                     {"key", object->key},
                     {"sse", object->sse},
                     {"kms_key_arn", text_or_null(object->kms_key_arn)},
                     {"bucket_key", object->bucket_key},
                     {"chunk_size", object->chunk_size},
                     {"size", object->size},
                     {"layers", array_of(object->layers, layer_json)},
                     {"context", object->context},
                     {"reseal_pending", object->reseal_pending}});
}

JsonAnswer CofferApi::reseal(Request request, const Principal&) {
  JsonMembers members(request);
  const auto bucket_text = members.required_text("bucket", kKeySizes);
  const auto prefix = members.text("prefix", {0, kKeySizes.max});
  using Reseal = MountControl::Reseal;
  const auto what = members.flag("data") ? Reseal::kNewDataKeys : Reseal::kWhatIsDue;
  if (members.error()) return *members.error();
  const auto bucket = BucketName::parse(bucket_text);
  if (!bucket.ok()) return to_coffer(bucket.error(), bucket_text);
  const auto start = percent_decode(prefix.value_or(""));
  if (!start) return badly_encoded();
  const auto added = mount_.reseal(*bucket, *start, what);
  if (!added.ok()) return to_coffer(added.error(), bucket_text);
  return print_json({{"added", *added}});
}

JsonAnswer CofferApi::scrub(Request request, const Principal&) {
  JsonMembers members(request);
  const auto rate = members.integer("rate", 1, kScrubMibMax);
  using Scrub = MountControl::Scrub;
  const auto from = members.flag("restart") ? Scrub::kTheBeginning : Scrub::kWhereItWas;
  if (members.error()) return *members.error();
  const auto begun = mount_.scrub(rate.value_or(kScrubMibDefault), from);
  if (!begun.ok()) return to_coffer(begun.error(), "");
  return print_json(json::object());
}

JsonAnswer CofferApi::scrub_report(Request, const Principal&) {
  const auto status = mount_.scrub_status();
  if (!status.ok()) return to_coffer(status.error(), "");
  return print_json({{"running", status->running},
                     {"done", status->job.done},
                     {"total", status->job.total},
                     {"failure", text_or_null(status->failure)},
                     {"report", report_json(status->report)}});
}

JsonAnswer CofferApi::change_unlock_slots(Request request, const Principal&) {
  JsonMembers members(request);
  const auto keyslots = members.required_text("keyslots", {1, kUnlockSlotsJsonMax});
  const auto proof = members.required_blob("proof", kProofSizes);
  if (members.error()) return *members.error();
  if (auto changed = unlock_.change_slots(keyslots, proof); !changed.ok()) return to_coffer(changed.error(), "");
  return print_json(json::object());
}

// Whoever reads the trail reads everybody's names.
JsonAnswer CofferApi::audit(Request request, const Principal& caller) {
  JsonMembers members(request);
  const auto from = members.text("from", {0, kAuditPlaceMax});
  const auto limit = members.integer("limit", 1, kAuditPageMax);
  if (members.error()) return *members.error();
  if (!caller.arn.ends_with(":root")) return not_the_root();
  auto page = audit_.read(from.value_or(""), static_cast<std::size_t>(limit.value_or(kAuditPageMax)));
  if (!page.ok()) return to_coffer(page.error(), "");
  auto entries = json::array();
  for (auto& entry : page->entries) {
    entries.push_back({{"number", entry.number},
                       {"missing", entry.missing},
                       {"cuts", entry.cuts},
                       {"record", std::move(entry.record)}});
  }
  return print_json({{"entries", std::move(entries)}, {"next", page->next}, {"damage", array_of(page->damage, damage_json)}});
}

JsonAnswer CofferApi::audit_verify(Request, const Principal& caller) {
  if (!caller.arn.ends_with(":root")) return not_the_root();
  const auto verdict = audit_.verify();
  if (!verdict.ok()) return to_coffer(verdict.error(), "");
  return print_json({{"files", verdict->files},
                     {"records", verdict->records},
                     {"first_record", verdict->first_record},
                     {"missing", verdict->missing},
                     {"cuts", verdict->cuts},
                     {"digest", verdict->digest},
                     {"damage", array_of(verdict->damage, damage_json)}});
}

JsonAnswer CofferApi::kms_stats(Request, const Principal&) {
  const auto calls = data_keys_.call_counts();
  if (!calls.ok()) return to_coffer(calls.error(), "");
  return print_json(json(*calls));
}

// The KMS elsewhere, where it is asked for the rule's key because the one here has none of that ARN.
std::optional<ExternalKmsStatus> CofferApi::external_kms_of(const Result<KeyMetadata>& key_here, const SseRule& rule) {
  if (key_here.ok() || !is_missing(key_here.code()) || !rule.kms_key || !rule.kms_key->starts_with("arn:")) return {};
  const auto status = mount_.status();
  return status.ok() ? status->external_kms : std::nullopt;
}

JsonAnswer CofferApi::check_bucket(Request request, const Principal& caller) {
  JsonMembers members(request);
  const auto bucket_text = members.required_text("bucket", kKeySizes);
  if (members.error()) return *members.error();
  const auto bucket = BucketName::parse(bucket_text);
  if (!bucket.ok()) return to_coffer(bucket.error(), bucket_text);
  const auto rule = buckets_.rule(*bucket);
  if (!rule.ok()) return to_coffer(rule.error(), bucket_text);

  json out = {{"bucket", bucket_text},
              {"sse", sse_name(rule->algorithm)},
              {"kms_key", rule->kms_key ? json(*rule->kms_key) : json(nullptr)},
              {"kms_key_arn", nullptr},
              {"usable", true}};
  if (rule->algorithm == SseAlgorithm::kAes256) return print_json(out);

  const auto key = keys_.describe_key(rule->kms_key ? std::string_view(*rule->kms_key) : kAwsManagedAlias, {caller});
  const bool made_at_first_use = !key.ok() && is_missing(key.code()) && !rule->kms_key;
  if (made_at_first_use) return print_json(out);
  auto refusal = key.ok() ? unusable(*key) : std::optional<Error>(key.error());
  if (key.ok()) out["kms_key_arn"] = key->arn;
  if (const auto elsewhere = external_kms_of(key, *rule)) {
    // Whether the key itself serves is known when it is used.
    out["kms_key_arn"] = *rule->kms_key;
    refusal = elsewhere->state == "away" ? std::optional(Error{Code::kKmsAway, elsewhere->last_failure}) : std::nullopt;
  }
  if (refusal) {
    if (is_missing(refusal->code)) refusal->code = Code::kKeyMissing;  // the key's absence, not an object's
    const auto s3 = to_s3(*refusal, bucket_text);
    out["usable"] = false;
    out["code"] = s3.code;
    out["message"] = s3.message;
  }
  return print_json(out);
}

}  // namespace coffer
