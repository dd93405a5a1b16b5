#include "cli/check_report.h"

namespace coffer {
namespace {

std::string line(const Json& place) {
  const auto repaired = text_at(place, "repaired");
  return text_at(place, "object") + ": " + text_at(place, "what") + (repaired.empty() ? "" : " (" + repaired + ")");
}

}  // namespace

void print_check(const Json& report, Console& console) {
  auto& out = console.out;
  out << number_at(report, "objects") << " objects, " << number_at(report, "chunks") << " chunks, "
      << number_at(report, "data_files") << " data files";
  if (const auto removed = number_at(report, "orphans_removed"); removed > 0) {
    out << ", " << removed << " data files of nobody removed";
  } else if (const auto orphans = number_at(report, "orphans"); orphans > 0) {
    out << ", " << orphans << " data files of nobody (coffer fsck --repair removes them)";
  }
  out << '\n';
  if (const auto unreadable = number_at(report, "objects_unreadable"); unreadable > 0)
    out << unreadable << " objects could not be read: their key is disabled, missing or denied\n";
  for (const auto& one : member_at(report, "damage")) out << "damage: " << line(one) << '\n';
  for (const auto& one : member_at(report, "second_copies")) out << "second copy: " << line(one) << '\n';
  for (const auto& object : member_at(report, "quarantined")) {
    out << "quarantined earlier: " << (object.is_string() ? object.get<std::string>() : "")
        << ": copy out what reads, and remove it\n";
  }
  for (const auto& file : member_at(report, "lost")) {
    out << "lost: " << text_at(file, "object") << " (kept as " << text_at(file, "data_file")
        << "): written after the catalog's copy; where its chunks are was only in the catalog that is lost, so it "
           "cannot be opened\n";
  }
  if (const auto& restored = member_at(report, "restored"); restored.is_object()) {
    out << "the catalog is a copy of commit " << number_at(restored, "commit_counter")
        << ", put in place by a repair: what is not written since may be older\n";
  }
  if (member_at(report, "damage").empty()) out << "clean\n";
}

std::size_t damage_left(const Json& report) {
  std::size_t left = 0;
  for (const auto& one : member_at(report, "damage")) left += text_at(one, "repaired").empty() ? 1 : 0;
  return left;
}

}  // namespace coffer
