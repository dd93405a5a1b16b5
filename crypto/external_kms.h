#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "crypto/kms.h"
#include "crypto/kms_transport.h"

namespace coffer {

// A KMS somewhere else that speaks AWS's API: keys named by ARN, used by GenerateDataKey, Encrypt and Decrypt, each under
// the encryption context as S3 passes it. Whose calls they are the transport's credentials say; principals are not told.
// A call ends within kExternalCallMs; while the KMS is away calls fail at once with kKmsAway, but for one that tries.
// Refusals are the KMS's own and are told as the local KMS tells them; everything that is no answer of a KMS is kKmsAway.
// Thread-safe, with no lock held across a request.
//
// usable() says yes: whether a key serves is known there alone, and found out when it is asked. What is in memory of a
// key that is refused then, or at a check (kExternalCheckSeconds), has to be taken away: ending_keys() says of which.
class ExternalKms final : public Kms {
 public:
  using Pause = std::function<void(std::int64_t ms)>;  // between two attempts
  ExternalKms(KmsTransport& transport, const Clock& clock, Log log, Pause pause);
  ~ExternalKms() override;

  // Its blobs name their key (docs/FORMAT.md, "External blobs"): no other KMS makes such.
  static bool made(BytesView blob);

  Result<DataKey> generate_data_key(std::string_view key, const EncryptionContext& context,
                                    const Principal& principal) override;
  Result<WrappedDataKey> encrypt(std::string_view key, const Key& data_key, const EncryptionContext& context,
                                 const Principal& principal) override;
  Result<Key> decrypt(BytesView blob, const EncryptionContext& context, const Principal& principal) override;
  Status usable(std::string_view key_arn, const EncryptionContext& context, const Principal& principal) const override;
  std::string key_arn_of(BytesView blob) const override;
  bool is_current(BytesView blob, std::string_view key, const Principal& principal) const override;

  // --- keys whose data keys are in memory ---
  // Asks about each that was not asked about for kExternalCheckSeconds, by opening the last blob that it opened.
  void check_keys();
  // Those that were refused since they last served. Each is told until forget(): then nothing of it is in memory.
  std::vector<std::string> ending_keys() const;
  void forget(const std::string& key_arn);

  struct Condition {
    enum class State { kUntried, kAnswers, kAway } state = State::kUntried;
    std::uint64_t calls = 0, failures = 0;  // failures: kKmsAway, those that were not even tried included
    std::uint64_t under_way = 0;
    std::string last_failure;  // empty: none so far
  };
  Condition condition() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace coffer
