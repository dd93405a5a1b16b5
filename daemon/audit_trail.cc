#include "daemon/audit_trail.h"

#include "admin/audit_record.h"
#include "admin/kms_error.h"
#include "base/audit_limits.h"
#include "base/encoding.h"
#include "base/limits.h"

namespace coffer {

Result<std::unique_ptr<AuditTrail>> AuditTrail::open(Disk& disk, const KeySchedule& keys, const AeadSuite& suite,
                                                     Catalog& catalog, const Clock& clock, Log log,
                                                     std::uint64_t files_kept) {
  std::unique_lock lock(catalog.mutex());
  COFFER_ASSIGN(Realm realm, catalog.realm());
  COFFER_ASSIGN(const AuditEnd known, AuditEnd::load(catalog));
  lock.unlock();
  std::unique_ptr<AuditTrail> out(new AuditTrail(catalog, std::move(realm), clock, log));
  COFFER_ASSIGN(out->trail_, AuditLog::open(disk, keys, suite, clock, known,
                                            {.file_bytes = kAuditFileBytesMax, .files = files_kept}));
  out->synced_ = out->committed_ = known;
  if (const auto& damage = out->trail_->damage())
    log(LogLevel::kError,
        "the audit trail is damaged, and goes on in another file: " + damage->message + ": run `coffer audit verify`");
  return out;
}

std::string AuditTrail::record_of(const KmsUse& use, std::int64_t time_ns) const {
  AuditCall call;
  call.source = kAuditKms;
  call.name = use.operation;
  call.time_ns = time_ns;
  call.caller = use.principal;
  call.by_service = true;
  auto parameters = nlohmann::ordered_json::object();
  std::string arn = use.key_arn;
  if (arn.empty() && is_uuid(use.key)) arn = kms_key_arn({use.principal.account, realm_.region}, use.key);
  if (use.operation == "Decrypt") {
    parameters["encryptionAlgorithm"] = "SYMMETRIC_DEFAULT";
  } else {
    parameters["keyId"] = use.key;
    if (use.operation == "GenerateDataKey") parameters["keySpec"] = "AES_256";
  }
  parameters["encryptionContext"] = audit_context(use.context);
  call.parameters = std::move(parameters);
  if (arn.empty() && use.key.starts_with("arn:")) arn = use.key;
  if (!arn.empty()) call.resources.push_back(std::move(arn));
  if (use.error) {
    const JsonError told = to_kms(*use.error);
    call.error_code = audit_error_code(told.type);
    call.error_message = told.message.value_or("");
  }
  return audit_record(call, realm_);
}

void AuditTrail::kms_used(KmsUse use) {
  bool many = false;
  {
    const std::lock_guard lock(mutex_);
    waiting_.push_back({std::move(use), clock_.wall_ns()});
    many = waiting_.size() >= kAuditWaiting;
  }
  if (many) write();
}

void AuditTrail::note(std::string_view name, const Principal& who) {
  AuditCall call;
  call.source = kAuditCoffer;
  call.name = name;
  call.time_ns = clock_.wall_ns();
  call.caller = who;
  call.address = call.agent = "cofferd";
  record(audit_record(call, realm_));
}

void AuditTrail::report(const char* doing, const Status& status) {
  bool is_news = false;
  {
    const std::lock_guard lock(mutex_);
    is_news = !status.ok() && !failing_;
    failing_ = !status.ok();
  }
  if (is_news)
    log_(LogLevel::kError, std::string(doing) + ": " + status.error().message + ": records are missing from now on");
}

void AuditTrail::append(const std::vector<std::string>& records) {
  if (!records.empty()) report("writing the audit trail", trail_->append(records));
}

void AuditTrail::write() {
  const std::lock_guard order(writing_);
  std::vector<Waiting> taken;
  {
    const std::lock_guard lock(mutex_);
    taken.swap(waiting_);
  }
  std::vector<std::string> records;
  records.reserve(taken.size());
  for (const auto& one : taken) records.push_back(record_of(one.use, one.time_ns));
  append(records);
}

void AuditTrail::record(std::string record) {
  write();
  const std::lock_guard order(writing_);
  append({std::move(record)});
}

bool AuditTrail::sync() {
  write();
  const AuditEnd end = trail_->end();
  {
    const std::lock_guard lock(mutex_);
    if (synced_ == end) return false;
  }
  const Status synced = trail_->sync();
  report("syncing the audit trail", synced);
  const std::lock_guard lock(mutex_);
  if (synced.ok()) synced_ = end;
  return synced.ok();
}

Status AuditTrail::before_commit() {
  const std::lock_guard lock(catalog_.mutex());
  const std::lock_guard own(mutex_);
  if (committed_ == synced_) return {};
  const Status kept = synced_.save(catalog_);
  if (kept.ok()) committed_ = synced_;
  return kept.ok() || kept.code() == Code::kNoSpace ? Status() : kept;
}

std::uint64_t AuditTrail::first_committed() const {
  const std::lock_guard lock(mutex_);
  return committed_.first;
}

void AuditTrail::prune(std::uint64_t first) {
  if (const Status pruned = trail_->prune(first); !pruned.ok())
    log_(LogLevel::kWarning, "an old file of the audit trail stays: " + pruned.error().message);
}

Result<AuditControl::Page> AuditTrail::read(std::string_view from, std::size_t limit) {
  write();
  AuditPlace place;
  if (!from.empty()) {
    const auto bytes = unhex(from);
    const auto decoded = bytes ? decode_audit_place(*bytes) : std::nullopt;
    if (!decoded) return Error{Code::kInvalidArgument, "no place in the audit trail: begin without one"};
    place = *decoded;
  }
  COFFER_ASSIGN(auto found, trail_->read(place, limit));
  Page page;
  for (auto& entry : found.entries)
    page.entries.push_back({entry.number, entry.missing, entry.cuts, std::move(entry.record)});
  page.next = hex(encode_audit_place(found.next));
  page.damage = std::move(found.damage);
  return page;
}

Result<AuditControl::Verdict> AuditTrail::verify() {
  write();
  COFFER_ASSIGN(auto found, trail_->verify());
  Verdict verdict{found.files, found.records,          found.first_record, found.missing, found.cuts,
                  {},          std::move(found.damage)};
  verdict.digest = hex(found.end.place.chain);
  return verdict;
}

}  // namespace coffer
