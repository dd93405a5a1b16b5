#include <unistd.h>

#include "base/exit_code.h"
#include "cli/commands.h"
#include "cli/json.h"

namespace coffer {
namespace {

void print_mount(const Json& mount, Console& console) {
  const auto& commit = member_at(mount, "commit");
  console.out << text_at(mount, "dir") << '\n'
              << "  store    " << text_at(mount, "store") << '\n'
              << "  socket   " << text_at(mount, "socket") << '\n'
              << "  pid      " << number_at(mount, "pid") << '\n'
              << "  commit   " << number_at(commit, "counter") << ' ' << text_at(commit, "digest") << '\n';
  for (const auto& job : member_at(mount, "jobs")) {
    console.out << "  job      " << text_at(job, "kind") << ' ' << number_at(job, "done") << " of "
                << number_at(job, "total") << '\n';
  }
  if (const auto crypto = text_at(mount, "crypto"); !crypto.empty()) console.out << "  crypto   " << crypto << '\n';
  for (const auto* group : {"cache", "kms"}) {
    const auto& counts = member_at(mount, group);
    if (counts.empty()) continue;
    console.out << "  " << group << std::string(9 - std::string_view(group).size(), ' ');
    for (const auto& [name, count] : counts.items()) console.out << name << ' ' << compact_json(count) << "  ";
    console.out << '\n';
  }
  if (const auto& kms = member_at(mount, "external_kms"); !kms.is_null()) {
    console.out << "  kms at   " << text_at(kms, "endpoint") << ": " << text_at(kms, "state") << ", "
                << number_at(kms, "calls") << " calls, " << number_at(kms, "failures") << " failed\n";
    if (const auto why = text_at(kms, "last_failure"); !why.empty()) console.out << "           last: " << why << '\n';
  }
  if (truth_at(mount, "poisoned"))
    console.out << "  POISONED: the disk refused a write; unmount, see to the disk, mount again\n";
}

// Where each answer is to come from: one socket, one mount, or all mounts of this user.
Result<std::vector<Endpoint>> endpoints(const StatusOptions& options) {
  const EndpointChoice environment = endpoint_from_environment();
  COFFER_ASSIGN(const auto table, read_mountinfo());
  std::vector<Endpoint> found;
  if (options.dir) {
    COFFER_ASSIGN(const MountPoint mount, coffer_mount_at(table, clean_path(*options.dir)));
    found.push_back(endpoint_of(mount, options.endpoint, environment));
  } else if (options.endpoint.socket || environment.socket) {
    COFFER_ASSIGN(const Endpoint endpoint, find_endpoint(options.endpoint, environment, table, ::getuid()));
    found.push_back(endpoint);
  } else {
    for (const auto& mount : coffer_mounts_of(table, ::getuid())) {
      found.push_back(endpoint_of(mount, options.endpoint, environment));
    }
  }
  return found;
}

Result<Json> ask(const Endpoint& endpoint) {
  COFFER_ASSIGN(ApiClient client, ApiClient::to(endpoint));
  return client.coffer("Status");
}

}  // namespace

Result<int> run_command(const StatusOptions& options, Console& console) {
  COFFER_ASSIGN(const auto asked, endpoints(options));
  Json mounts = Json::array();
  Status all_answered;
  for (const auto& endpoint : asked) {
    const auto answer = ask(endpoint);
    if (answer.ok()) {
      for (const auto& mount : member_at(*answer, "mounts")) mounts.push_back(mount);
    } else {
      all_answered = answer.error();
    }
  }
  if (options.json) {
    print_json(console.out, {{"mounts", mounts}});
  } else {
    for (const auto& mount : mounts) print_mount(mount, console);
  }
  COFFER_TRY(std::move(all_answered));  // those that did answer are printed all the same
  return kExitDone;
}

}  // namespace coffer
