#include <poll.h>

#include <algorithm>
#include <optional>

#include "base/encoding.h"
#include "base/exit_code.h"
#include "base/limits.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "cli/progress.h"

namespace coffer {
namespace {

// BUCKET[/PREFIX] below a mount. A prefix is text: it need not be a path that exists.
struct ResealTarget {
  MountPoint mount;
  std::string bucket, prefix;
};

Result<ResealTarget> target_of(const std::string& place) {
  COFFER_ASSIGN(const auto table, read_mountinfo());
  COFFER_ASSIGN(MountedPath path, coffer_mount_of(table, clean_path(place)));
  const auto slash = path.rest.find('/');
  if (path.rest.empty()) return Error{Code::kInvalidArgument, place + " names no bucket: write DIR/BUCKET[/PREFIX]"};
  return ResealTarget{std::move(path.mount), path.rest.substr(0, slash),
                      slash == std::string::npos ? "" : path.rest.substr(slash + 1)};
}

struct Queue {
  std::uint64_t done = 0, total = 0;
  std::uint64_t commits = 0;  // grow while a large object is being resealed
  bool empty() const { return done >= total; }
  bool operator==(const Queue&) const = default;
};

Result<Queue> look(ApiClient& client) {
  COFFER_ASSIGN(const Json status, client.coffer("Status"));
  Queue queue;
  for (const auto& mount : member_at(status, "mounts")) {
    if (truth_at(mount, "poisoned")) {
      return Error{Code::kPoisoned, "the store is poisoned: unmount it, see to the disk below, mount it again"};
    }
    queue.commits += number_at(member_at(mount, "commit"), "counter");
    for (const auto& job : member_at(mount, "jobs")) {
      if (text_at(job, "kind") != "reseal") continue;
      queue.done += number_at(job, "done");
      queue.total += number_at(job, "total");
    }
  }
  return queue;
}

Status wait_for_queue(ApiClient& client, Console& console) {
  const SystemClock clock;
  Progress progress(console, clock, "resealing:");
  Queue last;
  std::optional<std::uint64_t> before;  // done by earlier jobs of this mount
  std::int64_t moved_ns = clock.monotonic_ns();
  while (true) {
    COFFER_ASSIGN(const Queue queue, look(client));
    if (queue.empty()) return {};
    if (queue != last) moved_ns = clock.monotonic_ns();
    last = queue;
    if (clock.monotonic_ns() - moved_ns > kResealStuckNs) {
      return Error{Code::kKeyDisabled,
                   std::to_string(queue.total - queue.done) +
                       " objects wait for a key that does not serve: see `coffer kms check-bucket`"};
    }
    if (!before) before = queue.done;
    progress.show(queue.done - std::min(*before, queue.done), queue.total - std::min(*before, queue.total));
    ::poll(nullptr, 0, static_cast<int>(kResealPollMs));
  }
}

}  // namespace

Result<int> run_command(const ResealOptions& options, Console& console) {
  COFFER_ASSIGN(const ResealTarget target, target_of(options.place));
  COFFER_ASSIGN(ApiClient client, connect(target.mount, options.endpoint));
  COFFER_ASSIGN(const Json answer, client.coffer("Reseal", {{"bucket", target.bucket},
                                                            {"prefix", percent_encode(target.prefix, Slash::kKeep)},
                                                            {"data", options.data}}));
  COFFER_TRY(wait_for_queue(client, console));
  // What is said below is to be true after a power cut as well: the old key may be deleted next.
  COFFER_TRY(sync_mount(target.mount));
  const auto added = number_at(answer, "added");
  if (options.json) {
    print_json(console.out, {{"added", added}});
  } else {
    console.out << added << " objects queued; every object of the queue is under its bucket's default now\n";
  }
  return kExitDone;
}

}  // namespace coffer
