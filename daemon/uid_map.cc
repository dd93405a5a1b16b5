#include "daemon/uid_map.h"

#include <charconv>
#include <fstream>

#include "base/policy_limits.h"

namespace coffer {
namespace {

std::string_view take_word(std::string_view& line) {
  constexpr std::string_view kBlanks = " \t\r";
  line.remove_prefix(std::min(line.find_first_not_of(kBlanks), line.size()));
  const auto end = std::min(line.find_first_of(kBlanks), line.size());
  const auto word = line.substr(0, end);
  line.remove_prefix(end);
  return word;
}

}  // namespace

Result<Principal> parse_principal(std::string_view arn) {
  const auto wrong = [](const char* what) { return Error{Code::kInvalidArgument, what}; };
  constexpr std::string_view kPrefix = "arn:aws:iam::";
  const auto colon = arn.find(':', kPrefix.size());
  if (!arn.starts_with(kPrefix) || colon == std::string_view::npos || colon + 1 == arn.size())
    return wrong("an IAM ARN is wanted, as arn:aws:iam::000000000000:user/NAME");
  const auto account = AccountId::parse(arn.substr(kPrefix.size(), colon - kPrefix.size()));
  if (!account.ok()) return wrong("the account is 12 digits");
  return Principal{*account, std::string(arn)};
}

Result<UidMap> UidMap::parse(std::string_view text) {
  UidMap map;
  std::size_t number = 0;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    auto line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    ++number;
    const auto bad = [&](const std::string& what) {
      return Error{Code::kInvalidArgument, "line " + std::to_string(number) + ": " + what};
    };
    line = line.substr(0, line.find('#'));
    const auto who = take_word(line), arn = take_word(line), more = take_word(line);
    if (who.empty()) continue;
    if (arn.empty() || !more.empty()) return bad("a user's number, or *, and an ARN are wanted");
    const auto principal = parse_principal(arn);
    if (!principal.ok()) return bad(principal.error().message);
    bool added = false;
    if (who == "*") {
      added = !map.others_;
      map.others_ = *principal;
    } else {
      std::uint32_t uid = 0;
      const auto [rest, error] = std::from_chars(who.data(), who.data() + who.size(), uid);
      if (error != std::errc() || rest != who.data() + who.size()) return bad("a user's number, or *, is wanted");
      added = map.uids_.emplace(uid, *principal).second;
    }
    if (!added) return bad("this user is there twice");
  }
  return map;
}

Result<UidMap> UidMap::read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return Error{Code::kInvalidArgument, "-o uid-map=: cannot read " + path};
  std::string text(kUidMapSizeMax + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (text.size() > kUidMapSizeMax) return Error{Code::kInvalidArgument, "-o uid-map=: " + path + " is too large"};
  auto map = parse(text);
  if (!map.ok()) return Error{Code::kInvalidArgument, "-o uid-map=: " + path + ", " + map.error().message};
  return map;
}

const Principal* UidMap::find(std::uint32_t uid) const {
  if (const auto found = uids_.find(uid); found != uids_.end()) return &found->second;
  return others_ ? &*others_ : nullptr;
}

}  // namespace coffer
