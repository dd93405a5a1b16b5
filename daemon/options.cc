#include "daemon/options.h"

#include <CLI/CLI.hpp>
#include <charconv>
#include <thread>

#include "base/audit_limits.h"
#include "base/limits.h"
#include "daemon/uid_map.h"

namespace coffer {
namespace {

Error wrong_option(const std::string& message) { return {Code::kInvalidArgument, message}; }

// With one processor a poller would only keep the one it waits for from running.
std::uint32_t default_poll_us() { return std::thread::hardware_concurrency() > 1 ? kPollUsDefault : 0; }

template <class Number>
std::optional<Number> number(std::string_view text) {
  Number value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// At commas, unless a backslash stands before; libfuse takes the backslashes away.
std::vector<std::string> split_options(std::string_view text) {
  std::vector<std::string> out(1);
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == ',') {
      out.emplace_back();
      continue;
    }
    out.back() += text[i];
    if (text[i] == '\\' && i + 1 < text.size()) out.back() += text[++i];
  }
  return out;
}

Status take_mount_option(const std::string& option, DaemonOptions& options) {
  const auto equals = option.find('=');
  const std::string name = option.substr(0, equals);
  const std::string value = equals == std::string::npos ? "" : option.substr(equals + 1);
  if (option.empty()) return {};
  if (name == "principal") {
    auto principal = parse_principal(value);
    if (!principal.ok()) return wrong_option("-o principal=: " + principal.error().message);
    options.principal = *std::move(principal);
    return {};
  }
  if (name == "poll-us") {
    const auto micros = number<std::uint32_t>(value);
    if (!micros || *micros > kPollUsMax) {
      return wrong_option("-o poll-us= takes microseconds, 0 to " + std::to_string(kPollUsMax));
    }
    options.poll_us = *micros;
    return {};
  }
  if (name == "audit-files") {
    const auto files = number<std::uint64_t>(value);
    if (!files || *files < kAuditFilesMin || *files > kAuditFilesMax) {
      return wrong_option("-o audit-files= takes a number, " + std::to_string(kAuditFilesMin) + " to " +
                          std::to_string(kAuditFilesMax));
    }
    options.audit_files = *files;
    return {};
  }
  if (option == "block-sse-c") {
    options.block_sse_c = true;
    return {};
  }
  if (name == "uid-map") {
    if (value.empty()) return wrong_option("-o uid-map= takes a file: its lines are a user's number and an IAM ARN");
    options.uid_map = value;
    return {};
  }
  if (name == "fsname" || name == "subtype") return wrong_option("-o " + name + "= is the store's own: leave it out");
  options.mount_options.push_back(option);
  return {};
}

Status take_listen(const std::string& address, DaemonOptions& options) {
  constexpr std::string_view kLoopback = "127.0.0.1:";
  const auto port = address.starts_with(kLoopback)
                        ? number<std::uint16_t>(std::string_view(address).substr(kLoopback.size()))
                        : std::nullopt;
  if (!port || *port == 0) return wrong_option("--listen takes 127.0.0.1:PORT: other addresses are not served");
  options.listen_port = *port;
  return {};
}

// What the parser leaves as text.
struct Raw {
  std::vector<std::string> mount_options;
  std::string listen, min_commit;
  int ready_fd = -1;  // find_ready_fd reads it
};

void describe(CLI::App& app, DaemonOptions& options, Raw& raw) {
  app.add_option("STORE", options.store, "the store's folder")->required();
  app.add_option("DIR", options.dir, "where to mount it: an empty folder")->required();
  app.add_flag("-f", options.foreground, "log to stderr");
  app.add_option("-o", raw.mount_options,
                 "mount options: principal=ARN, uid-map=FILE, poll-us=N, audit-files=N, block-sse-c; the rest is libfuse's")
      ->type_name("OPT,OPT...")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  auto* passphrase = app.add_option("--passphrase-file", options.unlock.passphrase_file, "its first line unlocks");
  auto* key = app.add_option("--key-file", options.unlock.key_file, "its 32 bytes unlock")->excludes(passphrase);
  app.add_option("--recovery-file", options.unlock.recovery_file, "the recovery key written in it unlocks")
      ->excludes(passphrase)
      ->excludes(key);
  app.add_option("--admin-socket", options.admin_socket, "the admin socket; else STORE/admin.sock");
  app.add_option("--listen", raw.listen, "serve the admin socket on loopback TCP as well: 127.0.0.1:PORT");
  app.add_option("--min-commit", raw.min_commit, "refuse a store older than this commit counter");
  auto* kms = app.add_option("--kms-endpoint", options.kms.endpoint,
                             "a KMS elsewhere, for keys named by ARNs that the store's own KMS does not know: https://HOST")
                  ->type_name("URL");
  app.add_option("--kms-credentials-file", options.kms.credentials_file,
                 "the access key for it, as AWS's shared credentials file; else AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
      ->needs(kms);
  app.add_option("--kms-ca-file", options.kms.ca_file, "the authorities that its certificate is checked by; else the system's")
      ->needs(kms);
  app.add_option("--ready-fd", raw.ready_fd, "descriptor for one line: READY, or why not")->group("");
  app.set_version_flag("--version", "cofferd " COFFER_VERSION);
}

Status make_sense(const Raw& raw, DaemonOptions& options) {
  if (!raw.listen.empty()) COFFER_TRY(take_listen(raw.listen, options));
  if (!raw.min_commit.empty()) {
    const auto counter = number<std::uint64_t>(raw.min_commit);
    if (!counter) return wrong_option("--min-commit takes a commit counter, as `coffer status` shows it");
    options.min_commit = *counter;
  }
  for (const std::string& list : raw.mount_options) {
    for (const std::string& option : split_options(list)) COFFER_TRY(take_mount_option(option, options));
  }
  return {};
}

}  // namespace

std::optional<int> find_ready_fd(int argc, const char* const* argv) {
  for (int i = 1; i + 1 < argc; ++i) {
    if (std::string_view(argv[i]) == "--ready-fd") return number<int>(argv[i + 1]);
  }
  return std::nullopt;
}

Result<std::variant<DaemonOptions, HelpText>> parse_command_line(int argc, const char* const* argv) {
  using Parsed = std::variant<DaemonOptions, HelpText>;
  DaemonOptions options;
  options.poll_us = default_poll_us();
  Raw raw;
  CLI::App app("Serves an encrypted store as a file system until it is unmounted or told to end.", "cofferd");
  describe(app, options, raw);
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    return Parsed(HelpText{app.help()});
  } catch (const CLI::CallForVersion&) {
    return Parsed(HelpText{app.version() + "\n"});
  } catch (const CLI::ParseError& error) {
    return wrong_option(std::string(error.what()) + ": see cofferd --help");
  }
  COFFER_TRY(make_sense(raw, options));
  return Parsed(std::move(options));
}

}  // namespace coffer
