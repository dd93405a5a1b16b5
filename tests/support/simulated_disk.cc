#include "tests/support/simulated_disk.h"

#include <algorithm>
#include <cassert>

namespace coffer::testing {
namespace {

std::string folder_of(std::string_view name) {
  const std::size_t slash = name.rfind('/');
  return slash == std::string_view::npos ? std::string() : std::string(name.substr(0, slash));
}

bool by_chance(unsigned percent, std::mt19937_64& random) { return random() % 100 < percent; }

}  // namespace

class SimulatedFile final : public DiskFile {
 public:
  SimulatedFile(SimulatedDisk& disk, std::string_view name, std::shared_ptr<SimulatedDisk::Inode> inode)
      : disk_(disk), name_(name), inode_(std::move(inode)), epoch_(disk.epoch_) {}

  Result<std::size_t> pread(std::uint64_t offset, MutableBytes into) override {
    const std::lock_guard lock(disk_.mutex_);
    COFFER_TRY(enter_alive("pread"));
    const Bytes& bytes = inode_->now;
    if (offset >= bytes.size()) return std::size_t{0};
    const std::size_t n = std::min<std::uint64_t>(into.size(), bytes.size() - offset);
    std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(offset), n, into.begin());
    return n;
  }

  Status pwrite(std::uint64_t offset, BytesView bytes) override {
    if (const auto act = disk_.take_act(disk_.before_write_, name_)) act();
    const std::lock_guard lock(disk_.mutex_);
    COFFER_TRY(alive());
    const std::uint64_t size = std::max<std::uint64_t>(inode_->now.size(), offset + bytes.size());
    return disk_.change_file("pwrite", name_, *inode_, {offset, to_bytes(bytes), size}, /*occupies=*/true);
  }

  Status sync() override {
    if (const auto act = disk_.take_act(disk_.before_sync_, name_)) act();
    const std::lock_guard lock(disk_.mutex_);
    COFFER_TRY(alive());
    return disk_.sync_file(*inode_, name_);
  }

  Status truncate(std::uint64_t size) override {
    const std::lock_guard lock(disk_.mutex_);
    COFFER_TRY(alive());
    COFFER_TRY(disk_.change_file("truncate", name_, *inode_, {0, {}, size}, /*occupies=*/false));
    inode_->blocks.erase(inode_->blocks.lower_bound((size + SimulatedDisk::kBlock - 1) / SimulatedDisk::kBlock),
                         inode_->blocks.end());
    return {};
  }

  Status allocate(std::uint64_t offset, std::uint64_t size) override {
    const std::lock_guard lock(disk_.mutex_);
    COFFER_TRY(alive());
    const std::uint64_t end = std::max<std::uint64_t>(inode_->now.size(), offset + size);
    return disk_.change_file("allocate", name_, *inode_, {offset, {}, end}, /*occupies=*/true);
  }

  Status punch(std::uint64_t offset, std::uint64_t size) override {
    const std::lock_guard lock(disk_.mutex_);
    COFFER_TRY(alive());
    const std::uint64_t end = std::min<std::uint64_t>(inode_->now.size(), offset + size);
    const std::uint64_t length = end > offset ? end - offset : 0;
    const SimulatedDisk::Change zeros{offset, Bytes(length), inode_->now.size()};
    COFFER_TRY(disk_.change_file("punch", name_, *inode_, zeros, /*occupies=*/false));
    const std::uint64_t first = (offset + SimulatedDisk::kBlock - 1) / SimulatedDisk::kBlock;
    for (std::uint64_t block = first; (block + 1) * SimulatedDisk::kBlock <= offset + length; ++block) {
      inode_->blocks.erase(block);
    }
    return {};
  }

  Result<std::uint64_t> size() override {
    const std::lock_guard lock(disk_.mutex_);
    COFFER_TRY(enter_alive("size"));
    return std::uint64_t{inode_->now.size()};
  }

 private:
  Status alive() const {
    if (epoch_ != disk_.epoch_) return Error{Code::kIo, "a handle from before the end of its process"};
    return {};
  }
  Status enter_alive(const char* verb) {
    COFFER_TRY(alive());
    return disk_.enter(SimulatedDisk::Counted::kEveryCall, /*writes=*/false, verb, name_).status;
  }

  SimulatedDisk& disk_;
  const std::string name_;
  std::shared_ptr<SimulatedDisk::Inode> inode_;
  std::uint64_t epoch_;
};

