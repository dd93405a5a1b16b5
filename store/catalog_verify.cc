#include <algorithm>

#include "base/encoding.h"
#include "store/catalog_state.h"

// What fsck asks of the tables.
namespace coffer {
namespace {

// Inodes whose links are counted in one pass over all names: 40 MB.
constexpr std::size_t kInodesPerPass = 1'000'000;
constexpr std::size_t kDepthReported = 256;

// Its rows are numbers of inodes, or texts, that break a promise.
struct TableCheck {
  SqlText sql;
  std::string_view complaint;
};

// clang-format off
constexpr TableCheck kInodeChecks[] = {
    {"SELECT 1 WHERE NOT EXISTS(SELECT 1 FROM inodes WHERE ino = 1 AND kind = 2 AND bucket = 0 AND parent = 1)",
     "the root directory is missing"},
    {"SELECT i.ino FROM inodes i LEFT JOIN buckets b ON b.ino = i.bucket WHERE i.ino <> 1 AND i.nlink > 0 AND b.ino IS NULL",
     "belongs to no bucket"},
    {"SELECT i.ino FROM inodes i LEFT JOIN symlinks s ON s.ino = i.ino WHERE i.kind = 3 AND s.ino IS NULL",
     "a symbolic link without a target"},
    {"SELECT s.ino FROM symlinks s LEFT JOIN inodes i ON i.ino = s.ino WHERE i.kind IS NOT 3",
     "a link target without a symbolic link"},
    {"SELECT DISTINCT x.ino FROM xattrs x LEFT JOIN inodes i ON i.ino = x.ino WHERE i.ino IS NULL",
     "extended attributes without an inode"},
    {"SELECT i.ino FROM inodes i LEFT JOIN contents c ON c.ino = i.ino"
     " WHERE i.kind = 1 AND c.ino IS NULL AND (i.size > 0 OR i.allocated > 0)",
     "has a size but no content"},
    {"SELECT c.ino FROM contents c LEFT JOIN inodes i ON i.ino = c.ino WHERE i.kind IS NOT 1",
     "content without a file"},
    {"SELECT ino FROM contents WHERE file < 0 OR rule_version < 0 OR next_rule_version < 0"
     " OR leased NOT BETWEEN 0 AND 4294967296 OR next_leased NOT BETWEEN 0 AND 4294967296",
     "its content row has a value out of range"},
    {"SELECT ino FROM contents WHERE file <> 0 AND inline IS NOT NULL",
     "has both a data file and inline content"},
    {"SELECT a.ino FROM contents a WHERE a.file <> 0"
     " AND EXISTS(SELECT 1 FROM contents b WHERE b.file = a.file AND b.file <> 0 AND b.ino <> a.ino)",
     "shares its data file with another object"},
    {"SELECT c.ino FROM garbage g JOIN contents c ON c.file = g.file AND c.file <> 0",
     "its data file is waiting to be removed"},
    {"SELECT DISTINCT m.id >> 24 FROM maps m LEFT JOIN contents c ON c.ino = m.id >> 24 WHERE coalesce(c.file, 0) = 0",
     "a chunk map without a data file"},
    {"SELECT r.ino FROM reseal r LEFT JOIN contents c ON c.ino = r.ino WHERE c.ino IS NULL",
     "waits to be resealed but has no content"},
    {"SELECT b.ino FROM buckets b LEFT JOIN inodes i ON i.ino = b.ino"
     " WHERE i.kind IS NOT 2 OR i.parent IS NOT 1 OR i.bucket IS NOT b.ino",
     "a bucket without a directory in the root"},
    {"SELECT b.ino FROM buckets b"
     " WHERE NOT EXISTS(SELECT 1 FROM names n WHERE n.parent = 1 AND n.ino = b.ino AND n.name = CAST(b.name AS BLOB))",
     "a bucket without its name in the root"},
    {"SELECT n.ino FROM names n LEFT JOIN buckets b ON b.ino = n.ino WHERE n.parent = 1 AND b.ino IS NULL",
     "in the root, but no bucket"},
};

constexpr TableCheck kTextChecks[] = {
    {"PRAGMA integrity_check", "coffer.db"},
    {"SELECT printf('%d', file) FROM garbage WHERE file < 1", "waits to be removed but is no data file"},
    {"SELECT DISTINCT m.key_id FROM kms_materials m LEFT JOIN kms_keys k ON k.key_id = m.key_id WHERE k.key_id IS NULL",
     "material of a KMS key that does not exist"},
    {"SELECT DISTINCT t.key_id FROM kms_tags t LEFT JOIN kms_keys k ON k.key_id = t.key_id WHERE k.key_id IS NULL",
     "tags of a KMS key that does not exist"},
    {"SELECT a.name FROM kms_aliases a LEFT JOIN kms_keys k ON k.key_id = a.key_id WHERE k.key_id IS NULL",
     "a KMS alias without its key"},
    {"SELECT k.key_id FROM kms_keys k WHERE EXISTS(SELECT 1 FROM kms_materials m WHERE m.key_id = k.key_id)"
     " AND k.current_material <>"
     " (SELECT m.material_id FROM kms_materials m WHERE m.key_id = k.key_id ORDER BY m.position DESC LIMIT 1)",
     "a KMS key whose current material is not its last"},
};
// clang-format on

bool is_directory(FileKind kind) { return kind == FileKind::kDirectory; }

}  // namespace

bool is_possible_name(std::string_view name) {
  if (name.empty() || name.size() > kNameSizeMax || name == "." || name == "..") return false;
  return name.find('/') == name.npos && name.find('\0') == name.npos;
}

// Follows parents; a loop is met again by a mark that is set at every power of two steps (Brent).
Result<bool> reaches_root(Statements& statements, InodeNumber ino) {
  InodeNumber mark = ino;
  for (std::uint64_t steps = 0, renew = 1; ino != kRootInode; ++steps) {
    if (steps == renew) {
      mark = ino;
      renew *= 2;
    }
    auto row = statements.query("SELECT parent FROM inodes WHERE ino = ?1", ino);
    COFFER_ASSIGN(bool found, row.step());
    if (!found) return false;
    ino = row.number(0);
    if (ino == mark) return false;
  }
  return true;
}

Result<std::vector<CountedNumber>> counted_numbers(Statements& statements) {
  std::vector<CountedNumber> numbers;
  {
    auto row = statements.query("SELECT count(*), coalesce(max(ino), 0) FROM inodes");
    COFFER_ASSIGN(const bool found, row.step());
    if (found) numbers = {{"inodes", row.number(0), true}, {"next_inode", row.number(1), false}};
  }
  auto row = statements.query(
      "SELECT max(coalesce((SELECT max(file) FROM contents), 0), coalesce((SELECT max(file) FROM garbage), 0))");
  COFFER_ASSIGN(const bool found, row.step());
  if (found) numbers.push_back({"next_file", row.number(0), false});
  return numbers;
}

namespace {

// One verification's lines and the passes that find them. Damage that stops a pass is a line of its own.
class Verification {
 public:
  Verification(Catalog& catalog, Statements& statements, const Key& name_key)
      : catalog_(catalog), statements_(statements), name_key_(name_key) {}

