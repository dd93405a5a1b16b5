#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/limits.h"
#include "tests/store/store_rig.h"

namespace coffer::testing {

// What a bucket should hold: its rule, names to nodes, and nodes with their bytes; and whether the KMS key of the rig
// serves. Cheap to copy, so that every step of a run can be kept.
struct TreeModel {
  struct Node {
    FileKind kind = FileKind::kFile;
    std::uint32_t mode = 0;
    std::shared_ptr<const Bytes> content = std::make_shared<Bytes>();  // a symlink's target
    std::map<std::string, Bytes> xattrs;
    std::uint32_t uid = 1, gid = 1;
    std::optional<std::int64_t> mtime_ns;  // a file's, from change_times to its content's next change
  };
  std::map<std::string, InodeNumber> names;  // paths below the bucket
  std::map<InodeNumber, Node> nodes;
  SseRule rule;
  bool key_serves = true;
  std::set<std::string> other_buckets;  // beside this one; empty ones

  static std::string parent_of(const std::string& path) {
    const auto slash = path.rfind('/');
    return slash == path.npos ? "" : path.substr(0, slash);
  }
  static std::string leaf_of(const std::string& path) { return path.substr(path.rfind('/') + 1); }
  bool is_directory(const std::string& path) const {
    return path.empty() || (names.contains(path) && nodes.at(names.at(path)).kind == FileKind::kDirectory);
  }
  bool has_children(const std::string& path) const {
    const auto next = names.upper_bound(path + "/");
    return next != names.end() && next->first.starts_with(path + "/");
  }
  std::size_t links(InodeNumber ino) const {
    std::size_t count = 0;
    for (const auto& [name, node] : names) count += node == ino ? 1 : 0;
    return count;
  }
  void drop_name(const std::string& path) {
    const auto ino = names.at(path);
    names.erase(path);
    if (links(ino) == 0) nodes.erase(ino);
  }
  void move(const std::string& from, const std::string& to) {
    std::map<std::string, InodeNumber> moved;
    for (auto place = names.begin(); place != names.end();) {
      const bool inside = place->first == from || place->first.starts_with(from + "/");
      if (!inside) {
        ++place;
        continue;
      }
      moved[to + place->first.substr(from.size())] = place->second;
      place = names.erase(place);
    }
    names.merge(moved);
  }
};

// What a reader gets of one file, against the model; empty: no difference.
inline std::string content_difference(const TreeModel& model, const TreeModel::Node& node, Store& store, const Inode& inode) {
  if (inode.size != node.content->size())
    return "has size " + std::to_string(inode.size) + ", not " + std::to_string(node.content->size());
  const auto content = read_all(store, inode.ino);
  const bool is_refused = !content && content.code() == Code::kKeyDisabled && !model.key_serves;
  if (is_refused) return "";
  if (!content) return "cannot be read: " + content.error().message;
  const auto wrong = std::mismatch(content->begin(), content->end(), node.content->begin(), node.content->end());
  if (wrong.first == content->end()) return "";
  return "differs at " + std::to_string(wrong.first - content->begin());
}

// What differs between a model and the bucket of a store; empty: nothing.
inline std::string difference(const TreeModel& model, StoreRig& rig, std::string_view bucket) {
  Store& store = rig.store();
  std::size_t seen = 0;
  const auto root = store.resolve(bucket, "");
  if (!root) return "no bucket: " + root.error().message;
  const auto found = store.find_bucket(*BucketName::parse(bucket));
  if (!found) return "no bucket: " + found.error().message;
  if (found->rule != model.rule) return "the bucket has another rule";
  const auto buckets = store.list_buckets();
  if (!buckets) return "listing buckets: " + buckets.error().message;
  if (buckets->size() != model.other_buckets.size() + 1) return "there are other buckets";
  for (const auto& other : *buckets)
    if (other.name.str() != bucket && !model.other_buckets.contains(other.name.str())) return "there is another bucket";
  for (const auto& key : rig.kms().list_keys())
    if (key.manager == KeyManager::kCustomer && (key.state == KeyState::kEnabled) != model.key_serves)
      return "the KMS key is in another state";
  std::vector<std::pair<InodeNumber, std::string>> directories{{*root, ""}};
  while (!directories.empty()) {
    const auto [directory, path] = directories.back();
    directories.pop_back();
    const auto entries = store.read_directory(directory, 0, 10'000);
    if (!entries) return "listing " + path + ": " + entries.error().message;
    for (const auto& entry : *entries) {
      const auto name = path.empty() ? entry.name : path + "/" + entry.name;
      const auto expected = model.names.find(name);
      if (expected == model.names.end()) return name + " should not be there";
      const auto& node = model.nodes.at(expected->second);
      ++seen;
      if (entry.ino != expected->second) return name + " is another inode";
      const auto inode = store.get(entry.ino);
      if (!inode) return name + ": " + inode.error().message;
      if (inode->kind != node.kind || entry.kind != node.kind) return name + " is of another kind";
      if (inode->mode != node.mode) return name + " has another mode";
      if (inode->uid != node.uid || inode->gid != node.gid) return name + " has another owner";
      if (node.mtime_ns && inode->mtime_ns != *node.mtime_ns) return name + " has another mtime";
      if (node.kind == FileKind::kDirectory) {
        directories.emplace_back(entry.ino, name);
        continue;
      }
      if (inode->nlink != model.links(expected->second)) return name + " has another link count";
      const auto names = store.xattr_names(entry.ino);
      if (!names || names->size() != node.xattrs.size()) return name + " has other attributes";
      for (const auto& [key, value] : node.xattrs)
        if (const auto got = store.xattr(entry.ino, key); !got || *got != value) return name + " has another " + key;
      if (node.kind == FileKind::kSymlink) {
        const auto target = store.read_symlink(entry.ino);
        if (!target || *target != as_text(*node.content)) return name + " leads elsewhere";
        continue;
      }
      if (node.kind != FileKind::kFile) continue;
      if (auto wrong = content_difference(model, node, store, *inode); !wrong.empty()) return name + " " + wrong;
    }
  }
  return seen == model.names.size() ? "" : "names are missing";
}

// Operations on the bucket "bucket" of a store, each done to a model too. A refusal that the model foresees is
// agreement; any other error is returned, and then the model is as before. An operation on a path that the model does
// not have does nothing.
class ModelledTree {
 public:
  explicit ModelledTree(StoreRig& rig) : rig_(rig) {}

  TreeModel model;
  std::string last;  // what was done
  // After an error of put_rule, create_bucket, disable_key and their like: what the model is if it happened all the same. They answer
  // after a durable commit, and that alone may have failed.
  std::optional<TreeModel> unsure;

  Status create(const std::string& path) {
    last = "create " + path;
    if (!model.is_directory(TreeModel::parent_of(path))) return {};
    COFFER_ASSIGN(const auto parent, ino_of(TreeModel::parent_of(path)));
    const auto made = store().create(parent, TreeModel::leaf_of(path), NewInode{0644, 1, 1, 0});
    if (model.names.contains(path)) return agree(status_of(made), Code::kExists);
    if (is_key_refusal(status_of(made))) return {};
    COFFER_TRY(status_of(made));
    store().release(made->ino);
    return add(path, made->ino, FileKind::kFile, 0644, {});
  }
  Status make_directory(const std::string& path) {
    last = "mkdir " + path;
    if (!model.is_directory(TreeModel::parent_of(path))) return {};
    COFFER_ASSIGN(const auto parent, ino_of(TreeModel::parent_of(path)));
    const auto made = store().make_directory(parent, TreeModel::leaf_of(path), NewInode{0755, 1, 1, 0});
    if (model.names.contains(path)) return agree(status_of(made), Code::kExists);
    COFFER_TRY(status_of(made));
    return add(path, made->ino, FileKind::kDirectory, 0755, {});
  }
  Status make_fifo(const std::string& path) {
    last = "mkfifo " + path;
    if (!model.is_directory(TreeModel::parent_of(path))) return {};
    COFFER_ASSIGN(const auto parent, ino_of(TreeModel::parent_of(path)));
    const auto made =
        store().make_node(parent, TreeModel::leaf_of(path), FileKind::kFifo, NewInode{0600, 1, 1, 0});
    if (model.names.contains(path)) return agree(status_of(made), Code::kExists);
    COFFER_TRY(status_of(made));
    return add(path, made->ino, FileKind::kFifo, 0600, {});
  }
  Status make_symlink(const std::string& path, const std::string& target) {
    last = "symlink " + path;
    if (!model.is_directory(TreeModel::parent_of(path))) return {};
    COFFER_ASSIGN(const auto parent, ino_of(TreeModel::parent_of(path)));
    const auto made = store().make_symlink(parent, TreeModel::leaf_of(path), target, NewInode{0777, 1, 1, 0});
    if (model.names.contains(path)) return agree(status_of(made), Code::kExists);
    COFFER_TRY(status_of(made));
    return add(path, made->ino, FileKind::kSymlink, 0777, to_bytes(as_bytes(target)));
  }
  Status link(const std::string& from, const std::string& to) {
    last = "link " + from + " as " + to;
    if (!model.names.contains(from) || !model.is_directory(TreeModel::parent_of(to))) return {};
    COFFER_ASSIGN(const auto ino, ino_of(from));
    COFFER_ASSIGN(const auto parent, ino_of(TreeModel::parent_of(to)));
    const auto done = store().link(ino, parent, TreeModel::leaf_of(to));
    if (model.is_directory(from)) return agree(status_of(done), Code::kNotPermitted);
    if (model.names.contains(to)) return agree(status_of(done), Code::kExists);
    COFFER_TRY(status_of(done));
    store().forget(ino, 1);
    model.names[to] = model.names.at(from);
    return {};
  }
  Status unlink(const std::string& path) {
    last = "unlink " + path;
    if (!model.names.contains(path)) return {};
    COFFER_ASSIGN(const auto parent, ino_of(TreeModel::parent_of(path)));
    const auto done = store().unlink(parent, TreeModel::leaf_of(path));
    if (model.is_directory(path)) return agree(done, Code::kIsDirectory);
    COFFER_TRY(done);
    model.drop_name(path);
    return {};
  }
  Status remove_directory(const std::string& path) {
    last = "rmdir " + path;
    if (!model.names.contains(path)) return {};
    COFFER_ASSIGN(const auto parent, ino_of(TreeModel::parent_of(path)));
    const auto done = store().remove_directory(parent, TreeModel::leaf_of(path));
    if (!model.is_directory(path)) return agree(done, Code::kNotDirectory);
    if (model.has_children(path)) return agree(done, Code::kNotEmpty);
    COFFER_TRY(done);
    model.drop_name(path);
    return {};
  }
  Status rename(const std::string& from, const std::string& to, RenameMode mode = RenameMode::kReplace) {
    last = "rename " + from + " to " + to + " mode " + std::to_string(static_cast<int>(mode));
    if (!model.names.contains(from) || !model.is_directory(TreeModel::parent_of(to))) return {};
    COFFER_ASSIGN(const auto parent, ino_of(TreeModel::parent_of(from)));
    COFFER_ASSIGN(const auto new_parent, ino_of(TreeModel::parent_of(to)));
    const auto done = store().rename(parent, TreeModel::leaf_of(from), new_parent, TreeModel::leaf_of(to), mode);
    const bool there = model.names.contains(to);
    if (there && mode == RenameMode::kNoReplace) return agree(done, Code::kExists);
    if (!there && mode == RenameMode::kExchange) return agree(done, Code::kNotFound);
    if (there && model.names.at(to) == model.names.at(from)) return agree(done, std::nullopt);
    const bool from_directory = model.is_directory(from), to_directory = there && model.is_directory(to);
    if (from_directory && to.starts_with(from + "/")) return agree(done, Code::kInvalidArgument);
    if (mode == RenameMode::kExchange) {
      if (to_directory && from.starts_with(to + "/")) return agree(done, Code::kInvalidArgument);
      COFFER_TRY(done);
      model.move(from, "//");
      model.move(to, from);
      model.move("//", to);
      return {};
    }
    if (there && from_directory && !to_directory) return agree(done, Code::kNotDirectory);
    if (there && !from_directory && to_directory) return agree(done, Code::kIsDirectory);
    if (to_directory && model.has_children(to)) return agree(done, Code::kNotEmpty);
    COFFER_TRY(done);
    if (there) model.drop_name(to);
    model.move(from, to);
    return {};
  }
  Status write(const std::string& path, std::uint64_t offset, std::uint64_t size, std::uint64_t seed) {
    last = "write " + path + " at " + std::to_string(offset) + " size " + std::to_string(size);
    if (!is_file(path)) return {};
    COFFER_ASSIGN(const auto ino, ino_of(path));
    const auto bytes = some_bytes(size, seed);
    const auto done = store().write(ino, offset, bytes);
    if (is_key_refusal(done)) return {};
    COFFER_TRY(done);
    edit(path, [&](Bytes& content) {
      content.resize(std::max<std::size_t>(content.size(), offset + size));
      std::copy(bytes.begin(), bytes.end(), content.begin() + static_cast<std::ptrdiff_t>(offset));
    });
    return {};
  }
  Status append(const std::string& path, std::uint64_t size, std::uint64_t seed) {
    if (!is_file(path)) return {};
    return write(path, node(path).content->size(), size, seed);
  }
  Status resize(const std::string& path, std::uint64_t size) {
    last = "resize " + path + " to " + std::to_string(size);
    if (!is_file(path)) return {};
    COFFER_ASSIGN(const auto ino, ino_of(path));
    InodeChange change;
    change.size = size;
    const auto done = status_of(store().change(ino, change));
    if (is_key_refusal(done)) return {};
    COFFER_TRY(done);
    edit(path, [&](Bytes& content) { content.resize(size); });
    return {};
  }
  // As open(2) with O_TRUNC does it.
  Status open_truncated(const std::string& path) {
    last = "open and truncate " + path;
    if (!is_file(path)) return {};
    COFFER_ASSIGN(const auto ino, ino_of(path));
    const auto done = store().open_object(ino, /*truncate=*/true);
    if (is_key_refusal(done)) return {};
    COFFER_TRY(done);
    edit(path, [](Bytes& content) { content.clear(); });
    store().release(ino);
    return {};
  }
  Status fallocate(const std::string& path, FallocateMode mode, std::uint64_t offset, std::uint64_t size) {
    last = "fallocate " + path + " mode " + std::to_string(static_cast<int>(mode)) + " at " + std::to_string(offset) +
           " size " + std::to_string(size);
    if (!is_file(path)) return {};
    COFFER_ASSIGN(const auto ino, ino_of(path));
    const auto done = store().fallocate(ino, mode, offset, size);
    if (is_key_refusal(done)) return {};
    COFFER_TRY(done);
    const bool allocates = mode == FallocateMode::kAllocate || mode == FallocateMode::kAllocateKeepSize;
    const bool grows = mode == FallocateMode::kAllocate || mode == FallocateMode::kZero;
    edit(path, [&](Bytes& content) {
      if (grows) content.resize(std::max<std::size_t>(content.size(), offset + size));
      for (auto i = offset; !allocates && i < std::min<std::uint64_t>(offset + size, content.size()); ++i)
        content[i] = 0;
    });
    return {};
  }
  Status copy_range(const std::string& from, const std::string& to, std::uint64_t size) {
    last = "copy " + from + " to " + to;
    if (!is_file(from) || !is_file(to)) return {};
    COFFER_ASSIGN(const auto source, ino_of(from));
    COFFER_ASSIGN(const auto target, ino_of(to));
    const auto done = store().copy_range(source, 0, target, 0, size);
    if (is_key_refusal(status_of(done))) return {};
    COFFER_ASSIGN(const auto copied, done);
    const auto bytes = *node(from).content;
    if (copied != std::min<std::uint64_t>(size, bytes.size())) return Error{Code::kIo, "the copy ended early"};
    edit(to, [&](Bytes& content) {
      content.resize(std::max<std::size_t>(content.size(), copied));
      std::copy_n(bytes.begin(), copied, content.begin());
    });
    return {};
  }
  Status change_mode(const std::string& path, std::uint32_t mode) {
    last = "chmod " + path;
    if (!model.names.contains(path)) return {};
    COFFER_ASSIGN(const auto ino, ino_of(path));
    InodeChange change;
    change.mode = mode;
    COFFER_TRY(status_of(store().change(ino, change)));
    node(path).mode = mode;
    return {};
  }
  Status change_owner(const std::string& path, std::uint32_t uid, std::uint32_t gid) {
    last = "chown " + path;
    if (!model.names.contains(path)) return {};
    COFFER_ASSIGN(const auto ino, ino_of(path));
    InodeChange change;
    change.uid = uid;
    change.gid = gid;
    COFFER_TRY(status_of(store().change(ino, change)));
    node(path).uid = uid;
    node(path).gid = gid;
    return {};
  }
  Status change_times(const std::string& path, std::int64_t mtime_ns) {
    last = "utimens " + path;
    if (!is_file(path)) return {};
    COFFER_ASSIGN(const auto ino, ino_of(path));
    InodeChange change;
    change.atime_ns = change.mtime_ns = mtime_ns;
    COFFER_TRY(status_of(store().change(ino, change)));
    node(path).mtime_ns = mtime_ns;
    return {};
  }
  Status set_xattr(const std::string& path, const std::string& name, const Bytes& value) {
    last = "setxattr " + path;
    if (!model.names.contains(path)) return {};
    COFFER_ASSIGN(const auto ino, ino_of(path));
    COFFER_TRY(store().set_xattr(ino, name, value, XattrMode::kAny));
    node(path).xattrs[name] = value;
    return {};
  }
  Status remove_xattr(const std::string& path, const std::string& name) {
    last = "removexattr " + path;
    if (!model.names.contains(path)) return {};
    COFFER_ASSIGN(const auto ino, ino_of(path));
    const auto done = store().remove_xattr(ino, name);
    if (!node(path).xattrs.contains(name)) return agree(done, Code::kNoAttribute);
    COFFER_TRY(done);
    node(path).xattrs.erase(name);
    return {};
  }
  // Through open, read and release, against the model.
  Status read(const std::string& path) {
    last = "read " + path;
    if (!is_file(path)) return {};
    COFFER_ASSIGN(const auto ino, ino_of(path));
    const auto opened = store().open_object(ino, /*truncate=*/false);
    if (is_key_refusal(opened)) return {};
    COFFER_TRY(opened);
    const auto content = read_all(store(), ino);
    store().release(ino);
    COFFER_TRY(status_of(content));
    if (*content != *node(path).content) return Error{Code::kDamaged, "other bytes than were written"};
    return {};
  }
  Status put_rule(const SseRule& rule) {
    last = "rule";
    auto after = model;
    after.rule = rule;
    return durably(std::move(after), [&] { return store().put_rule(*BucketName::parse("bucket"), rule); });
  }
  Status create_bucket(const std::string& name) {
    last = "create bucket " + name;
    auto after = model;
    after.other_buckets.insert(name);
    return durably(std::move(after), [&] {
      return status_of(store().create_bucket(*BucketName::parse(name), NewInode{0755, 1, 1, 0}));
    });
  }
  Status delete_bucket(const std::string& name) {
    last = "delete bucket " + name;
    if (!model.other_buckets.contains(name)) return {};
    auto after = model;
    after.other_buckets.erase(name);
    return durably(std::move(after), [&] { return store().delete_bucket(*BucketName::parse(name)); });
  }
  // The store's part of what the daemon does, in its order.
  Status disable_key(const std::string& arn) {
    last = "disable the key";
    auto after = model;
    after.key_serves = false;
    return durably(std::move(after), [&]() -> Status {
      store().hold_key(arn);
      auto done = store().seal_dirty(arn);
      if (done) store().wipe_key(arn);
      if (done) done = rig_.kms().disable(arn);
      if (done) store().wipe_key(arn);
      if (done) rig_.bucket_keys().flush(arn);
      store().release_key(arn);
      COFFER_TRY(std::move(done));
      return store().sync_all();
    });
  }
  Status enable_key(const std::string& arn) {
    last = "enable the key";
    auto after = model;
    after.key_serves = true;
    return durably(std::move(after), [&]() -> Status {
      COFFER_TRY(rig_.kms().enable(arn));
      store().release_key(arn);
      return store().sync_all();
    });
  }
  Status reseal() {
    last = "reseal";
    for (int steps = 0; steps < 64; ++steps) {
      COFFER_ASSIGN(const bool more, store().reseal_step());
      if (!more) return {};
    }
    return Error{Code::kBusy, "the reseal queue does not end"};
  }

  Store& store() { return rig_.store(); }
  Result<InodeNumber> ino_of(const std::string& path) { return store().resolve("bucket", path); }
  bool is_file(const std::string& path) const {
    return model.names.contains(path) && model.nodes.at(model.names.at(path)).kind == FileKind::kFile;
  }

  bool is_key_refusal(const Status& status) const {
    return !status.ok() && status.code() == Code::kKeyDisabled && !model.key_serves;
  }
  // Ok if both agree: the operation was right and worked, or wrong and was refused with this code.
  static Status agree(const Status& got, std::optional<Code> expected) {
    if (!got.ok() && expected && got.code() == *expected) return {};
    if (got.ok() && expected) return Error{Code::kInvalidArgument, "should have been refused"};
    return got;
  }
  template <class T>
  static Status status_of(const Result<T>& result) {
    return result.ok() ? Status() : Status(result.error());
  }

 private:
  TreeModel::Node& node(const std::string& path) { return model.nodes.at(model.names.at(path)); }
  template <class Change>
  void edit(const std::string& path, Change&& change) {
    auto content = *node(path).content;
    change(content);
    node(path).content = std::make_shared<Bytes>(std::move(content));
    node(path).mtime_ns.reset();
  }
  Status add(const std::string& path, InodeNumber ino, FileKind kind, std::uint32_t mode, Bytes content) {
    store().forget(ino, 1);
    model.names[path] = ino;
    TreeModel::Node& made = model.nodes[ino];
    made.kind = kind;
    made.mode = mode;
    made.content = std::make_shared<Bytes>(std::move(content));
    return {};
  }
  template <class Verb>
  Status durably(TreeModel after, Verb&& verb) {
    unsure = std::move(after);
    COFFER_TRY(verb());
    model = *std::exchange(unsure, std::nullopt);
    return {};
  }

  StoreRig& rig_;
};

// Random ones of them.
class RandomTree : public ModelledTree {
 public:
  RandomTree(StoreRig& rig, std::uint64_t seed) : ModelledTree(rig), random_(seed) {}

  // One operation. Its failure for a reason of its own (a name taken ...) must be what the model says.
  // An error that the model does not foresee is returned.
  Status step() {
    switch (pick(16)) {
      case 0:
      case 1:
      case 2: return create(any_path());
      case 3:
      case 4:
      case 5:
      case 6: return on_file([&](const std::string& path, std::uint64_t size) {
        const auto offset = any_offset(size);
        return write(path, offset, any_size(), random_());
      });
      case 7: return on_file([&](const std::string& path, std::uint64_t size) {
        return resize(path, pick(4) == 0 ? 0 : any_offset(size));
      });
      case 8: return on_file([&](const std::string& path, std::uint64_t size) {
        const auto mode = pick(2) == 0 ? FallocateMode::kPunchHole : FallocateMode::kZero;
        const auto offset = any_offset(size);
        return fallocate(path, mode, offset, any_size() * (1 + pick(3)));
      });
      case 9: return on_any([&](const std::string& path) { return unlink(path); });
      case 10: return on_any([&](const std::string& path) {
        const auto to = pick(3) == 0 ? *existing(std::nullopt) : any_path();
        return rename(path, to, static_cast<RenameMode>(pick(3)));
      });
      case 11: return on_any([&](const std::string& path) { return link(path, any_path()); });
      case 12: return make_directory(any_path());
      case 13: {
        const auto path = existing(FileKind::kDirectory);
        return path ? remove_directory(*path) : create(any_path());
      }
      case 14: return make_symlink(any_path(), "target" + std::to_string(pick(100)));
      default: return on_file([&](const std::string& path, std::uint64_t) {
        if (pick(2) == 0) return change_mode(path, static_cast<std::uint32_t>(pick(01000)));
        return set_xattr(path, "user.x" + std::to_string(pick(2)), some_bytes(pick(100), random_()));
      });
    }
  }

  std::uint64_t pick(std::uint64_t below) { return random_() % below; }

 private:
  template <class Operation>
  Status on_file(Operation&& operation) {
    const auto path = existing(FileKind::kFile);
    if (!path) return create(any_path());
    return operation(*path, model.nodes.at(model.names.at(*path)).content->size());
  }
  template <class Operation>
  Status on_any(Operation&& operation) {
    const auto path = existing(std::nullopt);
    return path ? operation(*path) : create(any_path());
  }
  std::string any_directory() {
    std::vector<std::string> all{"", ""};
    for (const auto& [path, ino] : model.names)
      if (model.nodes.at(ino).kind == FileKind::kDirectory) all.push_back(path);
    return all[pick(all.size())];
  }
  std::string any_path() {
    const auto directory = any_directory();
    const auto leaf = std::string(1, static_cast<char>('a' + pick(8)));
    return directory.empty() ? leaf : directory + "/" + leaf;
  }
  std::optional<std::string> existing(std::optional<FileKind> kind) {
    std::vector<std::string> all;
    for (const auto& [path, ino] : model.names)
      if (!kind || model.nodes.at(ino).kind == *kind) all.push_back(path);
    if (all.empty()) return std::nullopt;
    return all[pick(all.size())];
  }
  std::uint64_t any_offset(std::uint64_t size) {
    switch (pick(6)) {
      case 0: return 0;
      case 1: return size;
      case 2: return pick(size + 1);
      case 3: return pick(8) * kChunkSize;
      case 4: return pick(5 * kChunkSize);
      default: return pick(30) == 0 ? pick(140) * kChunkSize : kInlineSizeMax - 1 + pick(3);
    }
  }
  std::uint64_t any_size() {
    switch (pick(5)) {
      case 0: return 1 + pick(100);
      case 1: return kChunkSize;
      case 2: return 1 + pick(3 * kChunkSize);
      case 3: return kInlineSizeMax - 1 + pick(3);
      default: return 1 + pick(5000);
    }
  }

  std::mt19937_64 random_;
};

}  // namespace coffer::testing
