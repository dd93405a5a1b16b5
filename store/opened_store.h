#pragma once

#include <memory>
#include <vector>

#include "base/clock.h"
#include "crypto/bucket_keys.h"
#include "crypto/keyring.h"
#include "crypto/kms_router.h"
#include "crypto/local_kms.h"
#include "crypto/observed_kms.h"
#include "store/catalog.h"
#include "store/store_folder.h"

namespace coffer {

// A store, unlocked: its parts in the order they stand on one another, unmade in reverse. The daemon puts a Store on it,
// the offline commands read through it.
struct OpenedStore {
  struct Options {
    std::uint64_t commit_counter_min = 0;  // an older store is refused: kTooOld
    int wait_seconds = 0;                  // for a daemon that is ending
    ExternalKms* external = nullptr;        // for ARNs that the local KMS does not know
    std::vector<Damage>* repair = nullptr;  // mend what keeps the catalog from being opened, and tell it there
  };
  // kNoStore, kInUse, kReadOnly, kWrongUnlock, kDamaged, kTooOld.
  static Result<std::unique_ptr<OpenedStore>> open(const std::string& path, const UnlockSecret& secret, const Clock& clock,
                                                   const Options& options);

  std::unique_ptr<StoreFolder> folder;
  std::string unlock_slot;  // the id of the one that the secret opened
  std::unique_ptr<AeadSuite> suite;
  std::unique_ptr<KeySchedule> keys;
  std::unique_ptr<Catalog> catalog;
  std::unique_ptr<Users> users;
  std::unique_ptr<LocalKms> kms;
  std::unique_ptr<KmsRouter> router;  // in front of it where there is an external one
  std::unique_ptr<ObservedKms> observed_kms;  // every call that S3 makes goes through it
  std::unique_ptr<BucketKeys> bucket_keys;
  std::unique_ptr<Keyring> keyring;
};

}  // namespace coffer
