#include "daemon/key_control.h"

#include "base/limits.h"

namespace coffer {

void StoreKeyUsers::drop_pages(const std::string& key_arn) {
  if (!cache_.drop_pages(store_.objects_under(key_arn), std::chrono::milliseconds(kWriteBackMs))) {
    log_(LogLevel::kWarning, "the kernel did not write back everything under an ending key in time");
  }
}

void StoreKeyUsers::wipe(const std::string& key_arn) {
  store_.wipe_key(key_arn);
  bucket_keys_.flush(key_arn);
}

Result<KeyMetadata> KmsKeyControl::create_key(std::string_view description) {
  COFFER_ASSIGN(KeyMetadata made, kms_.create_key(description));
  COFFER_TRY(make_durable_());
  return made;
}

Result<KeyMetadata> KmsKeyControl::describe_key(std::string_view key) { return kms_.describe(key); }

Result<std::vector<KeyMetadata>> KmsKeyControl::list_keys() { return kms_.list_keys(); }

Status KmsKeyControl::enable_key(std::string_view key) {
  COFFER_ASSIGN(const KeyMetadata metadata, kms_.describe(key));
  COFFER_TRY(kms_.enable(key));
  // What the kernel could not write back while the key was disabled it still shows: now it reads what is stored.
  users_.drop_pages(metadata.arn);
  users_.release(metadata.arn);  // what waits for the key in the reseal queue goes on
  return make_durable_();
}

Status KmsKeyControl::disable_key(std::string_view key) {
  return end_key(key, [&] { return kms_.disable(key); });
}

Status KmsKeyControl::rotate_key(std::string_view key) {
  COFFER_TRY(kms_.rotate(key));
  return make_durable_();
}

Result<KeyMetadata> KmsKeyControl::schedule_key_deletion(std::string_view key, int days) {
  Result<KeyMetadata> scheduled = Error{Code::kNotFound, ""};
  COFFER_TRY(end_key(key, [&] {
    scheduled = kms_.schedule_deletion(key, days);
    return scheduled.ok() ? Status() : Status(scheduled.error());
  }));
  return scheduled;
}

Result<KeyMetadata> KmsKeyControl::cancel_key_deletion(std::string_view key) {
  COFFER_ASSIGN(KeyMetadata kept, kms_.cancel_deletion(key));
  COFFER_TRY(make_durable_());
  return kept;
}

// The order is the promise: what is dirty is sealed while the key still serves, memory is empty before the state
// changes, and the kernel forgets once more what was read in between.
Status KmsKeyControl::end_key(std::string_view key, const std::function<Status()>& switch_state) {
  COFFER_ASSIGN(const KeyMetadata metadata, kms_.describe(key));
  const std::string& arn = metadata.arn;
  struct Hold {
    Hold(KeyUsers& users_in, const std::string& arn_in) : users(users_in), arn(arn_in) { users.hold(arn); }
    ~Hold() { users.release(arn); }
    KeyUsers& users;
    const std::string& arn;
  } const hold(users_, arn);

  users_.drop_pages(arn);
  COFFER_TRY(users_.seal_dirty(arn));
  users_.wipe(arn);
  COFFER_TRY(switch_state());
  users_.drop_pages(arn);
  users_.wipe(arn);  // an object created while the state changed had its key from before
  return make_durable_();
}

Status KmsAliasControl::create_alias(std::string_view name, std::string_view key) {
  COFFER_TRY(kms_.create_alias(name, key));
  return make_durable_();
}

Result<std::vector<KeyAlias>> KmsAliasControl::list_aliases() { return kms_.list_aliases(); }

Result<DataKeyControl::Generated> KmsDataKeyControl::generate_data_key(std::string_view key, std::size_t size,
                                                                       const EncryptionContext& context,
                                                                       const Principal& caller) {
  COFFER_ASSIGN(LocalKms::WireDataKey made, kms_.generate_bytes(key, size, context, caller));
  return Generated{std::move(made.plaintext), std::move(made.blob), std::move(made.key_arn),
                   std::move(made.material_id)};
}

Result<DataKeyControl::Decrypted> KmsDataKeyControl::decrypt(BytesView blob, const EncryptionContext& context,
                                                             const Principal& caller, std::string_view expected_key) {
  COFFER_ASSIGN(LocalKms::WireDecrypted opened, kms_.decrypt_bytes(blob, context, caller, expected_key));
  return Decrypted{std::move(opened.plaintext), std::move(opened.key_arn), std::move(opened.material_id)};
}

}  // namespace coffer
