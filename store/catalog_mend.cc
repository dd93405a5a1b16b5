#include "base/encoding.h"
#include "store/catalog_state.h"
#include "store/quarantine.h"

// What fsck --repair changes in the tables: where two of them contradict each other and one of them can be put right
// without guessing at anybody's data.
namespace coffer {
namespace {

constexpr std::uint32_t kMendPages = 24;  // a repair's: a folder, names, an inode, and splits above them

struct WrongName {
  InodeNumber parent = 0;
  std::int64_t hash = 0;
  std::string name;
  std::string what;
};

class Mending {
 public:
  Mending(Catalog& catalog, Statements& statements, const Key& name_key, std::int64_t now_ns)
      : catalog_(catalog), statements_(statements), name_key_(name_key), now_ns_(now_ns) {}

  Result<std::vector<Damage>> run(const std::vector<WrongLinks>& links) {
    COFFER_TRY(rows_of_nothing());
    COFFER_TRY(names());
    COFFER_TRY(kinds());
    COFFER_TRY(parents());
    COFFER_TRY(buckets());
    COFFER_TRY(lost_content());
    for (const auto& one : links) COFFER_TRY(link(one));
    COFFER_TRY(numbers());
    return std::move(done_);
  }

 private:
  bool room() const { return done_.size() < kFsckDamageMax; }
  void done(std::string object, std::string what, std::string how) {
    done_.push_back({std::move(object), std::move(what), std::move(how)});
  }
  Status reserve() { return catalog_.database().reserve(kMendPages); }

  // Numbers that a statement yields, with nothing of it left open.
  Result<std::vector<std::uint64_t>> numbers_of(SqlText sql) {
    auto rows = statements_.query(sql);
    std::vector<std::uint64_t> found;
    while (room() && found.size() < kFsckDamageMax) {
      COFFER_ASSIGN(const bool more, rows.step());
      if (!more) break;
      found.push_back(rows.number(0));
    }
    return found;
  }

  Status rows_of_nothing() {
    COFFER_ASSIGN(const auto in_use,
                  numbers_of("SELECT g.file FROM garbage g WHERE g.file < 1"
                             " OR EXISTS(SELECT 1 FROM contents c WHERE c.file = g.file AND c.file <> 0)"));
    for (const auto file : in_use) {
      COFFER_TRY(reserve());
      COFFER_TRY(catalog_.remove_garbage(file));
      done("data file " + std::to_string(file), "was waiting to be removed, and is in use or none", "stays");
    }
    COFFER_ASSIGN(const auto queued, numbers_of("SELECT r.ino FROM reseal r LEFT JOIN contents c ON c.ino = r.ino"
                                                " WHERE c.ino IS NULL"));
    for (const auto ino : queued) {
      COFFER_TRY(reserve());
      COFFER_TRY(catalog_.dequeue_reseal(ino));
      done(catalog_.path_of(ino), "waits to be resealed but has no content", "taken out of the queue");
    }
    COFFER_ASSIGN(const auto targets, numbers_of("SELECT s.ino FROM symlinks s LEFT JOIN inodes i ON i.ino = s.ino"
                                                 " WHERE i.kind IS NOT 3"));
    for (const auto ino : targets) {
      COFFER_TRY(reserve());
      COFFER_TRY(statements_.query("DELETE FROM symlinks WHERE ino = ?1", ino).run());
      done(catalog_.path_of(ino), "a link target without a symbolic link", "removed");
    }
    COFFER_ASSIGN(const auto attributes, numbers_of("SELECT DISTINCT x.ino FROM xattrs x LEFT JOIN inodes i"
                                                    " ON i.ino = x.ino WHERE i.ino IS NULL"));
    for (const auto ino : attributes) {
      COFFER_TRY(reserve());
      COFFER_TRY(statements_.query("DELETE FROM xattrs WHERE ino = ?1", ino).run());
      done(catalog_.path_of(ino), "extended attributes without an inode", "removed");
    }
    COFFER_ASSIGN(const auto maps, numbers_of("SELECT DISTINCT m.id >> 24 FROM maps m LEFT JOIN contents c"
                                              " ON c.ino = m.id >> 24 LEFT JOIN inodes i ON i.ino = m.id >> 24"
                                              " WHERE c.ino IS NULL AND i.ino IS NULL"));
    for (const auto ino : maps) {
      COFFER_TRY(reserve());
      COFFER_TRY(catalog_.remove_map_rows(ino, 0));
      done(catalog_.path_of(ino), "a chunk map of no object", "removed");
    }
    return {};
  }

