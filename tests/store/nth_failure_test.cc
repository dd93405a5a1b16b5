#include <gtest/gtest.h>
#include <sqlite3.h>

#include <cstdlib>
#include <future>
#include <set>

#include "store/catalog_copy.h"
#include "store/fsck.h"
#include "tests/store/store_model.h"
#include "tests/support/effort.h"

// The n-th call fails, for n = 1, 2, 3 ... until none does, under a workload of every verb of Store. What must hold:
// a verb that fails changed nothing, and what was answered before is there, in the running store and after it was
// opened again, with and without a power cut; or the store says that it is poisoned, and then it shows and leaves a state
// that answered verbs left, no older than its last commit.
namespace coffer {
namespace {

using testing::difference;
using testing::ModelledTree;
using testing::SimulatedDisk;
using testing::some_bytes;
using testing::StoreRig;
using testing::TreeModel;
using Fault = SimulatedDisk::Fault;
using Counted = SimulatedDisk::Counted;

// --- allocations of SQLite's ---

// SQLite's allocator, with an n-th allocation that finds no memory. One thread at a time uses it in these tests.
class Allocations {
 public:
  static void fail_at(std::uint64_t n) { fail_at_ = n == 0 ? 0 : made_ + n; }
  static bool failed() { return failed_; }
  static void begin() { failed_ = false; }

  // Before anything else uses SQLite.
  static bool install() {
    sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real_);
    sqlite3_mem_methods ours = real_;
    ours.xMalloc = [](int size) { return refused() ? nullptr : real_.xMalloc(size); };
    ours.xRealloc = [](void* old, int size) { return refused() ? nullptr : real_.xRealloc(old, size); };
    return sqlite3_config(SQLITE_CONFIG_MALLOC, &ours) == SQLITE_OK;
  }

 private:
  static bool refused() {
    if (++made_ != fail_at_) return false;
    failed_ = true;
    return true;
  }
  static inline sqlite3_mem_methods real_;
  static inline std::uint64_t made_ = 0, fail_at_ = 0;
  static inline bool failed_ = false;
};
const bool kInstalled = Allocations::install();

// --- the workload ---

// A store that was killed with work left over: commits in its log, a data file to remove, an inode without a name.
struct Beginning {
  std::shared_ptr<const SimulatedDisk::Image> image;
  std::vector<TreeModel> history;  // from the last sync to the last commit
  std::string key;

  Beginning() {
    StoreRig rig;
    ModelledTree tree(rig);
    EXPECT_TRUE(kInstalled);
    EXPECT_TRUE(rig.store().create_bucket(*BucketName::parse("bucket"), NewInode{0755, 1, 1, 0}).ok());
    EXPECT_TRUE(tree.create_bucket("beside").ok());
    const auto beside = rig.store().resolve("beside", "");
    const auto other = rig.store().create(*beside, "file", NewInode{0644, 1, 1, 0});
    EXPECT_TRUE(rig.store().write(other->ino, 0, some_bytes(3 * kChunkSize, 0)).ok());
    rig.store().release(other->ino);
    rig.store().forget(other->ino, 1);
    key = rig.kms().create_key("")->arn;
    for (const auto& [path, size] : {std::pair<const char*, std::uint64_t>{"old", 3000},
                                     {"large", 5 * kChunkSize + 100},
                                     {"under", 2 * kChunkSize},
                                     {"gone", 3 * kChunkSize},
                                     {"held", 2 * kChunkSize},
                                     {"wide", (kPunchSlotsMin + 1) * kChunkSize}}) {
      EXPECT_TRUE(tree.create(path).ok());
      EXPECT_TRUE(tree.write(path, 0, size, size).ok());
    }
    EXPECT_TRUE(tree.make_directory("d").ok());
    EXPECT_TRUE(tree.rename("under", "d/under").ok());
    EXPECT_TRUE(rig.store().sync_all().ok());
    history.push_back(tree.model);
    EXPECT_TRUE(rig.store().open_object(*tree.ino_of("held"), /*truncate=*/false).ok());
    for (const auto* path : {"gone", "held"}) {
      EXPECT_TRUE(tree.unlink(path).ok());
      history.push_back(tree.model);
    }
    EXPECT_TRUE(rig.store().commit_soon().ok());
    rig.disk.kill();
    image = rig.disk.image();
  }
};

const Beginning& beginning() {
  static const Beginning kBeginning;
  return kBeginning;
}

enum class Kind {
  kVerb,        // atomic; durable with a later commit
  kSoftCommit,  // what was answered before it survives a kill
  kSync,        // what was answered before it survives a power cut
  kDurable,     // a verb that answers when it is durable
  kOpen         // the store is closed and opened
};

struct Step {
  Kind kind;
  std::function<Status()> run;
};

SseRule rule(SseAlgorithm algorithm, const std::string& key, bool bucket_key = false) {
  SseRule made;
  made.algorithm = algorithm;
  if (algorithm != SseAlgorithm::kAes256) made.kms_key = key;
  made.bucket_key_enabled = bucket_key;
  return made;
}

// Every verb of Store, in an order in which each has something to do.
class Workload {
 public:
  explicit Workload(StoreRig& rig) : tree(rig), rig_(rig) { tree.model = beginning().history.back(); }

