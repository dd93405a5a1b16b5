#pragma once

#include "base/check_report.h"
#include "store/audit_file.h"
#include "store/catalog.h"

namespace coffer {

// How far the audit trail reaches, as the catalog keeps it with each commit (docs/FORMAT.md section 12).
struct AuditEnd {
  std::uint64_t first = 1;  // the oldest file that is kept
  AuditPlace place;
  bool operator==(const AuditEnd&) const = default;

  Bytes encode() const;
  static Result<AuditEnd> decode(BytesView bytes);  // kDamaged

  // The caller holds the catalog's mutex.
  static Result<AuditEnd> load(Catalog& catalog);
  Status save(Catalog& catalog) const;
};

// What is there behind the end that the catalog names: a kill leaves more than the last commit knows.
struct AuditFound {
  AuditEnd end;
  bool torn = false;            // something behind it is no record
  std::optional<Error> damage;  // the trail does not reach as far as the catalog says
};
Result<AuditFound> find_audit_end(Disk& disk, const KeySchedule& keys, const AeadSuite& suite, const AuditEnd& known);

struct AuditVerdict {
  std::uint64_t files = 0, records = 0;  // that were read and belong to the trail
  std::uint64_t first_record = 0;        // the number of the oldest one that is kept; 0: there is none
  std::uint64_t missing = 0, cuts = 0;   // since the store was made, as the last frame counts them
  AuditEnd end;
  std::vector<Damage> damage;  // at most kFsckDamageMax
};
// Reads everything from the oldest file to `end`, and that all of it follows on one another.
Result<AuditVerdict> verify_audit(Disk& disk, const KeySchedule& keys, const AeadSuite& suite, const AuditEnd& end);

struct AuditEntry {
  std::uint64_t number = 0;             // of the record; they count from 1
  std::uint64_t missing = 0, cuts = 0;  // what came between the one before and this
  std::string record;
};
struct AuditPage {
  std::vector<AuditEntry> entries;
  AuditPlace next;             // where the next page begins; the page is empty where nothing more is there
  std::vector<Damage> damage;  // what stood in the way to `next` and was passed over
};
// The records from a place on that an earlier page named, or from the oldest: as many frames as make `limit` of them.
Result<AuditPage> read_audit(Disk& disk, const KeySchedule& keys, const AeadSuite& suite, const AuditEnd& end,
                             const AuditPlace& from, std::size_t limit);

Bytes encode_audit_place(const AuditPlace& place);
std::optional<AuditPlace> decode_audit_place(BytesView bytes);

}  // namespace coffer