  // Names that lead nowhere, or are nowhere, or not where their hash says.
  Status names() {
    std::vector<WrongName> wrong;
    {
      auto rows = statements_.query(
          "SELECT n.parent, n.hash, n.name, n.ino, i.ino, p.kind FROM names n"
          " LEFT JOIN inodes i ON i.ino = n.ino LEFT JOIN inodes p ON p.ino = n.parent");
      while (room() && wrong.size() < kFsckDamageMax) {
        COFFER_ASSIGN(const bool more, rows.step());
        if (!more) break;
        const std::string name(as_text(rows.blob(2)));
        std::string what;
        if (!is_possible_name(name)) what = "not a possible name";
        else if (rows.is_null(4)) what = "leads to no inode";
        else if (rows.number(3) == kRootInode) what = "leads to the root directory";
        else if (rows.is_null(5) || rows.number(5) != static_cast<unsigned>(FileKind::kDirectory))
          what = "in something that is no directory";
        else if (rows.number(1) != name_hash(name_key_, name)) what = "a name at another name's place";
        if (!what.empty()) wrong.push_back({rows.number(0), rows.signed_number(1), name, what});
      }
    }
    for (const auto& one : wrong) {
      COFFER_TRY(reserve());
      const auto object = catalog_.path_of(one.parent) + "/" + printable(one.name);
      COFFER_TRY(statements_
                     .query("DELETE FROM names WHERE parent = ?1 AND hash = ?2 AND name = ?3", one.parent, one.hash,
                            as_bytes(one.name))
                     .run());
      done(object, one.what, "the name was removed; what it led to is found in lost+found if it has no other");
    }
    return {};
  }

  Status kinds() {
    struct Entry {
      InodeNumber parent, ino;
      std::string name;
      std::uint64_t kind;
    };
    std::vector<Entry> wrong;
    {
      auto rows = statements_.query(
          "SELECT n.parent, n.ino, n.name, i.kind FROM names n JOIN inodes i ON i.ino = n.ino WHERE i.kind <> n.kind");
      while (room() && wrong.size() < kFsckDamageMax) {
        COFFER_ASSIGN(const bool more, rows.step());
        if (!more) break;
        wrong.push_back({rows.number(0), rows.number(1), std::string(as_text(rows.blob(2))), rows.number(3)});
      }
    }
    for (const auto& one : wrong) {
      COFFER_TRY(reserve());
      COFFER_TRY(catalog_.replace_name(one.parent, one.name, one.ino, static_cast<FileKind>(one.kind)));
      done(catalog_.path_of(one.parent) + "/" + printable(one.name), "of another kind than its inode", "follows it");
    }
    return {};
  }

  // A directory is where its one name is. Of several the one it believes in stays.
  Status parents() {
    COFFER_ASSIGN(const auto wrong,
                  numbers_of("SELECT DISTINCT n.ino FROM names n JOIN inodes i ON i.ino = n.ino"
                             " WHERE i.kind = 2 AND n.parent <> i.parent"));
    for (const auto ino : wrong) {
      COFFER_TRY(reserve());
      COFFER_ASSIGN(auto inode, catalog_.inode(ino));
      COFFER_ASSIGN(const auto names, catalog_.names_of(ino));
      bool kept = false;
      for (const auto& [parent, name] : names) kept = kept || parent == inode.parent;
      for (const auto& [parent, name] : names) {
        if (parent == inode.parent) continue;
        const auto object = catalog_.path_of(parent) + "/" + printable(name);
        if (kept) {
          COFFER_TRY(catalog_.remove_name(parent, name));
          done(object, "a second name of a directory", "removed");
        } else {
          inode.parent = parent;
          kept = true;
          COFFER_TRY(catalog_.update_inode(inode));
          done(object, "a directory that believes to be elsewhere", "it follows its name");
        }
      }
    }
    return {};
  }

  Status buckets() {
    struct Stray {
      InodeNumber ino, bucket;
    };
    std::vector<Stray> wrong;
    {
      auto rows = statements_.query(
          "SELECT n.ino, p.bucket FROM names n JOIN inodes i ON i.ino = n.ino JOIN inodes p ON p.ino = n.parent"
          " JOIN buckets b ON b.ino = p.bucket WHERE n.parent <> 1 AND p.kind = 2 AND i.bucket <> p.bucket");
      while (room() && wrong.size() < kFsckDamageMax) {
        COFFER_ASSIGN(const bool more, rows.step());
        if (!more) break;
        wrong.push_back({rows.number(0), rows.number(1)});
      }
    }
    for (const auto& one : wrong) {
      COFFER_TRY(reserve());
      COFFER_ASSIGN(auto inode, catalog_.inode(one.ino));
      inode.bucket = one.bucket;
      COFFER_TRY(catalog_.update_inode(inode));
      done(catalog_.path_of(one.ino), "in another bucket than its directory", "it follows its directory");
    }
    return {};
  }

