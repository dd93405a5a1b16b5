#include "store/superblock.h"

#include <algorithm>

#include "base/wire.h"

namespace coffer {
namespace {

constexpr std::size_t kSuperblockSize = 4096;
constexpr std::size_t kSuperblockContentSize = kSuperblockSize - kSaltSize - kSealSize;
static_assert(8 + 32 + 8 + kTagSize + 4 + TagNode::kEncodedSize <= kSuperblockContentSize);

template <std::size_t n>
void copy_to(std::array<std::uint8_t, n>& to, BytesView from) {
  if (from.size() == n) std::copy(from.begin(), from.end(), to.begin());
}

}  // namespace

SuperblockFile::SuperblockFile(std::shared_ptr<DiskFile> file, const KeySchedule& keys, const AeadSuite& suite)
    : file_(std::move(file)), key_(keys.purpose_key(Purpose::kSuperblock)), store_(keys.store_id()), suite_(suite) {}

Bytes SuperblockFile::aad(unsigned slot) const {
  WireWriter out;
  out.raw(as_bytes("coffer/1/superblock")).raw(store_).u8(static_cast<std::uint8_t>(slot));
  return std::move(out).take();
}

Result<Superblock> SuperblockFile::read_slot(unsigned slot) {
  Bytes stored(kSuperblockSize);
  COFFER_ASSIGN(const std::size_t size, file_->pread(slot * kSuperblockSize, stored));
  if (size != kSuperblockSize) return Error{Code::kDamaged, "coffer.tags is too short"};
  const BytesView view(stored);
  const Key key = derive_key(key_, view.first(kSaltSize), as_bytes("coffer/1/superblock-slot"));
  Bytes content(kSuperblockContentSize);
  if (!suite_.single(key)->open(aad(slot), view.last(kSuperblockContentSize), view.subspan(kSaltSize, kSealSize),
                                content)) {
    return Error{Code::kDamaged, "coffer.tags: superblock slot " + std::to_string(slot) + " does not authenticate"};
  }
  WireReader in(content);
  Superblock block;
  block.sequence = in.u64();
  copy_to(block.log_salt, in.raw(block.log_salt.size()));
  block.frames_before = in.u64();
  copy_to(block.digest, in.raw(block.digest.size()));
  block.database_pages = in.u32();
  block.tags = TagNode::decode(in.raw(TagNode::kEncodedSize));
  return block;
}

Status SuperblockFile::write_slot(unsigned slot, const Superblock& block) {
  WireWriter out;
  out.u64(block.sequence).raw(block.log_salt).u64(block.frames_before).raw(block.digest).u32(block.database_pages);
  out.raw(block.tags.encode());
  Bytes content = std::move(out).take();
  content.resize(kSuperblockContentSize);
  Bytes stored(kSuperblockSize);
  const MutableBytes view(stored);
  fill_random(view.first(kSaltSize));
  const Key key = derive_key(key_, view.first(kSaltSize), as_bytes("coffer/1/superblock-slot"));
  COFFER_TRY(suite_.single(key)->seal(aad(slot), content, view.last(kSuperblockContentSize),
                                      view.subspan(kSaltSize, kSealSize)));
  return file_->pwrite(slot * kSuperblockSize, stored);
}

Result<Superblock> SuperblockFile::read() {
  Result<Superblock> slots[2] = {read_slot(0), read_slot(1)};
  for (const auto& slot : slots) {
    if (!slot && slot.code() != Code::kDamaged) return slot.error();
  }
  if (!slots[0] && !slots[1]) return Error{Code::kDamaged, "coffer.tags: no superblock slot authenticates"};
  newest_ = !slots[0] || (slots[1] && slots[1]->sequence > slots[0]->sequence) ? 1 : 0;
  current_ = *slots[newest_];
  return current_;
}

Status SuperblockFile::write(const Superblock& next) {
  const unsigned older = 1 - newest_;
  COFFER_TRY(write_slot(older, next));
  COFFER_TRY(file_->sync());
  newest_ = older;
  current_ = next;
  copy_synced_ = false;
  COFFER_TRY(write_slot(1 - newest_, next));
  copy_written_ = true;
  return {};
}

Status SuperblockFile::sync_copy() {
  if (copy_synced_) return {};
  if (!copy_written_) COFFER_TRY(write_slot(1 - newest_, current_));
  COFFER_TRY(file_->sync());
  copy_written_ = copy_synced_ = true;
  return {};
}

}  // namespace coffer
