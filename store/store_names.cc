#include <algorithm>

#include "store/store_state.h"

// Names: the tree. All of an operation on names happens under Catalog::mutex(): attributes of what it touches are
// loaded first, then the catalog changes in one savepoint, then the attributes in memory, which cannot fail.
namespace coffer {

Error no_such_file() { return {Code::kNotFound, "no such file or directory"}; }

Status check_name(std::string_view name) {
  if (name.size() > kNameSizeMax) return Error{Code::kNameTooLong, "a name has at most 255 bytes"};
  if (name.empty() || name == "." || name == ".." || name.find('/') != name.npos || name.find('\0') != name.npos)
    return Error{Code::kInvalidArgument, "not a name"};
  return {};
}

Result<InodeCache::Handle> Store::State::directory_locked(InodeNumber ino) {
  COFFER_ASSIGN(auto handle, inodes.get_locked(ino));
  const auto inode = inodes.read(handle);
  if (inode.kind != FileKind::kDirectory) return Error{Code::kNotDirectory, "not a directory"};
  if (inode.nlink == 0) return no_such_file();
  return handle;
}

Result<Inode> Store::State::new_inode(FileKind kind, const NewInode& attributes) {
  for (const auto& edit : attributes.xattrs) COFFER_TRY(check_xattr(edit));
  Inode inode;
  COFFER_ASSIGN(inode.ino, inode_numbers.take());
  inode.kind = kind;
  inode.mode = attributes.mode & 07777;
  inode.uid = attributes.uid;
  inode.gid = attributes.gid;
  inode.rdev = attributes.rdev;
  inode.nlink = kind == FileKind::kDirectory ? 2 : 1;
  inode.atime_ns = inode.mtime_ns = inode.ctime_ns = clock.wall_ns();
  return inode;
}

Result<Inode> Store::State::add_child_locked(const InodeCache::Handle& parent, std::string_view name, Inode inode,
                                             const NewInode& attributes, bool refer,
                                             const std::function<Status()>& more) {
  inode.parent = inodes.read(parent).ino;
  if (inode.bucket == 0) inode.bucket = inodes.read(parent).bucket;
  COFFER_TRY(reserve_pages_locked(kNamePages + xattr_pages(attributes.xattrs)));
  Catalog::Savepoint savepoint(catalog);
  auto named = catalog.insert_name(inode.parent, name, inode.ino, inode.kind);
  if (!named && named.code() == Code::kExists) return Error{Code::kExists, "the name is taken"};
  COFFER_TRY(std::move(named));
  COFFER_TRY(catalog.insert_inode(inode));
  COFFER_TRY(edit_xattrs_locked(inode.ino, attributes.xattrs));
  COFFER_TRY(more());
  COFFER_TRY(savepoint.keep());
  const auto handle = inodes.insert_locked(inode);
  if (inode.kind == FileKind::kFile) inodes.named(handle, inode.parent, name);
  if (refer) inodes.refer(inode.ino, 1);
  inodes.edit(parent, [&](Inode& directory) {
    directory.mtime_ns = directory.ctime_ns = inode.ctime_ns;
    if (inode.kind == FileKind::kDirectory) ++directory.nlink;
  });
  ++inode_count;
  touch();
  return inode;
}

Result<Inode> Store::lookup(InodeNumber parent, std::string_view name) {
  auto& s = *state_;
  COFFER_TRY(check_name(name));
  std::lock_guard lock(s.catalog.mutex());
  COFFER_TRY(s.directory_locked(parent));
  COFFER_ASSIGN(const auto entry, s.catalog.find_name(parent, name));
  COFFER_ASSIGN(const auto handle, s.inodes.get_locked(entry.ino));
  s.inodes.refer(entry.ino, 1);
  if (entry.kind == FileKind::kFile) s.inodes.named(handle, parent, name);
  return s.inodes.read(handle);
}

// --- making ---

Result<Inode> Store::make_directory(InodeNumber parent, std::string_view name, const NewInode& attributes) {
  auto& s = *state_;
  COFFER_TRY(s.ready());
  if (parent == kRootInode) {
    COFFER_ASSIGN(const auto bucket, BucketName::parse(name));
    return s.make_bucket(bucket, attributes, /*refer=*/true);
  }
  COFFER_TRY(check_name(name));
  COFFER_TRY(s.claim_pages(1, RoomFor::kGrowing));
  COFFER_ASSIGN(const auto inode, s.new_inode(FileKind::kDirectory, attributes));
  return s.with_room([&]() -> Result<Inode> {
    Gate::Pass pass(s.gate);
    std::lock_guard lock(s.catalog.mutex());
    COFFER_ASSIGN(const auto directory, s.directory_locked(parent));
    return s.add_child_locked(directory, name, inode, attributes, /*refer=*/true, [] { return Status(); });
  });
}

Result<Inode> Store::create(InodeNumber parent, std::string_view name, const NewInode& attributes) {
  return state_->checked(state_->make_file(parent, name, attributes, /*open=*/true));
}

Result<Inode> Store::make_node(InodeNumber parent, std::string_view name, FileKind kind, const NewInode& attributes) {
  auto& s = *state_;
  if (kind == FileKind::kFile) return s.checked(s.make_file(parent, name, attributes, /*open=*/false));
  COFFER_TRY(s.ready());
  COFFER_TRY(check_name(name));
  if (kind == FileKind::kDirectory || kind == FileKind::kSymlink)
    return Error{Code::kInvalidArgument, "not a kind of node"};
  if (parent == kRootInode) return Error{Code::kNotPermitted, "only buckets are in the root"};
  COFFER_TRY(s.claim_pages(1, RoomFor::kGrowing));
  COFFER_ASSIGN(const auto inode, s.new_inode(kind, attributes));
  return s.with_room([&]() -> Result<Inode> {
    Gate::Pass pass(s.gate);
    std::lock_guard lock(s.catalog.mutex());
    COFFER_ASSIGN(const auto directory, s.directory_locked(parent));
    return s.add_child_locked(directory, name, inode, attributes, /*refer=*/true, [] { return Status(); });
  });
}

// The envelope is issued first, with nothing locked: the KMS may take its time, or refuse.
Result<Inode> Store::State::make_file(InodeNumber parent, std::string_view name, const NewInode& attributes,
                                      bool open) {
  COFFER_TRY(ready());
  COFFER_TRY(check_name(name));
  if (parent == kRootInode) return Error{Code::kNotPermitted, "only buckets are in the root"};
  COFFER_TRY(claim_pages(1, RoomFor::kGrowing));
  COFFER_ASSIGN(auto inode, new_inode(FileKind::kFile, attributes));
  std::string key;
  {
    std::lock_guard lock(catalog.mutex());
    COFFER_ASSIGN(const auto directory, directory_locked(parent));
    inode.bucket = inodes.read(directory).bucket;
    const auto taken = catalog.find_name(parent, name);
    if (taken) return Error{Code::kExists, "the name is taken"};
    if (taken.code() != Code::kNotFound) return taken.error();
    COFFER_ASSIGN(key, key_path_locked(parent));
  }
  key += name;
  COFFER_ASSIGN(const auto bucket, bucket_of(inode.bucket));
  const Subject subject{inode.ino, 1, kChunkSize, realm_of(bucket), bucket.name, std::move(key)};
  COFFER_ASSIGN(auto issued, issue(bucket.rule, subject, attributes.as));
  auto kept = KeptEnvelope::issued(std::move(issued), bucket.rule_version);

  return with_room([&]() -> Result<Inode> {
    Gate::Pass pass(gate);
    std::lock_guard lock(catalog.mutex());
    COFFER_ASSIGN(const auto directory, directory_locked(parent));
    ContentRow row;
    row.ino = inode.ino;
    row.envelope = kept.encoded;
    row.rule_version = kept.rule_version;
    row.seals_leased = kept.seals_leased;
    COFFER_ASSIGN(const auto made, add_child_locked(directory, name, inode, attributes, /*refer=*/true,
                                                    [&] { return catalog.put_content(row); }));
    COFFER_ASSIGN(const auto handle, inodes.get_locked(made.ino));
    objects.put(std::make_shared<OpenObject>(parts, handle, std::move(kept)));
    if (open) inodes.opened(made.ino);
    return made;
  });
}

Result<Inode> Store::make_symlink(InodeNumber parent, std::string_view name, std::string_view target,
                                  const NewInode& attributes) {
  auto& s = *state_;
  COFFER_TRY(s.ready());
  COFFER_TRY(check_name(name));
  if (target.empty()) return no_such_file();
  if (target.size() > kSymlinkSizeMax) return Error{Code::kNameTooLong, "a link's target has at most 4095 bytes"};
  if (parent == kRootInode) return Error{Code::kNotPermitted, "only buckets are in the root"};
  COFFER_TRY(s.claim_pages(2, RoomFor::kGrowing));
  COFFER_ASSIGN(auto inode, s.new_inode(FileKind::kSymlink, attributes));
  inode.size = target.size();
  return s.with_room([&]() -> Result<Inode> {
    Gate::Pass pass(s.gate);
    std::lock_guard lock(s.catalog.mutex());
    COFFER_ASSIGN(const auto directory, s.directory_locked(parent));
    return s.add_child_locked(directory, name, inode, attributes, /*refer=*/true,
                              [&] { return s.catalog.set_symlink_target(inode.ino, target); });
  });
}

Result<std::string> Store::read_symlink(InodeNumber ino) {
  std::lock_guard lock(state_->catalog.mutex());
  COFFER_ASSIGN(const auto handle, state_->inodes.get_locked(ino));
  if (state_->inodes.read(handle).kind != FileKind::kSymlink)
    return Error{Code::kInvalidArgument, "not a symbolic link"};
  return state_->catalog.symlink_target(ino);
}

Result<Inode> Store::link(InodeNumber ino, InodeNumber parent, std::string_view name) {
  auto& s = *state_;
  COFFER_TRY(s.ready());
  COFFER_TRY(check_name(name));
  if (parent == kRootInode) return Error{Code::kNotPermitted, "only buckets are in the root"};
  COFFER_TRY(s.claim_pages(1, RoomFor::kGrowing));
  return s.with_room([&]() -> Result<Inode> {
    Gate::Pass pass(s.gate);
    std::lock_guard lock(s.catalog.mutex());
    COFFER_ASSIGN(const auto handle, s.inodes.get_locked(ino));
    COFFER_ASSIGN(const auto directory, s.directory_locked(parent));
    const auto inode = s.inodes.read(handle);
    if (inode.kind == FileKind::kDirectory) return Error{Code::kNotPermitted, "a directory has one name"};
    if (inode.bucket != s.inodes.read(directory).bucket)
      return Error{Code::kCrossesBuckets, "a link does not leave its bucket"};
    if (inode.nlink == 0) return no_such_file();
    if (inode.nlink >= kLinksMax) return Error{Code::kTooManyLinks, "the file has as many names as it may"};
    COFFER_TRY(s.reserve_pages_locked(kNamePages));
    const auto taken = s.catalog.find_name(parent, name);
    if (taken) return Error{Code::kExists, "the name is taken"};
    if (taken.code() != Code::kNotFound) return taken.error();
    COFFER_TRY(s.catalog.insert_name(parent, name, ino, inode.kind));
    const auto now = s.clock.wall_ns();
    s.inodes.edit(directory, [&](Inode& d) { d.mtime_ns = d.ctime_ns = now; });
    s.inodes.edit(handle, [&](Inode& i) {
      ++i.nlink;
      i.ctime_ns = now;
    });
    s.inodes.refer(ino, 1);
    s.touch();
    return s.inodes.read(handle);
  });
}

// --- removing ---

void Store::State::unlinked_locked(const InodeCache::Handle& handle) {
  const auto inode = inodes.read(handle);
  if (inode.nlink > 0) return;
  std::lock_guard lock(unlinked_mutex);
  unlinked.insert(inode.ino);
}

Status Store::State::reap_if_unreferenced(InodeNumber ino) {
  {
    std::lock_guard lock(unlinked_mutex);
    if (!unlinked.contains(ino)) return {};
  }
  COFFER_TRY(ready());
  return with_room([&] {
    Gate::Pass pass(gate);
    return reap(ino);
  });
}

Status Store::State::reap(InodeNumber ino) {
  while (true) {
    const auto object = objects.find(ino);
    std::unique_lock<std::shared_mutex> object_lock;
    if (object) object_lock = std::unique_lock(object->mutex);
    std::lock_guard lock(catalog.mutex());
    {
      std::lock_guard unlinked_lock(unlinked_mutex);
      if (!unlinked.contains(ino) || inodes.referenced(ino)) return {};
    }
    if (!object && objects.find(ino)) continue;  // loaded since
    std::uint64_t file = 0;
    if (object) {
      file = object->file();
    } else if (const auto row = catalog.content(ino); row) {
      file = row->file;
    } else if (row.code() != Code::kNotFound) {
      return row.error();
    }
    COFFER_ASSIGN(const auto inode, inodes.get_locked(ino));
    std::uint64_t map_pages = 0;
    if (file != 0) {
      COFFER_ASSIGN(map_pages, map_pages_locked(ino, {0, inodes.read(inode).size}));
    }
    COFFER_TRY(reserve_pages_locked(kNamePages + map_pages));
    Catalog::Savepoint savepoint(catalog);
    if (file != 0) COFFER_TRY(catalog.add_garbage(file));
    COFFER_TRY(catalog.remove_inode(ino));
    COFFER_TRY(savepoint.keep());
    if (object) object->forget_content();
    objects.remove(ino);
    inodes.remove_locked(ino);
    --inode_count;
    touch();
    {
      std::lock_guard unlinked_lock(unlinked_mutex);
      unlinked.erase(ino);
    }
    if (file == 0) return {};
    std::lock_guard garbage_lock(garbage_mutex);
    garbage_new.push_back(file);
    return {};
  }
}

Status Store::unlink(InodeNumber parent, std::string_view name) {
  auto& s = *state_;
  COFFER_TRY(s.ready());
  COFFER_TRY(check_name(name));
  InodeNumber ino = 0;
  const auto take_name_away = [&]() -> Status {
    Gate::Pass pass(s.gate);
    std::lock_guard lock(s.catalog.mutex());
    COFFER_ASSIGN(const auto directory, s.directory_locked(parent));
    COFFER_ASSIGN(const auto entry, s.catalog.find_name(parent, name));
    if (entry.kind == FileKind::kDirectory) return Error{Code::kIsDirectory, "a directory is not unlinked"};
    COFFER_ASSIGN(const auto handle, s.inodes.get_locked(entry.ino));
    COFFER_TRY(s.reserve_pages_locked(kNamePages));
    COFFER_TRY(s.catalog.remove_name(parent, name));
    ino = entry.ino;
    const auto now = s.clock.wall_ns();
    s.inodes.edit(directory, [&](Inode& d) { d.mtime_ns = d.ctime_ns = now; });
    s.inodes.edit(handle, [&](Inode& i) {
      if (i.nlink > 0) --i.nlink;
      i.ctime_ns = now;
    });
    s.unlinked_locked(handle);
    s.touch();
    return {};
  };
  COFFER_TRY(s.with_room(take_name_away));
  // The name is gone already; what this leaves is swept when the store is opened next.
  (void)s.reap_if_unreferenced(ino);
  return {};
}

Status Store::remove_directory(InodeNumber parent, std::string_view name) {
  auto& s = *state_;
  COFFER_TRY(s.ready());
  COFFER_TRY(check_name(name));
  InodeNumber ino = 0;
  const auto take_name_away = [&]() -> Status {
    Gate::Pass pass(s.gate);
    std::lock_guard lock(s.catalog.mutex());
    COFFER_ASSIGN(const auto directory, s.directory_locked(parent));
    COFFER_ASSIGN(const auto entry, s.catalog.find_name(parent, name));
    if (entry.kind != FileKind::kDirectory) return Error{Code::kNotDirectory, "not a directory"};
    COFFER_ASSIGN(const auto handle, s.inodes.get_locked(entry.ino));
    COFFER_ASSIGN(const bool empty, s.catalog.directory_empty(entry.ino));
    if (!empty) return Error{Code::kNotEmpty, "the directory is not empty"};
    COFFER_TRY(s.reserve_pages_locked(kNamePages + (parent == kRootInode ? kPolicyPages : 0)));
    Catalog::Savepoint savepoint(s.catalog);
    COFFER_TRY(s.catalog.remove_name(parent, name));
    if (parent == kRootInode) COFFER_TRY(s.catalog.remove_bucket(entry.ino));
    COFFER_TRY(savepoint.keep());
    ino = entry.ino;
    const auto now = s.clock.wall_ns();
    s.inodes.edit(directory, [&](Inode& d) {
      d.mtime_ns = d.ctime_ns = now;
      --d.nlink;
    });
    s.inodes.edit(handle, [&](Inode& i) {
      i.nlink = 0;
      i.ctime_ns = now;
    });
    s.paths.clear();
    s.unlinked_locked(handle);
    s.touch();
    std::lock_guard buckets_lock(s.buckets_mutex);
    s.buckets.erase(ino);
    return {};
  };
  COFFER_TRY(s.with_room(take_name_away));
  (void)s.reap_if_unreferenced(ino);
  return parent == kRootInode ? s.durable_commit() : Status();
}

// --- renaming ---

Result<bool> Store::State::is_below_locked(InodeNumber ino, InodeNumber ancestor) {
  while (true) {
    if (ino == ancestor) return true;
    if (ino == kRootInode || ino == 0) return false;
    COFFER_ASSIGN(const auto handle, inodes.get_locked(ino));
    ino = inodes.read(handle).parent;
  }
}

Status Store::rename(InodeNumber parent, std::string_view name, InodeNumber new_parent, std::string_view new_name,
                     RenameMode mode) {
  auto& s = *state_;
  COFFER_TRY(s.ready());
  COFFER_TRY(check_name(name));
  COFFER_TRY(check_name(new_name));
  InodeNumber replaced = 0;
  const auto move_name = [&]() -> Status {
    Gate::Pass pass(s.gate);
    std::lock_guard lock(s.catalog.mutex());
    COFFER_ASSIGN(const auto from, s.directory_locked(parent));
    COFFER_ASSIGN(const auto to, s.directory_locked(new_parent));
    COFFER_ASSIGN(const auto source, s.catalog.find_name(parent, name));
    if (parent == kRootInode || new_parent == kRootInode)
      return Error{Code::kNotPermitted, "a bucket is not renamed, and nothing becomes one"};
    if (s.inodes.read(from).bucket != s.inodes.read(to).bucket)
      return Error{Code::kCrossesBuckets, "a rename does not leave its bucket"};
    const auto found = s.catalog.find_name(new_parent, new_name);
    if (!found && found.code() != Code::kNotFound) return found.error();
    if (found && mode == RenameMode::kNoReplace) return Error{Code::kExists, "the name is taken"};
    if (!found && mode == RenameMode::kExchange) return no_such_file();
    if (found && found->ino == source.ino) return {};

    COFFER_ASSIGN(const auto moved, s.inodes.get_locked(source.ino));
    const bool directory = source.kind == FileKind::kDirectory;
    if (directory) {
      COFFER_ASSIGN(const bool cycle, s.is_below_locked(new_parent, source.ino));
      if (cycle) return Error{Code::kInvalidArgument, "a directory does not move into itself"};
    }
    InodeCache::Handle target;
    bool target_directory = false;
    if (found) {
      COFFER_ASSIGN(target, s.inodes.get_locked(found->ino));
      target_directory = found->kind == FileKind::kDirectory;
    }
    if (target && mode == RenameMode::kExchange && target_directory) {
      COFFER_ASSIGN(const bool cycle, s.is_below_locked(parent, found->ino));
      if (cycle) return Error{Code::kInvalidArgument, "a directory does not move into itself"};
    }
    if (target && mode != RenameMode::kExchange) {
      if (directory && !target_directory) return Error{Code::kNotDirectory, "a directory replaces only a directory"};
      if (!directory && target_directory) return Error{Code::kIsDirectory, "a directory is replaced only by one"};
      if (target_directory) {
        COFFER_ASSIGN(const bool empty, s.catalog.directory_empty(found->ino));
        if (!empty) return Error{Code::kNotEmpty, "the directory is not empty"};
      }
    }

    const auto rewrite = [&]() -> Status {
      Catalog::Savepoint savepoint(s.catalog);
      // At once, and not with the next commit: the catalog finds an inode's names through its parent.
      const auto place = [&](const InodeCache::Handle& handle, InodeNumber directory_ino) {
        auto inode = s.inodes.read(handle);
        inode.parent = directory_ino;
        return s.catalog.update_inode(inode);
      };
      if (mode == RenameMode::kExchange) {
        COFFER_TRY(s.catalog.replace_name(parent, name, found->ino, found->kind));
        COFFER_TRY(place(target, parent));
      } else {
        COFFER_TRY(s.catalog.remove_name(parent, name));
      }
      COFFER_TRY(s.catalog.replace_name(new_parent, new_name, source.ino, source.kind));
      COFFER_TRY(place(moved, new_parent));
      return savepoint.keep();
    };
    COFFER_TRY(s.reserve_pages_locked(2 * kNamePages));
    COFFER_TRY(rewrite());

    const auto now = s.clock.wall_ns();
    std::int32_t from_links = 0, to_links = 0;  // subdirectories gained
    if (directory) --from_links, ++to_links;
    if (target_directory) --to_links;
    if (target_directory && mode == RenameMode::kExchange) ++from_links;
    const auto settle = [&](const InodeCache::Handle& handle, std::int32_t links) {
      s.inodes.edit(handle, [&](Inode& d) {
        d.nlink += static_cast<std::uint32_t>(links);
        d.mtime_ns = d.ctime_ns = now;
      });
    };
    settle(from, from_links);
    settle(to, to_links);
    s.inodes.edit(moved, [&](Inode& i) {
      i.parent = new_parent;
      i.ctime_ns = now;
    });
    if (target) {
      s.inodes.edit(target, [&](Inode& i) {
        i.ctime_ns = now;
        if (mode == RenameMode::kExchange)
          i.parent = parent;
        else
          i.nlink = target_directory ? 0 : i.nlink - 1;
      });
      s.unlinked_locked(target);
      replaced = found->ino;
    }
    if (directory || target_directory) s.paths.clear();
    if (source.kind == FileKind::kFile) {
      s.inodes.named(moved, new_parent, new_name);
      s.queue_header(source.ino);
    }
    if (target && mode == RenameMode::kExchange && found->kind == FileKind::kFile) {
      s.inodes.named(target, parent, name);
      s.queue_header(found->ino);
    }
    s.touch();
    return {};
  };
  COFFER_TRY(s.with_room(move_name));
  if (replaced != 0) (void)s.reap_if_unreferenced(replaced);
  return {};
}

// --- listing and paths ---

Result<std::vector<DirectoryEntry>> Store::read_directory(InodeNumber ino, std::uint64_t after_cookie,
                                                          std::size_t limit) {
  std::lock_guard lock(state_->catalog.mutex());
  COFFER_ASSIGN(const auto handle, state_->inodes.get_locked(ino));
  if (state_->inodes.read(handle).kind != FileKind::kDirectory) return Error{Code::kNotDirectory, "not a directory"};
  return state_->catalog.list(ino, after_cookie, limit);
}

Status Store::read_directory_plus(InodeNumber ino, std::uint64_t after_cookie, std::size_t limit,
                                  const std::function<bool(const DirectoryEntry&, const Inode&)>& take) {
  auto& s = *state_;
  std::lock_guard lock(s.catalog.mutex());
  COFFER_ASSIGN(const auto handle, s.inodes.get_locked(ino));
  if (s.inodes.read(handle).kind != FileKind::kDirectory) return Error{Code::kNotDirectory, "not a directory"};
  COFFER_ASSIGN(const auto entries, s.catalog.list_with_inodes(ino, after_cookie, limit));
  for (const auto& [entry, stored] : entries) {
    if (!take(entry, s.inodes.find(entry.ino).value_or(stored))) break;
    s.inodes.refer(entry.ino, 1);
  }
  return {};
}

Result<std::string> Store::State::key_path_locked(InodeNumber directory) {
  if (const auto known = paths.find(directory); known != paths.end()) return known->second;
  std::string path;
  for (auto ino = directory;;) {
    COFFER_ASSIGN(const auto handle, inodes.get_locked(ino));
    if (inodes.read(handle).bucket == ino) break;
    if (const auto known = paths.find(ino); known != paths.end()) {
      path.insert(0, known->second);
      break;
    }
    COFFER_ASSIGN(const auto name, catalog.any_name(ino));
    path.insert(0, name.second + "/");
    if (path.size() > kContextSizeMax) return Error{Code::kNameTooLong, "the path does not fit an encryption context"};
    ino = name.first;
  }
  if (paths.size() >= kPathsCached) paths.clear();
  paths[directory] = path;
  return path;
}

Result<InodeNumber> Store::resolve(std::string_view bucket, std::string_view key) {
  auto& s = *state_;
  std::lock_guard lock(s.catalog.mutex());
  COFFER_ASSIGN(const auto root, s.catalog.find_name(kRootInode, bucket));
  auto ino = root.ino;
  while (!key.empty()) {
    const auto end = std::min(key.find('/'), key.size());
    COFFER_ASSIGN(const auto entry, s.catalog.find_name(ino, key.substr(0, end)));
    ino = entry.ino;
    key.remove_prefix(std::min(end + 1, key.size()));
  }
  return ino;
}

}  // namespace coffer
