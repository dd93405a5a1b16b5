#pragma once

#include <cstdint>

#include "store/disk.h"

namespace coffer {

// Folders of data files: objects/00 to objects/ff, as data_file_folder() (store/chunk_map.h) names them by number.
inline constexpr const char* kDataFolder = "objects";
inline constexpr std::uint64_t kDataFileFolders = 256;

Status make_data_folders(Disk& disk);  // those that are missing; not synced

}  // namespace coffer