SimulatedDisk::Verdict SimulatedDisk::enter(Counted kind, bool writes, const char* verb, std::string_view name) {
  if (!running_) return {Error{Code::kIo, "the disk is off"}};
  ++calls_;
  if (kind == Counted::kChanges) ++changes_;
  if (places_ != nullptr) ++(*places_)[std::string(verb) + " " + std::string(name)];
  const std::uint64_t count = fault_counted_ == Counted::kEveryCall ? calls_ : changes_;
  if (!fault_at_ || count != *fault_at_ || (fault_counted_ == Counted::kChanges && kind != Counted::kChanges))
    return {};
  fault_at_.reset();
  fault_happened_ = true;
  fault_place_ = std::string(verb) + " " + std::string(name);
  if (fault_ == Fault::kPowerOff) running_ = false;
  const bool full = (fault_ == Fault::kNoSpace || fault_ == Fault::kShort) && writes;
  Verdict verdict{Error{full ? Code::kNoSpace : Code::kIo, "a fault was asked for"}, /*failed_here=*/true};
  if (writes && fault_ == Fault::kShort) verdict.left = Verdict::Left::kBeginning;
  if (writes && (fault_ == Fault::kTorn || fault_ == Fault::kPowerOff)) verdict.left = Verdict::Left::kSomeSectors;
  return verdict;
}

void SimulatedDisk::apply(const Change& change, Bytes& bytes) {
  const std::size_t end = change.offset + change.bytes.size();
  bytes.resize(change.bytes.empty() ? change.size : std::max<std::size_t>(bytes.size(), end));
  std::copy(change.bytes.begin(), change.bytes.end(), bytes.begin() + static_cast<std::ptrdiff_t>(change.offset));
}

std::vector<SimulatedDisk::Change> SimulatedDisk::apply_part(const Change& change, Bytes& bytes, unsigned percent,
                                                             Random& random) {
  std::vector<Change> made;
  if (change.bytes.empty()) {
    if (by_chance(percent, random)) made.push_back(change);
  }
  for (std::size_t at = 0; at < change.bytes.size();) {
    const std::uint64_t offset = change.offset + at;
    const std::size_t n = std::min<std::size_t>(kSector - offset % kSector, change.bytes.size() - at);
    if (by_chance(percent, random)) {
      const BytesView piece = BytesView(change.bytes).subspan(at, n);
      made.push_back({offset, to_bytes(piece), std::max<std::uint64_t>(bytes.size(), offset + n)});
    }
    at += n;
  }
  for (const Change& piece : made) apply(piece, bytes);
  return made;
}

Status SimulatedDisk::change_file(const char* verb, std::string_view name, Inode& inode, Change change, bool occupies) {
  const Verdict verdict = enter(Counted::kChanges, /*writes=*/true, verb, name);
  switch (verdict.left) {
    case Verdict::Left::kNothing: break;
    case Verdict::Left::kBeginning:
      change.bytes.resize(change.bytes.empty() ? 0 : random_() % change.bytes.size());
      change.size = std::max<std::uint64_t>(inode.now.size(), change.offset + change.bytes.size());
      if (change.bytes.empty()) break;
      apply(change, inode.now);
      inode.pending.push_back(std::move(change));
      break;
    case Verdict::Left::kSomeSectors:
      for (Change& piece : apply_part(change, inode.now, 50, random_)) inode.pending.push_back(std::move(piece));
      break;
  }
  COFFER_TRY(verdict.status);
  if (occupies) {
    const std::uint64_t length = change.bytes.empty() ? change.size - change.offset : change.bytes.size();
    std::vector<std::uint64_t> fresh;
    for (std::uint64_t block = change.offset / kBlock; block * kBlock < change.offset + length; ++block) {
      if (!inode.blocks.contains(block)) fresh.push_back(block);
    }
    if (!fresh.empty() && used() + fresh.size() * kBlock > capacity_) {
      return Error{Code::kNoSpace, "the disk is full"};
    }
    inode.blocks.insert(fresh.begin(), fresh.end());
  }
  apply(change, inode.now);
  inode.pending.push_back(std::move(change));
  return {};
}

