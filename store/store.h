#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/check_report.h"
#include "base/clock.h"
#include "base/log.h"
#include "crypto/keyring.h"
#include "store/catalog.h"
#include "store/disk.h"
#include "store/inode.h"

namespace coffer {

// An extended attribute's new value; none: it goes, and need not have been there.
struct XattrEdit {
  std::string name;
  std::optional<Bytes> value;
};

// Whose KMS keys a verb uses; null: the mount's principal. Outlives the verb.
using Actor = const Principal*;

struct NewInode {
  std::uint32_t mode = 0;  // permission bits, after umask, ACLs and setgid rules
  std::uint32_t uid = 0, gid = 0;
  std::uint64_t rdev = 0;
  std::vector<XattrEdit> xattrs = {};  // it is never seen without them; not for symbolic links
  Actor as = nullptr;                  // of a bucket: in whose account it is
};

// What setattr changes; only what is set. All of it but the size at once, and the size before.
struct InodeChange {
  std::optional<std::uint32_t> mode, uid, gid;
  std::optional<std::uint64_t> size;
  std::optional<std::int64_t> atime_ns, mtime_ns, ctime_ns;
  std::vector<XattrEdit> xattrs = {};  // an access control list goes with the mode it stands for
  Actor as = nullptr;                  // of a new size
};

enum class RenameMode { kReplace, kNoReplace, kExchange };
enum class XattrMode { kAny, kCreate, kReplace };
enum class FallocateMode { kAllocate, kAllocateKeepSize, kPunchHole, kZero, kZeroKeepSize };
enum class SeekFor { kData, kHole };
enum class AccessTimes { kRelative, kAlways };  // kRelative: older than the last change, or than a day (relatime)
enum class ResealScope { kWhatIsDue, kNewDataKeys };

struct Usage {
  Disk::Space space;
  std::uint64_t inodes = 0;
};

// An object's sealing, for inspect and the read-only extended attributes.
struct Sealing {
  Envelope envelope;
  std::uint64_t size = 0;
  std::string bucket, key;  // key: one of its paths below the bucket; empty when unlinked
  bool reseal_pending = false;
};

// The verbs of a file system by inode number: no FUSE in it, tested without. Thread-safe. Names are bytes, checked here
// ('/' , NUL, ".", "..", kNameSizeMax). Permissions are the caller's business (the kernel's, by default_permissions).
//
// Every mutating verb is atomic: it happened, or it did not and says why. After a failed sync or a lost transaction the store is
// poisoned: every later mutating verb and every sync says kPoisoned; reads go on.
//
// Lock order: store_state.h. Across a KMS call no lock is held but the object's key_mutex, which only others that wait for
// the same key want.
class Store {
 public:
  // catalog, disk, keyring and clock outlive the Store. Makes what the catalog shows durable before it answers (I1 after a kill),
  // sweeps unlinked inodes and, unless a finish() was the last that happened, data files nobody names.
  static Result<std::unique_ptr<Store>> open(Catalog& catalog, Disk& disk, Keyring& keyring, const Clock& clock, Log log,
                                             Principal principal);
  ~Store();

  // --- inodes; a lookup, create, mkdir, mknod, symlink, link and each entry of read_directory_plus counts one reference, forget takes
  // references back. An inode without names lives until its references and opens are gone. ---
  Result<Inode> lookup(InodeNumber parent, std::string_view name);
  void forget(InodeNumber ino, std::uint64_t references);
  Result<Inode> get(InodeNumber ino);
  Result<Inode> change(InodeNumber ino, const InodeChange& change);
  // Somebody read it. Whether its atime changed: nothing is promised of it, a failure is not told.
  bool accessed(InodeNumber ino, AccessTimes times);

  // --- names ---
  // A directory in the root is a bucket: create_bucket below, under S3's naming rules. Files in the root: kNotPermitted.
  Result<Inode> make_directory(InodeNumber parent, std::string_view name, const NewInode& attributes);
  Result<Inode> create(InodeNumber parent, std::string_view name, const NewInode& attributes);  // regular file, opened for writing
  Result<Inode> make_node(InodeNumber parent, std::string_view name, FileKind kind, const NewInode& attributes);  // not opened
  Result<Inode> make_symlink(InodeNumber parent, std::string_view name, std::string_view target, const NewInode& attributes);
  Result<Inode> link(InodeNumber ino, InodeNumber parent, std::string_view name);
  Status unlink(InodeNumber parent, std::string_view name);
  Status remove_directory(InodeNumber parent, std::string_view name);  // of the root: DeleteBucket
  // Across buckets: kCrossesBuckets; a bucket itself, or a directory into the root: kNotPermitted.
  Status rename(InodeNumber parent, std::string_view name, InodeNumber new_parent, std::string_view new_name, RenameMode mode);
  Result<std::string> read_symlink(InodeNumber ino);
  Result<std::vector<DirectoryEntry>> read_directory(InodeNumber ino, std::uint64_t after_cookie, std::size_t limit);
  // `take` returns false for the first entry it has no room for; that one and later ones are not referenced.
  Status read_directory_plus(InodeNumber ino, std::uint64_t after_cookie, std::size_t limit,
                             const std::function<bool(const DirectoryEntry&, const Inode&)>& take);

