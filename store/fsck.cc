#include "store/fsck.h"

#include <algorithm>

#include "base/limits.h"
#include "store/chunk_map.h"
#include "store/quarantine.h"

namespace coffer {
namespace {

constexpr int kObjectFolders = 256;

// An object's two envelopes, while it is being resealed, by the parity that its chunks name.
struct Ciphers {
  struct One {
    std::optional<Envelope> envelope;
    std::shared_ptr<const Aead> aead;
  };
  std::array<One, 2> by_parity;
};

bool is_damage(Code code) { return code == Code::kDamaged || code == Code::kInvalidCiphertext; }

bool key_refuses(Code code) {
  constexpr Code kRefusals[] = {Code::kKeyMissing,   Code::kKeyDisabled, Code::kKeyPendingDeletion, Code::kKeyDenied,
                                Code::kKeyPendingImport,
                                Code::kIncorrectKey, Code::kKmsAway,     Code::kUnsupported};
  return std::find(std::begin(kRefusals), std::end(kRefusals), code) != std::end(kRefusals);
}

class Check {
 public:
  using Progress = std::function<void(std::uint64_t done, std::uint64_t total)>;

  Check(Catalog& catalog, Disk& disk, Keyring& keyring, const Principal& principal, FsckMode mode, const Clock& clock,
        const Progress& progress)
      : catalog_(catalog),
        disk_(disk),
        keyring_(keyring),
        principal_(principal),
        clock_(clock),
        progress_(progress),
        repairs_(mode == FsckMode::kRepair) {}

  Result<FsckReport> run() {
    COFFER_TRY(restoring());
    COFFER_TRY(catalog());
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
    for (auto& one : found) {
      if (room()) report_.damage.push_back(std::move(one));
    }
    auto census = catalog_.census();
    if (census.ok()) total_ = census->allocated;
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
      report_.restored = FsckReport::Restored{*commit, static_cast<std::int64_t>(*made)};
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
    if (is_restoring(disk_)) return finish_restoring(disk_);
    return {};
  }

  Status check_content(const Inode& inode, const ContentRow& content) {
    Ciphers ciphers;
    COFFER_ASSIGN(auto envelope, belonging(inode.ino, content.envelope));
    const auto chunk_size = envelope.chunk_size;
    const auto generation = envelope.generation;
    ciphers.by_parity[parity_of(envelope)].envelope = std::move(envelope);
    if (content.next_envelope) {
      COFFER_ASSIGN(auto next, belonging(inode.ino, *content.next_envelope));
      if (next.generation != generation + 1 || next.chunk_size != chunk_size)
        return Error{Code::kDamaged, "its next envelope does not follow the one it has"};
      ciphers.by_parity[parity_of(next)].envelope = std::move(next);
    }
    bool refused = false;
    for (auto& one : ciphers.by_parity) {
      if (!one.envelope) continue;
      auto aead = keyring_.unlock(*one.envelope, principal_);
      if (aead.ok()) {
        one.aead = *std::move(aead);
      } else if (key_refuses(aead.code())) {
        refused = true;
      } else {
        return std::move(aead).error();
      }
    }
    if (refused) ++report_.objects_unreadable;
    COFFER_ASSIGN(auto stored, content.file == 0 ? inline_chunk(inode, content, ciphers)
                                                 : map_rows(inode, content.file, chunk_size, ciphers));
    if (stored != inode.allocated)
      return Error{Code::kDamaged,
                   std::to_string(inode.allocated) + " bytes promised, " + std::to_string(stored) + " stored"};
    return {};
  }

  Result<Envelope> belonging(InodeNumber ino, BytesView encoded) {
    COFFER_ASSIGN(auto envelope, Envelope::decode(encoded));
    if (envelope.store != keyring_.store_id()) return Error{Code::kDamaged, "its envelope is of another store"};
    if (envelope.object != ino) return Error{Code::kDamaged, "its envelope is of another object"};
    return envelope;
  }

  // The bytes stored.
  Result<std::uint64_t> inline_chunk(const Inode& inode, const ContentRow& content, const Ciphers& ciphers) {
    if (!content.inline_chunk) return std::uint64_t{0};
    COFFER_ASSIGN(auto chunk, InlineChunk::decode(*content.inline_chunk));
    COFFER_TRY(open_chunk(inode, 0, chunk.entry, chunk.ciphertext, ciphers));
    return chunk.entry.length;
  }

