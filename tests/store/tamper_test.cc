#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "store/catalog_copy.h"
#include "tests/store/specimen.h"
#include "tests/support/effort.h"

// Everything that whoever has the folder can do to a whole store of each scheme. Always: what is served is as it was,
// or refused as damaged with nothing of it returned; what is not refused at the mount is what fsck names, and a scrub;
// and fsck --repair leaves a store that is sound, without what was hit and with all else.
// What happens to the catalog's files by themselves, block by block, is in sealed_tamper_test.cc.
namespace coffer::testing {
namespace {

constexpr std::size_t kFrameSize = 4124;
constexpr std::size_t kLogFrames = 8192;  // where they begin

class Tamper : public ::testing::TestWithParam<Scheme> {
 protected:
  Tamper() : specimen_(Specimen::of(GetParam())), rig_(*specimen_.ended_image, /*boot=*/1) { rig_.open(); }

  // Of the open store, after data files were tampered with: the victims are refused and named, all else is as it was.
  enum class Asked { kStore, kStoreAndFsck };
  void expect_refused(const std::set<std::string>& victims, Asked asked = Asked::kStoreAndFsck) {
    const auto served = serve(rig_.store());
    EXPECT_EQ(difference(served, specimen_.ended), "");
    EXPECT_FALSE(served.names_refused);
    EXPECT_EQ(served.refused(), victims);
    if (asked == Asked::kStore) return;
    EXPECT_EQ(named_by(fsck_damage(rig_)), victims);
    if (asked_++ % stride(40) != 0) return;
    EXPECT_EQ(named_by(scrub_damage(rig_)), victims);
    EXPECT_TRUE(repair([this](SimulatedDisk& disk) { take_data_files(disk); }, victims));
  }
  // The objects that fsck's lines begin with.
  static std::set<std::string> named_by(const std::vector<std::string>& damage) {
    std::set<std::string> named;
    for (const auto& line : damage) named.insert(line.substr(0, line.find(": ")));
    return named;
  }

  Bytes slot(const std::string& file, std::uint64_t offset) const {
    auto bytes = rig_.disk.bytes(file);
    bytes.resize(std::max<std::size_t>(bytes.size(), offset + kChunkSize));
    const auto at = bytes.begin() + static_cast<std::ptrdiff_t>(offset);
    return {at, at + kChunkSize};
  }
  void put_slot(const std::string& file, std::uint64_t offset, const Bytes& content) {
    auto bytes = rig_.disk.bytes(file);
    bytes.resize(std::max<std::size_t>(bytes.size(), offset + kChunkSize));
    std::copy(content.begin(), content.end(), bytes.begin() + static_cast<std::ptrdiff_t>(offset));
    rig_.disk.set_bytes(file, std::move(bytes));
  }
  void put_back(const std::string& file) { rig_.disk.set_bytes(file, specimen_.ended_files.at(file)); }
  // As they are on the open store's disk.
  void take_data_files(SimulatedDisk& disk) const {
    const auto files = rig_.disk.snapshot();
    for (const auto& [name, bytes] : specimen_.ended_files) {
      if (!name.starts_with("objects/")) continue;
      const auto now = files.find(name);
      if (now == files.end()) {
        ASSERT_TRUE(disk.remove(name).ok());
      } else if (now->second != bytes) {
        disk.set_bytes(name, now->second);
      }
    }
  }

  // One attack on the files of a store that is not mounted. Whether it was noticed: at the mount, which names one of
  // `files`, or by fsck. What is served all the same is as in `state`.
  using Attack = std::function<void(SimulatedDisk&)>;
  bool is_noticed(const SimulatedDisk::Image& image, const Attack& attack, const Served& state) {
    StoreRig rig(image, /*boot=*/1);
    attack(rig.disk);
    if (const auto opened = rig.try_open(); !opened.ok()) {
      expect_damaged(opened.error(), "the mount");
      EXPECT_NE(opened.error().message.find("coffer."), std::string::npos) << opened.error().message;
      if (refused_++ % stride(10) == 0 && &state == &specimen_.ended) {
        EXPECT_TRUE(repair(attack, {})) << "the copy of the catalog has it all";
      }
      return true;
    }
    const auto served = serve(rig.store());
    EXPECT_EQ(difference(served, state), "");
    const auto damage = fsck_damage(rig);
    if (asked_++ % stride(40) == 0) {
      EXPECT_EQ(scrub_damage(rig).empty(), damage.empty()) << "a scrub notices what fsck does";
      if (&state == &specimen_.ended) {
        EXPECT_TRUE(repair(attack, {})) << "the copy of the catalog has it all";
      }
    }
    const bool refused = !served.refused().empty() || served.names_refused;
    EXPECT_TRUE(!refused || !damage.empty()) << "what is refused, fsck names";
    return !damage.empty();
  }

