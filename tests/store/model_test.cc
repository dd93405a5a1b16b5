#include <gtest/gtest.h>

#include "store/fsck.h"
#include "tests/store/store_model.h"
#include "tests/support/effort.h"

namespace coffer {
namespace {

using testing::difference;
using testing::RandomTree;
using testing::StoreRig;
using testing::TreeModel;

// One run: random operations, commits, syncs, kills and power cuts, with every state an answered operation left behind.
class ModelRun {
 public:
  explicit ModelRun(std::uint64_t seed) : rig_(seed), tree_(rig_, seed * 7919 + 1), seed_(seed) {
    if (seed % 2 == 1) rig_.sync_at_once();
  }

  // What went wrong, or nothing.
  std::string go() {
    if (auto made = rig_.store().create_bucket(*BucketName::parse("bucket"), NewInode{0755, 1, 1, 0}); !made)
      return made.error().message;
    key_ = rig_.kms().create_key("")->arn;
    if (auto synced = rig_.store().sync_all(); !synced) return synced.error().message;
    history_.push_back(tree_.model);
    const int steps = 80 + static_cast<int>(tree_.pick(80));
    for (int i = 0; i < steps; ++i) {
      auto wrong = step();
      log_ += std::to_string(i) + ": " + tree_.last + "\n";
      if (!wrong.empty()) return wrong;
    }
    if (auto synced = rig_.store().sync_all(); !synced) return "the last sync: " + synced.error().message;
    rig_.reopen();
    if (auto wrong = difference(tree_.model, rig_, "bucket"); !wrong.empty()) return "at the end: " + wrong;
    const auto report = fsck(rig_.catalog(), rig_.disk, rig_.keyring(), StoreRig::principal(), FsckMode::kCheck, SystemClock(),
                             [](auto, auto) {});
    if (!report) return "fsck: " + report.error().message;
    return report->damage.empty() ? "" : "fsck: " + report->damage.front().line();
  }
  const std::string& log() const { return log_; }

 private:
  std::string step() {
    rig_.clock.advance_ns(1'000'000);
    switch (tree_.pick(40)) {
      case 0:
      case 1:
      case 2: return commit();
      case 3: return sync();
      case 4: return reseal();
      case 5: return change_rule();
      case 6: return tree_.pick(2) == 0 ? kill() : crash();
      case 7: return reopen();
      case 8: {
        tree_.last = "garbage";
        const auto done = rig_.store().collect_garbage();
        return done.ok() ? "" : done.error().message;
      }
      case 9: tree_.last = "compare"; return difference(tree_.model, rig_, "bucket");
      default: break;
    }
    const auto done = tree_.step();
    history_.push_back(tree_.model);
    return done.ok() ? "" : done.error().message;
  }
  std::string commit() {
    tree_.last = "commit";
    const auto done = rig_.store().commit_soon();
    committed_ = history_.size() - 1;
    return done.ok() ? "" : done.error().message;
  }
  std::string sync() {
    tree_.last = "sync";
    const auto done = rig_.store().sync_all();
    committed_ = synced_ = history_.size() - 1;
    return done.ok() ? "" : done.error().message;
  }
  std::string reseal() {
    tree_.last = "reseal";
    for (auto steps = 1 + tree_.pick(6); steps > 0; --steps)
      if (auto done = rig_.store().reseal_step(); !done) return done.error().message;
    return "";
  }
  std::string change_rule() {
    tree_.last = "rule";
    SseRule rule;
    const auto kind = tree_.pick(4);
    if (kind > 0) rule.kms_key = key_;
    if (kind == 1) rule.algorithm = SseAlgorithm::kAwsKms;
    if (kind == 2) rule.algorithm = SseAlgorithm::kAwsKms, rule.bucket_key_enabled = true;
    if (kind == 3) rule.algorithm = SseAlgorithm::kAwsKmsDsse;
    if (kind == 3 && !StoreRig::suite().can_double()) return "";
    const auto done = tree_.put_rule(rule);
    if (done) history_.push_back(tree_.model);
    committed_ = synced_ = history_.size() - 1;
    return done.ok() ? "" : done.error().message;
  }
  std::string reopen() {
    tree_.last = "close and open";
    if (auto done = rig_.store().sync_all(); !done) return done.error().message;
    committed_ = synced_ = history_.size() - 1;
    rig_.reopen();
    return "";
  }
  std::string kill() {
    tree_.last = "kill";
    rig_.kill();
    return find_again(committed_);
  }
  std::string crash() {
    const auto boot = tree_.pick(2) == 0 ? StoreRig::Boot::kAnother : StoreRig::Boot::kSame;
    tree_.last = boot == StoreRig::Boot::kAnother ? "power cut" : "the disk goes away";
    rig_.crash(seed_ * 31 + history_.size(), testing::SimulatedDisk::Keep::kRandomPart, boot);
    return find_again(synced_);
  }
  // The store must be as some answered operation left it, not before `oldest`.
  std::string find_again(std::size_t oldest) {
    if (auto opened = rig_.try_open(); !opened) return "opening: " + opened.error().message;
    std::string first_wrong;
    for (auto at = history_.size(); at-- > oldest;) {
      const auto wrong = difference(history_[at], rig_, "bucket");
      if (wrong.empty()) {
        tree_.model = history_[at];
        history_.resize(at + 1);
        committed_ = synced_ = at;  // opening makes it durable
        return "";
      }
      first_wrong = wrong;
    }
    return "no state since the last commit fits; the oldest: " + first_wrong;
  }