  // --- content ---
  // open checks the object's key; with truncate it needs only the current default's key. Each open is ended by one release.
  Status open_object(InodeNumber ino, bool truncate, Actor as = nullptr);
  void release(InodeNumber ino);
  // Fewer than asked for only at the end.
  Result<std::size_t> read(InodeNumber ino, std::uint64_t offset, MutableBytes into, Actor as = nullptr);
  Status write(InodeNumber ino, std::uint64_t offset, BytesView bytes, Actor as = nullptr);
  Status fallocate(InodeNumber ino, FallocateMode mode, std::uint64_t offset, std::uint64_t size, Actor as = nullptr);
  Result<std::uint64_t> seek(InodeNumber ino, std::uint64_t offset, SeekFor what);  // kNotFound: ENXIO
  Result<std::uint64_t> copy_range(InodeNumber from, std::uint64_t from_offset, InodeNumber to, std::uint64_t to_offset,
                                   std::uint64_t size, Actor from_as = nullptr, Actor to_as = nullptr);

  // --- extended attributes; user.s3.* is answered from the envelope and cannot be set ---
  Result<Bytes> xattr(InodeNumber ino, std::string_view name);
  Result<std::vector<std::string>> xattr_names(InodeNumber ino);
  Status set_xattr(InodeNumber ino, std::string_view name, BytesView value, XattrMode mode);
  Status remove_xattr(InodeNumber ino, std::string_view name);

  Result<Usage> usage();

  // --- durability ---
  Status sync(InodeNumber ino);  // fsync(2): a durable commit that covers the inode and its names
  Status sync_all();             // everything answered so far
  // The housekeeping the daemon's threads drive; each call does a bounded piece of work.
  Status commit_soon();          // the soft commit; nothing when nothing changed
  Status checkpoint_if_due();
  Status collect_garbage();      // removes data files and punches freed slots that no durable state names
  bool copy_step();              // of the catalog's second copy, when one is due; false: nothing to do now
  bool renew_headers();          // the second copies in data files whose object has another name or envelope; false: none
  bool dirty() const;
  bool poisoned() const;
  struct CommitState {
    std::uint64_t counter = 0;  // durable commits since the store was made
    std::string digest;         // hex, of the last durable commit's last log frame
  };
  CommitState commit_state() const;
  // For the end of a mount: all of it durable, and in coffer.db. The log is empty then, so cutting it takes nothing back. After it the next
  // open looks for no data files that nobody names; if verbs follow all the same, it does from their first durable commit on.
  Status finish();
  // Called with what belongs into the next commit but is kept elsewhere (the KMS's call counts).
  void before_commit(std::function<Status()> hook);

  // --- buckets; what changes is durable when it returns ---
  Result<Bucket> create_bucket(const BucketName& name, const NewInode& attributes);
  Status delete_bucket(const BucketName& name);
  Result<Bucket> find_bucket(const BucketName& name);
  Result<std::vector<Bucket>> list_buckets();
  // pin: the ARN of the rule's KMS key, which the bucket may only ever have. kKeyPinned if it has another.
  Status put_rule(const BucketName& name, const SseRule& rule, const std::optional<std::string>& pin = std::nullopt);
  Status reset_rule(const BucketName& name);  // to SseRule::unconfigured; what is pinned stays
  Result<std::optional<std::string>> bucket_policy(const BucketName& name);
  Status put_bucket_policy(const BucketName& name, std::string_view text);  // empty: none any more
  void block_sse_c_in_new_buckets();          // GBE-02: in those that are made from now on, but directory buckets

  // --- sealing ---
  Result<Sealing> sealing(InodeNumber ino);
  Result<InodeNumber> resolve(std::string_view bucket, std::string_view key);  // a path below a bucket; no reference counted
  // Adds the bucket's objects whose keys begin with the prefix: those that are not as the default says, the newest
  // version of its key's material included; under kNewDataKeys all, whose data is sealed anew then.
  Result<std::uint64_t> queue_reseal(const BucketName& bucket, std::string_view prefix,
                                     ResealScope what = ResealScope::kWhatIsDue);
  struct ResealProgress {
    std::uint64_t done = 0, waiting = 0;
  };
  Result<bool> reseal_step();  // one bounded step of the first objects in the queue; false: nothing to do now
  ResealProgress reseal_progress() const;

  // --- the online check of everything (store/scrub.h) ---
  enum class ScrubFrom { kWhereItWas, kTheBeginning };
  // Joins the one that runs, at this rate; or goes on with one that an unmount or a kill ended, or begins.
  Status start_scrub(std::int64_t rate_mib, ScrubFrom from);
  // A bounded piece of it. How many milliseconds to rest before the next, as the rate asks; none: none runs.
  std::optional<std::int64_t> scrub_step();
  void stop_scrub();  // for the end of a mount: a step under way ends soon
  struct ScrubState {
    bool running = false;
    std::uint64_t done = 0, total = 0;  // bytes
    CheckReport report;
    std::optional<Error> failure;  // why it ended before its end
  };
  ScrubState scrub_state() const;  // of the one that runs, or the last of this mount

  // --- a key that stops serving, to all or to somebody (the daemon drives these in order); an empty ARN: every key,
  // where policies of callers change, and nothing is held then ---
  void hold_key(const std::string& kms_key_arn);     // new opens and uncached reads under it are refused from now on
  Status seal_dirty(const std::string& kms_key_arn); // what is dirty under it is sealed and written
  void wipe_key(const std::string& kms_key_arn);     // data keys and decrypted chunks of it leave memory
  void release_key(const std::string& kms_key_arn);  // hold_key ends; states decide again
  std::vector<InodeNumber> objects_under(const std::string& kms_key_arn);  // referenced ones: whose kernel cache to invalidate

  struct MemoryUse {
    std::uint64_t open_objects = 0, dirty_bytes = 0, log_bytes = 0;
  };
  MemoryUse memory_use() const;

 private:
  struct State;
  explicit Store(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace coffer