  ModelledTree tree;

  std::vector<Step> steps() {
    std::vector<Step> all;
    const auto verb = [&](std::function<Status()> run) { all.push_back({Kind::kVerb, std::move(run)}); };
    const auto durably = [&](std::function<Status()> run) { all.push_back({Kind::kDurable, std::move(run)}); };
    const auto soft_commit = [&] { all.push_back({Kind::kSoftCommit, [this] { return store().commit_soon(); }}); };
    const auto sync = [&] { all.push_back({Kind::kSync, [this] { return store().sync_all(); }}); };
    const auto fsync = [&](const char* path) {
      all.push_back({Kind::kSync, [this, path]() -> Status {
                       const auto ino = tree.ino_of(path);
                       return store().sync(ino ? *ino : kRootInode);
                     }});
    };
    const auto& key = beginning().key;
    const std::uint64_t chunk = kChunkSize;

    all.push_back({Kind::kOpen, [this] { return open(); }});
    verb([this] { return store().collect_garbage(); });
    verb([=, this] { return tree.write("old", 1000, 500, 11); });
    verb([=, this] { return tree.write("large", chunk - 10, 20, 12); });
    verb([=, this] { return tree.create("a"); });
    verb([=, this] { return tree.write("a", 0, 100, 13); });
    soft_commit();
    verb([=, this] { return tree.append("a", 7000, 14); });
    verb([=, this] { return tree.create("b"); });
    verb([=, this] { return tree.write("b", 0, 3 * chunk + 50, 15); });
    fsync("b");
    verb([=, this] { return tree.write("b", chunk / 2, 2 * chunk, 16); });
    verb([=, this] { return tree.append("b", 5000, 17); });
    soft_commit();
    verb([=, this] { return tree.append("a", 3000, 18); });  // leaves the catalog for a file of its own
    verb([=, this] { return tree.read("a"); });
    sync();
    verb([=, this] { return tree.resize("b", chunk + 7); });
    verb([=, this] { return tree.resize("b", 4 * chunk); });
    verb([=, this] { return tree.fallocate("large", FallocateMode::kPunchHole, chunk / 2, 2 * chunk); });
    verb([=, this] { return tree.fallocate("large", FallocateMode::kZero, 5 * chunk, chunk); });
    verb([=, this] { return tree.fallocate("b", FallocateMode::kAllocate, 4 * chunk, chunk); });
    soft_commit();
    verb([=, this] { return tree.fallocate("wide", FallocateMode::kPunchHole, 0, (kPunchSlotsMin + 1) * chunk); });
    verb([=, this] { return tree.make_directory("e"); });
    verb([=, this] { return tree.make_directory("e/f"); });
    verb([=, this] { return tree.rename("a", "e/a", RenameMode::kNoReplace); });
    verb([=, this] { return tree.rename("e/a", "e/f/a"); });
    verb([=, this] { return tree.link("b", "e/b"); });
    fsync("e");
    verb([=, this] { return tree.rename("e/f/a", "d/under"); });  // replaces
    verb([=, this] { return tree.rename("e/b", "d/under", RenameMode::kExchange); });
    verb([=, this] { return tree.make_symlink("s", "e/b"); });
    verb([=, this] { return tree.make_fifo("p"); });
    verb([=, this] { return tree.unlink("s"); });
    verb([=, this] { return tree.remove_directory("e/f"); });
    verb([=, this] { return tree.set_xattr("b", "user.small", some_bytes(10, 19)); });
    verb([=, this] { return tree.set_xattr("b", "user.large", some_bytes(6000, 20)); });
    verb([=, this] { return tree.remove_xattr("b", "user.small"); });
    verb([=, this] { return tree.change_mode("old", 0600); });
    soft_commit();
    sync();

    durably([=, this] { return tree.put_rule(rule(SseAlgorithm::kAwsKms, key)); });
    verb([=, this] { return tree.create("k1"); });
    verb([=, this] { return tree.write("k1", 0, 2000, 21); });
    verb([=, this] { return tree.append("large", 2000, 22); });  // under the older rule: joins the reseal queue
    verb([=, this] { return tree.write("old", 0, 2000, 23); });
    soft_commit();
    verb([this] { return reseal(); });
    soft_commit();
    durably([=, this] { return tree.put_rule(rule(SseAlgorithm::kAwsKms, key, /*bucket_key=*/true)); });
    verb([=, this] { return tree.create("k2"); });
    verb([=, this] { return tree.write("k2", 0, chunk + 1, 24); });
    verb([=, this] { return tree.open_truncated("k1"); });  // begins anew under the Bucket Key
    verb([=, this] { return tree.write("k1", 0, 9000, 25); });
    sync();
    if (StoreRig::suite().can_double())
      durably([=, this] { return tree.put_rule(rule(SseAlgorithm::kAwsKmsDsse, key)); });
    verb([=, this] { return tree.create("k3"); });
    verb([=, this] { return tree.write("k3", 0, chunk + 1, 26); });
    verb([=, this] { return tree.write("b", 10, 10, 27); });
    verb([this] { return reseal(); });
    durably([=, this] { return tree.disable_key(key); });
    verb([=, this] { return tree.write("large", 0, 100, 28); });  // refused
    verb([=, this] { return tree.rename("k1", "k1-moved"); });
    durably([=, this] { return tree.enable_key(key); });
    verb([=, this] { return tree.read("k1-moved"); });
    verb([=, this] { return tree.copy_range("large", "b", 2 * chunk); });
    durably([this] { return tree.create_bucket("second"); });
    durably([this] { return tree.delete_bucket("second"); });

    verb([=, this] { return hold("e/b"); });
    verb([=, this] { return tree.unlink("e/b"); });
    verb([=, this] { return write_held(); });
    verb([=, this] { return release_held(); });
    verb([=, this] { return tree.unlink("k2"); });
    sync();
    verb([this] { return store().collect_garbage(); });  // removes and punches
    soft_commit();
    all.push_back({Kind::kSync, [this] { return store().finish(); }});  // a checkpoint, in the middle
    verb([=, this] { return tree.write("large", 3 * chunk, 3 * chunk, 29); });
    verb([=, this] { return tree.write("old", 0, 3000, 30); });
    sync();
    all.push_back({Kind::kOpen, [this] { return reopen(); }});
    verb([=, this] { return tree.read("large"); });
    verb([=, this] { return tree.read("k1-moved"); });
    verb([=, this] { return tree.write("k3", 100, 100, 31); });
    verb([=, this] { return tree.append("b", 100, 32); });
    sync();
    verb([=, this] { return tree.write("large", 0, 2 * chunk, 33); });
    verb([=, this] { return tree.create("last"); });
    verb([=, this] { return tree.write("last", 0, 200, 34); });
    soft_commit();
    verb([=, this] { return tree.append("last", 20000, 35); });
    return all;
  }

