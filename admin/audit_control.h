#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/check_report.h"
#include "base/result.h"

namespace coffer {

// The audit trail, as the server sees it: a record for each call. Thread-safe.
class AuditControl {
 public:
  virtual ~AuditControl() = default;
  // One JSON object on one line. It survives a kill when this returns; or it could not be written, and is counted.
  virtual void record(std::string record) = 0;
  struct Entry {
    std::uint64_t number = 0;             // of the record; they count from 1
    std::uint64_t missing = 0, cuts = 0;  // before it: records that could not be written, ends that a power cut tore
    std::string record;
  };
  struct Page {
    std::vector<Entry> entries;
    std::string next;            // where the next page begins; this one is empty where nothing more is there
    std::vector<Damage> damage;  // that was passed over on the way to `next`
  };
  virtual Result<Page> read(std::string_view from /* empty: the oldest */, std::size_t limit) = 0;  // kInvalidArgument
  struct Verdict {
    std::uint64_t files = 0, records = 0, first_record = 0, missing = 0, cuts = 0;
    std::string digest;  // hex, of all there is
    std::vector<Damage> damage;
  };
  virtual Result<Verdict> verify() = 0;
};

}  // namespace coffer
