#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/names.h"
#include "base/result.h"

namespace coffer {

// Whose KMS keys each user of the machine uses in a mount (-o uid-map=FILE). A line is a user's number and an IAM ARN,
// as 1000 arn:aws:iam::000000000000:user/ann; * in place of the number is everybody else, who without such a line are
// the mount's principal. # begins a comment.
class UidMap {
 public:
  static Result<UidMap> parse(std::string_view text);   // kInvalidArgument, naming the line
  static Result<UidMap> read(const std::string& path);  // the same, naming the file

  const Principal* find(std::uint32_t uid) const;  // null: the mount's own
  bool empty() const { return uids_.empty() && !others_; }

 private:
  std::map<std::uint32_t, Principal> uids_;
  std::optional<Principal> others_;
};

// arn:aws:iam::ACCOUNT:user/NAME, role/NAME or root.
Result<Principal> parse_principal(std::string_view arn);

}  // namespace coffer
