#include "cli/daemon_process.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstring>

#include "base/clock.h"
#include "base/descriptor.h"
#include "base/exit_code.h"
#include "base/limits.h"
#include "cli/progress.h"

namespace coffer {
namespace {

// Where cofferd finds what it is handed.
constexpr int kReadyFd = 3;
constexpr int kSecretFd = 4;
constexpr std::string_view kDaemonReady = "READY";
constexpr int kAwakeMs = 200;  // between two looks at the clock, for the progress line

std::string folder_of_this_program() {
  std::array<char, PATH_MAX> path;
  const auto size = ::readlink("/proc/self/exe", path.data(), path.size());
  const std::string program(path.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
  return program.substr(0, program.rfind('/') + 1);
}

Result<std::string> find_daemon() {
  const std::string here = folder_of_this_program();
  for (const auto& path : {here + "cofferd", here + "../sbin/cofferd", std::string("/usr/sbin/cofferd")}) {
    if (::access(path.c_str(), X_OK) == 0) return path;
  }
  return Error{Code::kIo, "cofferd is neither beside this program nor in /usr/sbin: install it"};
}

struct Pipe {
  Descriptor read_end, write_end;
};

Result<Pipe> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0)
    return Error{Code::kIo, std::string("cannot make a pipe: ") + std::strerror(errno)};
  return Pipe{Descriptor(ends[0]), Descriptor(ends[1])};
}

// The secret as a pipe that holds what a key file or a passphrase file would, and the flag that says which.
struct HandedSecret {
  Descriptor pipe;
  std::string flag;
};

Result<HandedSecret> hand_over(const UnlockSecret& secret) {
  COFFER_ASSIGN(Pipe pipe, make_pipe());
  const auto* key_file = std::get_if<KeyFile>(&secret);
  const auto* passphrase = std::get_if<Passphrase>(&secret);
  const BytesView bytes = key_file != nullptr ? key_file->key.view() : passphrase->text.view();
  if (!write_whole(pipe.write_end.get(), bytes))  // far below PIPE_BUF: nobody has to read yet
    return Error{Code::kIo, "cannot hand the secret to cofferd: try again"};
  return HandedSecret{std::move(pipe.read_end), key_file != nullptr ? "--key-file" : "--passphrase-file"};
}

std::vector<char*> as_argv(std::vector<std::string>& arguments) {
  std::vector<char*> argv;
  for (auto& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  return argv;
}

std::vector<std::string> daemon_arguments(const std::string& daemon, const MountOptions& options) {
  std::vector<std::string> arguments = {daemon};
  arguments.insert(arguments.end(), options.daemon_flags.begin(), options.daemon_flags.end());
  return arguments;
}

void add_places(std::vector<std::string>& arguments, const MountOptions& options) {
  arguments.insert(arguments.end(), {"--", options.store, options.dir});
}

// In the child, between fork and exec: only calls that are safe there.
[[noreturn]] void become_daemon(char* const* argv, int ready, int secret) {
  ::setsid();
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  // Out of the way first: either may stand where the other goes.
  const int ready_high = ::fcntl(ready, F_DUPFD, 16);
  const int secret_high = ::fcntl(secret, F_DUPFD, 16);
  const int null = ::open("/dev/null", O_RDWR);
  for (int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) ::dup2(null, fd);
  ::dup2(ready_high, kReadyFd);
  ::dup2(secret_high, kSecretFd);
  ::close_range(kSecretFd + 1, ~0U, 0);
  ::execv(argv[0], argv);
  ::_exit(kExitFailed);
}

// What the daemon says of itself: one line, or nothing if it ended without a word.
std::string wait_for_word(int ready, Progress& progress) {
  std::string word;
  while (word.size() < kDaemonWordSizeMax && !word.ends_with('\n')) {
    pollfd readable{ready, POLLIN, 0};
    const int events = ::poll(&readable, 1, kAwakeMs);
    progress.show(0, 0);
    if (events == 0 || (events < 0 && errno == EINTR)) continue;
    std::array<char, 512> piece;
    const auto size = ::read(ready, piece.data(), piece.size());
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) break;
    word.append(piece.data(), static_cast<std::size_t>(size));
  }
  while (word.ends_with('\n')) word.pop_back();
  return word;
}

int end_of(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) && WEXITSTATUS(status) != kExitDone ? WEXITSTATUS(status) : kExitFailed;
}

}  // namespace

Result<int> start_daemon(const MountOptions& options, Console& console) {
  COFFER_ASSIGN(const UnlockSecret secret, find_unlock(options.store, options.unlock));
  COFFER_ASSIGN(const std::string daemon, find_daemon());
  COFFER_ASSIGN(HandedSecret handed, hand_over(secret));
  COFFER_ASSIGN(Pipe ready, make_pipe());
  auto arguments = daemon_arguments(daemon, options);
  arguments.insert(arguments.end(),
                   {handed.flag, "/dev/fd/" + std::to_string(kSecretFd), "--ready-fd", std::to_string(kReadyFd)});
  add_places(arguments, options);
  const auto argv = as_argv(arguments);

  const pid_t child = ::fork();
  if (child < 0) return Error{Code::kIo, std::string("cannot start cofferd: ") + std::strerror(errno)};
  if (child == 0) become_daemon(argv.data(), ready.write_end.get(), handed.pipe.get());
  ready.write_end.close();
  std::string word;
  {
    const SystemClock clock;
    Progress progress(console, clock, "mounting " + options.store);
    word = wait_for_word(ready.read_end.get(), progress);
  }
  if (word == kDaemonReady) return kExitDone;
  const int code = end_of(child);
  if (word.empty()) word = "cofferd ended before " + options.dir + " was usable: `coffer mount -f` shows its log";
  console.err << "coffer: " << word << std::endl;
  return code;
}

Error run_daemon_in_foreground(const MountOptions& options) {
  const auto daemon = find_daemon();
  if (!daemon.ok()) return daemon.error();
  auto arguments = daemon_arguments(*daemon, options);
  arguments.push_back("-f");
  if (options.unlock.passphrase_file) {
    arguments.insert(arguments.end(), {"--passphrase-file", *options.unlock.passphrase_file});
  }
  if (options.unlock.key_file) arguments.insert(arguments.end(), {"--key-file", *options.unlock.key_file});
  if (options.unlock.recovery_file) {
    arguments.insert(arguments.end(), {"--recovery-file", *options.unlock.recovery_file});
  }
  add_places(arguments, options);
  ::execv(daemon->c_str(), as_argv(arguments).data());
  return {Code::kIo, "cannot start " + *daemon + ": " + std::strerror(errno)};
}

}  // namespace coffer
