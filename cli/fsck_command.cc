#include "store/fsck.h"

#include "base/exit_code.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "cli/offline_store.h"
#include "cli/progress.h"

namespace coffer {
namespace {

Result<FsckReport> check_everything(const FsckOptions& options, Console& console) {
  const SystemClock clock;
  COFFER_ASSIGN(const auto opened, open_offline(options.store, options.unlock, clock));
  COFFER_ASSIGN(const Principal owner, owner_of(*opened));
  Progress progress(console, clock, "checking objects:");
  return fsck(*opened->catalog, opened->folder->disk(), *opened->keyring, owner,
              [&](std::uint64_t done, std::uint64_t total) { progress.show(done, total); });
}

Json report_json(const FsckReport& report) {
  return {{"objects", report.objects},
          {"chunks", report.chunks},
          {"data_files", report.data_files},
          {"orphans", report.orphans},
          {"objects_unreadable", report.objects_unreadable},
          {"damage", report.damage}};
}

void print_report(const FsckReport& report, Console& console) {
  console.out << report.objects << " objects, " << report.chunks << " chunks, " << report.data_files << " data files";
  if (report.orphans > 0) console.out << ", " << report.orphans << " orphans (the next mount removes them)";
  console.out << '\n';
  if (report.objects_unreadable > 0) {
    console.out << report.objects_unreadable
                << " objects could not be read: their key is disabled, missing or denied\n";
  }
  for (const auto& line : report.damage) console.out << "damage: " << line << '\n';
  if (report.damage.empty()) console.out << "clean\n";
}

}  // namespace

Result<int> run_command(const FsckOptions& options, Console& console) {
  auto checked = check_everything(options, console);
  if (!checked.ok() && checked.code() != Code::kDamaged) return std::move(checked).error();
  FsckReport report;  // damage that ends the check is still a report
  if (checked.ok()) {
    report = *std::move(checked);
  } else {
    report.damage.push_back(checked.error().message);
  }
  if (options.json) {
    print_json(console.out, report_json(report));
  } else {
    print_report(report, console);
  }
  if (report.damage.empty()) return kExitDone;
  return Error{Code::kDamaged, std::to_string(report.damage.size()) + " damaged places in " + options.store +
                                   ": copy out what still reads, and bring the rest back from a backup"};
}

}  // namespace coffer
