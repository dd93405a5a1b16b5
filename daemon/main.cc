#include <malloc.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <climits>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "admin/credentials_file.h"
#include "admin/http_server.h"
#include "admin/server.h"
#include "base/exit_code.h"
#include "base/limits.h"
#include "daemon/access_control.h"
#include "daemon/admin_socket.h"
#include "daemon/audit_trail.h"
#include "daemon/bucket_control.h"
#include "daemon/credentials.h"
#include "daemon/curl_kms_transport.h"
#include "daemon/external_keys.h"
#include "daemon/fuse_shell.h"
#include "daemon/housekeeper.h"
#include "daemon/key_control.h"
#include "daemon/mount_control.h"
#include "daemon/mount_point.h"
#include "daemon/options.h"
#include "daemon/service.h"
#include "daemon/starter.h"
#include "daemon/unlock_control.h"
#include "daemon/user_control.h"
#include "store/opened_store.h"

namespace coffer {
namespace {

// No core dump, no debugger of the same user, no file others may read.
void shield_process() {
  const rlimit none = {0, 0};
  setrlimit(RLIMIT_CORE, &none);
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  umask(S_IRWXG | S_IRWXO);
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // a file that grows too large is an error, not the end
}

// What is freed between two commits is wanted again by the next writes: given back to the kernel it costs a page fault each time.
void keep_freed_memory() {
  mallopt(M_TRIM_THRESHOLD, 2 * static_cast<int>(kDirtyBytesMax));
  mallopt(M_MMAP_THRESHOLD, 4 << 20);  // glibc chooses this by itself unless the other is set
}

// The signals that end a daemon, as a descriptor. Blocked in every thread made later.
int end_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, number);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  return signalfd(/*fd=*/-1, &set, SFD_CLOEXEC);
}

void wait_for_end(int signals, const FuseShell& shell) {
  pollfd events[2] = {{signals, POLLIN, 0}, {shell.ended_fd(), POLLIN, 0}};
  while (poll(events, 2, /*timeout=*/-1) <= 0) {
  }
}

Result<std::string> find_store(const std::string& path) {
  char resolved[PATH_MAX];
  if (realpath(path.c_str(), resolved) == nullptr) {
    return Error{Code::kNoStore, "there is no store at " + path + ": make one with coffer init"};
  }
  return std::string(resolved);
}

Result<Realm> realm_of(Catalog& catalog) {
  const std::lock_guard lock(catalog.mutex());
  return catalog.realm();
}

AdminSocket::Place socket_place(const DaemonOptions& options, const std::string& store) {
  AdminSocket::Place place{store, options.admin_socket, std::nullopt};
  if (const std::vector<int> inherited = service::listening_sockets(); !inherited.empty()) {
    place.inherited = inherited.front();
  }
  return place;
}

Result<FuseShell::Options> shell_options(const DaemonOptions& options, const std::string& store,
                                         const std::string& dir) {
  UidMap uids;
  if (options.uid_map) {
    COFFER_ASSIGN(uids, UidMap::read(*options.uid_map));
  }
  return FuseShell::Options{store, dir, options.mount_options, options.poll_us,
                            options.kms.endpoint.has_value(), std::move(uids)};
}

// A KMS elsewhere, where one was asked for. Nothing is sent to it before a key of it is used.
struct Elsewhere {
  std::unique_ptr<KmsCredentials> credentials;
  std::unique_ptr<CurlKmsTransport> transport;
  std::unique_ptr<ExternalKms> kms;

  static Result<Elsewhere> find(const DaemonOptions::ExternalKms& options, const Clock& clock, const Log& log) {
    Elsewhere out;
    if (!options.endpoint) return out;
    COFFER_ASSIGN(out.credentials, KmsCredentials::find(options.credentials_file));
    COFFER_ASSIGN(out.transport, CurlKmsTransport::to(*options.endpoint, options.ca_file, *out.credentials));
    const auto pause = [](std::int64_t ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); };
    out.kms = std::make_unique<ExternalKms>(*out.transport, clock, log, pause);
    return out;
  }
};

