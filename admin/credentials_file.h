#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "admin/control.h"

namespace coffer {

// STORE/credentials: access keys in the format of AWS's shared credentials file, so that AWS's own tools read it. Each
// profile is one access key of the account's root; [coffer] is the one that init writes.
class CredentialsFile final : public Credentials {
 public:
  // kInvalidArgument, naming the line, when a profile lacks a part, an id is there twice, or the file is larger than
  // kCredentialsFileMax. Settings of AWS's that are not keys (region ...) are passed over.
  static Result<CredentialsFile> parse(std::string_view text, const Principal& principal);

  std::shared_ptr<const AccessKey> find(std::string_view access_key_id) const override;
  const AccessKey* profile(std::string_view name) const;
  std::string print() const;  // holds the secrets: wipe it

  void add(std::string profile, AccessKey key);

 private:
  struct Profile {
    std::string name;
    AccessKey key;
  };
  std::vector<Profile> profiles_;
};

// A new access key: an id of 20 letters and digits beginning with COFF, a secret of 40 base64 letters (240 bits) from
// the kernel. kIo when the kernel gives none.
Result<AccessKey> make_access_key(const Principal& principal);

}  // namespace coffer
