#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "base/limits.h"
#include "store/catalog_copy.h"
#include "store/gate.h"
#include "store/key_waits.h"
#include "store/open_objects.h"
#include "store/scrub.h"
#include "store/store.h"

namespace coffer {

enum class Access { kOpen, kRead, kWrite };
// What room on the disk is wanted for. Growing leaves the reserve alone, replacing leaves a part of it; deleting asks for
// nothing.
enum class RoomFor { kGrowing, kReplacing };

// Catalog pages that one operation changes at most: the leaves of its inodes, names and content row, and a split above.
inline constexpr std::uint64_t kNamePages = 6;
inline constexpr std::uint64_t kPolicyPages = 16;  // of a bucket: 20 KiB, and the splits above
// Those of content that stays in the catalog: its row, and what does not fit that.
inline constexpr std::uint64_t kContentPages = 1 + kInlineSizeMax / kPageSize;
// Those of an object that joins or leaves the reseal queue.
inline constexpr std::uint64_t kQueuePages = 2;
// Those of one file less to remove.
inline constexpr std::uint64_t kGarbagePages = 2;
// And what a commit adds of its own.
inline constexpr std::uint32_t kCommitPages = 9;
// Log bytes above which a full disk is worth a checkpoint.
inline constexpr std::uint64_t kLogWorthEmptying = 48 << 10;
// Those of a map row: of two layers, it fills a leaf and two overflow pages.
inline constexpr std::uint64_t kMapRowPages = 3;
// With less than this besides the reserve, what is answered must have its blocks.
inline constexpr std::uint64_t kSpaceScarce = 64 << 20;
// With less than this, a commit does not tell what it counts on in data files.
inline constexpr std::uint64_t kSpaceToTell = 8 << 20;
// What a sync of data files must take for the journal to save something: measured, it costs 80 us itself.
inline constexpr std::int64_t kJournalWorthNs = 100'000;
// A part of an object, and whether its map rows may be made there, or only those that exist change.
enum class MapRows { kMade, kThatExist };
struct ContentRange {
  std::uint64_t offset = 0, size = 0;
  MapRows rows = MapRows::kThatExist;
};

// What the source files of Store share. Lock order: copy_mutex, an OpenObject's key_mutex, round_mutex, commit_mutex, gate, an OpenObject's
// mutex, Catalog::mutex(), and then, each alone, the locks of the small tables below.
struct Store::State {
  State(Catalog& catalog_, Disk& disk_, Keyring& keyring_, const Clock& clock_, Log log_, Principal principal_, Region region_)
      : catalog(catalog_),
        disk(disk_),
        keyring(keyring_),
        clock(clock_),
        log(std::move(log_)),
        principal(std::move(principal_)),
        region(std::move(region_)) {}

  Catalog& catalog;
  Disk& disk;
  Keyring& keyring;
  const Clock& clock;
  const Log log;
  const Principal principal;
  const Region region;

  DataFiles files{disk};
  DataJournal journal;
  FileHeaders headers{keyring.keys(), keyring.suite()};
  InodeCache inodes{catalog};
  Numbers inode_numbers{catalog, "next_inode", kRootInode + 1};
  Numbers file_numbers{catalog, "next_file", 1};
  ObjectParts parts{catalog, files, journal, inodes, file_numbers, clock};
  OpenObjects objects;
  Gate gate;

