#include "admin/credentials_file.h"

#include <sys/random.h>

#include <algorithm>
#include <array>

#include "admin/http.h"
#include "base/encoding.h"
#include "base/limits.h"

namespace coffer {
namespace {

constexpr std::string_view kIdName = "aws_access_key_id";
constexpr std::string_view kSecretName = "aws_secret_access_key";

Error bad_line(std::size_t line, std::string_view what) {
  return {Code::kInvalidArgument, "credentials, line " + std::to_string(line) + ": " + std::string(what)};
}

// An access key id as AWS allows it: it becomes part of headers and log lines.
bool is_access_key_id(std::string_view text) {
  const auto fits = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  };
  return text.size() >= 3 && text.size() <= 128 && std::all_of(text.begin(), text.end(), fits);
}

Status fill_random(MutableBytes bytes) {
  if (getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
    return Error{Code::kIo, "the kernel gave no random bytes for an access key"};
  return {};
}

}  // namespace

Result<CredentialsFile> CredentialsFile::parse(std::string_view text, const Principal& principal) {
  if (text.size() > kCredentialsFileMax) return Error{Code::kInvalidArgument, "the credentials file is too large"};
  CredentialsFile file;
  std::size_t line_number = 0;
  const auto last_is_whole = [&file] {
    return file.profiles_.empty() ||
           (!file.profiles_.back().key.id.empty() && file.profiles_.back().key.secret.size() > 0);
  };
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    const auto line = trim(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    ++line_number;
    if (line.empty() || line[0] == '#' || line[0] == ';') continue;
    if (line.front() == '[') {
      if (line.back() != ']') return bad_line(line_number, "a profile is written [name]");
      if (!last_is_whole()) return bad_line(line_number, "the profile before has no access key");
      file.profiles_.push_back({std::string(trim(line.substr(1, line.size() - 2))), {{}, {}, principal}});
      continue;
    }
    const auto equals = line.find('=');
    if (equals == std::string_view::npos || file.profiles_.empty())
      return bad_line(line_number, "expected [profile] or name = value");
    const auto name = trim(line.substr(0, equals));
    const auto value = trim(line.substr(equals + 1));
    auto& key = file.profiles_.back().key;
    if (name == kIdName) {
      if (!is_access_key_id(value)) return bad_line(line_number, "not an access key id");
      if (file.find(value) != nullptr) return bad_line(line_number, "this access key id is there twice");
      key.id = value;
    } else if (name == kSecretName) {
      key.secret = SecretBytes(as_bytes(value));
    }
  }
  if (!last_is_whole()) return bad_line(line_number, "the last profile has no access key");
  return file;
}

std::shared_ptr<const AccessKey> CredentialsFile::find(std::string_view access_key_id) const {
  for (const auto& profile : profiles_)
    if (!access_key_id.empty() && profile.key.id == access_key_id)
      return std::shared_ptr<const AccessKey>(std::shared_ptr<void>(), &profile.key);  // lives as long as the file
  return nullptr;
}

const AccessKey* CredentialsFile::profile(std::string_view name) const {
  for (const auto& profile : profiles_)
    if (profile.name == name) return &profile.key;
  return nullptr;
}

std::string CredentialsFile::print() const {
  constexpr std::size_t kRoomPerProfile = 512;
  std::string out;
  std::size_t size = 0;
  for (const auto& profile : profiles_) size += kRoomPerProfile + profile.name.size() + profile.key.secret.size();
  out.reserve(size);  // no copy of a secret is left behind by growing
  for (const auto& [name, key] : profiles_) {
    out.append("[").append(name).append("]\n");
    out.append(kIdName).append(" = ").append(key.id).append("\n");
    out.append(kSecretName).append(" = ").append(as_text(key.secret.view())).append("\n");
  }
  return out;
}

void CredentialsFile::add(std::string profile, AccessKey key) {
  profiles_.push_back({std::move(profile), std::move(key)});
}

Result<AccessKey> make_access_key(const Principal& principal) {
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  std::array<std::uint8_t, 16> name{};
  SecretBytes random(30);
  COFFER_TRY(fill_random(name));
  COFFER_TRY(fill_random(random.span()));
  AccessKey key{"COFF", {}, principal};
  for (const auto byte : name) key.id += kAlphabet[byte % kAlphabet.size()];
  auto text = base64(random.view());
  key.secret = SecretBytes(as_bytes(text));
  wipe({reinterpret_cast<std::uint8_t*>(text.data()), text.size()});
  return key;
}

}  // namespace coffer