  Result<std::vector<Damage>> run() {
    for (const auto& check : kTextChecks) COFFER_TRY(pass(texts(check)));
    for (const auto& check : kInodeChecks) COFFER_TRY(pass(inodes(check)));
    COFFER_TRY(pass(names()));
    COFFER_TRY(links());
    COFFER_TRY(pass(records()));
    return std::move(lines_);
  }

  Result<std::vector<WrongLinks>> wrong_links() {
    COFFER_TRY(links());
    return std::move(wrong_);
  }

 private:
  Status links() {
    InodeNumber after = 0;
    for (bool more = true; more && room();) {
      auto links = count_links(after);
      if (!links) {
        COFFER_TRY(pass(std::move(links).error()));
        break;
      }
      more = *links;
    }
    return {};
  }

  bool room() const { return lines_.size() < kFsckDamageMax; }
  void complain(std::string object, std::string what) {
    if (room()) lines_.push_back({std::move(object), std::move(what), ""});
  }
  void complain(InodeNumber ino, std::string_view what) { complain(catalog_.path_of(ino), std::string(what)); }

  Status pass(Status status) {
    if (status.ok() || status.code() != Code::kDamaged) return status;
    complain("coffer.db", status.error().message);
    return {};
  }

  Status texts(const TableCheck& check) {
    auto rows = statements_.query(check.sql);
    while (room()) {
      COFFER_ASSIGN(bool found, rows.step());
      if (!found) break;
      auto text = rows.text(0);
      if (text != "ok") complain(std::string(check.complaint), printable(text));
    }
    return {};
  }

