#pragma once

#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/kms_key.h"
#include "base/names.h"
#include "base/result.h"
#include "crypto/key.h"

namespace coffer {

// What GenerateDataKey answers: the key itself, the same key wrapped, and the ARN of the key that wrapped it.
struct DataKey {
  Key plaintext;
  Bytes blob;           // opaque; 1 to 6144 bytes
  std::string key_arn;  // always a key ARN, never an alias
};

// What Encrypt answers.
struct WrappedDataKey {
  Bytes blob;           // as DataKey's
  std::string key_arn;  // always a key ARN, never an alias
};

// A key management service, as envelope encryption sees it. Thread-safe; may block (an external one does).
class Kms {
 public:
  virtual ~Kms() = default;
  // key: id, ARN, alias or alias ARN; resolved now, in the principal's account (SEED-26).
  virtual Result<DataKey> generate_data_key(std::string_view key, const EncryptionContext& context,
                                            const Principal& principal) = 0;
  // The same for a data key that is there already: decrypt of the blob answers it.
  virtual Result<WrappedDataKey> encrypt(std::string_view key, const Key& data_key, const EncryptionContext& context,
                                         const Principal& principal) = 0;
  // kInvalidCiphertext when the blob is damaged or the context is not the one it was made with.
  virtual Result<Key> decrypt(BytesView blob, const EncryptionContext& context, const Principal& principal) = 0;
  // Whether decrypt could succeed for blobs of this key ARN and context now: state and policy, no cryptography, no call
  // counted. Called at every open and every uncached read, so it costs a look into memory.
  virtual Status usable(std::string_view key_arn, const EncryptionContext& context,
                        const Principal& principal) const = 0;
  // Of the key that `blob` is under, for whoever tells of it; empty where the KMS does not know. No call is counted.
  virtual std::string key_arn_of(BytesView blob) const = 0;
  // Whether `blob` is under the key that `key` names now, resolved as for generate_data_key, and under the newest version
  // of its material. False where `key` names none. As cheap as usable. An external KMS turns its material unseen and can
  // only compare keys.
  virtual bool is_current(BytesView blob, std::string_view key, const Principal& principal) const = 0;
};

}  // namespace coffer