  // --- store.cc ---
  Status start();
  Status sweep();
  Status queue_garbage();
  Status sweep_files();
  Status ready();  // kPoisoned once an earlier failure took the promises away
  void poison(const Error& why);
  void follow_catalog();  // once it lost its transaction, memory goes back to the last commit too
  // Passes a verb's result on; a lost transaction poisons.
  template <class T>
  Result<T> checked(Result<T> result) {
    if (!result && result.code() == Code::kPoisoned) poison(result.error());
    return result;
  }
  // Something changed that the next commit must carry. Inside the Gate.
  void touch() { ++changes; }
  // Nothing is locked. kNoSpace when no more is left for this, also after what was deleted and replaced came back.
  Status claim_space(std::uint64_t bytes, RoomFor use);
  Status claim_pages(std::uint64_t pages, RoomFor use);  // of the catalog: free ones serve as well
  Status claim(std::uint64_t bytes, const std::function<Status()>& look);
  Status claim_for_content(OpenObject& object, std::uint64_t offset, std::uint64_t size);
  Status look_for_space(std::uint64_t bytes, RoomFor use);
  bool has_free_pages(std::uint64_t pages) const;
  bool owes_space() const;  // a durable commit would free something
  Status give_back();       // what was deleted and replaced, to the disk
  // Before an operation's first change, with Catalog::mutex(): room for so many changed pages at the next commit, which
  // would lose the whole transaction without. kNoSpace costs nothing.
  Status reserve_pages_locked(std::uint64_t pages);
  // The pages of an object's map that a change of this range may write.
  Result<std::uint64_t> map_pages_locked(InodeNumber ino, const ContentRange& range);
  // Runs a verb, with nothing locked. If it finds no room: again after a commit, which gives back what others claimed
  // and did not need, again with what a durable commit frees, again with an emptied log, and again in the room of the
  // catalog's copy.
  template <class Verb>
  auto with_room(Verb&& verb) -> decltype(verb()) {
    auto done = checked(verb());
    if (done || done.code() != Code::kNoSpace || is_poisoned) return done;
    was_full = true;
    COFFER_TRY(soft_commit());
    done = checked(verb());
    if (done || done.code() != Code::kNoSpace || is_poisoned) return done;
    COFFER_TRY(give_back());
    done = checked(verb());
    if (done || done.code() != Code::kNoSpace) return done;
    if (catalog.database().log_bytes() >= kLogWorthEmptying) {
      COFFER_TRY(checkpoint());
      done = checked(verb());
      if (done || done.code() != Code::kNoSpace) return done;
    }
    if (!give_up_copy()) return done;
    return checked(verb());
  }

  // Where stored bytes of an object end at the latest: data files hold two slots for each chunk.
  std::uint64_t content_end_max = 0;
  std::atomic<bool> is_poisoned{false}, has_followed_catalog{false};
  mutable std::mutex poison_mutex;
  std::string poison_reason;
  std::atomic<bool> was_full{false};  // something found no room, whatever the disk says of itself: there may be a quota
  std::mutex space_mutex;
  std::atomic<std::int64_t> space_left{0};  // of what was last seen to be free

  // --- store_names.cc ---
  Result<InodeCache::Handle> directory_locked(InodeNumber ino);
  // A new inode under a name; `more` writes what belongs to it. Counts one reference if `refer`.
  Result<Inode> add_child_locked(const InodeCache::Handle& parent, std::string_view name, Inode inode,
                                 const NewInode& attributes, bool refer, const std::function<Status()>& more);
  Result<Inode> new_inode(FileKind kind, const NewInode& attributes);
  Result<Inode> make_file(InodeNumber parent, std::string_view name, const NewInode& attributes, bool open);
  void unlinked_locked(const InodeCache::Handle& handle);  // its link count may have reached 0
  Status reap(InodeNumber ino);                  // an inode without names and references goes; inside the Gate
  Status reap_if_unreferenced(InodeNumber ino);  // as reap; outside of the Gate
  Result<std::string> key_path_locked(InodeNumber directory);  // "" for a bucket, else "a/b/"
  Result<bool> is_below_locked(InodeNumber ino, InodeNumber ancestor);

  std::mutex unlinked_mutex;
  std::unordered_set<InodeNumber> unlinked;            // without names, still referenced
  std::unordered_map<InodeNumber, std::string> paths;  // of directories; guarded by Catalog::mutex()
  std::atomic<std::uint64_t> inode_count{1};

  // --- store_content.cc ---
  Result<std::shared_ptr<OpenObject>> object(InodeNumber ino);
  Result<std::shared_ptr<OpenObject>> object_locked(InodeNumber ino);
  const Principal& acting(Actor as) const { return as == nullptr ? principal : *as; }
  Status ensure_key(OpenObject& object, Access access, Actor as);
  Status ensure_cipher(OpenObject& object, const std::shared_ptr<const Envelope>& envelope, bool unlocked,
                       Access access, Actor as);
  // For a caller of a verb, told as one who waits.
  Result<Keyring::Issued> issue(const SseRule& rule, const Subject& subject, Actor as);
  // Runs `change` inside the Gate with the object locked; again after a durable commit where it asks for one.
  // It changes no map row outside of `range`.
  Status change_content(const std::shared_ptr<OpenObject>& object, const ContentRange& range,
                        const std::function<Result<Progress>()>& change, Actor as);
  Status reissue(const std::shared_ptr<OpenObject>& object, Actor as);
  Status truncate_to_zero(const std::shared_ptr<OpenObject>& object, Actor as);
  Status resize(InodeNumber ino, std::uint64_t size, Actor as);
  void list_changed(const std::shared_ptr<OpenObject>& object);
  Status relieve_pressure();

