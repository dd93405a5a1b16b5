#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>

#include "base/descriptor.h"
#include "store/disk.h"

namespace coffer {
namespace {

constexpr mode_t kFileMode = 0600;
constexpr mode_t kFolderMode = 0700;

// errno of the call that just failed. Names inside the store's folder are random or fixed: they tell nothing.
Error errno_error(std::string_view doing, std::string_view name) {
  const int number = errno;
  Code code = Code::kIo;
  if (number == ENOENT) code = Code::kNotFound;
  if (number == ENOSPC || number == EDQUOT) code = Code::kNoSpace;
  if (number == EACCES || number == EPERM) code = Code::kAccessDenied;
  if (number == EROFS) code = Code::kReadOnly;
  std::string message(doing);
  message.append(" ").append(name).append(": ").append(std::strerror(number));
  return {code, std::move(message)};
}

// Neither the last part of the name nor any before it may be a symbolic link, and ".." leads nowhere.
Descriptor open_beneath(int folder, const std::string& name, int flags, mode_t mode) {
  open_how how = {};
  how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC | O_NOFOLLOW);
  how.mode = (flags & O_CREAT) != 0 ? mode : 0;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
  const long fd = ::syscall(SYS_openat2, folder, name.c_str(), &how, sizeof how);
  if (fd < 0 && errno == ENOSYS)
    return Descriptor(::openat(folder, name.c_str(), flags | O_CLOEXEC | O_NOFOLLOW, mode));
  return Descriptor(static_cast<int>(fd));
}

class RealFile final : public DiskFile {
 public:
  RealFile(Descriptor fd, std::string name) : fd_(std::move(fd)), name_(std::move(name)) {}

  Result<std::size_t> pread(std::uint64_t offset, MutableBytes into) override {
    std::size_t done = 0;
    while (done < into.size()) {
      const ssize_t n = ::pread(fd_.get(), into.data() + done, into.size() - done, static_cast<off_t>(offset + done));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return errno_error("reading", name_);
      if (n == 0) break;
      done += static_cast<std::size_t>(n);
    }
    return done;
  }

  Status pwrite(std::uint64_t offset, BytesView bytes) override {
    while (!bytes.empty()) {
      const ssize_t n = ::pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return errno_error("writing", name_);
      offset += static_cast<std::uint64_t>(n);
      bytes = bytes.subspan(static_cast<std::size_t>(n));
    }
    return {};
  }

  Status sync() override {
    if (::fdatasync(fd_.get()) != 0) return errno_error("syncing", name_);
    return {};
  }

  Status truncate(std::uint64_t size) override {
    while (::ftruncate(fd_.get(), static_cast<off_t>(size)) != 0) {
      if (errno != EINTR) return errno_error("truncating", name_);
    }
    return {};
  }

  Status allocate(std::uint64_t offset, std::uint64_t size) override {
    do {
      errno = ::posix_fallocate(fd_.get(), static_cast<off_t>(offset), static_cast<off_t>(size));
    } while (errno == EINTR);
    if (errno != 0) return errno_error("allocating", name_);
    return {};
  }

  Status punch(std::uint64_t offset, std::uint64_t size) override {
    const int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    while (::fallocate(fd_.get(), mode, static_cast<off_t>(offset), static_cast<off_t>(size)) != 0) {
      if (errno == EOPNOTSUPP) return write_zeros(offset, size);
      if (errno != EINTR) return errno_error("punching", name_);
    }
    return {};
  }

  Result<std::uint64_t> size() override {
    struct stat info;
    if (::fstat(fd_.get(), &info) != 0) return errno_error("examining", name_);
    return static_cast<std::uint64_t>(info.st_size);
  }

 private:
  // For backing file systems without holes: the bytes still read as zeros and the size stays.
  Status write_zeros(std::uint64_t offset, std::uint64_t size) {
    COFFER_ASSIGN(const std::uint64_t end, this->size());
    const Bytes zeros(64 * 1024);
    for (const std::uint64_t stop = std::min(end, offset + size); offset < stop;) {
      const std::size_t n = std::min<std::uint64_t>(zeros.size(), stop - offset);
      COFFER_TRY(pwrite(offset, BytesView(zeros).first(n)));
      offset += n;
    }
    return {};
  }

