#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "base/check_report.h"
#include "store/catalog.h"

namespace coffer {

// While it is there the catalog in place is a copy whose objects were not checked yet, and no mount may sweep what that
// catalog does not name.
inline constexpr std::string_view kRestoringName = "coffer.restoring";
// Behind the name of a data file that no catalog has a map for: no sweep takes it.
inline constexpr std::string_view kLostSuffix = ".lost";

// Opens the catalog of an unmounted store, mending what keeps it from being opened: pages that coffer.copy has as the page
// tags demand them are healed; a catalog that still does not open is set aside (*.damaged) and the copy put in place, with
// kRestoringName until finish_restoring(). A crash on the way leaves less to do for the next call.
// kDamaged: no copy can help. What was mended is told in `damage`.
Result<std::unique_ptr<Catalog>> open_catalog_repaired(Disk& disk, const KeySchedule& keys, const AeadSuite& suite,
                                                       std::string_view boot_id, std::vector<Damage>& damage);

bool is_restoring(Disk& disk);
// After the copy was put in place: data files it does not name are renamed with kLostSuffix, numbers given out since are never given
// out again, and the catalog remembers of when it is.
Status settle_restored(Catalog& catalog, Disk& disk, const KeySchedule& keys, const AeadSuite& suite);
Status finish_restoring(Disk& disk);

std::optional<std::uint64_t> lost_number(std::string_view name);  // of a name within its folder; none: it is no such file
Result<std::vector<LostFile>> list_lost(Disk& disk, const KeySchedule& keys, const AeadSuite& suite);

// Ends the open transaction durably, as one of the store's counted commits.
Status commit_repair(Catalog& catalog);

}  // namespace coffer
