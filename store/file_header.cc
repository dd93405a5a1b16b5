#include "store/file_header.h"

#include <algorithm>

#include "base/limits.h"
#include "base/wire.h"

namespace coffer {
namespace {

constexpr std::uint8_t kHeaderVersion = 1;
constexpr std::size_t kHalfSize = kChunkSize / 2;
constexpr std::size_t kHalfHeadSize = kSaltSize + 2 + kSealSize;  // before the ciphertext
constexpr std::size_t kContentMax = kHalfSize - kHalfHeadSize;

Error not_authentic() { return {Code::kDamaged, "the second copy in a data file's first slot does not authenticate"}; }

Bytes encode_header(const FileHeader& header) {
  const auto& inode = header.inode;
  const auto time = [](std::int64_t ns) { return static_cast<std::uint64_t>(ns); };
  WireWriter out;
  out.u8(kHeaderVersion).u64(header.sequence);
  out.u64(inode.ino).u32(inode.mode).u32(inode.uid).u32(inode.gid).u64(inode.size);
  out.u64(time(inode.atime_ns)).u64(time(inode.mtime_ns)).u64(time(inode.ctime_ns));
  out.u64(header.rule_version).u64(header.next_rule_version);
  out.blob16(header.envelope).blob16(header.next_envelope.value_or(Bytes()));
  out.text16(header.bucket).u8(header.path_cut ? 1 : 0).text16(header.path);
  return std::move(out).take();
}

// Total: kDamaged for anything encode_header() does not write.
Result<FileHeader> decode_header(BytesView content) {
  WireReader in(content);
  FileHeader header;
  auto& inode = header.inode;
  const auto version = in.u8();
  header.sequence = in.u64();
  inode.ino = in.u64();
  inode.mode = in.u32();
  inode.uid = in.u32();
  inode.gid = in.u32();
  inode.size = in.u64();
  for (auto* time : {&inode.atime_ns, &inode.mtime_ns, &inode.ctime_ns}) *time = static_cast<std::int64_t>(in.u64());
  header.rule_version = in.u64();
  header.next_rule_version = in.u64();
  header.envelope = to_bytes(in.blob16());
  const auto next = in.blob16();
  if (!next.empty()) header.next_envelope = to_bytes(next);
  header.bucket = in.text16();
  const auto cut = in.u8();
  header.path_cut = cut == 1;
  header.path = in.text16();
  if (!in.done() || version != kHeaderVersion || cut > 1 || inode.ino == 0 || header.envelope.empty())
    return not_authentic();
  return header;
}

}  // namespace

FileHeaders::FileHeaders(const KeySchedule& keys, const AeadSuite& suite)
    : key_(keys.purpose_key(Purpose::kDataFileHeader)), store_(keys.store_id()), suite_(suite) {}

Key FileHeaders::half_key(BytesView salt) const {
  return derive_key(key_, salt, as_bytes("coffer/1/data-file-header-half"));
}

Bytes FileHeaders::aad(std::uint64_t number, unsigned half, std::size_t size) const {
  WireWriter out;
  out.raw(as_bytes("coffer/1/data-file-header")).raw(store_).u64(number).u8(static_cast<std::uint8_t>(half));
  out.u16(static_cast<std::uint16_t>(size));
  return std::move(out).take();
}

Status FileHeaders::write(DiskFile& file, std::uint64_t number, FileHeader header) const {
  auto content = encode_header(header);
  if (content.size() > kContentMax) {
    const auto excess = content.size() - kContentMax;
    if (excess > header.path.size()) return Error{Code::kLimit, "the envelopes do not fit a data file's first slot"};
    header.path.erase(0, excess);
    header.path_cut = true;
    content = encode_header(header);
  }
  const auto half = static_cast<unsigned>(header.sequence & 1);
  Bytes stored(kHalfHeadSize + content.size());
  const MutableBytes view(stored);
  fill_random(view.first(kSaltSize));
  stored[kSaltSize] = static_cast<std::uint8_t>(content.size());
  stored[kSaltSize + 1] = static_cast<std::uint8_t>(content.size() >> 8);
  const Key key = half_key(view.first(kSaltSize));
  COFFER_TRY(suite_.single(key)->seal(aad(number, half, content.size()), content, view.subspan(kHalfHeadSize),
                                      view.subspan(kSaltSize + 2, kSealSize)));
  return file.pwrite(half * kHalfSize, stored);
}

Result<FileHeader> FileHeaders::read_half(BytesView stored, std::uint64_t number, unsigned half) const {
  if (stored.size() < kHalfHeadSize) return not_authentic();
  const std::size_t size = stored[kSaltSize] | std::size_t{stored[kSaltSize + 1]} << 8;
  if (size > stored.size() - kHalfHeadSize) return not_authentic();
  const Key key = half_key(stored.first(kSaltSize));
  Bytes content(size);
  if (!suite_.single(key)->open(aad(number, half, size), stored.subspan(kHalfHeadSize, size),
                                stored.subspan(kSaltSize + 2, kSealSize), content))
    return not_authentic();
  return decode_header(content);
}

Result<std::optional<FileHeader>> FileHeaders::read(DiskFile& file, std::uint64_t number) const {
  Bytes stored(2 * kHalfSize);
  COFFER_ASSIGN(const auto size, file.pread(0, stored));
  if (all_zeros(BytesView(stored).first(size))) return std::optional<FileHeader>();
  std::optional<FileHeader> newest;
  for (unsigned half = 0; half < 2; ++half) {
    const auto from = std::min(half * kHalfSize, size), to = std::min((half + 1) * kHalfSize, size);
    auto header = read_half(BytesView(stored).subspan(from, to - from), number, half);
    if (header && (!newest || header->sequence > newest->sequence)) newest = *std::move(header);
  }
  if (!newest) return not_authentic();
  return newest;
}

}  // namespace coffer
