#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/limits.h"
#include "base/names.h"
#include "base/result.h"
#include "store/unlock_source.h"

namespace coffer {

// What cofferd was asked for.
struct DaemonOptions {
  std::string store, dir;  // as written
  bool foreground = false;
  UnlockFlags unlock;
  std::optional<std::string> admin_socket;
  std::optional<std::uint16_t> listen_port;  // on 127.0.0.1
  std::uint64_t min_commit = 0;
  struct ExternalKms {
    std::optional<std::string> endpoint, credentials_file, ca_file;
  } kms;

  // Out of -o:
  std::vector<std::string> mount_options;  // for libfuse, one each, escapes kept
  std::optional<Principal> principal;      // whose keys the mount uses; else the account's root
  std::optional<std::string> uid_map;      // a file: whose keys each user of the machine uses
  std::uint32_t poll_us = 0;
  std::uint64_t audit_files = kAuditFilesKept;  // of the audit trail, before the oldest goes
  bool block_sse_c = false;  // in buckets made from now on (GBE-02)
};

struct HelpText {
  std::string text;  // --help or --version
};

// --ready-fd N: where one line is expected, READY or why the mount is not usable (starter.h). Found even where the rest
// of the command line is wrong, for that is one of the reasons.
std::optional<int> find_ready_fd(int argc, const char* const* argv);

// Checked for form, not yet for sense. kInvalidArgument.
Result<std::variant<DaemonOptions, HelpText>> parse_command_line(int argc, const char* const* argv);

}  // namespace coffer