Status SimulatedDisk::sync_file(Inode& inode, std::string_view name) {
  const Verdict verdict = enter(Counted::kChanges, /*writes=*/false, "sync", name);
  // As Linux does: the pages are clean after a failed sync, and a later one that succeeds says nothing about them.
  if (verdict.failed_here && running_) settle(inode, random_);
  COFFER_TRY(verdict.status);
  for (const Change& change : inode.pending) apply(change, inode.durable);
  inode.pending.clear();
  return {};
}

void SimulatedDisk::settle(Inode& inode, Random& random) {
  static constexpr unsigned kPercents[] = {0, 10, 50, 90, 100};
  const unsigned percent = kPercents[random() % std::size(kPercents)];
  for (const Change& change : inode.pending) apply_part(change, inode.durable, percent, random);
  inode.pending.clear();
}

SimulatedDisk::Names::const_iterator SimulatedDisk::find_file(std::string_view name) const {
  const auto found = now_.find(std::string(name));
  return found != now_.end() && found->second != nullptr ? found : now_.end();
}

bool SimulatedDisk::has_folder(std::string_view name) const {
  if (name.empty()) return true;
  const auto found = now_.find(std::string(name));
  return found != now_.end() && found->second == nullptr;
}

void SimulatedDisk::apply(const NameChange& change, Names& names) {
  if (!change.removed.empty()) names.erase(change.removed);
  if (!change.made.empty()) names[change.made] = change.inode;
}

// In each folder the journal keeps a beginning of the changes. null: in all of them.
void SimulatedDisk::settle_names(const std::string* folder, Random& random) {
  std::set<std::string> stopped;
  for (const NameChange& change : pending_) {
    if (folder != nullptr && change.folder != *folder) continue;
    if (stopped.contains(change.folder)) continue;
    if (by_chance(70, random)) {
      apply(change, durable_);
    } else {
      stopped.insert(change.folder);
    }
  }
  std::erase_if(pending_, [&](const NameChange& c) { return folder == nullptr || c.folder == *folder; });
}

Status SimulatedDisk::change_names(const char* verb, NameChange change) {
  if (!has_folder(change.folder)) return Error{Code::kNotFound, "no such folder: " + change.folder};
  COFFER_TRY(enter(Counted::kChanges, /*writes=*/true, verb, change.removed + change.made).status);
  apply(change, now_);
  pending_.push_back(std::move(change));
  return {};
}

Result<std::unique_ptr<DiskFile>> SimulatedDisk::open(std::string_view name, OpenMode mode) {
  const std::lock_guard lock(mutex_);
  auto found = find_file(name);
  if (found == now_.end() && mode == OpenMode::kExisting) {
    COFFER_TRY(enter(Counted::kEveryCall, /*writes=*/false, "open", name).status);
    return Error{Code::kNotFound, "no such file: " + std::string(name)};
  }
  if (found == now_.end()) {
    COFFER_TRY(change_names("make", {folder_of(name), "", std::string(name), std::make_shared<Inode>()}));
    found = find_file(name);
  } else {
    COFFER_TRY(enter(Counted::kEveryCall, /*writes=*/false, "open", name).status);
  }
  return std::unique_ptr<DiskFile>(std::make_unique<SimulatedFile>(*this, name, found->second));
}

Status SimulatedDisk::remove(std::string_view name) {
  const std::lock_guard lock(mutex_);
  if (find_file(name) == now_.end()) return Error{Code::kNotFound, "no such file: " + std::string(name)};
  return change_names("remove", {folder_of(name), std::string(name), "", nullptr});
}

Status SimulatedDisk::rename(std::string_view from, std::string_view to) {
  const std::lock_guard lock(mutex_);
  const auto found = find_file(from);
  if (found == now_.end()) return Error{Code::kNotFound, "no such file: " + std::string(from)};
  // Renames between folders would need one change that two folders make durable.
  assert(folder_of(from) == folder_of(to));
  return change_names("rename", {folder_of(from), std::string(from), std::string(to), found->second});
}

Status SimulatedDisk::make_folder(std::string_view name) {
  const std::lock_guard lock(mutex_);
  if (has_folder(name)) return enter(Counted::kEveryCall, /*writes=*/false, "make folder", name).status;
  return change_names("make folder", {folder_of(name), "", std::string(name), nullptr});
}

