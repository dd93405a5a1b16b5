#include "store/fsck.h"

#include <algorithm>

#include "base/limits.h"
#include "store/catalog_copy.h"
#include "store/chunk_map.h"
#include "store/data_folders.h"
#include "store/file_header.h"
#include "store/object_check.h"
#include "store/quarantine.h"

namespace coffer {
namespace {

constexpr int kFsckMendPasses = 64;  // a repair uncovers the next one level further down

class StoreCheck {
 public:
  using Progress = std::function<void(std::uint64_t done, std::uint64_t total)>;

  StoreCheck(Catalog& catalog, Disk& disk, Keyring& keyring, const Principal& principal, FsckMode mode,
             const Clock& clock, const Progress& progress)
      : catalog_(catalog),
        disk_(disk),
        keyring_(keyring),
        principal_(principal),
        clock_(clock),
        progress_(progress),
        repairs_(mode == FsckMode::kRepair) {}

  Result<CheckReport> run() {
    COFFER_TRY(restoring());
    COFFER_TRY(catalog());
    COFFER_TRY(keep_repairs());
    COFFER_TRY(catalog_copy());
    COFFER_TRY(objects());
    COFFER_TRY(data_files());
    COFFER_TRY(history());
    COFFER_TRY(settle());
    return std::move(report_);
  }

 private:
  bool room() const { return report_.damage.size() < kFsckDamageMax; }
  void damage(std::string object, std::string what) {
    if (room()) report_.damage.push_back({std::move(object), std::move(what), ""});
  }
  void damage(InodeNumber ino, const std::string& what) {
    object_damaged_ = true;
    if (object_quarantined_ || !room()) return;
    std::lock_guard lock(catalog_.mutex());
    damage(catalog_.path_of(ino), what);
  }

  Status restoring() {
    if (!is_restoring(disk_)) return {};
    if (!repairs_) {
      damage("the catalog", "was replaced by its copy, and the repair did not end: run it again");
      return {};
    }
    std::lock_guard lock(catalog_.mutex());
    return settle_restored(catalog_, disk_, keyring_.keys(), keyring_.suite());
  }

  Status catalog() {
    std::lock_guard lock(catalog_.mutex());
    if (auto files = catalog_.verify_files(); !files.ok()) {
      if (!is_damage(files.code())) return files;
      damage("the catalog", files.error().message);
      repairs_ = false;
    }
    COFFER_ASSIGN(auto found, catalog_.verify());
    for (int pass = 0; repairs_ && !found.empty() && pass < kFsckMendPasses; ++pass) {
      COFFER_ASSIGN(auto mended, catalog_.mend(clock_.wall_ns()));
      if (mended.empty()) break;
      changed_ = true;
      for (auto& one : mended) {
        if (room()) report_.damage.push_back(std::move(one));
      }
      COFFER_ASSIGN(found, catalog_.verify());
    }
    for (auto& one : found) {
      if (room()) report_.damage.push_back(std::move(one));
    }
    auto census = catalog_.census();
    if (census.ok()) total_ = census->allocated;
    return {};
  }

  // Known to be damaged it is of no use: what comes in its place is made when everything else is settled.
  Status catalog_copy() {
    const auto whole = verify_catalog_copy(disk_, keyring_.keys(), keyring_.suite());
    if (whole.ok() || whole.code() == Code::kNotFound) return {};
    if (!is_damage(whole.code()) && whole.code() != Code::kIo) return whole;
    damage(std::string(kCatalogCopyName), whole.error().message);
    copy_line_ = report_.damage.size();
    return {};
  }

