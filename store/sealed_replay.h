#pragma once

#include <memory>
#include <string_view>

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

}  // namespace coffer
