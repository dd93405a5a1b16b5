#include "base/exit_code.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "cli/offline_store.h"
#include "cli/progress.h"
#include "store/fsck.h"

namespace coffer {
namespace {

constexpr std::int64_t kSecondNs = 1'000'000'000;

// What was mended on the way to an open catalog stands before what the check finds.
Result<FsckReport> check_everything(const FsckOptions& options, Console& console, std::vector<Damage>& opening) {
  const SystemClock clock;
  COFFER_ASSIGN(const auto opened,
                open_offline(options.store, options.unlock, clock, options.repair ? &opening : nullptr));
  COFFER_ASSIGN(const Principal owner, owner_of(*opened));
  Progress progress(console, clock, "checking objects:");
  return fsck(*opened->catalog, opened->folder->disk(), *opened->keyring, owner,
              options.repair ? FsckMode::kRepair : FsckMode::kCheck, clock,
              [&](std::uint64_t done, std::uint64_t total) { progress.show(done, total); });
}

Json report_json(const FsckReport& report) {
  Json damage = Json::array(), lost = Json::array();
  for (const auto& one : report.damage) {
    damage.push_back({{"object", one.object},
                      {"what", one.what},
                      {"repaired", one.repaired.empty() ? Json(nullptr) : Json(one.repaired)}});
  }
  for (const auto& file : report.lost)
    lost.push_back({{"data_file", file.name}, {"object", file.object}, {"size", file.size}});
  Json restored = nullptr;
  if (report.restored) {
    restored = {{"commit_counter", report.restored->commit_counter}, {"made", report.restored->made_ns / kSecondNs}};
  }
  return {{"objects", report.objects},
          {"chunks", report.chunks},
          {"data_files", report.data_files},
          {"orphans", report.orphans},
          {"orphans_removed", report.orphans_removed},
          {"objects_unreadable", report.objects_unreadable},
          {"damage", damage},
          {"quarantined", report.quarantined},
          {"lost", lost},
          {"restored", restored}};
}

void print_report(const FsckReport& report, Console& console) {
  console.out << report.objects << " objects, " << report.chunks << " chunks, " << report.data_files << " data files";
  if (report.orphans_removed > 0) {
    console.out << ", " << report.orphans_removed << " data files of nobody removed";
  } else if (report.orphans > 0) {
    console.out << ", " << report.orphans << " orphans (the next mount removes them)";
  }
  console.out << '\n';
  if (report.objects_unreadable > 0) {
    console.out << report.objects_unreadable
                << " objects could not be read: their key is disabled, missing or denied\n";
  }
  for (const auto& one : report.damage) console.out << "damage: " << one.line() << '\n';
  for (const auto& object : report.quarantined)
    console.out << "quarantined earlier: " << object << ": copy out what reads, and remove it\n";
  for (const auto& file : report.lost) {
    console.out
        << "lost: " << file.object << " (kept as " << file.name
        << "): written after the catalog's copy; where its chunks are was only in the catalog that is lost, so it "
           "cannot be opened\n";
  }
  if (report.restored) {
    console.out << "the catalog is a copy of commit " << report.restored->commit_counter
                << ", put in place by a repair: what is not written since may be older\n";
  }
  if (report.damage.empty()) console.out << "clean\n";
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
  FsckReport report;  // damage that ends the check is still a report
  if (checked.ok()) {
    report = *std::move(checked);
  } else {
    report.damage.push_back({options.store, checked.error().message, ""});
  }
  report.damage.insert(report.damage.begin(), opening.begin(), opening.end());
  if (options.json) {
    print_json(console.out, report_json(report));
  } else {
    print_report(report, console);
  }
  if (!report.damage_remains()) return kExitDone;
  return Error{Code::kDamaged,
               std::to_string(report.damage.size()) + " damaged places in " + options.store + what_helps(options)};
}

}  // namespace coffer
