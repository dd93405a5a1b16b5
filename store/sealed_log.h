#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/limits.h"
#include "crypto/aead_suite.h"
#include "crypto/key_schedule.h"
#include "store/disk.h"
#include "store/superblock.h"
#include "store/written_rows.h"

namespace coffer {

inline constexpr std::string_view kLogName = "coffer.db-wal";

// What a log left behind: the newest frame of every page it changed, up to the last commit that may be used.
struct LogReplay {
  std::map<std::uint32_t, std::uint64_t> pages;  // page -> frame's number
  std::uint32_t database_pages = 0;              // after that commit; 0 if there is none
  std::uint32_t database_pages_least = 0;        // after any of its commits: pages beyond it are these, or zeros
  std::uint64_t last = 0;                        // frames up to that commit, in all generations
};

// coffer.db-wal (docs/FORMAT.md section 7): frames of one page each, sealed and chained, in generations that overwrite
// each other. Frames are numbered for ever; SQLite counts its own from 0 within each generation. The writer's calls
// come one at a time; read_frame() and sync() may come beside them.
class SealedLog {
 public:
  SealedLog(std::unique_ptr<DiskFile> file, const KeySchedule& keys, const AeadSuite& suite);

  // --- a generation ---

  // Writes the header of the generation that `block` will name, beside the one in use, and syncs it.
  Status prepare(const Superblock& block, std::string_view boot_id);
  // Goes over to it, once the superblock is durable: the next frame is its first.
  void begin();
  // Reads the generation that `block` names and stands after the last commit that may be used. kDamaged where a crash
  // cannot explain what is missing. `disk` has the data files.
  Result<LogReplay> replay(const Superblock& block, std::string_view boot_id, Disk& disk);
  // Of a replayed generation.
  Status read_replayed(std::uint64_t number, MutableBytes page);

  // --- the writer ---

  // SQLite begins its log anew. False if the generation has frames: then a new one must have begun first.
  bool restart();
  // What the next commit's last frame says of the data files.
  void set_data_synced(std::uint64_t up_to, bool this_commit);
  // One frame; database_pages > 0 makes it a commit's last, and all since the last commit go to the disk in one write.
  // kNoSpace leaves the log as it was. Any other failure to write is final.
  Status append(std::uint64_t sqlite_index, std::uint32_t page, std::uint32_t database_pages, BytesView content);
  // A frame without a page, to carry set_data_synced() when there is nothing to commit.
  Status append_mark();
  // Frames without a page, of what the next commit counts on in data files. Without changes they cost nothing but room.
  Status append_rows(std::span<const Bytes> contents);

  // Room for so many frames in the next commit. kNoSpace leaves the log as it was.
  Status reserve(std::uint64_t frames);

  // --- beside the writer ---

  Status read_frame(std::uint64_t sqlite_index, MutableBytes page);  // of a commit; kPageSize bytes
  Status sync();

  std::uint64_t last() const;         // frames up to the last commit
  std::uint64_t data_synced() const;  // as the frames written say
  std::uint64_t durable() const;      // the same, of synced frames: what survives a power cut
  std::uint64_t first() const;        // frames before this generation
  FrameTag digest() const;            // the tag of the last commit
  std::uint64_t sqlite_frames() const;
  std::uint64_t bytes() const;  // of this generation's frames
  // Once set, nothing more is promised: every further write and sync fails with it.
  std::optional<Error> broken() const;
  Error break_with(Error error);

 private:
  struct Generation {
    Superblock block;
    std::unique_ptr<Aead> cipher;
    FrameTag header_tag{};
  };
  struct FrameHead {
    std::uint32_t page = 0, database_pages = 0;
    std::uint64_t data_synced = 0, log_synced = 0;
  };
  // A frame as found: authentic on its own, and which tag it follows.
  struct FoundFrame {
    FrameHead head;
    FrameTag previous{}, tag{};
    Bytes rows;  // of one without a page
  };
  struct Scan;

  Generation generation(const Superblock& block) const;
  Bytes header_aad(const Superblock& block) const;
  Bytes frame_aad(const Superblock& block, std::uint64_t number, BytesView previous) const;
  Status open_header(Generation& generation, std::string& boot_id);
  // Nothing if the stored bytes are no frame of this generation at this place.
  std::optional<FoundFrame> open_frame(const Generation& generation, std::uint64_t number, BytesView stored,
                                       MutableBytes page) const;
  Result<Scan> scan(const Generation& generation);
  static Result<bool> data_is_there(const Scan& scanned, std::uint64_t first, std::uint64_t from, std::uint64_t to,
                                    Disk& disk);
  std::uint64_t buffered() const;
  void forget_buffer();
  Status append_without_pages(std::span<const Bytes> contents, std::uint64_t data_synced);
  Status seal_frame(const FrameHead& head, BytesView content);
  Status write_buffer();
  Status make_room(std::uint64_t end);
  Status read(const Generation& generation, std::uint64_t number, MutableBytes page);

  std::unique_ptr<DiskFile> file_;
  const Key key_;
  const StoreId store_;
  const AeadSuite suite_;

  // The writer's own.
  Bytes buffer_;                  // sealed frames of the open commit
  FrameTag chain_{};              // tag of the last frame sealed
  FrameTag chain_written_{};      // tag of the last frame written
  std::uint64_t mark_up_to_ = 0;  // set_data_synced
  bool mark_this_commit_ = false;
  std::uint64_t room_ = 0;  // size of the file
  bool fresh_ = false;      // begun, and SQLite does not know yet
  std::shared_ptr<const Generation> prepared_;

  mutable std::mutex mutex_;  // all below
  std::shared_ptr<const Generation> generation_;
  std::vector<std::uint64_t> frames_;  // SQLite's committed frames: their numbers
  std::uint64_t written_ = 0;          // number of the next frame to write
  std::uint64_t last_ = 0;
  FrameTag digest_{};
  std::uint64_t data_synced_ = 0, log_synced_ = 0, durable_ = 0;
  std::optional<Error> broken_;
};

}  // namespace coffer
