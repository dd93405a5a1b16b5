#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/names.h"

namespace coffer {

inline constexpr std::string_view kAuditS3 = "s3.amazonaws.com";
inline constexpr std::string_view kAuditKms = "kms.amazonaws.com";
inline constexpr std::string_view kAuditIam = "iam.amazonaws.com";
inline constexpr std::string_view kAuditCoffer = "coffer";          // what AWS has no word for
inline constexpr std::string_view kAuditInternal = "AWS Internal";  // who calls the KMS for S3

// One call, for the audit trail. Never a key, a plaintext or a ciphertext.
struct AuditCall {
  std::string_view source;
  std::string name;  // the operation
  std::int64_t time_ns = 0;
  std::optional<Principal> caller;  // nothing: its signature does not hold
  std::string access_key_id;        // empty: there is none
  bool by_service = false;          // S3 calls the KMS for whom the caller is
  std::string address, agent;       // of by_service calls AWS Internal
  nlohmann::ordered_json parameters = nullptr, response = nullptr, additional = nullptr;
  std::string error_code, error_message;  // empty: none
  std::vector<std::string> resources;     // ARNs
  std::optional<AccountId> bucket_owner;  // of the bucket that is one of them; nothing: the store's account
  std::string request_id;                 // empty: one is made
};

// The record in CloudTrail's shape (CloudTrail record contents; KMS developer guide, "Logging with AWS CloudTrail"):
// one JSON object on one line, of kAuditRecordMax bytes at most: what does not fit is left out, parameters first.
std::string audit_record(const AuditCall& call, const Realm& realm);

// A text of a client's, cut to kAuditTextMax.
std::string audit_text(std::string_view text);
// As CloudTrail writes an error of KMS's: AccessDenied, and else the exception's own name.
std::string audit_error_code(std::string_view type);
// The context with every name and value; {"(omitted)":"..."} where it is beyond kAuditContextMax.
nlohmann::ordered_json audit_context(const std::map<std::string, std::string>& context);

}  // namespace coffer
