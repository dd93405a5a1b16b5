#pragma once

#include "base/result.h"
#include "cli/api_client.h"
#include "cli/console.h"
#include "cli/options.h"

namespace coffer {

// Each does what was asked for, prints what it found to console.out, and answers what the program ends with.
Result<int> run_command(const HelpOptions& options, Console& console);
Result<int> run_command(const InitOptions& options, Console& console);
Result<int> run_command(const MountOptions& options, Console& console);
Result<int> run_command(const UnmountOptions& options, Console& console);
Result<int> run_command(const SyncOptions& options, Console& console);
Result<int> run_command(const StatusOptions& options, Console& console);
Result<int> run_command(const BucketOptions& options, Console& console);
Result<int> run_command(const EncryptionOptions& options, Console& console);
Result<int> run_command(const KmsOptions& options, Console& console);
Result<int> run_command(const AccessOptions& options, Console& console);
Result<int> run_command(const InspectOptions& options, Console& console);
Result<int> run_command(const CatOptions& options, Console& console);
Result<int> run_command(const FsckOptions& options, Console& console);
Result<int> run_command(const ResealOptions& options, Console& console);
Result<int> run_command(const ScrubOptions& options, Console& console);
Result<int> run_command(const AuditOptions& options, Console& console);
Result<int> run_command(const UnlockListOptions& options, Console& console);
Result<int> run_command(const UnlockAddOptions& options, Console& console);
Result<int> run_command(const UnlockRemoveOptions& options, Console& console);
Result<int> run_command(const UnlockRekeyOptions& options, Console& console);

// Everything the mount has answered is durable when this returns; kIo, saying what to do, if it could not be made so.
Status sync_mount(const MountPoint& mount);

// kInvalidArgument, naming the file.
Result<std::string> read_policy_file(const std::string& path);

// A client of the daemon that the flags, the environment or the mounts name.
Result<ApiClient> connect(const EndpointChoice& flags);
Result<ApiClient> connect(const MountPoint& mount, const EndpointChoice& flags);

}  // namespace coffer
