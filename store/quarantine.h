#pragma once

#include <string>

#include "store/catalog.h"

namespace coffer {

inline constexpr std::string_view kLostAndFound = "lost+found";

// Where fsck puts objects of which not everything opens: lost+found of their bucket, as NAME.INO. Their chunks that open
// are read there as before. Everything with Catalog::mutex() held.
class Quarantine {
 public:
  explicit Quarantine(Catalog& catalog) : catalog_(catalog) {}

  Result<bool> holds(const Inode& inode);
  // All names of it move, in one savepoint. kExists: lost+found of the bucket is no directory.
  Status take(Inode inode, std::int64_t now_ns);
  // One without a name, or a directory in a loop of its own, gets a name there and no other. kNotFound: it is in no bucket.
  Status adopt(Inode inode, std::int64_t now_ns);

 private:
  Result<Inode> folder_of(InodeNumber bucket, std::int64_t now_ns);
  Result<std::string> free_name(InodeNumber folder, std::string_view name, InodeNumber ino);

  Catalog& catalog_;
};

}  // namespace coffer
