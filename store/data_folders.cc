#include "store/data_folders.h"

#include "store/chunk_map.h"

namespace coffer {

Status make_data_folders(Disk& disk) {
  COFFER_TRY(disk.make_folder(kDataFolder));
  for (std::uint64_t number = 0; number < kDataFileFolders; ++number) COFFER_TRY(disk.make_folder(data_file_folder(number)));
  return {};
}

}  // namespace coffer
