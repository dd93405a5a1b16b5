#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "store/disk.h"

namespace coffer::testing {

// A disk in memory that forgets like a real one. What was not synced may be lost, torn at 512-byte sectors and
// reordered in a crash; a name made, removed or renamed is durable only after sync_folder() of its folder, or
// sync_all(). Everything follows from the seeds given. Thread-safe.
//
//   disk.kill();        or  disk.crash(seed);    every call fails from now on, the program under test goes away ...
//   store.reset();
//   disk.start();                                ... and a new one finds what is left. Handles from before stay dead.
class SimulatedDisk final : public Disk {
 public:
  explicit SimulatedDisk(std::uint64_t seed = 1) : random_(seed) {}

  Result<std::unique_ptr<DiskFile>> open(std::string_view name, OpenMode mode) override;
  Status remove(std::string_view name) override;
  Status rename(std::string_view from, std::string_view to) override;
  Status make_folder(std::string_view name) override;
  Result<std::vector<std::string>> list(std::string_view folder) override;
  Status sync_folder(std::string_view folder) override;
  Status sync_all() override;
  Result<Space> space() override;
  std::uint64_t file_size_max() override { return file_size_max_; }
  void set_file_size_max(std::uint64_t bytes) { file_size_max_ = bytes; }  // for what asks from now on; no file is refused

  // What a power cut keeps of that which no sync covers.
  enum class Keep {
    kNothing,
    kEverything,
    kRandomPart  // torn and reordered, by the seed
  };
  void kill();                     // the process ends: what was written stays
  void crash(std::uint64_t seed, Keep keep = Keep::kRandomPart);  // the power goes: what was synced stays
  void start();
  bool is_off() const;

  enum class Fault {
    kIo,       // the call fails and has no effect; a failed sync loses a random part of what it was to keep, for good
    kNoSpace,  // as kIo, for calls that write, else kIo
    kShort,    // a write leaves its beginning, of random length, and fails with kNoSpace; else as kIo
    kTorn,     // a write leaves a random part of its sectors and fails with kIo; else as kIo
    kPowerOff  // a write is torn, and from then on every call fails until crash(), start()
  };
  enum class Counted {
    kEveryCall,
    kChanges
  };  // kChanges: all but pread, size, list, space and opens that make nothing
  // The n-th call from now on (1 is the next) fails once.
  void fail_at(std::uint64_t n, Fault fault, Counted counted = Counted::kChanges);
  void fail_never();
  bool fault_happened() const;  // since the last fail_at
  std::string fault_place() const;  // the call that failed: its verb and the file, as "pwrite coffer.db"
  std::uint64_t calls(Counted counted = Counted::kChanges) const;
  // From now on every call is counted there, by its verb and file as fault_place() has them.
  void count_places(std::map<std::string, std::uint64_t>* counts) { places_ = counts; }
  // Called, once, before a sync or a write of the file begins, with nothing locked.
  void before_sync(std::string name, std::function<void()> act);
  void before_write(std::string name, std::function<void()> act);
  void set_capacity(std::uint64_t bytes);  // then kNoSpace; counted in blocks of 4096
  void set_quota(std::uint64_t bytes);     // the same, and space() knows nothing of it: a user's quota, which statvfs(3) does not show
  std::uint64_t used_bytes() const;        // of it

  // Everything there is, what is not synced included. Taking and putting back one makes dead handles of all others.
  class Image;
  std::shared_ptr<const Image> image() const;
  void put_back(const Image& image);

  // All names with '/' and their bytes, as a reader sees them now.
  using Snapshot = std::map<std::string, Bytes>;
  Snapshot snapshot() const;
  void restore(const Snapshot& files);  // everything as given, and durable; handles from before are dead
  Bytes bytes(const std::string& name) const;
  void set_bytes(const std::string& name, Bytes bytes);
  void flip_bit(const std::string& name, std::uint64_t offset, unsigned bit = 0);

 private:
  friend class SimulatedFile;

  static constexpr std::size_t kSector = 512;
  static constexpr std::size_t kBlock = 4096;

  // One change of a file not synced yet. A write has bytes; a change of size alone has none.
  struct Change {
    std::uint64_t offset = 0;
    Bytes bytes;
    std::uint64_t size = 0;  // of the file afterwards
  };
  struct Inode {
    Bytes now, durable;
    std::vector<Change> pending;
    std::set<std::uint64_t> blocks;  // of kBlock bytes, with space behind them
  };
  using Names = std::map<std::string, std::shared_ptr<Inode>>;  // a folder has no inode
  struct NameChange {
    std::string folder;
    std::string removed, made;  // either may be empty; both: a rename
    std::shared_ptr<Inode> inode;
  };

  using Acts = std::map<std::string, std::function<void()>>;
  std::function<void()> take_act(Acts& acts, const std::string& name);

  using Random = std::mt19937_64;

  // The fate of one call. torn: a write leaves a random part of itself before it fails.
  struct Verdict {
    Status status;
    bool failed_here = false;
    enum class Left { kNothing, kBeginning, kSomeSectors } left = Left::kNothing;  // of a write
  };
  Verdict enter(Counted kind, bool writes, const char* verb, std::string_view name);
  Status change_names(const char* verb, NameChange change);
  static void apply(const NameChange& change, Names& names);
  static void apply(const Change& change, Bytes& bytes);
  // As apply, but every sector by chance; the pieces that made it, for the file's pending changes.
  static std::vector<Change> apply_part(const Change& change, Bytes& bytes, unsigned percent, Random& random);
  Status change_file(const char* verb, std::string_view name, Inode& inode, Change change, bool occupies);
  Status sync_file(Inode& inode, std::string_view name);
  void settle_names(const std::string* folder, Random& random);
  static void settle(Inode& inode, Random& random);
  Names::const_iterator find_file(std::string_view name) const;
  bool has_folder(std::string_view name) const;
  std::uint64_t used() const;

  mutable std::mutex mutex_;  // all below
  Names now_, durable_;
  std::vector<NameChange> pending_;
  Random random_;
  bool running_ = true;
  std::uint64_t epoch_ = 0;  // handles of an earlier one are dead
  std::uint64_t calls_ = 0, changes_ = 0;
  std::optional<std::uint64_t> fault_at_;
  Fault fault_ = Fault::kIo;
  Counted fault_counted_ = Counted::kChanges;
  bool fault_happened_ = false;
  std::string fault_place_;
  std::map<std::string, std::uint64_t>* places_ = nullptr;
  Acts before_sync_, before_write_;
  std::uint64_t capacity_ = std::uint64_t{1} << 40;
  bool is_quota_ = false;  // capacity_ is
  std::uint64_t file_size_max_ = UINT64_MAX;
};

class SimulatedDisk::Image {
 public:
 private:
  friend class SimulatedDisk;
  Image(const Names& now, const Names& durable, const std::vector<NameChange>& pending);
  Names now, durable;
  std::vector<NameChange> pending;
};

}  // namespace coffer::testing