  // After an attack and a repair: the store mounts, fsck and a scrub find nothing, and everything is there as it was but
  // the victims, which are in lost+found of their bucket. Whether it could be repaired; if not nothing was promised.
  bool repair(const Attack& attack, const std::set<std::string>& victims) {
    StoreRig rig(*specimen_.ended_image, /*boot=*/1);
    attack(rig.disk);
    if (!is_repaired(rig)) return false;
    const auto served = serve(rig.store());
    EXPECT_FALSE(served.names_refused);
    for (const auto& path : served.refused())
      EXPECT_NE(path.find("/lost+found/"), std::string::npos) << path << ": a part of it that is lost";
    for (const auto& [path, object] : specimen_.ended.objects) {
      const auto found = served.objects.find(path);
      EXPECT_EQ(found != served.objects.end(), !victims.contains(path)) << path;
      if (!victims.contains(path)) {
        EXPECT_TRUE(found != served.objects.end() && found->second == object) << path;
        continue;
      }
      const auto slash = path.find('/');
      const auto kept = path.substr(0, slash) + "/lost+found/" + path.substr(slash + 1) + ".";
      const auto next = served.objects.lower_bound(kept);
      EXPECT_TRUE(next != served.objects.end() && next->first.starts_with(kept)) << path;
    }
    return true;
  }
  // Whether fsck --repair took it on; then another look finds nothing, and the store is open.
  bool is_repaired(StoreRig& rig) {
    if (!run_fsck(rig, FsckMode::kRepair)) return false;
    EXPECT_TRUE(run_fsck(rig, FsckMode::kCheck)) << "a second look";
    const auto opened = rig.try_open();
    EXPECT_TRUE(opened.ok()) << opened.error().message;
    if (!opened.ok()) return false;
    EXPECT_EQ(scrub_damage(rig), std::vector<std::string>());
    return true;
  }
  bool run_fsck(StoreRig& rig, FsckMode mode) {
    std::vector<Damage> opening;
    auto catalog = mode == FsckMode::kRepair
                       ? open_catalog_repaired(rig.disk, keys_, StoreRig::suite(), "boot 1", opening)
                       : Catalog::open(rig.disk, keys_, StoreRig::suite(), "boot 1");
    if (!catalog) return false;
    auto kms = LocalKms::open(keys_, StoreRig::suite(), **catalog, rig.clock, StoreRig::realm());
    if (!kms) return false;
    BucketKeys bucket_keys(**kms, StoreRig::suite(), rig.clock);
    Keyring keyring(keys_, StoreRig::suite(), **kms, bucket_keys);
    const auto report = fsck(**catalog, rig.disk, keyring, StoreRig::principal(), mode, rig.clock, {});
    if (!report) return false;
    return mode == FsckMode::kRepair ? !report->damage_remains() : report->damage.empty();
  }

