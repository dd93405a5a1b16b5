#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/mount_table.h"

namespace coffer {

// Where a request goes, and the file with the access key that signs it.
struct Endpoint {
  std::string socket, credentials;
};

// --socket and --credentials, or $COFFER_SOCKET and $COFFER_CREDENTIALS.
struct EndpointChoice {
  std::optional<std::string> socket, credentials;
};
EndpointChoice endpoint_from_environment();  // an empty variable is none

// The daemon that was meant: by flag, by environment, or the only mount of this user. kInvalidArgument, listing the
// mounts, when there are several or none.
Result<Endpoint> find_endpoint(const EndpointChoice& flags, const EndpointChoice& environment,
                               const std::vector<MountPoint>& table, uid_t user);

// The daemon of one mount; a flag still wins.
Endpoint endpoint_of(const MountPoint& mount, const EndpointChoice& flags, const EndpointChoice& environment);

// A path that fits a socket's address: `socket` itself, or what it is a symbolic link to. kInvalidArgument when neither
// does.
Result<std::string> socket_address(const std::string& socket);

}  // namespace coffer
