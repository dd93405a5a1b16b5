#include <unistd.h>

#include "cli/commands.h"

namespace coffer {

Result<ApiClient> connect(const EndpointChoice& flags) {
  COFFER_ASSIGN(const auto table, read_mountinfo());
  COFFER_ASSIGN(const Endpoint endpoint, find_endpoint(flags, endpoint_from_environment(), table, ::getuid()));
  return ApiClient::to(endpoint);
}

Result<ApiClient> connect(const MountPoint& mount, const EndpointChoice& flags) {
  return ApiClient::to(endpoint_of(mount, flags, endpoint_from_environment()));
}

}  // namespace coffer