  const Specimen& specimen_;
  StoreRig rig_;
  KeySchedule keys_{Key::copy_of(Bytes(Key::kSize, 7)), StoreId{1, 2, 3}};
  std::uint64_t asked_ = 0;    // how often: of fsck each time, of a scrub and of a repair now and then
  std::uint64_t refused_ = 0;  // mounts
};

// --- data files ---

TEST_P(Tamper, EveryFlippedByteClassOfEveryChunkIsRefusedAndNamed) {
  std::uint64_t trial = 0;
  for (const std::string path : Specimen::kWithDataFiles) {
    const auto [file, places] = stored(rig_, path);
    ASSERT_FALSE(places.empty());
    for (const auto& place : places) {
      for (const std::uint64_t byte : {0U, place.length / 2, place.length - 1}) {
        SCOPED_TRACE(path + " byte " + std::to_string(byte) + " of chunk " + std::to_string(place.chunk));
        rig_.disk.flip_bit(file, place.offset + byte, ++trial % 8);
        expect_refused({path}, trial % stride(8) == 0 ? Asked::kStoreAndFsck : Asked::kStore);
        put_back(file);
        if (places.size() > kResealStepChunks && trial % stride(4) != 0) break;
      }
    }
  }
  expect_refused({});
}

TEST_P(Tamper, WhatNoChunkNamesMeansNothing) {
  for (const std::string path : Specimen::kWithDataFiles) {
    SCOPED_TRACE(path);
    const auto [file, places] = stored(rig_, path);
    auto bytes = rig_.disk.bytes(file);
    bytes.resize(bytes.size() + 3 * kChunkSize);
    std::vector<bool> named(bytes.size());
    for (const auto& place : places)
      std::fill_n(named.begin() + static_cast<std::ptrdiff_t>(place.offset), place.length, true);
    for (std::size_t at = kChunkSize; at < bytes.size(); ++at)
      if (!named[at]) bytes[at] ^= 0x5a;
    rig_.disk.set_bytes(file, std::move(bytes));
  }
  expect_refused({});
}

TEST_P(Tamper, ADataFileCutAtAnyByteIsRefusedAndAnExtendedOneReadsAsBefore) {
  const std::string path = "bucket/small";
  const auto at = stored(rig_, path);
  const auto whole = rig_.disk.bytes(at.file);
  const auto ino = *rig_.store().resolve("bucket", "small");
  const std::size_t asked_every = std::max<std::size_t>(stride(4096), 128);  // the whole store
  for (std::size_t size = 0; size <= whole.size(); ++size) {
    auto cut = whole;
    cut.resize(size);
    rig_.disk.set_bytes(at.file, std::move(cut));
    Bytes into(kInlineSizeMax + 1, 0xee);
    const auto got = rig_.store().read(ino, 0, into);
    ASSERT_EQ(got.ok(), size >= at.end()) << size;
    if (got) {
      EXPECT_EQ(into, *specimen_.ended.objects.at(path).bytes);
    } else {
      EXPECT_EQ(got.code(), Code::kDamaged);
      EXPECT_EQ(into, Bytes(into.size(), 0));
    }
    if (size % asked_every != 7) continue;
    expect_refused(got ? std::set<std::string>{} : std::set<std::string>{path});
  }
  for (std::size_t more = 1; more < kChunkSize; more = 3 * more + 1) {
    auto longer = whole;
    longer.resize(whole.size() + more, 0x77);
    rig_.disk.set_bytes(at.file, std::move(longer));
    expect_refused({});
  }
}

TEST_P(Tamper, ChunksSwappedRepeatedOrRotatedWithinAnObjectAreRefused) {
  std::uint64_t pairs = 0;
  for (const std::string path : {"bucket/file", "bucket/sparse", "changed/half"}) {
    const auto [file, places] = stored(rig_, path);
    const std::size_t step = places.size() > kResealStepChunks ? 23 : 1;
    for (std::size_t a = 0; a < places.size(); a += step) {
      for (std::size_t b = 0; b < places.size(); b += step) {
        if (a == b || pairs++ % stride(1) != 0) continue;
        SCOPED_TRACE(path + ": " + std::to_string(a) + " and " + std::to_string(b));
        const auto one = slot(file, places[a].offset), other = slot(file, places[b].offset);
        put_slot(file, places[b].offset, one);
        expect_refused({path});  // b is a's twin
        put_slot(file, places[a].offset, other);
        expect_refused({path});
        put_back(file);
      }
    }
    SCOPED_TRACE(path + " rotated");
    const auto first = slot(file, places[0].offset);
    for (std::size_t i = 0; i + 1 < places.size(); ++i)
      put_slot(file, places[i].offset, slot(file, places[i + 1].offset));
    put_slot(file, places.back().offset, first);
    expect_refused({path});
    put_back(file);
  }
}

TEST_P(Tamper, AForgedHoleIsRefused) {
  for (const std::string path : Specimen::kWithDataFiles) {
    const auto [file, places] = stored(rig_, path);
    const std::size_t step = places.size() > kResealStepChunks ? stride(9) : 1;
    for (std::size_t i = 0; i < places.size(); i += step) {
      SCOPED_TRACE(path + " chunk " + std::to_string(places[i].chunk));
      put_slot(file, places[i].offset, Bytes(kChunkSize));
      expect_refused({path});
      put_back(file);
    }
    SCOPED_TRACE(path + ", all of it");
    rig_.disk.set_bytes(file, Bytes(specimen_.ended_files.at(file).size()));
    expect_refused({path});
    put_back(file);
  }
}

TEST_P(Tamper, ChunksAndFilesOfOtherObjectsAndBucketsAreRefused) {
  const auto to = stored(rig_, "bucket/file");
  for (const std::string path : {"bucket/twin", "other/file"}) {
    const auto from = stored(rig_, path);
    for (std::size_t i = 0; i < to.places.size(); ++i) {
      SCOPED_TRACE(path + " chunk " + std::to_string(i));
      ASSERT_EQ(from.places[i].chunk, to.places[i].chunk);
      put_slot(to.file, to.places[i].offset, slot(from.file, from.places[i].offset));
      expect_refused({"bucket/file"});
      put_back(to.file);
    }
    SCOPED_TRACE(path);
    const auto theirs = rig_.disk.bytes(from.file);
    rig_.disk.set_bytes(from.file, rig_.disk.bytes(to.file));
    rig_.disk.set_bytes(to.file, theirs);
    expect_refused({"bucket/file", path});
    put_back(to.file);
    put_back(from.file);
  }
}

// The same numbers for everything, the same names, the same root key: what restoring and going on twice can lead to.
TEST_P(Tamper, FilesOfAnotherStoreAreRefused) {
  const Specimen other(GetParam());
  for (const std::string path : Specimen::kWithDataFiles) {
    SCOPED_TRACE(path);
    const auto file = stored(rig_, path).file;
    rig_.disk.set_bytes(file, other.ended_files.at(file));
    expect_refused({path});
    put_back(file);
  }
}

TEST_P(Tamper, AnOldChunkAndAnOldDataFileAreRefused) {
  std::map<std::string, Stored> before;
  {
    StoreRig old(*specimen_.old_image, /*boot=*/1);
    old.open();
    for (const std::string path : Specimen::kWithDataFiles) before[path] = stored(old, path);
  }
  for (const auto& [path, chunk] :
       {std::pair<std::string, std::uint64_t>{"bucket/file", 2}, {"bucket/small", 0}, {"bucket/sparse", 200}}) {
    SCOPED_TRACE(path);
    const auto now = stored(rig_, path);
    ASSERT_EQ(now.file, before[path].file);
    const auto of_chunk = [chunk = chunk](const auto& place) { return place.chunk == chunk; };
    const auto& was = *std::find_if(before[path].places.begin(), before[path].places.end(), of_chunk);
    const auto& is = *std::find_if(now.places.begin(), now.places.end(), of_chunk);
    ASSERT_NE(was.offset, is.offset);
    auto old_bytes = specimen_.old_files.at(now.file);
    old_bytes.resize(std::max<std::size_t>(old_bytes.size(), was.offset + kChunkSize));
    const auto from = old_bytes.begin() + static_cast<std::ptrdiff_t>(was.offset);
    put_slot(now.file, is.offset, Bytes(from, from + kChunkSize));
    expect_refused({path});
    rig_.disk.set_bytes(now.file, specimen_.old_files.at(now.file));
    expect_refused({path});
    put_back(now.file);
  }
}

TEST_P(Tamper, AMissingDataFileIsRefusedAlone) {
  for (const std::string path : Specimen::kWithDataFiles) {
    SCOPED_TRACE(path);
    rig_.drop();
    rig_.disk.put_back(*specimen_.ended_image);
    rig_.open();
    const auto file = stored(rig_, path).file;
    rig_.drop();
    ASSERT_TRUE(rig_.disk.remove(file).ok());
    rig_.open();
    expect_refused({path});
  }
}

TEST_P(Tamper, SecondCopiesNeverChangeWhatIsServed) {
  const auto expect_as_before = [this](const Attack& attack) {
    StoreRig rig(*specimen_.ended_image, /*boot=*/1);
    attack(rig.disk);
    ASSERT_TRUE(rig.try_open().ok());
    const auto served = serve(rig.store());
    EXPECT_EQ(difference(served, specimen_.ended), "");
    EXPECT_TRUE(served.refused().empty() && !served.names_refused);
  };
  const std::string copy(kCatalogCopyName);
  const auto size = specimen_.ended_files.at(copy).size();
  for (const auto at : std::initializer_list<std::size_t>{0, 40, 300, 20480, size / 2, size - 1})
    expect_as_before([&](SimulatedDisk& disk) { disk.flip_bit(copy, at); });
  expect_as_before([&](SimulatedDisk& disk) { ASSERT_TRUE(disk.remove(copy).ok()); });
  expect_as_before([&](SimulatedDisk& disk) { disk.set_bytes(copy, Bytes(size)); });
  expect_as_before([&](SimulatedDisk& disk) { disk.set_bytes(copy, specimen_.old_files.at(copy)); });
  const auto one = stored(rig_, "bucket/file").file, other = stored(rig_, "other/file").file;
  for (const std::size_t half : {0U, kChunkSize / 2})
    for (const std::size_t at : {0U, 32U, 40U, 50U, 70U})
      expect_as_before([&](SimulatedDisk& disk) { disk.flip_bit(one, half + at); });
  expect_as_before([&](SimulatedDisk& disk) {
    for (const std::string path : Specimen::kWithDataFiles) {
      const auto file = stored(rig_, path).file;
      auto bytes = disk.bytes(file);
      std::fill_n(bytes.begin(), kChunkSize, std::uint8_t{0});
      disk.set_bytes(file, std::move(bytes));
    }
  });
  expect_as_before([&](SimulatedDisk& disk) {
    auto bytes = disk.bytes(one);
    std::copy_n(disk.bytes(other).begin(), kChunkSize, bytes.begin());
    disk.set_bytes(one, std::move(bytes));
  });
}

// --- the catalog's files ---

TEST_P(Tamper, EveryFieldOfEveryCatalogPageIsChecked) {
  std::uint64_t trial = 0;
  for (std::uint32_t page = 0; page < specimen_.pages; ++page) {
    for (const std::size_t byte : {0U, 2000U, 4055U, 4056U, 4079U, 4080U, 4095U}) {
      if (++trial % stride(5) != 0) continue;
      SCOPED_TRACE("byte " + std::to_string(byte) + " of page " + std::to_string(page + 1));
      EXPECT_TRUE(is_noticed(
          *specimen_.ended_image,
          [&](SimulatedDisk& disk) { disk.flip_bit("coffer.db", page * kPageSize + byte, trial % 8); },
          specimen_.ended));
    }
  }
}

TEST_P(Tamper, EveryPairOfSwappedCatalogPagesAndEachOldOneIsNoticed) {
  const auto& old = specimen_.old_files.at("coffer.db");
  const auto& now = specimen_.ended_files.at("coffer.db");
  int changed = 0;
  for (std::uint32_t page = 0; page < specimen_.pages; ++page) {
    SCOPED_TRACE(page);
    const auto at = static_cast<std::ptrdiff_t>(page * kPageSize);
    const auto next = static_cast<std::ptrdiff_t>((page + 1) % specimen_.pages * kPageSize);
    auto bytes = now;
    std::swap_ranges(bytes.begin() + at, bytes.begin() + at + kPageSize, bytes.begin() + next);
    const auto swap = [&](SimulatedDisk& disk) { disk.set_bytes("coffer.db", bytes); };
    EXPECT_TRUE(page % stride(4) != 0 || is_noticed(*specimen_.ended_image, swap, specimen_.ended));
    const bool had = old.size() >= static_cast<std::size_t>(at) + kPageSize;
    if (!had || std::equal(now.begin() + at, now.begin() + at + kPageSize, old.begin() + at)) continue;
    ++changed;
    bytes = now;
    std::copy_n(old.begin() + at, kPageSize, bytes.begin() + at);
    EXPECT_TRUE(is_noticed(*specimen_.ended_image, swap, specimen_.ended));
  }
  EXPECT_GT(changed, 4);
}

// The log keeps its frames after a clean end: under the superblock of that time they lead to the same catalog again,
// and to no other.
TEST_P(Tamper, AnyOldFilesOfTheCatalogAmongNewOnesAreNoticedOrChangeNothing) {
  const std::array<std::string, 3> names = {"coffer.tags", "coffer.db", "coffer.db-wal"};
  int noticed = 0;
  for (unsigned chosen = 1; chosen < 7; ++chosen) {
    SCOPED_TRACE(chosen);
    const auto some_old = [&](SimulatedDisk& disk) {
      for (unsigned i = 0; i < 3; ++i)
        if ((chosen >> i & 1U) != 0) disk.set_bytes(names[i], specimen_.old_files.at(names[i]));
    };
    noticed += is_noticed(*specimen_.ended_image, some_old, specimen_.ended);
  }
  EXPECT_GE(noticed, 4) << "all but the old superblock, alone or with the old pages";
  // All three are a whole catalog of an earlier day: that is for --min-commit. Newer data files make it none the
  // newer, and what they overwrote is refused.
  const auto all_old = [&](SimulatedDisk& disk) {
    for (const auto& name : names) disk.set_bytes(name, specimen_.old_files.at(name));
  };
  is_noticed(*specimen_.ended_image, all_old, specimen_.old);
}

TEST_P(Tamper, AnOldSuperblockNeverBringsBackACutLog) {
  int noticed = 0;
  for (std::size_t frames = 0; frames < 8; ++frames) {
    SCOPED_TRACE(frames);
    noticed += is_noticed(
        *specimen_.ended_image,
        [&](SimulatedDisk& disk) {
          disk.set_bytes("coffer.tags", specimen_.old_files.at("coffer.tags"));
          auto log = disk.bytes("coffer.db-wal");
          log.resize(kLogFrames + frames * kFrameSize);
          disk.set_bytes("coffer.db-wal", log);
        },
        specimen_.ended);
  }
  EXPECT_EQ(noticed, 8);
}

TEST_P(Tamper, TheCopyInPlaceOfTheCatalogIsNoticed) {
  const auto& copy = specimen_.ended_files.at(std::string(kCatalogCopyName));
  for (const auto* name : {"coffer.db", "coffer.tags", "coffer.db-wal"}) {
    SCOPED_TRACE(name);
    EXPECT_TRUE(is_noticed(
        *specimen_.ended_image, [&](SimulatedDisk& disk) { disk.set_bytes(name, copy); }, specimen_.ended));
  }
}

TEST_P(Tamper, NoFieldOfTheSuperblocksAndTagsChangesWhatIsServed) {
  const auto& tags = specimen_.ended_files.at("coffer.tags");
  int noticed = 0;
  for (std::size_t block = 0; block < 8; ++block) {
    for (const std::size_t byte : {0U, 32U, 44U, 60U, 4055U, 4056U, 4080U, 4095U}) {
      SCOPED_TRACE("byte " + std::to_string(byte) + " of block " + std::to_string(block));
      const auto at = block * kPageSize + byte;
      ASSERT_LT(at, tags.size());
      noticed += is_noticed(
          *specimen_.ended_image, [&](SimulatedDisk& disk) { disk.flip_bit("coffer.tags", at); }, specimen_.ended);
    }
  }
  EXPECT_EQ(noticed, 3 * 8) << "one place of each of three nodes is in use; of the superblocks each stands for both";
  const auto both = [](SimulatedDisk& disk) {
    disk.flip_bit("coffer.tags", 70);
    disk.flip_bit("coffer.tags", kPageSize + 70);
  };
  EXPECT_TRUE(is_noticed(*specimen_.ended_image, both, specimen_.ended));
}

// --- fsck --repair ---

class Repaired : public Tamper {};

TEST_P(Repaired, EveryDamageOfADataFileCostsThatObjectAlone) {
  std::map<std::string, Stored> all;
  for (const std::string path : Specimen::kWithDataFiles) all[path] = stored(rig_, path);
  for (const auto& [path, at] : all) {
    SCOPED_TRACE(path);
    const auto& file = at.file;
    const auto& place = at.places[at.places.size() / 2];
    EXPECT_TRUE(repair([&](SimulatedDisk& disk) { disk.flip_bit(file, place.offset); }, {path}));
    EXPECT_TRUE(repair([&](SimulatedDisk& disk) { ASSERT_TRUE(disk.remove(file).ok()); }, {path}));
    EXPECT_TRUE(repair([&](SimulatedDisk& disk) { disk.set_bytes(file, Bytes(at.end())); }, {path}));
    EXPECT_TRUE(repair(
        [&](SimulatedDisk& disk) {
          auto bytes = disk.bytes(file);
          bytes.resize(at.end() - 1);
          disk.set_bytes(file, bytes);
        },
        {path}));
    const auto& other = path == "bucket/file" ? all["other/file"].file : all["bucket/file"].file;
    const auto theirs = specimen_.ended_files.at(other);
    EXPECT_TRUE(repair([&](SimulatedDisk& disk) { disk.set_bytes(file, theirs); }, {path}));
    EXPECT_TRUE(repair([&](SimulatedDisk& disk) { disk.flip_bit(file, 70); }, {})) << "its second copy";
  }
  std::set<std::string> everything;
  for (const auto& [path, at] : all) everything.insert(path);
  const auto all_cut = [&](SimulatedDisk& disk) {
    for (const auto& [path, at] : all) disk.set_bytes(at.file, Bytes(100));
  };
  EXPECT_TRUE(repair(all_cut, everything));
}

TEST_P(Repaired, EveryDamageOfTheCatalogsFilesCostsNothingAfterACleanEnd) {
  const auto& names = {"coffer.db", "coffer.tags", "coffer.db-wal", "coffer.copy"};
  std::uint64_t trial = 0;
  for (const std::string name : names) {
    const auto& whole = specimen_.ended_files.at(name);
    SCOPED_TRACE(name);
    for (std::size_t at = 60; at < std::min<std::size_t>(whole.size(), specimen_.pages * kPageSize); at += kPageSize) {
      if (++trial % stride(16) != 0) continue;
      SCOPED_TRACE(at);
      EXPECT_TRUE(repair([&](SimulatedDisk& disk) { disk.flip_bit(name, at); }, {}));
    }
    EXPECT_TRUE(repair([&](SimulatedDisk& disk) { ASSERT_TRUE(disk.remove(name).ok()); }, {}));
    EXPECT_TRUE(repair([&](SimulatedDisk& disk) { disk.set_bytes(name, Bytes(whole.size())); }, {}));
    EXPECT_TRUE(repair(
        [&](SimulatedDisk& disk) { disk.set_bytes(name, Bytes(whole.begin(), whole.begin() + whole.size() / 2)); }, {}));
  }
  const auto both = [](SimulatedDisk& disk) {
    disk.flip_bit("coffer.tags", 70);
    disk.flip_bit("coffer.tags", kPageSize + 70);
  };
  EXPECT_TRUE(repair(both, {}));
}

// --- a log in use ---

class TamperedLog : public Tamper {
 protected:
  TamperedLog() {
    const auto& log = specimen_.killed_files.at("coffer.db-wal");
    StoreRig rig(*specimen_.killed_image, /*boot=*/1);
    rig.open();
    EXPECT_EQ(difference(serve(rig.store()), specimen_.history.back()), "");
    // Frames of this generation: those whose bytes the kill left and `ended` did not have.
    const auto& before = specimen_.ended_files.at("coffer.db-wal");
    for (std::size_t at = kLogFrames; at + kFrameSize <= log.size(); at += kFrameSize) {
      const auto differs = at + kFrameSize > before.size() ||
                           !std::equal(log.begin() + static_cast<std::ptrdiff_t>(at),
                                       log.begin() + static_cast<std::ptrdiff_t>(at + kFrameSize),
                                       before.begin() + static_cast<std::ptrdiff_t>(at));
      const auto zeros = std::all_of(log.begin() + static_cast<std::ptrdiff_t>(at),
                                     log.begin() + static_cast<std::ptrdiff_t>(at + kFrameSize),
                                     [](auto byte) { return byte == 0; });
      if (!differs || zeros) break;
      ++frames_;
    }
    EXPECT_GT(frames_, 20U);
  }

