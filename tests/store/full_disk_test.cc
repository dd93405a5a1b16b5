#include <gtest/gtest.h>

#include <functional>

#include "base/limits.h"
#include "tests/store/store_rig.h"

namespace coffer {
namespace {

using testing::read_all;
using testing::some_bytes;
using testing::StoreRig;

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
  for (std::uint64_t pages = 0; pages <= 1024; pages += 1 + pages / 6) all.push_back(pages * kPageSize);
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

INSTANTIATE_TEST_SUITE_P(Verbs, FullDisk, ::testing::ValuesIn(verbs()), [](const auto& verb) {
  std::string name = verb.param.name;
  std::replace_if(name.begin(), name.end(), [](char c) { return !std::isalnum(static_cast<unsigned char>(c)); }, '_');
  return name;
});

}  // namespace
}  // namespace coffer
