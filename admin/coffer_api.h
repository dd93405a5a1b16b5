#pragma once

#include <string_view>

#include "admin/audit_control.h"
#include "admin/control.h"
#include "admin/json_rpc.h"

namespace coffer {

// Coffer's own operations, for the coffer program: X-Amz-Target Coffer.<Operation>, SigV4 service "coffer".
//
//   Status       {}                 -> {"mounts":[{"store","dir","socket","pid","commit":{"counter","digest"},
//                                       "jobs":[{"kind","done","total"}],"poisoned","crypto","cache":{},"kms":{}}]}
//   Inspect      {"bucket","key"}   -> {"bucket","key","sse","kms_key_arn","bucket_key","chunk_size","size",
//                                       "layers":[{"cipher","key_source"}],"context":{},"reseal_pending"}
//                                      kms_key_arn is null under AES256
//   Reseal       {"bucket","prefix","data"} -> {"added":N}; prefix is optional, and so is data: true seals the data of all
//                                      these objects under new data keys, where else due ones alone are wrapped anew
//                                      In requests key and prefix are percent-encoded (RFC 3986): names are bytes
//   Scrub        {"rate","restart"} -> {}; begins to check everything, goes on where an unmount ended it, or joins the one
//                                      that runs. rate: MiB/s; both are optional
//   ScrubReport  {}                 -> {"running","done","total","failure","report":{as `coffer fsck --json`}}; of the one
//                                      that runs or the last of this mount. done and total are bytes; failure is null
//                                      unless it ended before its end
//   ChangeUnlockSlots {"keyslots","proof"} -> {}; the next keyslots.json whole, and in base64 the proof that its maker has
//                                      the root key. Over the Unix socket only: AccessDenied over TCP
//   Audit        {"from","limit"}   -> {"entries":[{"number","missing","cuts","record"}],"next","damage":[{"object","what"}]};
//                                      from: `next` of the answer before, or nothing: the oldest. record is a text of JSON. For the root alone
//   AuditVerify  {}                 -> {"files","records","first_record","missing","cuts","digest","damage":[]}; the same
//   KmsStats     {}                 -> {"GenerateDataKey":N,"Decrypt":N,...}
//   CheckBucket  {"bucket"}         -> {"bucket","sse","kms_key","kms_key_arn","usable","code","message"}; whether the
//                                      bucket's rule could seal now. code and message only when usable is false: S3's
//                                      code for the refusal (KMS.NotFoundException ...). kms_key is what the rule says,
//                                      or null
//
// Each is an action of policies, coffer:Status and so on, of principals of the store's own account.
// Errors are {"__type","message"} with S3's code and status: 404 NoSuchBucket, 404 NoSuchKey ... Thread-safe.
class CofferApi {
 public:
  CofferApi(BucketControl& buckets, KeyControl& keys, DataKeyControl& data_keys, MountControl& mount,
            UnlockControl& unlock, AuditControl& audit, AccessControl& access)
      : buckets_(buckets),
        keys_(keys),
        data_keys_(data_keys),
        mount_(mount),
        unlock_(unlock),
        audit_(audit),
        access_(access) {}

  JsonAnswer serve(std::string_view operation, std::string_view body, const Principal& caller,
                   std::string_view user_agent);

  static bool knows(std::string_view operation);
  static bool is_local(std::string_view operation);  // for callers on this machine's Unix socket alone

 private:
  using Request = const nlohmann::json&;
  struct Row;
  static const Row* find(std::string_view operation);

  JsonAnswer status(Request request, const Principal& caller);
  JsonAnswer inspect(Request request, const Principal& caller);
  JsonAnswer reseal(Request request, const Principal& caller);
  JsonAnswer scrub(Request request, const Principal& caller);
  JsonAnswer scrub_report(Request request, const Principal& caller);
  JsonAnswer change_unlock_slots(Request request, const Principal& caller);
  JsonAnswer audit(Request request, const Principal& caller);
  JsonAnswer audit_verify(Request request, const Principal& caller);
  JsonAnswer kms_stats(Request request, const Principal& caller);
  JsonAnswer check_bucket(Request request, const Principal& caller);
  std::optional<ExternalKmsStatus> external_kms_of(const Result<KeyMetadata>& key_here, const SseRule& rule);

  BucketControl& buckets_;
  KeyControl& keys_;
  DataKeyControl& data_keys_;
  MountControl& mount_;
  UnlockControl& unlock_;
  AuditControl& audit_;
  AccessControl& access_;
};

}  // namespace coffer
