#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <set>
#include <unordered_map>
#include <vector>

#include "base/limits.h"
#include "crypto/key_schedule.h"
#include "store/disk.h"
#include "store/xaes.h"

namespace coffer {

using PageTag = std::array<std::uint8_t, kTagSize>;

// A node of the tree of tags: those of its children, and in which of its two places each of them is. Children of a leaf
// are pages, which have one place.
struct TagNode {
  static constexpr std::uint32_t kChildren = 240;
  static constexpr std::size_t kEncodedSize = kChildren * kTagSize + kChildren / 8;

  std::array<PageTag, kChildren> tags{};  // zeros: there was never such a child
  std::array<std::uint8_t, kChildren / 8> copies{};

  unsigned copy_of(std::uint32_t child) const { return copies[child / 8] >> child % 8 & 1u; }
  void set(std::uint32_t child, const PageTag& tag, unsigned copy);
  bool has(std::uint32_t child) const;

  Bytes encode() const;
  static TagNode decode(BytesView bytes);
};

// The tag of every page of coffer.db, in a tree of sealed nodes whose root the superblock holds (docs/FORMAT.md section
// 5): what makes an old page, put back, as plain as a damaged one. Nodes are read when they are needed and checked
// against the one above; changed ones stay in memory until a superblock names them. Thread-safe.
//
// A node has two places in coffer.tags and is written to the one that the root in use does not name. So whatever is cut
// short, that root's nodes are whole.
class PageTags {
 public:
  PageTags(std::shared_ptr<DiskFile> file, const KeySchedule& keys, const AeadSuite& suite, const TagNode& root);

  // As the newest write of the page left it; zeros if there was none. kDamaged, naming the block, where a node is not
  // the one that the node above names.
  Result<PageTag> get(std::uint32_t page);
  Status set(std::uint32_t page, const PageTag& tag);  // fails as get(), and then changes nothing

  // Room for both places of every node over so many pages. kNoSpace changes nothing. The writer's alone.
  Status reserve(std::uint32_t pages);

  // Writes changed leaves, which is most of what write() would have to do, and syncs them. Only while both superblock
  // slots hold the root in use.
  Status write_leaves();
  // All changed nodes, synced; the root over them is for the next superblock. Only as write_leaves().
  Result<TagNode> write();
  // That superblock is durable: its root is the one in use. No set() may come between write() and this.
  void begin();

  // Whether coffer.tags is long enough for the nodes over so many pages.
  Status check_size(std::uint32_t pages);
  // Reads every node there is; the first damage, named.
  Status verify();
  // Puts damaged nodes back where `other` has the very block that the node above names; `other` is asked for the 4096
  // bytes at an offset of coffer.tags. What it has not stays damaged, with all below it. Which blocks were healed;
  // nothing is synced.
  using OtherBlock = std::function<Result<Bytes>(std::uint64_t offset)>;  // kNotFound
  Result<std::vector<std::uint64_t>> heal(const OtherBlock& other);
  Status sync() { return file_->sync(); }
  // Reads the nodes over one page, as the disk has them.
  Status verify(std::uint32_t page);

 private:
  static constexpr unsigned kLevels = 3;  // below the root; level 0 are the leaves
  // Level and index in one number: in its order, children come before the nodes that name them.
  using Place = std::uint64_t;

  struct Node {
    TagNode node;
    unsigned copy = 1;     // the place that the root in use names; of a new node neither, and 0 is written first
    bool changed = false;  // since it was read or written
    bool written = false;  // into the other place, which the root in use does not name
    std::list<Place>::iterator recent;  // if neither
  };

  static Place place(unsigned level, std::uint32_t index) { return Place{level} << 32 | index; }
  static unsigned level_of(Place at) { return static_cast<unsigned>(at >> 32); }
  static std::uint32_t index_of(Place at) { return static_cast<std::uint32_t>(at); }

  Bytes aad(Place at, unsigned copy) const;
  Result<TagNode> read_block(Place at, unsigned copy, const PageTag& tag);
  Result<PageTag> write_block(Place at, unsigned copy, const TagNode& node);
  Result<Node*> find(Place at);
  void mark_changed(Place at, Node& node);
  Status write_changed(unsigned levels);
  Status name_in_parent(Place at, const PageTag& tag, unsigned copy);
  void forget_beyond(std::size_t nodes);
  Status verify_below(const TagNode& parent, unsigned level, std::uint32_t first);
  Result<TagNode> open_block(Place at, unsigned copy, const PageTag& tag, BytesView stored);
  Status heal_below(const TagNode& parent, unsigned level, std::uint32_t first, const OtherBlock& other,
                    std::vector<std::uint64_t>& healed);

  const std::shared_ptr<DiskFile> file_;
  const Xaes cipher_;
  const StoreId store_;
  std::uint64_t reserved_size_ = 0;  // the writer's own; a file found may have holes

  std::mutex mutex_;  // all below
  TagNode root_;
  std::unordered_map<Place, Node> nodes_;
  std::list<Place> recent_;  // nodes that may go, the last used first
  std::set<Place> kept_;     // nodes changed or written
};

}  // namespace coffer
