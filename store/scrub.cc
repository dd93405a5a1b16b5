#include "store/scrub.h"

#include <algorithm>

#include "base/limits.h"
#include "base/wire.h"
#include "store/catalog_copy.h"
#include "store/catalog_repair.h"
#include "store/data_folders.h"
#include "store/quarantine.h"

namespace coffer {
namespace {

constexpr std::uint8_t kPlaceVersion = 1;
constexpr std::size_t kRowsPerPiece = 2;  // 4 MiB

bool is_bad(Code code) { return is_damage(code) || code == Code::kIo; }

}  // namespace

Result<std::unique_ptr<Scrub>> Scrub::begin(Parts parts, BytesView place) {
  std::unique_ptr<Scrub> scrub(new Scrub(std::move(parts)));
  COFFER_ASSIGN(scrub->reader_, scrub->parts_.catalog.reader(scrub->parts_.interrupted));
  COFFER_TRY(scrub->resume(place));
  return scrub;
}

Bytes Scrub::place() const {
  std::lock_guard lock(mutex_);
  WireWriter out;
  out.u8(kPlaceVersion).u64(after_).u64(ino_).u32(row_);
  out.u64(report_.objects).u64(report_.chunks).u64(report_.objects_unreadable);
  std::uint32_t count = 0;
  for (const auto ino : damaged_) count += count < kScrubAgainMax && ino != 0 ? 1U : 0U;
  out.u32(count);
  for (const auto ino : damaged_) {
    if (count-- == 0) break;
    out.u64(ino);
  }
  return std::move(out).take();
}

Status Scrub::resume(BytesView place) {
  if (place.empty()) return {};
  std::lock_guard lock(mutex_);
  WireReader in(place);
  if (in.u8() != kPlaceVersion) return {};  // of another version: from the beginning
  after_ = in.u64();
  ino_ = in.u64();
  row_ = in.u32();
  report_.objects = in.u64();
  report_.chunks = in.u64();
  report_.objects_unreadable = in.u64();
  const auto count = in.u32();
  for (std::uint32_t i = 0; i < count && in.ok(); ++i) again_.push_back(in.u64());
  if (!in.ok()) return Error{Code::kDamaged, "where the last scrub was is not to be read: use --restart"};
  damaged_.insert(again_.begin(), again_.end());
  return {};
}

Scrub::Progress Scrub::progress() const {
  std::lock_guard lock(mutex_);
  return {std::min(progress_.done, progress_.total), progress_.total};
}

CheckReport Scrub::report() const {
  std::lock_guard lock(mutex_);
  return report_;
}

void Scrub::damage(std::string object, std::string what) {
  std::lock_guard lock(mutex_);
  tell(std::move(object), std::move(what));
}

// Once: a piece may have been begun before.
void Scrub::tell(std::string object, std::string what) {
  auto& lines = report_.damage;
  const bool told = std::any_of(lines.begin(), lines.end(),
                                [&](const Damage& one) { return one.object == object && one.what == what; });
  if (!told && lines.size() < kFsckDamageMax) lines.push_back({std::move(object), std::move(what), ""});
}

void Scrub::read_bytes(std::uint64_t bytes) {
  std::lock_guard lock(mutex_);
  progress_.done += bytes;
}

Status Scrub::look(const std::function<Status()>& work) {
  Status done;
  for (int attempt = 0; attempt < kScrubTries; ++attempt) {
    std::lock_guard lock(reader_->mutex());
    const Catalog::Look look(*reader_);
    done = look.begun();
    if (done) done = work();
    if (done.ok() || done.code() != Code::kBusy || parts_.interrupted) return done;
  }
  return done;
}

Result<bool> Scrub::step() {
  const auto done = piece();
  // The store's own checkpoints come first: the same piece again.
  if (!done && done.code() == Code::kBusy && !parts_.interrupted) return true;
  if (!done && !is_damage(done.code())) return done.error();
  if (!done) {
    // A page or frame under what was asked for: mostly named already.
    damage("the catalog", done.error().message);
    leave_out_the_rest();
  }
  return phase_ != Phase::kDone;
}

Status Scrub::piece() {
  switch (phase_) {
    case Phase::kPages: return pages();
    case Phase::kLog: return log();
    case Phase::kCopy: return copy();
    case Phase::kTables: return tables();
    case Phase::kAgain: return again();
    case Phase::kObjects: return objects();
    case Phase::kFolders: return folder(folder_);
    case Phase::kHistory: return history();
    case Phase::kDone: break;
  }
  return {};
}

void Scrub::leave_out_the_rest() {
  switch (phase_) {
    case Phase::kPages: phase_ = Phase::kLog; break;
    case Phase::kLog: phase_ = Phase::kCopy; break;
    case Phase::kCopy: phase_ = Phase::kTables; break;
    case Phase::kTables:
    case Phase::kAgain: phase_ = Phase::kObjects; break;
    case Phase::kObjects: phase_ = Phase::kFolders; break;
    case Phase::kFolders: phase_ = Phase::kHistory; break;
    case Phase::kHistory:
    case Phase::kDone: phase_ = Phase::kDone; break;
  }
}

// --- the catalog ---

Status Scrub::pages() {
  std::vector<Error> bad;
  for (std::uint64_t read = 0; read < kScrubStep && phase_ == Phase::kPages; read += kScrubPages * kPageSize) {
    COFFER_ASSIGN(const auto next, parts_.catalog.database().verify_pages(page_, bad));
    read_bytes((next == 0 ? kScrubPages : next - page_) * kPageSize);
    page_ = next;
    if (next == 0) phase_ = Phase::kLog;
  }
  for (const auto& one : bad) damage("the catalog", one.message);
  return {};
}

Status Scrub::log() {
  Status whole;
  {
    std::lock_guard lock(parts_.catalog.mutex());
    whole = parts_.catalog.database().verify_log();
  }
  if (!whole && !is_bad(whole.code())) return whole;
  if (!whole) damage("the catalog", whole.error().message);
  phase_ = Phase::kCopy;
  return {};
}

Status Scrub::copy() {
  const auto whole = verify_catalog_copy(parts_.disk, parts_.keyring.keys(), parts_.keyring.suite());
  const bool missing = !whole && whole.code() == Code::kNotFound;  // none was made yet, or its room was needed
  if (!whole && !missing && !is_bad(whole.code())) return whole;
  if (!whole && !missing) damage(std::string(kCatalogCopyName), whole.error().message);
  phase_ = Phase::kTables;
  return {};
}

Status Scrub::tables() {
  std::vector<Damage> found;
  Catalog::Census census;
  const auto verify = [&]() -> Status {
    COFFER_ASSIGN(found, reader_->verify());
    auto counted = reader_->census();
    if (!counted && !is_bad(counted.code())) return counted.error();
    census = counted.ok() ? *counted : Catalog::Census();
    return {};
  };
  COFFER_TRY(look(verify));
  for (auto& one : found) damage(std::move(one.object), std::move(one.what));
  {
    std::lock_guard lock(mutex_);
    progress_.total = progress_.done + census.allocated;
  }
  phase_ = again_.empty() ? Phase::kObjects : Phase::kAgain;
  return {};
}

// --- objects ---

Status Scrub::object_damage(InodeNumber ino, const std::string& what) {
  std::string path;
  bool quarantined = false;
  COFFER_TRY(look([&]() -> Status {
    path = reader_->path_of(ino);
    const auto inode = reader_->inode(ino);
    const auto holds = inode.ok() ? Quarantine(*reader_).holds(*inode) : Result<bool>(false);
    if (!holds.ok() && holds.code() == Code::kBusy) return holds.error();
    quarantined = holds.ok() && *holds;
    return {};
  }));
  std::lock_guard lock(mutex_);
  if (quarantined) {
    auto& known = report_.quarantined;
    const bool told = std::find(known.begin(), known.end(), path) != known.end();
    if (!told && known.size() < kFsckDamageMax) known.push_back(path);
    return {};
  }
  damaged_.insert(ino);
  tell(path, what);
  return {};
}

// Those of the scrub before this one: told again, if they are as they were.
Status Scrub::again() {
  const auto ino = again_.back();
  std::uint32_t row = 0;
  for (bool more = true; more;) COFFER_TRY(object_piece(ino, row, /*counted=*/true, more));
  again_.pop_back();
  if (again_.empty()) phase_ = Phase::kObjects;
  return {};
}

Status Scrub::objects() {
  const auto begun = progress().done;
  for (std::size_t pieces = 0; pieces < kFsckPage && progress().done - begun < kScrubStep; ++pieces) {
    if (ino_ == 0) {
      std::vector<InodeNumber> next;
      const auto found = look([&]() -> Status {
        COFFER_ASSIGN(next, reader_->files_after(after_, 1));
        return {};
      });
      // What the catalog does not tell was named by its own check.
      if (!found && !is_damage(found.code())) return found;
      if (!found || next.empty()) {
        phase_ = Phase::kFolders;
        return {};
      }
      std::lock_guard lock(mutex_);
      ino_ = next[0];
      row_ = 0;
    }
    bool more = false;
    auto row = row_;
    COFFER_TRY(object_piece(ino_, row, /*counted=*/row != 0, more));
    std::lock_guard lock(mutex_);
    row_ = row;
    if (more) continue;
    after_ = ino_;
    ino_ = 0;
  }
  return {};
}

// With reader_'s look open. kDamaged never: what is wrong is in the piece.
Status Scrub::read_piece(InodeNumber ino, std::uint32_t row, bool whole, Piece& piece) {
  piece = {};
  const auto read = [&]() -> Status {
    COFFER_ASSIGN(piece.inode, reader_->inode(ino));
    COFFER_ASSIGN(piece.content, reader_->content(ino));
    piece.there = true;
    COFFER_ASSIGN(piece.seals, seals_of(parts_.keyring.store_id(), ino, piece.content));
    if (whole) {
      COFFER_ASSIGN(const auto stored, stored_bytes(*reader_, piece.content, piece.seals.chunk_size));
      if (stored != piece.inode.allocated)
        piece.wrong = Error{Code::kDamaged, std::to_string(piece.inode.allocated) + " bytes promised, " +
                                                std::to_string(stored) + " stored"};
    }
    if (piece.content.file == 0) return {};
    COFFER_ASSIGN(const auto rows, reader_->map_rows(ino, row, kRowsPerPiece + 1));
    piece.more = rows.size() > kRowsPerPiece;
    for (std::size_t i = 0; i < rows.size() && i < kRowsPerPiece; ++i) {
      COFFER_ASSIGN(const auto encoded, reader_->map_row(ino, rows[i]));
      if (!encoded) return Error{Code::kDamaged, "map row " + std::to_string(rows[i]) + " is gone"};
      COFFER_ASSIGN(auto map, ChunkRow::decode(*encoded, piece.seals.chunk_size));
      piece.rows.emplace_back(rows[i], std::move(map));
    }
    return {};
  };
  const auto done = read();
  if (done.ok() || done.code() == Code::kNotFound) return {};
  if (!is_damage(done.code())) return done;
  piece.there = true;
  piece.wrong = done.error();
  piece.rows.clear();
  piece.more = false;
  return {};
}

// Keys that end while this waits for the KMS do not serve it.
Status Scrub::unlock_held(Piece& piece, std::unique_lock<std::mutex>& in_use) {
  COFFER_TRY(unlock(piece.seals, parts_.keyring, parts_.principal));
  in_use = std::unique_lock(parts_.keys);
  for (auto& one : piece.seals.by_parity) {
    if (!one.aead || !parts_.held(one.envelope->kms_key_arn)) continue;
    one.aead.reset();
    piece.seals.refused = true;
  }
  return {};
}

Status Scrub::check_rows(const Piece& piece, std::vector<Bad>& bad, std::uint64_t& chunks) {
  if (piece.rows.empty()) return {};
  const auto data = parts_.disk.open(data_file_name(piece.content.file), OpenMode::kExisting);
  if (!data) {
    bad.push_back({piece.rows[0].first * std::uint64_t{kChunksPerRow}, "its data file is lost: " + data.error().message});
    return {};
  }
  for (const auto& [number, map] : piece.rows) {
    COFFER_ASSIGN(const auto looked_at,
                  check_map_row(piece.inode, number, map, **data, piece.seals,
                                [&](std::uint64_t chunk, const Error& why) {
                                  bad.push_back({chunk, "chunk " + std::to_string(chunk) + ": " + why.message});
                                }));
    chunks += looked_at;
  }
  return {};
}

Status Scrub::object_piece(InodeNumber ino, std::uint32_t& row, bool counted, bool& more) {
  Piece piece;
  COFFER_TRY(look([&] { return read_piece(ino, row, /*whole=*/row == 0, piece); }));
  more = piece.more;
  if (!piece.there) {
    std::lock_guard lock(mutex_);
    if (!counted) ++report_.objects;
    return {};
  }
  const bool readable = !piece.wrong || !piece.rows.empty() || piece.content.inline_chunk;
  std::uint64_t chunks = 0, bytes = 0;
  for (const auto& [number, map] : piece.rows) bytes += map.stored();
  if (piece.content.file == 0) bytes = piece.inode.allocated;
  std::vector<Bad> suspicious;
  std::optional<Error> wrong = piece.wrong;
  const bool has_seals = piece.seals.chunk_size != 0;
  if (readable && has_seals) {
    std::unique_lock<std::mutex> in_use;
    const auto unlocked = unlock_held(piece, in_use);
    if (!unlocked && !is_damage(unlocked.code())) return unlocked;
    if (!unlocked) {
      wrong = unlocked.error();
    } else if (piece.content.file == 0) {
      const auto checked = check_inline_chunk(piece.inode, piece.content, piece.seals);
      if (!checked && !is_damage(checked.code())) return checked.error();
      if (checked) chunks = *checked;
      if (!checked) wrong = checked.error();
    } else {
      COFFER_TRY(check_rows(piece, suspicious, chunks));
    }
    for (auto& one : piece.seals.by_parity) one.aead.reset();
  }
  if (wrong) COFFER_TRY(object_damage(ino, wrong->message));
  for (const auto& part : piece.rows) {
    const bool is_suspect = std::any_of(suspicious.begin(), suspicious.end(), [&, number = part.first](const Bad& one) {
      return one.chunk / kChunksPerRow == number;
    });
    if (is_suspect) COFFER_TRY(recheck(piece, part));
  }
  if (row == 0 && piece.content.file != 0) COFFER_TRY(second_copy(piece));
  if (!piece.rows.empty()) row = piece.rows.back().first + 1;
  std::lock_guard lock(mutex_);
  progress_.done += bytes;
  report_.chunks += counted && row == 0 ? 0 : chunks;
  if (counted) return {};
  ++report_.objects;
  if (piece.seals.refused) ++report_.objects_unreadable;
  return {};
}

// Under the keys its envelopes have by then: they may be others.
Status Scrub::recheck(const Piece& suspect, const std::pair<std::uint32_t, ChunkRow>& row) {
  const auto ino = suspect.inode.ino;
  Piece now;
  COFFER_TRY(look([&] { return read_piece(ino, row.first, /*whole=*/false, now); }));
  for (int attempt = 0; attempt < kScrubTries && now.there && !now.wrong; ++attempt) {
    const auto envelope = now.content.envelope;
    const auto next = now.content.next_envelope;
    std::vector<Bad> bad;
    bool same = false;
    {
      std::unique_lock<std::mutex> in_use;
      const auto unlocked = unlock_held(now, in_use);
      if (!unlocked && is_damage(unlocked.code())) return object_damage(ino, unlocked.error().message);
      if (!unlocked) return unlocked;
      const auto look_again = [&]() -> Status {
        auto ciphers = std::move(now.seals);
        COFFER_TRY(look([&] { return read_piece(ino, row.first, /*whole=*/false, now); }));
        same = !now.there || now.wrong || (now.content.envelope == envelope && now.content.next_envelope == next);
        if (!same || !now.there || now.wrong) return {};
        now.seals = std::move(ciphers);
        std::erase_if(now.rows, [&](const auto& one) { return one.first != row.first; });
        std::uint64_t chunks = 0;
        return check_rows(now, bad, chunks);
      };
      COFFER_TRY(parts_.at_rest(look_again));
      for (auto& one : now.seals.by_parity) one.aead.reset();
    }
    if (!same) continue;
    for (const auto& one : bad) COFFER_TRY(object_damage(ino, one.why));
    break;
  }
  return now.wrong ? object_damage(ino, now.wrong->message) : Status();
}

// One half is always whole where no power cut came in between; what is just being written may look otherwise.
Status Scrub::second_copy(const Piece& piece) {
  const auto number = piece.content.file;
  bool whole = true;
  const auto read = [&]() -> Status {
    const auto file = parts_.disk.open(data_file_name(number), OpenMode::kExisting);
    if (!file) return {};  // named with the object
    const auto header = parts_.headers.read(**file, number);
    if (!header && !is_bad(header.code())) return header.error();
    whole = header.ok() && (!*header || (*header)->inode.ino == piece.inode.ino);
    return {};
  };
  COFFER_TRY(read());
  if (whole) return {};
  COFFER_TRY(parts_.at_rest(read));
  if (whole) return {};
  std::string path;
  COFFER_TRY(look([&]() -> Status {
    path = reader_->path_of(piece.inode.ino);
    return {};
  }));
  std::lock_guard lock(mutex_);
  if (report_.second_copies.size() < kFsckDamageMax)
    report_.second_copies.push_back({path, "the note in its data file does not open", ""});
  return {};
}

// --- what belongs to nobody, and what is known from before ---

Status Scrub::folder(unsigned number) {
  const auto folder = data_file_folder(number);
  const auto names = parts_.disk.list(folder);
  if (!names) damage(folder, "cannot be read: " + names.error().message);
  std::vector<std::pair<std::string, std::uint64_t>> unnamed;
  std::uint64_t named = 0, strangers = 0;
  const auto sort_out = [&](const std::vector<std::pair<std::string, std::uint64_t>>& files) -> Status {
    named = 0;
    unnamed.clear();
    for (const auto& [name, file] : files) {
      const auto found = reader_->names_data_file(file);
      if (!found && is_damage(found.code())) continue;  // the tables' own check has named it
      if (!found) return found.error();
      if (*found) {
        ++named;
      } else {
        unnamed.emplace_back(name, file);
      }
    }
    return {};
  };
  std::vector<std::pair<std::string, std::uint64_t>> files;
  for (std::size_t i = 0; names.ok() && i < names->size(); ++i) {
    const auto& name = (*names)[i];
    if (lost_number(name)) continue;
    const auto file = parse_data_file(name);
    if (file && data_file_name(*file) == folder + "/" + name) {
      files.emplace_back(name, *file);
    } else {
      ++strangers;
    }
  }
  COFFER_TRY(look([&] { return sort_out(files); }));
  if (!unnamed.empty()) {
    // Made or removed since the last commit, most likely.
    COFFER_TRY(parts_.at_rest([&]() -> Status {
      std::erase_if(files, [&](const auto& one) {
        return !parts_.disk.open(folder + "/" + one.first, OpenMode::kExisting).ok();
      });
      return look([&] { return sort_out(files); });
    }));
  }
  folder_ = number + 1;
  if (folder_ == kDataFileFolders) phase_ = Phase::kHistory;
  std::lock_guard lock(mutex_);
  report_.data_files += named;
  report_.orphans += unnamed.size() + strangers;
  return {};
}

Status Scrub::history() {
  COFFER_ASSIGN(auto lost, list_lost(parts_.disk, parts_.keyring.keys(), parts_.keyring.suite()));
  if (lost.size() > kFsckDamageMax) lost.resize(kFsckDamageMax);
  std::uint64_t made = 0, commit = 0;
  const auto remember = [&]() -> Status {
    COFFER_ASSIGN(made, reader_->number("restored_made"));
    COFFER_ASSIGN(commit, reader_->number("restored_commit"));
    return {};
  };
  COFFER_TRY(look(remember));
  phase_ = Phase::kDone;
  std::lock_guard lock(mutex_);
  report_.lost = std::move(lost);
  if (made != 0) report_.restored = CheckReport::Restored{commit, static_cast<std::int64_t>(made)};
  progress_.done = progress_.total;
  return {};
}

}  // namespace coffer