 private:
  Store& store() { return rig_.store(); }

  Status open() {
    COFFER_TRY(rig_.try_open());
    rig_.store().before_commit([this] { return rig_.kms().save_call_counts(); });
    return {};
  }
  Status reopen() {
    if (rig_.is_open()) COFFER_TRY(store().sync_all());
    rig_.drop();
    held_ = 0;
    return open();
  }
  Status reseal() {
    tree.last = "reseal";
    rig_.clock.advance_ns(60'000'000'000);  // what failed before is due again
    return tree.reseal();
  }
  Status hold(const std::string& path) {
    tree.last = "open " + path;
    if (!tree.is_file(path)) return {};
    COFFER_ASSIGN(const auto ino, tree.ino_of(path));
    COFFER_TRY(store().open_object(ino, /*truncate=*/false));
    held_ = ino;
    return {};
  }
  Status write_held() {
    tree.last = "write the file that is held open";
    if (held_ == 0) return {};
    const auto bytes = some_bytes(3 * kChunkSize, 99);
    COFFER_TRY(store().write(held_, 0, bytes));
    Bytes got(bytes.size());
    COFFER_ASSIGN(const auto size, store().read(held_, 0, got));
    if (size != bytes.size() || got != bytes) return Error{Code::kDamaged, "other bytes than were written"};
    return {};
  }
  Status release_held() {
    tree.last = "release the file that is held open";
    if (held_ != 0) store().release(std::exchange(held_, 0));
    return {};
  }

  StoreRig& rig_;
  InodeNumber held_ = 0;
};

// --- one run ---

// What strikes, and where it did.
struct Blow {
  std::function<void(StoreRig&)> arm;
  std::function<bool(StoreRig&)> has_struck;
  std::function<std::string(StoreRig&)> place;
  std::function<void(StoreRig&)> disarm;
  bool may_fail = true;  // the verb it strikes
};

class FailureRun {
 public:
  FailureRun(const Blow& blow, std::uint64_t seed) : rig_(*beginning().image, /*boot=*/1), work_(rig_), blow_(blow), seed_(seed) {
    committed_ = history_.size() - 1;
  }

