#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/names.h"
#include "base/sse_rule.h"

namespace coffer {

using InodeNumber = std::uint64_t;  // never reused; at most 2^39
inline constexpr InodeNumber kRootInode = 1;

enum class FileKind : std::uint8_t { kFile = 1, kDirectory = 2, kSymlink = 3, kFifo = 4, kSocket = 5, kCharDevice = 6, kBlockDevice = 7 };

// What stat(2) tells, and which bucket an inode is in.
struct Inode {
  InodeNumber ino = 0;
  FileKind kind = FileKind::kFile;
  std::uint32_t mode = 0;  // permission bits, 07777
  std::uint32_t uid = 0, gid = 0;
  std::uint32_t nlink = 0;
  std::uint64_t size = 0;
  std::uint64_t allocated = 0;  // bytes of chunks that are not holes; st_blocks * 512
  std::uint64_t rdev = 0;
  std::int64_t atime_ns = 0, mtime_ns = 0, ctime_ns = 0;  // wall clock
  InodeNumber bucket = 0;  // the bucket's directory; 0 for the root itself
  InodeNumber parent = 0;  // of directories; else the directory it was last named in (for inspect and second copies)
};

struct DirectoryEntry {
  std::uint64_t cookie = 0;  // where readdir goes on: entries with a greater one; never 0
  std::string name;
  InodeNumber ino = 0;
  FileKind kind = FileKind::kFile;
};

struct Bucket {
  InodeNumber ino = 0;
  BucketName name;
  AccountId owner;
  std::int64_t created_ns = 0;
  SseRule rule;
  std::uint64_t rule_version = 0;  // grows with each change of the rule; objects remember the one they were sealed under
  std::optional<std::string> pinned_key = {};  // of a directory bucket: the ARN of the only KMS key it may ever have
};

}  // namespace coffer
