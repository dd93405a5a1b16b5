#include "admin/kms_api.h"

#include <algorithm>
#include <array>

namespace coffer {

const KmsApi::Row* KmsApi::find(std::string_view operation) {
  static constexpr std::array kRows = {
      Row{"CancelKeyDeletion", &KmsApi::cancel_key_deletion},
      Row{"CreateAlias", &KmsApi::create_alias},
      Row{"CreateGrant", &KmsApi::create_grant},
      Row{"CreateKey", &KmsApi::create_key},
      Row{"Decrypt", &KmsApi::decrypt},
      Row{"DeleteAlias", &KmsApi::delete_alias},
      Row{"DeleteImportedKeyMaterial", &KmsApi::delete_imported_key_material},
      Row{"DescribeKey", &KmsApi::describe_key},
      Row{"DisableKey", &KmsApi::disable_key},
      Row{"DisableKeyRotation", &KmsApi::disable_key_rotation},
      Row{"EnableKey", &KmsApi::enable_key},
      Row{"EnableKeyRotation", &KmsApi::enable_key_rotation},
      Row{"Encrypt", &KmsApi::encrypt},
      Row{"GenerateDataKey", &KmsApi::generate_data_key},
      Row{"GenerateDataKeyWithoutPlaintext", &KmsApi::generate_data_key_without_plaintext},
      Row{"GenerateRandom", &KmsApi::generate_random},
      Row{"GetKeyPolicy", &KmsApi::get_key_policy},
      Row{"GetKeyRotationStatus", &KmsApi::get_key_rotation_status},
      Row{"GetParametersForImport", &KmsApi::get_parameters_for_import},
      Row{"ImportKeyMaterial", &KmsApi::import_key_material},
      Row{"ListAliases", &KmsApi::list_aliases},
      Row{"ListGrants", &KmsApi::list_grants},
      Row{"ListKeyPolicies", &KmsApi::list_key_policies},
      Row{"ListKeyRotations", &KmsApi::list_key_rotations},
      Row{"ListKeys", &KmsApi::list_keys},
      Row{"ListResourceTags", &KmsApi::list_resource_tags},
      Row{"ListRetirableGrants", &KmsApi::list_retirable_grants},
      Row{"PutKeyPolicy", &KmsApi::put_key_policy},
      Row{"ReEncrypt", &KmsApi::re_encrypt},
      Row{"RetireGrant", &KmsApi::retire_grant},
      Row{"RevokeGrant", &KmsApi::revoke_grant},
      Row{"RotateKeyOnDemand", &KmsApi::rotate_key_on_demand},
      Row{"ScheduleKeyDeletion", &KmsApi::schedule_key_deletion},
      Row{"TagResource", &KmsApi::tag_resource},
      Row{"UntagResource", &KmsApi::untag_resource},
      Row{"UpdateAlias", &KmsApi::update_alias},
      Row{"UpdateKeyDescription", &KmsApi::update_key_description},
  };
  const auto* row = std::find_if(kRows.begin(), kRows.end(), [&](const Row& r) { return r.name == operation; });
  return row == kRows.end() ? nullptr : row;
}

bool KmsApi::knows(std::string_view operation) { return find(operation) != nullptr; }

JsonAnswer KmsApi::serve(std::string_view operation, std::string_view body, const KmsCall& caller) {
  const auto* row = find(operation);
  if (row == nullptr) return unknown_operation();
  const auto request = parse_json_object(body);
  if (const auto* error = std::get_if<JsonError>(&request)) return *error;
  return (this->*row->operation)(std::get<nlohmann::json>(request), caller);
}

}  // namespace coffer
