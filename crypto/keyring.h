#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/sse_rule.h"
#include "crypto/aead_suite.h"
#include "crypto/envelope.h"
#include "crypto/key.h"
#include "crypto/key_schedule.h"
#include "crypto/kms.h"

namespace coffer {

// What a new envelope is for.
struct Subject {
  std::uint64_t object = 0;
  std::uint32_t generation = 1;
  std::uint32_t chunk_size = 0;
  Realm realm;  // of the bucket: ARNs name it
  BucketName bucket;
  std::string object_key;  // path below the bucket, as S3 would name it
};

// The aws:s3:arn that an object's KMS calls are bound to under the rule. In a directory bucket always the bucket's.
std::string context_arn_of(const SseRule& rule, const Subject& subject);

// What one data key is used through. Who needs both derives them together, for little more than one costs.
struct LayerKeys {
  Key chunk, committing;
};

// Issues and unlocks envelopes: the only switch on the scheme. Every data key is a KDF input; the chunk ciphers are
// derived from it (docs/FORMAT.md, "Keys"). Thread-safe; may block in the KMS.
class Keyring {
 public:
  // kms and bucket_keys outlive the Keyring; bucket_keys stands in front of kms.
  Keyring(const KeySchedule& keys, const AeadSuite& suite, Kms& kms, Kms& bucket_keys);

  struct Issued {
    Envelope envelope;
    std::shared_ptr<const Aead> aead;
  };
  // A fresh data key per call (per layer), under the rule. Key errors as Kms gives them.
  Result<Issued> issue(const SseRule& rule, const Subject& subject, const Principal& principal);

  // The same data keys, generation and chunks: each layer wrapped anew under what the rule names now, and committed to
  // again. For a rule of the envelope's own algorithm, asserted. kDamaged as unlock; key errors of both keys.
  Result<Envelope> rewrap(const Envelope& envelope, const SseRule& rule, std::string context_arn,
                          const Principal& principal);
  // The same again for another root key: what SSE-S3 wraps is wrapped under that, what the KMS wraps stays. An envelope
  // with nothing of SSE-S3 in it stays as it is.
  Result<Envelope> move_root(const Envelope& envelope, const KeySchedule& next, const Principal& principal) const;
  // Whether the envelope is as rewrap for the principal would leave it: under the rule's key and the newest version of
  // its material.
  bool up_to_date(const Envelope& envelope, const SseRule& rule, const Principal& principal) const;

  // kDamaged when the commitment does not hold; key errors as Kms gives them.
  Result<std::shared_ptr<const Aead>> unlock(const Envelope& envelope, const Principal& principal);

  // Whether unlock could succeed now, by state and policy of the key: no cryptography, no KMS call.
  Status usable(const Envelope& envelope, const Principal& principal) const;

  // Whether a rule can be served on this machine: kUnsupported for aws:kms:dsse where one library alone works.
  Status serves(SseAlgorithm algorithm) const;

  const StoreId& store_id() const { return keys_.store_id(); }
  const KeySchedule& keys() const { return keys_; }  // for what else of a store is sealed
  const AeadSuite& suite() const { return suite_; }

 private:
  using DataKeys = std::vector<Key>;  // one per layer, inner first

  // Each makes a data key, and appends it and its layer, still without commitment.
  Status add_sse_s3_layer(Envelope& envelope, DataKeys& data_keys) const;
  Status add_kms_layer(const SseRule& rule, const Principal& principal, Envelope& envelope, DataKeys& data_keys) const;
  // The same for a data key that is there.
  Status wrap_sse_s3_layer(Envelope& envelope, const Key& data_key) const;
  Status wrap_kms_layer(const SseRule& rule, const Principal& principal, Envelope& envelope, const Key& data_key) const;
  Kms& kms_for(const SseRule& rule) const { return rule.uses_bucket_key() ? bucket_keys_ : kms_; }
  struct OpenedKeys {
    DataKeys data_keys;
    std::vector<LayerKeys> layer_keys;  // the same for every envelope of the object over these data keys
  };
  // Of all layers, their commitments checked.
  Result<OpenedKeys> open_keys(const Envelope& envelope, const Principal& principal) const;
  Result<Key> data_key_of(const Envelope& envelope, std::size_t layer, const Principal& principal) const;

  const KeySchedule& keys_;
  const AeadSuite& suite_;
  Kms& kms_;
  Kms& bucket_keys_;
  Key sse_s3_;
};

}  // namespace coffer