// Serves until the mount ends or a signal comes; then everything answered is durable, or the error says that it is not.
Status serve(const DaemonOptions& options, const Log& log, Starter& starter) {
  const int signals = end_signals();
  const SystemClock clock;
  COFFER_ASSIGN(const std::string path, find_store(options.store));
  COFFER_ASSIGN(const std::string dir, find_mount_point(options.dir, path));
  COFFER_ASSIGN(const FuseShell::Options shell_asked, shell_options(options, path, dir));
  const AdminSocket::Place place = socket_place(options, path);
  COFFER_TRY(AdminSocket::check(place));

  COFFER_ASSIGN(const UnlockSecret secret, find_unlock(path, options.unlock));
  COFFER_ASSIGN(const Elsewhere elsewhere, Elsewhere::find(options.kms, clock, log));
  COFFER_ASSIGN(const auto opened, OpenedStore::open(path, secret, clock,
                                                     {options.min_commit, kStoreWaitSeconds, elsewhere.kms.get()}));
  COFFER_TRY(clear_mount_point(dir, path));
  COFFER_ASSIGN(const Realm realm, realm_of(*opened->catalog));
  const Principal account_root = Principal::root_of(realm.account);
  COFFER_ASSIGN(const CredentialsFile credentials, load_credentials(path, account_root, log));

  LocalKms& kms = *opened->kms;
  COFFER_ASSIGN(const auto audit, AuditTrail::open(opened->folder->disk(), *opened->keys, *opened->suite,
                                                   *opened->catalog, clock, log, options.audit_files));
  opened->observed_kms->observe([&audit = *audit](KmsUse use) { audit.kms_used(std::move(use)); });
  COFFER_ASSIGN(const auto store, Store::open(*opened->catalog, opened->folder->disk(), *opened->keyring, clock, log,
                                              options.principal.value_or(account_root)));
  store->before_commit([&kms, &audit = *audit]() -> Status {
    COFFER_TRY(audit.before_commit());
    return kms.save_call_counts();
  });
  if (options.block_sse_c) store->block_sse_c_in_new_buckets();
  const auto make_durable = [&store = *store] { return store.sync_all(); };

  COFFER_ASSIGN(const auto socket, AdminSocket::listen(place));
  COFFER_ASSIGN(const auto shell, FuseShell::mount(*store, clock, shell_asked, log));
  COFFER_TRY(shell->start());

  StoreBucketControl buckets(*store, *opened->keyring, kms, *opened->observed_kms, *shell, realm.region, getuid(),
                             getgid(), log);
  StoreKeyUsers key_users(*store, *opened->bucket_keys, *shell, log);
  KmsKeyControl keys(kms, key_users, make_durable);
  StoreAccessControl access(*store, *opened->users, credentials, clock, realm);
  const auto change_callers = [&keys](const std::function<Status()>& change) { return keys.change_callers(change); };
  StoreUserControl users(*opened->users, clock, change_callers, make_durable);
  KmsAliasControl aliases(kms, make_durable);
  KmsTagControl tags(kms, make_durable);
  KmsRotationControl rotations(kms, make_durable);
  KmsDataKeyControl data_keys(kms);
  StoreUnlockControl unlock(opened->folder->disk(), *opened->catalog, *opened->keys, make_durable);
  StoreMountControl mount(*store, *opened->suite, {path, dir, socket->path()});
  std::optional<ExternalKeyWatch> external_keys;
  if (elsewhere.kms) {
    mount.tell_of(*elsewhere.kms, *options.kms.endpoint);
    external_keys.emplace(*elsewhere.kms, key_users, log);
    external_keys->start();
  }
  Server server(realm,
                {buckets, {keys, aliases, tags, rotations, keys, data_keys, keys}, mount, unlock, *audit, access, access,
                 users},
                access, clock, log);
  const auto handle = [&server](const HttpRequest& request) { return server.handle(request); };
  COFFER_ASSIGN(const auto on_socket, HttpServer::start(socket->fd(), handle, log));
  std::unique_ptr<HttpServer> on_loopback;
  if (options.listen_port) {
    COFFER_ASSIGN(const int fd, listen_on_loopback(*options.listen_port));
    COFFER_ASSIGN(on_loopback, HttpServer::start(fd, handle, log));
  }
  auto housekeeper = std::make_unique<Housekeeper>(*store, [&keys] { return keys.tend(); }, *audit, log);

  const Principal mounter = options.principal.value_or(account_root);
  audit->note("Mount", mounter);
  log(LogLevel::kInfo, "serving; " + opened->suite->describe());
  service::notify_ready("serving " + dir);
  starter.ready();
  wait_for_end(signals, *shell);

  service::notify_stopping();
  on_socket->stop();
  if (on_loopback) on_loopback->stop();
  external_keys.reset();
  shell->unmount();
  shell->stop();
  housekeeper.reset();
  audit->note("Unmount", mounter);
  audit->sync();
  const Status synced = store->finish();
  if (synced.ok() && !store->poisoned()) return {};
  return Error{Code::kPoisoned,
               "not everything could be made durable: see to the disk below the store, then run coffer fsck"};
}

int run(int argc, char** argv) {
  Starter starter(find_ready_fd(argc, argv));
  const auto command = parse_command_line(argc, argv);
  if (!command.ok()) {
    starter.failed(command.error().message);
    std::fprintf(stderr, "cofferd: %s\n", command.error().message.c_str());
    return exit_code(command.code());
  }
  if (const auto* help = std::get_if<HelpText>(&*command)) {
    std::fputs(help->text.c_str(), stdout);
    return kExitDone;
  }
  const DaemonOptions& options = std::get<DaemonOptions>(*command);
  const Log log = service::make_log(service::log_destination(options.foreground, starter.waits()));
  const Status served = serve(options, log, starter);
  if (served.ok()) return kExitDone;
  if (starter.waits()) {
    starter.failed(served.error().message);
  } else {
    log(LogLevel::kError, served.error().message);
  }
  return exit_code(served.code());
}

}  // namespace
}  // namespace coffer

int main(int argc, char** argv) {
  coffer::shield_process();
  coffer::keep_freed_memory();
  return coffer::run(argc, argv);
}
