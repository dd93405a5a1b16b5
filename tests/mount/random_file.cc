#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <deque>
#include <functional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

// Random operations on two files of a mount, each byte and size compared with a model in memory, of the kind of xfstests' fsx.
//
//   random_file FOLDER OPERATIONS SEED REMOUNTS
//
// Says "remount" and waits for a line when everything is closed and somebody is to mount anew, so many times. Ends with 0, or with
// 1 and the first difference, its place and the operations before it.
namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr std::uint64_t kSizeMax = 300'000;   // 18 chunks: large enough for holes, small enough to be looked at whole
constexpr std::size_t kLogTail = 40;
constexpr std::uint64_t kLookEvery = 2000;    // operations between two looks at all bytes
constexpr std::uint64_t kPage = 4096;

struct File {
  const char* name;
  std::string path;
  int fd = -1;
  bool is_read_only = false;
  Bytes bytes;  // what it must hold
};

class RandomFiles {
 public:
  RandomFiles(const std::string& folder, std::uint64_t operations, std::uint64_t seed, std::uint64_t remounts)
      : operations_(operations), remounts_(remounts), random_(seed) {
    for (std::size_t i = 0; i < 2; ++i) files_[i] = {i == 0 ? "a" : "b", folder + (i == 0 ? "/a" : "/b"), -1, false, {}};
  }

  bool go() {
    for (auto& file : files_) open(file, O_RDWR | O_CREAT | O_TRUNC);
    const auto remount_every = remounts_ == 0 ? operations_ + 1 : operations_ / (remounts_ + 1) + 1;
    for (done_ = 1; done_ <= operations_ && good_; ++done_) {
      auto& file = files_[pick(2)];
      step(file);
      if (!good_) break;
      look_at_size(file);
      if (done_ % kLookEvery == 0 || done_ == operations_)
        for (auto& each : files_) look_at(each, 0, kSizeMax + 1);
      if (done_ % remount_every == 0) remount();
    }
    for (auto& file : files_) must(file, ::close(file.fd) == 0, "close");
    if (!good_) tell();
    return good_;
  }

 private:
  std::uint64_t pick(std::uint64_t below) { return random_() % std::max<std::uint64_t>(below, 1); }
  bool by_chance(unsigned percent) { return pick(100) < percent; }

  void log(const File& file, std::string what) {
    log_.push_back(std::to_string(done_) + ": " + file.name + " (" + std::to_string(file.bytes.size()) + " bytes) " + std::move(what));
    if (log_.size() > kLogTail) log_.pop_front();
  }
  void fail(const File& file, const std::string& what) {
    if (good_) wrong_ = std::string(file.name) + ": " + what;
    good_ = false;
  }
  bool must(const File& file, bool good, const char* what) {
    if (!good) fail(file, std::string(what) + ": " + std::strerror(errno));
    return good;
  }
  void tell() const {
    std::printf("operation %llu: %s\n", static_cast<unsigned long long>(done_), wrong_.c_str());
    for (const auto& line : log_) std::printf("  %s\n", line.c_str());
  }

  void open(File& file, int flags) {
    file.fd = ::open(file.path.c_str(), flags | O_CLOEXEC, 0644);
    file.is_read_only = (flags & O_ACCMODE) == O_RDONLY;
    must(file, file.fd >= 0, "open");
  }
  void reopen(File& file, int flags) {
    log(file, (flags & O_TRUNC) != 0 ? "reopen and truncate" : "reopen");
    must(file, ::close(file.fd) == 0, "close");
    open(file, flags);
    if ((flags & O_TRUNC) != 0) file.bytes.clear();
  }

