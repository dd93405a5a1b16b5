#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <optional>
#include <ostream>
#include <set>
#include <string>
#include <vector>

#include "store/fsck.h"
#include "tests/store/store_rig.h"

// A store to tamper with: every shape of object under one scheme, what each of its states serves, and the oracle.
namespace coffer::testing {

struct Scheme {
  std::string name;
  SseAlgorithm algorithm;
  bool bucket_key = false;
};
inline void PrintTo(const Scheme& scheme, std::ostream* out) { *out << scheme.name; }
// Two that follow one another, in a circle, have not the same algorithm: so a reseal from one to the next moves bytes.
inline const std::vector<Scheme> kSchemes = {{"SseS3", SseAlgorithm::kAes256},
                                             {"SseKms", SseAlgorithm::kAwsKms},
                                             {"DsseKms", SseAlgorithm::kAwsKmsDsse},
                                             {"BucketKey", SseAlgorithm::kAwsKms, true}};

// What a store shows to whoever reads all of it. What it refuses as damaged is not there.
struct Served {
  struct Object {
    std::optional<std::array<std::uint64_t, 6>> attributes;  // kind, size, mode, uid, gid, links
    std::optional<Bytes> bytes;                              // a symbolic link's: its target; a directory has none
    std::optional<std::map<std::string, Bytes>> xattrs;
    bool refused() const { return !attributes || !bytes || !xattrs; }
    bool operator==(const Object&) const = default;
  };
  std::map<std::string, Object> objects;  // whatever has a name, by BUCKET/KEY
  std::map<std::string, SseRule> rules;   // by bucket
  bool names_refused = false;             // of some directory

