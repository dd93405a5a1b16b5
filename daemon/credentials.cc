#include "daemon/credentials.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/limits.h"

namespace coffer {

Result<CredentialsFile> load_credentials(const std::string& store, const Principal& principal, const Log& log) {
  const std::string path = store + "/credentials";
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) {
    log(LogLevel::kWarning,
        "no access keys (" + path + ": " + std::strerror(errno) + "): the admin socket admits nobody");
    return CredentialsFile::parse("", principal);
  }
  // One byte more than is allowed: the parser refuses a file that long.
  SecretBytes text(kCredentialsFileMax + 1);
  std::size_t size = 0;
  ssize_t got = 0;
  while ((got = ::read(fd, text.span().data() + size, text.size() - size)) > 0) size += static_cast<std::size_t>(got);
  ::close(fd);
  if (got < 0) return Error{Code::kIo, "cannot read " + path};
  Result<CredentialsFile> parsed = CredentialsFile::parse(as_text(text.view().first(size)), principal);
  if (!parsed.ok()) return Error{Code::kIo, path + ": " + parsed.error().message};
  return parsed;
}

}  // namespace coffer
