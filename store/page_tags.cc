#include "store/page_tags.h"

#include <algorithm>
#include <cassert>
#include <string>

#include "base/wire.h"

namespace coffer {
namespace {

constexpr std::size_t kTagBlockSize = 4096;
constexpr std::size_t kTagBlockContentSize = kTagBlockSize - Xaes::kXaesSealSize;
static_assert(TagNode::kEncodedSize <= kTagBlockContentSize);

constexpr std::uint64_t kCopies = 2;
constexpr std::uint64_t kSlotBlocks = 2;  // the superblock's
// Blocks of a node with all that are below it.
constexpr std::uint64_t kTreeBlocks[] = {kCopies, kCopies + TagNode::kChildren* kCopies,
                                         kCopies + TagNode::kChildren*(kCopies + TagNode::kChildren * kCopies)};

// Each node comes before those below it, so that the file's length follows the number of pages.
std::uint64_t block_of(unsigned level, std::uint32_t index) {
  if (level + 1 == std::size(kTreeBlocks)) return kSlotBlocks + kTreeBlocks[level] * index;
  return block_of(level + 1, index / TagNode::kChildren) + kCopies + kTreeBlocks[level] * (index % TagNode::kChildren);
}

std::uint32_t leaf_of(std::uint32_t page) { return (page - 1) / TagNode::kChildren; }

// The end of what may be needed for so many pages.
std::uint64_t size_for(std::uint32_t pages) {
  return (pages == 0 ? kSlotBlocks : block_of(0, leaf_of(pages)) + kCopies) * kTagBlockSize;
}

}  // namespace

void TagNode::set(std::uint32_t child, const PageTag& tag, unsigned copy) {
  tags[child] = tag;
  const auto bit = static_cast<std::uint8_t>(1u << child % 8);
  copies[child / 8] = static_cast<std::uint8_t>(copy == 0 ? copies[child / 8] & ~bit : copies[child / 8] | bit);
}

bool TagNode::has(std::uint32_t child) const { return tags[child] != PageTag{}; }

Bytes TagNode::encode() const {
  WireWriter out;
  for (const PageTag& tag : tags) out.raw(tag);
  out.raw(copies);
  return std::move(out).take();
}

TagNode TagNode::decode(BytesView bytes) {
  assert(bytes.size() >= kEncodedSize);
  TagNode node;
  for (std::size_t i = 0; i < kChildren; ++i) std::copy_n(bytes.begin() + i * kTagSize, kTagSize, node.tags[i].begin());
  std::copy_n(bytes.begin() + kChildren * kTagSize, node.copies.size(), node.copies.begin());
  return node;
}

PageTags::PageTags(std::shared_ptr<DiskFile> file, const KeySchedule& keys, const AeadSuite& suite, const TagNode& root)
    : file_(std::move(file)),
      cipher_(suite, keys.purpose_key(Purpose::kPageTags)),
      store_(keys.store_id()),
      root_(root) {}

Bytes PageTags::aad(Place at, unsigned copy) const {
  WireWriter out;
  out.raw(as_bytes("coffer/1/page-tags")).raw(store_);
  out.u8(static_cast<std::uint8_t>(level_of(at))).u32(index_of(at)).u8(static_cast<std::uint8_t>(copy));
  return std::move(out).take();
}

Result<TagNode> PageTags::read_block(Place at, unsigned copy, const PageTag& tag) {
  const std::uint64_t block = block_of(level_of(at), index_of(at)) + copy;
  std::array<std::uint8_t, kTagBlockSize> stored;
  COFFER_ASSIGN(const std::size_t size, file_->pread(block * kTagBlockSize, stored));
  return open_block(at, copy, tag, BytesView(stored).first(size));
}

Result<TagNode> PageTags::open_block(Place at, unsigned copy, const PageTag& tag, BytesView view) {
  Bytes content(kTagBlockContentSize);
  if (view.size() != kTagBlockSize || !equal_constant_time(view.last(kTagSize), tag) ||
      !cipher_.open(aad(at, copy), view.first(kTagBlockContentSize), view.last(Xaes::kXaesSealSize), content)) {
    const std::uint64_t block = block_of(level_of(at), index_of(at)) + copy;
    return Error{Code::kDamaged, "coffer.tags: block " + std::to_string(block) + " is damaged, or an old one put back"};
  }
  return TagNode::decode(content);
}

Result<PageTag> PageTags::write_block(Place at, unsigned copy, const TagNode& node) {
  Bytes content = node.encode();
  content.resize(kTagBlockContentSize);
  std::array<std::uint8_t, kTagBlockSize> stored;
  const MutableBytes view(stored);
  COFFER_TRY(cipher_.seal(aad(at, copy), content, view.first(kTagBlockContentSize), view.last(Xaes::kXaesSealSize)));
  COFFER_TRY(file_->pwrite((block_of(level_of(at), index_of(at)) + copy) * kTagBlockSize, stored));
  PageTag tag;
  std::copy(view.end() - kTagSize, view.end(), tag.begin());
  return tag;
}

// What it returns stays where it is until the next find(), and while it is changed or written.
Result<PageTags::Node*> PageTags::find(Place at) {
  if (const auto known = nodes_.find(at); known != nodes_.end()) {
    Node& node = known->second;
    if (!node.changed && !node.written) recent_.splice(recent_.begin(), recent_, node.recent);
    return &node;
  }
  const std::uint32_t child = index_of(at) % TagNode::kChildren;
  const TagNode* parent = &root_;
  if (level_of(at) + 1 < kLevels) {
    COFFER_ASSIGN(const Node* above, find(place(level_of(at) + 1, index_of(at) / TagNode::kChildren)));
    parent = &above->node;
  }
  Node node;
  if (parent->has(child)) {
    node.copy = parent->copy_of(child);
    COFFER_ASSIGN(node.node, read_block(at, node.copy, parent->tags[child]));
  }
  forget_beyond(kTagNodesCached - 1);
  recent_.push_front(at);
  node.recent = recent_.begin();
  return &nodes_.emplace(at, std::move(node)).first->second;
}

void PageTags::mark_changed(Place at, Node& node) {
  if (!node.changed && !node.written) {
    recent_.erase(node.recent);
    kept_.insert(at);
  }
  node.changed = true;
}

Result<PageTag> PageTags::get(std::uint32_t page) {
  const std::lock_guard lock(mutex_);
  COFFER_ASSIGN(const Node* leaf, find(place(0, leaf_of(page))));
  return leaf->node.tags[(page - 1) % TagNode::kChildren];
}

Status PageTags::set(std::uint32_t page, const PageTag& tag) {
  const std::lock_guard lock(mutex_);
  const Place at = place(0, leaf_of(page));
  COFFER_ASSIGN(Node * leaf, find(at));
  leaf->node.set((page - 1) % TagNode::kChildren, tag, /*copy=*/0);
  mark_changed(at, *leaf);
  return {};
}

Status PageTags::reserve(std::uint32_t pages) {
  const std::uint64_t wanted = size_for(pages);
  if (wanted <= reserved_size_) return {};
  COFFER_TRY(file_->allocate(reserved_size_, wanted - reserved_size_));
  reserved_size_ = wanted;
  return {};
}

// From the leaves up, as kept_ is ordered: the nodes above, which change with them, come later in it. Nobody waits for
// the lock while a block is written.
Status PageTags::write_changed(unsigned levels) {
  bool wrote = false;
  for (Place from = 0;; ++from) {
    std::unique_lock lock(mutex_);
    auto next = kept_.lower_bound(from);
    while (next != kept_.end() && !nodes_.at(*next).changed) ++next;
    if (next == kept_.end() || level_of(*next) >= levels) break;
    from = *next;
    const unsigned copy = 1 - nodes_.at(from).copy;
    const TagNode node = nodes_.at(from).node;
    lock.unlock();
    COFFER_ASSIGN(const PageTag tag, write_block(from, copy, node));
    wrote = true;
    lock.lock();
    COFFER_TRY(name_in_parent(from, tag, copy));
    nodes_.at(from).changed = false;
    nodes_.at(from).written = true;
  }
  if (!wrote) return {};
  return file_->sync();
}

Status PageTags::name_in_parent(Place at, const PageTag& tag, unsigned copy) {
  const std::uint32_t child = index_of(at) % TagNode::kChildren;
  if (level_of(at) + 1 == kLevels) {
    root_.set(child, tag, copy);
    return {};
  }
  const Place above = place(level_of(at) + 1, index_of(at) / TagNode::kChildren);
  COFFER_ASSIGN(Node * parent, find(above));
  parent->node.set(child, tag, copy);
  mark_changed(above, *parent);
  return {};
}

Status PageTags::write_leaves() { return write_changed(1); }

Result<TagNode> PageTags::write() {
  COFFER_TRY(write_changed(kLevels));
  const std::lock_guard lock(mutex_);
  return root_;
}

void PageTags::begin() {
  const std::lock_guard lock(mutex_);
  for (const Place at : kept_) {
    Node& node = nodes_.at(at);
    assert(node.written && !node.changed);
    node.written = false;
    node.copy = 1 - node.copy;
    recent_.push_front(at);
    node.recent = recent_.begin();
  }
  kept_.clear();
  forget_beyond(kTagNodesCached);
}

void PageTags::forget_beyond(std::size_t nodes) {
  while (recent_.size() > nodes) {
    nodes_.erase(recent_.back());
    recent_.pop_back();
  }
}

Status PageTags::check_size(std::uint32_t pages) {
  COFFER_ASSIGN(const std::uint64_t size, file_->size());
  // Of the last leaf, the second place may never have been written.
  if (size + kTagBlockSize >= size_for(pages)) return {};
  return Error{Code::kDamaged, "coffer.tags is shorter than its superblock says"};
}

Status PageTags::verify() {
  const std::lock_guard lock(mutex_);
  return verify_below(root_, kLevels - 1, 0);
}

Result<std::vector<std::uint64_t>> PageTags::heal(const OtherBlock& other) {
  const std::lock_guard lock(mutex_);
  std::vector<std::uint64_t> healed;
  COFFER_TRY(heal_below(root_, kLevels - 1, 0, other, healed));
  return healed;
}

Status PageTags::heal_below(const TagNode& parent, unsigned level, std::uint32_t first, const OtherBlock& other,
                            std::vector<std::uint64_t>& healed) {
  for (std::uint32_t child = 0; child < TagNode::kChildren; ++child) {
    if (!parent.has(child)) continue;
    const Place at = place(level, first + child);
    const unsigned copy = parent.copy_of(child);
    auto node = read_block(at, copy, parent.tags[child]);
    if (!node && node.code() != Code::kDamaged && node.code() != Code::kIo) return std::move(node).error();
    if (!node) {
      const std::uint64_t block = block_of(level, first + child) + copy;
      const auto stored = other(block * kTagBlockSize);
      if (!stored && stored.code() != Code::kNotFound && stored.code() != Code::kDamaged) return stored.error();
      if (!stored) continue;
      node = open_block(at, copy, parent.tags[child], *stored);
      if (!node) continue;
      COFFER_TRY(file_->pwrite(block * kTagBlockSize, *stored));
      healed.push_back(block);
    }
    if (level > 0) COFFER_TRY(heal_below(*node, level - 1, (first + child) * TagNode::kChildren, other, healed));
  }
  return {};
}

Status PageTags::verify(std::uint32_t page) {
  const std::lock_guard lock(mutex_);
  TagNode parent = root_;
  for (unsigned level = kLevels; level-- > 0;) {
    std::uint32_t index = leaf_of(page);
    for (unsigned above = 0; above < level; ++above) index /= TagNode::kChildren;
    const std::uint32_t child = index % TagNode::kChildren;
    if (!parent.has(child)) return {};  // in memory alone, until a superblock names it
    COFFER_ASSIGN(parent, read_block(place(level, index), parent.copy_of(child), parent.tags[child]));
  }
  return {};
}

// Without the nodes in memory: what is on the disk counts.
Status PageTags::verify_below(const TagNode& parent, unsigned level, std::uint32_t first) {
  for (std::uint32_t child = 0; child < TagNode::kChildren; ++child) {
    if (!parent.has(child)) continue;
    COFFER_ASSIGN(const TagNode node,
                  read_block(place(level, first + child), parent.copy_of(child), parent.tags[child]));
    if (level > 0) COFFER_TRY(verify_below(node, level - 1, (first + child) * TagNode::kChildren));
  }
  return {};
}

}  // namespace coffer
