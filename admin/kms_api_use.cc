#include "admin/kms_api.h"
#include "admin/kms_error.h"
#include "admin/kms_shapes.h"
#include "base/encoding.h"
#include "base/limits.h"

// Using keys.
namespace coffer {
namespace {

using nlohmann::json;

constexpr JsonMembers::Sizes kPlaintextSizes{1, kKmsEncryptMax};
constexpr const char* kSymmetric = "SYMMETRIC_DEFAULT";

// After all other members: what is no request at all is not one with the wrong algorithm.
void take_algorithm(JsonMembers& members, const char* name) {
  const auto algorithm =
      members.one_of(name, {"SYMMETRIC_DEFAULT", "RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256", "SM2PKE"});
  if (members.error() || algorithm.value_or(kSymmetric) == kSymmetric) return;
  members.refuse(to_kms({Code::kWrongKeyUsage, "The algorithm " + *algorithm +
                                                   " is not valid for a key whose KeySpec is SYMMETRIC_DEFAULT."}));
}

void put_if_known(json& out, const char* name, const std::string& material_id) {
  if (!material_id.empty()) out[name] = material_id;
}

}  // namespace

JsonResult<DataKeyControl::Generated> KmsApi::generate(Request request, const KmsCall& caller, Plaintext plaintext) {
  JsonMembers members(request);
  const auto key_id = members.required_text("KeyId", kKeyIdSizes);
  const auto spec = members.one_of("KeySpec", {"AES_256", "AES_128"});
  const auto bytes = members.integer("NumberOfBytes", 1, kKmsPlaintextMax);
  const auto context = take_context(members, "EncryptionContext");
  auto call = take_call(members, caller);
  call.without_plaintext = plaintext == Plaintext::kWithheld;
  if (members.error()) return *members.error();
  if (spec.has_value() == bytes.has_value())
    return validation_error("Please specify either number of bytes or key spec.");
  const auto size = bytes ? static_cast<std::size_t>(*bytes) : *spec == "AES_256" ? 32U : 16U;
  auto generated = kms_.data_keys.generate_data_key(key_id, size, context, call);
  if (!generated.ok()) return to_kms(generated.error());
  return *std::move(generated);
}

JsonAnswer KmsApi::generate_data_key(Request request, const KmsCall& caller) {
  auto generated = generate(request, caller, Plaintext::kAnswered);
  if (auto* error = std::get_if<JsonError>(&generated)) return *error;
  const auto& key = std::get<DataKeyControl::Generated>(generated);
  json members = {{"CiphertextBlob", base64(key.blob)}, {"KeyId", key.key_arn}};
  put_if_known(members, "KeyMaterialId", key.material_id);
  return with_plaintext(members, key.plaintext);
}

JsonAnswer KmsApi::generate_data_key_without_plaintext(Request request, const KmsCall& caller) {
  auto generated = generate(request, caller, Plaintext::kWithheld);
  if (auto* error = std::get_if<JsonError>(&generated)) return *error;
  const auto& key = std::get<DataKeyControl::Generated>(generated);
  json members = {{"CiphertextBlob", base64(key.blob)}, {"KeyId", key.key_arn}};
  put_if_known(members, "KeyMaterialId", key.material_id);
  return print_json(members);
}

JsonAnswer KmsApi::generate_random(Request request, const KmsCall& caller) {
  JsonMembers members(request);
  const auto bytes = members.integer("NumberOfBytes", 1, kKmsPlaintextMax);
  members.only("CustomKeyStoreId", nullptr);
  members.only("Recipient", nullptr);
  if (members.error()) return *members.error();
  if (!bytes) return validation_error("NumberOfBytes is required.");
  const auto random = kms_.data_keys.random_bytes(static_cast<std::size_t>(*bytes), caller);
  if (!random.ok()) return to_kms(random.error());
  return with_plaintext(json::object(), *random);
}

JsonAnswer KmsApi::encrypt(Request request, const KmsCall& caller) {
  JsonMembers members(request);
  const auto key_id = members.required_text("KeyId", kKeyIdSizes);
  const auto plaintext = members.required_secret("Plaintext", kPlaintextSizes);
  const auto context = take_context(members, "EncryptionContext");
  const auto call = take_call(members, caller);
  take_algorithm(members, "EncryptionAlgorithm");
  if (members.error()) return *members.error();
  const auto encrypted = kms_.data_keys.encrypt(key_id, plaintext.view(), context, call);
  if (!encrypted.ok()) return to_kms(encrypted.error());
  return print_json({{"CiphertextBlob", base64(encrypted->blob)},
                     {"KeyId", encrypted->key_arn},
                     {"EncryptionAlgorithm", kSymmetric}});
}

JsonAnswer KmsApi::decrypt(Request request, const KmsCall& caller) {
  JsonMembers members(request);
  const auto blob = members.required_blob("CiphertextBlob", kBlobSizes);
  const auto key_id = members.text("KeyId", kKeyIdSizes);
  const auto context = take_context(members, "EncryptionContext");
  const auto call = take_call(members, caller);
  take_algorithm(members, "EncryptionAlgorithm");
  if (members.error()) return *members.error();
  const auto key = kms_.data_keys.decrypt(blob, context, call, key_id.value_or(""));
  if (!key.ok()) return to_kms(key.error());
  json out = {{"KeyId", key->key_arn}, {"EncryptionAlgorithm", kSymmetric}};
  put_if_known(out, "KeyMaterialId", key->material_id);
  return with_plaintext(out, key->plaintext);
}

JsonAnswer KmsApi::re_encrypt(Request request, const KmsCall& caller) {
  JsonMembers members(request);
  const auto blob = members.required_blob("CiphertextBlob", kBlobSizes);
  const auto source = members.text("SourceKeyId", kKeyIdSizes);
  const auto destination = members.required_text("DestinationKeyId", kKeyIdSizes);
  auto source_context = take_context(members, "SourceEncryptionContext");
  auto destination_context = take_context(members, "DestinationEncryptionContext");
  const auto call = take_call(members, caller);
  take_algorithm(members, "SourceEncryptionAlgorithm");
  take_algorithm(members, "DestinationEncryptionAlgorithm");
  if (members.error()) return *members.error();
  const std::string source_key = source.value_or("");
  const auto done = kms_.data_keys.re_encrypt(
      {blob, source_key, std::move(source_context), destination, std::move(destination_context)}, call);
  if (!done.ok()) return to_kms(done.error());
  json out = {{"CiphertextBlob", base64(done->encrypted.blob)},
              {"KeyId", done->encrypted.key_arn},
              {"SourceKeyId", done->source_key_arn},
              {"SourceEncryptionAlgorithm", kSymmetric},
              {"DestinationEncryptionAlgorithm", kSymmetric}};
  put_if_known(out, "SourceKeyMaterialId", done->source_material_id);
  put_if_known(out, "DestinationKeyMaterialId", done->encrypted.material_id);
  return print_json(out);
}

}  // namespace coffer