  // What these held is gone whatever is done: an empty file, or no link, says so.
  Status lost_content() {
    COFFER_ASSIGN(const auto links, numbers_of("SELECT i.ino FROM inodes i LEFT JOIN symlinks s ON s.ino = i.ino"
                                               " WHERE i.kind = 3 AND s.ino IS NULL"));
    for (const auto ino : links) {
      const auto object = catalog_.path_of(ino);
      COFFER_ASSIGN(const auto names, catalog_.names_of(ino));
      COFFER_TRY(catalog_.database().reserve(kMendPages * (1 + static_cast<std::uint32_t>(names.size()))));
      for (const auto& [parent, name] : names) COFFER_TRY(catalog_.remove_name(parent, name));
      COFFER_TRY(catalog_.remove_inode(ino));
      done(object, "a symbolic link without a target", "removed");
    }
    COFFER_ASSIGN(const auto files, numbers_of("SELECT i.ino FROM inodes i LEFT JOIN contents c ON c.ino = i.ino"
                                               " WHERE i.kind = 1 AND c.ino IS NULL AND (i.size > 0 OR i.allocated > 0)"));
    for (const auto ino : files) {
      COFFER_TRY(reserve());
      COFFER_ASSIGN(auto inode, catalog_.inode(ino));
      inode.size = inode.allocated = 0;
      COFFER_TRY(catalog_.update_inode(inode));
      const auto object = catalog_.path_of(ino);
      if (inode.nlink > 0) (void)Quarantine(catalog_).take(inode, now_ns_);
      done(object, "has a size but no content", "left empty as " + catalog_.path_of(ino));
    }
    return {};
  }

  Status link(const WrongLinks& wrong) {
    if (!room()) return {};
    COFFER_TRY(reserve());
    const auto known = catalog_.inode(wrong.ino);
    if (!known && known.code() == Code::kNotFound) return {};
    if (!known) return known.error();
    auto inode = *known;
    const auto object = catalog_.path_of(wrong.ino);
    const bool directory = inode.kind == FileKind::kDirectory;
    COFFER_ASSIGN(const auto names, catalog_.names_of(wrong.ino));
    const bool nowhere = wrong.ino != kRootInode && (names.empty() || (directory && wrong.adrift));
    if (nowhere) {
      if (directory && wrong.adrift) {
        // Another of its loop may have been taken out since.
        COFFER_ASSIGN(const bool rooted, reaches_root(statements_, wrong.ino));
        if (rooted && !names.empty()) return {};
      }
      const auto adopted = Quarantine(catalog_).adopt(inode, now_ns_);
      if (!adopted && (adopted.code() == Code::kNotFound || adopted.code() == Code::kExists)) return {};
      COFFER_TRY(adopted);
      done(object, directory ? "a directory that the root does not lead to" : "without a name",
           "is " + catalog_.path_of(wrong.ino) + " now");
      return {};
    }
    const auto found = directory ? wrong.folders + 2 : static_cast<std::uint32_t>(names.size());
    if (inode.nlink == found) return {};
    const auto promised = inode.nlink;
    inode.nlink = found;
    COFFER_TRY(catalog_.update_inode(inode));
    done(object, std::to_string(promised) + " links promised, " + std::to_string(found) + " found", "counted anew");
    return {};
  }

  // Counts that statfs shows, and numbers that must never be given out twice.
  Status numbers() {
    COFFER_ASSIGN(const auto counted, counted_numbers(statements_));
    for (const auto& [name, found, exact] : counted) {
      COFFER_ASSIGN(const auto recorded, catalog_.number(name));
      if (recorded == 0 || (exact ? recorded == found : recorded > found)) continue;
      COFFER_TRY(reserve());
      COFFER_TRY(catalog_.set_number(name, exact ? found : found + 1));
      done("the catalog's number " + name, std::to_string(recorded) + " recorded, " + std::to_string(found) + " found",
           "counted anew");
    }
    return {};
  }

  Catalog& catalog_;
  Statements& statements_;
  const Key& name_key_;
  const std::int64_t now_ns_;
  std::vector<Damage> done_;
};

}  // namespace

Result<std::vector<Damage>> Catalog::mend(std::int64_t now_ns) {
  COFFER_ASSIGN(const auto links, wrong_links());
  Savepoint savepoint(*this);
  COFFER_ASSIGN(auto done, Mending(*this, state_->statements, state_->name_key, now_ns).run(links));
  COFFER_TRY(savepoint.keep());
  return done;
}

}  // namespace coffer
