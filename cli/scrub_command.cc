#include <poll.h>

#include "base/exit_code.h"
#include "base/limits.h"
#include "cli/check_report.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "cli/progress.h"

namespace coffer {
namespace {

Result<Json> wait_for_report(ApiClient& client, Console& console) {
  const SystemClock clock;
  Progress progress(console, clock, "scrubbing:");
  while (true) {
    COFFER_ASSIGN(const Json status, client.coffer("ScrubReport"));
    if (const auto failure = text_at(status, "failure"); !failure.empty()) {
      return Error{Code::kIo, "the scrub ended before its end: " + failure + ": run it again, it goes on there"};
    }
    if (!truth_at(status, "running")) return member_at(status, "report");
    progress.show(number_at(status, "done"), number_at(status, "total"));
    ::poll(nullptr, 0, static_cast<int>(kResealPollMs));
  }
}

}  // namespace

Result<int> run_command(const ScrubOptions& options, Console& console) {
  COFFER_ASSIGN(const auto table, read_mountinfo());
  COFFER_ASSIGN(const MountPoint mount, coffer_mount_at(table, clean_path(options.dir)));
  COFFER_ASSIGN(ApiClient client, connect(mount, options.endpoint));
  Json input = {{"restart", options.restart}};
  if (options.rate_mib) input["rate"] = *options.rate_mib;
  COFFER_TRY(client.coffer("Scrub", input));
  COFFER_ASSIGN(const Json report, wait_for_report(client, console));
  if (options.json) {
    print_json(console.out, report);
  } else {
    print_check(report, console);
  }
  const auto left = damage_left(report);
  if (left == 0) return kExitDone;
  return Error{Code::kDamaged, std::to_string(left) + " damaged places in " + mount.source + ": unmount it and run `coffer fsck " +
                                   mount.source + " --repair`, or bring them back from a backup"};
}

}  // namespace coffer
