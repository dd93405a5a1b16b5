#include "admin/report_json.h"
#include "base/exit_code.h"
#include "cli/check_report.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "cli/offline_store.h"
#include "cli/progress.h"
#include "store/fsck.h"

namespace coffer {
namespace {

// What was mended on the way to an open catalog stands before what the check finds.
Result<CheckReport> check_everything(const FsckOptions& options, Console& console, std::vector<Damage>& opening) {
  const SystemClock clock;
  COFFER_ASSIGN(const auto opened,
                open_offline(options.store, options.unlock, clock, options.repair ? &opening : nullptr));
  COFFER_ASSIGN(const Principal owner, owner_of(*opened));
  Progress progress(console, clock, "checking objects:");
  return fsck(*opened->catalog, opened->folder->disk(), *opened->keyring, owner,
              options.repair ? FsckMode::kRepair : FsckMode::kCheck, clock,
              [&](std::uint64_t done, std::uint64_t total) { progress.show(done, total); });
}

std::string what_helps(const FsckOptions& options) {
  if (!options.repair) return ": run `coffer fsck " + options.store + " --repair`, or bring it back from a backup";
  return ": copy out what still reads, and bring the rest back from a backup";
}

}  // namespace

Result<int> run_command(const FsckOptions& options, Console& console) {
  std::vector<Damage> opening;
  auto checked = check_everything(options, console, opening);
  if (!checked.ok() && checked.code() != Code::kDamaged) return std::move(checked).error();
  CheckReport report;  // damage that ends the check is still a report
  if (checked.ok()) {
    report = *std::move(checked);
  } else {
    report.damage.push_back({options.store, checked.error().message, ""});
  }
  report.damage.insert(report.damage.begin(), opening.begin(), opening.end());
  const Json printed = report_json(report);
  if (options.json) {
    print_json(console.out, printed);
  } else {
    print_check(printed, console);
  }
  if (!report.damage_remains()) return kExitDone;
  return Error{Code::kDamaged,
               std::to_string(report.damage.size()) + " damaged places in " + options.store + what_helps(options)};
}

}  // namespace coffer