  // As an unmount does.
  Status renew_catalog_copy() {
    if (!copy_line_ || !repairs_) return {};
    COFFER_TRY(remove_catalog_copies(disk_));
    std::lock_guard lock(catalog_.mutex());
    COFFER_TRY(catalog_.database().checkpoint_rest());
    COFFER_ASSIGN(const auto counter, catalog_.number("commit_counter"));
    auto made = CatalogCopy::begin(disk_, keyring_.keys(), keyring_.suite(), catalog_.database(), counter, clock_.wall_ns());
    auto more = made && *made ? (*made)->step() : Result<bool>(made ? Error{Code::kBusy, "not now"} : made.error());
    while (more && *more) more = (*made)->step();
    report_.damage[*copy_line_ - 1].repaired = more ? "made anew" : "removed; the next mount makes one: " + more.error().message;
    return {};
  }

  Status objects() {
    for (InodeNumber after = 0;;) {
      auto page = next_page(after);
      if (!page && is_damage(page.code())) return {};  // the catalog's own check has named it
      COFFER_TRY(status_of(page));
      if (page->empty()) return {};
      for (auto ino : *page) COFFER_TRY(object(ino));
      COFFER_TRY(keep_repairs());
      after = page->back();
    }
  }

  Result<std::vector<InodeNumber>> next_page(InodeNumber after) {
    std::lock_guard lock(catalog_.mutex());
    return catalog_.files_after(after, kFsckPage);
  }

  template <class T>
  static Status status_of(const Result<T>& result) {
    if (!result) return result.error();
    return {};
  }

  // Damage of one object is a line and no reason to stop.
  Status object(InodeNumber ino) {
    ++report_.objects;
    std::unique_lock lock(catalog_.mutex());
    auto inode = catalog_.inode(ino);
    auto content = inode.ok() ? catalog_.content(ino) : Result<ContentRow>(inode.error());
    const auto quarantined = inode.ok() ? quarantine_.holds(*inode) : Result<bool>(false);
    lock.unlock();
    object_quarantined_ = quarantined.ok() && *quarantined;
    object_damaged_ = false;
    if (!content && content.code() == Code::kNotFound) return {};
    const auto first = report_.damage.size();
    auto checked = content.ok() ? check_content(*inode, *content) : status_of(content);
    if (inode.ok()) done_ += inode->allocated;
    if (progress_) progress_(std::min(done_, total_), total_);
    if (!checked.ok() && !is_damage(checked.code())) return checked;
    if (!checked.ok()) damage(ino, checked.error().message);
    if (!object_damaged_) return {};
    std::lock_guard relock(catalog_.mutex());
    if (object_quarantined_) {
      if (report_.quarantined.size() < kFsckDamageMax) report_.quarantined.push_back(catalog_.path_of(ino));
      return {};
    }
    if (!repairs_ || !inode.ok()) return {};
    return put_away(*inode, content.ok() ? content->file : 0, first);
  }

  // The lines from `first` on are of this object. With Catalog::mutex().
  Status put_away(const Inode& inode, std::uint64_t file, std::size_t first) {
    std::string how;
    if (inode.nlink == 0) {
      // It only waited to be removed.
      if (file != 0) COFFER_TRY(catalog_.add_garbage(file));
      COFFER_ASSIGN(const auto count, catalog_.number("inodes", 1));
      COFFER_TRY(catalog_.set_number("inodes", std::max<std::uint64_t>(count, 2) - 1));
      COFFER_TRY(catalog_.remove_inode(inode.ino));
      how = "it had no name any more, and was removed";
    } else {
      const auto taken = quarantine_.take(inode, clock_.wall_ns());
      if (!taken.ok() && taken.code() != Code::kExists && taken.code() != Code::kNotFound) return taken;
      if (!taken.ok()) {
        damage(catalog_.path_of(inode.ino), "could not be moved to lost+found: " + taken.error().message);
        return {};
      }
      how = "moved to " + catalog_.path_of(inode.ino);
    }
    changed_ = true;
    for (auto i = first; i < report_.damage.size(); ++i) report_.damage[i].repaired = how;
    return {};
  }

  // What was put away so far, durably.
  Status keep_repairs() {
    if (!std::exchange(changed_, false)) return {};
    ever_changed_ = true;
    std::lock_guard lock(catalog_.mutex());
    return commit_repair(catalog_);
  }

