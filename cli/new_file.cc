#include "cli/new_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/descriptor.h"

namespace coffer {
namespace {

Error cannot_write(const std::string& path) {
  return {Code::kIo, "cannot write " + path + ": " + std::strerror(errno) + ": see to the folder and try again"};
}

bool sync_folder_of(const std::string& path) {
  const auto slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const Descriptor opened(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  return opened.valid() && ::fsync(opened.get()) == 0;
}

}  // namespace

bool name_taken(const std::string& path) {
  struct stat found;
  return ::lstat(path.c_str(), &found) == 0;
}

Status write_new_file(const std::string& path, BytesView bytes) {
  const Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file.valid()) return cannot_write(path);
  if (write_whole(file.get(), bytes) && ::fsync(file.get()) == 0 && sync_folder_of(path)) return {};
  const Error error = cannot_write(path);
  ::unlink(path.c_str());
  return error;
}

}  // namespace coffer
