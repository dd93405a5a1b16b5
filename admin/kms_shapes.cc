#include "admin/kms_shapes.h"

#include "admin/kms_error.h"
#include "base/encoding.h"
#include "base/limits.h"

namespace coffer {

using nlohmann::json;

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
              {"Origin", key_origin_name(key.origin)},
              {"KeyManager", key.manager == KeyManager::kAws ? "AWS" : "CUSTOMER"},
              {"CustomerMasterKeySpec", "SYMMETRIC_DEFAULT"},
              {"KeySpec", "SYMMETRIC_DEFAULT"},
              {"EncryptionAlgorithms", {"SYMMETRIC_DEFAULT"}},
              {"MultiRegion", false}};
  if (!key.current_material_id.empty()) out["CurrentKeyMaterialId"] = key.current_material_id;
  if (key.deletion_ns) out["DeletionDate"] = epoch_seconds(*key.deletion_ns);
  if (key.origin == KeyOrigin::kExternal && key.has_material)
    out["ExpirationModel"] = key.expires_ns ? "KEY_MATERIAL_EXPIRES" : "KEY_MATERIAL_DOES_NOT_EXPIRE";
  if (key.expires_ns) out["ValidTo"] = epoch_seconds(*key.expires_ns);
  return out;
}

std::string with_plaintext(const json& members, const SecretBytes& plaintext) {
  constexpr std::string_view kBegin = "\"Plaintext\":\"", kEnd = "\"}";
  auto open = print_json(members);
  open.pop_back();
  if (!members.empty()) open += ',';
  auto text = base64(plaintext.view());
  std::string out;
  out.reserve(open.size() + kBegin.size() + text.size() + kEnd.size());
  out.append(open).append(kBegin).append(text).append(kEnd);
  wipe({reinterpret_cast<std::uint8_t*>(text.data()), text.size()});
  return out;
}

KmsCall take_call(JsonMembers& members, KmsCall caller) {
  members.texts("GrantTokens", {1, 8192});  // a grant is good from its answer on: nothing waits for its token
  members.only("Recipient", nullptr);
  members.only("DryRunModifiers", json::array());
  caller.dry_run = members.boolean("DryRun").value_or(false);
  return caller;
}

EncryptionContext take_context(JsonMembers& members, const char* name) {
  auto context = members.text_map(name);
  std::size_t size = 0;
  for (const auto& [key, value] : context) size += key.size() + value.size();
  if (size > kContextSizeMax) members.refuse(validation_error(std::string(name) + " is larger than 8192 bytes."));
  return context;
}

JsonAnswer nothing_or(const Status& status) {
  if (!status.ok()) return to_kms(status.error());
  return std::string();
}

}  // namespace coffer