  StoreRig rig_;
  RandomTree tree_;
  const std::uint64_t seed_;
  std::string key_, log_;
  std::vector<TreeModel> history_;
  std::size_t committed_ = 0, synced_ = 0;
};

TEST(Model, AnsweredOperationsAreAPrefixThroughKillsAndPowerCuts) {
  const auto first = testing::first_seed(), count = testing::seeds_wanted(1000);
  for (auto seed = first; seed < first + count; ++seed) {
    ModelRun run(seed);
    const auto wrong = run.go();
    ASSERT_EQ(wrong, "") << "COFFER_SEED=" << seed << " COFFER_SEEDS=1 shows it again\n" << run.log();
  }
}

// The n-th change of the disk fails, for every n until none does: nothing answered before it is lost.
class FaultRun {
 public:
  std::string go(std::uint64_t n, testing::SimulatedDisk::Fault fault, bool& happened) {
    StoreRig rig(n);
    if (fault == testing::SimulatedDisk::Fault::kNoSpace || fault == testing::SimulatedDisk::Fault::kPowerOff) rig.sync_at_once();
    RandomTree tree(rig, 4242);
    if (!rig.store().create_bucket(*BucketName::parse("bucket"), NewInode{0755, 1, 1, 0})) return "no bucket";
    std::vector<TreeModel> since_sync{tree.model};
    rig.disk.fail_at(n, fault);
    bool failed = false;
    for (int i = 0; i < 60 && !failed; ++i) {
      const auto before = tree.model;
      failed = !tree.step().ok();
      if (failed) tree.model = before;
      since_sync.push_back(tree.model);
      if (i % 7 == 3) failed |= !rig.store().commit_soon().ok();
      if (i % 20 == 19 && !failed) {
        failed = !rig.store().sync_all().ok();
        if (!failed) since_sync = {tree.model};
      }
    }
    happened = rig.disk.fault_happened();
    rig.disk.fail_never();
    const bool dead = fault == testing::SimulatedDisk::Fault::kPowerOff && happened;
    if (!dead && !rig.store().poisoned()) {
      if (auto wrong = difference(tree.model, rig, "bucket"); !wrong.empty()) return "still running: " + wrong;
      if (auto synced = rig.store().sync_all(); !synced) return "syncing again: " + synced.error().message;
      since_sync = {tree.model};
    }
    // On a full disk commits do not tell what they count on, and a reboot has to follow.
    const bool same = n % 2 == 0 && fault != testing::SimulatedDisk::Fault::kNoSpace;
    rig.crash(n, testing::SimulatedDisk::Keep::kRandomPart, same ? StoreRig::Boot::kSame : StoreRig::Boot::kAnother);
    if (auto opened = rig.try_open(); !opened) return "opening: " + opened.error().message;
    std::string wrong;
    for (const auto& model : since_sync) {
      wrong = difference(model, rig, "bucket");
      if (wrong.empty()) return "";
    }
    return "no state since the last sync fits; the newest: " + wrong;
  }
};

TEST(Model, TheNthFailureOfTheDiskLosesNothingAnswered) {
  using Fault = testing::SimulatedDisk::Fault;
  for (const auto fault : {Fault::kIo, Fault::kNoSpace, Fault::kTorn, Fault::kPowerOff}) {
    bool happened = true;
    for (std::uint64_t n = 1; happened && n < 2000; n += testing::stride(1)) {
      const auto wrong = FaultRun().go(n, fault, happened);
      ASSERT_EQ(wrong, "") << "fault " << static_cast<int>(fault) << " at " << n;
    }
  }
}

}  // namespace
}  // namespace coffer