  std::set<std::string> refused() const {
    std::set<std::string> paths;
    for (const auto& [path, object] : objects)
      if (object.refused()) paths.insert(path);
    return paths;
  }
};

inline void expect_damaged(const Error& error, const std::string& what) {
  EXPECT_EQ(error.code, Code::kDamaged) << what << ": " << error.message;
}

inline std::optional<std::map<std::string, Bytes>> look_at_xattrs(Store& store, InodeNumber ino, const std::string& path) {
  const auto names = store.xattr_names(ino);
  if (!names) {
    expect_damaged(names.error(), path);
    return {};
  }
  std::map<std::string, Bytes> xattrs;
  for (const auto& name : *names) {
    const auto value = store.xattr(ino, name);
    if (!value) {
      expect_damaged(value.error(), path);
      return {};
    }
    xattrs[name] = *value;
  }
  return xattrs;
}

// A refused read leaves nothing of the object in the caller's memory.
inline std::optional<Bytes> look_at_content(Store& store, const Inode& inode, const std::string& path) {
  if (inode.kind == FileKind::kDirectory) return Bytes();
  if (inode.kind == FileKind::kSymlink) {
    const auto target = store.read_symlink(inode.ino);
    if (target) return to_bytes(as_bytes(*target));
    expect_damaged(target.error(), path);
    return {};
  }
  Bytes bytes(inode.size + 10, 0xee);
  const auto got = store.read(inode.ino, 0, bytes);
  if (got) {
    bytes.resize(*got);
    return bytes;
  }
  expect_damaged(got.error(), path);
  EXPECT_TRUE(std::all_of(bytes.begin(), bytes.end(), [](auto byte) { return byte == 0 || byte == 0xee; })) << path;
  return {};
}

inline Served::Object look(Store& store, const std::string& bucket, const std::string& key, InodeNumber ino) {
  Served::Object seen;
  const auto path = bucket + "/" + key;
  const auto found = store.resolve(bucket, key);
  if (found) {
    EXPECT_EQ(*found, ino) << path;
  } else {
    expect_damaged(found.error(), path);
  }
  const auto inode = store.get(ino);
  if (!inode) {
    expect_damaged(inode.error(), path);
    return seen;
  }
  seen.attributes = {static_cast<std::uint64_t>(inode->kind), inode->size, inode->mode, inode->uid, inode->gid, inode->nlink};
  seen.bytes = look_at_content(store, *inode, path);
  seen.xattrs = look_at_xattrs(store, ino, path);
  return seen;
}

// What is in a directory and below it. `folder`: its key and a slash, or nothing for a bucket.
inline void look_into(Store& store, const std::string& bucket, const std::string& folder, InodeNumber ino, Served& served) {
  const auto entries = store.read_directory(ino, 0, 1000);
  if (!entries) {
    expect_damaged(entries.error(), bucket + "/" + folder);
    served.names_refused = true;
    return;
  }
  for (const auto& entry : *entries) {
    served.objects[bucket + "/" + folder + entry.name] = look(store, bucket, folder + entry.name, entry.ino);
    if (entry.kind == FileKind::kDirectory) look_into(store, bucket, folder + entry.name + "/", entry.ino, served);
  }
}

inline Served serve(Store& store) {
  Served served;
  const auto buckets = store.list_buckets();
  if (!buckets) {
    expect_damaged(buckets.error(), "the buckets");
    served.names_refused = true;
    return served;
  }
  for (const auto& bucket : *buckets) {
    served.rules[bucket.name.str()] = bucket.rule;
    look_into(store, bucket.name.str(), "", bucket.ino, served);
  }
  return served;
}

// The first thing shown that is not as in `state`, or missing without being refused; empty: none.
inline std::string difference(const Served& served, const Served& state) {
  for (const auto& [bucket, rule] : served.rules)
    if (!state.rules.contains(bucket) || !(state.rules.at(bucket) == rule)) return bucket + ": another rule";
  for (const auto& [path, object] : served.objects) {
    const auto known = state.objects.find(path);
    if (known == state.objects.end()) return path + ": was never there";
    if (object.attributes && object.attributes != known->second.attributes) return path + ": other attributes";
    if (object.bytes && object.bytes != known->second.bytes) return path + ": other bytes";
    if (object.xattrs && object.xattrs != known->second.xattrs) return path + ": other extended attributes";
  }
  if (served.names_refused) return "";
  if (served.rules.size() != state.rules.size()) return "a bucket is gone";
  for (const auto& [path, object] : state.objects)
    if (!served.objects.contains(path)) return path + ": gone";
  return "";
}

inline std::vector<std::string> fsck_damage(StoreRig& rig) {
  const auto report =
      fsck(rig.catalog(), rig.disk, rig.keyring(), StoreRig::principal(), FsckMode::kCheck, rig.clock, {});
  if (!report) return {report.error().message};
  std::vector<std::string> lines;
  for (const auto& damage : report->damage) lines.push_back(damage.line());
  return lines;
}

// The same, asked of the mounted store.
inline std::vector<std::string> scrub_damage(StoreRig& rig) {
  const auto begun = rig.store().start_scrub(1, Store::ScrubFrom::kTheBeginning);
  if (!begun) return {begun.error().message};
  while (rig.store().scrub_step()) {
  }
  const auto state = rig.store().scrub_state();
  if (state.failure) return {state.failure->message};
  std::vector<std::string> lines;
  for (const auto& damage : state.report.damage) lines.push_back(damage.line());
  return lines;
}

// Where an object's chunks are.
struct Stored {
  struct Place {
    std::uint64_t chunk = 0, offset = 0;
    std::uint32_t length = 0;
    std::uint8_t parity = 0;
  };
  std::string file;
  std::vector<Place> places;
  std::uint64_t end() const {
    std::uint64_t end = 0;
    for (const auto& place : places) end = std::max(end, place.offset + place.length);
    return end;
  }
};

inline Stored stored(StoreRig& rig, const std::string& path) {
  const auto slash = path.find('/');
  const auto ino = *rig.store().resolve(path.substr(0, slash), path.substr(slash + 1));
  std::lock_guard lock(rig.catalog().mutex());
  Stored found;
  const auto number = rig.catalog().content(ino)->file;
  if (number == 0) return found;
  found.file = data_file_name(number);
  const auto rows = *rig.catalog().map_rows(ino, 0, 1000);
  for (const auto row : rows) {
    const auto map = *ChunkRow::decode(**rig.catalog().map_row(ino, row), kChunkSize);
    for (std::uint32_t i = 0; i < kChunksPerRow; ++i) {
      const auto& entry = map.at(i);
      if (!entry.present()) continue;
      found.places.push_back({std::uint64_t{row} * kChunksPerRow + i, slot_offset(row, entry.slot, kChunkSize),
                              entry.length, entry.parity});
    }
  }
  return found;
}

// The store of one scheme in three states. `old` and `ended` were unmounted cleanly; between them objects were
// overwritten, and one was half resealed. `killed` has a log in use over `ended`.
class Specimen {
 public:
  using Image = std::shared_ptr<const SimulatedDisk::Image>;