  Result<std::uint64_t> map_rows(const Inode& inode, std::uint64_t file, std::uint32_t chunk_size,
                                 const Ciphers& ciphers) {
    std::unique_ptr<DiskFile> data;  // an object all of holes may have none
    std::uint64_t stored = 0;
    for (std::uint64_t from = 0; from <= kMapRowMax;) {
      COFFER_ASSIGN(auto rows, next_rows(inode.ino, from));
      if (rows.empty()) break;
      if (!data) {
        auto opened = disk_.open(data_file_name(file), OpenMode::kExisting);
        if (!opened) return Error{Code::kDamaged, "its data file is lost: " + opened.error().message};
        data = *std::move(opened);
      }
      for (auto row : rows) {
        COFFER_ASSIGN(auto bytes, map_row(inode, row, chunk_size, *data, ciphers));
        stored += bytes;
      }
      from = std::uint64_t{rows.back()} + 1;
    }
    return stored;
  }

  Result<std::vector<std::uint32_t>> next_rows(InodeNumber ino, std::uint64_t from) {
    std::lock_guard lock(catalog_.mutex());
    return catalog_.map_rows(ino, static_cast<std::uint32_t>(from), kFsckPage);
  }

  // The bytes of chunks in it. Chunks that do not open are lines of their own: the others are still looked at.
  Result<std::uint64_t> map_row(const Inode& inode, std::uint32_t row, std::uint32_t chunk_size, DiskFile& data,
                                const Ciphers& ciphers) {
    std::unique_lock lock(catalog_.mutex());
    COFFER_ASSIGN(auto encoded, catalog_.map_row(inode.ino, row));
    lock.unlock();
    if (!encoded) return Error{Code::kDamaged, "map row " + std::to_string(row) + " is gone"};
    COFFER_ASSIGN(auto map, ChunkRow::decode(*encoded, chunk_size));
    Bytes buffer(chunk_size);
    for (std::uint32_t i = 0; i < kChunksPerRow; ++i) {
      const auto& entry = map.at(i);
      if (!entry.present()) continue;
      const auto chunk = std::uint64_t{row} * kChunksPerRow + i;
      const auto cipher = MutableBytes(buffer).first(entry.length);
      auto read = data.pread(slot_offset(row, entry.slot, chunk_size), cipher);
      auto opened = !read                    ? status_of(read)
                    : *read == cipher.size() ? open_chunk(inode, chunk, entry, cipher, ciphers)
                                             : Error{Code::kDamaged, "its data file ends before it"};
      if (!opened.ok()) damage(inode.ino, "chunk " + std::to_string(chunk) + ": " + opened.error().message);
    }
    return map.stored();
  }

  Status open_chunk(const Inode& inode, std::uint64_t chunk, const ChunkEntry& entry, BytesView cipher,
                    const Ciphers& ciphers) {
    const auto& [envelope, aead] = ciphers.by_parity[entry.parity];
    if (!envelope) return Error{Code::kDamaged, "sealed under an envelope that is gone"};
    if (chunk * envelope->chunk_size + entry.length > inode.size)
      return Error{Code::kDamaged, "lies beyond the object's end"};
    if (entry.seal().size() != envelope->seal_size())
      return Error{Code::kDamaged, "has not the layers of its envelope"};
    ++report_.chunks;
    if (!aead) return {};  // its key refuses: counted with the object
    Bytes plain(cipher.size());
    auto opened = aead->open(chunk_aad(*envelope, chunk, entry.length), cipher, entry.seal(), plain);
    wipe(plain);
    return opened;
  }

  Status data_files() {
    for (int number = 0; number < kObjectFolders; ++number) {
      const auto folder = data_file_folder(static_cast<std::uint64_t>(number));
      auto names = disk_.list(folder);
      if (!names) {
        damage(folder, "cannot be read: " + names.error().message);
        continue;
      }
      for (const auto& name : *names) COFFER_TRY(data_file(folder, name));
    }
    return {};
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
    COFFER_TRY(disk_.remove(folder + "/" + name));
    ++report_.orphans_removed;
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
  bool changed_ = false, ever_changed_ = false;
  bool object_damaged_ = false, object_quarantined_ = false;  // the one being looked at
  FsckReport report_;
  std::uint64_t done_ = 0, total_ = 0;
};

}  // namespace

bool FsckReport::damage_remains() const {
  return std::any_of(damage.begin(), damage.end(), [](const Damage& one) { return one.repaired.empty(); });
}

Result<FsckReport> fsck(Catalog& catalog, Disk& disk, Keyring& keyring, const Principal& principal, FsckMode mode,
                        const Clock& clock,
                        const std::function<void(std::uint64_t done, std::uint64_t total)>& progress) {
  return Check(catalog, disk, keyring, principal, mode, clock, progress).run();
}

}  // namespace coffer
