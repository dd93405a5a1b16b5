#include "daemon/service.h"

#include <sys/socket.h>
#include <syslog.h>

#include <cstdio>
#include <cstdlib>

#ifdef COFFER_SYSTEMD
#include <systemd/sd-daemon.h>
#include <systemd/sd-journal.h>
#endif

namespace coffer::service {
namespace {

int priority_of(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug: return LOG_DEBUG;
    case LogLevel::kInfo: return LOG_INFO;
    case LogLevel::kWarning: return LOG_WARNING;
    case LogLevel::kError: return LOG_ERR;
  }
  return LOG_ERR;
}

const char* name_of(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug: return "debug";
    case LogLevel::kInfo: return "info";
    case LogLevel::kWarning: return "warning";
    case LogLevel::kError: return "error";
  }
  return "error";
}

void to_stderr(LogLevel level, std::string_view line) {
  // One call per line: lines of several threads do not mix.
  std::fprintf(stderr, "cofferd: %s: %.*s\n", name_of(level), static_cast<int>(line.size()), line.data());
}

void to_journal(LogLevel level, std::string_view line) {
#ifdef COFFER_SYSTEMD
  sd_journal_print(priority_of(level), "%.*s", static_cast<int>(line.size()), line.data());
#else
  syslog(LOG_DAEMON | priority_of(level), "%.*s", static_cast<int>(line.size()), line.data());
#endif
}

}  // namespace

Log make_log(LogTo destination) {
  const auto write = destination == LogTo::kStderr ? to_stderr : to_journal;
  return [write](LogLevel level, std::string_view line) {
    if (level != LogLevel::kDebug) write(level, line);
  };
}

LogTo log_destination(bool foreground, bool has_starter) {
  const bool started_by_systemd = std::getenv("JOURNAL_STREAM") != nullptr;
  return !foreground && (has_starter || started_by_systemd) ? LogTo::kJournal : LogTo::kStderr;
}

#ifdef COFFER_SYSTEMD

void notify_ready(std::string_view status) {
  sd_notifyf(/*unset_environment=*/0, "READY=1\nSTATUS=%.*s", static_cast<int>(status.size()), status.data());
}

void notify_stopping() { sd_notify(/*unset_environment=*/0, "STOPPING=1"); }

std::vector<int> listening_sockets() {
  std::vector<int> out;
  const int count = sd_listen_fds(/*unset_environment=*/1);
  for (int fd = SD_LISTEN_FDS_START; fd < SD_LISTEN_FDS_START + count; ++fd) {
    if (sd_is_socket_unix(fd, SOCK_STREAM, /*listening=*/1, nullptr, 0) > 0) out.push_back(fd);
  }
  return out;
}

#else

void notify_ready(std::string_view) {}
void notify_stopping() {}
std::vector<int> listening_sockets() { return {}; }

#endif

}  // namespace coffer::service
