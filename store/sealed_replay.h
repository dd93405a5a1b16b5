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

// Pages of coffer.db that are not the ones the page tags name, and nodes of the page tags that are not the ones the nodes
// above them name, up to the superblock: where coffer.copy has exactly these they are put back, and synced. What the copy
// has not stays damaged. kDamaged: the superblock or the log are not whole enough to tell.
struct Healed {
  std::vector<std::uint32_t> pages;
  std::vector<std::uint64_t> tag_blocks;  // of coffer.tags
};
Result<Healed> heal_sealed_files(Disk& disk, const KeySchedule& keys, const AeadSuite& suite);

}  // namespace coffer
