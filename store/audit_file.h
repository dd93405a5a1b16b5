#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "crypto/aead_suite.h"
#include "crypto/key_schedule.h"
#include "store/disk.h"

namespace coffer {

inline constexpr std::string_view kAuditFolder = "audit";
using AuditChain = std::array<std::uint8_t, 48>;

// A place between two frames of the audit trail, and what all frames before it come to.
struct AuditPlace {
  std::uint64_t file = 0;    // 0: before the first file
  std::uint64_t offset = 0;  // of the next frame
  std::uint64_t records = 0, missing = 0, cuts = 0;
  AuditChain chain{};
  bool operator==(const AuditPlace&) const = default;
};

struct AuditFrame {
  enum class Kind : std::uint8_t { kBegin = 1, kRecords = 2 };
  Kind kind = Kind::kRecords;
  std::uint64_t records_before = 0, missing = 0, cuts = 0;
  std::int64_t time_ns = 0;          // kBegin
  AuditChain chain_before{};         // kBegin: after the last frame of the file before
  std::vector<std::string> records;  // kRecords
};

// How much of a frame a record takes beside its own bytes, and what one frame holds at most.
inline constexpr std::size_t kAuditRecordHead = 4;
inline constexpr std::size_t kAuditFrameRecordsMax = 1 << 20;

// One file of the audit trail: frames, sealed and chained (docs/FORMAT.md section 12). Not thread-safe.
class AuditFile {
 public:
  // A new one, with its head and nothing else, not synced; kExists never: an old one of this number is written over.
  static Result<AuditFile> create(Disk& disk, const KeySchedule& keys, const AeadSuite& suite, std::uint64_t number);
  // kNotFound; kDamaged where the root key opens neither place of the head.
  static Result<AuditFile> open(Disk& disk, const KeySchedule& keys, const AeadSuite& suite, std::uint64_t number);

  std::uint64_t number() const { return number_; }
  AuditPlace begin() const;  // before the first frame, which says what is before it
  // The frame at `place`, which moves behind it. Nothing where the frames end: at the file's end, or at zeros. kDamaged
  // for whatever else is no frame that follows there; `place` is as before then.
  Result<std::optional<AuditFrame>> read(AuditPlace& place);
  // Behind the last frame, which `place` stands after; it moves on. All or an error, and then what was written is no
  // frame.
  Status write(AuditPlace& place, const AuditFrame& frame);
  // Whether anything but zeros stands at or behind this place.
  Result<bool> has_rest(std::uint64_t offset);
  Status cut(std::uint64_t offset);  // what stands behind it goes
  Status sync();

  bool was_moved() const { return moved_ > 0; }  // under another root before: gets no more frames
  // The key once more, under another root, into the place that does not count. Durable.
  Status wrap_for(const KeySchedule& next);
  // A place that another root opened, or none, is overwritten. Durable where there was something.
  Status forget_other_roots();

 private:
  AuditFile(std::unique_ptr<DiskFile> file, const KeySchedule& keys, const AeadSuite& suite, std::uint64_t number,
            Key key, std::uint8_t slot, std::uint8_t moved);
  Bytes frame_aad(const AuditChain& chain, std::uint32_t size) const;

  std::unique_ptr<DiskFile> file_;
  StoreId store_;
  const AeadSuite* suite_;
  std::uint64_t number_;
  Key key_;
  std::unique_ptr<Aead> cipher_;
  std::uint8_t slot_, moved_;
};

std::string audit_file_name(std::uint64_t number);
// Numbers of the files that are there, ascending; none where the folder is missing.
Result<std::vector<std::uint64_t>> audit_files(Disk& disk);

// For another root key (store/root_rekey.h): every file's key is wrapped under it as well. A file that does not open is
// left as it is: nobody reads it before or after.
Status wrap_audit_keys(Disk& disk, const AeadSuite& suite, const KeySchedule& keys, const KeySchedule& next);

}  // namespace coffer