  std::mutex changed_mutex;
  std::vector<std::shared_ptr<OpenObject>> changed_objects;  // to be flushed and written out by the next commit

  // --- store_headers.cc ---
  void renew_header(const std::shared_ptr<OpenObject>& object);  // if it is due; inside the Gate, its mutex exclusive
  void queue_header(InodeNumber ino);
  std::mutex headers_mutex;
  std::unordered_set<InodeNumber> headers_due;

  // --- store_copies.cc ---
  void find_copy_locked();
  bool give_up_copy();  // for its room; false: there was none
  Status begin_copy();  // copy_mutex is held, as for the next two
  Result<bool> step_copy();
  void end_copy(const Error& why);
  void copy_at_end();
  std::atomic<bool> copy_there{false}, copy_given_up{false}, copying{false};
  std::atomic<std::uint64_t> checkpointed_counter{0};  // commit_counter of what coffer.db holds
  bool nothing_since_copy = false;  // when the store was opened
  std::mutex copy_mutex;  // the copy under way: all below. Comes before all others
  std::unique_ptr<CatalogCopy> copy;
  std::int64_t copy_looked_ns = 0;
  CommitPoint copied_point;

  // --- store_buckets.cc ---
  Result<Bucket> bucket_of(InodeNumber bucket);
  Realm realm_of(const Bucket& bucket) const { return {bucket.owner, region}; }
  Result<Bucket> bucket_locked(InodeNumber bucket);
  Result<Inode> make_bucket(const BucketName& name, const NewInode& attributes, bool refer);
  void note_modified(OpenObject& object);  // joins the reseal queue if it is under an older default; inside the Gate

  std::atomic<bool> new_buckets_block_sse_c{false};
  std::mutex buckets_mutex;
  std::unordered_map<InodeNumber, Bucket> buckets;

  // --- store_xattrs.cc ---
  // Within the caller's savepoint, after check_xattr and with room for xattr_pages.
  Status edit_xattrs_locked(InodeNumber ino, const std::vector<XattrEdit>& edits);

  // --- store_keys.cc ---
  bool held(const std::string& kms_key_arn) const;
  mutable std::mutex held_mutex;
  std::set<std::string> held_keys;
  std::vector<std::shared_ptr<OpenObject>> under(const std::string& kms_key_arn);

  // --- store_reseal.cc ---
  // What an object in the queue waits for. kRewrap: its data keys stay, and are wrapped anew.
  enum class Due { kNothing, kRewrap, kData };
  enum class Resealed { kLeftQueue, kAgain };
  Result<Resealed> reseal_one(const Catalog::Resealing& entry);
  Due due_locked(const OpenObject& object, const Bucket& bucket, std::uint32_t leaving) const;
  Result<Resealed> rewrap(const std::shared_ptr<OpenObject>& object, const Bucket& bucket);
  Result<std::string> context_for(const OpenObject& object, const Envelope& envelope, const Bucket& bucket);
  Status begin_reseal(const std::shared_ptr<OpenObject>& object, const Bucket& bucket);
  Result<Resealed> move_some(const std::shared_ptr<OpenObject>& object, const std::shared_ptr<const Envelope>& next);
  Status enqueue_if_due_locked(InodeNumber ino, const Bucket& bucket, ResealScope what, std::uint64_t& queued);
  Status dequeue(InodeNumber ino);
  Status dequeue_unless_due(OpenObject& object);
  Status postpone(InodeNumber ino, const Error& why);
  Result<Subject> subject_of(const OpenObject& object, std::uint32_t generation);
  mutable std::mutex reseal_mutex;
  std::unordered_map<InodeNumber, std::int64_t> postponed;  // until this monotonic time
  std::uint64_t resealed = 0;

