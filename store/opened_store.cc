#include "store/opened_store.h"

namespace coffer {
namespace {

constexpr std::string_view kHash = "keyslots_hash";
constexpr std::string_view kNextHash = "keyslots_next_hash";

Status commit_everything(Disk& disk, SealedDatabase& database) {
  COFFER_TRY(disk.sync_all());
  SealedDatabase::DataSynced all;
  all.this_commit = true;
  COFFER_TRY(database.commit(all));
  return database.sync_log();
}

// Keyslots.json must be the one that the catalog knows, or the one that a change it announced was about to write: then
// that change is completed here. An older file, which might let a removed passphrase in again, is neither.
Status check_keyslots(Catalog& catalog, Disk& disk, const UnlockSlots& slots) {
  COFFER_ASSIGN(auto current, catalog.blob(kHash));
  COFFER_ASSIGN(auto next, catalog.blob(kNextHash));
  const auto found = slots.hash();
  const bool is_next = next && *next == found;
  if (!is_next && (!current || *current != found))
    return Error{Code::kDamaged,
                 "keyslots.json is not the one this store was last used with: put the newest copy in its place"};
  if (!next) return {};
  COFFER_TRY(catalog.set_blob(kHash, found));
  COFFER_TRY(catalog.remove_blob(kNextHash));
  return commit_everything(disk, catalog.database());
}

Status check_age(Catalog& catalog, std::uint64_t commit_counter_min) {
  COFFER_ASSIGN(auto counter, catalog.number("commit_counter"));
  if (counter >= commit_counter_min) return {};
  return Error{Code::kTooOld, "the store is at commit " + std::to_string(counter) + ", before the " +
                                  std::to_string(commit_counter_min) +
                                  " demanded: it may have been taken back to an older state"};
}

}  // namespace

Result<std::unique_ptr<OpenedStore>> OpenedStore::open(const std::string& path, const UnlockSecret& secret,
                                                       const Clock& clock, const Options& options) {
  auto opened = std::make_unique<OpenedStore>();
  COFFER_ASSIGN(opened->folder, StoreFolder::open(path, options.wait_seconds));
  COFFER_ASSIGN(auto suite, AeadSuite::detect());
  opened->suite = std::make_unique<AeadSuite>(std::move(suite));
  COFFER_ASSIGN(auto slots, opened->folder->unlock_slots());
  COFFER_ASSIGN(auto keys, slots.unlock(*opened->suite, secret));
  opened->keys = std::make_unique<KeySchedule>(std::move(keys));

  auto& disk = opened->folder->disk();
  COFFER_ASSIGN(opened->catalog, Catalog::open(disk, *opened->keys, *opened->suite, current_boot_id()));
  std::unique_lock lock(opened->catalog->mutex());
  COFFER_TRY(check_keyslots(*opened->catalog, disk, slots));
  COFFER_TRY(check_age(*opened->catalog, options.commit_counter_min));
  COFFER_ASSIGN(auto realm, opened->catalog->realm());
  lock.unlock();

  COFFER_ASSIGN(opened->kms, LocalKms::open(*opened->keys, *opened->suite, *opened->catalog, clock, realm));
  opened->bucket_keys = std::make_unique<BucketKeys>(*opened->kms, *opened->suite, clock);
  opened->keyring = std::make_unique<Keyring>(*opened->keys, *opened->suite, *opened->kms, *opened->bucket_keys);
  return opened;
}

}  // namespace coffer
