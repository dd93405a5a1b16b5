#pragma once

#include <string_view>

#include "admin/control.h"
#include "admin/json_rpc.h"

namespace coffer {

// AWS KMS's JSON API, as far as S3's encryption needs it (KMS API reference; botocore kms/2014-11-01). Sees requests
// whose signature holds. Thread-safe.
class KmsApi {
 public:
  KmsApi(KeyControl& keys, AliasControl& aliases, DataKeyControl& data_keys, const Realm& realm)
      : keys_(keys), aliases_(aliases), data_keys_(data_keys), realm_(realm) {}

  // operation: what follows TrentService. in X-Amz-Target.
  JsonAnswer serve(std::string_view operation, std::string_view body, const Principal& caller);

  static bool knows(std::string_view operation);

 private:
  using Request = const nlohmann::json&;
  using Operation = JsonAnswer (KmsApi::*)(Request, const Principal&);
  struct Row {
    std::string_view name;
    Operation operation;
  };
  static const Row* find(std::string_view operation);

  JsonAnswer create_key(Request request, const Principal& caller);
  JsonAnswer describe_key(Request request, const Principal& caller);
  JsonAnswer list_keys(Request request, const Principal& caller);
  JsonAnswer enable_key(Request request, const Principal& caller);
  JsonAnswer disable_key(Request request, const Principal& caller);
  JsonAnswer schedule_key_deletion(Request request, const Principal& caller);
  JsonAnswer cancel_key_deletion(Request request, const Principal& caller);
  JsonAnswer rotate_key_on_demand(Request request, const Principal& caller);
  JsonAnswer create_alias(Request request, const Principal& caller);
  JsonAnswer list_aliases(Request request, const Principal& caller);
  JsonAnswer generate_data_key(Request request, const Principal& caller);
  JsonAnswer generate_data_key_without_plaintext(Request request, const Principal& caller);
  JsonAnswer decrypt(Request request, const Principal& caller);

  JsonResult<DataKeyControl::Generated> generate(Request request, const Principal& caller);

  KeyControl& keys_;
  AliasControl& aliases_;
  DataKeyControl& data_keys_;
  const Realm realm_;
};

}  // namespace coffer