  // What earlier repairs left to know.
  Status history() {
    COFFER_ASSIGN(report_.lost, list_lost(disk_, keyring_.keys(), keyring_.suite()));
    if (report_.lost.size() > kFsckDamageMax) report_.lost.resize(kFsckDamageMax);
    std::lock_guard lock(catalog_.mutex());
    const auto made = catalog_.number("restored_made");
    const auto commit = catalog_.number("restored_commit");
    if (made.ok() && commit.ok() && *made != 0)
      report_.restored = CheckReport::Restored{*commit, static_cast<std::int64_t>(*made)};
    return {};
  }

  // Only a repaired store whose catalog is whole may be mounted again.
  Status settle() {
    if (!repairs_) return {};
    COFFER_TRY(keep_repairs());
    if (ever_changed_) {
      std::lock_guard lock(catalog_.mutex());
      COFFER_TRY(catalog_.database().checkpoint_rest());
    }
    if (is_restoring(disk_)) COFFER_TRY(finish_restoring(disk_));
    return renew_catalog_copy();
  }

  Status check_content(const Inode& inode, const ContentRow& content) {
    COFFER_ASSIGN(auto seals, seals_of(keyring_.store_id(), inode.ino, content));
    COFFER_TRY(unlock(seals, keyring_, principal_));
    if (seals.refused) ++report_.objects_unreadable;
    if (content.file == 0) {
      COFFER_ASSIGN(const auto looked_at, check_inline_chunk(inode, content, seals));
      report_.chunks += looked_at;
    } else {
      COFFER_TRY(map_rows(inode, content, seals));
    }
    std::lock_guard lock(catalog_.mutex());
    COFFER_ASSIGN(const auto stored, stored_bytes(catalog_, content, seals.chunk_size));
    if (stored != inode.allocated)
      return Error{Code::kDamaged,
                   std::to_string(inode.allocated) + " bytes promised, " + std::to_string(stored) + " stored"};
    return {};
  }

  Status map_rows(const Inode& inode, const ContentRow& content, const ObjectSeals& seals) {
    std::unique_ptr<DiskFile> data;  // an object all of holes may have none
    for (std::uint64_t from = 0; from <= kMapRowMax;) {
      COFFER_ASSIGN(auto rows, next_rows(inode.ino, from));
      if (rows.empty()) break;
      if (!data) {
        auto opened = disk_.open(data_file_name(content.file), OpenMode::kExisting);
        if (!opened) return Error{Code::kDamaged, "its data file is lost: " + opened.error().message};
        data = *std::move(opened);
      }
      for (auto row : rows) COFFER_TRY(map_row(inode, row, *data, seals));
      from = std::uint64_t{rows.back()} + 1;
    }
    return data ? second_copy(inode, content, *data) : Status();
  }

  Result<std::vector<std::uint32_t>> next_rows(InodeNumber ino, std::uint64_t from) {
    std::lock_guard lock(catalog_.mutex());
    return catalog_.map_rows(ino, static_cast<std::uint32_t>(from), kFsckPage);
  }

  Status map_row(const Inode& inode, std::uint32_t row, DiskFile& data, const ObjectSeals& seals) {
    std::unique_lock lock(catalog_.mutex());
    COFFER_ASSIGN(auto encoded, catalog_.map_row(inode.ino, row));
    lock.unlock();
    if (!encoded) return Error{Code::kDamaged, "map row " + std::to_string(row) + " is gone"};
    COFFER_ASSIGN(auto map, ChunkRow::decode(*encoded, seals.chunk_size));
    COFFER_ASSIGN(const auto looked_at,
                  check_map_row(inode, row, map, data, seals, [&](std::uint64_t chunk, const Error& why) {
                    damage(inode.ino, "chunk " + std::to_string(chunk) + ": " + why.message);
                  }));
    report_.chunks += looked_at;
    return {};
  }

