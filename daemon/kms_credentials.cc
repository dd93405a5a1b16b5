#include "daemon/kms_credentials.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "admin/http.h"
#include "base/descriptor.h"
#include "base/limits.h"

namespace coffer {
namespace {

constexpr std::string_view kDefaultProfile = "default";

Error unusable(const std::string& what) {
  return {Code::kNoUnlock, what +
                               ": give the external KMS's access key by --kms-credentials-file (0600, as AWS's shared "
                               "credentials file), or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"};
}

std::string_view environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string_view() : std::string_view(value);
}

SecretBytes with_nul(std::string_view secret) {
  SecretBytes out(secret.size() + 1);
  std::copy(secret.begin(), secret.end(), out.span().begin());
  return out;
}

// What may be put into a header as it stands.
bool is_plain(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

Result<KmsAccess> checked(KmsAccess access) {
  const bool token_fits = access.session_token.empty() || is_plain(access.session_token);
  const std::string_view secret = as_text(access.secret.view());
  if (!is_plain(access.id) || secret.size() < 2 || !is_plain(secret.substr(0, secret.size() - 1)) || !token_fits)
    return unusable("no access key for the external KMS");
  return access;
}

}  // namespace

Result<KmsAccess> KmsCredentials::parse(std::string_view text, std::string_view profile) {
  KmsAccess asked, only;
  std::string_view name;
  std::size_t profiles = 0;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    const auto line = trim(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line[0] == '#' || line[0] == ';') continue;
    if (line.front() == '[' && line.back() == ']') {
      name = trim(line.substr(1, line.size() - 2));
      ++profiles;
      continue;
    }
    const auto equals = line.find('=');
    if (equals == std::string_view::npos || profiles == 0) return unusable("no credentials file of AWS's form");
    const auto setting = trim(line.substr(0, equals)), value = trim(line.substr(equals + 1));
    const bool is_asked = name == (profile.empty() ? kDefaultProfile : profile);
    for (KmsAccess* access : {&only, &asked}) {
      if (access == &asked && !is_asked) continue;
      if (setting == "aws_access_key_id") access->id = value;
      if (setting == "aws_secret_access_key") access->secret = with_nul(value);
      if (setting == "aws_session_token") access->session_token = value;
    }
  }
  const bool falls_back = asked.id.empty() && profile.empty() && profiles == 1;
  return checked(std::move(falls_back ? only : asked));
}

Status KmsCredentials::read_if_changed() {
  const Descriptor fd(::open(file_.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat about = {};
  if (fd.get() < 0 || fstat(fd.get(), &about) != 0)
    return unusable("cannot read " + file_ + ": " + std::strerror(errno));
  const Version found{about.st_mtim.tv_sec * 1'000'000'000 + about.st_mtim.tv_nsec, about.st_ino,
                      static_cast<std::uint64_t>(about.st_size)};
  if (access_ && found == version_) return {};
  if ((about.st_mode & S_IRWXO) != 0) return unusable(file_ + " can be read by everybody");
  SecretBytes text(kCredentialsFileMax);
  std::size_t size = 0;
  ssize_t got = 0;
  while ((got = ::read(fd.get(), text.span().data() + size, text.size() - size)) > 0)
    size += static_cast<std::size_t>(got);
  if (got < 0 || size == text.size()) return unusable("cannot read " + file_ + ", or it is too large");
  COFFER_ASSIGN(KmsAccess access, parse(as_text(text.view().first(size)), environment("AWS_PROFILE")));
  access_ = std::make_shared<const KmsAccess>(std::move(access));
  version_ = found;
  return {};
}

Result<std::unique_ptr<KmsCredentials>> KmsCredentials::find(const std::optional<std::string>& file) {
  std::unique_ptr<KmsCredentials> credentials(new KmsCredentials());
  if (file) {
    credentials->file_ = *file;
  } else if (const auto folder = environment("CREDENTIALS_DIRECTORY"); !folder.empty()) {
    const std::string handed_over = std::string(folder) + "/coffer.kms-credentials";
    if (access(handed_over.c_str(), F_OK) == 0) credentials->file_ = handed_over;
  }
  if (!credentials->file_.empty()) {
    COFFER_TRY(credentials->read_if_changed());
    return credentials;
  }
  COFFER_ASSIGN(KmsAccess found,
                checked({std::string(environment("AWS_ACCESS_KEY_ID")), with_nul(environment("AWS_SECRET_ACCESS_KEY")),
                         std::string(environment("AWS_SESSION_TOKEN"))}));
  credentials->access_ = std::make_shared<const KmsAccess>(std::move(found));
  return credentials;
}

std::shared_ptr<const KmsAccess> KmsCredentials::current() {
  const std::lock_guard lock(mutex_);
  // One that is being replaced, or is wrong now, takes nothing away.
  if (!file_.empty()) (void)read_if_changed();
  return access_;
}

}  // namespace coffer