Result<std::vector<std::string>> SimulatedDisk::list(std::string_view folder) {
  const std::lock_guard lock(mutex_);
  COFFER_TRY(enter(Counted::kEveryCall, /*writes=*/false, "list", folder).status);
  if (!has_folder(folder)) return Error{Code::kNotFound, "no such folder: " + std::string(folder)};
  std::vector<std::string> names;
  const std::string prefix = folder.empty() ? std::string() : std::string(folder) + "/";
  for (auto at = now_.lower_bound(prefix); at != now_.end() && at->first.starts_with(prefix); ++at) {
    if (at->first.find('/', prefix.size()) == std::string::npos) names.push_back(at->first.substr(prefix.size()));
  }
  return names;
}

Status SimulatedDisk::sync_folder(std::string_view folder) {
  const std::lock_guard lock(mutex_);
  const Verdict verdict = enter(Counted::kChanges, /*writes=*/false, "sync folder", folder);
  const std::string one(folder);
  if (verdict.failed_here && running_) settle_names(&one, random_);
  COFFER_TRY(verdict.status);
  for (const NameChange& change : pending_) {
    if (change.folder == folder) apply(change, durable_);
  }
  std::erase_if(pending_, [&](const NameChange& change) { return change.folder == folder; });
  return {};
}

Status SimulatedDisk::sync_all() {
  const std::lock_guard lock(mutex_);
  const Verdict verdict = enter(Counted::kChanges, /*writes=*/false, "sync all", "");
  if (verdict.failed_here && running_) {
    settle_names(nullptr, random_);
    for (const auto& [name, inode] : now_) {
      if (inode != nullptr) settle(*inode, random_);
    }
  }
  COFFER_TRY(verdict.status);
  for (const NameChange& change : pending_) apply(change, durable_);
  pending_.clear();
  for (const auto& [name, inode] : now_) {
    if (inode == nullptr) continue;
    for (const Change& change : inode->pending) apply(change, inode->durable);
    inode->pending.clear();
  }
  return {};
}

Result<Disk::Space> SimulatedDisk::space() {
  const std::lock_guard lock(mutex_);
  COFFER_TRY(enter(Counted::kEveryCall, /*writes=*/false, "space", "").status);
  constexpr std::uint64_t kPlenty = std::uint64_t{1} << 40;
  if (is_quota_) return Space{kPlenty, kPlenty, kPlenty};
  const std::uint64_t left = capacity_ - std::min(capacity_, used());
  return Space{capacity_, left, left};
}

std::uint64_t SimulatedDisk::used() const {
  std::uint64_t blocks = 0;
  for (const auto& [name, inode] : now_) blocks += inode != nullptr ? inode->blocks.size() : 0;
  return blocks * kBlock;
}

void SimulatedDisk::kill() {
  const std::lock_guard lock(mutex_);
  running_ = false;
}

void SimulatedDisk::crash(std::uint64_t seed, Keep keep) {
  const std::lock_guard lock(mutex_);
  running_ = false;
  Random random(seed);
  switch (keep) {
    case Keep::kNothing: break;
    case Keep::kEverything: durable_ = now_; break;
    case Keep::kRandomPart: settle_names(nullptr, random); break;
  }
  pending_.clear();
  const auto lost = [&](const std::string& name) {
    const std::string folder = folder_of(name);
    return !folder.empty() && !durable_.contains(folder);
  };
  while (std::erase_if(durable_, [&](const auto& entry) { return lost(entry.first); }) > 0) {
  }
  now_ = durable_;
  for (const auto& [name, inode] : now_) {
    if (inode == nullptr) continue;
    switch (keep) {
      case Keep::kNothing: break;
      case Keep::kEverything: inode->durable = inode->now; break;
      case Keep::kRandomPart: settle(*inode, random); break;
    }
    inode->pending.clear();
    inode->now = inode->durable;
    inode->blocks.clear();
    for (std::uint64_t block = 0; block * kBlock < inode->now.size(); ++block) inode->blocks.insert(block);
  }
}

void SimulatedDisk::start() {
  const std::lock_guard lock(mutex_);
  ++epoch_;
  running_ = true;
  fault_at_.reset();
}

bool SimulatedDisk::is_off() const {
  const std::lock_guard lock(mutex_);
  return !running_;
}

void SimulatedDisk::fail_at(std::uint64_t n, Fault fault, Counted counted) {
  const std::lock_guard lock(mutex_);
  fault_ = fault;
  fault_counted_ = counted;
  fault_at_ = (counted == Counted::kEveryCall ? calls_ : changes_) + n;
  fault_happened_ = false;
}

void SimulatedDisk::fail_never() {
  const std::lock_guard lock(mutex_);
  fault_at_.reset();
}