  // Refused, naming the log; or exactly one of the states there were, with every byte of it, in which nothing is damaged.
  // Which: its place in history, or none.
  std::optional<std::size_t> state_after(const Attack& attack, int boot = 1) {
    StoreRig rig(*specimen_.killed_image, boot);
    attack(rig.disk);
    if (const auto opened = rig.try_open(); !opened.ok()) {
      expect_damaged(opened.error(), "the mount");
      EXPECT_NE(opened.error().message.find("coffer.db-wal"), std::string::npos) << opened.error().message;
      if (refused_++ % stride(10) == 0) expect_what_there_was_once_repaired(attack);
      return {};
    }
    const auto served = serve(rig.store());
    EXPECT_TRUE(served.refused().empty() && !served.names_refused);
    if (asked_++ % stride(10) == 0) {
      EXPECT_EQ(fsck_damage(rig), std::vector<std::string>());
      EXPECT_EQ(scrub_damage(rig), std::vector<std::string>());
    }
    for (std::size_t i = specimen_.history.size(); i > 0; --i)
      if (difference(served, specimen_.history[i - 1]).empty()) return i - 1;
    ADD_FAILURE() << "a state there never was: " << difference(served, specimen_.history.back());
    return {};
  }
  // What the log alone held may be lost with it: the content of each object is one that it had, and none of the last
  // clean end is gone.
  void expect_what_there_was_once_repaired(const Attack& attack) {
    StoreRig rig(*specimen_.killed_image, /*boot=*/1);
    attack(rig.disk);
    ASSERT_TRUE(is_repaired(rig));
    const auto served = serve(rig.store());
    EXPECT_FALSE(served.names_refused);
    for (const auto& [path, object] : served.objects) {
      if (path.find("/lost+found") != std::string::npos) continue;
      EXPECT_FALSE(object.refused()) << path;
      const auto had_it = [&, path = path, bytes = object.bytes](const Served& state) {
        const auto then = state.objects.find(path);
        return then != state.objects.end() && then->second.bytes == bytes;
      };
      EXPECT_TRUE(std::any_of(specimen_.history.begin(), specimen_.history.end(), had_it)) << path;
    }
    for (const auto& [path, object] : specimen_.ended.objects) EXPECT_TRUE(served.objects.contains(path)) << path;
  }
  std::size_t frame(std::size_t number) const { return kLogFrames + number * kFrameSize; }

