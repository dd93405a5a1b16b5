#pragma once

#include <cstdint>

namespace coffer {

// Folders of data files: objects/00 to objects/ff, as data_file_folder() (store/chunk_map.h) names them by number.
inline constexpr std::uint64_t kDataFileFolders = 256;

}  // namespace coffer
