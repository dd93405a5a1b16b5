#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/secret_bytes.h"

namespace coffer {

// Who we are to an external KMS. The texts end in a NUL, for a library that asks for C strings.
struct KmsAccess {
  std::string id;
  SecretBytes secret;
  std::string session_token;  // empty: none
};

// Where that is found, as AWS's tools find it: a shared credentials file (its profile $AWS_PROFILE, else [default],
// else the only one), or AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN in the environment. A file that
// changes is read again, so that temporary keys can be renewed beside a mount. Thread-safe.
class KmsCredentials {
 public:
  // file: else $CREDENTIALS_DIRECTORY/coffer.kms-credentials where that is, else the environment. kNoUnlock, saying
  // what to give, when there is nothing that can be used.
  static Result<std::unique_ptr<KmsCredentials>> find(const std::optional<std::string>& file);

  // The newest that could be read.
  std::shared_ptr<const KmsAccess> current();

  static Result<KmsAccess> parse(std::string_view text, std::string_view profile /* empty: as above */);

 private:
  struct Version {
    std::int64_t changed_ns = 0;
    std::uint64_t inode = 0, size = 0;
    bool operator==(const Version&) const = default;
  };
  KmsCredentials() = default;
  Status read_if_changed();

  std::string file_;  // empty: the environment, which does not change
  std::mutex mutex_;  // guards all below
  Version version_;
  std::shared_ptr<const KmsAccess> access_;
};

}  // namespace coffer
