#pragma once

#include <mutex>
#include <string>
#include <vector>

#include "admin/audit_control.h"
#include "base/clock.h"
#include "base/log.h"
#include "crypto/observed_kms.h"
#include "store/audit_log.h"
#include "store/catalog.h"

namespace coffer {

// What is recorded, and when it is written: a request's record before its answer; the mount's own KMS calls every
// commit interval, or when many wait. Nothing waits for a disk that refuses: what cannot be written is counted, and the
// log says so once. Thread-safe.
class AuditTrail final : public AuditControl {
 public:
  // The store's, at the place its catalog knows. The rest outlives it.
  static Result<std::unique_ptr<AuditTrail>> open(Disk& disk, const KeySchedule& keys, const AeadSuite& suite,
                                                  Catalog& catalog, const Clock& clock, Log log,
                                                  std::uint64_t files_kept);

  void kms_used(KmsUse use);
  // An operation of the daemon's own, such as the mount's begin and end.
  void note(std::string_view name, const Principal& who);
  // Writes what waits.
  void write();

  // What was recorded before survives a power cut; the next commit says so. False: nothing was recorded since the last
  // one.
  bool sync();
  // For Store::before_commit: how far the trail is synced belongs into each commit.
  Status before_commit();
  // Files before this one may go after a durable commit that began later than this was asked for.
  std::uint64_t first_committed() const;
  void prune(std::uint64_t first);

  void record(std::string record) override;
  Result<Page> read(std::string_view from, std::size_t limit) override;
  Result<Verdict> verify() override;

 private:
  AuditTrail(Catalog& catalog, Realm realm, const Clock& clock, Log log)
      : catalog_(catalog), realm_(std::move(realm)), clock_(clock), log_(std::move(log)) {}
  std::string record_of(const KmsUse& use, std::int64_t time_ns) const;
  void append(const std::vector<std::string>& records);
  void report(const char* doing, const Status& status);

  struct Waiting {
    KmsUse use;
    std::int64_t time_ns;
  };

  Catalog& catalog_;
  const Realm realm_;
  const Clock& clock_;
  const Log log_;
  std::unique_ptr<AuditLog> trail_;
  std::mutex writing_;        // one batch after the other, in their order. Comes before mutex_
  mutable std::mutex mutex_;  // all below
  std::vector<Waiting> waiting_;
  AuditEnd synced_, committed_;
  bool failing_ = false;
};

}  // namespace coffer