  // A power cut may tear it, and nothing served depends on it: no damage. Without a mount it is written anew.
  Status second_copy(const Inode& inode, const ContentRow& content, DiskFile& data) {
    const auto read = headers_.read(data, content.file);
    if (!read && !is_damage(read.code()) && read.code() != Code::kIo) return read.error();
    if (read && (!*read || (*read)->inode.ino == inode.ino)) return {};
    std::lock_guard lock(catalog_.mutex());
    Damage line{catalog_.path_of(inode.ino), "the note in its data file does not open", ""};
    if (repairs_ && write_second_copy(inode, content, data)) line.repaired = "written anew";
    if (report_.second_copies.size() < kFsckDamageMax) report_.second_copies.push_back(std::move(line));
    return {};
  }

  // With Catalog::mutex().
  bool write_second_copy(const Inode& inode, const ContentRow& content, DiskFile& data) {
    const auto bucket = catalog_.bucket(inode.bucket);
    if (!bucket) return false;
    FileHeader header;
    header.sequence = 1;
    header.inode = inode;
    header.bucket = bucket->name.str();
    const auto path = catalog_.path_of(inode.ino);
    const auto slash = path.find('/');
    header.path = slash == path.npos ? "" : path.substr(slash + 1);
    header.rule_version = content.rule_version;
    header.envelope = content.envelope;
    header.next_rule_version = content.next_rule_version;
    header.next_envelope = content.next_envelope;
    return headers_.write(data, content.file, std::move(header)).ok() && data.sync().ok();
  }

  Status data_files() {
    for (std::uint64_t number = 0; number < kDataFileFolders; ++number) {
      const auto folder = data_file_folder(number);
      auto names = disk_.list(folder);
      if (!names && names.code() == Code::kNotFound) continue;  // objects of it are named; the next mount makes it
      if (!names) {
        damage(folder, "cannot be read: " + names.error().message);
        continue;
      }
      for (const auto& name : *names) COFFER_TRY(data_file(folder, name));
    }
    // The next mount need not look for them.
    return report_.orphans_removed > 0 ? disk_.sync_all() : Status();
  }

  Status data_file(const std::string& folder, const std::string& name) {
    if (lost_number(name)) return {};
    const auto file = parse_data_file(name);
    const bool placed = file && data_file_name(*file) == folder + "/" + name;
    std::lock_guard lock(catalog_.mutex());
    auto named = placed ? catalog_.names_data_file(*file) : Result<bool>(false);
    if (!named && is_damage(named.code())) return {};
    COFFER_TRY(status_of(named));
    ++(*named ? report_.data_files : report_.orphans);
    if (*named || !file || !repairs_) return {};
    const auto removed = disk_.remove(folder + "/" + name);
    if (!removed && removed.code() != Code::kIsDirectory) return removed;
    if (removed) ++report_.orphans_removed;
    return {};
  }

  Catalog& catalog_;
  Disk& disk_;
  Keyring& keyring_;
  const Principal& principal_;
  const Clock& clock_;
  const Progress& progress_;
  bool repairs_;
  Quarantine quarantine_{catalog_};
  const FileHeaders headers_{keyring_.keys(), keyring_.suite()};
  std::optional<std::size_t> copy_line_;  // that is about coffer.copy, and all before it
  bool changed_ = false, ever_changed_ = false;
  bool object_damaged_ = false, object_quarantined_ = false;  // the one being looked at
  CheckReport report_;
  std::uint64_t done_ = 0, total_ = 0;
};

}  // namespace

Result<CheckReport> fsck(Catalog& catalog, Disk& disk, Keyring& keyring, const Principal& principal, FsckMode mode,
                        const Clock& clock,
                        const std::function<void(std::uint64_t done, std::uint64_t total)>& progress) {
  return StoreCheck(catalog, disk, keyring, principal, mode, clock, progress).run();
}

}  // namespace coffer
