#include "daemon/fuse_shell.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <future>
#include <utility>

#include "base/external_kms_limits.h"
#include "daemon/fuse_state.h"
#include "daemon/fuse_unmount.h"

namespace coffer {
namespace {

void want_if_offered(fuse_conn_info* connection, unsigned capability) {
  if ((connection->capable & capability) != 0) connection->want |= capability;
}

// The option is the kernel's; libfuse wants to hear it here as well.
std::uint32_t max_read(const std::vector<std::string>& mount_options) {
  constexpr std::string_view kName = "max_read=";
  std::uint32_t size = 0;
  for (const std::string& option : mount_options)
    if (option.starts_with(kName)) std::from_chars(option.data() + kName.size(), option.data() + option.size(), size);
  return size;
}

void init(void* state, fuse_conn_info* connection) {
  connection->max_read = max_read(static_cast<FuseShell::State*>(state)->options.mount_options);
  connection->want &= ~(FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE);
  // This program is the only writer: pages stay until it says otherwise.
  connection->want &= ~FUSE_CAP_AUTO_INVAL_DATA;
  want_if_offered(connection, FUSE_CAP_EXPLICIT_INVAL_DATA);
  want_if_offered(connection, FUSE_CAP_WRITEBACK_CACHE);
  want_if_offered(connection, FUSE_CAP_CACHE_SYMLINKS);
  want_if_offered(connection, FUSE_CAP_POSIX_ACL);
  want_if_offered(connection, FUSE_CAP_DONT_MASK);
  want_if_offered(connection, FUSE_CAP_NO_OPENDIR_SUPPORT);
  connection->max_background = kFuseBackgroundMax;
}

ssize_t hook_send(int fd, iovec* message, int count, void* state) {
  return static_cast<FuseShell::State*>(state)->device.send(fd, message, count);
}

ssize_t hook_receive(int fd, void* into, size_t size, void* state) {
  return static_cast<FuseShell::State*>(state)->device.receive(fd, into, size);
}

fuse_lowlevel_ops handlers() {
  fuse_lowlevel_ops table = {};
  table.init = init;
  add_name_handlers(table);
  add_node_handlers(table);
  add_content_handlers(table);
  add_directory_handlers(table);
  add_xattr_handlers(table);
  return table;
}

// A comma or backslash within one option's value, as libfuse reads options.
std::string escaped(const std::string& value) {
  std::string out;
  for (const char c : value) {
    if (c == ',' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

// Of a thread that serves, its turn at the device.
thread_local ReceivingTurn::Holder* turn = nullptr;

// libfuse says what it refuses to a log of its own, in pieces; mounting reads it.
thread_local std::string libfuse_said;

void hear_libfuse(fuse_log_level, const char* format, va_list values) {
  char piece[512];
  vsnprintf(piece, sizeof(piece), format, values);
  libfuse_said.append(piece);
}

// In one line, without the name it gives itself.
std::string what_libfuse_said() {
  std::string line = std::exchange(libfuse_said, "");
  std::replace(line.begin(), line.end(), '\n', ' ');
  while (line.ends_with(' ')) line.pop_back();
  return line.starts_with("fuse: ") ? line.substr(6) : line;
}

}  // namespace

FuseShell::State::State(Store& store_in, const Clock& clock_in, Options options_in, Log log_in)
    : store(store_in),
      clock(clock_in),
      options(std::move(options_in)),
      access_times(AccessTimePolicy::of(options.mount_options)),
      log(std::move(log_in)),
      uid(getuid()),
      gid(getgid()),
      device(options.poll_us),
      ended_fd(eventfd(0, EFD_CLOEXEC)) {
  assert(ended_fd >= 0);
}

FuseShell::State::~State() {
  if (session != nullptr) {
    // Only where nothing is mounted any more: libfuse would unmount whatever lies there by now.
    pollfd device_state = {fuse_session_fd(session), 0, 0};
    if (poll(&device_state, 1, /*timeout=*/0) > 0 && (device_state.revents & POLLERR) != 0)
      fuse_session_unmount(session);
    fuse_session_destroy(session);  // closes the device: what still waits there fails
  }
  ::close(ended_fd);
}

FuseShell::FuseShell(std::unique_ptr<State> state) : state_(std::move(state)) {}
FuseShell::~FuseShell() {
  unmount();
  stop();
}

Result<std::unique_ptr<FuseShell>> FuseShell::mount(Store& store, const Clock& clock, const Options& options, Log log) {
  auto state = std::make_unique<State>(store, clock, options, std::move(log));
  fuse_set_log_func(hear_libfuse);

  fuse_args arguments = FUSE_ARGS_INIT(0, nullptr);
  fuse_opt_add_arg(&arguments, "cofferd");
  const auto add = [&](const std::string& option) { fuse_opt_add_arg(&arguments, ("-o" + option).c_str()); };
  add("default_permissions");
  add("subtype=coffer");
  add("fsname=" + escaped(options.store));
  for (const std::string& option : options.mount_options) {
    if (!is_only_an_access_time_option(option)) add(option);
  }

  const fuse_lowlevel_ops table = handlers();
  state->session = fuse_session_new(&arguments, &table, sizeof(table), state.get());
  fuse_opt_free_args(&arguments);
  if (state->session == nullptr) {
    return Error{Code::kInvalidArgument, "libfuse refuses the mount options: " + what_libfuse_said()};
  }
  if (fuse_session_mount(state->session, options.dir.c_str()) != 0) {
    return Error{Code::kIo, "cannot mount on " + options.dir + ": " + what_libfuse_said()};
  }
  const int fd = fuse_session_fd(state->session);
  const fuse_custom_io hooks = {
      .writev = hook_send, .read = hook_receive, .splice_receive = nullptr, .splice_send = nullptr};
  if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) != 0 ||
      fuse_session_custom_io(state->session, &hooks, fd) != 0) {
    fuse_session_unmount(state->session);
    return Error{Code::kIo, "cannot set up the mount on " + options.dir};
  }
  return std::unique_ptr<FuseShell>(new FuseShell(std::move(state)));
}

Status FuseShell::start() {
  COFFER_TRY(state_->greet());
  state_->notifier = std::make_unique<ErrandThread>();
  const unsigned processors = std::max(1U, std::thread::hardware_concurrency());
  const int workers = static_cast<int>(std::clamp(processors + 1, kFuseWorkersMin, kFuseWorkersMax));
  const std::lock_guard lock(state_->workers_mutex);
  state_->workers_wanted = workers;
  for (int i = 0; i < workers; ++i) state_->add_worker_locked();
  return {};
}

int FuseShell::ended_fd() const { return state_->ended_fd; }

// INIT comes first and alone. What libfuse does not accept of it ends the session: here, and not once somebody relies on it.
Status FuseShell::State::greet() {
  fuse_buf request = {};
  int size = 0;
  do {
    size = fuse_session_receive_buf(session, &request);
  } while (size == -EINTR || size == -EAGAIN);
  if (size > 0) fuse_session_process_buf(session, &request);
  std::free(request.mem);
  if (size > 0 && fuse_session_exited(session) == 0) return {};
  unmount_dir(options.dir, /*lazily=*/true);
  return Error{Code::kInvalidArgument, "kernel and libfuse do not agree on this mount: " + what_libfuse_said()};
}

void FuseShell::State::add_worker_locked() {
  for (std::thread& gone : workers_gone) gone.join();  // they want nothing any more that this thread has
  workers_gone.clear();
  ++workers_left;
  workers.emplace_back([this] { serve(); });
}

// Whoever came for one that waited goes when that is back.
bool FuseShell::State::leave_if_too_many() {
  const std::lock_guard lock(workers_mutex);
  if (workers_left - workers_waiting <= workers_wanted) return false;
  const auto self = std::find_if(workers.begin(), workers.end(),
                                 [](const std::thread& worker) { return worker.get_id() == std::this_thread::get_id(); });
  if (self == workers.end()) return false;
  workers_gone.push_back(std::move(*self));
  workers.erase(self);
  --workers_left;
  return true;
}

void FuseShell::State::join_workers() {
  while (true) {
    std::vector<std::thread> some;
    {
      const std::lock_guard lock(workers_mutex);
      some.swap(workers);
      std::move(workers_gone.begin(), workers_gone.end(), std::back_inserter(some));
      workers_gone.clear();
    }
    if (some.empty()) return;
    for (std::thread& worker : some) worker.join();
  }
}

Status FuseShell::State::Waits::begin() {
  const std::lock_guard lock(shell.workers_mutex);
  if (shell.workers_waiting >= static_cast<int>(kKeyWaitersMax))
    return Error{Code::kKmsAway, "too many requests wait for the external KMS"};
  ++shell.workers_waiting;
  turn->give();
  const bool too_few = shell.workers_left - shell.workers_waiting < shell.workers_wanted;
  if (too_few && fuse_session_exited(shell.session) == 0) shell.add_worker_locked();
  return {};
}

void FuseShell::State::Waits::end() {
  const std::lock_guard lock(shell.workers_mutex);
  --shell.workers_waiting;
}

// Short requests are served by the thread that received them, which keeps the device meanwhile: waking another thread
// costs more than they do, and more than most flushes do, which get it on loan. Long ones, those with others waiting
// behind, and those that wait for a key let another thread receive.
void FuseShell::State::serve() {
  fuse_buf request = {};
  ReceivingTurn::Holder holder(receiving);
  turn = &holder;
  std::uint32_t caller_before = 0;
  if (options.kms_may_be_slow) KeyWaits::tell_of_this_thread(&key_waits);
  while (fuse_session_exited(session) == 0) {
    holder.take();
    if (fuse_session_exited(session) != 0) break;
    const int size = fuse_session_receive_buf(session, &request);
    if (size == -EINTR && fuse_session_exited(session) == 0) continue;
    if (size <= 0) {
      if (size != -EINTR && size != -EAGAIN) fuse_session_exit(session);
      continue;
    }
    const BytesView bytes(static_cast<const std::uint8_t*>(request.mem), static_cast<std::size_t>(size));
    const std::uint32_t caller = fuse_wire::caller(bytes);
    if (holder.came_back() && caller != 0 && caller != caller_before && device.came_at_once()) holder.was_missed();
    caller_before = caller;
    const auto effort = fuse_wire::effort(bytes);
    const bool may_lend = effort == fuse_wire::Effort::kFlush && caller != 0;
    const bool crowded = device.crowded(fuse_session_fd(session), /*ask=*/may_lend);
    if (may_lend && !crowded)
      holder.lend();
    else if (effort != fuse_wire::Effort::kShort || crowded)
      holder.give();
    fuse_session_process_buf(session, &request);
    if (options.kms_may_be_slow && leave_if_too_many()) {
      std::free(request.mem);
      return;
    }
  }
  holder.give();
  std::free(request.mem);
  const std::lock_guard workers_lock(workers_mutex);
  if (--workers_left == 0) {
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(ended_fd, &one, sizeof(one));
  }
}

void FuseShell::unmount() {
  if (fuse_session_exited(state_->session) != 0) return;
  if (unmount_dir(state_->options.dir, /*lazily=*/!state_->notifier)) return;
  if (!state_->notifier) return;
  // In use: what its users have written so far is made requests first; what they write later is refused.
  drop_pages(state_->written_objects(), std::chrono::milliseconds(kWriteBackMs));
  if (!unmount_dir(state_->options.dir, /*lazily=*/true)) state_->log(LogLevel::kError, "cannot unmount");
  drop_pages(state_->written_objects(), std::chrono::milliseconds(kWriteBackMs));
  fuse_session_exit(state_->session);
  state_->device.wake();
}

void FuseShell::stop() {
  fuse_session_exit(state_->session);
  state_->device.wake();
  state_->join_workers();
  state_->notifier.reset();
}

void FuseShell::forget_name(InodeNumber directory, const std::string& name) {
  std::promise<void> done;
  state_->notifier->post([&] {
    fuse_lowlevel_notify_inval_entry(state_->session, directory, name.c_str(), name.size());
    fuse_lowlevel_notify_inval_inode(state_->session, directory, /*off=*/-1, /*len=*/0);
    done.set_value();
  });
  done.get_future().wait();
}

bool FuseShell::drop_pages(const std::vector<InodeNumber>& objects, std::chrono::milliseconds limit) {
  struct Errand {
    std::vector<InodeNumber> objects;
    std::atomic<bool> given_up = false;
    std::promise<void> done;
  };
  const auto errand = std::make_shared<Errand>();
  errand->objects = objects;
  state_->notifier->post([errand, session = state_->session] {
    for (const InodeNumber object : errand->objects) {
      if (errand->given_up) break;
      fuse_lowlevel_notify_inval_inode(session, object, /*off=*/0, /*len=*/0);
    }
    errand->done.set_value();
  });
  if (errand->done.get_future().wait_for(limit) == std::future_status::ready) return true;
  errand->given_up = true;
  return false;
}

}  // namespace coffer