  Status inodes(const TableCheck& check) {
    auto rows = statements_.query(check.sql);
    while (room()) {
      COFFER_ASSIGN(bool found, rows.step());
      if (!found) break;
      complain(rows.number(0), check.complaint);
    }
    return {};
  }

  // Every name: what it leads to, and what it is in.
  Status names() {
    auto rows = statements_.query(
        "SELECT n.parent, n.hash, n.name, n.ino, n.kind, i.kind, i.parent, i.bucket, p.kind, p.bucket FROM names n"
        " LEFT JOIN inodes i ON i.ino = n.ino LEFT JOIN inodes p ON p.ino = n.parent");
    while (room()) {
      COFFER_ASSIGN(bool found, rows.step());
      if (!found) break;
      if (auto wrong = wrong_name(rows); !wrong.empty())
        complain(catalog_.path_of(rows.number(0)) + "/" + printable(as_text(rows.blob(2))), std::string(wrong));
    }
    return {};
  }

  std::string_view wrong_name(Query& row) {
    auto name = as_text(row.blob(2));
    auto parent = row.number(0);
    if (!is_possible_name(name)) return "not a possible name";
    if (row.number(1) != name_hash(name_key_, name)) return "a name at another name's place";
    if (row.is_null(5)) return "leads to no inode";
    if (row.number(4) != row.number(5)) return "of another kind than its inode";
    constexpr auto kDirectory = static_cast<std::uint64_t>(FileKind::kDirectory);
    if (row.is_null(8) || row.number(8) != kDirectory) return "in something that is no directory";
    if (row.number(4) == kDirectory && row.number(6) != parent) return "a directory that believes to be elsewhere";
    auto bucket = parent == kRootInode ? row.number(3) : row.number(9);
    if (row.number(7) != bucket) return "in another bucket than its directory";
    return "";
  }

  struct Links {
    InodeNumber ino;
    FileKind kind;
    std::uint32_t promised;
    std::uint32_t found = 0, folders = 0;  // names that lead to it; directories in it
  };

  // The next inodes, each decoded, their links counted. False when there are no more.
  Result<bool> count_links(InodeNumber& after) {
    COFFER_ASSIGN(auto page, load_inodes(after));
    if (page.empty()) return false;
    auto find = [&page](InodeNumber ino) {
      auto at =
          std::lower_bound(page.begin(), page.end(), ino, [](const Links& a, InodeNumber b) { return a.ino < b; });
      return at != page.end() && at->ino == ino ? &*at : nullptr;
    };
    auto rows = statements_.query("SELECT parent, ino, kind FROM names");
    while (true) {
      COFFER_ASSIGN(bool found, rows.step());
      if (!found) break;
      if (auto* links = find(rows.number(1))) ++links->found;
      if (static_cast<FileKind>(rows.number(2)) != FileKind::kDirectory) continue;
      if (auto* links = find(rows.number(0))) ++links->folders;
    }
    for (const auto& links : page) COFFER_TRY(judge(links));
    after = page.back().ino;
    return true;
  }

