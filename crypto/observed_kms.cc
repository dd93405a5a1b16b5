#include "crypto/observed_kms.h"

namespace coffer {
namespace {

template <class T>
std::optional<Error> error_of(const Result<T>& result) {
  if (result.ok()) return std::nullopt;
  return result.error();
}

}  // namespace

Result<DataKey> ObservedKms::generate_data_key(std::string_view key, const EncryptionContext& context,
                                               const Principal& principal) {
  auto made = behind_.generate_data_key(key, context, principal);
  if (tell_) {
    tell_({"GenerateDataKey", std::string(key), made.ok() ? made->key_arn : "", context, principal, error_of(made)});
  }
  return made;
}

Result<WrappedDataKey> ObservedKms::encrypt(std::string_view key, const Key& data_key, const EncryptionContext& context,
                                            const Principal& principal) {
  auto made = behind_.encrypt(key, data_key, context, principal);
  if (tell_) tell_({"Encrypt", std::string(key), made.ok() ? made->key_arn : "", context, principal, error_of(made)});
  return made;
}

Result<Key> ObservedKms::decrypt(BytesView blob, const EncryptionContext& context, const Principal& principal) {
  auto opened = behind_.decrypt(blob, context, principal);
  if (!tell_) return opened;
  tell_({"Decrypt", "", behind_.key_arn_of(blob), context, principal, error_of(opened)});
  return opened;
}

}  // namespace coffer
