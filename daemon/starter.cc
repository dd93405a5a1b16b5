#include "daemon/starter.h"

#include <unistd.h>

#include "base/limits.h"

namespace coffer {

Starter::~Starter() {
  if (fd_) ::close(*fd_);
}

void Starter::say(const std::string& line) {
  if (!fd_) return;
  std::string word = line.substr(0, kDaemonWordSizeMax - 1) + "\n";
  // One write below PIPE_BUF; a starter that has gone does not wait for it.
  [[maybe_unused]] const ssize_t written = ::write(*fd_, word.data(), word.size());
  ::close(*fd_);
  fd_.reset();
}

}  // namespace coffer
