#include <gtest/gtest.h>

#include "store/fsck.h"
#include "tests/store/store_model.h"
#include "tests/support/effort.h"

// All sequences of one and of two operations from a small tree, each with every choice of what makes it durable, and the
// power cut behind it: as CrashMonkey's ACE enumerates them (Mohan et al., OSDI 2018). What must hold of each state that
// the disk may be in then: it mounts, fsck finds nothing, and the tree is as one of the answered operations left it, none
// before that which was synced. Data files and the catalog's files are on one simulated disk, which keeps of what no sync
// covers nothing, everything, or any sectors of any of them.
namespace coffer {
namespace {

using testing::difference;
using testing::ModelledTree;
using testing::SimulatedDisk;
using testing::some_bytes;
using testing::StoreRig;
using testing::TreeModel;
using Keep = SimulatedDisk::Keep;

// What is there before: a file in the catalog and one with a data file, each in a directory, and an empty directory.
constexpr const char* kSmall = "A/foo";
constexpr const char* kLarge = "B/bar";
constexpr std::uint64_t kSmallSize = 3000, kLargeSize = 3 * kChunkSize + 100;

struct Start {
  std::shared_ptr<const SimulatedDisk::Image> image;
  TreeModel model;
  std::string key;

  Start() {
    StoreRig rig;
    ModelledTree tree(rig);
    const auto must = [](const Status& done) { EXPECT_TRUE(done.ok()) << done.error().message; };
    must(ModelledTree::status_of(rig.store().create_bucket(*BucketName::parse("bucket"), NewInode{0755, 1, 1, 0})));
    key = rig.kms().create_key("")->arn;
    for (const auto* directory : {"A", "B", "C"}) must(tree.make_directory(directory));
    must(tree.create(kSmall));
    must(tree.write(kSmall, 0, kSmallSize, 1));
    must(tree.set_xattr(kSmall, "user.old", some_bytes(20, 2)));
    must(tree.create(kLarge));
    must(tree.write(kLarge, 0, kLargeSize, 3));
    must(tree.make_symlink("A/symlink", "foo"));
    must(rig.store().sync_all());
    model = tree.model;
    rig.disk.kill();
    image = rig.disk.image();
  }
};

const Start& start() {
  static const Start kStart;
  return kStart;
}

struct Operation {
  std::string text;
  std::vector<std::string> needs;  // names without which it has nothing to do
  std::string object;              // what it changed, under the name that it has afterwards
  std::optional<std::string> left; // the directory that lost a name, where it is not the object's own
  std::function<Status(ModelledTree&)> run;
  bool answers_durable = false;
};

SseRule rule(SseAlgorithm algorithm, bool bucket_key = false) {
  SseRule made;
  made.algorithm = algorithm;
  if (algorithm != SseAlgorithm::kAes256) made.kms_key = start().key;
  made.bucket_key_enabled = bucket_key;
  return made;
}

Status reseal(ModelledTree& tree, ResealScope what) {
  COFFER_TRY(ModelledTree::status_of(tree.store().queue_reseal(*BucketName::parse("bucket"), "", what)));
  return tree.reseal();
}

// Removed while it is open; the handle goes with the power.
Status unlink_held(ModelledTree& tree, const std::string& path) {
  if (!tree.is_file(path)) return tree.unlink(path);
  COFFER_ASSIGN(const auto ino, tree.ino_of(path));
  COFFER_TRY(tree.store().open_object(ino, /*truncate=*/false));
  COFFER_TRY(tree.unlink(path));
  if (tree.model.nodes.contains(ino)) return {};  // under another name it is not gone
  return tree.store().write(ino, kChunkSize, some_bytes(kChunkSize, 4));
}

// Every kind of operation with its choices of operands: the file in the catalog and the one with a data file, names that are
// free and taken, sizes around what each layout turns on.
std::vector<Operation> all_operations() {
  std::vector<Operation> all;
  constexpr std::uint64_t chunk = kChunkSize;
  const std::string small = kSmall, large = kLarge;

  for (const auto* path : {"A/new", "C/new", "new"})
    all.push_back({"create", {}, path, {}, [=](auto& tree) { return tree.create(path); }});
  for (const auto* path : {"A/d", "d"})
    all.push_back({"mkdir", {}, path, {}, [=](auto& tree) { return tree.make_directory(path); }});
  all.push_back({"symlink", {}, "A/s", {}, [](auto& tree) { return tree.make_symlink("A/s", "../B/bar"); }});
  all.push_back({"mkfifo", {}, "C/p", {}, [](auto& tree) { return tree.make_fifo("C/p"); }});
  const auto link = [&](const std::string& from, const std::string& to) {
    all.push_back({"link " + from, {from}, to, {}, [=](auto& tree) { return tree.link(from, to); }});
  };
  link(small, "A/hard");
  link(small, "C/hard");
  link(large, "B/hard");
  link(large, small);  // taken

  for (const std::string& path : {small, large, std::string("A/symlink"), std::string("A/new"), std::string("A/hard")})
    all.push_back({"unlink", {path}, path, {}, [=](auto& tree) { return tree.unlink(path); }});
  for (const auto& path : {small, large})
    all.push_back({"unlink while open", {path}, path, {}, [=](auto& tree) { return unlink_held(tree, path); }});
  for (const auto* path : {"A", "C", "A/d"})
    all.push_back({"rmdir", {path}, path, {}, [=](auto& tree) { return tree.remove_directory(path); }});

  const auto rename = [&](const std::string& from, const std::string& to, RenameMode mode = RenameMode::kReplace) {
    static constexpr const char* kModes[] = {"", " NOREPLACE", " EXCHANGE"};
    const auto left = TreeModel::parent_of(from);
    all.push_back({"rename" + std::string(kModes[static_cast<int>(mode)]) + " " + from, {from}, to,
                   left == TreeModel::parent_of(to) ? std::nullopt : std::optional(left),
                   [=](auto& tree) { return tree.rename(from, to, mode); }});
  };
  rename(small, "A/moved");
  rename(small, "C/moved");
  rename(small, large);
  rename(large, "B/moved");
  rename(large, "C/moved");
  rename(large, small);
  rename("A/new", small);  // write anew, rename over
  rename("A/symlink", small);
  rename("C", "A/C");
  rename("A", "C");  // over an empty directory
  rename("B", "A/B");
  rename(small, "C/moved", RenameMode::kNoReplace);
  rename(small, large, RenameMode::kNoReplace);
  rename(small, large, RenameMode::kExchange);
  rename("A", "B", RenameMode::kExchange);
  rename(small, "C", RenameMode::kExchange);

  const auto write = [&](const std::string& path, std::uint64_t offset, std::uint64_t size) {
    all.push_back({"write " + std::to_string(offset) + "+" + std::to_string(size), {path}, path, {},
                   [=](auto& tree) { return tree.write(path, offset, size, offset + size); }});
  };
  write(small, 100, 500);
  write(small, 20'000, 100);  // leaves a hole, and the catalog
  write(large, chunk - 10, 20);
  write(large, chunk, chunk);
  write(large, 6 * chunk, 100);
  write("A/new", 0, 3000);
  write("A/new", 0, 2 * chunk + 1);
  const auto append = [&](const std::string& path, std::uint64_t size) {
    all.push_back({"append " + std::to_string(size), {path}, path, {}, [=](auto& tree) { return tree.append(path, size, size); }});
  };
  append(small, 200);
  append(small, 7000);  // leaves the catalog
  append(large, 5000);
  const auto resize = [&](const std::string& path, std::uint64_t size) {
    all.push_back({"truncate to " + std::to_string(size), {path}, path, {}, [=](auto& tree) { return tree.resize(path, size); }});
  };
  for (const std::uint64_t size : {std::uint64_t{0}, std::uint64_t{1000}, std::uint64_t{5000}, 2 * chunk}) resize(small, size);
  for (const std::uint64_t size : {std::uint64_t{0}, std::uint64_t{1000}, chunk + 7, 5 * chunk}) resize(large, size);
  for (const auto& path : {small, large})
    all.push_back({"open O_TRUNC", {path}, path, {}, [=](auto& tree) { return tree.open_truncated(path); }});

  const auto fallocate = [&](const std::string& path, FallocateMode mode, std::uint64_t offset, std::uint64_t size) {
    static constexpr const char* kModes[] = {"", " KEEP_SIZE", " PUNCH_HOLE", " ZERO_RANGE", " ZERO_RANGE KEEP_SIZE"};
    all.push_back({"fallocate" + std::string(kModes[static_cast<int>(mode)]) + " " + std::to_string(offset) + "+" + std::to_string(size),
                   {path}, path, {}, [=](auto& tree) { return tree.fallocate(path, mode, offset, size); }});
  };
  fallocate(small, FallocateMode::kAllocate, 2000, 12'000);
  fallocate(small, FallocateMode::kAllocateKeepSize, 0, 12'000);
  fallocate(small, FallocateMode::kPunchHole, 100, 500);
  fallocate(small, FallocateMode::kZero, 2900, 500);
  fallocate(large, FallocateMode::kAllocate, 3 * chunk, 2 * chunk);
  fallocate(large, FallocateMode::kAllocateKeepSize, 3 * chunk, 2 * chunk);
  fallocate(large, FallocateMode::kPunchHole, chunk / 2, 2 * chunk);
  fallocate(large, FallocateMode::kZero, 3 * chunk, chunk);
  fallocate(large, FallocateMode::kZeroKeepSize, chunk, chunk);

  for (const std::string& path : {small, large, std::string("A"), std::string("C")})
    all.push_back({"chmod", {path}, path, {}, [=](auto& tree) { return tree.change_mode(path, 0500); }});
  for (const std::string& path : {small, std::string("A")})
    all.push_back({"chown", {path}, path, {}, [=](auto& tree) { return tree.change_owner(path, 7, 8); }});
  for (const auto& path : {small, large})
    all.push_back({"utimens", {path}, path, {}, [=](auto& tree) { return tree.change_times(path, 1'000'000'007); }});
  const auto set_xattr = [&](const std::string& path, const std::string& name, std::size_t size) {
    all.push_back({"setxattr " + name, {path}, path, {},
                   [=](auto& tree) { return tree.set_xattr(path, name, some_bytes(size, size)); }});
  };
  set_xattr(small, "user.old", 30);
  set_xattr(large, "user.new", 6000);
  set_xattr("A", "user.new", 10);
  all.push_back({"removexattr", {small}, small, {}, [=](auto& tree) { return tree.remove_xattr(small, "user.old"); }});

  const auto copy = [&](const std::string& from, const std::string& to) {
    all.push_back({"copy_range " + from, {from, to}, to, {}, [=](auto& tree) { return tree.copy_range(from, to, 2 * chunk); }});
  };
  copy(small, large);
  copy(large, small);
  copy(large, "A/new");

  const auto put_rule = [&](const char* text, const SseRule& put) {
    all.push_back({text, {}, "", {}, [=](auto& tree) { return tree.put_rule(put); }, /*answers_durable=*/true});
  };
  put_rule("PutBucketEncryption aws:kms", rule(SseAlgorithm::kAwsKms));
  put_rule("PutBucketEncryption aws:kms with a Bucket Key", rule(SseAlgorithm::kAwsKms, /*bucket_key=*/true));
  if (StoreRig::suite().can_double()) put_rule("PutBucketEncryption aws:kms:dsse", rule(SseAlgorithm::kAwsKmsDsse));
  all.push_back({"reseal", {}, large, {}, [](auto& tree) { return reseal(tree, ResealScope::kWhatIsDue); }});
  all.push_back({"reseal --data", {}, small, {}, [](auto& tree) { return reseal(tree, ResealScope::kNewDataKeys); }});
  all.push_back({"CreateBucket", {}, "", {},
                 [](auto& tree) { return tree.create_bucket(tree.model.other_buckets.empty() ? "second" : "third"); },
                 /*answers_durable=*/true});
  return all;
}

const std::vector<Operation>& operations() {
  static const std::vector<Operation> kOperations = all_operations();
  return kOperations;
}

// What follows an operation. fdatasync(2) is fsync(2) here, syncfs(2) does not reach a FUSE server: fsync of the root stands for it.
enum class Persistence { kNone, kSoftCommit, kFsyncObject, kFsyncDirectory, kFsyncDirectoryLeft, kFsyncOther, kSyncAll };
constexpr Persistence kPersistences[] = {Persistence::kNone,           Persistence::kSoftCommit,         Persistence::kFsyncObject,
                                         Persistence::kFsyncDirectory, Persistence::kFsyncDirectoryLeft, Persistence::kFsyncOther,
                                         Persistence::kSyncAll};
constexpr const char* kPersistenceNames[] = {"nothing",         "the soft commit", "fsync of it", "fsync of its directory",
                                             "fsync of the directory it left", "fsync of another file", "sync of all"};

struct Step {
  const Operation& operation;
  Persistence persistence;

  std::string text() const {
    return operation.text + " " + operation.object + ", then " + kPersistenceNames[static_cast<int>(persistence)];
  }
};
using Sequence = std::vector<Step>;

std::string text_of(const Sequence& sequence) {
  std::string text;
  for (const auto& step : sequence) text += (text.empty() ? "" : "; ") + step.text();
  return text;
}

struct Tally {
  std::uint64_t sequences = 0, without = 0, crashes = 0, states = 0, newest_lost = 0, newest_kept = 0;
};

// One sequence from the start, and how it may be found afterwards.
class SequenceRun {
 public:
  enum class DiskSyncs { kSlowly, kAtOnce };
  SequenceRun(const Sequence& sequence, Tally& tally, DiskSyncs syncs)
      : sequence_(sequence), tally_(tally), syncs_(syncs), rig_(*start().image, /*boot=*/1), tree_(rig_) {
    tree_.model = start().model;
  }

  enum class Outcome { kDone, kNothingToDo, kWrong };
  // cut_at: the power goes at this call of the disk in the last step; 0: it does not.
  Outcome go(std::uint64_t cut_at = 0) {
    if (auto opened = rig_.try_open(); !opened) return wrong("opening the start: " + opened.error().message);
    if (syncs_ == DiskSyncs::kAtOnce)
      if (auto synced = sync_a_data_file(); !synced) return wrong("syncing beside: " + synced.error().message);
    for (const auto& step : sequence_) {
      const bool is_last = &step == &sequence_.back();
      calls_before_ = rig_.disk.calls(SimulatedDisk::Counted::kChanges);
      if (is_last && cut_at > 0) rig_.disk.fail_at(cut_at, SimulatedDisk::Fault::kPowerOff);
      if (!can_begin(step)) return Outcome::kNothingToDo;
      auto done = take(step);
      if (done && !can_persist(step)) return Outcome::kNothingToDo;
      if (done) done = persist(step);
      if (!done && !rig_.disk.is_off()) return wrong(step.text() + ": " + done.error().message);
    }
    calls_of_last_ = rig_.disk.calls(SimulatedDisk::Counted::kChanges) - calls_before_;
    image_ = rig_.disk.image();
    rig_.drop();
    return Outcome::kDone;
  }
  const std::string& what_went_wrong() const { return wrong_; }
  std::uint64_t calls_of_last() const { return calls_of_last_; }

  // What went wrong after the process ended, or nothing.
  std::string after_a_kill() { return look(/*boot=*/1, committed_, "after a kill", std::nullopt, 0); }
  std::string after_a_power_cut(Keep keep, std::uint64_t seed = 0) {
    return without_cache("a power cut", /*boot=*/2, keep, seed);
  }
  // Unplugged, say: its cache is lost, and the boot is the same.
  std::string after_the_disk_went_away(Keep keep, std::uint64_t seed = 0) {
    return without_cache("the disk went away", /*boot=*/1, keep, seed);
  }

 private:
  Store& store() { return rig_.store(); }
  Outcome wrong(std::string what) {
    wrong_ = std::move(what);
    return Outcome::kWrong;
  }
  // Beside the sequence: the store knows then how quick the disk is.
  Status sync_a_data_file() {
    rig_.sync_at_once();
    COFFER_TRY(tree_.create_bucket("beside"));
    COFFER_ASSIGN(const auto bucket, store().resolve("beside", ""));
    COFFER_ASSIGN(const auto file, store().create(bucket, "file", NewInode{0644, 1, 1, 0}));
    COFFER_TRY(store().write(file.ino, 0, some_bytes(kLargeSize, 4)));
    history_ = {tree_.model};
    return store().sync_all();
  }

  bool exists(const std::string& path) const { return path.empty() || tree_.model.names.contains(path); }
  bool can_begin(const Step& step) const {
    for (const auto& name : step.operation.needs)
      if (!exists(name)) return false;
    return tree_.model.is_directory(TreeModel::parent_of(step.operation.object));
  }
  // A file that has nothing to do with the operation.
  static const char* other_than(const Operation& operation) { return operation.object == kLarge ? kSmall : kLarge; }
  // False also where it would be the same as another choice.
  bool can_persist(const Step& step) const {
    const auto& operation = step.operation;
    switch (step.persistence) {
      case Persistence::kNone:
      case Persistence::kSoftCommit:
      case Persistence::kSyncAll: return true;
      case Persistence::kFsyncObject: return !operation.object.empty() && exists(operation.object);
      case Persistence::kFsyncDirectory: return exists(TreeModel::parent_of(operation.object));
      case Persistence::kFsyncDirectoryLeft: return operation.left && exists(*operation.left);
      case Persistence::kFsyncOther: return exists(other_than(operation));
    }
    return false;
  }

  Status take(const Step& step) {
    rig_.clock.advance_ns(1'000'000);
    auto done = step.operation.run(tree_);
    history_.push_back(tree_.model);
    if (!done && tree_.unsure) history_.push_back(*tree_.unsure);
    if (done && step.operation.answers_durable) committed_ = synced_ = history_.size() - 1;
    return done;
  }
  Status persist(const Step& step) {
    const auto& operation = step.operation;
    const auto newest = history_.size() - 1;
    switch (step.persistence) {
      case Persistence::kNone: return {};
      case Persistence::kSoftCommit:
        COFFER_TRY(store().commit_soon());
        committed_ = newest;
        return {};
      case Persistence::kFsyncObject: COFFER_TRY(fsync(operation.object)); break;
      case Persistence::kFsyncDirectory: COFFER_TRY(fsync(TreeModel::parent_of(operation.object))); break;
      case Persistence::kFsyncDirectoryLeft: COFFER_TRY(fsync(*operation.left)); break;
      case Persistence::kFsyncOther: return fsync(other_than(operation));  // promises nothing of what came before
      case Persistence::kSyncAll: COFFER_TRY(store().sync_all()); break;
    }
    committed_ = synced_ = newest;
    return {};
  }
  Status fsync(const std::string& path) {
    COFFER_ASSIGN(const auto ino, tree_.ino_of(path));
    return store().sync(ino);
  }

  std::string without_cache(const std::string& what, int boot, Keep keep, std::uint64_t seed) {
    static constexpr const char* kKept[] = {"nothing", "everything", "a part"};
    const auto when = "after " + what + " and kept " + kKept[static_cast<int>(keep)] + ", seed " + std::to_string(seed);
    return look(boot, synced_, when, keep, seed);
  }
  std::string look(int boot, std::size_t oldest, const std::string& when, std::optional<Keep> keep, std::uint64_t seed) {
    StoreRig other(*image_, boot);
    if (keep) other.disk.crash(seed, *keep);
    other.disk.start();
    ++tally_.states;
    if (auto opened = other.try_open(); !opened) return when + ", opening: " + opened.error().message;
    if (auto wrong = is_in_history(other, oldest); !wrong.empty()) return when + ": " + wrong;
    const auto report = fsck(other.catalog(), other.disk, other.keyring(), StoreRig::principal(), FsckMode::kCheck, SystemClock(),
                             [](auto, auto) {});
    if (!report) return when + ", fsck: " + report.error().message;
    if (!report->damage.empty()) return when + ", fsck: " + report->damage.front().line();
    const auto goes_on = other.store().sync_all();
    return goes_on ? "" : when + ", syncing: " + goes_on.error().message;
  }
  std::string is_in_history(StoreRig& rig, std::size_t oldest) {
    std::string newest;
    for (auto at = history_.size(); at-- > oldest;) {
      const auto wrong = difference(history_[at], rig, "bucket");
      if (wrong.empty()) {
        ++(at + 1 == history_.size() ? tally_.newest_kept : tally_.newest_lost);
        return "";
      }
      if (newest.empty()) newest = wrong;
    }
    return "as no answered operation left it since what was synced; against the newest: " + newest;
  }

  const Sequence& sequence_;
  Tally& tally_;
  const DiskSyncs syncs_;
  StoreRig rig_;
  ModelledTree tree_;
  std::vector<TreeModel> history_{start().model};
  std::size_t committed_ = 0, synced_ = 0;
  std::uint64_t calls_before_ = 0, calls_of_last_ = 0;
  std::shared_ptr<const SimulatedDisk::Image> image_;
  std::string wrong_;
};

// Runs a sequence, and looks at what each way to end leaves; and again, with the power going while its last step runs.
// What went wrong, or nothing.
std::string check(const Sequence& sequence, std::uint64_t seed, bool also_within, Tally& tally) {
  const auto syncs = seed % 2 == 0 ? SequenceRun::DiskSyncs::kSlowly : SequenceRun::DiskSyncs::kAtOnce;
  SequenceRun run(sequence, tally, syncs);
  switch (run.go()) {
    case SequenceRun::Outcome::kDone: break;
    case SequenceRun::Outcome::kNothingToDo: ++tally.without; return "";
    case SequenceRun::Outcome::kWrong: return run.what_went_wrong();
  }
  ++tally.sequences;
  ++tally.crashes;
  auto wrong = run.after_a_kill();
  if (wrong.empty()) wrong = run.after_a_power_cut(Keep::kNothing);
  if (wrong.empty()) wrong = run.after_a_power_cut(Keep::kEverything);
  if (wrong.empty()) wrong = run.after_a_power_cut(Keep::kRandomPart, seed);
  if (wrong.empty()) wrong = run.after_the_disk_went_away(Keep::kRandomPart, seed);
  if (!wrong.empty() || !also_within || run.calls_of_last() == 0) return wrong;

  const auto call = 1 + seed % run.calls_of_last();
  SequenceRun cut(sequence, tally, syncs);
  if (cut.go(call) != SequenceRun::Outcome::kDone) return "a second time: " + cut.what_went_wrong();
  ++tally.crashes;
  wrong = cut.after_a_power_cut(Keep::kNothing);
  if (wrong.empty()) wrong = cut.after_a_power_cut(Keep::kRandomPart, seed);
  if (wrong.empty()) wrong = cut.after_the_disk_went_away(Keep::kNothing);
  if (wrong.empty()) wrong = cut.after_the_disk_went_away(Keep::kRandomPart, seed);
  return wrong.empty() ? "" : "at call " + std::to_string(call) + " of the last step, " + wrong;
}

std::vector<Step> all_steps() {
  std::vector<Step> steps;
  for (const auto& operation : operations())
    for (const auto persistence : kPersistences)
      if (persistence != Persistence::kFsyncDirectoryLeft || operation.left) steps.push_back({operation, persistence});
  return steps;
}

void tell(const char* what, std::uint64_t steps, std::uint64_t seed, const Tally& tally) {
  std::printf("%s: %zu operations, %llu with what follows them; seed %llu\n"
              "  %llu sequences (%llu more have nothing to do), %llu crashes, %llu states of the disk; "
              "the newest operation was there in %llu\n",
              what, operations().size(), static_cast<unsigned long long>(steps), static_cast<unsigned long long>(seed),
              static_cast<unsigned long long>(tally.sequences), static_cast<unsigned long long>(tally.without),
              static_cast<unsigned long long>(tally.crashes), static_cast<unsigned long long>(tally.states),
              static_cast<unsigned long long>(tally.newest_kept));
  // Were nothing ever lost, or all of it, then no crash would have tried anything.
  EXPECT_GT(tally.newest_lost, tally.states / 20);
  EXPECT_GT(tally.newest_kept, tally.states / 20);
}

TEST(Sequences, OfOneOperationKeepWhatWasSyncedAndLeaveAPrefix) {
  const auto steps = all_steps();
  const auto first = testing::first_seed(1), stride = testing::stride(1);
  Tally tally;
  for (std::size_t i = first % stride; i < steps.size(); i += stride) {
    const Sequence sequence{steps[i]};
    ASSERT_EQ(check(sequence, first + i, /*also_within=*/true, tally), "") << text_of(sequence) << "; COFFER_SEED=" << first;
  }
  tell("one operation", steps.size(), first, tally);
}

// A crash behind the first of two is a sequence of one.
TEST(Sequences, OfTwoOperationsKeepWhatWasSyncedAndLeaveAPrefix) {
  const auto steps = all_steps();
  const auto first = testing::first_seed(1), stride = testing::stride(2999);
  Tally tally;
  for (std::size_t i = first % stride; i < steps.size() * steps.size(); i += stride) {
    const Sequence sequence{steps[i / steps.size()], steps[i % steps.size()]};
    const bool also_within = (first + i) % 4 == 0;
    ASSERT_EQ(check(sequence, first + i, also_within, tally), "") << text_of(sequence) << "; COFFER_SEED=" << first;
  }
  tell("two operations", steps.size(), first, tally);
}

}  // namespace
}  // namespace coffer
