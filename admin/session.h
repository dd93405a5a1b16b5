#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "admin/control.h"

namespace coffer {

// What CreateSession of a directory bucket hands out: an access key for one bucket and five minutes (S3 API reference,
// CreateSession). Nothing of it is kept: the token says what it is for, under a MAC of the access key that asked, and the
// secret follows from both. So a restart ends no session, and the end of that access key ends its sessions.
struct SessionTerms {
  std::string bucket;
  bool read_only = false;
  std::int64_t expires = 0;    // seconds since 1970
  std::string sse, kms_key;    // x-amz-server-side-encryption and the key's ARN
  std::string parent_key_id;   // who asked
};

struct Session {
  SessionTerms terms;
  AccessKey key;  // the session's own, with the principal of who asked
};

struct NewSession {
  AccessKey key;
  std::string token;
};
NewSession make_session(SessionTerms terms, const AccessKey& parent);
// Nothing for a token that no access key here made, or that has expired.
std::optional<Session> open_session(std::string_view token, const Credentials& credentials, std::int64_t now);

// A session's access key and no other.
class SessionKey final : public Credentials {
 public:
  explicit SessionKey(const Session& session) : session_(session) {}
  std::shared_ptr<const AccessKey> find(std::string_view id) const override {
    return id == session_.key.id ? std::shared_ptr<const AccessKey>(std::shared_ptr<void>(), &session_.key) : nullptr;
  }

 private:
  const Session& session_;
};

}  // namespace coffer
