#include "store/catalog_repair.h"

#include <algorithm>

#include "base/limits.h"
#include "store/catalog_copy.h"
#include "store/chunk_map.h"
#include "store/data_folders.h"
#include "store/file_header.h"
#include "store/sealed_log.h"
#include "store/sealed_pages.h"
#include "store/sealed_replay.h"
#include "store/superblock.h"

namespace coffer {
namespace {

constexpr std::string_view kRestoredSuffix = ".restored";

bool exists(Disk& disk, std::string_view name) { return disk.open(name, OpenMode::kExisting).ok(); }

std::string with(std::string_view name, std::string_view suffix) { return std::string(name).append(suffix); }

// What an earlier repair set aside stays: it may hold what somebody still wants. A person clears more than a report has
// lines.
Result<std::string> free_name(Disk& disk, std::string_view name) {
  for (unsigned number = 0; number < kFsckDamageMax; ++number) {
    auto candidate = with(name, ".damaged") + (number == 0 ? "" : "." + std::to_string(number));
    if (!exists(disk, candidate)) return candidate;
  }
  return Error{Code::kLimit, "too many " + with(name, ".damaged") + " of earlier repairs: move them out of the store"};
}

Status set_aside(Disk& disk, std::string_view name, std::vector<Damage>& damage) {
  if (!exists(disk, name)) return {};
  COFFER_ASSIGN(const auto aside, free_name(disk, name));
  COFFER_TRY(disk.rename(name, aside));
  damage.push_back({std::string(name), "could not be used", "kept aside as " + aside});
  return {};
}

Status put_marker(Disk& disk) {
  COFFER_ASSIGN(const auto marker, disk.open(kRestoringName, OpenMode::kCreate));
  COFFER_TRY(marker->sync());
  return disk.sync_folder("");
}

// coffer.tags leaves first and comes last: in between no catalog opens, and the next repair begins anew.
Status put_copy_in_place(Disk& disk, const CatalogCopyHead& head, std::vector<Damage>& damage) {
  COFFER_TRY(write_out_catalog_copy(disk, head, kRestoredSuffix));
  COFFER_TRY(put_marker(disk));
  COFFER_TRY(set_aside(disk, kTagsName, damage));
  COFFER_TRY(disk.sync_folder(""));
  for (const auto name : {kDatabaseName, kLogName}) {
    COFFER_TRY(set_aside(disk, name, damage));
    COFFER_TRY(disk.rename(with(name, kRestoredSuffix), name));
  }
  COFFER_TRY(disk.sync_folder(""));
  COFFER_TRY(disk.rename(with(kTagsName, kRestoredSuffix), kTagsName));
  return disk.sync_folder("");
}

Result<std::vector<std::string>> names_in(Disk& disk, std::string_view folder) {
  auto names = disk.list(folder);
  if (!names && names.code() == Code::kNotFound) return std::vector<std::string>();
  return names;
}

// The greatest number of a data file there is.
Result<std::uint64_t> keep_unnamed_files(Catalog& catalog, Disk& disk) {
  std::uint64_t greatest = 0;
  for (std::uint64_t number = 0; number < kDataFileFolders; ++number) {
    const auto folder = data_file_folder(number);
    COFFER_ASSIGN(const auto names, names_in(disk, folder));
    bool moved = false;
    for (const auto& name : names) {
      const auto file = parse_data_file(name);
      if (!file) continue;
      greatest = std::max(greatest, *file);
      COFFER_ASSIGN(const bool named, catalog.names_data_file(*file));
      if (named) continue;
      const auto path = folder + "/" + name;
      COFFER_TRY(disk.rename(path, with(path, kLostSuffix)));
      moved = true;
    }
    if (moved) COFFER_TRY(disk.sync_folder(folder));
  }
  return greatest;
}

Result<LostFile> read_lost(Disk& disk, const FileHeaders& headers, const std::string& name, std::uint64_t number) {
  COFFER_ASSIGN(const auto file, disk.open(name, OpenMode::kExisting));
  LostFile found;
  found.name = name;
  found.number = number;
  const auto header = headers.read(*file, number);
  if (!header && header.code() != Code::kDamaged) return header.error();
  if (!header || !*header) {
    found.object =
        std::string("of an unknown object: its first slot ") + (header ? "is empty" : "does not authenticate");
    return found;
  }
  const auto& known = **header;
  found.ino = known.inode.ino;
  found.object = printable(known.bucket + "/" + (known.path_cut ? "..." : "") + known.path);
  found.size = known.inode.size;
  return found;
}

Status raise_number(Catalog& catalog, std::string_view name, std::uint64_t least) {
  COFFER_ASSIGN(const auto now, catalog.number(name));
  if (now >= least) return {};
  return catalog.set_number(name, least);
}

}  // namespace

std::optional<std::uint64_t> lost_number(std::string_view name) {
  if (!name.ends_with(kLostSuffix)) return std::nullopt;
  return parse_data_file(name.substr(0, name.size() - kLostSuffix.size()));
}

Result<std::unique_ptr<Catalog>> open_catalog_repaired(Disk& disk, const KeySchedule& keys, const AeadSuite& suite,
                                                       std::string_view boot_id, std::vector<Damage>& damage) {
  const auto healed = heal_sealed_files(disk, keys, suite);
  if (!healed && healed.code() != Code::kDamaged) return healed.error();
  if (healed) {
    for (const auto block : healed->tag_blocks)
      damage.push_back(
          {with(kTagsName, ""), "block " + std::to_string(block) + " was damaged", "healed from coffer.copy"});
    for (const auto page : healed->pages)
      damage.push_back(
          {with(kDatabaseName, ""), "page " + std::to_string(page) + " was damaged", "healed from coffer.copy"});
  }
  auto opened = Catalog::open(disk, keys, suite, boot_id);
  if (opened.ok() || opened.code() != Code::kDamaged) return opened;
  const auto head = read_catalog_copy(disk, keys, suite);
  if (!head) {
    if (head.code() != Code::kNotFound && head.code() != Code::kDamaged) return head.error();
    return Error{Code::kDamaged, opened.error().message + ", and coffer.copy " +
                                     (head.code() == Code::kNotFound ? "is missing" : "is damaged too") +
                                     ": bring the store back from a backup"};
  }
  // Before anything is set aside: what does not authenticate is not put anywhere.
  if (auto whole = verify_catalog_copy(disk, keys, suite); !whole) {
    if (whole.code() != Code::kDamaged) return std::move(whole).error();
    return Error{Code::kDamaged, opened.error().message + ", and coffer.copy is damaged too (" + whole.error().message +
                                     "): bring the store back from a backup"};
  }
  damage.push_back({"the catalog", opened.error().message,
                    "its copy of commit " + std::to_string(head->commit_counter) +
                        " was put in place: everything in it may be older"});
  COFFER_TRY(put_copy_in_place(disk, *head, damage));
  return Catalog::open(disk, keys, suite, boot_id);
}

bool is_restoring(Disk& disk) { return exists(disk, kRestoringName); }

Status settle_restored(Catalog& catalog, Disk& disk, const KeySchedule& keys, const AeadSuite& suite) {
  COFFER_ASSIGN(auto greatest_file, keep_unnamed_files(catalog, disk));
  COFFER_ASSIGN(const auto lost, list_lost(disk, keys, suite));
  InodeNumber greatest_ino = 0;
  for (const auto& file : lost) {
    greatest_file = std::max(greatest_file, file.number);
    greatest_ino = std::max(greatest_ino, file.ino);
  }
  COFFER_TRY(raise_number(catalog, "next_file", greatest_file + 1));
  COFFER_TRY(raise_number(catalog, "next_inode", greatest_ino + 1));
  if (const auto head = read_catalog_copy(disk, keys, suite); head.ok()) {
    COFFER_TRY(catalog.set_number("restored_commit", head->commit_counter));
    COFFER_TRY(catalog.set_number("restored_made", static_cast<std::uint64_t>(head->made_ns)));
  }
  return commit_repair(catalog);
}

Status finish_restoring(Disk& disk) {
  COFFER_TRY(disk.remove(kRestoringName));
  return disk.sync_folder("");
}

Result<std::vector<LostFile>> list_lost(Disk& disk, const KeySchedule& keys, const AeadSuite& suite) {
  const FileHeaders headers(keys, suite);
  std::vector<LostFile> lost;
  for (std::uint64_t part = 0; part < kDataFileFolders; ++part) {
    const auto folder = data_file_folder(part);
    COFFER_ASSIGN(const auto names, names_in(disk, folder));
    for (const auto& name : names) {
      const auto number = lost_number(name);
      if (!number) continue;
      COFFER_ASSIGN(auto found, read_lost(disk, headers, folder + "/" + name, *number));
      lost.push_back(std::move(found));
    }
  }
  return lost;
}

Status commit_repair(Catalog& catalog) {
  COFFER_ASSIGN(const auto counter, catalog.number("commit_counter"));
  COFFER_TRY(catalog.set_number("commit_counter", counter + 1));
  SealedDatabase::DataSynced all;
  all.this_commit = true;  // no data file was written
  COFFER_TRY(catalog.commit(all));
  return catalog.database().sync_log();
}

}  // namespace coffer
