#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/kernel_cache.h"
#include "daemon/uid_map.h"
#include "store/store.h"

namespace coffer {

// The mount: libfuse's low-level requests, answered by Store's verbs. A node's id is its inode number; a handle holds
// nothing. Decides what is decided between kernel and Store: umask, set-group-id directories, access control lists,
// privileges that a write takes away. Serves with a few threads of its own.
class FuseShell final : public KernelCache {
 public:
  struct Options {
    std::string store, dir;                  // absolute; store is the mount's source
    std::vector<std::string> mount_options;  // for libfuse, one each, escaped as after -o
    std::uint32_t poll_us = 0;
    bool kms_may_be_slow = false;  // as one elsewhere is: for each thread that waits for it another one serves
    UidMap uids = {};  // whose keys each user of the machine uses; others the mount's principal's
  };

  // Mounts; requests wait until start(). kInvalidArgument for options libfuse does not know, kIo where mounting fails.
  static Result<std::unique_ptr<FuseShell>> mount(Store& store, const Clock& clock, const Options& options, Log log);
  ~FuseShell() override;  // unmounts and stops

  // Answers the kernel's first request, then serves. kInvalidArgument where the two do not agree: nothing is mounted then.
  Status start();
  int ended_fd() const;  // readable once nothing is mounted any more, whoever unmounted it
  // Writes back what the kernel holds dirty, then unmounts: lazily where the mount is in use.
  void unmount();
  void stop();  // ends serving: no request reaches the Store after it

  void forget_name(InodeNumber directory, const std::string& name) override;
  bool drop_pages(const std::vector<InodeNumber>& objects, std::chrono::milliseconds limit) override;

  struct State;

 private:
  explicit FuseShell(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace coffer
