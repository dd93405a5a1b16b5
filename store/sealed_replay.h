#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "store/sealed_vfs.h"

namespace coffer {

// Three empty files. The first begin_generation() makes them a database.
Result<std::unique_ptr<SealedFiles>> create_sealed_files(Disk& disk, const KeySchedule& keys, const AeadSuite& suite,
                                                         std::string_view boot_id);

// The files as the last process left them, brought to the last commit that may be used: every page of the log goes to
// coffer.db, and a new generation begins under this boot id. A crash on the way changes nothing but how much is left to
// do. kDamaged, naming the file, when something does not authenticate or is missing.
Result<std::unique_ptr<SealedFiles>> open_sealed_files(Disk& disk, const KeySchedule& keys, const AeadSuite& suite,
                                                       std::string_view boot_id);

// Pages of coffer.db that are not the ones the page tags name, and that coffer.copy has: put back exactly, and synced.
// Which they were. A page the copy has not stays damaged. kDamaged: the tags or the log are not whole enough to tell.
Result<std::vector<std::uint32_t>> heal_sealed_pages(Disk& disk, const KeySchedule& keys, const AeadSuite& suite);

}  // namespace coffer
