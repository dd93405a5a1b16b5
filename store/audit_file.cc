#include "store/audit_file.h"

#include <algorithm>
#include <cassert>
#include <charconv>

#include "base/encoding.h"
#include "base/wire.h"
#include "crypto/hkdf.h"

namespace coffer {
namespace {

constexpr std::uint64_t kAuditHeadSize = 4096;
constexpr std::uint64_t kAuditSlotDistance = 2048;
constexpr std::size_t kAuditSlotSize = 1 + kWrapSize;
constexpr std::size_t kFrameStep = 256;
constexpr std::size_t kAuditFrameHeadSize = 4 + kSealSize;
constexpr std::size_t kContentHeadSize = 1 + 3 * 8;
constexpr std::size_t kCipherSizeMax = 1'048'800;  // kAuditFrameRecordsMax, content's head, padding: 4097 * 256 - 32
constexpr std::uint8_t kMovedMax = 255;
static_assert((kCipherSizeMax + kAuditFrameHeadSize) % kFrameStep == 0);
static_assert(kCipherSizeMax >= kAuditFrameRecordsMax + kContentHeadSize + 4);

Error damaged_audit_file(std::uint64_t file, const std::string& what) {
  return {Code::kDamaged, audit_file_name(file) + " " + what};
}

// The log's purpose key under an info that nothing else uses.
Key wrapping_key(const KeySchedule& keys) {
  return derive_key(keys.purpose_key(Purpose::kWal), keys.store_id(), as_bytes("coffer/1/audit"));
}

Bytes slot_aad(const StoreId& store, std::uint64_t file, std::uint8_t slot, std::uint8_t moved) {
  WireWriter out;
  out.raw(as_bytes("coffer/1/audit-file-key")).raw(store).u64(file).u8(slot).u8(moved);
  return std::move(out).take();
}

Result<Bytes> make_slot(const KeySchedule& keys, const AeadSuite& suite, std::uint64_t file, std::uint8_t slot,
                        std::uint8_t moved, const Key& key) {
  const Bytes aad = slot_aad(keys.store_id(), file, slot, moved);
  COFFER_ASSIGN(const Bytes wrapped, wrap_key(suite, wrapping_key(keys), aad, key));
  WireWriter out;
  out.u8(moved).raw(wrapped);
  return std::move(out).take();
}

Bytes encode_audit_frame(const AuditFrame& frame) {
  WireWriter out;
  out.u8(static_cast<std::uint8_t>(frame.kind)).u64(frame.records_before).u64(frame.missing).u64(frame.cuts);
  if (frame.kind == AuditFrame::Kind::kBegin) {
    out.u64(static_cast<std::uint64_t>(frame.time_ns)).raw(frame.chain_before);
  } else {
    out.u32(static_cast<std::uint32_t>(frame.records.size()));
    for (const auto& record : frame.records) out.blob32(as_bytes(record));
  }
  Bytes content = std::move(out).take();
  const std::size_t stored = (kAuditFrameHeadSize + content.size() + kFrameStep - 1) / kFrameStep * kFrameStep;
  content.resize(stored - kAuditFrameHeadSize);
  return content;
}

std::optional<AuditFrame> decode_audit_frame(BytesView content) {
  WireReader in(content);
  AuditFrame frame;
  const std::uint8_t kind = in.u8();
  frame.records_before = in.u64();
  frame.missing = in.u64();
  frame.cuts = in.u64();
  if (kind == static_cast<std::uint8_t>(AuditFrame::Kind::kBegin)) {
    frame.kind = AuditFrame::Kind::kBegin;
    frame.time_ns = static_cast<std::int64_t>(in.u64());
    const BytesView chain = in.raw(frame.chain_before.size());
    if (in.ok()) std::copy(chain.begin(), chain.end(), frame.chain_before.begin());
  } else if (kind == static_cast<std::uint8_t>(AuditFrame::Kind::kRecords)) {
    for (std::uint32_t left = in.u32(); left > 0 && in.ok(); --left) frame.records.emplace_back(as_text(in.blob32()));
    if (frame.records.empty()) return std::nullopt;
  } else {
    return std::nullopt;
  }
  if (!in.ok()) return std::nullopt;
  return frame;
}

AuditChain chain_after(const AuditChain& chain, BytesView stored) {
  WireWriter out;
  out.raw(as_bytes("coffer/1/audit-chain")).raw(chain).raw(stored);
  const Bytes hash = sha384(out.bytes());
  AuditChain next;
  std::copy(hash.begin(), hash.end(), next.begin());
  return next;
}

}  // namespace

std::string audit_file_name(std::uint64_t number) {
  Bytes big_endian;
  for (int shift = 56; shift >= 0; shift -= 8) big_endian.push_back(static_cast<std::uint8_t>(number >> shift));
  return std::string(kAuditFolder) + "/" + hex(big_endian);
}

Result<std::vector<std::uint64_t>> audit_files(Disk& disk) {
  auto names = disk.list(kAuditFolder);
  if (!names && names.code() == Code::kNotFound) return std::vector<std::uint64_t>();
  if (!names) return std::move(names).error();
  std::vector<std::uint64_t> numbers;
  for (const auto& name : *names) {
    std::uint64_t number = 0;
    const auto* end = name.data() + name.size();
    if (std::from_chars(name.data(), end, number, 16).ptr != end || number == 0) continue;
    if (audit_file_name(number) == std::string(kAuditFolder) + "/" + name) numbers.push_back(number);
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

AuditFile::AuditFile(std::unique_ptr<DiskFile> file, const KeySchedule& keys, const AeadSuite& suite,
                     std::uint64_t number, Key key, std::uint8_t slot, std::uint8_t moved)
    : file_(std::move(file)),
      store_(keys.store_id()),
      suite_(&suite),
      number_(number),
      key_(std::move(key)),
      cipher_(suite.single(derive_key(key_, store_, as_bytes("coffer/1/audit-frames")))),
      slot_(slot),
      moved_(moved) {}

Result<AuditFile> AuditFile::create(Disk& disk, const KeySchedule& keys, const AeadSuite& suite, std::uint64_t number) {
  COFFER_ASSIGN(auto file, disk.open(audit_file_name(number), OpenMode::kCreate));
  COFFER_TRY(file->truncate(0));
  Key key = Key::random();
  COFFER_ASSIGN(Bytes head, make_slot(keys, suite, number, /*slot=*/0, /*moved=*/0, key));
  head.resize(kAuditHeadSize);
  COFFER_TRY(file->pwrite(0, head));
  return AuditFile(std::move(file), keys, suite, number, std::move(key), /*slot=*/0, /*moved=*/0);
}

Result<AuditFile> AuditFile::open(Disk& disk, const KeySchedule& keys, const AeadSuite& suite, std::uint64_t number) {
  COFFER_ASSIGN(auto file, disk.open(audit_file_name(number), OpenMode::kExisting));
  const Key wrapping = wrapping_key(keys);
  for (std::uint8_t slot = 0; slot < 2; ++slot) {
    std::array<std::uint8_t, kAuditSlotSize> stored{};
    COFFER_ASSIGN(const std::size_t size, file->pread(slot * kAuditSlotDistance, stored));
    if (size < stored.size()) break;
    const std::uint8_t moved = stored[0];
    const Bytes aad = slot_aad(keys.store_id(), number, slot, moved);
    auto key = unwrap_key(suite, wrapping, aad, BytesView(stored).last(kWrapSize));
    if (key.ok()) return AuditFile(std::move(file), keys, suite, number, *std::move(key), slot, moved);
  }
  return damaged_audit_file(number, "has no key that opens");
}

AuditPlace AuditFile::begin() const {
  WireWriter message;
  message.raw(as_bytes("coffer/1/audit-file")).raw(store_).u64(number_);
  AuditPlace place;
  place.file = number_;
  place.offset = kAuditHeadSize;
  hmac(Hash::kSha384, key_.view(), message.bytes(), place.chain);
  return place;
}

Bytes AuditFile::frame_aad(const AuditChain& chain, std::uint32_t size) const {
  WireWriter out;
  out.raw(as_bytes("coffer/1/audit-frame")).raw(store_).raw(chain).u32(size);
  return std::move(out).take();
}

Result<std::optional<AuditFrame>> AuditFile::read(AuditPlace& place) {
  assert(place.file == number_);
  std::array<std::uint8_t, kAuditFrameHeadSize> head{};
  COFFER_ASSIGN(const std::size_t head_size, file_->pread(place.offset, head));
  if (all_zeros(head)) return std::optional<AuditFrame>();
  const Error no_frame = damaged_audit_file(number_, "has no whole record at byte " + std::to_string(place.offset));
  const std::uint32_t size = WireReader(head).u32();
  if (head_size < head.size() || size > kCipherSizeMax || (size + kAuditFrameHeadSize) % kFrameStep != 0)
    return no_frame;
  Bytes stored(kAuditFrameHeadSize + size);
  COFFER_ASSIGN(const std::size_t got, file_->pread(place.offset, stored));
  if (got < stored.size()) return no_frame;
  Bytes content(size);
  const BytesView all(stored);
  if (!cipher_->open(frame_aad(place.chain, size), all.last(size), all.subspan(4, kSealSize), content)) return no_frame;

  auto frame = decode_audit_frame(content);
  const bool is_first = place.offset == kAuditHeadSize;
  if (!frame || (frame->kind == AuditFrame::Kind::kBegin) != is_first) return no_frame;
  if (!is_first && (frame->records_before != place.records || frame->missing < place.missing)) return no_frame;
  place.offset += stored.size();
  place.records = frame->records_before + frame->records.size();
  place.missing = frame->missing;
  place.cuts = frame->cuts;
  place.chain = chain_after(place.chain, stored);
  return frame;
}

Status AuditFile::write(AuditPlace& place, const AuditFrame& frame) {
  assert(place.file == number_ && (frame.kind == AuditFrame::Kind::kBegin) == (place.offset == kAuditHeadSize));
  const Bytes content = encode_audit_frame(frame);
  assert(content.size() <= kCipherSizeMax);
  const auto size = static_cast<std::uint32_t>(content.size());
  WireWriter out;
  out.u32(size);
  Bytes stored = std::move(out).take();
  stored.resize(kAuditFrameHeadSize + size);
  const MutableBytes all(stored);
  COFFER_TRY(cipher_->seal(frame_aad(place.chain, size), content, all.last(size), all.subspan(4, kSealSize)));
  COFFER_TRY(file_->pwrite(place.offset, stored));
  place.offset += stored.size();
  place.records = frame.records_before + frame.records.size();
  place.missing = frame.missing;
  place.cuts = frame.cuts;
  place.chain = chain_after(place.chain, stored);
  return {};
}

Result<bool> AuditFile::has_rest(std::uint64_t offset) {
  Bytes piece(64 * 1024);
  while (true) {
    COFFER_ASSIGN(const std::size_t size, file_->pread(offset, piece));
    if (!all_zeros(BytesView(piece).first(size))) return true;
    if (size < piece.size()) return false;
    offset += size;
  }
}

Status AuditFile::cut(std::uint64_t offset) {
  COFFER_ASSIGN(const std::uint64_t size, file_->size());
  return size > offset ? file_->truncate(offset) : Status();
}

Status AuditFile::sync() { return file_->sync(); }

Status AuditFile::wrap_for(const KeySchedule& next) {
  const auto other = static_cast<std::uint8_t>(1 - slot_);
  const auto moved = static_cast<std::uint8_t>(std::min<int>(moved_ + 1, kMovedMax));
  COFFER_ASSIGN(const Bytes slot, make_slot(next, *suite_, number_, other, moved, key_));
  COFFER_TRY(file_->pwrite(other * kAuditSlotDistance, slot));
  return file_->sync();
}

Status AuditFile::forget_other_roots() {
  std::array<std::uint8_t, kAuditSlotSize> stored{};
  const std::uint64_t offset = (1 - slot_) * kAuditSlotDistance;
  COFFER_TRY(file_->pread(offset, stored));
  if (all_zeros(stored)) return {};
  stored.fill(0);
  COFFER_TRY(file_->pwrite(offset, stored));
  return file_->sync();
}

Status wrap_audit_keys(Disk& disk, const AeadSuite& suite, const KeySchedule& keys, const KeySchedule& next) {
  COFFER_ASSIGN(const auto numbers, audit_files(disk));
  for (const auto number : numbers) {
    auto file = AuditFile::open(disk, keys, suite, number);
    if (!file && file.code() == Code::kDamaged) continue;
    if (!file) return std::move(file).error();
    COFFER_TRY(file->wrap_for(next));
  }
  return {};
}

}  // namespace coffer
