#include "store/unlock_source.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include "base/descriptor.h"
#include "base/limits.h"
#include "crypto/recovery_key.h"

namespace coffer {
namespace {

// Reads until `into` is full or the input ends: a pipe gives what it has, not what was asked for.
Result<std::size_t> read_whole(int fd, MutableBytes into) {
  std::size_t have = 0;
  while (have < into.size()) {
    const auto got = ::read(fd, into.data() + have, into.size() - have);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Error{Code::kNoUnlock, std::strerror(errno)};
    if (got == 0) break;
    have += static_cast<std::size_t>(got);
  }
  return have;
}

Result<SecretBytes> read_at_most(const std::string& path, std::size_t size_max) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return Error{Code::kNoUnlock, "cannot read " + path + ": " + std::strerror(errno)};
  SecretBytes buffer(size_max);
  auto size = read_whole(file.get(), buffer.span());
  if (!size.ok()) return Error{Code::kNoUnlock, "cannot read " + path + ": " + size.error().message};
  return SecretBytes(buffer.view().first(*size));
}

// The first line of `text`, which ends at LF or CR LF or where the text ends.
Result<UnlockSecret> first_line(BytesView text, const std::string& place) {
  std::size_t size = 0;
  while (size < text.size() && text[size] != '\n') ++size;
  if (size > 0 && size < text.size() && text[size - 1] == '\r') --size;
  if (size == 0) return Error{Code::kWrongUnlock, place + " is empty: give a passphrase"};
  if (size > kPassphraseSizeMax) return Error{Code::kWrongUnlock, place + " is longer than a passphrase may be"};
  return UnlockSecret(Passphrase{SecretBytes(text.first(size))});
}

// A terminal with its echo off, for as long as this lives. Signals that would end the process wait meanwhile, so that
// none of them leaves the echo off.
class QuietTerminal {
 public:
  explicit QuietTerminal(int fd) : fd_(fd) {
    sigemptyset(&ending_);
    for (int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP}) sigaddset(&ending_, signal);
    sigprocmask(SIG_BLOCK, &ending_, &before_);
    if (tcgetattr(fd_, &loud_) != 0) return;
    termios quiet = loud_;
    quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    quiet.c_lflag |= ECHONL;
    changed_ = tcsetattr(fd_, TCSAFLUSH, &quiet) == 0;
  }
  ~QuietTerminal() {
    if (changed_) tcsetattr(fd_, TCSAFLUSH, &loud_);
    sigprocmask(SIG_SETMASK, &before_, nullptr);
  }
  QuietTerminal(const QuietTerminal&) = delete;
  QuietTerminal& operator=(const QuietTerminal&) = delete;

  bool quiet() const { return changed_; }
  // Whether there is a line to read, rather than a signal waiting to end us.
  bool wait_for_line() const {
    const Descriptor signals(::signalfd(-1, &ending_, SFD_CLOEXEC));
    if (signals.get() < 0) return false;
    pollfd inputs[] = {{fd_, POLLIN, 0}, {signals.get(), POLLIN, 0}};
    while (::poll(inputs, 2, -1) < 0) {
      if (errno != EINTR) return false;
    }
    return (inputs[1].revents & POLLIN) == 0;
  }

 private:
  int fd_;
  sigset_t ending_{}, before_{};
  termios loud_{};
  bool changed_ = false;
};

Result<SecretBytes> ask(const std::string& question, const char* instead) {
  SecretBytes line(kPassphraseSizeMax + 2);
  const QuietTerminal terminal(STDIN_FILENO);
  if (!terminal.quiet())
    return Error{Code::kNoUnlock, std::string("cannot turn off the terminal's echo: use ") + instead};
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, question.data(), question.size());
  if (!terminal.wait_for_line()) return Error{Code::kNoUnlock, "no passphrase was given"};
  const auto got = ::read(STDIN_FILENO, line.span().data(), line.size());
  if (got <= 0) return Error{Code::kNoUnlock, "no passphrase was given"};
  return SecretBytes(line.view().first(static_cast<std::size_t>(got)));
}