  // What went wrong, or nothing.
  std::string go() {
    blow_.arm(rig_);
    for (const auto& step : work_.steps()) {
      if (auto wrong = take(step); !wrong.empty()) return work_.tree.last + ": " + wrong;
      if (is_over_) break;
    }
    blow_.disarm(rig_);
    if (!is_over_)
      if (auto wrong = difference(work_.tree.model, rig_, "bucket"); !wrong.empty()) return "still running: " + wrong;
    has_struck_ = blow_.has_struck(rig_);
    const auto image = rig_.disk.image();
    if (!is_over_)
      if (auto wrong = end_well(); !wrong.empty()) return "at the end: " + wrong;
    const int boot = rig_.boots();
    rig_.drop();
    if (auto wrong = look_again(*image, boot, committed_, "after a kill"); !wrong.empty()) return wrong;
    return look_again(*image, boot + 1, synced_, "after a power cut");
  }
  bool has_struck() const { return has_struck_; }
  bool was_poisoned() const { return was_poisoned_; }

 private:
  // A catalog copy that is not durable is no copy; nothing else is made or removed in the store's own folder.
  static bool is_of_catalog_copy(std::string_view place) {
    return place == "sync folder " || place.find(kCatalogCopyName) != place.npos;
  }
  std::string take(const Step& step) {
    const bool before = blow_.has_struck(rig_);
    auto done = step.run();
    rig_.clock.advance_ns(1'000'000);
    const bool now = !before && blow_.has_struck(rig_);
    if (step.kind == Kind::kOpen && !done && now && !rig_.disk.is_off()) {
      // Nothing was answered by a store that did not open: the next attempt must find all of it.
      rig_.drop();
      done = step.run();
    }
    if (rig_.disk.is_off()) {
      is_over_ = true;
      return done || !work_.tree.unsure ? "" : note_unsure();
    }
    const bool sync_failed = now && blow_.place(rig_).starts_with("sync ") && !is_of_catalog_copy(blow_.place(rig_));
    if (sync_failed && step.kind != Kind::kOpen && !rig_.store().poisoned())
      return "a sync failed (" + blow_.place(rig_) + ") and the store is not poisoned";
    if (done) {
      answered(step.kind);
      return rig_.store().poisoned() ? look_at_poisoned() : "";
    }
    if ((!before && !now) || !blow_.may_fail) return "without a fault: " + done.error().message;
    if (!rig_.is_open()) return "opening again: " + done.error().message;
    if (rig_.store().poisoned()) return look_at_poisoned();
    if (before) return "after " + blow_.place(rig_) + " failed: " + done.error().message;
    return settle_unsure();
  }

