#pragma once

#include <string_view>

#include "admin/control.h"
#include "admin/json_rpc.h"

namespace coffer {

// AWS KMS's JSON API, as far as symmetric encryption needs it (KMS API reference; botocore kms/2014-11-01). Sees
// requests whose signature holds. Thread-safe.
class KmsApi {
 public:
  KmsApi(const KmsControls& kms, const Realm& realm) : kms_(kms), realm_(realm) {}

  // operation: what follows TrentService. in X-Amz-Target.
  JsonAnswer serve(std::string_view operation, std::string_view body, const KmsCall& caller);

  static bool knows(std::string_view operation);

 private:
  using Request = const nlohmann::json&;
  using Operation = JsonAnswer (KmsApi::*)(Request, const KmsCall&);
  struct Row {
    std::string_view name;
    Operation operation;
  };
  static const Row* find(std::string_view operation);

  // kms_api_keys.cc: keys, their names and their tags
  JsonAnswer create_key(Request request, const KmsCall& caller);
  JsonAnswer describe_key(Request request, const KmsCall& caller);
  JsonAnswer list_keys(Request request, const KmsCall& caller);
  JsonAnswer update_key_description(Request request, const KmsCall& caller);
  JsonAnswer enable_key(Request request, const KmsCall& caller);
  JsonAnswer disable_key(Request request, const KmsCall& caller);
  JsonAnswer schedule_key_deletion(Request request, const KmsCall& caller);
  JsonAnswer cancel_key_deletion(Request request, const KmsCall& caller);
  JsonAnswer create_alias(Request request, const KmsCall& caller);
  JsonAnswer update_alias(Request request, const KmsCall& caller);
  JsonAnswer delete_alias(Request request, const KmsCall& caller);
  JsonAnswer list_aliases(Request request, const KmsCall& caller);
  JsonAnswer tag_resource(Request request, const KmsCall& caller);
  JsonAnswer untag_resource(Request request, const KmsCall& caller);
  JsonAnswer list_resource_tags(Request request, const KmsCall& caller);

  // kms_api_material.cc: what is behind a key
  JsonAnswer enable_key_rotation(Request request, const KmsCall& caller);
  JsonAnswer disable_key_rotation(Request request, const KmsCall& caller);
  JsonAnswer get_key_rotation_status(Request request, const KmsCall& caller);
  JsonAnswer list_key_rotations(Request request, const KmsCall& caller);
  JsonAnswer rotate_key_on_demand(Request request, const KmsCall& caller);
  JsonAnswer get_parameters_for_import(Request request, const KmsCall& caller);
  JsonAnswer import_key_material(Request request, const KmsCall& caller);
  JsonAnswer delete_imported_key_material(Request request, const KmsCall& caller);

  // kms_api_access.cc: who may use them
  JsonAnswer get_key_policy(Request request, const KmsCall& caller);
  JsonAnswer list_key_policies(Request request, const KmsCall& caller);
  JsonAnswer put_key_policy(Request request, const KmsCall& caller);
  JsonAnswer create_grant(Request request, const KmsCall& caller);
  JsonAnswer list_grants(Request request, const KmsCall& caller);
  JsonAnswer list_retirable_grants(Request request, const KmsCall& caller);
  JsonAnswer revoke_grant(Request request, const KmsCall& caller);
  JsonAnswer retire_grant(Request request, const KmsCall& caller);

  // kms_api_use.cc: cryptography
  JsonAnswer generate_data_key(Request request, const KmsCall& caller);
  JsonAnswer generate_data_key_without_plaintext(Request request, const KmsCall& caller);
  JsonAnswer generate_random(Request request, const KmsCall& caller);
  JsonAnswer encrypt(Request request, const KmsCall& caller);
  JsonAnswer decrypt(Request request, const KmsCall& caller);
  JsonAnswer re_encrypt(Request request, const KmsCall& caller);

  enum class Plaintext { kAnswered, kWithheld };
  JsonResult<DataKeyControl::Generated> generate(Request request, const KmsCall& caller, Plaintext plaintext);

  const KmsControls kms_;
  const Realm realm_;
};

}  // namespace coffer
