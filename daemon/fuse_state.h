#pragma once

#define FUSE_USE_VERSION 314
#include <fuse3/fuse_lowlevel.h>
#include <sys/stat.h>

#include <atomic>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_map>
#include <vector>

#include "daemon/access_times.h"
#include "daemon/errand_thread.h"
#include "daemon/error_number.h"
#include "daemon/fuse_device.h"
#include "daemon/fuse_shell.h"
#include "daemon/receiving_turn.h"
#include "store/key_waits.h"

// What the fuse_*.cc files share.
namespace coffer {

struct FuseShell::State {
  State(Store& store_in, const Clock& clock_in, Options options_in, Log log_in);
  ~State();

  // --- serving (fuse_shell.cc) ---
  Status greet();
  void serve();
  void add_worker_locked();
  bool leave_if_too_many();
  void join_workers();  // until there are none

  // --- whose keys (fuse_content.cc): decided at open and create, and kept with the handle ---
  Actor actor(fuse_req_t req) const { return options.uids.find(fuse_req_ctx(req)->uid); }
  Actor actor(const fuse_file_info* handle) const;
  void remember_actor(fuse_req_t req, fuse_file_info* handle) const;

  // --- handles open for writing (fuse_content.cc) ---
  void opened(InodeNumber ino, int flags);
  void closed(InodeNumber ino, int flags);
  bool open_for_writing(InodeNumber ino);
  std::vector<InodeNumber> written_objects();

  // --- attributes (fuse_nodes.cc) ---
  struct stat to_stat(const Inode& inode) const;
  fuse_entry_param to_entry(const Inode& inode) const;
  void accessed(InodeNumber ino, const std::optional<AccessTimes>& times);
  void drop_privileges(InodeNumber ino);  // set-user-id, set-group-id and file capabilities, as a write does

  Store& store;
  const Clock& clock;
  const Options options;
  const AccessTimePolicy access_times;
  const Log log;
  const uid_t uid;  // the mounter's: the root directory's owner
  const gid_t gid;

  FuseDevice device;
  fuse_session* session = nullptr;
  int ended_fd;

  ReceivingTurn receiving;  // from the device

  // Threads that serve. For each that waits for a key another one is there, so that a KMS that takes its time holds up
  // those alone who need it.
  struct Waits final : KeyWaits {
    explicit Waits(State& shell_in) : shell(shell_in) {}
    Status begin() override;
    void end() override;
    State& shell;
  };
  Waits key_waits{*this};
  std::mutex workers_mutex;  // guards all below
  std::vector<std::thread> workers, workers_gone;
  int workers_wanted = 0, workers_left = 0, workers_waiting = 0;

  std::mutex writers_mutex;  // guards writers
  std::unordered_map<InodeNumber, std::uint32_t> writers;

  std::unique_ptr<ErrandThread> notifier;  // tells the kernel, and serves no requests
};

void add_name_handlers(fuse_lowlevel_ops& table);
void add_node_handlers(fuse_lowlevel_ops& table);
void add_content_handlers(fuse_lowlevel_ops& table);
void add_directory_handlers(fuse_lowlevel_ops& table);
void add_xattr_handlers(fuse_lowlevel_ops& table);

// Handlers start here.
inline FuseShell::State& state_of(fuse_req_t req) { return *static_cast<FuseShell::State*>(fuse_req_userdata(req)); }

inline void reply_error(fuse_req_t req, const Error& error) { fuse_reply_err(req, error_number(error.code)); }
inline void reply_status(fuse_req_t req, const Status& status) {
  fuse_reply_err(req, status.ok() ? 0 : error_number(status.code()));
}

fuse_entry_param no_entry();             // a name that is not there, which the kernel may remember
std::uint32_t type_bits(FileKind kind);  // S_IFREG and so on

// The access control list of something whose mode becomes this, as chmod(2) changes it; none if it has none
// (fuse_xattrs.cc).
Result<std::optional<Bytes>> list_with_mode(Store& store, InodeNumber ino, std::uint32_t mode);

}  // namespace coffer
