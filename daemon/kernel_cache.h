#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "store/inode.h"

namespace coffer {

// What the kernel remembers of the mount. Called by threads that serve no file system request: the kernel may ask for
// more before it answers. Thread-safe.
class KernelCache {
 public:
  virtual ~KernelCache() = default;
  // The name, there or not, is looked up again; so are the directory's attributes.
  virtual void forget_name(InodeNumber directory, const std::string& name) = 0;
  // Writes back what is dirty of these objects, then drops their pages, mapped ones too. False: not done within
  // `limit`, the rest is given up.
  virtual bool drop_pages(const std::vector<InodeNumber>& objects, std::chrono::milliseconds limit) = 0;
};

}  // namespace coffer