bool SimulatedDisk::fault_happened() const {
  const std::lock_guard lock(mutex_);
  return fault_happened_;
}

void SimulatedDisk::before_sync(std::string name, std::function<void()> act) {
  const std::lock_guard lock(mutex_);
  before_sync_[std::move(name)] = std::move(act);
}

void SimulatedDisk::before_write(std::string name, std::function<void()> act) {
  const std::lock_guard lock(mutex_);
  before_write_[std::move(name)] = std::move(act);
}

std::function<void()> SimulatedDisk::take_act(Acts& acts, const std::string& name) {
  const std::lock_guard lock(mutex_);
  auto found = acts.extract(name);
  return found ? std::move(found.mapped()) : nullptr;
}

std::string SimulatedDisk::fault_place() const {
  const std::lock_guard lock(mutex_);
  return fault_place_;
}

std::uint64_t SimulatedDisk::calls(Counted counted) const {
  const std::lock_guard lock(mutex_);
  return counted == Counted::kChanges ? changes_ : calls_;
}

void SimulatedDisk::set_capacity(std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  capacity_ = bytes;
  is_quota_ = false;
}

void SimulatedDisk::set_quota(std::uint64_t bytes) {
  set_capacity(bytes);
  const std::lock_guard lock(mutex_);
  is_quota_ = true;
}

// Files that several names or states share are shared in the image too.
SimulatedDisk::Image::Image(const Names& now_in, const Names& durable_in, const std::vector<NameChange>& pending_in)
    : now(now_in), durable(durable_in), pending(pending_in) {
  std::map<const Inode*, std::shared_ptr<Inode>> copies;
  const auto copy = [&](std::shared_ptr<Inode>& inode) {
    if (inode == nullptr) return;
    auto& made = copies[inode.get()];
    if (made == nullptr) made = std::make_shared<Inode>(*inode);
    inode = made;
  };
  for (auto& [name, inode] : now) copy(inode);
  for (auto& [name, inode] : durable) copy(inode);
  for (NameChange& change : pending) copy(change.inode);
}

std::shared_ptr<const SimulatedDisk::Image> SimulatedDisk::image() const {
  const std::lock_guard lock(mutex_);
  return std::shared_ptr<const Image>(new Image(now_, durable_, pending_));
}

void SimulatedDisk::put_back(const Image& image) {
  const std::lock_guard lock(mutex_);
  ++epoch_;
  running_ = true;
  Image copy(image.now, image.durable, image.pending);
  now_ = std::move(copy.now);
  durable_ = std::move(copy.durable);
  pending_ = std::move(copy.pending);
}

std::uint64_t SimulatedDisk::used_bytes() const {
  const std::lock_guard lock(mutex_);
  return used();
}

SimulatedDisk::Snapshot SimulatedDisk::snapshot() const {
  const std::lock_guard lock(mutex_);
  Snapshot files;
  for (const auto& [name, inode] : now_) {
    if (inode != nullptr) files[name] = inode->now;
  }
  return files;
}

void SimulatedDisk::restore(const Snapshot& files) {
  const std::lock_guard lock(mutex_);
  ++epoch_;
  now_.clear();
  pending_.clear();
  for (const auto& [name, bytes] : files) {
    for (std::string folder = folder_of(name); !folder.empty(); folder = folder_of(folder)) now_[folder] = nullptr;
    auto inode = std::make_shared<Inode>();
    inode->now = inode->durable = bytes;
    for (std::uint64_t block = 0; block * kBlock < bytes.size(); ++block) inode->blocks.insert(block);
    now_[name] = std::move(inode);
  }
  durable_ = now_;
}

Bytes SimulatedDisk::bytes(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  const auto found = find_file(name);
  assert(found != now_.end());
  return found->second->now;
}

void SimulatedDisk::set_bytes(const std::string& name, Bytes bytes) {
  const std::lock_guard lock(mutex_);
  const auto found = find_file(name);
  assert(found != now_.end());
  found->second->pending.clear();
  found->second->now = found->second->durable = std::move(bytes);
}

void SimulatedDisk::flip_bit(const std::string& name, std::uint64_t offset, unsigned bit) {
  Bytes changed = bytes(name);
  assert(offset < changed.size());
  changed[offset] ^= static_cast<std::uint8_t>(1u << bit);
  set_bytes(name, std::move(changed));
}

}  // namespace coffer::testing