  explicit Specimen(const Scheme& scheme) : scheme_(scheme) {
    make();
    end(old, old_image, old_files);
    change();
    end(ended, ended_image, ended_files);
    pages = rig_->catalog().database().still()->pages;
    go_on();
    rig_->kill();
    killed_image = rig_->disk.image();
    killed_files = rig_->disk.snapshot();
    rig_.reset();
  }

  static const Specimen& of(const Scheme& scheme) {
    static std::map<std::string, std::unique_ptr<Specimen>> made;
    auto& specimen = made[scheme.name];
    if (!specimen) specimen = std::make_unique<Specimen>(scheme);
    return *specimen;
  }

  Served old, ended;
  Image old_image, ended_image, killed_image;
  SimulatedDisk::Snapshot old_files, ended_files, killed_files;
  std::uint32_t pages = 0;       // of coffer.db in `ended`
  std::vector<Served> history;   // what was served after each request from `ended` on
  std::size_t durable = 0;       // in history: the last one that was synced

  static constexpr std::array<const char*, 6> kWithDataFiles = {"bucket/file",   "bucket/twin", "bucket/small",
                                                                "bucket/sparse", "other/file",  "changed/half"};

 private:
  static constexpr NewInode kAttributes{0640, 1000, 100, 0};
  static constexpr std::uint64_t kFileSize = 4 * kChunkSize + 100;

