#include "admin/timestamps.h"
#include "base/exit_code.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "cli/wire_error.h"

namespace coffer {
namespace {

// A list that KMS hands out in pages, whole.
Result<Json> list_all(ApiClient& client, std::string_view operation, std::string_view member) {
  Json all = Json::array();
  Json input = Json::object();
  while (true) {
    COFFER_ASSIGN(const Json page, client.kms(operation, input));
    for (const auto& item : member_at(page, member)) all.push_back(item);
    const std::string next = text_at(page, "NextMarker");
    if (!truth_at(page, "Truncated") || next.empty()) break;
    input["Marker"] = next;
  }
  Json whole = Json::object();
  whole[std::string(member)] = std::move(all);
  whole["Truncated"] = false;
  return whole;
}

void print_list(const Json& list, std::string_view first, std::string_view second, Console& console) {
  for (const auto& item : list) {
    console.out << text_at(item, first);
    if (!second.empty()) console.out << '\t' << text_at(item, second);
    console.out << '\n';
  }
}

void print_key(const Json& key, Console& console) {
  console.out << text_at(key, "Arn") << '\n'
              << "state        " << text_at(key, "KeyState") << '\n'
              << "manager      " << text_at(key, "KeyManager") << '\n'
              << "created      " << iso8601(seconds_at(key, "CreationDate")) << '\n';
  if (const auto deletion = seconds_at(key, "DeletionDate"); deletion != 0) {
    console.out << "deletion     " << iso8601(deletion) << '\n';
  }
  console.out << "material     " << text_at(key, "CurrentKeyMaterialId") << '\n'
              << "description  " << text_at(key, "Description") << '\n';
}

void print_counts(const Json& counts, Console& console) {
  for (const auto& [operation, count] : counts.items()) {
    if (count.is_number()) console.out << operation << '\t' << compact_json(count) << '\n';
  }
}

void print_check(const Json& check, Console& console) {
  const auto arn = text_at(check, "kms_key_arn");
  console.out << text_at(check, "bucket") << ": " << text_at(check, "sse") << (arn.empty() ? "" : " under ") << arn
              << (truth_at(check, "usable") ? " serves" : " does not serve") << '\n';
}

struct Call {
  std::string_view operation;
  Json input;
};

// The one request behind each verb but the two lists.
Call call_of(const KmsOptions& options) {
  using Verb = KmsOptions::Verb;
  const Json key = {{"KeyId", options.key}};
  switch (options.verb) {
    case Verb::kCreateKey: return {"CreateKey", {{"Description", options.description}}};
    case Verb::kListKeys: return {"ListKeys", Json::object()};
    case Verb::kListAliases: return {"ListAliases", Json::object()};
    case Verb::kStats: return {"KmsStats", Json::object()};
    case Verb::kDescribeKey: return {"DescribeKey", key};
    case Verb::kEnableKey: return {"EnableKey", key};
    case Verb::kDisableKey: return {"DisableKey", key};
    case Verb::kRotateKey: return {"RotateKeyOnDemand", key};
    case Verb::kCancelKeyDeletion: return {"CancelKeyDeletion", key};
    case Verb::kScheduleKeyDeletion:
      return {"ScheduleKeyDeletion", {{"KeyId", options.key}, {"PendingWindowInDays", options.days}}};
    case Verb::kCreateAlias: return {"CreateAlias", {{"AliasName", options.alias}, {"TargetKeyId", options.key}}};
    case Verb::kCheckBucket: return {"CheckBucket", {{"bucket", options.bucket}}};
  }
  return {};
}

void print_plain(const KmsOptions& options, const Json& answer, Console& console) {
  using Verb = KmsOptions::Verb;
  switch (options.verb) {
    case Verb::kCreateKey: console.out << text_at(member_at(answer, "KeyMetadata"), "Arn") << '\n'; return;
    case Verb::kListKeys: return print_list(member_at(answer, "Keys"), "KeyArn", "", console);
    case Verb::kListAliases: return print_list(member_at(answer, "Aliases"), "AliasName", "TargetKeyId", console);
    case Verb::kStats: return print_counts(answer, console);
    case Verb::kDescribeKey: return print_key(member_at(answer, "KeyMetadata"), console);
    case Verb::kScheduleKeyDeletion:
      console.out << text_at(answer, "KeyId") << " will be deleted for ever at "
                  << iso8601(seconds_at(answer, "DeletionDate")) << "; `coffer kms cancel-key-deletion` keeps it\n";
      return;
    case Verb::kCheckBucket: return print_check(answer, console);
    case Verb::kEnableKey:
    case Verb::kDisableKey:
    case Verb::kRotateKey:
    case Verb::kCancelKeyDeletion:
    case Verb::kCreateAlias: return;
  }
}

Result<Json> ask(ApiClient& client, const KmsOptions& options) {
  using Verb = KmsOptions::Verb;
  if (options.verb == Verb::kListKeys) return list_all(client, "ListKeys", "Keys");
  if (options.verb == Verb::kListAliases) return list_all(client, "ListAliases", "Aliases");
  const Call call = call_of(options);
  const bool ours = options.verb == Verb::kStats || options.verb == Verb::kCheckBucket;
  return ours ? client.coffer(call.operation, call.input) : client.kms(call.operation, call.input);
}

}  // namespace

Result<int> run_command(const KmsOptions& options, Console& console) {
  COFFER_ASSIGN(ApiClient client, connect(options.endpoint));
  COFFER_ASSIGN(const Json answer, ask(client, options));
  if (options.json) {
    print_json(console.out, answer);
  } else {
    print_plain(options, answer, console);
  }
  const bool refused = options.verb == KmsOptions::Verb::kCheckBucket && !truth_at(answer, "usable");
  if (refused) return named_refusal(text_at(answer, "code"), text_at(answer, "message"));
  return kExitDone;
}

}  // namespace coffer
