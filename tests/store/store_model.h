#pragma once

#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "base/limits.h"
#include "tests/store/store_rig.h"

namespace coffer::testing {

// What a bucket should hold: names to nodes, and nodes with their bytes. Cheap to copy, so that every step of a run can
// be kept.
struct TreeModel {
  struct Node {
    FileKind kind = FileKind::kFile;
    std::uint32_t mode = 0;
    std::shared_ptr<const Bytes> content = std::make_shared<Bytes>();  // a symlink's target
    std::map<std::string, Bytes> xattrs;
  };
  std::map<std::string, InodeNumber> names;  // paths below the bucket
  std::map<InodeNumber, Node> nodes;

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

// What differs between a model and a bucket of a store; empty: nothing.
inline std::string difference(const TreeModel& model, Store& store, std::string_view bucket) {
  std::size_t seen = 0;
  const auto root = store.resolve(bucket, "");
  if (!root) return "no bucket";
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
      if (inode->size != node.content->size())
        return name + " has size " + std::to_string(inode->size) + ", not " + std::to_string(node.content->size());
      const auto content = read_all(store, entry.ino);
      if (!content) return name + ": " + content.error().message;
      for (std::size_t i = 0; i < content->size(); ++i)
        if ((*content)[i] != (*node.content)[i]) return name + " differs at " + std::to_string(i);
    }
  }
  return seen == model.names.size() ? "" : "names are missing";
}

// Random operations on a store, and what they should have done.
class RandomTree {
 public:
  RandomTree(StoreRig& rig, std::uint64_t seed) : rig_(rig), random_(seed) {}

  TreeModel model;
  std::string last;  // what step() did

  // One operation. Its failure for a reason of its own (a name taken ...) must be what the model says.
  // An error that the model does not foresee is returned.
  Status step() {
    switch (pick(16)) {
      case 0:
      case 1:
      case 2: return create();
      case 3:
      case 4:
      case 5:
      case 6: return write();
      case 7: return resize();
      case 8: return punch();
      case 9: return unlink();
      case 10: return rename();
      case 11: return link();
      case 12: return make_directory();
      case 13: return remove_directory();
      case 14: return symlink();
      default: return attributes();
    }
  }

  std::uint64_t pick(std::uint64_t below) { return random_() % below; }

 private:
  Store& store() { return rig_.store(); }
  Result<InodeNumber> ino_of(const std::string& path) { return store().resolve("bucket", path); }

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

