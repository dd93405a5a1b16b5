#include "store/opened_store.h"

#include "store/catalog_repair.h"
#include "store/data_journal.h"
#include "store/key_slots.h"
#include "store/root_rekey.h"

namespace coffer {
namespace {

Status check_age(Catalog& catalog, std::uint64_t commit_counter_min) {
  COFFER_ASSIGN(auto counter, catalog.number("commit_counter"));
  if (counter >= commit_counter_min) return {};
  return Error{Code::kTooOld, "the store is at commit " + std::to_string(counter) + ", before the " +
                                  std::to_string(commit_counter_min) +
                                  " demanded: this is an older state of it. Put the newest copy of its folder back, or mount "
                                  "without --min-commit to use this one"};
}

}  // namespace

Result<std::unique_ptr<OpenedStore>> OpenedStore::open(const std::string& path, const UnlockSecret& secret,
                                                       const Clock& clock, const Options& options) {
  auto opened = std::make_unique<OpenedStore>();
  COFFER_ASSIGN(opened->folder, StoreFolder::open(path, options.wait_seconds));
  COFFER_TRY(opened->folder->check_writable());
  COFFER_TRY(settle_rekey(opened->folder->disk(), Unfinished::kRemove));
  COFFER_ASSIGN(auto suite, AeadSuite::detect());
  opened->suite = std::make_unique<AeadSuite>(std::move(suite));
  COFFER_ASSIGN(auto slots, opened->folder->unlock_slots());
  COFFER_ASSIGN(auto unlocked, slots.open(*opened->suite, secret));
  opened->keys = std::make_unique<KeySchedule>(std::move(unlocked.keys));
  opened->unlock_slot = std::move(unlocked.slot);

  auto& disk = opened->folder->disk();
  const auto boot = current_boot_id();
  COFFER_ASSIGN(opened->catalog, options.repair != nullptr
                                     ? open_catalog_repaired(disk, *opened->keys, *opened->suite, boot, *options.repair)
                                     : Catalog::open(disk, *opened->keys, *opened->suite, boot));
  const bool restoring = options.repair != nullptr && is_restoring(disk);
  COFFER_TRY(restoring ? adopt_key_slots(*opened->catalog, disk, slots)
                       : settle_key_slots(*opened->catalog, disk, slots));
  std::unique_lock lock(opened->catalog->mutex());
  COFFER_TRY(check_age(*opened->catalog, options.commit_counter_min));
  // A copy's data files may be newer than it is: each chunk has to be opened before it is believed.
  COFFER_TRY(restoring ? opened->catalog->set_journal_rows(0) : settle_journal_locked(*opened->catalog, disk));
  COFFER_ASSIGN(auto realm, opened->catalog->realm());
  lock.unlock();

  COFFER_ASSIGN(opened->users, Users::open(*opened->catalog));
  COFFER_ASSIGN(opened->kms, LocalKms::open(*opened->keys, *opened->suite, *opened->catalog, clock, realm));
  opened->kms->consult(*opened->users);
  if (options.external != nullptr) opened->router = std::make_unique<KmsRouter>(*opened->kms, *options.external);
  opened->observed_kms = std::make_unique<ObservedKms>(opened->router ? static_cast<Kms&>(*opened->router) : *opened->kms);
  Kms& kms = *opened->observed_kms;
  opened->bucket_keys = std::make_unique<BucketKeys>(kms, *opened->suite, clock);
  opened->keyring = std::make_unique<Keyring>(*opened->keys, *opened->suite, kms, *opened->bucket_keys);
  return opened;
}

}  // namespace coffer