  std::size_t frames_ = 0;
};

TEST_P(TamperedLog, EveryFlippedFieldIsRefusedOrAStateThereWas) {
  std::uint64_t trial = 0;
  int refused = 0;
  for (std::size_t number = 0; number < frames_; ++number) {
    for (const std::size_t byte : {0U, 12U, 28U, 44U, 48U, 4123U}) {
      if (++trial % stride(5) != 0) continue;
      SCOPED_TRACE("byte " + std::to_string(byte) + " of frame " + std::to_string(number));
      const auto state = state_after(
          [&](SimulatedDisk& disk) { disk.flip_bit("coffer.db-wal", frame(number) + byte, trial % 8); });
      refused += state ? 0 : 1;
    }
  }
  EXPECT_GT(refused, 0) << "frames known to be synced";
  for (const std::size_t byte : {0U, 12U, 28U, 4095U}) {
    // One of the two headers is this generation's, the other means nothing.
    const auto first = state_after([&](SimulatedDisk& disk) { disk.flip_bit("coffer.db-wal", byte); });
    const auto second = state_after([&](SimulatedDisk& disk) { disk.flip_bit("coffer.db-wal", 4096 + byte); });
    EXPECT_NE(first.has_value(), second.has_value());
    EXPECT_EQ(first ? *first : *second, specimen_.history.size() - 1);
  }
}

TEST_P(TamperedLog, FramesSwappedRepeatedOrLeftOutAreRefusedOrAStateThereWas) {
  const auto& whole = specimen_.killed_files.at("coffer.db-wal");
  const auto at = [this](std::size_t number) { return static_cast<std::ptrdiff_t>(frame(number)); };
  for (std::size_t number = 0; number + 1 < frames_; number += stride(4)) {
    SCOPED_TRACE(number);
    auto log = whole;
    std::swap_ranges(log.begin() + at(number), log.begin() + at(number + 1), log.begin() + at(number + 1));
    state_after([&](SimulatedDisk& disk) { disk.set_bytes("coffer.db-wal", log); });
    log = whole;
    std::copy_n(whole.begin() + at(number), kFrameSize, log.begin() + at(number + 1));
    state_after([&](SimulatedDisk& disk) { disk.set_bytes("coffer.db-wal", log); });
    log = whole;
    log.erase(log.begin() + at(number), log.begin() + at(number + 1));
    state_after([&](SimulatedDisk& disk) { disk.set_bytes("coffer.db-wal", log); });
  }
}

TEST_P(TamperedLog, ALogCutAnywhereIsExactlyAnEarlierState) {
  std::size_t before[2] = {0, 0};
  std::set<std::size_t> met;
  for (std::size_t number = 0; number <= frames_; number += stride(2)) {
    for (const int boot : {1, 2}) {
      SCOPED_TRACE(std::to_string(number) + " frames, boot " + std::to_string(boot));
      const auto state = state_after(
          [&](SimulatedDisk& disk) {
            auto log = disk.bytes("coffer.db-wal");
            log.resize(frame(number) + (number % 3 == 1 ? 17 : 0));
            disk.set_bytes("coffer.db-wal", log);
          },
          boot);
      ASSERT_TRUE(state) << "a cut looks like a crash";
      EXPECT_GE(*state, before[boot - 1]) << "more frames, less content";
      before[boot - 1] = *state;
      met.insert(*state);
      EXPECT_TRUE(boot == 1 || *state <= specimen_.durable) << "what no sync covers is not used after a power cut";
    }
  }
  EXPECT_GT(met.size(), 2U) << "states in the middle of history too";
}

TEST_P(TamperedLog, AnEarlierLogIsRefused) {
  for (const auto* files : {&specimen_.old_files, &specimen_.ended_files}) {
    const auto state = state_after(
        [&](SimulatedDisk& disk) { disk.set_bytes("coffer.db-wal", files->at("coffer.db-wal")); });
    // `ended` is of the same generation: its log is this one, cut at the beginning.
    if (state) {
      EXPECT_TRUE(files == &specimen_.ended_files && *state == 0) << *state;
    }
  }
}

// --- what an editor of the catalog could do, had he its key: the envelopes' own defence ---

class TamperedCatalog : public Tamper {
 protected:
  static constexpr std::array<const char*, 5> kPaths = {"bucket/inline", "bucket/file", "bucket/sparse", "other/file",
                                                        "changed/half"};
  InodeNumber ino(const std::string& path) {
    const auto slash = path.find('/');
    return *rig_.store().resolve(path.substr(0, slash), path.substr(slash + 1));
  }
  ContentRow content(const std::string& path) {
    const auto number = ino(path);
    std::lock_guard lock(rig_.catalog().mutex());
    return *rig_.catalog().content(number);
  }
  // A scrub sees what was committed alone.
  std::set<std::string> named_by_scrub(const std::vector<ContentRow>& rows) const {
    StoreRig rig(*specimen_.ended_image, /*boot=*/1);
    rig.open();
    for (const auto& row : rows) {
      std::lock_guard lock(rig.catalog().mutex());
      EXPECT_TRUE(rig.catalog().put_content(row).ok());
    }
    InodeChange change;
    change.mode = 0711;
    EXPECT_TRUE(rig.store().change(rig.store().find_bucket(*BucketName::parse("bucket"))->ino, change).ok());
    EXPECT_TRUE(rig.store().sync_all().ok());
    return named_by(scrub_damage(rig));
  }
  // With that row in the catalog fsck, which reads as a mount does, names exactly these objects.
  void expect_named(const std::vector<ContentRow>& rows, const std::set<std::string>& paths) {
    std::unique_lock lock(rig_.catalog().mutex());
    Catalog::Savepoint undo(rig_.catalog());
    for (const auto& row : rows) ASSERT_TRUE(rig_.catalog().put_content(row).ok());
    lock.unlock();
    const auto named = named_by(fsck_damage(rig_));
    lock.lock();
    EXPECT_EQ(named, paths);
    if (asked_++ % stride(20) == 0) {
      EXPECT_EQ(named_by_scrub(rows), paths);
    }
  }
};

TEST_P(TamperedCatalog, EveryByteOfEveryEnvelopeCounts) {
  for (const std::string path : kPaths) {
    const auto row = content(path);
    for (std::size_t byte = 0; byte < row.envelope.size(); byte += stride(17)) {
      SCOPED_TRACE(path + " byte " + std::to_string(byte));
      auto changed = row;
      changed.envelope[byte] ^= 1;
      expect_named({changed}, {path});
    }
    for (std::size_t byte = 0; row.next_envelope && byte < row.next_envelope->size(); byte += stride(17)) {
      SCOPED_TRACE(path + " byte " + std::to_string(byte) + " of the next envelope");
      auto changed = row;
      (*changed.next_envelope)[byte] ^= 1;
      expect_named({changed}, {path});
    }
  }
}

TEST_P(TamperedCatalog, SwappedKeysCommitmentsAndEnvelopesAreRefused) {
  for (const std::string path : {"bucket/twin", "other/file", "changed/half"}) {
    SCOPED_TRACE(path);
    const auto one = content("bucket/file"), other = content(path);
    const auto with = [](ContentRow row, const Envelope& envelope) {
      row.envelope = envelope.encode();
      return row;
    };
    const auto ours = *Envelope::decode(one.envelope), theirs = *Envelope::decode(other.envelope);
    for (std::size_t layer = 0; layer < ours.layers.size(); ++layer) {
      auto changed = ours, changed_too = theirs;
      std::swap(changed.layers[layer].wrapped_key, changed_too.layers[layer].wrapped_key);
      expect_named({with(one, changed), with(other, changed_too)}, {"bucket/file", path});
      std::swap(changed.layers[layer].commitment, changed_too.layers[layer].commitment);
      expect_named({with(one, changed), with(other, changed_too)}, {"bucket/file", path});
      changed = ours;
      changed.layers[layer].commitment = theirs.layers[layer].commitment;
      expect_named({with(one, changed)}, {"bucket/file"});
    }
    auto changed = one;
    changed.envelope = other.envelope;
    expect_named({changed}, {"bucket/file"});
  }
}

TEST_P(TamperedCatalog, MapEntriesSwappedMovedOrChangedAreRefused) {
  const auto number = ino("bucket/file");
  std::unique_lock lock(rig_.catalog().mutex());
  const auto map = *ChunkRow::decode(**rig_.catalog().map_row(number, 0), kChunkSize);
  lock.unlock();
  // The chunks that fsck names once these two entries of the row are what they are given as.
  const auto named = [&](std::uint32_t one, const ChunkEntry& entry, std::uint32_t other, const ChunkEntry& other_entry) {
    auto changed = map;
    changed.set(one, entry);
    changed.set(other, other_entry);
    lock.lock();
    auto undo = std::make_unique<Catalog::Savepoint>(rig_.catalog());
    EXPECT_TRUE(rig_.catalog().put_map_row(number, 0, changed.encode(kChunkSize)).ok());
    lock.unlock();
    const auto damage = fsck_damage(rig_);
    lock.lock();
    undo.reset();
    lock.unlock();
    EXPECT_EQ(named_by(damage), std::set<std::string>{"bucket/file"});
    return damage.size();
  };
  const auto zero = map.at(0), one = map.at(1);
  EXPECT_EQ(named(0, one, 1, zero), 2U) << "each chunk with its own slot and seal, in the other's place";
  for (std::size_t byte = 0; byte < zero.seal().size(); byte += stride(5)) {
    auto changed = zero;
    changed.seal()[byte] ^= 1;
    EXPECT_EQ(named(0, changed, 1, one), 1U) << byte;
  }
  auto shorter = zero;
  --shorter.length;
  EXPECT_GE(named(0, shorter, 1, one), 1U);
  auto other_envelope = zero;
  other_envelope.parity ^= 1;
  EXPECT_GE(named(0, other_envelope, 1, one), 1U);
  EXPECT_GE(named(0, {}, 1, one), 1U) << "a chunk made a hole";
}

TEST_P(TamperedCatalog, ALayerTakenAwayOrAddedIsRefused) {
  const auto number = ino("bucket/file");
  const auto row = content("bucket/file");
  auto envelope = *Envelope::decode(row.envelope);
  auto changed = row;
  if (envelope.layers.size() == 2) {
    for (const std::size_t kept : {0U, 1U}) {
      auto single = envelope;
      single.layers = {envelope.layers[kept]};
      single.algorithm = kept == 0 ? SseAlgorithm::kAwsKms : SseAlgorithm::kAes256;
      if (kept == 1) single.kms_key_arn.clear();
      changed.envelope = single.encode();
      ASSERT_TRUE(Envelope::decode(changed.envelope).ok()) << "it looks right";
      expect_named({changed}, {"bucket/file"});
    }
    std::swap(envelope.layers[0], envelope.layers[1]);
  } else {
    envelope.algorithm = SseAlgorithm::kAwsKmsDsse;
    envelope.layers.push_back(envelope.layers[0]);
  }
  changed.envelope = envelope.encode();
  expect_named({changed}, {"bucket/file"});
  // The same in the map: a chunk that says it has the other number of layers.
  std::unique_lock lock(rig_.catalog().mutex());
  Catalog::Savepoint undo(rig_.catalog());
  auto map = *ChunkRow::decode(**rig_.catalog().map_row(number, 0), kChunkSize);
  auto again = ChunkRow();
  for (std::uint32_t i = 0; i < kChunksPerRow; ++i) {
    auto entry = map.at(i);
    if (!entry.present()) continue;
    entry.layers = entry.layers == 2 ? 1 : 2;
    again.set(i, entry);
  }
  ASSERT_TRUE(rig_.catalog().put_map_row(number, 0, again.encode(kChunkSize)).ok());
  lock.unlock();
  const auto damage = fsck_damage(rig_);
  lock.lock();
  EXPECT_EQ(damage.size(), 5U) << "each chunk";
}

// --- copies of one store ---

// Every nonce in the files: of pages, of frames, and the seals that map rows hold.
std::multiset<Bytes> nonces(StoreRig& rig) {
  std::multiset<Bytes> found;
  const auto take = [&](const Bytes& from, std::size_t at, std::size_t size) {
    const auto begin = from.begin() + static_cast<std::ptrdiff_t>(at);
    const Bytes nonce(begin, begin + static_cast<std::ptrdiff_t>(size));
    if (std::any_of(nonce.begin(), nonce.end(), [](auto byte) { return byte != 0; })) found.insert(nonce);
  };
  const auto pages = rig.disk.bytes("coffer.db"), log = rig.disk.bytes("coffer.db-wal");
  for (std::size_t at = 0; at + kPageSize <= pages.size(); at += kPageSize) take(pages, at + 4056, 24);
  for (std::size_t at = kLogFrames; at + kFrameSize <= log.size(); at += kFrameSize) take(log, at, 12);
  std::lock_guard lock(rig.catalog().mutex());
  const auto files = *rig.catalog().files_after(0, 1000);
  for (const auto ino : files) {
    const auto rows = *rig.catalog().map_rows(ino, 0, 1000);
    for (const auto row : rows) {
      const auto map = *ChunkRow::decode(**rig.catalog().map_row(ino, row), kChunkSize);
      for (std::uint32_t i = 0; i < kChunksPerRow; ++i) {
        const auto seal = map.at(i).seal();
        for (std::size_t layer = 0; layer < seal.size(); layer += kSealSize)
          take(Bytes(seal.begin(), seal.end()), layer, kNonceSize);
      }
    }
  }
  return found;
}

void expect_two_that_go_on_share_no_nonce(const SimulatedDisk::Image& image) {
  std::multiset<Bytes> copied;
  {
    StoreRig rig(image, /*boot=*/1);
    rig.open();
    copied = nonces(rig);
  }
  std::set<Bytes> fresh;
  for (int copy = 0; copy < 2; ++copy) {
    StoreRig rig(image, /*boot=*/1);
    rig.open();
    for (const auto* name : {"file", "twin", "small", "inline"}) {
      const auto ino = *rig.store().resolve("bucket", name);
      ASSERT_TRUE(rig.store().write(ino, 0, some_bytes(3000, 5)).ok());
    }
    ASSERT_TRUE(rig.store().sync_all().ok());
    const auto before = fresh.size();
    for (const auto& nonce : nonces(rig))
      EXPECT_TRUE(copied.contains(nonce) || fresh.insert(nonce).second) << "a nonce used twice";
    EXPECT_GT(fresh.size(), before + 8) << "of what was written";
  }
}

TEST_P(Tamper, TwoThatGoOnFromOneCopyShareNoNonce) {
  expect_two_that_go_on_share_no_nonce(*specimen_.ended_image);
  expect_two_that_go_on_share_no_nonce(*specimen_.killed_image);
}

// The others differ from these in how a key comes, which a sanitizer sees elsewhere.
std::vector<Scheme> each_scheme() {
  auto all = kSchemes;
  if (is_slowed())
    std::erase_if(all, [](const Scheme& scheme) { return scheme.algorithm != SseAlgorithm::kAwsKmsDsse && !scheme.bucket_key; });
  return all;
}
const auto kEach = ::testing::ValuesIn(each_scheme());
const auto kNamed = [](const auto& info) { return info.param.name; };
INSTANTIATE_TEST_SUITE_P(Each, Tamper, kEach, kNamed);
INSTANTIATE_TEST_SUITE_P(Each, Repaired, kEach, kNamed);
INSTANTIATE_TEST_SUITE_P(Each, TamperedLog, kEach, kNamed);
INSTANTIATE_TEST_SUITE_P(Each, TamperedCatalog, kEach, kNamed);

}  // namespace
}  // namespace coffer::testing