  Status create() {
    const auto path = any_path();
    last = "create " + path;
    COFFER_ASSIGN(const auto parent, ino_of(TreeModel::parent_of(path)));
    const auto made = store().create(parent, TreeModel::leaf_of(path), NewInode{0644, 1, 1, 0});
    if (model.names.contains(path)) return agree(status_of(made), Code::kExists);
    COFFER_TRY(status_of(made));
    store().release(made->ino);
    store().forget(made->ino, 1);
    model.names[path] = made->ino;
    model.nodes[made->ino] = {FileKind::kFile, 0644, std::make_shared<Bytes>(), {}};
    return {};
  }
  Status write() {
    const auto path = existing(FileKind::kFile);
    if (!path) return create();
    auto& node = model.nodes.at(model.names.at(*path));
    const auto offset = any_offset(node.content->size()), size = any_size();
    last = "write " + *path + " at " + std::to_string(offset) + " size " + std::to_string(size);
    COFFER_ASSIGN(const auto ino, ino_of(*path));
    const auto bytes = some_bytes(size, random_());
    COFFER_TRY(store().write(ino, offset, bytes));
    auto content = *node.content;
    content.resize(std::max<std::size_t>(content.size(), offset + size));
    std::copy(bytes.begin(), bytes.end(), content.begin() + static_cast<std::ptrdiff_t>(offset));
    node.content = std::make_shared<Bytes>(std::move(content));
    return {};
  }
  Status resize() {
    const auto path = existing(FileKind::kFile);
    if (!path) return create();
    auto& node = model.nodes.at(model.names.at(*path));
    InodeChange change;
    change.size = pick(4) == 0 ? 0 : any_offset(node.content->size());
    last = "resize " + *path + " to " + std::to_string(*change.size);
    COFFER_ASSIGN(const auto ino, ino_of(*path));
    COFFER_TRY(status_of(store().change(ino, change)));
    auto content = *node.content;
    content.resize(*change.size);
    node.content = std::make_shared<Bytes>(std::move(content));
    return {};
  }
  Status punch() {
    const auto path = existing(FileKind::kFile);
    if (!path) return create();
    auto& node = model.nodes.at(model.names.at(*path));
    const auto offset = any_offset(node.content->size()), size = any_size() * (1 + pick(3));
    const auto mode = pick(2) == 0 ? FallocateMode::kPunchHole : FallocateMode::kZero;
    last = "punch or zero " + *path + " at " + std::to_string(offset) + " size " + std::to_string(size);
    COFFER_ASSIGN(const auto ino, ino_of(*path));
    COFFER_TRY(store().fallocate(ino, mode, offset, size));
    auto content = *node.content;
    if (mode == FallocateMode::kZero) content.resize(std::max<std::size_t>(content.size(), offset + size));
    for (auto i = offset; i < std::min<std::uint64_t>(offset + size, content.size()); ++i) content[i] = 0;
    node.content = std::make_shared<Bytes>(std::move(content));
    return {};
  }
  Status unlink() {
    const auto path = existing(std::nullopt);
    if (!path) return create();
    last = "unlink " + *path;
    COFFER_ASSIGN(const auto parent, ino_of(TreeModel::parent_of(*path)));
    const auto done = store().unlink(parent, TreeModel::leaf_of(*path));
    if (model.is_directory(*path)) return agree(done, Code::kIsDirectory);
    COFFER_TRY(done);
    model.drop_name(*path);
    return {};
  }
  Status rename() {
    const auto from = existing(std::nullopt);
    if (!from) return create();
    const auto to = pick(3) == 0 ? *existing(std::nullopt) : any_path();
    const auto mode = static_cast<RenameMode>(pick(3));
    last = "rename " + *from + " to " + to + " mode " + std::to_string(static_cast<int>(mode));
    COFFER_ASSIGN(const auto parent, ino_of(TreeModel::parent_of(*from)));
    COFFER_ASSIGN(const auto new_parent, ino_of(TreeModel::parent_of(to)));
    const auto done = store().rename(parent, TreeModel::leaf_of(*from), new_parent, TreeModel::leaf_of(to), mode);
    const bool there = model.names.contains(to);
    if (there && mode == RenameMode::kNoReplace) return agree(done, Code::kExists);
    if (!there && mode == RenameMode::kExchange) return agree(done, Code::kNotFound);
    if (there && model.names.at(to) == model.names.at(*from)) return agree(done, std::nullopt);
    const bool from_directory = model.is_directory(*from), to_directory = there && model.is_directory(to);
    if (from_directory && to.starts_with(*from + "/")) return agree(done, Code::kInvalidArgument);
    if (mode == RenameMode::kExchange) {
      if (to_directory && from->starts_with(to + "/")) return agree(done, Code::kInvalidArgument);
      COFFER_TRY(done);
      model.move(*from, "//");
      model.move(to, *from);
      model.move("//", to);
      return {};
    }
    if (there && from_directory && !to_directory) return agree(done, Code::kNotDirectory);
    if (there && !from_directory && to_directory) return agree(done, Code::kIsDirectory);
    if (to_directory && model.has_children(to)) return agree(done, Code::kNotEmpty);
    COFFER_TRY(done);
    if (there) model.drop_name(to);
    model.move(*from, to);
    return {};
  }
  Status link() {
    const auto from = existing(std::nullopt);
    if (!from) return create();
    const auto to = any_path();
    last = "link " + *from + " as " + to;
    COFFER_ASSIGN(const auto ino, ino_of(*from));
    COFFER_ASSIGN(const auto parent, ino_of(TreeModel::parent_of(to)));
    const auto done = store().link(ino, parent, TreeModel::leaf_of(to));
    if (model.is_directory(*from)) return agree(status_of(done), Code::kNotPermitted);
    if (model.names.contains(to)) return agree(status_of(done), Code::kExists);
    COFFER_TRY(status_of(done));
    store().forget(ino, 1);
    model.names[to] = model.names.at(*from);
    return {};
  }
  Status make_directory() {
    const auto path = any_path();
    last = "mkdir " + path;
    COFFER_ASSIGN(const auto parent, ino_of(TreeModel::parent_of(path)));
    const auto made = store().make_directory(parent, TreeModel::leaf_of(path), NewInode{0755, 1, 1, 0});
    if (model.names.contains(path)) return agree(status_of(made), Code::kExists);
    COFFER_TRY(status_of(made));
    store().forget(made->ino, 1);
    model.names[path] = made->ino;
    model.nodes[made->ino] = {FileKind::kDirectory, 0755, std::make_shared<Bytes>(), {}};
    return {};
  }
  Status remove_directory() {
    const auto path = existing(FileKind::kDirectory);
    if (!path) return create();
    last = "rmdir " + *path;
    COFFER_ASSIGN(const auto parent, ino_of(TreeModel::parent_of(*path)));
    const auto done = store().remove_directory(parent, TreeModel::leaf_of(*path));
    if (model.has_children(*path)) return agree(done, Code::kNotEmpty);
    COFFER_TRY(done);
    model.drop_name(*path);
    return {};
  }
  Status symlink() {
    const auto path = any_path();
    last = "symlink " + path;
    COFFER_ASSIGN(const auto parent, ino_of(TreeModel::parent_of(path)));
    const auto target = "target" + std::to_string(pick(100));
    const auto made = store().make_symlink(parent, TreeModel::leaf_of(path), target, NewInode{0777, 1, 1, 0});
    if (model.names.contains(path)) return agree(status_of(made), Code::kExists);
    COFFER_TRY(status_of(made));
    store().forget(made->ino, 1);
    model.names[path] = made->ino;
    model.nodes[made->ino] = {FileKind::kSymlink, 0777, std::make_shared<Bytes>(to_bytes(as_bytes(target))), {}};
    return {};
  }
  Status attributes() {
    const auto path = existing(FileKind::kFile);
    if (!path) return create();
    auto& node = model.nodes.at(model.names.at(*path));
    COFFER_ASSIGN(const auto ino, ino_of(*path));
    if (pick(2) == 0) {
      InodeChange change;
      change.mode = static_cast<std::uint32_t>(pick(01000));
      last = "chmod " + *path;
      COFFER_TRY(status_of(store().change(ino, change)));
      node.mode = *change.mode;
      return {};
    }
    const auto name = "user.x" + std::to_string(pick(2));
    const auto value = some_bytes(pick(100), random_());
    last = "setxattr " + *path;
    COFFER_TRY(store().set_xattr(ino, name, value, XattrMode::kAny));
    node.xattrs[name] = value;
    return {};
  }

  StoreRig& rig_;
  std::mt19937_64 random_;
};

}  // namespace coffer::testing
