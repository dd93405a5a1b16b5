#include <algorithm>

#include "admin/timestamps.h"
#include "base/clock.h"
#include "base/encoding.h"
#include "base/exit_code.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "cli/key_material.h"
#include "cli/wire_error.h"

namespace coffer {
namespace {

// A list that KMS hands out in pages, whole.
Result<Json> list_all(ApiClient& client, std::string_view operation, std::string_view member,
                      Json input = Json::object()) {
  Json all = Json::array();
  while (true) {
    COFFER_ASSIGN(const Json page, client.kms(operation, input));
    for (const auto& item : member_at(page, member)) all.push_back(item);
    const std::string next = text_at(page, "NextMarker");
    if (!truth_at(page, "Truncated") || next.empty()) break;
    input["Marker"] = next;
  }
  Json whole = Json::object();
  whole[std::string(member)] = std::move(all);
  whole["Truncated"] = false;
  return whole;
}

void print_list(const Json& list, std::string_view first, std::string_view second, Console& console) {
  for (const auto& item : list) {
    console.out << text_at(item, first);
    if (!second.empty()) console.out << '\t' << text_at(item, second);
    console.out << '\n';
  }
}

void print_key(const Json& key, Console& console) {
  console.out << text_at(key, "Arn") << '\n'
              << "state        " << text_at(key, "KeyState") << '\n'
              << "manager      " << text_at(key, "KeyManager") << '\n'
              << "created      " << iso8601(seconds_at(key, "CreationDate")) << '\n';
  if (const auto deletion = seconds_at(key, "DeletionDate"); deletion != 0) {
    console.out << "deletion     " << iso8601(deletion) << '\n';
  }
  if (const auto expiry = seconds_at(key, "ValidTo"); expiry != 0) {
    console.out << "expires      " << iso8601(expiry) << '\n';
  }
  console.out << "origin       " << text_at(key, "Origin") << '\n'
              << "material     " << text_at(key, "CurrentKeyMaterialId") << '\n'
              << "description  " << text_at(key, "Description") << '\n';
}

void print_counts(const Json& counts, Console& console) {
  for (const auto& [operation, count] : counts.items()) {
    if (count.is_number()) console.out << operation << '\t' << compact_json(count) << '\n';
  }
}

void print_bucket_check(const Json& check, Console& console) {
  const auto arn = text_at(check, "kms_key_arn");
  console.out << text_at(check, "bucket") << ": " << text_at(check, "sse") << (arn.empty() ? "" : " under ") << arn
              << (truth_at(check, "usable") ? " serves" : " does not serve") << '\n';
}

void print_rotation(const Json& status, Console& console) {
  if (!truth_at(status, "KeyRotationEnabled")) {
    console.out << "off: `coffer kms enable-key-rotation KEY` turns it on\n";
    return;
  }
  console.out << "every " << compact_json(member_at(status, "RotationPeriodInDays")) << " days, next at "
              << iso8601(seconds_at(status, "NextRotationDate")) << '\n';
}

void print_rotations(const Json& list, Console& console) {
  for (const auto& item : list) {
    const auto when = seconds_at(item, "RotationDate");
    console.out << text_at(item, "KeyMaterialId") << '\t' << (when == 0 ? "first" : iso8601(when)) << '\t'
                << text_at(item, "RotationType") << '\n';
  }
}

// NAME=VALUE, each as KMS's TagKey and TagValue.
Json tag_list(const std::vector<std::string>& tags) {
  Json list = Json::array();
  for (const auto& tag : tags) {
    const auto equals = std::min(tag.find('='), tag.size());
    list.push_back({{"TagKey", tag.substr(0, equals)}, {"TagValue", tag.substr(std::min(equals + 1, tag.size()))}});
  }
  return list;
}

// The one piece of cryptography a person cannot be asked to do by hand: wraps the file's bytes for the KMS that will
// import them.
Result<Json> import_material(ApiClient& client, const KmsOptions& options) {
  COFFER_ASSIGN(const SecretBytes material, read_material(options.file));
  COFFER_ASSIGN(const Json parameters,
                client.kms("GetParametersForImport", {{"KeyId", options.key},
                                                      {"WrappingAlgorithm", "RSAES_OAEP_SHA_256"},
                                                      {"WrappingKeySpec", "RSA_4096"}}));
  const auto public_key = unbase64(text_at(parameters, "PublicKey"));
  if (!public_key) return Error{Code::kIo, "the KMS sent no public key: the daemon's log says more"};
  COFFER_ASSIGN(const Bytes wrapped, wrap_for_import(*public_key, material.view()));
  Json input = {{"KeyId", options.key},
                {"ImportToken", text_at(parameters, "ImportToken")},
                {"EncryptedKeyMaterial", base64(wrapped)},
                {"ExpirationModel", options.valid_days ? "KEY_MATERIAL_EXPIRES" : "KEY_MATERIAL_DOES_NOT_EXPIRE"}};
  if (options.valid_days) input["ValidTo"] = SystemClock().wall_ns() / 1'000'000'000 + *options.valid_days * 86'400;
  return client.kms("ImportKeyMaterial", input);
}

Json new_key(const KmsOptions& options) {
  Json input = {{"Description", options.description}};
  if (options.external) input["Origin"] = "EXTERNAL";
  if (!options.tags.empty()) input["Tags"] = tag_list(options.tags);
  return input;
}

struct Call {
  std::string_view operation;
  Json input;
};

// The one request behind each verb but the two lists and the import.
Call call_of(const KmsOptions& options) {
  using Verb = KmsOptions::Verb;
  const Json key = {{"KeyId", options.key}};
  switch (options.verb) {
    case Verb::kCreateKey: return {"CreateKey", new_key(options)};
    case Verb::kListKeys: return {"ListKeys", Json::object()};
    case Verb::kListAliases: return {"ListAliases", Json::object()};
    case Verb::kStats: return {"KmsStats", Json::object()};
    case Verb::kDescribeKey: return {"DescribeKey", key};
    case Verb::kEnableKey: return {"EnableKey", key};
    case Verb::kDisableKey: return {"DisableKey", key};
    case Verb::kRotateKey: return {"RotateKeyOnDemand", key};
    case Verb::kEnableKeyRotation:
      return {"EnableKeyRotation", {{"KeyId", options.key}, {"RotationPeriodInDays", options.period}}};
    case Verb::kDisableKeyRotation: return {"DisableKeyRotation", key};
    case Verb::kGetKeyRotationStatus: return {"GetKeyRotationStatus", key};
    case Verb::kListKeyRotations:
      return {"ListKeyRotations", {{"KeyId", options.key}, {"IncludeKeyMaterial", "ALL_KEY_MATERIAL"}}};
    case Verb::kUpdateKeyDescription:
      return {"UpdateKeyDescription", {{"KeyId", options.key}, {"Description", options.description}}};
    case Verb::kTagResource: return {"TagResource", {{"KeyId", options.key}, {"Tags", tag_list(options.tags)}}};
    case Verb::kUntagResource: return {"UntagResource", {{"KeyId", options.key}, {"TagKeys", options.tags}}};
    case Verb::kListResourceTags: return {"ListResourceTags", key};
    case Verb::kImportKeyMaterial: return {"ImportKeyMaterial", key};
    case Verb::kDeleteImportedKeyMaterial: return {"DeleteImportedKeyMaterial", key};
    case Verb::kUpdateAlias: return {"UpdateAlias", {{"AliasName", options.alias}, {"TargetKeyId", options.key}}};
    case Verb::kDeleteAlias: return {"DeleteAlias", {{"AliasName", options.alias}}};
    case Verb::kCancelKeyDeletion: return {"CancelKeyDeletion", key};
    case Verb::kScheduleKeyDeletion:
      return {"ScheduleKeyDeletion", {{"KeyId", options.key}, {"PendingWindowInDays", options.days}}};
    case Verb::kGetKeyPolicy: return {"GetKeyPolicy", key};
    case Verb::kPutKeyPolicy: return {"PutKeyPolicy", key};
    case Verb::kListGrants: return {"ListGrants", key};
    case Verb::kCreateAlias: return {"CreateAlias", {{"AliasName", options.alias}, {"TargetKeyId", options.key}}};
    case Verb::kCheckBucket: return {"CheckBucket", {{"bucket", options.bucket}}};
  }
  return {};
}

void print_plain(const KmsOptions& options, const Json& answer, Console& console) {
  using Verb = KmsOptions::Verb;
  switch (options.verb) {
    case Verb::kCreateKey: console.out << text_at(member_at(answer, "KeyMetadata"), "Arn") << '\n'; return;
    case Verb::kListKeys: return print_list(member_at(answer, "Keys"), "KeyArn", "", console);
    case Verb::kListAliases: return print_list(member_at(answer, "Aliases"), "AliasName", "TargetKeyId", console);
    case Verb::kStats: return print_counts(answer, console);
    case Verb::kDescribeKey: return print_key(member_at(answer, "KeyMetadata"), console);
    case Verb::kScheduleKeyDeletion:
      console.out << text_at(answer, "KeyId") << " will be deleted for ever at "
                  << iso8601(seconds_at(answer, "DeletionDate"))
                  << ", and every object under it with it; `coffer kms cancel-key-deletion` keeps it\n";
      return;
    case Verb::kCheckBucket: return print_bucket_check(answer, console);
    case Verb::kGetKeyRotationStatus: return print_rotation(answer, console);
    case Verb::kListKeyRotations: return print_rotations(member_at(answer, "Rotations"), console);
    case Verb::kListResourceTags: return print_list(member_at(answer, "Tags"), "TagKey", "TagValue", console);
    case Verb::kGetKeyPolicy: console.out << text_at(answer, "Policy") << '\n'; return;
    case Verb::kListGrants: return print_list(member_at(answer, "Grants"), "GrantId", "GranteePrincipal", console);
    case Verb::kPutKeyPolicy:
    case Verb::kEnableKey:
    case Verb::kDisableKey:
    case Verb::kRotateKey:
    case Verb::kEnableKeyRotation:
    case Verb::kDisableKeyRotation:
    case Verb::kUpdateKeyDescription:
    case Verb::kTagResource:
    case Verb::kUntagResource:
    case Verb::kImportKeyMaterial:
    case Verb::kDeleteImportedKeyMaterial:
    case Verb::kCancelKeyDeletion:
    case Verb::kCreateAlias:
    case Verb::kUpdateAlias:
    case Verb::kDeleteAlias: return;
  }
}

Result<Json> ask(ApiClient& client, const KmsOptions& options) {
  using Verb = KmsOptions::Verb;
  if (options.verb == Verb::kListKeys) return list_all(client, "ListKeys", "Keys");
  if (options.verb == Verb::kListAliases) return list_all(client, "ListAliases", "Aliases");
  if (options.verb == Verb::kImportKeyMaterial) return import_material(client, options);
  if (options.verb == Verb::kPutKeyPolicy) {
    COFFER_ASSIGN(const std::string policy, read_policy_file(options.file));
    return client.kms("PutKeyPolicy", {{"KeyId", options.key}, {"Policy", policy}});
  }
  const Call call = call_of(options);
  if (options.verb == Verb::kListGrants) return list_all(client, call.operation, "Grants", call.input);
  if (options.verb == Verb::kListKeyRotations) return list_all(client, call.operation, "Rotations", call.input);
  if (options.verb == Verb::kListResourceTags) return list_all(client, call.operation, "Tags", call.input);
  const bool ours = options.verb == Verb::kStats || options.verb == Verb::kCheckBucket;
  return ours ? client.coffer(call.operation, call.input) : client.kms(call.operation, call.input);
}

}  // namespace

Result<int> run_command(const KmsOptions& options, Console& console) {
  COFFER_ASSIGN(ApiClient client, connect(options.endpoint));
  COFFER_ASSIGN(const Json answer, ask(client, options));
  if (options.json) {
    print_json(console.out, answer);
  } else {
    print_plain(options, answer, console);
  }
  const bool refused = options.verb == KmsOptions::Verb::kCheckBucket && !truth_at(answer, "usable");
  if (refused) return named_refusal(text_at(answer, "code"), text_at(answer, "message"));
  return kExitDone;
}

}  // namespace coffer