  void answered(Kind kind) {
    history_.push_back(work_.tree.model);
    switch (kind) {
      case Kind::kVerb: break;
      case Kind::kSoftCommit: committed_ = history_.size() - 1; break;
      case Kind::kSync:
      case Kind::kDurable:
      case Kind::kOpen: committed_ = synced_ = history_.size() - 1; break;
    }
  }

  std::string note_unsure() {
    history_.push_back(*std::exchange(work_.tree.unsure, std::nullopt));
    return "";
  }

  // The verb failed and the store goes on: it happened or it did not.
  std::string settle_unsure() {
    auto& tree = work_.tree;
    if (!tree.unsure) return difference(tree.model, rig_, "bucket");
    const auto after = *std::exchange(tree.unsure, std::nullopt);
    const auto wrong = difference(tree.model, rig_, "bucket");
    if (wrong.empty()) return "";
    if (auto wrong_after = difference(after, rig_, "bucket"); !wrong_after.empty())
      return "neither as before (" + wrong + ") nor as after (" + wrong_after + ")";
    tree.model = after;
    history_.push_back(after);
    return "";
  }

  // It refuses changes and syncs, and shows what some answered verb left, from the last commit on.
  std::string look_at_poisoned() {
    is_over_ = was_poisoned_ = true;
    if (work_.tree.unsure) note_unsure();
    auto& store = rig_.store();
    if (store.sync_all().ok() || store.sync(kRootInode).ok()) return "a poisoned store says that it synced";
    const auto made = store.make_directory(*store.resolve("bucket", ""), "refused", NewInode{0755, 1, 1, 0});
    if (made.ok() || made.code() != Code::kPoisoned) return "a poisoned store makes a directory";
    // The KMS's memory may be ahead of its records.
    const auto key = rig_.kms().describe(beginning().key);
    const auto kept = std::exchange(history_, history_with(key->state == KeyState::kEnabled));
    auto wrong = is_in_history(rig_, committed_, "poisoned by " + blow_.place(rig_));
    history_ = kept;
    return wrong;
  }

  std::vector<TreeModel> history_with(bool key_serves) const {
    auto changed = history_;
    for (auto& state : changed) state.key_serves = key_serves;
    return changed;
  }

  std::string is_in_history(StoreRig& rig, std::size_t oldest, const std::string& when) {
    std::string newest;
    for (auto at = history_.size(); at-- > oldest;) {
      const auto wrong = difference(history_[at], rig, "bucket");
      if (wrong.empty()) return "";
      if (newest.empty()) newest = wrong;
    }
    return when + ": as no answered verb left it since the last commit; against the newest: " + newest;
  }

  // A clean end keeps everything.
  std::string end_well() {
    if (const auto finished = rig_.store().finish(); !finished) return "finishing: " + finished.error().message;
    const auto image = rig_.disk.image();
    StoreRig other(*image, rig_.boots() + 1);
    other.disk.crash(seed_, SimulatedDisk::Keep::kNothing);
    other.disk.start();
    if (auto opened = other.try_open(); !opened) return "opening: " + opened.error().message;
    return difference(work_.tree.model, other, "bucket");
  }

