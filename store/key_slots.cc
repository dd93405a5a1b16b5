#include "store/key_slots.h"

#include "base/limits.h"

namespace coffer {
namespace {

constexpr std::string_view kHash = "keyslots_hash";
constexpr std::string_view kNextHash = "keyslots_next_hash";
constexpr std::uint32_t kMetaPages = 4;  // the leaf of the catalog's single values, and a split above

Status announce(Catalog& catalog, const UnlockSlots& next) {
  std::lock_guard lock(catalog.mutex());
  COFFER_TRY(catalog.database().reserve(kMetaPages));
  return catalog.set_blob(kNextHash, next.hash());
}

Status record(Catalog& catalog, const UnlockSlots& found) {
  std::lock_guard lock(catalog.mutex());
  COFFER_TRY(catalog.database().reserve(kMetaPages));
  Catalog::Savepoint savepoint(catalog);
  COFFER_TRY(catalog.set_blob(kHash, found.hash()));
  COFFER_TRY(catalog.remove_blob(kNextHash));
  return savepoint.keep();
}

Result<bool> change_is_open(Catalog& catalog) {
  std::lock_guard lock(catalog.mutex());
  COFFER_ASSIGN(const auto next, catalog.blob(kNextHash));
  return next.has_value();
}

}  // namespace

Result<UnlockSlots> read_key_slots(Disk& disk) {
  COFFER_ASSIGN(auto file, disk.open(kKeySlotsName, OpenMode::kExisting));
  COFFER_ASSIGN(auto size, file->size());
  if (size > kKeySlotsFileMax) return Error{Code::kDamaged, "keyslots.json is too large to be one of ours"};
  Bytes json(size);
  COFFER_ASSIGN(auto read, file->pread(0, json));
  json.resize(read);
  return UnlockSlots::parse(as_text(json));
}

Status write_key_slots(Disk& disk, const UnlockSlots& slots) {
  {
    COFFER_ASSIGN(auto file, disk.open(kKeySlotsNewName, OpenMode::kCreate));
    COFFER_TRY(file->truncate(0));
    COFFER_TRY(file->pwrite(0, as_bytes(slots.to_json())));
    COFFER_TRY(file->sync());
  }
  COFFER_TRY(disk.rename(kKeySlotsNewName, kKeySlotsName));
  return disk.sync_folder("");
}

Status commit_everything(Catalog& catalog, Disk& disk) {
  COFFER_TRY(disk.sync_all());
  std::lock_guard lock(catalog.mutex());
  SealedDatabase::DataSynced all;
  all.this_commit = true;
  COFFER_TRY(catalog.database().commit(all));
  return catalog.database().sync_log();
}

Status settle_key_slots(Catalog& catalog, Disk& disk, const UnlockSlots& found) {
  {
    std::lock_guard lock(catalog.mutex());
    COFFER_ASSIGN(const auto current, catalog.blob(kHash));
    COFFER_ASSIGN(const auto next, catalog.blob(kNextHash));
    const auto hash = found.hash();
    const bool is_next = next && *next == hash;
    if (!is_next && (!current || *current != hash))
      return Error{Code::kDamaged,
                   "keyslots.json is not the one this store was last used with: put the newest copy in its place"};
    if (!next) return {};
  }
  COFFER_TRY(record(catalog, found));
  // The file's name is durable before the catalog forgets the other one.
  return commit_everything(catalog, disk);
}

Status adopt_key_slots(Catalog& catalog, Disk& disk, const UnlockSlots& found) {
  COFFER_TRY(record(catalog, found));
  return commit_everything(catalog, disk);
}

Status change_key_slots(Catalog& catalog, Disk& disk, const UnlockSlots& now, const UnlockSlots& next,
                        const std::function<Status()>& make_durable) {
  COFFER_ASSIGN(const auto found, read_key_slots(disk));
  if (found.hash() != now.hash())
    return Error{Code::kBusy, "the unlock slots were changed meanwhile: look at them again with `coffer unlock list`"};
  // What an earlier change left open, because the disk failed, is settled by what the folder says now.
  COFFER_ASSIGN(const bool left_open, change_is_open(catalog));
  if (left_open) {
    COFFER_TRY(disk.sync_folder(""));
    COFFER_TRY(record(catalog, found));
    COFFER_TRY(make_durable());
  }
  COFFER_TRY(announce(catalog, next));
  COFFER_TRY(make_durable());
  COFFER_TRY(write_key_slots(disk, next));
  COFFER_TRY(record(catalog, next));
  return make_durable();
}

}  // namespace coffer