  struct Span {
    std::uint64_t offset, size;
    std::string text() const { return std::to_string(offset) + "+" + std::to_string(size); }
  };
  Span any_span(std::uint64_t end) {
    auto offset = pick(end);
    if (by_chance(30)) offset -= offset % kPage;
    if (by_chance(10)) offset -= offset % 16'384;
    static constexpr std::uint64_t kSizes[] = {1, 100, 4096, 16'384, 20'000, 70'000};
    const auto size = kSizes[pick(std::size(kSizes))] + (by_chance(50) ? pick(50) : 0);
    return {offset, std::min(size, end - offset)};
  }
  const Bytes& some_bytes(std::uint64_t size) {
    buffer_.resize(size);
    for (std::size_t i = 0; i < size; i += 8) {
      const auto value = random_();
      std::memcpy(buffer_.data() + i, &value, std::min<std::size_t>(8, size - i));
    }
    return buffer_;
  }
  static void put(File& file, std::uint64_t offset, const std::uint8_t* from, std::uint64_t size) {
    file.bytes.resize(std::max<std::size_t>(file.bytes.size(), offset + size));
    std::copy_n(from, size, file.bytes.begin() + static_cast<std::ptrdiff_t>(offset));
  }

  // --- operations ---

  void step(File& file) {
    if (file.is_read_only) return reopen(file, by_chance(20) ? O_RDWR | O_TRUNC : O_RDWR);
    const auto what = pick(1000);
    if (what < 220) return write(file, any_span(kSizeMax));
    if (what < 280) return write(file, {file.bytes.size(), std::min<std::uint64_t>(pick(5000), kSizeMax - file.bytes.size())});
    if (what < 480) return read(file);
    if (what < 560) return truncate(file);
    if (what < 640) return map_write(file);
    if (what < 700) return map_read(file);
    if (what < 760) return deallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, "punch");
    if (what < 820) return deallocate(file, FALLOC_FL_ZERO_RANGE | (by_chance(50) ? FALLOC_FL_KEEP_SIZE : 0), "zero");
    if (what < 850) return allocate(file);
    if (what < 865) return refused(file);
    if (what < 925) return copy_range(file, files_[pick(2)]);
    if (what < 955) return seek(file);
    if (what < 965) return sync(file);
    if (what < 975) return drop_cache(file);
    if (what < 985) return reopen(file, O_RDWR);
    reopen(file, O_RDONLY);
    for (int i = 0; i < 4 && good_; ++i) by_chance(50) ? seek(file) : read(file);
  }

  void write(File& file, Span span) {
    if (span.size == 0) return;
    log(file, "write " + span.text());
    const auto& bytes = some_bytes(span.size);
    const auto n = ::pwrite(file.fd, bytes.data(), span.size, static_cast<off_t>(span.offset));
    if (!must(file, n >= 0, "write")) return;
    if (static_cast<std::uint64_t>(n) != span.size) return fail(file, "a short write");
    put(file, span.offset, bytes.data(), span.size);
  }

  void read(File& file) {
    const auto span = any_span(kSizeMax);
    log(file, "read " + span.text());
    look_at(file, span.offset, span.size);
  }
  void look_at(File& file, std::uint64_t offset, std::uint64_t size) {
    buffer_.resize(size);
    const auto n = ::pread(file.fd, buffer_.data(), size, static_cast<off_t>(offset));
    if (!must(file, n >= 0, "read")) return;
    const auto expected = std::min(size, file.bytes.size() - std::min<std::uint64_t>(offset, file.bytes.size()));
    if (static_cast<std::uint64_t>(n) != expected)
      return fail(file, "reading " + std::to_string(offset) + "+" + std::to_string(size) + " gave " + std::to_string(n) + " bytes");
    compare(file, offset, buffer_.data(), expected, "read");
  }
  void compare(File& file, std::uint64_t offset, const std::uint8_t* got, std::uint64_t size, const char* how) {
    const auto* expected = file.bytes.data() + offset;
    if (size == 0 || std::memcmp(got, expected, size) == 0) return;
    std::uint64_t at = 0, differing = 0;
    while (got[at] == expected[at]) ++at;
    for (auto i = at; i < size; ++i) differing += got[i] != expected[i] ? 1 : 0;
    char text[160];
    std::snprintf(text, sizeof text, "%s at offset %llu (0x%llx): %02x, not %02x; %llu bytes of %llu differ", how,
                  static_cast<unsigned long long>(offset + at), static_cast<unsigned long long>(offset + at), got[at], expected[at],
                  static_cast<unsigned long long>(differing), static_cast<unsigned long long>(size));
    fail(file, text);
  }
  void look_at_size(File& file) {
    struct stat stat{};
    if (!must(file, ::fstat(file.fd, &stat) == 0, "fstat")) return;
    if (static_cast<std::uint64_t>(stat.st_size) != file.bytes.size())
      fail(file, "its size is " + std::to_string(stat.st_size) + ", not " + std::to_string(file.bytes.size()));
  }

  void truncate(File& file) {
    const std::uint64_t choices[] = {0, pick(kSizeMax), pick(file.bytes.size() + 1), pick(file.bytes.size() + 1) / kPage * kPage};
    const auto size = choices[pick(by_chance(20) ? 1 : std::size(choices))];
    log(file, "truncate to " + std::to_string(size));
    if (must(file, ::ftruncate(file.fd, static_cast<off_t>(size)) == 0, "ftruncate")) file.bytes.resize(size);
  }