  Descriptor fd_;
  std::string name_;
};

class RealDisk final : public Disk {
 public:
  explicit RealDisk(Descriptor folder) : folder_(std::move(folder)) {}

  Result<std::unique_ptr<DiskFile>> open(std::string_view name, OpenMode mode) override {
    std::string path(name);
    const int create = mode == OpenMode::kCreate ? O_CREAT : 0;
    Descriptor fd = open_beneath(folder_.get(), path, O_RDWR | create, kFileMode);
    if (!fd.valid()) return errno_error("opening", name);
    return std::unique_ptr<DiskFile>(std::make_unique<RealFile>(std::move(fd), std::move(path)));
  }

  Status remove(std::string_view name) override {
    if (::unlinkat(folder_.get(), std::string(name).c_str(), 0) == 0) return {};
    const bool is_folder = errno == EISDIR;
    auto error = errno_error("removing", name);
    if (is_folder) error.code = Code::kIsDirectory;
    return error;
  }

  Status rename(std::string_view from, std::string_view to) override {
    if (::renameat(folder_.get(), std::string(from).c_str(), folder_.get(), std::string(to).c_str()) != 0) {
      return errno_error("renaming", from);
    }
    return {};
  }

  Status make_folder(std::string_view name) override {
    if (::mkdirat(folder_.get(), std::string(name).c_str(), kFolderMode) != 0 && errno != EEXIST) {
      return errno_error("making the folder", name);
    }
    return {};
  }

  Result<std::vector<std::string>> list(std::string_view folder) override {
    COFFER_ASSIGN(Descriptor fd, open_folder(folder));
    DIR* stream = ::fdopendir(fd.get());
    if (stream == nullptr) return errno_error("listing", folder);
    fd.release();
    std::vector<std::string> names;
    errno = 0;
    while (const dirent* entry = ::readdir(stream)) {
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..") names.emplace_back(name);
      errno = 0;
    }
    const int failure = errno;
    ::closedir(stream);
    errno = failure;
    if (failure != 0) return errno_error("listing", folder);
    return names;
  }

  Status sync_folder(std::string_view folder) override {
    COFFER_ASSIGN(const Descriptor fd, open_folder(folder));
    if (::fsync(fd.get()) != 0) return errno_error("syncing the folder", folder);
    return {};
  }

  Status sync_all() override {
    if (::syncfs(folder_.get()) != 0) return errno_error("syncing", "the file system");
    return {};
  }

  Result<Space> space() override {
    struct statvfs info;
    if (::fstatvfs(folder_.get(), &info) != 0) return errno_error("asking for the space of", "the file system");
    return Space{info.f_blocks * info.f_frsize, info.f_bfree * info.f_frsize, info.f_bavail * info.f_frsize};
  }

  // No call tells it: a file without a name tries it out, all of it a hole.
  std::uint64_t file_size_max() override {
    constexpr std::uint64_t kNobodyKnows = std::numeric_limits<std::int64_t>::max();
    const Descriptor file(::openat(folder_.get(), ".", O_TMPFILE | O_RDWR | O_CLOEXEC, kFileMode));
    if (!file.valid()) return kNobodyKnows;
    const auto fits = [&](std::uint64_t size) { return ::ftruncate(file.get(), static_cast<off_t>(size)) == 0; };
    if (fits(kNobodyKnows)) return kNobodyKnows;
    std::uint64_t possible = 0, impossible = kNobodyKnows;
    while (impossible - possible > 1) {
      const std::uint64_t middle = possible + (impossible - possible) / 2;
      (fits(middle) ? possible : impossible) = middle;
    }
    return possible;
  }

 private:
  Result<Descriptor> open_folder(std::string_view name) {
    const std::string path = name.empty() ? "." : std::string(name);
    Descriptor fd = open_beneath(folder_.get(), path, O_RDONLY | O_DIRECTORY, 0);
    if (!fd.valid()) return errno_error("opening the folder", name);
    return fd;
  }

  Descriptor folder_;
};

}  // namespace

Result<std::unique_ptr<Disk>> open_real_disk(const std::string& folder) {
  Descriptor fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return errno_error("opening the folder", folder);
  return std::unique_ptr<Disk>(std::make_unique<RealDisk>(std::move(fd)));
}

}  // namespace coffer
