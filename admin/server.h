#pragma once

#include "admin/coffer_api.h"
#include "admin/control.h"
#include "admin/http.h"
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
};

// One request in, one answer out: checks the signature, tells S3, KMS and Coffer apart by X-Amz-Target, writes one log
// line. Thread-safe; does not throw.
class Server {
 public:
  Server(Realm realm, const Controls& controls, const Credentials& credentials, const Clock& clock, Log log);

  HttpResponse handle(const HttpRequest& request);

 private:
  // What the log line says.
  struct Outcome {
    HttpResponse response;
    std::string_view operation = "-";
    std::string access_key_id = "-";  // only of a request whose signature holds
  };
  Outcome serve_s3(const HttpRequest& request);
  Outcome serve_json(const HttpRequest& request, std::string_view target);
  void log(const HttpRequest& request, const Outcome& outcome) const;

  const Realm realm_;
  S3Api s3_;
  KmsApi kms_;
  CofferApi coffer_;
  const Credentials& credentials_;
  const Clock& clock_;
  const Log log_;
};

}  // namespace coffer
