#include "crypto/kms_router.h"

namespace coffer {

bool KmsRouter::is_elsewhere(std::string_view key, const EncryptionContext& context, const Principal& principal) const {
  const auto arn = parse_kms_arn(key);
  // alias/aws/s3 may not be there yet: the local KMS makes it when it is first asked for.
  if (!arn || arn->resource == kAwsManagedAlias) return false;
  const Status here = local_.usable(key, context, principal);
  return !here.ok() && here.code() == Code::kKeyMissing;
}

Result<DataKey> KmsRouter::generate_data_key(std::string_view key, const EncryptionContext& context,
                                             const Principal& principal) {
  if (is_elsewhere(key, context, principal)) return external_.generate_data_key(key, context, principal);
  return local_.generate_data_key(key, context, principal);
}

Result<WrappedDataKey> KmsRouter::encrypt(std::string_view key, const Key& data_key, const EncryptionContext& context,
                                          const Principal& principal) {
  if (is_elsewhere(key, context, principal)) return external_.encrypt(key, data_key, context, principal);
  return local_.encrypt(key, data_key, context, principal);
}

Result<Key> KmsRouter::decrypt(BytesView blob, const EncryptionContext& context, const Principal& principal) {
  if (ExternalKms::made(blob)) return external_.decrypt(blob, context, principal);
  return local_.decrypt(blob, context, principal);
}

Status KmsRouter::usable(std::string_view key_arn, const EncryptionContext& context,
                         const Principal& principal) const {
  if (is_elsewhere(key_arn, context, principal)) return external_.usable(key_arn, context, principal);
  return local_.usable(key_arn, context, principal);
}

std::string KmsRouter::key_arn_of(BytesView blob) const {
  return ExternalKms::made(blob) ? external_.key_arn_of(blob) : local_.key_arn_of(blob);
}

bool KmsRouter::is_current(BytesView blob, std::string_view key, const Principal& principal) const {
  if (ExternalKms::made(blob)) return external_.is_current(blob, key, principal);
  return local_.is_current(blob, key, principal);
}

}  // namespace coffer
