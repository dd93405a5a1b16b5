#include "admin/kms_api.h"
#include "admin/kms_error.h"
#include "admin/kms_shapes.h"
#include "base/encoding.h"
#include "base/limits.h"

// What is behind a key: its material, how it turns, and how it comes from outside.
namespace coffer {
namespace {

using nlohmann::json;

std::optional<ImportWrapping> wrapping_named(std::string_view name) {
  if (name == "RSAES_OAEP_SHA_1") return ImportWrapping::kOaepSha1;
  if (name == "RSAES_OAEP_SHA_256") return ImportWrapping::kOaepSha256;
  if (name == "RSA_AES_KEY_WRAP_SHA_1") return ImportWrapping::kAesKeyWrapSha1;
  if (name == "RSA_AES_KEY_WRAP_SHA_256") return ImportWrapping::kAesKeyWrapSha256;
  return std::nullopt;
}

int rsa_bits_of(std::string_view spec) {
  if (spec == "RSA_2048") return 2048;
  if (spec == "RSA_3072") return 3072;
  return spec == "RSA_4096" ? 4096 : 0;
}

json rotation_json(const KeyRotation& rotation, const std::string& key_arn) {
  json out = {{"KeyId", key_arn},
              {"KeyMaterialId", rotation.material_id},
              {"KeyMaterialState", rotation.current ? "CURRENT" : "NON_CURRENT"}};
  if (rotation.kind != RotationKind::kNone) {
    out["RotationDate"] = epoch_seconds(rotation.when_ns);
    out["RotationType"] = rotation.kind == RotationKind::kOnDemand ? "ON_DEMAND" : "AUTOMATIC";
  }
  return out;
}

}  // namespace

JsonAnswer KmsApi::enable_key_rotation(Request request, const KmsCall& caller) {
  JsonMembers members(request);
  const auto key_id = members.required_text("KeyId", kKeyIdSizes);
  const auto days = members.integer("RotationPeriodInDays", kRotationDaysMin, kRotationDaysMax).value_or(kRotationDays);
  if (members.error()) return *members.error();
  return nothing_or(kms_.rotations.enable_rotation(key_id, days, caller));
}

JsonAnswer KmsApi::disable_key_rotation(Request request, const KmsCall& caller) {
  JsonMembers members(request);
  const auto key_id = members.required_text("KeyId", kKeyIdSizes);
  if (members.error()) return *members.error();
  return nothing_or(kms_.rotations.disable_rotation(key_id, caller));
}

JsonAnswer KmsApi::get_key_rotation_status(Request request, const KmsCall& caller) {
  JsonMembers members(request);
  const auto key_id = members.required_text("KeyId", kKeyIdSizes);
  if (members.error()) return *members.error();
  const auto key = kms_.rotations.rotation_status(key_id, caller);
  if (!key.ok()) return to_kms(key.error());
  json out = {{"KeyId", key->arn}, {"KeyRotationEnabled", key->rotation_days.has_value()}};
  if (key->rotation_days) out["RotationPeriodInDays"] = *key->rotation_days;
  if (key->next_rotation_ns) out["NextRotationDate"] = epoch_seconds(*key->next_rotation_ns);
  return print_json(out);
}

JsonAnswer KmsApi::list_key_rotations(Request request, const KmsCall& caller) {
  JsonMembers members(request);
  const auto key_id = members.required_text("KeyId", kKeyIdSizes);
  const auto limit = members.integer("Limit", 1, 1000).value_or(100);
  const auto marker = members.text("Marker", kMarkerSizes);
  const bool first_too =
      members.one_of("IncludeKeyMaterial", {"ALL_KEY_MATERIAL", "ROTATIONS_ONLY"}) == "ALL_KEY_MATERIAL";
  if (members.error()) return *members.error();
  auto rotations = kms_.rotations.list_rotations(key_id, caller);
  if (!rotations.ok()) return to_kms(rotations.error());
  // Material ids say nothing of the order: the marker is a place in it.
  std::vector<std::pair<std::string, KeyRotation>> placed;
  for (auto& rotation : rotations->all) {
    if (rotation.kind == RotationKind::kNone && !first_too) continue;
    auto place = std::to_string(placed.size());
    placed.emplace_back(std::string(8 - std::min<std::size_t>(8, place.size()), '0') + place, std::move(rotation));
  }
  return print_json(page_of(
      std::move(placed), "Rotations", static_cast<std::size_t>(limit), marker,
      [](const auto& item) { return item.first; },
      [&](const auto& item) { return rotation_json(item.second, rotations->key_arn); }));
}

JsonAnswer KmsApi::rotate_key_on_demand(Request request, const KmsCall& caller) {
  JsonMembers members(request);
  const auto key_id = members.required_text("KeyId", kKeyIdSizes);
  if (members.error()) return *members.error();
  const auto key = kms_.rotations.rotate_key(key_id, caller);
  if (!key.ok()) return to_kms(key.error());
  return print_json({{"KeyId", key->arn}});
}

JsonAnswer KmsApi::get_parameters_for_import(Request request, const KmsCall& caller) {
  JsonMembers members(request);
  const auto key_id = members.required_text("KeyId", kKeyIdSizes);
  members.require("WrappingAlgorithm");
  members.require("WrappingKeySpec");
  const auto algorithm =
      members.one_of("WrappingAlgorithm", {"RSAES_PKCS1_V1_5", "RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256",
                                           "RSA_AES_KEY_WRAP_SHA_1", "RSA_AES_KEY_WRAP_SHA_256", "SM2PKE"});
  const auto spec = members.one_of("WrappingKeySpec", {"RSA_2048", "RSA_3072", "RSA_4096", "SM2"});
  if (members.error()) return *members.error();
  const auto wrapping = wrapping_named(*algorithm);
  const int rsa_bits = rsa_bits_of(*spec);
  if (!wrapping || rsa_bits == 0)
    return JsonError{400, "UnsupportedOperationException",
                     "This KMS does not import with " + *algorithm + " under a key of " + *spec + "."};
  const auto parameters = kms_.imports.parameters_for_import(key_id, *wrapping, rsa_bits, caller);
  if (!parameters.ok()) return to_kms(parameters.error());
  return print_json({{"KeyId", parameters->key_arn},
                     {"ImportToken", base64(parameters->token)},
                     {"PublicKey", base64(parameters->public_key)},
                     {"ParametersValidTo", epoch_seconds(parameters->valid_to_ns)}});
}

JsonAnswer KmsApi::import_key_material(Request request, const KmsCall& caller) {
  JsonMembers members(request);
  const auto key_id = members.required_text("KeyId", kKeyIdSizes);
  const auto token = members.required_blob("ImportToken", kBlobSizes);
  const auto material = members.required_blob("EncryptedKeyMaterial", kBlobSizes);
  const auto valid_to = members.time_ns("ValidTo");
  const bool expires = members.one_of("ExpirationModel", {"KEY_MATERIAL_EXPIRES", "KEY_MATERIAL_DOES_NOT_EXPIRE"})
                           .value_or("KEY_MATERIAL_EXPIRES") == "KEY_MATERIAL_EXPIRES";
  // A key here has one material for life: what is imported first, and the same again.
  members.one_of("ImportType", {"NEW_KEY_MATERIAL", "EXISTING_KEY_MATERIAL"});
  members.only("KeyMaterialDescription", nullptr);
  const auto material_id = members.text("KeyMaterialId", {64, 64});
  if (members.error()) return *members.error();
  if (expires && !valid_to)
    return validation_error("A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES");
  if (!expires && valid_to)
    return validation_error("ValidTo must not be set if the ExpirationModel is KEY_MATERIAL_DOES_NOT_EXPIRE");
  const auto key =
      kms_.imports.import_material(key_id, token, material, valid_to, material_id.value_or(""), caller);
  if (!key.ok()) return to_kms(key.error());
  return print_json({{"KeyId", key->arn}, {"KeyMaterialId", key->current_material_id}});
}

JsonAnswer KmsApi::delete_imported_key_material(Request request, const KmsCall& caller) {
  JsonMembers members(request);
  const auto key_id = members.required_text("KeyId", kKeyIdSizes);
  const auto material_id = members.text("KeyMaterialId", {64, 64});
  if (members.error()) return *members.error();
  const auto key = kms_.imports.delete_imported_material(key_id, material_id.value_or(""), caller);
  if (!key.ok()) return to_kms(key.error());
  json out = {{"KeyId", key->arn}};
  if (!key->current_material_id.empty()) out["KeyMaterialId"] = key->current_material_id;
  return print_json(out);
}

}  // namespace coffer
