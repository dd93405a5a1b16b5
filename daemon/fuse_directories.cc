#include <string>

#include "daemon/fuse_state.h"

// Listing directories. Offsets 1 and 2 follow "." and ".."; an entry's is its cookie behind those.
namespace coffer {
namespace {

constexpr off_t kAfterDot = 1;
constexpr off_t kAfterDotDot = 2;

// A plain entry takes at least 32 bytes of the reply, one with attributes 160: more are not asked for.
constexpr size_t kEntrySizeMin = 32;
constexpr size_t kEntryPlusSizeMin = 160;

std::uint64_t cookie_of(off_t offset) {
  return offset <= kAfterDotDot ? 0 : static_cast<std::uint64_t>(offset - kAfterDotDot);
}
off_t offset_of(std::uint64_t cookie) { return static_cast<off_t>(cookie) + kAfterDotDot; }

// A reply as it fills up.
class Listing {
 public:
  Listing(fuse_req_t req, size_t size) : req_(req), bytes_(size, '\0') {}

  bool add(const std::string& name, const struct stat& attributes, off_t next) {
    return took(fuse_add_direntry(req_, rest(), left(), name.c_str(), &attributes, next));
  }
  bool add_plus(const std::string& name, const fuse_entry_param& entry, off_t next) {
    return took(fuse_add_direntry_plus(req_, rest(), left(), name.c_str(), &entry, next));
  }
  bool empty() const { return used_ == 0; }
  void reply() { fuse_reply_buf(req_, bytes_.data(), used_); }

 private:
  char* rest() { return bytes_.data() + used_; }
  size_t left() const { return bytes_.size() - used_; }
  bool took(size_t size) {
    if (size > left()) return false;
    used_ += size;
    return true;
  }

  fuse_req_t req_;
  std::string bytes_;
  size_t used_ = 0;
};

// "." and "..", where the listing still is at them. The kernel takes no reference for these.
bool add_dots(fuse_req_t req, InodeNumber ino, off_t offset, Listing& listing, bool plus) {
  const auto add = [&](const char* name, InodeNumber number, off_t next) {
    fuse_entry_param entry = {};
    entry.attr.st_ino = number;
    entry.attr.st_mode = S_IFDIR;
    return plus ? listing.add_plus(name, entry, next) : listing.add(name, entry.attr, next);
  };
  if (offset < kAfterDot && !add(".", ino, kAfterDot)) return false;
  if (offset >= kAfterDotDot) return true;
  const Result<Inode> directory = state_of(req).store.get(ino);
  const InodeNumber parent = directory.ok() && directory->parent != 0 ? directory->parent : ino;
  return add("..", parent, kAfterDotDot);
}

void readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, fuse_file_info*) {
  Listing listing(req, size);
  if (!add_dots(req, ino, offset, listing, /*plus=*/false)) return listing.reply();
  const Result<std::vector<DirectoryEntry>> entries =
      state_of(req).store.read_directory(ino, cookie_of(offset), size / kEntrySizeMin + 1);
  if (!entries.ok()) return reply_error(req, entries.error());
  for (const DirectoryEntry& entry : *entries) {
    struct stat attributes = {};
    attributes.st_ino = entry.ino;
    attributes.st_mode = type_bits(entry.kind);
    if (!listing.add(entry.name, attributes, offset_of(entry.cookie))) break;
  }
  listing.reply();
}

void readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, fuse_file_info*) {
  FuseShell::State& state = state_of(req);
  Listing listing(req, size);
  if (!add_dots(req, ino, offset, listing, /*plus=*/true)) return listing.reply();
  const Status listed = state.store.read_directory_plus(
      ino, cookie_of(offset), size / kEntryPlusSizeMin + 1, [&](const DirectoryEntry& entry, const Inode& inode) {
        return listing.add_plus(entry.name, state.to_entry(inode), offset_of(entry.cookie));
      });
  // Entries already taken hold references, which only an answer hands over.
  if (!listed.ok() && listing.empty()) return reply_error(req, listed.error());
  listing.reply();
}

// The kernel then opens and caches directories without asking.
void opendir(fuse_req_t req, fuse_ino_t, fuse_file_info*) { fuse_reply_err(req, ENOSYS); }

}  // namespace

void add_directory_handlers(fuse_lowlevel_ops& table) {
  table.opendir = opendir;
  table.readdir = readdir;
  table.readdirplus = readdirplus;
}

}  // namespace coffer
