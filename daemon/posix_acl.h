#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace coffer {

inline constexpr std::string_view kAccessAclName = "system.posix_acl_access";
inline constexpr std::string_view kDefaultAclName = "system.posix_acl_default";

// A POSIX.1e draft 17 access control list, as the two attributes above carry it (linux/posix_acl_xattr.h). The
// arithmetic between lists and permission bits is acl(5)'s; no I/O.
class PosixAcl {
 public:
  // kInvalidArgument unless the entries are complete, sorted and unique, as the kernel's posix_acl_valid asks.
  static Result<PosixAcl> decode(BytesView value);
  Bytes encode() const;

  // The permission bits the list stands for: its mask, where it has one, is the group's.
  std::uint32_t mode_bits() const;
  // Whether permission bits say all of it: user, group and others, nothing more.
  bool only_mode() const;
  // chmod(2) of a file that has this list.
  PosixAcl with_mode(std::uint32_t mode) const;
  // The access list of an object created under a directory whose default list this is: no right that `mode` lacks.
  PosixAcl inherited(std::uint32_t mode) const;

 private:
  struct Entry {
    std::uint16_t tag, permissions;
    std::uint32_t id;
  };
  const Entry* find(std::uint16_t tag) const;
  std::vector<Entry> entries_;
};

}  // namespace coffer
