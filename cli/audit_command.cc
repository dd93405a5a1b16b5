#include <poll.h>

#include <deque>

#include "base/audit_limits.h"
#include "base/encoding.h"
#include "base/exit_code.h"
#include "base/limits.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "cli/offline_store.h"
#include "store/audit_reader.h"

namespace coffer {
namespace {

Json damage_json(const std::vector<Damage>& damage) {
  Json out = Json::array();
  for (const auto& one : damage) out.push_back({{"object", one.object}, {"what", one.what}});
  return out;
}

// Where a trail is read: the daemon, or an unmounted store. Both speak as Coffer.Audit and Coffer.AuditVerify do.
class Trail {
 public:
  virtual ~Trail() = default;
  virtual Result<Json> page(const std::string& from) = 0;
  virtual Result<Json> verify() = 0;
};

class DaemonTrail final : public Trail {
 public:
  explicit DaemonTrail(ApiClient client) : client_(std::move(client)) {}
  Result<Json> page(const std::string& from) override { return client_.coffer("Audit", {{"from", from}}); }
  Result<Json> verify() override { return client_.coffer("AuditVerify"); }

 private:
  ApiClient client_;
};

class OfflineTrail final : public Trail {
 public:
  static Result<std::unique_ptr<Trail>> open(const AuditOptions& options) {
    auto out = std::make_unique<OfflineTrail>();
    auto opened = open_offline(*options.store, options.unlock, out->clock_);
    if (!opened.ok() && opened.code() == Code::kInUse)
      return Error{Code::kInUse, *options.store + " is in use: leave it out, and its daemon answers"};
    COFFER_ASSIGN(out->opened_, std::move(opened));
    OpenedStore& store = *out->opened_;
    std::unique_lock lock(store.catalog->mutex());
    COFFER_ASSIGN(const AuditEnd known, AuditEnd::load(*store.catalog));
    lock.unlock();
    COFFER_ASSIGN(out->found_, find_audit_end(store.folder->disk(), *store.keys, *store.suite, known));
    return std::unique_ptr<Trail>(std::move(out));
  }

  Result<Json> page(const std::string& from) override {
    AuditPlace place;
    if (const auto bytes = unhex(from)) place = decode_audit_place(*bytes).value_or(AuditPlace());
    COFFER_ASSIGN(const auto page, read_audit(opened_->folder->disk(), *opened_->keys, *opened_->suite, found_.end,
                                              place, kAuditPageMax));
    Json entries = Json::array();
    for (const auto& entry : page.entries) {
      entries.push_back(
          {{"number", entry.number}, {"missing", entry.missing}, {"cuts", entry.cuts}, {"record", entry.record}});
    }
    return Json{{"entries", std::move(entries)},
                {"next", hex(encode_audit_place(page.next))},
                {"damage", damage_json(page.damage)}};
  }

  Result<Json> verify() override {
    COFFER_ASSIGN(auto verdict, verify_audit(opened_->folder->disk(), *opened_->keys, *opened_->suite, found_.end));
    if (found_.damage) verdict.damage.push_back({"the end of the trail", found_.damage->message, ""});
    return Json{{"files", verdict.files},
                {"records", verdict.records},
                {"first_record", verdict.first_record},
                {"missing", verdict.missing},
                {"cuts", verdict.cuts + (found_.torn ? 1 : 0)},
                {"digest", hex(verdict.end.place.chain)},
                {"damage", damage_json(verdict.damage)}};
  }

 private:
  const SystemClock clock_;
  std::unique_ptr<OpenedStore> opened_;
  AuditFound found_;
};

Result<std::unique_ptr<Trail>> open_trail(const AuditOptions& options) {
  if (options.store) return OfflineTrail::open(options);
  COFFER_ASSIGN(ApiClient client, connect(options.endpoint));
  return std::unique_ptr<Trail>(std::make_unique<DaemonTrail>(std::move(client)));
}

Error damaged(std::uint64_t places) {
  return {Code::kDamaged, std::to_string(places) +
                              " damaged places in the audit trail: records there were changed or lost. Keep its files, "
                              "and bring them back from a backup"};
}

// For a person: what happened, one line each. JSON escapes what a terminal could act on.
std::string line_of(const Json& entry, const Json& record) {
  const Json& who = member_at(record, "userIdentity");
  const std::string arn = text_at(who, "arn");
  std::string line = std::to_string(number_at(entry, "number")) + " " + text_at(record, "eventTime") + " " +
                     text_at(record, "eventSource") + " " + text_at(record, "eventName") + " " +
                     (arn.empty() ? text_at(who, "type") : arn);
  if (!text_at(who, "invokedBy").empty()) line += " (by the mount)";
  if (const auto code = text_at(record, "errorCode"); !code.empty()) line += " " + code;
  if (const Json& parameters = member_at(record, "requestParameters"); !parameters.is_null())
    line += " " + compact_json(parameters);
  return line;
}

class Printer {
 public:
  Printer(const AuditOptions& options, Console& console) : options_(options), console_(console) {}