  Store& store() { return rig_->store(); }
  SseRule rule(const Scheme& scheme) {
    SseRule made{scheme.algorithm, {}, scheme.bucket_key, {}};
    if (scheme.algorithm != SseAlgorithm::kAes256) made.kms_key = key_;
    return made;
  }
  // Bytes of which no two chunks are alike.
  void put(const std::string& path, std::uint64_t offset, std::size_t size) {
    const auto slash = path.find('/');
    const auto bucket = store().find_bucket(*BucketName::parse(path.substr(0, slash)));
    auto found = store().resolve(path.substr(0, slash), path.substr(slash + 1));
    if (!found) found = store().create(bucket->ino, path.substr(slash + 1), kAttributes)->ino;
    const auto bytes = some_bytes(size, ++seed_);
    const auto written = store().write(*found, offset, bytes);
    ASSERT_TRUE(written.ok()) << written.error().message;
  }
  void make() {
    key_ = rig_->kms().create_key("the specimen's")->arn;
    for (const auto* name : {"bucket", "other", "changed"}) {
      ASSERT_TRUE(store().make_directory(kRootInode, name, {.mode = 0755}).ok());
      ASSERT_TRUE(store().put_rule(*BucketName::parse(name), rule(scheme_)).ok());
    }
    put("bucket/empty", 0, 0);
    put("bucket/inline", 0, 3000);
    put("bucket/file", 0, kFileSize);
    put("bucket/twin", 0, kFileSize);
    put("bucket/small", 0, kInlineSizeMax + 1);
    put("bucket/sparse", 5 * kChunkSize + 100, kChunkSize);
    put("bucket/sparse", 200 * kChunkSize, 300);
    make_names();
    put("other/file", 0, kFileSize);
    put("other/inline", 0, 3000);
    put("changed/half", 0, (kResealStepChunks + 6) * kChunkSize);
  }
  // What has a name and no data file: a directory, a file in it that has two, one with attributes and an access control
  // list, a symbolic link.
  void make_names() {
    const auto bucket = store().find_bucket(*BucketName::parse("bucket"))->ino;
    const auto folder = store().make_directory(bucket, "folder", {.mode = 0751})->ino;
    const auto linked = store().create(folder, "linked", kAttributes)->ino;
    ASSERT_TRUE(store().write(linked, 0, some_bytes(700, ++seed_)).ok());
    ASSERT_TRUE(store().link(linked, bucket, "second name").ok());
    InodeChange change;
    change.mode = 0660;
    change.xattrs = {{"user.color", some_bytes(300, ++seed_)}, {"system.posix_acl_access", some_bytes(44, ++seed_)}};
    ASSERT_TRUE(store().change(store().create(bucket, "attributes", kAttributes)->ino, change).ok());
    ASSERT_TRUE(store().make_symlink(bucket, "symlink", "folder/linked", {.mode = 0777}).ok());
  }
  void change() {
    put("bucket/inline", 0, 3000);
    put("bucket/file", 2 * kChunkSize, kChunkSize);
    put("bucket/small", 0, kInlineSizeMax + 1);
    put("bucket/sparse", 200 * kChunkSize, 300);
    const auto is_ours = [this](const Scheme& scheme) { return scheme.name == scheme_.name; };
    const auto ours = std::find_if(kSchemes.begin(), kSchemes.end(), is_ours);
    const auto& next = ours + 1 == kSchemes.end() ? kSchemes.front() : ours[1];
    ASSERT_TRUE(store().put_rule(*BucketName::parse("changed"), rule(next)).ok());
    put("changed/half", 5, 1);
    ASSERT_TRUE(*store().reseal_step());
    ASSERT_TRUE(*store().reseal_step());
    ASSERT_TRUE(store().sync_all().ok());
    std::set<int> parities;
    for (const auto& place : stored(*rig_, "changed/half").places) parities.insert(place.parity);
    ASSERT_EQ(parities.size(), 2U) << "half resealed";
  }
  void end(Served& served, Image& image, SimulatedDisk::Snapshot& files) {
    ASSERT_TRUE(store().finish().ok());
    served = serve(store());
    ASSERT_TRUE(served.refused().empty());
    image = rig_->disk.image();
    files = rig_->disk.snapshot();
  }
  // Requests after which a commit comes, durable or not; the last few are in no durable one.
  void go_on() {
    history.push_back(ended);
    const auto answered = [this] { history.push_back(serve(store())); };
    const auto bucket = store().find_bucket(*BucketName::parse("bucket"))->ino;
    for (int round = 0; round < 6; ++round) {
      const auto name = "new " + std::to_string(round);
      const auto made = store().create(bucket, name, kAttributes);
      ASSERT_TRUE(made.ok());
      answered();
      ASSERT_TRUE(store().write(made->ino, 0, some_bytes(round % 2 ? 2000 : 20'000, ++seed_)).ok());
      answered();
      ASSERT_TRUE(store().commit_soon().ok());
      put("bucket/file", 0, kChunkSize);
      answered();
      InodeChange change;
      change.mode = 0600;
      ASSERT_TRUE(store().change(made->ino, change).ok());
      answered();
      ASSERT_TRUE(store().rename(bucket, name, bucket, "renamed " + name, RenameMode::kReplace).ok());
      answered();
      if (round < 4) {
        ASSERT_TRUE(store().sync_all().ok());
        durable = history.size() - 1;
      } else {
        ASSERT_TRUE(store().commit_soon().ok());
      }
    }
  }

  Scheme scheme_;
  std::unique_ptr<StoreRig> rig_ = std::make_unique<StoreRig>();
  std::string key_;
  std::uint64_t seed_ = 0;
};

}  // namespace coffer::testing
