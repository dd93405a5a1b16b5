#include "store/audit_reader.h"

#include <algorithm>

#include "base/limits.h"
#include "base/wire.h"

namespace coffer {
namespace {

constexpr std::uint8_t kAuditEndVersion = 1;
constexpr std::string_view kEndInCatalog = "audit_end";
constexpr std::size_t kPageBytesMax = 2 << 20;  // of records in one answer

void put_place(WireWriter& out, const AuditPlace& place) {
  out.u64(place.file).u64(place.offset).u64(place.records).u64(place.missing).u64(place.cuts).raw(place.chain);
}

AuditPlace take_place(WireReader& in) {
  AuditPlace place;
  place.file = in.u64();
  place.offset = in.u64();
  place.records = in.u64();
  place.missing = in.u64();
  place.cuts = in.u64();
  const BytesView chain = in.raw(place.chain.size());
  if (in.ok()) std::copy(chain.begin(), chain.end(), place.chain.begin());
  return place;
}

bool is_damage(const Error& error) { return error.code == Code::kDamaged || error.code == Code::kNotFound; }

class Reader {
 public:
  Reader(Disk& disk, const KeySchedule& keys, const AeadSuite& suite) : disk_(disk), keys_(keys), suite_(suite) {}

  Result<AuditFile> open(std::uint64_t number) { return AuditFile::open(disk_, keys_, suite_, number); }

  // The file behind one that ends at `place`; moves on behind its first frame.
  Result<AuditFile> follow(AuditPlace& place) {
    COFFER_ASSIGN(AuditFile file, open(place.file + 1));
    AuditPlace begin = file.begin();
    COFFER_ASSIGN(const auto frame, file.read(begin));
    if (!frame || frame->chain_before != place.chain)
      return Error{Code::kDamaged, audit_file_name(file.number()) + " does not follow the file before it"};
    place = begin;
    return file;
  }

  // Whether its first frame is whole.
  Result<bool> is_begun(std::uint64_t number) {
    auto file = open(number);
    if (!file.ok() && is_damage(file.error())) return false;
    if (!file.ok()) return std::move(file).error();
    AuditPlace place = file->begin();
    const auto frame = file->read(place);
    if (!frame.ok() && !is_damage(frame.error())) return frame.error();
    return frame.ok() && frame->has_value();
  }

  // Goes over all frames up to `end`, or to the last one. kDamaged leaves `place` before what is no frame.
  Status skip(AuditFile& file, AuditPlace& place, const AuditPlace* end) {
    while (end == nullptr || place.file != end->file || place.offset < end->offset) {
      COFFER_ASSIGN(const auto frame, file.read(place));
      if (!frame) break;
    }
    return {};
  }

 private:
  Disk& disk_;
  const KeySchedule& keys_;
  const AeadSuite& suite_;
};

class Verifier {
 public:
  Verifier(Reader& reader, const AuditEnd& end) : reader_(reader), end_(end) { verdict_.end = end; }

  Result<AuditVerdict> run() {
    verdict_.missing = end_.place.missing;
    verdict_.cuts = end_.place.cuts;
    for (std::uint64_t number = end_.first; number <= end_.place.file; ++number) {
      if (auto status = file(number); !status.ok()) {
        if (!is_damage(status.error())) return std::move(status).error();
        damage(number, status.error().message);
        before_.reset();
      }
    }
    return std::move(verdict_);
  }

 private:
  void damage(std::uint64_t number, std::string what) {
    if (verdict_.damage.size() < kFsckDamageMax)
      verdict_.damage.push_back({audit_file_name(number), std::move(what), ""});
  }

  // before_: the chain behind the file before, unless that one is damaged.
  Status file(std::uint64_t number) {
    COFFER_ASSIGN(AuditFile file, reader_.open(number));
    AuditPlace place = file.begin();
    COFFER_ASSIGN(const auto first, file.read(place));
    if (!first) return Error{Code::kDamaged, "has no records"};
    if (before_ && *before_ != first->chain_before) damage(number, "does not follow the file before it");
    if (verdict_.files == 0) verdict_.first_record = first->records_before + 1;
    ++verdict_.files;
    const std::uint64_t records_before = place.records;
    const Status skipped = reader_.skip(file, place, &end_.place);
    verdict_.records += place.records - records_before;
    COFFER_TRY(skipped);
    before_ = place.chain;
    if (number == end_.place.file) {
      if (place == end_.place) return {};
      return Error{Code::kDamaged, "ends before its last record, or at another one than the catalog says"};
    }
    COFFER_ASSIGN(const bool rest, file.has_rest(place.offset));
    return rest ? Error{Code::kDamaged, "has something behind its last record"} : Status();
  }