  void with_mapping(File& file, int protection, const std::function<void(std::uint8_t*)>& use) {
    auto* mapped = ::mmap(nullptr, file.bytes.size(), protection, MAP_SHARED, file.fd, 0);
    if (!must(file, mapped != MAP_FAILED, "mmap")) return;
    use(static_cast<std::uint8_t*>(mapped));
    must(file, ::munmap(mapped, file.bytes.size()) == 0, "munmap");
  }
  void map_write(File& file) {
    if (file.bytes.empty()) return;
    const auto span = any_span(file.bytes.size());
    log(file, "map and write " + span.text());
    const auto& bytes = some_bytes(span.size);
    with_mapping(file, PROT_READ | PROT_WRITE, [&](std::uint8_t* mapped) {
      std::copy_n(bytes.data(), span.size, mapped + span.offset);
      const auto page = span.offset / kPage * kPage;
      if (by_chance(10))
        must(file, ::msync(mapped + page, span.offset + span.size - page, by_chance(50) ? MS_SYNC : MS_ASYNC) == 0, "msync");
    });
    put(file, span.offset, bytes.data(), span.size);
  }
  void map_read(File& file) {
    if (file.bytes.empty()) return;
    const auto span = any_span(file.bytes.size());
    log(file, "map and read " + span.text());
    with_mapping(file, PROT_READ, [&](std::uint8_t* mapped) {
      compare(file, span.offset, mapped + span.offset, span.size, "mapped");
      // A page ends in zeros behind the file's end.
      for (auto i = file.bytes.size(); i % kPage != 0 && good_; ++i)
        if (mapped[i] != 0) fail(file, "mapped, there are bytes behind its end");
    });
  }

  void deallocate(File& file, int mode, const char* text) {
    const auto span = any_span(kSizeMax);
    if (span.size == 0) return;
    const bool keeps = (mode & FALLOC_FL_KEEP_SIZE) != 0;
    log(file, std::string(text) + (keeps ? " (keep size) " : " ") + span.text());
    if (!must(file, ::fallocate(file.fd, mode, static_cast<off_t>(span.offset), static_cast<off_t>(span.size)) == 0, text)) return;
    if (!keeps) file.bytes.resize(std::max<std::size_t>(file.bytes.size(), span.offset + span.size));
    const auto end = std::min<std::uint64_t>(span.offset + span.size, file.bytes.size());
    for (auto i = span.offset; i < end; ++i) file.bytes[i] = 0;
  }
  void allocate(File& file) {
    const auto span = any_span(kSizeMax);
    const bool keeps = by_chance(50);
    if (span.size == 0) return;
    log(file, std::string("allocate ") + (keeps ? "(keep size) " : "") + span.text());
    const int mode = keeps ? FALLOC_FL_KEEP_SIZE : 0;
    if (!must(file, ::fallocate(file.fd, mode, static_cast<off_t>(span.offset), static_cast<off_t>(span.size)) == 0, "fallocate")) return;
    if (!keeps) file.bytes.resize(std::max<std::size_t>(file.bytes.size(), span.offset + span.size));
  }
  void refused(File& file) {
    const int mode = by_chance(50) ? FALLOC_FL_COLLAPSE_RANGE : FALLOC_FL_INSERT_RANGE;
    log(file, mode == FALLOC_FL_COLLAPSE_RANGE ? "collapse" : "insert");
    if (::fallocate(file.fd, mode, 0, static_cast<off_t>(kPage)) == 0 || errno != EOPNOTSUPP)
      fail(file, "collapse or insert was not refused with EOPNOTSUPP");
  }

  void copy_range(File& from, File& to) {
    if (from.bytes.empty() || to.is_read_only) return;
    const auto span = any_span(from.bytes.size());
    const auto target = pick(kSizeMax - span.size);
    const bool overlaps = &from == &to && span.offset < target + span.size && target < span.offset + span.size;
    if (span.size == 0 || overlaps) return;
    log(to, std::string("copy from ") + from.name + " " + span.text() + " to " + std::to_string(target));
    auto in = static_cast<off_t>(span.offset), out = static_cast<off_t>(target);
    for (auto left = span.size; left > 0;) {
      const auto n = ::copy_file_range(from.fd, &in, to.fd, &out, left, 0);
      if (!must(to, n >= 0, "copy_file_range")) return;
      if (n == 0) return fail(to, "copy_file_range stopped early");
      left -= static_cast<std::uint64_t>(n);
    }
    const Bytes copied(from.bytes.begin() + in - static_cast<off_t>(span.size), from.bytes.begin() + in);
    put(to, target, copied.data(), copied.size());
    look_at_size(to);
  }

