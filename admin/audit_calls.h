#pragma once

#include "admin/audit_record.h"
#include "admin/http.h"
#include "admin/s3_target.h"

namespace coffer {

// What a request of the admin socket leaves in the audit trail. Members of a request are told by name, those alone that
// hold no secret: one that is not listed here is not told.

// Of KMS: operation is what follows TrentService. in the target.
void tell_kms_request(AuditCall& call, std::string_view operation, std::string_view body);
void tell_kms_answer(AuditCall& call, std::string_view operation, std::string_view body);
// Of users, their keys and policies. Answers are not told: one of them holds a secret key.
void tell_iam_request(AuditCall& call, std::string_view operation, std::string_view body);
// Of S3: the bucket, the Host, the sub-resource; a default encryption, a new bucket's configuration and a policy as JSON.
void tell_s3_request(AuditCall& call, const S3Target& target, const HttpRequest& request, const Realm& realm);
// Of coffer's own operations. False for those that leave no record: they change nothing, and reading the trail would
// make it grow.
bool tell_coffer_request(AuditCall& call, std::string_view operation, std::string_view body);

}  // namespace coffer
