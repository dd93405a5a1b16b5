#pragma once

#include <optional>
#include <string>

#include "crypto/aead_suite.h"
#include "crypto/key_schedule.h"
#include "store/disk.h"
#include "store/inode.h"

namespace coffer {

// What a data file says of the object it belongs to, as it was when this was written: enough to tell its owner which
// object it was, and under which envelopes, when the catalog is lost. A copy: nothing reads it while the catalog is whole.
struct FileHeader {
  std::uint64_t sequence = 0;  // the greater one is newer
  Inode inode;                 // ino, mode, uid, gid, size, times; bucket and parent as text, below
  std::string bucket, path;    // path: below the bucket; ends in '/' where the last part was not known
  bool path_cut = false;       // only the path's end is here
  std::uint64_t rule_version = 0, next_rule_version = 0;
  Bytes envelope;                      // encoded
  std::optional<Bytes> next_envelope;  // while the object is being resealed
};

// The first slot of data files (docs/FORMAT.md section 9): two halves, each sealed under a key of its own, written in
// turn. A torn write leaves the other half. Thread-safe.
class FileHeaders {
 public:
  FileHeaders(const KeySchedule& keys, const AeadSuite& suite);

  // Into the half that `header.sequence` asks for, which is not the one of the sequence before. Syncs nothing.
  // kLimit: the envelopes are larger than a half.
  Status write(DiskFile& file, std::uint64_t number, FileHeader header) const;
  // The newer half that authenticates; nothing where both are zeros or the file ends before them. kDamaged: there is
  // something, and none authenticates.
  Result<std::optional<FileHeader>> read(DiskFile& file, std::uint64_t number) const;

 private:
  Result<FileHeader> read_half(BytesView stored, std::uint64_t number, unsigned half) const;
  Key half_key(BytesView salt) const;
  Bytes aad(std::uint64_t number, unsigned half, std::size_t size) const;

  const Key key_;
  const StoreId store_;
  const AeadSuite suite_;
};

}  // namespace coffer
