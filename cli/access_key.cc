#include "cli/access_key.h"

#include <cerrno>
#include <cstring>
#include <fstream>

#include "admin/credentials_file.h"
#include "admin/http.h"
#include "base/limits.h"
#include "cli/new_file.h"

namespace coffer {
namespace {

constexpr std::string_view kProfile = "coffer";
constexpr std::string_view kDefaultRegion = "us-east-1";

MutableBytes bytes_of(std::string& text) { return {reinterpret_cast<std::uint8_t*>(text.data()), text.size()}; }

// `region = R` of our profile: AWS's tools read it from the same place.
std::string region_in(std::string_view text) {
  bool ours = false;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    const auto line = trim(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.starts_with('[')) ours = line == "[" + std::string(kProfile) + "]";
    const auto equals = line.find('=');
    if (!ours || equals == std::string_view::npos || trim(line.substr(0, equals)) != "region") continue;
    return std::string(trim(line.substr(equals + 1)));
  }
  return std::string(kDefaultRegion);
}

Result<SigningKey> parse(std::string_view text, const std::string& path) {
  COFFER_ASSIGN(const AccountId nobody, AccountId::parse("000000000000"));  // the server knows whose key it is
  auto file = CredentialsFile::parse(text, Principal::root_of(nobody));
  if (!file.ok())
    return Error{Code::kAccessDenied, path + ": " + file.error().message + ": correct it, or give --credentials"};
  const AccessKey* key = file->profile(kProfile);
  if (key == nullptr) return Error{Code::kAccessDenied, path + " has no profile [coffer]: give --credentials"};
  return SigningKey{AccessKey{key->id, SecretBytes(key->secret.view()), key->principal}, region_in(text)};
}

}  // namespace

Result<SigningKey> read_signing_key(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    return Error{Code::kAccessDenied,
                 "cannot read the access keys in " + path + ": " + std::strerror(errno) + ": give --credentials"};
  }
  std::string text(kCredentialsFileMax + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  auto key = parse(std::string_view(text).substr(0, static_cast<std::size_t>(file.gcount())), path);
  wipe(bytes_of(text));
  return key;
}

Status write_signing_key(const std::string& store, const Realm& realm) {
  COFFER_ASSIGN(AccessKey key, make_access_key(Principal::root_of(realm.account)));
  CredentialsFile file;
  file.add(std::string(kProfile), std::move(key));
  std::string text = file.print();
  const std::string region = "region = " + realm.region.str() + "\n";
  SecretBytes whole(text.size() + region.size());
  std::copy(text.begin(), text.end(), whole.span().begin());
  std::copy(region.begin(), region.end(), whole.span().begin() + static_cast<std::ptrdiff_t>(text.size()));
  wipe(bytes_of(text));
  return write_new_file(store + "/credentials", whole.view());
}

}  // namespace coffer
