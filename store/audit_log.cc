#include "store/audit_log.h"

#include <algorithm>
#include <cassert>

namespace coffer {

Result<std::unique_ptr<AuditLog>> AuditLog::open(Disk& disk, const KeySchedule& keys, const AeadSuite& suite,
                                                 const Clock& clock, const AuditEnd& known, Limits limits) {
  std::unique_ptr<AuditLog> log(new AuditLog(disk, keys, suite, clock, limits));
  COFFER_ASSIGN(AuditFound found, find_audit_end(disk, keys, suite, known));
  COFFER_ASSIGN(const auto numbers, audit_files(disk));
  log->end_ = found.end;
  log->damage_ = std::move(found.damage);
  log->missing_ = found.end.place.missing;
  log->cuts_ = found.end.place.cuts;
  log->last_number_ = std::max(found.end.place.file, numbers.empty() ? 0 : numbers.back());
  for (const auto number : numbers) {
    if (number < found.end.first) continue;
    auto file = AuditFile::open(disk, keys, suite, number);
    if (file.ok()) COFFER_TRY(file->forget_other_roots());
  }
  if (!log->damage_) {
    // What stands behind the end was never part of the trail.
    for (const auto number : numbers) {
      if (number > found.end.place.file) COFFER_TRY(disk.remove(audit_file_name(number)));
    }
    log->last_number_ = found.end.place.file;
    if (found.torn) ++log->cuts_;
  }
  if (log->damage_ || found.end.place.file == 0) return log;
  COFFER_ASSIGN(AuditFile file, AuditFile::open(disk, keys, suite, found.end.place.file));
  COFFER_TRY(file.cut(found.end.place.offset));
  COFFER_TRY(file.sync());
  COFFER_TRY(disk.sync_folder(kAuditFolder));
  log->synced_ = found.end.place;
  if (!file.was_moved()) log->file_ = std::move(file);
  return log;
}

Status AuditLog::begin_file() {
  if (file_) {
    // Before the next one is there: then all that is before it is whole.
    if (auto synced = file_->sync(); synced.ok()) synced_ = end_.place;
    file_.reset();
  }
  COFFER_TRY(disk_.make_folder(kAuditFolder));
  names_synced_ = false;
  const std::uint64_t number = last_number_ + 1;
  COFFER_ASSIGN(AuditFile file, AuditFile::create(disk_, keys_, suite_, number));
  AuditFrame frame;
  frame.kind = AuditFrame::Kind::kBegin;
  frame.records_before = end_.place.records;
  frame.missing = missing_;
  frame.cuts = cuts_;
  frame.time_ns = clock_.wall_ns();
  frame.chain_before = end_.place.chain;
  AuditPlace place = file.begin();
  COFFER_TRY(file.write(place, frame));
  last_number_ = number;
  end_.place = place;
  file_ = std::move(file);
  if (number >= limits_.files) end_.first = std::max(end_.first, number - limits_.files + 1);
  return {};
}

Status AuditLog::write(AuditFrame frame) {
  frame.records_before = end_.place.records;
  frame.missing = missing_;
  frame.cuts = cuts_;
  if (file_ && end_.place.offset >= limits_.file_bytes) COFFER_TRY(begin_file());
  if (!file_) COFFER_TRY(begin_file());
  return file_->write(end_.place, frame);
}

Status AuditLog::append(std::span<const std::string> records) {
  const std::lock_guard lock(mutex_);
  while (!records.empty()) {
    AuditFrame frame;
    std::size_t bytes = 0;
    for (const auto& record : records) {
      assert(record.size() <= kAuditRecordMax);
      bytes += record.size() + kAuditRecordHead;
      if (bytes > kAuditFrameRecordsMax) break;
      frame.records.push_back(record);
    }
    const std::size_t count = frame.records.size();
    if (auto written = write(std::move(frame)); !written.ok()) {
      missing_ += records.size();
      return written;
    }
    records = records.subspan(count);
  }
  return {};
}

Status AuditLog::sync() {
  const std::lock_guard lock(mutex_);
  if (file_ && synced_ != end_.place) {
    if (auto synced = file_->sync(); !synced.ok()) {
      file_.reset();  // nobody knows what of it is there
      return synced;
    }
    synced_ = end_.place;
  }
  if (names_synced_) return {};
  COFFER_TRY(disk_.sync_folder(kAuditFolder));
  COFFER_TRY(disk_.sync_folder(""));
  names_synced_ = true;
  return {};
}

AuditEnd AuditLog::end() const {
  const std::lock_guard lock(mutex_);
  return end_;
}

Status AuditLog::prune(std::uint64_t first) {
  const std::lock_guard lock(kept_mutex_);
  COFFER_ASSIGN(const auto numbers, audit_files(disk_));
  for (const auto number : numbers) {
    if (number < first) COFFER_TRY(disk_.remove(audit_file_name(number)));
  }
  return {};
}

Result<AuditPage> AuditLog::read(const AuditPlace& from, std::size_t limit) const {
  const std::lock_guard lock(kept_mutex_);
  return read_audit(disk_, keys_, suite_, end(), from, limit);
}

Result<AuditVerdict> AuditLog::verify() const {
  const std::lock_guard lock(kept_mutex_);
  auto verdict = verify_audit(disk_, keys_, suite_, end());
  if (verdict.ok()) {
    const std::lock_guard written(mutex_);
    verdict->missing = missing_;
    verdict->cuts = cuts_;
  }
  return verdict;
}

}  // namespace coffer
