#include <sodium.h>

#include "store/catalog_state.h"

// Inodes, names, symbolic links and extended attributes.
namespace coffer {
namespace {

constexpr std::uint64_t kNameHashMin = 3;
constexpr std::uint64_t kNameHashMax = (std::uint64_t{1} << 62) - 1;
constexpr std::uint64_t kKindMax = static_cast<std::uint64_t>(FileKind::kBlockDevice);
constexpr std::uint64_t kAllocatedMax = kObjectSizeMax * 2;  // holes may be filled beyond the end
constexpr std::uint32_t kModeMax = 07777;

FileKind kind_at(Query& row, int column) {
  auto kind = row.number(column, kKindMax);
  if (kind == 0) row.unsound();
  return static_cast<FileKind>(kind);
}

InodeNumber inode_number_at(Query& row, int column) {
  auto ino = row.number(column, kInodeMax);
  if (ino == 0) row.unsound();
  return ino;
}

DirectoryEntry entry_at(Query& row) {
  DirectoryEntry entry;
  entry.cookie = row.number(0, kNameHashMax);
  if (entry.cookie < kNameHashMin) row.unsound();
  entry.name = as_text(row.blob(1));
  entry.ino = inode_number_at(row, 2);
  entry.kind = kind_at(row, 3);
  return entry;
}

template <class T>
Result<std::vector<T>> collect(Query& rows, T (*row_of)(Query&)) {
  std::vector<T> collected;
  while (true) {
    COFFER_ASSIGN(bool found, rows.step());
    if (!found) return collected;
    collected.push_back(row_of(rows));
    COFFER_TRY(rows.sound());
  }
}

}  // namespace

std::uint64_t name_hash(const Key& key, std::string_view name) {
  static_assert(crypto_shorthash_BYTES == 8 && crypto_shorthash_KEYBYTES <= Key::kSize);
  std::uint8_t out[crypto_shorthash_BYTES];
  crypto_shorthash(out, as_bytes(name).data(), name.size(), key.view().data());
  std::uint64_t hash = 0;
  for (std::size_t i = 0; i < sizeof out; ++i) hash |= std::uint64_t{out[i]} << (8 * i);
  return std::max(hash & kNameHashMax, kNameHashMin);
}

Inode inode_at(Query& row, int first) {
  Inode inode;
  inode.ino = inode_number_at(row, first);
  inode.kind = kind_at(row, first + 1);
  inode.mode = static_cast<std::uint32_t>(row.number(first + 2, kModeMax));
  inode.uid = static_cast<std::uint32_t>(row.number(first + 3, UINT32_MAX));
  inode.gid = static_cast<std::uint32_t>(row.number(first + 4, UINT32_MAX));
  inode.nlink = static_cast<std::uint32_t>(row.number(first + 5, UINT32_MAX));
  inode.size = row.number(first + 6, kObjectSizeMax);
  inode.allocated = row.number(first + 7, kAllocatedMax);
  inode.rdev = row.number(first + 8);
  inode.atime_ns = row.signed_number(first + 9);
  inode.mtime_ns = row.signed_number(first + 10);
  inode.ctime_ns = row.signed_number(first + 11);
  inode.bucket = row.number(first + 12, kInodeMax);
  inode.parent = row.number(first + 13, kInodeMax);
  return inode;
}

// --- inodes ---

Result<Inode> Catalog::inode(InodeNumber ino) {
  auto row = state_->query(
      "SELECT ino, kind, mode, uid, gid, nlink, size, allocated, rdev, atime, mtime, ctime, bucket, parent"
      " FROM inodes WHERE ino = ?1",
      ino);
  COFFER_ASSIGN(bool found, row.step());
  if (!found) return Error{Code::kNotFound, "no inode has this number"};
  auto inode = inode_at(row, 0);
  COFFER_TRY(row.sound());
  return inode;
}

Status Catalog::insert_inode(const Inode& i) {
  if (i.ino == 0 || i.ino > kInodeMax) return Error{Code::kLimit, "no inode number is left"};
  return state_
      ->query(
          "INSERT INTO inodes(ino, kind, mode, uid, gid, nlink, size, allocated, rdev, atime, mtime, ctime, bucket, "
          "parent)"
          " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
          i.ino, static_cast<unsigned>(i.kind), i.mode, i.uid, i.gid, i.nlink, i.size, i.allocated, i.rdev, i.atime_ns,
          i.mtime_ns, i.ctime_ns, i.bucket, i.parent)
      .run();
}

Status Catalog::update_inode(const Inode& i) {
  auto query = state_->query(
      "UPDATE inodes SET kind = ?2, mode = ?3, uid = ?4, gid = ?5, nlink = ?6, size = ?7, allocated = ?8, rdev = ?9,"
      " atime = ?10, mtime = ?11, ctime = ?12, bucket = ?13, parent = ?14 WHERE ino = ?1",
      i.ino, static_cast<unsigned>(i.kind), i.mode, i.uid, i.gid, i.nlink, i.size, i.allocated, i.rdev, i.atime_ns,
      i.mtime_ns, i.ctime_ns, i.bucket, i.parent);
  COFFER_TRY(query.run());
  if (query.changes() == 0) return Error{Code::kNotFound, "no inode has this number"};
  return {};
}

// Asks what there is before it deletes: most inodes have one row in one other table, and a look costs a fraction of a
// deletion that finds nothing.
Status Catalog::remove_inode(InodeNumber ino) {
  const auto first_map_id = ino << kMapRowBits, last_map_id = first_map_id | kMapRowMax;
  bool content = false, symlink = false, xattrs = false, maps = false, reseal = false;
  {
    auto row = state_->query(
        "SELECT EXISTS(SELECT 1 FROM contents WHERE ino = ?1), EXISTS(SELECT 1 FROM symlinks WHERE ino = ?1),"
        " EXISTS(SELECT 1 FROM xattrs WHERE ino = ?1), EXISTS(SELECT 1 FROM maps WHERE id BETWEEN ?2 AND ?3),"
        " EXISTS(SELECT 1 FROM reseal WHERE ino = ?1) FROM inodes WHERE ino = ?1",
        ino, first_map_id, last_map_id);
    COFFER_ASSIGN(bool found, row.step());
    if (!found) return Error{Code::kNotFound, "no inode has this number"};
    int column = 0;
    for (auto* there : {&content, &symlink, &xattrs, &maps, &reseal}) *there = row.number(column++, 1) == 1;
    COFFER_TRY(row.sound());
  }
  if (content) COFFER_TRY(state_->query("DELETE FROM contents WHERE ino = ?1", ino).run());
  if (symlink) COFFER_TRY(state_->query("DELETE FROM symlinks WHERE ino = ?1", ino).run());
  if (xattrs) COFFER_TRY(state_->query("DELETE FROM xattrs WHERE ino = ?1", ino).run());
  if (maps) COFFER_TRY(remove_map_rows(ino, 0));
  if (reseal) COFFER_TRY(dequeue_reseal(ino));
  return state_->query("DELETE FROM inodes WHERE ino = ?1", ino).run();
}

Result<std::vector<InodeNumber>> Catalog::unlinked_inodes(std::size_t limit) {
  auto rows = state_->query("SELECT ino FROM inodes WHERE nlink = 0 ORDER BY ino LIMIT ?1", limit);
  return collect<InodeNumber>(rows, [](Query& row) { return inode_number_at(row, 0); });
}

Result<std::vector<InodeNumber>> Catalog::files_after(InodeNumber after, std::size_t limit) {
  auto rows = state_->query("SELECT ino FROM inodes WHERE ino > ?1 AND kind = 1 ORDER BY ino LIMIT ?2", after, limit);
  return collect<InodeNumber>(rows, [](Query& row) { return inode_number_at(row, 0); });
}

Result<std::vector<InodeNumber>> Catalog::inodes_after(InodeNumber after, std::size_t limit) {
  auto rows = state_->query("SELECT ino FROM inodes WHERE ino > ?1 ORDER BY ino LIMIT ?2", after, limit);
  return collect<InodeNumber>(rows, [](Query& row) { return inode_number_at(row, 0); });
}

Result<Catalog::Census> Catalog::census() {
  auto row = state_->query("SELECT count(*), coalesce(sum(allocated), 0) FROM inodes");
  COFFER_ASSIGN(bool found, row.step());
  Census census;
  if (found) census = {row.number(0), row.number(1)};
  COFFER_TRY(row.sound());
  return census;
}

// --- names ---

Result<DirectoryEntry> Catalog::find_name(InodeNumber parent, std::string_view name) {
  auto row = state_->query("SELECT hash, name, ino, kind FROM names WHERE parent = ?1 AND hash = ?2 AND name = ?3",
                           parent, name_hash(state_->name_key, name), as_bytes(name));
  COFFER_ASSIGN(bool found, row.step());
  if (!found) return Error{Code::kNotFound, "the directory has no such name"};
  auto entry = entry_at(row);
  COFFER_TRY(row.sound());
  return entry;
}

Status Catalog::insert_name(InodeNumber parent, std::string_view name, InodeNumber ino, FileKind kind) {
  return state_
      ->query("INSERT INTO names(parent, hash, name, ino, kind) VALUES(?1, ?2, ?3, ?4, ?5)", parent,
              name_hash(state_->name_key, name), as_bytes(name), ino, static_cast<unsigned>(kind))
      .run();
}

Status Catalog::remove_name(InodeNumber parent, std::string_view name) {
  auto query = state_->query("DELETE FROM names WHERE parent = ?1 AND hash = ?2 AND name = ?3", parent,
                             name_hash(state_->name_key, name), as_bytes(name));
  COFFER_TRY(query.run());
  if (query.changes() == 0) return Error{Code::kNotFound, "the directory has no such name"};
  return {};
}

Status Catalog::replace_name(InodeNumber parent, std::string_view name, InodeNumber ino, FileKind kind) {
  return state_
      ->query("INSERT OR REPLACE INTO names(parent, hash, name, ino, kind) VALUES(?1, ?2, ?3, ?4, ?5)", parent,
              name_hash(state_->name_key, name), as_bytes(name), ino, static_cast<unsigned>(kind))
      .run();
}

Result<bool> Catalog::directory_empty(InodeNumber parent) {
  COFFER_ASSIGN(bool found, state_->query("SELECT 1 FROM names WHERE parent = ?1 LIMIT 1", parent).step());
  return !found;
}

// Two names of one directory that share a hash (one pair in 2^62) share a cookie: a listing that pauses between them
// misses the second.
Result<std::vector<DirectoryEntry>> Catalog::list(InodeNumber parent, std::uint64_t after_cookie, std::size_t limit) {
  auto rows = state_->query(
      "SELECT hash, name, ino, kind FROM names WHERE parent = ?1 AND hash > ?2 ORDER BY hash, name LIMIT ?3", parent,
      std::min(after_cookie, kNameHashMax), limit);
  return collect<DirectoryEntry>(rows, entry_at);
}

Result<std::vector<Catalog::EntryWithInode>> Catalog::list_with_inodes(InodeNumber parent, std::uint64_t after_cookie,
                                                                       std::size_t limit) {
  // A left join: a name without its inode is damage, not an absent entry.
  auto rows = state_->query(
      "SELECT n.hash, n.name, n.ino, n.kind, i.ino, i.kind, i.mode, i.uid, i.gid, i.nlink, i.size, i.allocated, i.rdev,"
      " i.atime, i.mtime, i.ctime, i.bucket, i.parent FROM names n LEFT JOIN inodes i ON i.ino = n.ino"
      " WHERE n.parent = ?1 AND n.hash > ?2 ORDER BY n.hash, n.name LIMIT ?3",
      parent, std::min(after_cookie, kNameHashMax), limit);
  return collect<EntryWithInode>(rows, [](Query& row) { return EntryWithInode{entry_at(row), inode_at(row, 4)}; });
}

Result<std::vector<std::pair<InodeNumber, std::string>>> Catalog::names_of(InodeNumber ino) {
  auto rows = state_->query("SELECT parent, name FROM names WHERE ino = ?1", ino);
  return collect<std::pair<InodeNumber, std::string>>(rows, [](Query& row) {
    return std::pair(inode_number_at(row, 0), std::string(as_text(row.blob(1))));
  });
}

Result<std::pair<InodeNumber, std::string>> Catalog::any_name(InodeNumber ino) {
  COFFER_ASSIGN(auto named, inode(ino));
  // Nearly always right. The second search reads every name: an inode whose last directory lost its link keeps others
  // elsewhere.
  {
    auto row = state_->query("SELECT name FROM names WHERE parent = ?1 AND ino = ?2 LIMIT 1", named.parent, ino);
    COFFER_ASSIGN(bool found, row.step());
    std::string name(found ? as_text(row.blob(0)) : "");
    COFFER_TRY(row.sound());
    if (found) return std::pair(named.parent, std::move(name));
  }
  auto row = state_->query("SELECT parent, name FROM names WHERE ino = ?1 LIMIT 1", ino);
  bool found = false;
  if (named.nlink > 0) {
    COFFER_ASSIGN(found, row.step());
  }
  if (!found) return Error{Code::kNotFound, "the inode has no name"};
  std::pair<InodeNumber, std::string> name(inode_number_at(row, 0), as_text(row.blob(1)));
  COFFER_TRY(row.sound());
  return name;
}

// --- symbolic links ---

Result<std::string> Catalog::symlink_target(InodeNumber ino) {
  auto row = state_->query("SELECT target FROM symlinks WHERE ino = ?1", ino);
  COFFER_ASSIGN(bool found, row.step());
  if (!found) return Error{Code::kNotFound, "the inode has no link target"};
  std::string target(as_text(row.blob(0)));
  COFFER_TRY(row.sound());
  return target;
}

Status Catalog::set_symlink_target(InodeNumber ino, std::string_view target) {
  return state_->query("INSERT OR REPLACE INTO symlinks(ino, target) VALUES(?1, ?2)", ino, as_bytes(target)).run();
}

// --- extended attributes ---

Result<Bytes> Catalog::xattr(InodeNumber ino, std::string_view name) {
  auto row = state_->query("SELECT value FROM xattrs WHERE ino = ?1 AND name = ?2", ino, as_bytes(name));
  COFFER_ASSIGN(bool found, row.step());
  if (!found) return Error{Code::kNoAttribute, "the inode has no such attribute"};
  auto value = to_bytes(row.blob(0));
  COFFER_TRY(row.sound());
  return value;
}

Result<std::vector<std::string>> Catalog::xattr_names(InodeNumber ino) {
  auto rows = state_->query("SELECT name FROM xattrs WHERE ino = ?1 ORDER BY name", ino);
  return collect<std::string>(rows, [](Query& row) { return std::string(as_text(row.blob(0))); });
}

Result<std::uint64_t> Catalog::xattr_bytes(InodeNumber ino) {
  auto row = state_->query("SELECT coalesce(sum(length(name) + length(value)), 0) FROM xattrs WHERE ino = ?1", ino);
  COFFER_ASSIGN(bool found, row.step());
  auto bytes = found ? row.number(0) : 0;
  COFFER_TRY(row.sound());
  return bytes;
}

Status Catalog::set_xattr(InodeNumber ino, std::string_view name, BytesView value) {
  return state_->query("INSERT OR REPLACE INTO xattrs(ino, name, value) VALUES(?1, ?2, ?3)", ino, as_bytes(name), value)
      .run();
}

Status Catalog::remove_xattr(InodeNumber ino, std::string_view name) {
  auto query = state_->query("DELETE FROM xattrs WHERE ino = ?1 AND name = ?2", ino, as_bytes(name));
  COFFER_TRY(query.run());
  if (query.changes() == 0) return Error{Code::kNoAttribute, "the inode has no such attribute"};
  return {};
}

}  // namespace coffer
