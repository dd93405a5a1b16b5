#include "admin/report_json.h"

#include "base/clock.h"

namespace coffer {
namespace {

using Json = nlohmann::ordered_json;

Json lines(const std::vector<Damage>& places) {
  Json list = Json::array();
  for (const auto& one : places) {
    list.push_back({{"object", one.object},
                    {"what", one.what},
                    {"repaired", one.repaired.empty() ? Json(nullptr) : Json(one.repaired)}});
  }
  return list;
}

}  // namespace

Json report_json(const CheckReport& report) {
  Json lost = Json::array();
  for (const auto& file : report.lost)
    lost.push_back({{"data_file", file.name}, {"object", file.object}, {"size", file.size}});
  Json restored = nullptr;
  if (report.restored) {
    restored = {{"commit_counter", report.restored->commit_counter}, {"made", report.restored->made_ns / kNsPerSecond}};
  }
  return {{"objects", report.objects},
          {"chunks", report.chunks},
          {"data_files", report.data_files},
          {"orphans", report.orphans},
          {"orphans_removed", report.orphans_removed},
          {"objects_unreadable", report.objects_unreadable},
          {"damage", lines(report.damage)},
          {"second_copies", lines(report.second_copies)},
          {"quarantined", report.quarantined},
          {"lost", lost},
          {"restored", restored}};
}

}  // namespace coffer