  std::string look_again(const SimulatedDisk::Image& image, int boot, std::size_t oldest, const std::string& when) {
    StoreRig other(image, boot);
    const bool power_cut = boot != rig_.boots();
    if (power_cut) other.disk.crash(seed_);
    other.disk.start();
    if (auto opened = other.try_open(); !opened) return when + ", opening: " + opened.error().message;
    if (auto wrong = is_in_history(other, oldest, when); !wrong.empty()) return wrong;
    const auto report = fsck(other.catalog(), other.disk, other.keyring(), StoreRig::principal(), FsckMode::kCheck, SystemClock(),
                             [](auto, auto) {});
    if (!report) return when + ", fsck: " + report.error().message;
    if (!report->damage.empty()) return when + ", fsck: " + report->damage.front().line();
    const auto goes_on = other.store().sync_all();
    return goes_on ? "" : when + ", syncing: " + goes_on.error().message;
  }

  StoreRig rig_;
  Workload work_;
  const Blow& blow_;
  const std::uint64_t seed_;
  std::vector<TreeModel> history_ = beginning().history;
  std::size_t committed_ = 0, synced_ = 0;
  bool is_over_ = false, has_struck_ = false, was_poisoned_ = false;
};

// --- every n ---

constexpr std::uint64_t kAllBelow = 60;  // of every kind of failure the first ones, then every so-manyth

// Runs the workload with each n-th call failing until none does.
void for_every_n(const std::string& what, std::uint64_t usual_stride,
                 const std::function<Blow(std::uint64_t n)>& blow_at) {
  const auto stride = testing::stride(usual_stride), all_below = testing::rounds(kAllBelow);
  std::uint64_t n = 1, runs = 0, poisoned = 0;
  for (bool struck = true; struck; n += n < all_below ? 1 : stride) {
    const Blow blow = blow_at(n);
    FailureRun run(blow, n);
    const auto wrong = run.go();
    EXPECT_EQ(wrong, "") << what << " at call " << n;
    if (!wrong.empty()) break;
    struck = run.has_struck();
    ++runs;
    poisoned += run.was_poisoned() ? 1 : 0;
  }
  std::printf("%s: %llu runs up to call %llu, %llu of them poisoned\n", what.c_str(),
              static_cast<unsigned long long>(runs), static_cast<unsigned long long>(n),
              static_cast<unsigned long long>(poisoned));
}

enum class DiskSyncs { kSlowly, kAtOnce };
void for_every_disk_call(const std::string& what, Fault fault, Counted counted, std::uint64_t stride,
                         DiskSyncs syncs = DiskSyncs::kSlowly) {
  for_every_n(what, stride, [&](std::uint64_t n) {
    Blow blow;
    blow.arm = [=](StoreRig& rig) {
      if (syncs == DiskSyncs::kAtOnce) rig.sync_at_once();
      rig.disk.fail_at(n, fault, counted);
    };
    blow.has_struck = [](StoreRig& rig) { return rig.disk.fault_happened(); };
    blow.place = [](StoreRig& rig) { return rig.disk.fault_place(); };
    blow.disarm = [](StoreRig& rig) { rig.disk.fail_never(); };
    return blow;
  });
}

// What the loops below strike. SQLite's three files go through the same Disk as data files do.
TEST(NthFailure, TheWorkloadMakesEveryCallOfTheDiskOnEachKindOfFile) {
  std::map<std::string, std::uint64_t> places;
  Blow none;
  none.arm = [&](StoreRig& rig) { rig.disk.count_places(&places); };
  none.has_struck = [](StoreRig&) { return false; };
  none.place = [](StoreRig&) { return ""; };
  none.disarm = [](StoreRig& rig) { rig.disk.count_places(nullptr); };
  ASSERT_EQ(FailureRun(none, 1).go(), "");
  std::map<std::string, std::uint64_t> kinds;
  for (const auto& [place, count] : places) {
    const auto objects = place.find(" objects");
    kinds[objects == place.npos ? place : place.substr(0, objects) + " objects"] += count;
  }
  for (const auto* expected :
       {"open coffer.db", "open coffer.db-wal", "open coffer.tags", "open objects", "make objects", "pread coffer.db",
        "pread coffer.db-wal", "pread coffer.tags", "pread objects", "pwrite coffer.db", "pwrite coffer.db-wal",
        "pwrite coffer.tags", "pwrite objects", "sync coffer.db", "sync coffer.db-wal", "sync coffer.tags",
        "sync objects", "sync folder objects", "sync all ", "allocate coffer.db", "punch objects", "remove objects",
        "size coffer.db", "size coffer.db-wal", "list objects", "space "}) {
    EXPECT_GT(kinds[expected], 0u) << expected;
  }
}

TEST(NthFailure, AnIoErrorOfAnyDiskCallLosesNothingAnswered) {
  for_every_disk_call("EIO", Fault::kIo, Counted::kEveryCall, 5);
}
TEST(NthFailure, AFullDiskAtAnyCallLosesNothingAnswered) {
  for_every_disk_call("ENOSPC", Fault::kNoSpace, Counted::kChanges, 3);
}
TEST(NthFailure, AShortWriteAtAnyCallLosesNothingAnswered) {
  for_every_disk_call("a short write", Fault::kShort, Counted::kChanges, 3);
}
TEST(NthFailure, ATornWriteAtAnyCallLosesNothingAnswered) {
  for_every_disk_call("a torn write", Fault::kTorn, Counted::kChanges, 3);
  for_every_disk_call("a torn write on a quick disk", Fault::kTorn, Counted::kChanges, 3, DiskSyncs::kAtOnce);
}
TEST(NthFailure, APowerCutAtAnyCallLosesNothingSynced) {
  for_every_disk_call("a power cut", Fault::kPowerOff, Counted::kChanges, 3);
  for_every_disk_call("a power cut of a quick disk", Fault::kPowerOff, Counted::kChanges, 3, DiskSyncs::kAtOnce);
}

TEST(NthFailure, AKmsThatFailsAtAnyCallLosesNothingAnswered) {
  for_every_n("a failing KMS", 1, [&](std::uint64_t n) {
    Blow blow;
    blow.arm = [=](StoreRig& rig) { rig.kms_calls().fail_at(n); };
    blow.has_struck = [](StoreRig& rig) { return rig.kms_calls().failed(); };
    blow.place = [](StoreRig&) { return "KMS"; };
    blow.disarm = [](StoreRig& rig) { rig.kms_calls().fail_never(); };
    return blow;
  });
}

// At each call of the KMS in turn it thinks, while another thread writes, syncs and checkpoints.
TEST(NthFailure, AKmsThatIsSlowAtAnyCallHoldsUpNobodyElse) {
  for_every_n("a slow KMS", 1, [&](std::uint64_t n) {
    const auto waited = std::make_shared<bool>(false);
    Blow blow;
    blow.may_fail = false;
    blow.arm = [=](StoreRig& rig) {
      rig.kms_calls().wait_at(n, [&rig, waited] {
        *waited = true;
        auto beside = std::async(std::launch::async, [&rig]() -> Status {
          auto& store = rig.store();
          COFFER_ASSIGN(const auto ino, store.resolve("beside", "file"));
          COFFER_TRY(store.write(ino, kChunkSize / 2, some_bytes(kChunkSize, 1)));
          COFFER_TRY(store.commit_soon());
          COFFER_TRY(store.sync(ino));
          COFFER_TRY(store.collect_garbage());
          return store.finish();
        });
        ASSERT_EQ(beside.wait_for(std::chrono::seconds(60)), std::future_status::ready) << "a lock is held across the KMS";
        const auto done = beside.get();
        EXPECT_TRUE(done.ok()) << done.error().message;
      });
    };
    blow.has_struck = [=](StoreRig&) { return *waited; };
    blow.place = [](StoreRig&) { return "a slow KMS"; };
    blow.disarm = [](StoreRig& rig) { rig.kms_calls().fail_never(); };
    return blow;
  });
}

TEST(NthFailure, AnAllocationOfSqliteThatFailsLosesNothingAnswered) {
  for_every_n("no memory for SQLite", 97, [&](std::uint64_t n) {
    Blow blow;
    blow.arm = [=](StoreRig&) {
      Allocations::begin();
      Allocations::fail_at(n);
    };
    blow.has_struck = [](StoreRig&) { return Allocations::failed(); };
    blow.place = [](StoreRig&) { return "an allocation"; };
    blow.disarm = [](StoreRig&) { Allocations::fail_at(0); };
    return blow;
  });
}

}  // namespace
}  // namespace coffer
