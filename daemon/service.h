#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"

namespace coffer {

// The service manager's side of a daemon (sd_notify(3), sd_listen_fds(3), the journal). Built without libsystemd, or
// run without systemd, nobody is told, nothing is handed over, and logs go to syslog(3).
namespace service {

enum class LogTo { kStderr, kJournal };
Log make_log(LogTo destination);

// The journal, where somebody else started this process and nobody reads its stderr.
LogTo log_destination(bool foreground, bool has_starter);

void notify_ready(std::string_view status);
void notify_stopping();

// The listening Unix stream sockets that were handed over, for this process alone.
std::vector<int> listening_sockets();

}  // namespace service
}  // namespace coffer