  Result<std::vector<Links>> load_inodes(InodeNumber after) {
    auto rows = statements_.query(
        "SELECT ino, kind, mode, uid, gid, nlink, size, allocated, rdev, atime, mtime, ctime, bucket, parent"
        " FROM inodes WHERE ino > ?1 ORDER BY ino LIMIT ?2",
        after, kInodesPerPass);
    std::vector<Links> page;
    while (true) {
      COFFER_ASSIGN(bool found, rows.step());
      if (!found) return page;
      auto inode = inode_at(rows, 0);
      if (!rows.sound().ok())
        return Error{Code::kDamaged, "inode " + std::to_string(inode.ino) + " has a value out of range"};
      page.push_back({inode.ino, inode.kind, inode.nlink});
    }
  }

  Status judge(const Links& links) {
    const auto lines = lines_.size();
    bool rooted = true;
    if (!is_directory(links.kind)) {
      if (links.found != links.promised)
        complain(links.ino,
                 std::to_string(links.promised) + " links promised, " + std::to_string(links.found) + " found");
    } else if (links.ino == kRootInode) {
      if (links.found != 0) complain("the root", "the root directory has a name");
    } else if (links.promised > 0 || links.found > 0) {
      if (links.found != 1) complain(links.ino, "a directory with " + std::to_string(links.found) + " names");
      COFFER_ASSIGN(rooted, reaches_root(statements_, links.ino));
      if (!rooted) complain(links.ino, "a directory that the root does not lead to");
    }
    const bool linked = is_directory(links.kind) && links.promised > 0;
    if (linked && links.promised != links.folders + 2)
      complain(links.ino,
               std::to_string(links.promised) + " links promised, " + std::to_string(links.folders + 2) + " found");
    if (lines_.size() > lines) wrong_.push_back({links.ino, links.folders, !rooted});
    return {};
  }

  // What is read through its verb, for the ranges that verb checks.
  Status records() {
    COFFER_TRY(pass(status_of(catalog_.realm())));
    COFFER_ASSIGN(const auto counted, counted_numbers(statements_));
    for (const auto& [name, found, exact] : counted) {
      const auto recorded = catalog_.number(name);
      COFFER_TRY(pass(status_of(recorded)));
      if (!recorded || *recorded == 0 || (exact ? *recorded == found : *recorded > found)) continue;
      complain("the catalog's number " + name,
               std::to_string(*recorded) + " recorded, " + std::to_string(found) + " found");
    }
    auto rows = statements_.query(
        "SELECT ino, name, owner, created, algorithm, kms_key, bucket_key, blocked, rule_version, pinned_key FROM buckets");
    while (room()) {
      COFFER_ASSIGN(bool found, rows.step());
      if (!found) break;
      COFFER_TRY(pass(status_of(bucket_at(rows))));
    }
    return {};
  }

  template <class T>
  static Status status_of(const Result<T>& result) {
    if (!result) return result.error();
    return {};
  }

  Catalog& catalog_;
  Statements& statements_;
  const Key& name_key_;
  std::vector<Damage> lines_;
  std::vector<WrongLinks> wrong_;
};

}  // namespace

std::string printable(std::string_view name) {
  std::string text;
  for (char c : name) {
    bool plain = static_cast<unsigned char>(c) >= 0x20 && c != 0x7f && c != '\\';
    if (plain)
      text += c;
    else
      text += "\\x" + hex(as_bytes({&c, 1}));
  }
  return text;
}

Result<std::vector<Damage>> Catalog::verify() {
  return Verification(*this, state_->statements, state_->name_key).run();
}

Result<std::vector<WrongLinks>> Catalog::wrong_links() {
  return Verification(*this, state_->statements, state_->name_key).wrong_links();
}

std::string Catalog::path_of(InodeNumber ino) {
  std::string path;
  const auto asked = ino;
  std::size_t depth = 0;
  for (; ino != kRootInode && depth < kDepthReported; ++depth) {
    auto name = any_name(ino);
    if (!name) break;
    path = "/" + printable(name->second) + path;
    ino = name->first;
  }
  if (depth == kDepthReported) return "inode " + std::to_string(asked);  // deep, or in a loop of folders
  if (ino != kRootInode) return "inode " + std::to_string(ino) + path;
  return path.empty() ? "the root" : path.substr(1);
}

}  // namespace coffer
