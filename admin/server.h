#pragma once

#include <mutex>

#include "admin/audit_control.h"
#include "admin/coffer_api.h"
#include "admin/control.h"
#include "admin/http.h"
#include "admin/iam_api.h"
#include "admin/kms_api.h"
#include "admin/s3_api.h"
#include "admin/sigv4.h"
#include "base/clock.h"
#include "base/log.h"

namespace coffer {

struct Controls {
  BucketControl& buckets;
  KmsControls kms;
  MountControl& mount;
  UnlockControl& unlock;
  AuditControl& audit;
  AccessControl& access;
  BucketPolicyControl& policies;
  UserControl& users;
};

// One request in, one answer out: checks the signature, tells S3, KMS and Coffer apart by X-Amz-Target, leaves one record in
// the audit trail and one log line. Thread-safe; does not throw.
class Server {
 public:
  Server(Realm realm, const Controls& controls, const Credentials& credentials, const Clock& clock, Log log);

  HttpResponse handle(const HttpRequest& request);

 private:
  // What the log line and the audit record say.
  struct Outcome {
    HttpResponse response;
    std::string_view operation = "-";
    std::string access_key_id = "-";  // only of a request whose signature holds
    std::optional<Principal> caller = std::nullopt;  // the same
    std::optional<AccountId> bucket_owner = std::nullopt;  // of the bucket that is there, or is to be
    std::string error_code = "", error_message = "";
  };
  Outcome serve_s3(const HttpRequest& request);
  Outcome serve_json(const HttpRequest& request, std::string_view target);
  void log(const HttpRequest& request, const Outcome& outcome) const;
  void audit(const HttpRequest& request, const Outcome& outcome);
  // Whether a request of nobody known is recorded; `passed_over`: how many were not since the last one.
  bool records_stranger(std::uint64_t& passed_over);

  // Of a caller whose signature holds; nothing for a name that is none.
  std::optional<AccountId> bucket_owner(std::string_view bucket, const Principal& caller);

  const Realm realm_;
  BucketControl& buckets_;
  S3Api s3_;
  KmsApi kms_;
  CofferApi coffer_;
  IamApi iam_;
  const Credentials& credentials_;
  const Clock& clock_;
  const Log log_;
  AuditControl& audit_;
  std::mutex strangers_mutex_;  // guards the three below
  std::int64_t strangers_since_ns_ = 0;
  std::uint64_t strangers_recorded_ = 0, strangers_passed_over_ = 0;
};

}  // namespace coffer