  // No byte but a zero lies in what is told to be a hole.
  void seek(File& file) {
    const auto offset = pick(file.bytes.size() + kPage);
    log(file, "seek data and hole from " + std::to_string(offset));
    const auto size = file.bytes.size();
    auto data = ::lseek(file.fd, static_cast<off_t>(offset), SEEK_DATA);
    if (data < 0 && !must(file, errno == ENXIO, "SEEK_DATA")) return;
    const auto hole = ::lseek(file.fd, static_cast<off_t>(offset), SEEK_HOLE);
    if (offset >= size) {
      if (data >= 0 || hole >= 0 || errno != ENXIO) fail(file, "a seek from behind its end found something");
      return;
    }
    if (!must(file, hole >= 0, "SEEK_HOLE")) return;
    if (static_cast<std::uint64_t>(hole) < offset || static_cast<std::uint64_t>(hole) > size) return fail(file, "a hole outside of it");
    if (data < 0) data = static_cast<off_t>(size);
    if (static_cast<std::uint64_t>(data) < offset || static_cast<std::uint64_t>(data) > size) return fail(file, "data outside of it");
    if (!is_zero(file, offset, static_cast<std::uint64_t>(data))) return fail(file, "SEEK_DATA from " + std::to_string(offset) + " passes data");
    if (static_cast<std::uint64_t>(hole) >= size) return;
    const auto after = ::lseek(file.fd, hole, SEEK_DATA);
    const auto end = after < 0 ? size : static_cast<std::uint64_t>(after);
    if (!is_zero(file, static_cast<std::uint64_t>(hole), end)) fail(file, "SEEK_HOLE says data is a hole at " + std::to_string(hole));
  }
  static bool is_zero(const File& file, std::uint64_t from, std::uint64_t to) {
    return std::all_of(file.bytes.begin() + static_cast<std::ptrdiff_t>(from), file.bytes.begin() + static_cast<std::ptrdiff_t>(to),
                       [](std::uint8_t byte) { return byte == 0; });
  }

  void sync(File& file) {
    const bool data_only = by_chance(50);
    log(file, data_only ? "fdatasync" : "fsync");
    must(file, (data_only ? ::fdatasync(file.fd) : ::fsync(file.fd)) == 0, "fsync");
  }
  void drop_cache(File& file) {
    log(file, "drop the cache");
    if (!must(file, ::fsync(file.fd) == 0, "fsync")) return;
    errno = ::posix_fadvise(file.fd, 0, 0, POSIX_FADV_DONTNEED);
    if (must(file, errno == 0, "posix_fadvise")) look_at(file, 0, kSizeMax + 1);
  }

  void remount() {
    for (auto& file : files_) must(file, ::close(file.fd) == 0, "close");
    log(files_[0], "remount");
    std::puts("remount");
    std::fflush(stdout);
    char answer[16];
    if (std::fgets(answer, sizeof answer, stdin) == nullptr) fail(files_[0], "nobody mounted it anew");
    for (auto& file : files_) {
      open(file, O_RDWR);
      if (good_) look_at(file, 0, kSizeMax + 1);
    }
  }

  const std::uint64_t operations_, remounts_;
  std::mt19937_64 random_;
  File files_[2];
  Bytes buffer_;
  std::deque<std::string> log_;
  std::uint64_t done_ = 0;
  bool good_ = true;
  std::string wrong_;
};

bool parse(const char* text, std::uint64_t& value) {
  const std::string_view all(text);
  const auto parsed = std::from_chars(all.data(), all.data() + all.size(), value);
  return parsed.ec == std::errc() && parsed.ptr == all.data() + all.size();
}

}  // namespace

int main(int count, char** words) {
  std::uint64_t operations = 0, seed = 0, remounts = 0;
  if (count != 5 || !parse(words[2], operations) || !parse(words[3], seed) || !parse(words[4], remounts)) {
    std::fprintf(stderr, "usage: random_file FOLDER OPERATIONS SEED REMOUNTS\n");
    return 2;
  }
  const auto began = std::chrono::steady_clock::now();
  if (!RandomFiles(words[1], operations, seed, remounts).go()) return 1;
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - began;
  std::printf("%.0f operations a second\n", static_cast<double>(operations) / seconds.count());
  return 0;
}