  void take(const Json& page) {
    for (const auto& one : member_at(page, "damage")) {
      ++damage_;
      console_.err << "coffer: " << text_at(one, "object") << ": " << text_at(one, "what") << std::endl;
    }
    for (const auto& entry : member_at(page, "entries")) {
      if (options_.last && !followed_) {
        kept_.push_back(entry);
        if (kept_.size() > *options_.last) kept_.pop_front();
      } else {
        print(entry);
      }
    }
    console_.out.flush();
  }

  // All that was there when the program began is read.
  void caught_up() {
    for (const auto& entry : std::exchange(kept_, {})) print(entry);
    followed_ = true;
    console_.out.flush();
  }

  Result<int> end() {
    if (options_.json) print_json(console_.out, {{"Records", records_}});
    if (damage_ > 0) return damaged(damage_);
    return kExitDone;
  }

 private:
  void print(const Json& entry) {
    if (const auto missing = number_at(entry, "missing"); missing > 0)
      console_.err << "coffer: before record " << number_at(entry, "number") << ": " << missing
                   << " records could not be written" << std::endl;
    const std::string text = text_at(entry, "record");
    const auto record = parse_json(text);
    if (options_.json) {
      records_.push_back(record.ok() ? *record : Json(text));
    } else if (options_.verb == AuditOptions::Verb::kExport || !record.ok()) {
      console_.out << text << '\n';
    } else {
      console_.out << line_of(entry, *record) << '\n';
    }
  }

  const AuditOptions& options_;
  Console& console_;
  std::deque<Json> kept_;
  Json records_ = Json::array();
  std::uint64_t damage_ = 0;
  bool followed_ = false;
};

Result<int> print_records(Trail& trail, const AuditOptions& options, Console& console) {
  Printer printer(options, console);
  std::string from;
  while (console.out) {
    COFFER_ASSIGN(const Json page, trail.page(from));
    printer.take(page);
    const bool at_end = member_at(page, "entries").empty();
    if (const auto next = text_at(page, "next"); !next.empty()) from = next;
    if (!at_end) continue;
    printer.caught_up();
    if (!options.follow) break;
    ::poll(nullptr, 0, static_cast<int>(kAuditFollowMs));
  }
  return printer.end();
}

Result<int> print_verdict(Trail& trail, const AuditOptions& options, Console& console) {
  COFFER_ASSIGN(const Json verdict, trail.verify());
  const Json& damage = member_at(verdict, "damage");
  if (options.json) {
    print_json(console.out, verdict);
  } else {
    for (const auto& one : damage) console.out << text_at(one, "object") << ": " << text_at(one, "what") << '\n';
    const auto records = number_at(verdict, "records");
    console.out << records << " records in " << number_at(verdict, "files") << " files";
    if (records > 0) console.out << ", from record " << number_at(verdict, "first_record") << " on";
    console.out << "; " << number_at(verdict, "missing") << " could not be written, " << number_at(verdict, "cuts")
                << " torn ends\n";
    console.out << "digest " << text_at(verdict, "digest") << '\n';
  }
  if (!damage.empty()) return damaged(damage.size());
  return kExitDone;
}

}  // namespace

Result<int> run_command(const AuditOptions& options, Console& console) {
  COFFER_ASSIGN(const auto trail, open_trail(options));
  if (options.verb == AuditOptions::Verb::kVerify) return print_verdict(*trail, options, console);
  return print_records(*trail, options, console);
}

}  // namespace coffer