  Reader& reader_;
  const AuditEnd& end_;
  std::optional<AuditChain> before_;
  AuditVerdict verdict_;
};

// The place behind the first frame of the file, or of the next that can be read.
Status begin_at(Reader& reader, std::uint64_t number, const AuditEnd& end, AuditPage& page) {
  for (; number <= end.place.file; ++number) {
    auto file = reader.open(number);
    auto place = file.ok() ? file->begin() : AuditPlace();
    auto frame = file.ok() ? file->read(place) : Result<std::optional<AuditFrame>>(file.error());
    if (frame.ok() && *frame) {
      page.next = place;
      return {};
    }
    if (!frame.ok() && !is_damage(frame.error())) return std::move(frame).error();
    page.damage.push_back({audit_file_name(number), frame.ok() ? "has no records" : frame.error().message, ""});
  }
  page.next = end.place;
  return {};
}

std::size_t append(AuditPage& page, AuditFrame frame, const AuditPlace& before) {
  std::size_t bytes = 0;
  const std::size_t first = page.entries.size();
  std::uint64_t number = frame.records_before;
  for (auto& record : frame.records) {
    bytes += record.size();
    page.entries.push_back({++number, 0, 0, std::move(record)});
  }
  if (page.entries.size() == first) return bytes;
  page.entries[first].missing = frame.missing - std::min(before.missing, frame.missing);
  page.entries[first].cuts = frame.cuts - std::min(before.cuts, frame.cuts);
  return bytes;
}

}  // namespace

Bytes encode_audit_place(const AuditPlace& place) {
  WireWriter out;
  put_place(out, place);
  return std::move(out).take();
}

std::optional<AuditPlace> decode_audit_place(BytesView bytes) {
  WireReader in(bytes);
  const AuditPlace place = take_place(in);
  if (!in.done()) return std::nullopt;
  return place;
}

Bytes AuditEnd::encode() const {
  WireWriter out;
  out.u8(kAuditEndVersion).u64(first);
  put_place(out, place);
  return std::move(out).take();
}

Result<AuditEnd> AuditEnd::decode(BytesView bytes) {
  WireReader in(bytes);
  const std::uint8_t version = in.u8();
  AuditEnd end;
  end.first = in.u64();
  end.place = take_place(in);
  if (!in.done() || version != kAuditEndVersion || end.first == 0)
    return Error{Code::kDamaged, "what the catalog says of the audit trail cannot be read"};
  return end;
}

Result<AuditEnd> AuditEnd::load(Catalog& catalog) {
  COFFER_ASSIGN(const auto kept, catalog.blob(kEndInCatalog));
  return kept ? decode(*kept) : AuditEnd();
}

Status AuditEnd::save(Catalog& catalog) const { return catalog.set_blob(kEndInCatalog, encode()); }

Result<AuditFound> find_audit_end(Disk& disk, const KeySchedule& keys, const AeadSuite& suite, const AuditEnd& known) {
  Reader reader(disk, keys, suite);
  AuditFound found{known, false, std::nullopt};
  AuditPlace& place = found.end.place;
  std::optional<AuditFile> file;
  const auto give_up = [&](Error error) -> Result<AuditFound> {
    if (!is_damage(error)) return error;
    return AuditFound{known, false, std::move(error)};
  };
  if (place.file != 0) {
    auto opened = reader.open(place.file);
    if (!opened.ok()) return give_up(opened.error());
    file = *std::move(opened);
    // All of it, and not from the known end on alone: nothing is written behind what does not lead there.
    AuditPlace at = file->begin();
    if (auto skipped = reader.skip(*file, at, &place); !skipped.ok()) return give_up(skipped.error());
    if (at != place)
      return give_up({Code::kDamaged, audit_file_name(place.file) + " ends before its last record, or is another one"});
  }
  while (true) {
    if (file) {
      const Status skipped = reader.skip(*file, place, nullptr);
      if (!skipped.ok() && !is_damage(skipped.error())) return skipped.error();
      COFFER_ASSIGN(found.torn, file->has_rest(place.offset));
    }
    auto next = reader.follow(place);
    if (!next.ok() && !is_damage(next.error())) return std::move(next).error();
    if (!next.ok()) break;
    file = *std::move(next);
  }
  // A file that was just begun may be torn. Any other behind the end is one that the catalog should know.
  COFFER_ASSIGN(const auto numbers, audit_files(disk));
  for (const auto number : numbers) {
    if (number <= place.file) continue;
    COFFER_ASSIGN(const bool begun, reader.is_begun(number));
    if (begun || number > place.file + 1)
      return give_up(
          {Code::kDamaged, audit_file_name(number) + " does not follow what the catalog knows of the trail"});
    found.torn = true;
  }
  return found;
}

Result<AuditVerdict> verify_audit(Disk& disk, const KeySchedule& keys, const AeadSuite& suite, const AuditEnd& end) {
  Reader reader(disk, keys, suite);
  if (end.place.file == 0) return AuditVerdict();
  return Verifier(reader, end).run();
}

Result<AuditPage> read_audit(Disk& disk, const KeySchedule& keys, const AeadSuite& suite, const AuditEnd& end,
                             const AuditPlace& from, std::size_t limit) {
  Reader reader(disk, keys, suite);
  AuditPage page;
  page.next = from;
  if (end.place.file == 0) return page;
  if (from.file < end.first) COFFER_TRY(begin_at(reader, end.first, end, page));
  std::size_t bytes = 0;
  std::optional<AuditFile> file;
  while (page.next.file < end.place.file || (page.next.file == end.place.file && page.next.offset < end.place.offset)) {
    if (page.entries.size() >= limit || bytes >= kPageBytesMax) break;
    if (!file || file->number() != page.next.file) {
      auto opened = reader.open(page.next.file);
      if (!opened.ok() && !is_damage(opened.error())) return std::move(opened).error();
      if (!opened.ok()) {
        page.damage.push_back({audit_file_name(page.next.file), opened.error().message, ""});
        COFFER_TRY(begin_at(reader, page.next.file + 1, end, page));
        continue;
      }
      file = *std::move(opened);
    }
    const AuditPlace before = page.next;
    auto frame = file->read(page.next);
    if (frame.ok() && *frame) {
      bytes += append(page, **std::move(frame), before);
      continue;
    }
    if (!frame.ok() && !is_damage(frame.error())) return std::move(frame).error();
    if (!frame.ok()) page.damage.push_back({audit_file_name(before.file), frame.error().message, ""});
    COFFER_TRY(begin_at(reader, before.file + 1, end, page));
  }
  return page;
}

}  // namespace coffer
