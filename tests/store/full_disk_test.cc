#include <gtest/gtest.h>

#include <functional>

#include "base/limits.h"
#include "store/fsck.h"
#include "tests/store/store_model.h"
#include "tests/support/effort.h"

namespace coffer {
namespace {

using testing::read_all;
using testing::SimulatedDisk;
using testing::some_bytes;
using testing::StoreRig;
using testing::TreeModel;

constexpr NewInode kFile{0644, 1000, 1000, 0};
constexpr NewInode kFolder{0755, 1000, 1000, 0};
constexpr std::size_t kPiece = 8 * kChunkSize;
constexpr std::uint64_t kReplacingRoom = 512 << 10;  // enough of a reserve to replace a piece

// Everything a reader of the store can see, but times and inode numbers.
class Picture {
 public:
  static std::map<std::string, std::string> of(Store& store) {
    Picture picture(store);
    picture.add_directory(kRootInode, "");
    return std::move(picture.seen_);
  }

 private:
  explicit Picture(Store& store) : store_(store) {}

  void add_directory(InodeNumber ino, const std::string& path) {
    const auto entries = store_.read_directory(ino, 0, 10'000);
    if (!entries) {
      seen_[path] = "listing: " + entries.error().message;
      return;
    }
    for (const auto& entry : *entries) add(entry, path + "/" + entry.name);
  }
  void add(const DirectoryEntry& entry, const std::string& path) {
    const auto inode = store_.get(entry.ino);
    if (!inode) {
      seen_[path] = inode.error().message;
      return;
    }
    auto& line = seen_[path];
    line = std::to_string(static_cast<int>(inode->kind)) + " " + std::to_string(inode->mode) + " " +
           std::to_string(inode->nlink) + " " + std::to_string(inode->size) + "\n";
    if (const auto names = store_.xattr_names(entry.ino))
      for (const auto& name : *names)
        if (const auto value = store_.xattr(entry.ino, name)) line += name + "=" + hash_of(*value) + "\n";
    if (inode->kind == FileKind::kDirectory) return add_directory(entry.ino, path);
    if (inode->kind == FileKind::kSymlink) {
      line += store_.read_symlink(entry.ino).ok() ? *store_.read_symlink(entry.ino) : "unreadable";
      return;
    }
    if (inode->kind != FileKind::kFile) return;
    const auto content = read_all(store_, entry.ino);
    line += content ? hash_of(*content) : content.error().message;
  }
  static std::string hash_of(BytesView bytes) {
    return std::to_string(bytes.size()) + ":" + std::to_string(std::hash<std::string_view>()(as_text(bytes)));
  }

  Store& store_;
  std::map<std::string, std::string> seen_;
};

// What a verb needs of a disk.
enum class Need {
  kFrees,     // goes on with nothing left at all
  kReplaces,  // goes on from the reserve
  kGrows      // is refused when only the reserve is left
};

struct Verb {
  const char* name;
  Need need;
  std::function<Status(StoreRig&)> run;
};

void PrintTo(const Verb& verb, std::ostream* out) { *out << verb.name; }

InodeNumber at(StoreRig& rig, std::string_view path) {
  const auto found = rig.store().resolve("bucket", path);
  return found.ok() ? *found : 0;
}

template <class T>
Status status_of(const Result<T>& result) {
  return result.ok() ? Status() : Status(result.error());
}

Status ended(StoreRig& rig, const Result<Inode>& made, bool opened) {
  if (!made) return made.error();
  if (opened) rig.store().release(made->ino);
  rig.store().forget(made->ino, 1);
  return {};
}

Status change_size(StoreRig& rig, std::string_view path, std::uint64_t size) {
  InodeChange change;
  change.size = size;
  return status_of(rig.store().change(at(rig, path), change));
}

Status write_at(StoreRig& rig, std::string_view path, std::uint64_t offset, std::size_t size) {
  return rig.store().write(at(rig, path), offset, some_bytes(size, offset + size));
}

// A bucket with an object of each shape.
void populate(StoreRig& rig) {
  auto& store = rig.store();
  const auto bucket = store.create_bucket(*BucketName::parse("bucket"), kFolder)->ino;
  ASSERT_TRUE(store.create_bucket(*BucketName::parse("empty"), kFolder).ok());
  ASSERT_TRUE(rig.kms().create_key("").ok());
  const auto put = [&](InodeNumber parent, const std::string& name, std::uint64_t offset, std::size_t size) {
    const auto made = store.create(parent, name, kFile);
    ASSERT_TRUE(made.ok());
    if (size > 0) {
      ASSERT_TRUE(store.write(made->ino, offset, some_bytes(size, size)).ok());
    }
    ASSERT_TRUE(store.set_xattr(made->ino, "user.old", some_bytes(300, size), XattrMode::kAny).ok());
    store.release(made->ino);
    store.forget(made->ino, 1);
  };
  put(bucket, "nothing", 0, 0);
  put(bucket, "inline", 0, 5000);
  put(bucket, "chunk", 0, kChunkSize);
  put(bucket, "odd", 0, 3 * kChunkSize + 1234);
  put(bucket, "rows", 0, 200 * kChunkSize + 17);
  put(bucket, "sparse", 300 * kChunkSize, 4 * kChunkSize + 5);
  put(bucket, "target", 0, 2 * kChunkSize);
  ASSERT_TRUE(store.create_bucket(*BucketName::parse("other"), kFolder).ok());
  const auto folder = store.make_directory(bucket, "folder", kFolder);
  ASSERT_TRUE(store.make_directory(bucket, "void", kFolder).ok());
  ASSERT_TRUE(folder.ok());
  put(folder->ino, "within", 0, 3000);
  ASSERT_TRUE(store.link(at(rig, "odd"), bucket, "again").ok());
  ASSERT_TRUE(store.make_symlink(bucket, "symlink", "odd", kFile).ok());
  ASSERT_TRUE(store.sync_all().ok());
  ASSERT_TRUE(store.finish().ok());
}

const std::vector<Verb>& verbs() {
  static const auto bucket_of = [](StoreRig& rig) { return at(rig, ""); };
  static const std::vector<Verb> kVerbs{
      {"unlink of an inline object", Need::kFrees, [](auto& r) { return r.store().unlink(bucket_of(r), "inline"); }},
      {"unlink of a chunk", Need::kFrees, [](auto& r) { return r.store().unlink(bucket_of(r), "chunk"); }},
      {"unlink of rows", Need::kFrees, [](auto& r) { return r.store().unlink(bucket_of(r), "rows"); }},
      {"unlink of one of two names", Need::kFrees, [](auto& r) { return r.store().unlink(bucket_of(r), "again"); }},
      {"unlink of a symbolic link", Need::kFrees, [](auto& r) { return r.store().unlink(bucket_of(r), "symlink"); }},
      {"unlink of an open object", Need::kFrees,
       [](auto& r) -> Status {
         const auto ino = at(r, "rows");
         COFFER_TRY(r.store().open_object(ino, /*truncate=*/false));
         COFFER_TRY(r.store().unlink(bucket_of(r), "rows"));
         r.store().release(ino);
         return {};
       }},
      {"rmdir", Need::kFrees, [](auto& r) { return r.store().remove_directory(bucket_of(r), "void"); }},
      {"rmdir of a bucket", Need::kFrees, [](auto& r) { return r.store().delete_bucket(*BucketName::parse("empty")); }},
      {"rename", Need::kFrees,
       [](auto& r) {
         return r.store().rename(bucket_of(r), "odd", at(r, "folder"), "moved", RenameMode::kNoReplace);
       }},
      {"rename over an object", Need::kFrees,
       [](auto& r) { return r.store().rename(bucket_of(r), "odd", bucket_of(r), "rows", RenameMode::kReplace); }},
      {"rename that exchanges", Need::kFrees,
       [](auto& r) { return r.store().rename(bucket_of(r), "odd", bucket_of(r), "folder", RenameMode::kExchange); }},
      {"truncation to nothing", Need::kFrees, [](auto& r) { return change_size(r, "rows", 0); }},
      {"open with O_TRUNC", Need::kFrees,
       [](auto& r) -> Status {
         COFFER_TRY(r.store().open_object(at(r, "odd"), /*truncate=*/true));
         r.store().release(at(r, "odd"));
         return {};
       }},
      {"open with O_TRUNC of an empty object", Need::kFrees,
       [](auto& r) -> Status {
         COFFER_TRY(r.store().open_object(at(r, "nothing"), /*truncate=*/true));
         r.store().release(at(r, "nothing"));
         return {};
       }},
      {"truncation to whole chunks", Need::kFrees, [](auto& r) { return change_size(r, "rows", 7 * kChunkSize); }},
      {"truncation of an inline object", Need::kFrees, [](auto& r) { return change_size(r, "inline", 100); }},
      {"truncation that extends", Need::kFrees, [](auto& r) { return change_size(r, "odd", 900 * kChunkSize); }},
      {"punching whole chunks", Need::kFrees,
       [](auto& r) {
         return r.store().fallocate(at(r, "rows"), FallocateMode::kPunchHole, 5 * kChunkSize, 150 * kChunkSize);
       }},
      {"chmod", Need::kFrees,
       [](auto& r) {
         InodeChange change;
         change.mode = 0600;
         return status_of(r.store().change(at(r, "odd"), change));
       }},
      {"removing an attribute", Need::kFrees,
       [](auto& r) { return r.store().remove_xattr(at(r, "odd"), "user.old"); }},
      {"disabling a key", Need::kFrees,
       [](auto& r) -> Status {
         const auto keys = r.kms().list_keys();
         COFFER_TRY(r.kms().disable(keys.front().key_id));
         return r.store().sync_all();
       }},
      {"truncation within a chunk", Need::kReplaces, [](auto& r) { return change_size(r, "rows", 7 * kChunkSize + 9); }},
      {"punching parts of chunks", Need::kReplaces,
       [](auto& r) { return r.store().fallocate(at(r, "rows"), FallocateMode::kPunchHole, 99, 3 * kChunkSize); }},
      {"zeroing", Need::kReplaces,
       [](auto& r) { return r.store().fallocate(at(r, "rows"), FallocateMode::kZeroKeepSize, 99, kChunkSize); }},
      {"overwriting an inline object", Need::kReplaces, [](auto& r) { return write_at(r, "inline", 100, 4000); }},
      {"overwriting whole chunks", Need::kReplaces, [](auto& r) { return write_at(r, "rows", kChunkSize, kPiece); }},
      {"overwriting parts of chunks", Need::kReplaces, [](auto& r) { return write_at(r, "rows", 77, kPiece); }},
      {"overwriting a little", Need::kReplaces, [](auto& r) { return write_at(r, "rows", 5 * kChunkSize + 3, 10); }},
      {"overwriting the end", Need::kReplaces, [](auto& r) { return write_at(r, "odd", 3 * kChunkSize + 1000, 234); }},
      {"copying over what is there", Need::kReplaces,
       [](auto& r) { return status_of(r.store().copy_range(at(r, "rows"), 0, at(r, "target"), 0, 2 * kChunkSize)); }},
      {"replacing an attribute", Need::kReplaces,
       [](auto& r) { return r.store().set_xattr(at(r, "odd"), "user.old", some_bytes(300, 99), XattrMode::kReplace); }},
      {"a change of the default", Need::kReplaces,
       [](auto& r) {
         SseRule rule;
         rule.algorithm = SseAlgorithm::kAwsKms;
         return r.store().put_rule(*BucketName::parse("bucket"), rule);
       }},
      {"create", Need::kGrows, [](auto& r) { return ended(r, r.store().create(bucket_of(r), "new", kFile), true); }},
      {"mknod", Need::kGrows,
       [](auto& r) { return ended(r, r.store().make_node(bucket_of(r), "new", FileKind::kFifo, kFile), false); }},
      {"mkdir", Need::kGrows,
       [](auto& r) { return ended(r, r.store().make_directory(bucket_of(r), "new", kFolder), false); }},
      {"mkdir of a bucket", Need::kGrows,
       [](auto& r) { return status_of(r.store().create_bucket(*BucketName::parse("new"), kFolder)); }},
      {"symlink", Need::kGrows,
       [](auto& r) {
         return ended(r, r.store().make_symlink(bucket_of(r), "new", std::string(3000, 'x'), kFile), false);
       }},
      {"link", Need::kGrows,
       [](auto& r) { return ended(r, r.store().link(at(r, "rows"), bucket_of(r), "new"), false); }},
      {"a new attribute", Need::kGrows,
       [](auto& r) {
         return r.store().set_xattr(at(r, "odd"), "user.new", some_bytes(20'000, 1), XattrMode::kCreate);
       }},
      {"appending a little", Need::kGrows, [](auto& r) { return write_at(r, "chunk", kChunkSize, 100); }},
      {"appending to an inline object", Need::kGrows, [](auto& r) { return write_at(r, "inline", 5000, 2000); }},
      {"growing out of the catalog", Need::kGrows, [](auto& r) { return write_at(r, "inline", 5000, 6000); }},
      {"growing out of the catalog by a chunk", Need::kGrows,
       [](auto& r) { return write_at(r, "inline", 5000, 2 * kChunkSize); }},
      {"appending chunks", Need::kGrows, [](auto& r) { return write_at(r, "rows", 201 * kChunkSize, 4 * kPiece); }},
      {"filling a hole", Need::kGrows, [](auto& r) { return write_at(r, "sparse", 5 * kChunkSize, kPiece); }},
      {"create and write", Need::kGrows,
       [](auto& r) -> Status {
         const auto made = r.store().create(bucket_of(r), "new", kFile);
         if (!made) return made.error();
         const auto written = r.store().write(made->ino, 0, some_bytes(kPiece + 5, 1));
         r.store().release(made->ino);
         r.store().forget(made->ino, 1);
         if (!written) COFFER_TRY(r.store().unlink(bucket_of(r), "new"));
         return written;
       }},
  };
  return kVerbs;
}

// Room that is left, in steps that grow.
std::vector<std::uint64_t> rooms() {
  std::vector<std::uint64_t> all;
  for (std::uint64_t pages = 0; pages <= 1024; pages += 1 + pages / testing::rounds(6)) all.push_back(pages * kPageSize);
  return all;
}

class FullDisk : public ::testing::TestWithParam<Verb> {};

// I5, for one verb on disks with less and less on them: done whole or refused whole, nothing poisoned, all earlier bytes
// there, and what was answered can be made durable, found again by the next mount, and deleted.
TEST_P(FullDisk, VerbIsDoneOrRefusedWhole) {
  const auto& verb = GetParam();
  StoreRig rig;
  populate(rig);
  const auto start = rig.disk.snapshot();
  const auto before = Picture::of(rig.store());
  ASSERT_TRUE(verb.run(rig).ok());
  const auto after = Picture::of(rig.store());
  rig.drop();

  bool done_once = false;
  for (const auto room : rooms()) {
    SCOPED_TRACE(std::string(verb.name) + " with " + std::to_string(room) + " bytes left");
    rig.disk.set_capacity(std::uint64_t{1} << 40);
    rig.disk.restore(start);
    rig.open();
    ASSERT_TRUE(rig.store().sync_all().ok());
    rig.disk.set_capacity(rig.disk.used_bytes() + room);
    const auto space = *rig.disk.space();
    const auto done = verb.run(rig);
    ASSERT_FALSE(rig.store().poisoned());
    if (!done.ok()) {
      ASSERT_EQ(done.code(), Code::kNoSpace) << done.error().message;
      ASSERT_NE(verb.need, Need::kFrees);
      ASSERT_FALSE(verb.need == Need::kReplaces && room >= kReplacingRoom) << done.error().message;
      ASSERT_FALSE(done_once) << "more room, and it is refused";
    }
    if (verb.need == Need::kGrows && room < space.total / 16) {
      ASSERT_FALSE(done.ok()) << "the reserve is not for this";
    }
    done_once |= done.ok();
    ASSERT_EQ(Picture::of(rig.store()), done.ok() ? after : before);
    const auto synced = rig.store().sync_all();
    ASSERT_TRUE(synced.ok()) << synced.error().message;
    rig.crash(room);
    rig.open();
    ASSERT_EQ(Picture::of(rig.store()), done.ok() ? after : before);
    const auto unlinked = rig.store().unlink(at(rig, ""), "target");
    ASSERT_TRUE(unlinked.ok()) << unlinked.error().message;
    ASSERT_TRUE(rig.store().sync_all().ok());
    ASSERT_TRUE(rig.store().collect_garbage().ok());
    const auto finished = rig.store().finish();
    ASSERT_TRUE(finished.ok()) << finished.error().message;
    rig.drop();
  }
  EXPECT_TRUE(done_once);
}

// Random operations on a disk whose room comes and goes, with commits, kills and power cuts between them.
class FullDiskRun {
 public:
  explicit FullDiskRun(std::uint64_t seed) : rig_(seed), tree_(rig_, seed * 104'729 + 3) {}

  std::string go() {
    if (auto made = rig_.store().create_bucket(*BucketName::parse("bucket"), kFolder); !made)
      return made.error().message;
    for (int i = 0; i < 150; ++i) {
      rig_.clock.advance_ns(1'000'000);
      auto wrong = step();
      log_ += std::to_string(i) + ": " + tree_.last + " -> " + last_ + "\n";
      if (!wrong.empty()) return wrong;
      if (rig_.store().poisoned()) return "poisoned";
    }
    return at_the_end();
  }
  const std::string& log() const { return log_; }
  std::uint64_t refused() const { return refused_; }

 private:
  std::string step() {
    last_.clear();
    switch (tree_.pick(30)) {
      case 0:
      case 1:
      case 2: return squeeze();
      case 3: return passes("soft commit", rig_.store().commit_soon());
      case 4:
      case 5: return sync();
      case 6: return passes("garbage", rig_.store().collect_garbage());
      case 7: return fits("checkpoint", rig_.store().finish());
      case 8: return tree_.pick(3) == 0 ? restart() : "";
      case 9: return compare();
      case 10: return delete_everything();
      case 11: return change_rule();
      case 12: return passes("reseal", reseal());
      default: break;
    }
    const auto kept = tree_.model;
    const auto done = tree_.step();
    if (done.ok()) return "";
    last_ = done.error().message;
    if (done.code() != Code::kNoSpace) return last_;
    ++refused_;
    tree_.model = kept;
    return "";
  }
  // Others take the room, or give it back.
  std::string squeeze() {
    const auto room = tree_.pick(4) == 0 ? std::uint64_t{64} << 20 : tree_.pick(200) * kPageSize;
    tree_.last = "room for " + std::to_string(room);
    rig_.disk.set_capacity(rig_.disk.used_bytes() + room);
    return "";
  }
  std::string passes(const char* what, const Status& done) {
    tree_.last = what;
    return done.ok() ? "" : done.error().message;
  }
  // What the room was taken from under the feet of may be refused; only a sync says so.
  std::string fits(const char* what, const Status& done) {
    if (done.ok() || done.code() != Code::kNoSpace) return passes(what, done);
    last_ = done.error().message;
    tree_.last = what;
    return "";
  }
  std::string sync() { return fits("sync", rig_.store().sync_all()); }
  Status reseal() {
    const auto done = rig_.store().reseal_step();
    return done.ok() ? Status() : Status(done.error());
  }
  std::string change_rule() {
    tree_.last = "change of the default";
    SseRule rule;
    rule.algorithm = tree_.pick(2) == 0 ? SseAlgorithm::kAes256 : SseAlgorithm::kAwsKms;
    const auto done = tree_.put_rule(rule);
    return done.ok() || done.code() == Code::kNoSpace ? "" : done.error().message;
  }
  std::string restart() {
    if (auto wrong = sync(); !wrong.empty() || !last_.empty()) return wrong;
    const auto how = tree_.pick(3);
    tree_.last = how == 0 ? "kill" : how == 1 ? "power cut" : "unmount";
    if (how == 0) rig_.kill();
    if (how == 1) rig_.crash(tree_.pick(1000));
    if (how == 2) rig_.drop();
    const auto opened = rig_.try_open();
    return opened.ok() ? compare() : "opening: " + opened.error().message;
  }
  std::string compare() {
    auto wrong = difference(tree_.model, rig_, "bucket");
    return wrong.empty() ? "" : "compared: " + wrong;
  }
  // On a disk without any room.
  std::string delete_everything() {
    if (tree_.pick(4) != 0) return "";
    tree_.last = "delete everything";
    rig_.disk.set_capacity(rig_.disk.used_bytes());
    while (!tree_.model.names.empty()) {
      auto path = tree_.model.names.rbegin()->first;
      for (auto it = tree_.model.names.rbegin(); it != tree_.model.names.rend(); ++it)
        if (std::count(it->first.begin(), it->first.end(), '/') > std::count(path.begin(), path.end(), '/'))
          path = it->first;
      const auto parent = rig_.store().resolve("bucket", TreeModel::parent_of(path));
      if (!parent) return parent.error().message;
      const auto leaf = TreeModel::leaf_of(path);
      const auto done = tree_.model.is_directory(path) ? rig_.store().remove_directory(*parent, leaf)
                                                       : rig_.store().unlink(*parent, leaf);
      if (!done.ok()) return "deleting " + path + ": " + done.error().message;
      tree_.model.drop_name(path);
    }
    if (auto synced = rig_.store().sync_all(); !synced) return "after deleting: " + synced.error().message;
    if (auto done = rig_.store().collect_garbage(); !done) return "garbage: " + done.error().message;
    return "";
  }
  std::string at_the_end() {
    rig_.disk.set_capacity(std::uint64_t{1} << 40);
    if (auto finished = rig_.store().finish(); !finished) return "finishing: " + finished.error().message;
    rig_.reopen();
    if (auto wrong = compare(); !wrong.empty()) return wrong;
    const auto report = fsck(rig_.catalog(), rig_.disk, rig_.keyring(), StoreRig::principal(), FsckMode::kCheck,
                             rig_.clock, {});
    if (!report) return "fsck: " + report.error().message;
    return report->damage.empty() ? "" : "fsck: " + report->damage.front().line();
  }

  StoreRig rig_;
  testing::RandomTree tree_;
  std::string log_, last_;
  std::uint64_t refused_ = 0;
};

TEST(FullDiskModel, RandomOperationsOnAFullDiskAreDoneOrRefusedWhole) {
  std::uint64_t refused = 0;
  const auto first = testing::first_seed();
  for (auto seed = first; seed < first + testing::seeds_wanted(300); ++seed) {
    FullDiskRun run(seed);
    const auto wrong = run.go();
    ASSERT_EQ(wrong, "") << "COFFER_SEED=" << seed << "\n" << run.log();
    refused += run.refused();
  }
  EXPECT_GT(refused, 0U);
  std::printf("%lu operations refused, first seed %lu\n", static_cast<unsigned long>(refused),
              static_cast<unsigned long>(first));
}

// Small objects live in the catalog, whose file does not shrink: its free pages are room too.
TEST(FullDiskCatalog, PagesOfDeletedSmallObjectsTakeNewOnes) {
  StoreRig rig;
  rig.disk.set_capacity(8 << 20);
  auto& store = rig.store();
  const auto bucket = store.create_bucket(*BucketName::parse("bucket"), kFolder)->ino;
  const auto make = [&](const std::string& name, std::uint64_t seed) -> Status {
    const auto made = store.create(bucket, name, kFile);
    if (!made) return made.error();
    auto done = store.write(made->ino, 0, some_bytes(6000, seed));
    store.release(made->ino);
    store.forget(made->ino, 1);
    if (!done) COFFER_TRY(store.unlink(bucket, name));
    return done;
  };
  const auto name = [](const char* kind, std::size_t i) { return kind + std::to_string(i); };
  std::size_t first = 0;
  Status done;
  while (first < 5000 && (done = make(name("first", first), first)).ok()) ++first;
  ASSERT_EQ(done.code(), Code::kNoSpace);
  ASSERT_GT(first, 300U);
  const auto deleted = first / 2;
  for (std::size_t i = 0; i < deleted; ++i) ASSERT_TRUE(store.unlink(bucket, name("first", i)).ok());
  ASSERT_TRUE(store.sync_all().ok());

  std::size_t second = 0;
  while (second < deleted && (done = make(name("second", second), 10'000 + second)).ok()) ++second;
  EXPECT_GT(second, deleted * 3 / 4) << "of " << deleted << " deleted: " << (done.ok() ? "" : done.error().message);
  ASSERT_TRUE(store.finish().ok());
  ASSERT_FALSE(store.poisoned());
  rig.reopen();
  for (std::size_t i = deleted; i < first; ++i)
    ASSERT_EQ(*read_all(rig.store(), at(rig, name("first", i))), some_bytes(6000, i)) << i;
  for (std::size_t i = 0; i < second; ++i)
    ASSERT_EQ(*read_all(rig.store(), at(rig, name("second", i))), some_bytes(6000, 10'000 + i)) << i;
}

// A quota that statvfs(3) does not show: the store learns of it from the refused call alone.
TEST(Quota, WritersAreRefusedWhileReadingAndDeletingGoOnAndDeletingFreesSpace) {
  constexpr std::size_t kSize = 12 * kChunkSize;
  StoreRig rig;
  rig.disk.set_quota(16 << 20);
  auto& store = rig.store();
  const auto bucket = store.create_bucket(*BucketName::parse("bucket"), kFolder)->ino;
  const auto name = [](std::size_t i) { return "file" + std::to_string(i); };
  const auto make = [&](std::size_t i) -> Status {
    const auto made = store.create(bucket, name(i), kFile);
    if (!made) return made.error();
    auto done = store.write(made->ino, 0, some_bytes(kSize, i));
    if (done) done = store.sync(made->ino);
    store.release(made->ino);
    store.forget(made->ino, 1);
    return done;
  };
  std::size_t made = 0;
  Status done;
  while (made < 1000 && (done = make(made)).ok()) ++made;
  ASSERT_EQ(done.code(), Code::kNoSpace) << made;
  ASSERT_GT(made, 20U);
  ASSERT_FALSE(store.poisoned());
  const auto intact = [&](std::size_t from) {
    for (std::size_t i = from; i < made; ++i) ASSERT_EQ(*read_all(rig.store(), at(rig, name(i))), some_bytes(kSize, i)) << i;
  };
  intact(0);

  // Each chunk of ten files, one by one and durable: in the slots that the one before left.
  for (std::size_t i = 0; i < 10; ++i)
    for (std::size_t chunk = 0; chunk < kSize / kChunkSize; ++chunk) {
      ASSERT_TRUE(store.write(at(rig, name(i)), chunk * kChunkSize, some_bytes(kChunkSize, i * chunk)).ok()) << i;
      const auto synced = store.sync(at(rig, name(i)));
      ASSERT_TRUE(synced.ok()) << i << " " << chunk << ": " << synced.error().message;
    }
  for (std::size_t chunk = 0; chunk < kSize / kChunkSize; ++chunk) {
    Bytes read(kChunkSize);
    ASSERT_TRUE(store.read(at(rig, name(9)), chunk * kChunkSize, read).ok());
    ASSERT_EQ(read, some_bytes(kChunkSize, 9 * chunk)) << chunk;
  }

  (void)store.unlink(bucket, name(made));  // what was refused
  for (std::size_t i = 0; i < 10; ++i) ASSERT_TRUE(store.unlink(bucket, name(i)).ok()) << i;
  const auto used = rig.disk.used_bytes();
  ASSERT_TRUE(store.sync_all().ok());
  ASSERT_TRUE(store.collect_garbage().ok());
  EXPECT_LT(rig.disk.used_bytes(), used - 8 * kSize);
  for (std::size_t i = 0; i < 6; ++i) ASSERT_TRUE(make(2000 + i).ok()) << i;
  ASSERT_FALSE(store.poisoned());
  ASSERT_TRUE(store.finish().ok());
  rig.reopen();
  intact(10);
  for (std::size_t i = 0; i < 6; ++i) ASSERT_EQ(*read_all(rig.store(), at(rig, name(2000 + i))), some_bytes(kSize, 2000 + i));
}

std::vector<Verb> some_verbs() {
  const std::size_t every = testing::is_slowed() ? 4 : 1;
  std::vector<Verb> some;
  for (std::size_t i = 0; i < verbs().size(); i += every) some.push_back(verbs()[i]);
  return some;
}
INSTANTIATE_TEST_SUITE_P(Verbs, FullDisk, ::testing::ValuesIn(some_verbs()), [](const auto& verb) {
  std::string name = verb.param.name;
  std::replace_if(name.begin(), name.end(), [](char c) { return !std::isalnum(static_cast<unsigned char>(c)); }, '_');
  return name;
});

}  // namespace
}  // namespace coffer
