#include "admin/kms_api.h"

#include <algorithm>
#include <array>

#include "admin/kms_error.h"
#include "base/encoding.h"
#include "base/limits.h"

namespace coffer {
namespace {

using nlohmann::json;

constexpr JsonMembers::Sizes kKeyIdSizes{1, kKmsKeyNameMax};
constexpr JsonMembers::Sizes kAliasSizes{1, 256};
constexpr JsonMembers::Sizes kDescriptionSizes{0, 8192};
constexpr JsonMembers::Sizes kBlobSizes{1, 6144};
constexpr JsonMembers::Sizes kMarkerSizes{1, 1024};
constexpr int kDeletionDaysMin = 7, kDeletionDaysMax = 30, kDeletionDays = 30;

// KMS's times are seconds, with what is left as a fraction.
double epoch_seconds(std::int64_t ns) { return static_cast<double>(ns / 1'000'000) / 1000; }

json key_metadata(const KeyMetadata& key) {
  json out = {{"AWSAccountId", key.account.str()},
              {"KeyId", key.key_id},
              {"Arn", key.arn},
              {"CreationDate", epoch_seconds(key.created_ns)},
              {"Enabled", key.state == KeyState::kEnabled},
              {"Description", key.description},
              {"KeyUsage", "ENCRYPT_DECRYPT"},
              {"KeyState", key_state_name(key.state)},
              {"Origin", "AWS_KMS"},
              {"KeyManager", key.manager == KeyManager::kAws ? "AWS" : "CUSTOMER"},
              {"CustomerMasterKeySpec", "SYMMETRIC_DEFAULT"},
              {"KeySpec", "SYMMETRIC_DEFAULT"},
              {"EncryptionAlgorithms", {"SYMMETRIC_DEFAULT"}},
              {"MultiRegion", false}};
  if (!key.current_material_id.empty()) out["CurrentKeyMaterialId"] = key.current_material_id;
  if (key.deletion_ns) out["DeletionDate"] = epoch_seconds(*key.deletion_ns);
  return out;
}

// The page of `all` (sorted by `name`) behind a marker, with Truncated and NextMarker as KMS has them.
template <class T, class Name, class Print>
json page_of(std::vector<T> all, const char* member, std::size_t limit, const std::optional<std::string>& marker,
             Name name, Print print) {
  std::sort(all.begin(), all.end(), [&](const T& a, const T& b) { return name(a) < name(b); });
  json out = {{member, json::array()}, {"Truncated", false}};
  auto& items = out[member];
  std::string last;
  for (const auto& item : all) {
    if (marker && name(item) <= *marker) continue;
    if (items.size() == limit) {
      out["Truncated"] = true;
      out["NextMarker"] = last;
      break;
    }
    items.push_back(print(item));
    last = name(item);
  }
  return out;
}

// One JSON object with a secret as its last member. The whole is written into memory that does not grow, so that no
// copy stays behind.
std::string with_plaintext(const json& members, const SecretBytes& plaintext) {
  constexpr std::string_view kBegin = ",\"Plaintext\":\"", kEnd = "\"}";
  auto open = print_json(members);
  open.pop_back();
  auto text = base64(plaintext.view());
  std::string out;
  out.reserve(open.size() + kBegin.size() + text.size() + kEnd.size());
  out.append(open).append(kBegin).append(text).append(kEnd);
  wipe({reinterpret_cast<std::uint8_t*>(text.data()), text.size()});
  return out;
}

// Grants and trial runs do not exist here; a caller who relies on them must hear so.
void refuse_grants(JsonMembers& members) {
  members.only("GrantTokens", json::array());
  members.only("DryRun", false);
  members.only("Recipient", nullptr);
}

EncryptionContext take_context(JsonMembers& members, std::optional<JsonError>& error) {
  auto context = members.text_map("EncryptionContext");
  std::size_t size = 0;
  for (const auto& [name, value] : context) size += name.size() + value.size();
  if (size > kContextSizeMax) error = validation_error("EncryptionContext is larger than 8192 bytes.");
  return context;
}

JsonAnswer nothing_or(const Status& status) {
  if (!status.ok()) return to_kms(status.error());
  return std::string();
}

}  // namespace

const KmsApi::Row* KmsApi::find(std::string_view operation) {
  static constexpr std::array<Row, 13> kRows = {{
      {"CreateKey", &KmsApi::create_key},
      {"DescribeKey", &KmsApi::describe_key},
      {"ListKeys", &KmsApi::list_keys},
      {"EnableKey", &KmsApi::enable_key},
      {"DisableKey", &KmsApi::disable_key},
      {"ScheduleKeyDeletion", &KmsApi::schedule_key_deletion},
      {"CancelKeyDeletion", &KmsApi::cancel_key_deletion},
      {"RotateKeyOnDemand", &KmsApi::rotate_key_on_demand},
      {"CreateAlias", &KmsApi::create_alias},
      {"ListAliases", &KmsApi::list_aliases},
      {"GenerateDataKey", &KmsApi::generate_data_key},
      {"GenerateDataKeyWithoutPlaintext", &KmsApi::generate_data_key_without_plaintext},
      {"Decrypt", &KmsApi::decrypt},
  }};
  const auto* row = std::find_if(kRows.begin(), kRows.end(), [&](const Row& r) { return r.name == operation; });
  return row == kRows.end() ? nullptr : row;
}

bool KmsApi::knows(std::string_view operation) { return find(operation) != nullptr; }

JsonAnswer KmsApi::serve(std::string_view operation, std::string_view body, const Principal& caller) {
  const auto* row = find(operation);
  if (row == nullptr) return unknown_operation();
  const auto request = parse_json_object(body);
  if (const auto* error = std::get_if<JsonError>(&request)) return *error;
  return (this->*row->operation)(std::get<json>(request), caller);
}

JsonAnswer KmsApi::create_key(Request request, const Principal&) {
  JsonMembers members(request);
  const auto description = members.text("Description", kDescriptionSizes);
  members.only("KeyUsage", "ENCRYPT_DECRYPT");
  members.only("KeySpec", "SYMMETRIC_DEFAULT");
  members.only("CustomerMasterKeySpec", "SYMMETRIC_DEFAULT");
  members.only("Origin", "AWS_KMS");
  members.only("MultiRegion", false);
  for (const auto* name : {"Policy", "Tags", "CustomKeyStoreId", "XksKeyId"}) members.only(name, nullptr);
  if (members.error()) return *members.error();
  const auto key = keys_.create_key(description.value_or(""));
  if (!key.ok()) return to_kms(key.error());
  return print_json({{"KeyMetadata", key_metadata(*key)}});
}

JsonAnswer KmsApi::describe_key(Request request, const Principal&) {
  JsonMembers members(request);
  const auto key_id = members.required_text("KeyId", kKeyIdSizes);
  members.only("GrantTokens", json::array());
  if (members.error()) return *members.error();
  const auto key = keys_.describe_key(key_id);
  if (!key.ok()) return to_kms(key.error());
  return print_json({{"KeyMetadata", key_metadata(*key)}});
}

JsonAnswer KmsApi::list_keys(Request request, const Principal&) {
  JsonMembers members(request);
  const auto limit = members.integer("Limit", 1, 1000).value_or(100);
  const auto marker = members.text("Marker", kMarkerSizes);
  if (members.error()) return *members.error();
  auto keys = keys_.list_keys();
  if (!keys.ok()) return to_kms(keys.error());
  return print_json(page_of(
      *std::move(keys), "Keys", static_cast<std::size_t>(limit), marker, [](const auto& key) { return key.key_id; },
      [](const auto& key) {
        return json{{"KeyId", key.key_id}, {"KeyArn", key.arn}};
      }));
}

JsonAnswer KmsApi::enable_key(Request request, const Principal&) {
  JsonMembers members(request);
  const auto key_id = members.required_text("KeyId", kKeyIdSizes);
  if (members.error()) return *members.error();
  return nothing_or(keys_.enable_key(key_id));
}

JsonAnswer KmsApi::disable_key(Request request, const Principal&) {
  JsonMembers members(request);
  const auto key_id = members.required_text("KeyId", kKeyIdSizes);
  if (members.error()) return *members.error();
  return nothing_or(keys_.disable_key(key_id));
}

JsonAnswer KmsApi::schedule_key_deletion(Request request, const Principal&) {
  JsonMembers members(request);
  const auto key_id = members.required_text("KeyId", kKeyIdSizes);
  const auto days = members.integer("PendingWindowInDays", kDeletionDaysMin, kDeletionDaysMax).value_or(kDeletionDays);
  if (members.error()) return *members.error();
  const auto key = keys_.schedule_key_deletion(key_id, static_cast<int>(days));
  if (!key.ok()) return to_kms(key.error());
  json out = {{"KeyId", key->arn}, {"KeyState", key_state_name(key->state)}, {"PendingWindowInDays", days}};
  if (key->deletion_ns) out["DeletionDate"] = epoch_seconds(*key->deletion_ns);
  return print_json(out);
}

JsonAnswer KmsApi::cancel_key_deletion(Request request, const Principal&) {
  JsonMembers members(request);
  const auto key_id = members.required_text("KeyId", kKeyIdSizes);
  if (members.error()) return *members.error();
  const auto key = keys_.cancel_key_deletion(key_id);
  if (!key.ok()) return to_kms(key.error());
  return print_json({{"KeyId", key->arn}});
}

JsonAnswer KmsApi::rotate_key_on_demand(Request request, const Principal&) {
  JsonMembers members(request);
  const auto key_id = members.required_text("KeyId", kKeyIdSizes);
  if (members.error()) return *members.error();
  const auto key = keys_.describe_key(key_id);
  if (!key.ok()) return to_kms(key.error());
  const auto rotated = keys_.rotate_key(key->key_id);
  if (!rotated.ok()) return to_kms(rotated.error());
  return print_json({{"KeyId", key->key_id}});
}

JsonAnswer KmsApi::create_alias(Request request, const Principal&) {
  JsonMembers members(request);
  const auto name = members.required_text("AliasName", kAliasSizes);
  const auto key_id = members.required_text("TargetKeyId", kKeyIdSizes);
  if (members.error()) return *members.error();
  return nothing_or(aliases_.create_alias(name, key_id));
}

JsonAnswer KmsApi::list_aliases(Request request, const Principal&) {
  JsonMembers members(request);
  const auto key_id = members.text("KeyId", kKeyIdSizes);
  const auto limit = members.integer("Limit", 1, 100).value_or(50);
  const auto marker = members.text("Marker", kMarkerSizes);
  if (members.error()) return *members.error();
  auto aliases = aliases_.list_aliases();
  if (!aliases.ok()) return to_kms(aliases.error());
  if (key_id) {
    const auto key = keys_.describe_key(*key_id);
    if (!key.ok()) return to_kms(key.error());
    std::erase_if(*aliases, [&](const auto& alias) { return alias.target_key_id != key->key_id; });
  }
  return print_json(page_of(
      *std::move(aliases), "Aliases", static_cast<std::size_t>(limit), marker,
      [](const auto& alias) { return alias.name; },
      [&](const auto& alias) {
        return json{{"AliasName", alias.name},
                    {"AliasArn", kms_alias_arn(realm_, alias.name)},
                    {"TargetKeyId", alias.target_key_id},
                    {"CreationDate", epoch_seconds(alias.created_ns)},
                    {"LastUpdatedDate", epoch_seconds(alias.created_ns)}};
      }));
}

JsonResult<DataKeyControl::Generated> KmsApi::generate(Request request, const Principal& caller) {
  JsonMembers members(request);
  std::optional<JsonError> context_error;
  const auto key_id = members.required_text("KeyId", kKeyIdSizes);
  const auto spec = members.text("KeySpec", {0, 64});
  const auto bytes = members.integer("NumberOfBytes", 1, 1024);
  const auto context = take_context(members, context_error);
  refuse_grants(members);
  if (members.error()) return *members.error();
  if (context_error) return *context_error;
  if (spec && *spec != "AES_256" && *spec != "AES_128")
    return validation_error("1 validation error detected: Value '" + *spec +
                            "' at 'keySpec' failed to satisfy constraint: Member must satisfy enum value set: "
                            "[AES_256, AES_128]");
  if (spec.has_value() == bytes.has_value())
    return validation_error("Please specify either number of bytes or key spec.");
  const auto size = bytes ? static_cast<std::size_t>(*bytes) : *spec == "AES_256" ? 32U : 16U;
  auto generated = data_keys_.generate_data_key(key_id, size, context, caller);
  if (!generated.ok()) return to_kms(generated.error());
  return *std::move(generated);
}

JsonAnswer KmsApi::generate_data_key(Request request, const Principal& caller) {
  auto generated = generate(request, caller);
  if (auto* error = std::get_if<JsonError>(&generated)) return *error;
  const auto& key = std::get<DataKeyControl::Generated>(generated);
  json members = {{"CiphertextBlob", base64(key.blob)}, {"KeyId", key.key_arn}};
  if (!key.material_id.empty()) members["KeyMaterialId"] = key.material_id;
  return with_plaintext(members, key.plaintext);
}

JsonAnswer KmsApi::generate_data_key_without_plaintext(Request request, const Principal& caller) {
  auto generated = generate(request, caller);
  if (auto* error = std::get_if<JsonError>(&generated)) return *error;
  const auto& key = std::get<DataKeyControl::Generated>(generated);
  json members = {{"CiphertextBlob", base64(key.blob)}, {"KeyId", key.key_arn}};
  if (!key.material_id.empty()) members["KeyMaterialId"] = key.material_id;
  return print_json(members);
}

JsonAnswer KmsApi::decrypt(Request request, const Principal& caller) {
  JsonMembers members(request);
  std::optional<JsonError> context_error;
  const auto blob = members.required_blob("CiphertextBlob", kBlobSizes);
  const auto key_id = members.text("KeyId", kKeyIdSizes);
  const auto context = take_context(members, context_error);
  members.only("EncryptionAlgorithm", "SYMMETRIC_DEFAULT");
  refuse_grants(members);
  if (members.error()) return *members.error();
  if (context_error) return *context_error;
  const auto key = data_keys_.decrypt(blob, context, caller, key_id.value_or(""));
  if (!key.ok()) return to_kms(key.error());
  json out = {{"KeyId", key->key_arn}, {"EncryptionAlgorithm", "SYMMETRIC_DEFAULT"}};
  if (!key->material_id.empty()) out["KeyMaterialId"] = key->material_id;
  return with_plaintext(out, key->plaintext);
}

}  // namespace coffer
