#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <shared_mutex>

#include "crypto/kms_access.h"
#include "crypto/kms_blob.h"
#include "crypto/kms_book.h"
#include "crypto/kms_import.h"
#include "crypto/local_kms.h"

namespace coffer {

// Of a call of the wire. context: null where the operation has none.
inline KeyCall by_wire(std::string_view action, std::string_view key, const KmsCall& call, ConditionKeys more = {},
                       const EncryptionContext* context = nullptr) {
  return {action, KeyCall::Via::kWire, context, key, std::move(more), call.user_agent};
}

// KMS-21: after every check, in place of the answer.
inline Status stop_if_dry(const KmsCall& call) {
  if (!call.dry_run) return {};
  return Error{Code::kDryRun, "The request would have succeeded, but the DryRun option is set."};
}

// What the two halves of LocalKms share: local_kms.cc uses keys, local_kms_keys.cc manages them.
struct LocalKms::State {
  State(const KeySchedule& keys, const AeadSuite& ciphers, KmsRecords& kept, const Clock& time, Realm realm)
      : suite(ciphers),
        records(kept),
        clock(time),
        root(keys.purpose_key(Purpose::kKms)),
        store(keys.store_id()),
        imports(ciphers, root, store),
        book(std::move(realm)) {}

  const AeadSuite& suite;
  KmsRecords& records;
  const Clock& clock;
  const Key root;
  const StoreId store;
  const ImportDesk imports;

  std::atomic<const Identities*> identities = nullptr;

  std::mutex change;        // one change at a time, its save included; taken before `mutex`
  std::shared_mutex mutex;  // guards book; never held across KmsRecords or cryptography
  KmsBook book;

  std::mutex counts_mutex;  // guards counts and saved_counts
  std::map<std::string, std::uint64_t, std::less<>> counts;
  std::map<std::string, std::uint64_t, std::less<>> saved_counts;

  // A key's metadata and one version of its material, taken out of the book for use without its lock.
  struct Found {
    KeyMetadata metadata;
    WrappedMaterial material;
  };

  void count(std::string_view operation);
  const AccountId& own_account() const { return book.realm().account; }

  // Whether the principal may do so with the key. The caller holds `mutex`.
  Status check_access(const KmsKeyRecord& record, const KeyCall& call, const Principal& principal) const;

  // --- finding keys; all errors are KMS's ---
  Result<KeyMetadata> metadata_of(std::string_view key, const AccountId& account);
  Result<KmsKeyRecord> copy_of(std::string_view key, const AccountId& account);
  Result<Found> current_material(std::string_view key, const KeyCall& call, const Principal& principal);
  // For S3: the key behind alias/aws/s3 is made when it is first asked for.
  Result<Found> current_material_for_s3(std::string_view key, const KeyCall& call, const Principal& principal);
  Result<Found> material_of(const KmsBlob& blob, const KeyCall& call, const Principal& principal);

  struct Retirable {
    std::string key_arn, grant_id;
  };
  Result<Retirable> retirable(const GrantName& grant, const KmsCall& call);

  // --- cryptography ---
  Result<Key> unwrap(const Found& found) const;
  // Fills plaintext with random bytes and answers their blob.
  Result<Bytes> generate(const Found& found, const EncryptionContext& context, MutableBytes plaintext) const;
  Result<Bytes> seal_blob(const Found& found, const EncryptionContext& context, BytesView plaintext) const;
  Status open_blob(const Found& found, const KmsBlob& blob, const EncryptionContext& context,
                   MutableBytes plaintext) const;

  // --- changes; the caller of save, make_key and ensure_aws_managed holds `change` ---
  // Saves, and only then shows.
  Status save(KmsKeyRecord record);
  Status save(KeyAlias alias);
  Status remove_alias(const KeyAlias& alias);
  // Applies change_record to a copy of the record and saves it; change_record says whether it changed anything.
  using Change = std::function<Result<bool>(KmsKeyRecord&)>;
  Result<KeyMetadata> edit(std::string_view key, const Change& change_record);
  Result<KeyMetadata> make_key(const NewKey& key, KeyManager manager, const AccountId& account);
  Status add_material(KmsKeyRecord& record, RotationKind kind);

  bool names_aws_managed(std::string_view key, const AccountId& account) const;
  Status ensure_aws_managed(const AccountId& account);
};

}  // namespace coffer
