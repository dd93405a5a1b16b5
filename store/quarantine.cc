#include "store/quarantine.h"

#include <algorithm>

#include "base/limits.h"

namespace coffer {
namespace {

constexpr std::uint32_t kQuarantinePages = 24;  // the folder, its bucket, the inode, meta values, and splits above them
constexpr std::uint32_t kPagesPerName = 8;

std::string suffix_of(InodeNumber ino) { return "." + std::to_string(ino); }

}  // namespace

Result<bool> Quarantine::holds(const Inode& inode) {
  const auto folder = catalog_.find_name(inode.bucket, kLostAndFound);
  if (!folder && folder.code() == Code::kNotFound) return false;
  if (!folder) return folder.error();
  if (folder->ino != inode.parent) return false;
  const auto name = catalog_.any_name(inode.ino);
  if (!name && name.code() == Code::kNotFound) return false;
  if (!name) return name.error();
  return name->first == inode.parent && name->second.find(suffix_of(inode.ino)) != std::string::npos;
}

Result<Inode> Quarantine::folder_of(InodeNumber bucket, std::int64_t now_ns) {
  const auto found = catalog_.find_name(bucket, kLostAndFound);
  if (found.ok()) {
    if (found->kind == FileKind::kDirectory) return catalog_.inode(found->ino);
    return Error{Code::kExists, "lost+found of its bucket is no directory: rename it"};
  }
  if (found.code() != Code::kNotFound) return found.error();
  COFFER_ASSIGN(auto parent, catalog_.inode(bucket));
  COFFER_ASSIGN(const auto number, catalog_.number("next_inode", kRootInode + 1));
  COFFER_ASSIGN(const auto count, catalog_.number("inodes", 1));
  Inode folder;
  folder.ino = number;
  folder.kind = FileKind::kDirectory;
  folder.mode = 0700;
  folder.uid = parent.uid;
  folder.gid = parent.gid;
  folder.nlink = 2;
  folder.atime_ns = folder.mtime_ns = folder.ctime_ns = now_ns;
  folder.bucket = folder.parent = bucket;
  ++parent.nlink;
  COFFER_TRY(catalog_.set_number("next_inode", number + 1));
  COFFER_TRY(catalog_.set_number("inodes", count + 1));
  COFFER_TRY(catalog_.insert_inode(folder));
  COFFER_TRY(catalog_.insert_name(bucket, kLostAndFound, folder.ino, FileKind::kDirectory));
  COFFER_TRY(catalog_.update_inode(parent));
  return folder;
}

Result<std::string> Quarantine::free_name(InodeNumber folder, std::string_view name, InodeNumber ino) {
  for (std::uint32_t number = 0; number <= kLinksMax; ++number) {
    const auto suffix = suffix_of(ino) + (number == 0 ? "" : suffix_of(number));
    const auto candidate = std::string(name.substr(0, kNameSizeMax - suffix.size())) + suffix;
    const auto taken = catalog_.find_name(folder, candidate);
    if (taken.ok()) continue;
    if (taken.code() != Code::kNotFound) return taken.error();
    return candidate;
  }
  return Error{Code::kLimit, "lost+found has no name left for it"};
}

Status Quarantine::take(Inode inode, std::int64_t now_ns) {
  COFFER_ASSIGN(const auto names, catalog_.names_of(inode.ino));
  COFFER_TRY(catalog_.database().reserve(kQuarantinePages + kPagesPerName * static_cast<std::uint32_t>(names.size())));
  Catalog::Savepoint savepoint(catalog_);
  COFFER_ASSIGN(const auto folder, folder_of(inode.bucket, now_ns));
  for (const auto& [parent, name] : names) {
    COFFER_ASSIGN(const auto fresh, free_name(folder.ino, name, inode.ino));
    COFFER_TRY(catalog_.remove_name(parent, name));
    COFFER_TRY(catalog_.insert_name(folder.ino, fresh, inode.ino, inode.kind));
  }
  inode.parent = folder.ino;
  COFFER_TRY(catalog_.update_inode(inode));
  return savepoint.keep();
}

Status Quarantine::adopt(Inode inode, std::int64_t now_ns) {
  COFFER_ASSIGN(const auto names, catalog_.names_of(inode.ino));
  COFFER_TRY(catalog_.database().reserve(kQuarantinePages + kPagesPerName * static_cast<std::uint32_t>(names.size())));
  Catalog::Savepoint savepoint(catalog_);
  COFFER_TRY(catalog_.bucket(inode.bucket));
  COFFER_ASSIGN(auto folder, folder_of(inode.bucket, now_ns));
  for (const auto& [parent, name] : names) COFFER_TRY(catalog_.remove_name(parent, name));
  COFFER_ASSIGN(const auto fresh, free_name(folder.ino, "unnamed", inode.ino));
  COFFER_TRY(catalog_.insert_name(folder.ino, fresh, inode.ino, inode.kind));
  inode.parent = folder.ino;
  if (inode.kind == FileKind::kDirectory) {
    ++folder.nlink;
    COFFER_TRY(catalog_.update_inode(folder));
  } else {
    inode.nlink = 1;
  }
  COFFER_TRY(catalog_.update_inode(inode));
  return savepoint.keep();
}

}  // namespace coffer
