#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "crypto/aead_suite.h"
#include "crypto/key_schedule.h"
#include "store/disk.h"
#include "store/page_tags.h"

namespace coffer {

using FrameTag = std::array<std::uint8_t, kTagSize>;

// What coffer.tags says of the two other files: the one place where a generation of the log gives way to the next.
struct Superblock {
  std::uint64_t sequence = 0;               // of the log's generation
  std::array<std::uint8_t, 32> log_salt{};  // its key's
  std::uint64_t frames_before = 0;          // in all generations before: where its commit points begin
  FrameTag digest{};                        // the tag of the last commit before it
  std::uint32_t database_pages = 0;         // of coffer.db, synced and whole when it began
  TagNode tags;                             // the root over their tags
};

// The beginning of coffer.tags (docs/FORMAT.md section 5): two slots, of which the newer that authenticates counts. The
// page tags follow. Not thread-safe.
class SuperblockFile {
 public:
  SuperblockFile(std::shared_ptr<DiskFile> file, const KeySchedule& keys, const AeadSuite& suite);

  Result<Superblock> read();  // kDamaged when neither slot authenticates

  // Durable when it returns. A power cut on the way leaves the old one or the new one. After a failure nobody can say
  // which of them is on the disk.
  Status write(const Superblock& next);

  // The other slot says the same, durably. It must before coffer.db or a node of its tags is written again: so no
  // single damage brings an older superblock back under newer pages.
  Status sync_copy();

 private:
  Result<Superblock> read_slot(unsigned slot);
  Status write_slot(unsigned slot, const Superblock& content);
  Bytes aad(unsigned slot) const;

  std::shared_ptr<DiskFile> file_;
  Key key_;
  StoreId store_;
  AeadSuite suite_;
  Superblock current_;
  unsigned newest_ = 1;  // the slot that holds current_ durably
  bool copy_written_ = false, copy_synced_ = false;
};

inline constexpr std::string_view kTagsName = "coffer.tags";

}  // namespace coffer
