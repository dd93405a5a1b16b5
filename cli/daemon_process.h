#pragma once

#include "base/result.h"
#include "cli/console.h"
#include "cli/options.h"

namespace coffer {

// Starts cofferd in a session of its own, with none of the caller's descriptors, and returns when the mount is usable:
// 0. Otherwise cofferd's own exit code, its one line of error on console.err. The secret is found here, where the
// terminal is, and handed over a pipe.
Result<int> start_daemon(const MountOptions& options, Console& console);

// Becomes cofferd; returns only when that fails.
Error run_daemon_in_foreground(const MountOptions& options);

}  // namespace coffer
