#include "store/fsck.h"

#include <algorithm>

#include "base/limits.h"
#include "store/chunk_map.h"

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

  Check(Catalog& catalog, Disk& disk, Keyring& keyring, const Principal& principal, const Progress& progress)
      : catalog_(catalog), disk_(disk), keyring_(keyring), principal_(principal), progress_(progress) {}

  Result<FsckReport> run() {
    COFFER_TRY(catalog());
    COFFER_TRY(objects());
    COFFER_TRY(data_files());
    return std::move(report_);
  }

 private:
  bool room() const { return report_.damage.size() < kFsckDamageMax; }
  void damage(std::string line) {
    if (room()) report_.damage.push_back(std::move(line));
  }
  void damage(InodeNumber ino, const std::string& what) {
    if (!room()) return;
    std::lock_guard lock(catalog_.mutex());
    damage(catalog_.path_of(ino) + ": " + what);
  }

  Status catalog() {
    std::lock_guard lock(catalog_.mutex());
    if (auto files = catalog_.verify_files(); !files.ok()) {
      if (!is_damage(files.code())) return files;
      damage(files.error().message);
    }
    COFFER_ASSIGN(auto lines, catalog_.verify());
    for (auto& line : lines) damage(std::move(line));
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
    lock.unlock();
    if (!content && content.code() == Code::kNotFound) return {};
    auto checked = content.ok() ? check_content(*inode, *content) : status_of(content);
    if (inode.ok()) done_ += inode->allocated;
    if (progress_) progress_(std::min(done_, total_), total_);
    if (checked.ok() || !is_damage(checked.code())) return checked;
    damage(ino, checked.error().message);
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
        damage(folder + ": cannot be read: " + names.error().message);
        continue;
      }
      for (const auto& name : *names) COFFER_TRY(data_file(folder, name));
    }
    return {};
  }

  Status data_file(const std::string& folder, const std::string& name) {
    const auto file = parse_data_file(name);
    const bool placed = file && data_file_name(*file) == folder + "/" + name;
    std::lock_guard lock(catalog_.mutex());
    auto named = placed ? catalog_.names_data_file(*file) : Result<bool>(false);
    if (!named && is_damage(named.code())) return {};
    COFFER_TRY(status_of(named));
    ++(*named ? report_.data_files : report_.orphans);
    return {};
  }

  Catalog& catalog_;
  Disk& disk_;
  Keyring& keyring_;
  const Principal& principal_;
  const Progress& progress_;
  FsckReport report_;
  std::uint64_t done_ = 0, total_ = 0;
};

}  // namespace

Result<FsckReport> fsck(Catalog& catalog, Disk& disk, Keyring& keyring, const Principal& principal,
                        const std::function<void(std::uint64_t done, std::uint64_t total)>& progress) {
  return Check(catalog, disk, keyring, principal, progress).run();
}

}  // namespace coffer
