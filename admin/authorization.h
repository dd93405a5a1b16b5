#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "admin/http.h"
#include "admin/s3_error.h"

namespace coffer {

inline constexpr std::string_view kSigningAlgorithm = "AWS4-HMAC-SHA256";
inline constexpr std::string_view kScopeTerminator = "aws4_request";  // the last part of a credential's scope

enum class AuthFault {
  kAnonymous,        // AUTH-01
  kWrongSignature,   // AUTH-02
  kUnknownKey,       // AUTH-03
  kSkewed,           // AUTH-04, AUTH-05
  kWrongRegion,      // AUTH-06
  kWrongService,     // AUTH-07
  kScopeDate,        // AUTH-08
  kNoDate,           // AUTH-09
  kMalformed,        // AUTH-10, AUTH-16
  kOldSignature,     // AUTH-11
  kContentHash,      // AUTH-12..14
  kUnsignedHeaders,  // AUTH-15
  kPresigned,        // signed in the query, which only S3 takes
  kSessionToken,     // a token that is none of ours, or has expired
  kBadTarget,        // a target that cannot be decoded
};

struct AuthFailure {
  AuthFault fault;
  S3Error answer;
};

struct CredentialScope {
  std::string date, region, service;
  std::string str() const;  // date/region/service/aws4_request
};

// What a request says of its signature, in the Authorization header or, for S3 alone, in the query (S3 API reference,
// "Authenticating Requests: Using Query Parameters"). Nothing of it is checked against anything yet.
struct Authorization {
  enum class Place { kHeader, kQuery };
  Place place = Place::kHeader;
  std::string access_key_id, signature;
  CredentialScope scope;
  std::vector<std::string> signed_headers;
  std::int64_t time = 0;             // X-Amz-Date or Date, seconds since 1970
  std::int64_t expires_seconds = 0;  // in the query: how long after `time` it holds
};

std::variant<Authorization, AuthFailure> read_authorization(const HttpRequest& request, std::string_view service);

// The parameters of a query that sign it, by which a request says that it is signed there.
bool is_signing_parameter(std::string_view name);

// A fault of the credential's scope, in the words of the place it stands in.
AuthFailure bad_scope(AuthFault fault, Authorization::Place place, const std::string& what);

}  // namespace coffer