  // --- store_scrub.cc ---
  Status at_rest(const std::function<Status()>& work);  // frozen, and all that was answered committed
  Status put_down_scrub(BytesView place);
  void put_down_scrub();
  std::atomic<bool> scrub_interrupted{false};
  std::atomic<bool> scrubbing{false};  // a step runs: the log may wait for its checkpoint
  std::mutex scrub_keys;               // held while a scrub uses data keys. Comes before commit_mutex
  mutable std::mutex scrub_mutex;      // all below. Comes before the gate
  std::shared_ptr<Scrub> scrub;        // the one that runs, or the last one
  bool scrub_runs = false;
  std::int64_t scrub_rate_mib = kScrubMibDefault, scrub_put_down_ns = 0;
  std::optional<Error> scrub_failure;  // why it ended before its end

  // --- store_commit.cc ---
  // kRound begins a durable commit; kCarry says in the log that the round's data files are synced; kCheckpoint is a
  // whole durable commit, with its syncs inside the freeze, and a checkpoint.
  enum class Commit { kSoft, kRound, kCarry, kCheckpoint };
  struct Frozen {
    CommitPoint point;
    DataFiles::Batch unsynced;  // to be synced before this commit counts
    std::uint64_t changes = 0, round = 0;
    std::string digest;
  };
  // commit_mutex is held. `work`: while everything is still frozen, after the commit.
  Result<Frozen> commit(Commit kind, const std::function<Status()>& work = nullptr);
  Status flush_changed();              // before the freeze, so that little is left for it
  Status flush_frozen();
  // An object whose dirty chunks find no room stays as it is and holds nobody up: what others delete must become
  // durable to make room for it. Its own sync says kNoSpace.
  Status flush_or_starve(OpenObject& object);
  Status write_out_frozen();
  std::uint64_t begin_round_frozen();
  // What a commit does about the data files that were written. kKept: the catalog keeps what was.
  enum class DataFilesAre { kLeft, kSynced, kToBeSynced, kKept };
  bool keeps_data_frozen(const DataFiles::Batch& unsynced);  // with room for it
  bool disk_syncs_at_once() const;
  bool has_room_to_tell();
  Status sync_data(const DataFiles::Batch& batch);  // a failure poisons
  Status sync_data_first();                         // all that is in memory, before the freeze
  Result<Frozen> commit_frozen(Commit kind, DataFilesAre data, DataFiles::Batch unsynced);
  Status soft_commit();
  Status run_round();
  void end_round(const Frozen& frozen);
  Status durable_commit();
  Status durable_commit_or_checkpoint();  // where the log's room runs low
  Status checkpoint();

  std::function<Status()> hook = [] { return Status(); };
  std::mutex round_mutex;   // one durable commit at a time, with all its syncs, to end_round. Comes before commit_mutex
  std::mutex commit_mutex;  // one commit at a time; hook, and the four below
  std::vector<std::shared_ptr<OpenObject>> unsettled, in_round;
  CommitPoint synced;  // up to here all data files are synced, or the journal has what is not
  std::uint64_t recorded_inodes = 0;
  std::atomic<std::uint64_t> changes{0}, committed_changes{0}, durable_changes{0};
  std::atomic<std::uint64_t> starved{0};  // objects whose dirty chunks found no room at the last commit
  std::atomic<bool> pin_next{false};
  std::atomic<bool> ending{false};  // the next checkpoint is the mount's last word
  std::atomic<std::int64_t> data_sync_ns{0};  // what the data files of the last durable commit took that synced some
  std::atomic<std::uint64_t> durable_point{0};

  std::mutex rounds_mutex;  // the durable commits: all below
  std::condition_variable round_ended;
  std::uint64_t rounds_started = 0, rounds_finished = 0;
  bool round_running = false;
  Status round_status;

  mutable std::mutex state_mutex;
  CommitState commit_state;

  Status remove_garbage_files();  // some of garbage_ready
  Status punch_freed(OpenObject& object, std::size_t slots_min);  // all of it
  mutable std::mutex garbage_mutex;
  std::vector<std::uint64_t> garbage_new, garbage_in_round;  // data files no state names once these are durable
  std::deque<std::uint64_t> garbage_ready;
  std::deque<InodeNumber> punchable;
};

Status check_name(std::string_view name);
Status check_xattr(const XattrEdit& edit);
std::uint64_t xattr_pages(const std::vector<XattrEdit>& edits);
Error no_such_file();
Error disk_full();
Error key_held();

}  // namespace coffer