// A line that is a recovery key, its checksum says, is taken as one.
Result<UnlockSecret> prompt(const std::string& store) {
  COFFER_ASSIGN(const SecretBytes line, ask("Passphrase for " + store + ": ", "--passphrase-file"));
  if (auto recovery = parse_recovery_text(line.view()); recovery.ok())
    return UnlockSecret(KeyFile{*std::move(recovery)});
  return first_line(line.view(), "the passphrase");
}

bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

}  // namespace

Result<UnlockSecret> read_key_file(const std::string& path) {
  COFFER_ASSIGN(const SecretBytes bytes, read_at_most(path, Key::kSize + 1));
  if (bytes.size() != Key::kSize) return Error{Code::kWrongUnlock, path + " is no key file: it must hold 32 bytes"};
  return UnlockSecret(KeyFile{Key::copy_of(bytes.view())});
}

Result<UnlockSecret> read_passphrase_file(const std::string& path) {
  COFFER_ASSIGN(const SecretBytes bytes, read_at_most(path, kPassphraseSizeMax + 2));
  return first_line(bytes.view(), path);
}

Result<UnlockSecret> read_recovery_file(const std::string& path) {
  COFFER_ASSIGN(const SecretBytes bytes, read_at_most(path, kPassphraseSizeMax));
  auto key = parse_recovery_text(bytes.view());
  if (!key.ok()) return Error{key.code(), path + ": " + key.error().message};
  return UnlockSecret(KeyFile{*std::move(key)});
}

Result<UnlockSecret> ask_new_passphrase(const std::string& store) {
  constexpr const char* kInstead = "--new-passphrase-file, --new-key-file or --recovery";
  if (::isatty(STDIN_FILENO) != 1)
    return Error{Code::kNoUnlock, std::string("nothing new to unlock with was given: use ") + kInstead};
  COFFER_ASSIGN(const SecretBytes once, ask("New passphrase for " + store + ": ", kInstead));
  COFFER_ASSIGN(UnlockSecret first, first_line(once.view(), "the passphrase"));
  COFFER_ASSIGN(const SecretBytes again, ask("The same once more: ", kInstead));
  COFFER_ASSIGN(const UnlockSecret second, first_line(again.view(), "the passphrase"));
  if (!equal_constant_time(std::get<Passphrase>(first).text.view(), std::get<Passphrase>(second).text.view()))
    return Error{Code::kInvalidArgument, "the two passphrases differ: nothing was changed"};
  return first;
}

Result<UnlockSecret> find_unlock(const std::string& store, const UnlockFlags& flags) {
  if (!exists(store + "/keyslots.json")) {
    if (exists(store + "/objects")) {
      return Error{Code::kNoStore, "keyslots.json is missing from " + store +
                                       ": the key is in it alone, so put its newest copy back from a backup"};
    }
    return Error{Code::kNoStore, store + " holds no Coffer store: make one with `coffer init`"};
  }
  if (flags.passphrase_file) return read_passphrase_file(*flags.passphrase_file);
  if (flags.key_file) return read_key_file(*flags.key_file);
  if (flags.recovery_file) return read_recovery_file(*flags.recovery_file);
  if (exists(store + "/unlock.key")) return read_key_file(store + "/unlock.key");
  if (const char* folder = std::getenv("CREDENTIALS_DIRECTORY"); folder != nullptr) {
    const std::string path = std::string(folder) + "/coffer.key";
    if (exists(path)) return read_key_file(path);
  }
  if (::isatty(STDIN_FILENO) == 1) return prompt(store);
  return Error{Code::kNoUnlock, "nothing to unlock " + store + " with: give --key-file or --passphrase-file"};
}

}  // namespace coffer
