#include "admin/sigv4.h"

#include <algorithm>
#include <array>
#include <cassert>

#include "admin/canonical_request.h"
#include "admin/digest.h"
#include "admin/timestamps.h"
#include "base/clock.h"
#include "base/encoding.h"
#include "base/limits.h"

namespace coffer {
namespace {

constexpr std::string_view kContentHash = "x-amz-content-sha256";
constexpr std::string_view kUnsignedPayload = "UNSIGNED-PAYLOAD";

std::string joined(const std::vector<std::string>& names, char separator) {
  std::string out;
  for (const auto& name : names) out += (out.empty() ? "" : std::string(1, separator)) + name;
  return out;
}

// ---- the signature ----

std::string string_to_sign(std::string_view date, const CredentialScope& scope, std::string_view canonical) {
  return std::string(kSigningAlgorithm) + "\n" + std::string(date) + "\n" + scope.str() + "\n" +
         hex(sha256(as_bytes(canonical)));
}

std::string signature(BytesView secret, const CredentialScope& scope, std::string_view text) {
  SecretBytes first(secret.size() + 4);
  const auto prefix = as_bytes("AWS4");
  std::copy(prefix.begin(), prefix.end(), first.span().begin());
  std::copy(secret.begin(), secret.end(), first.span().begin() + 4);
  auto key = hmac_sha256(first.view(), as_bytes(scope.date));
  for (const std::string_view part :
       {std::string_view(scope.region), std::string_view(scope.service), kScopeTerminator}) {
    auto next = hmac_sha256(key, as_bytes(part));
    key.swap(next);
    wipe(next);
  }
  const auto out = hex(hmac_sha256(key, as_bytes(text)));
  wipe(key);
  return out;
}

// ---- the checks, each one row of AUTH ----

std::optional<AuthFailure> check_scope(const Authorization& given, const SigningScope& wanted) {
  const auto& scope = given.scope;
  if (scope.service != wanted.service && !(wanted.s3express && scope.service == "s3express"))
    return bad_scope(AuthFault::kWrongService, given.place,
                     "incorrect service \"" + scope.service + "\". This endpoint belongs to \"" +
                         std::string(wanted.service) + "\".");
  if (scope.region == wanted.region) return std::nullopt;
  auto failure =
      bad_scope(AuthFault::kWrongRegion, given.place,
                "the region '" + scope.region + "' is wrong; expecting '" + std::string(wanted.region) + "'");
  failure.answer.extras = {{"Region", std::string(wanted.region)}};
  return failure;
}

AuthFailure expired(const Authorization& authorization, std::int64_t now) {
  return {AuthFault::kSkewed,
          {403,
           "AccessDenied",
           "Request has expired",
           {{"X-Amz-Expires", std::to_string(authorization.expires_seconds)},
            {"Expires", iso8601(authorization.time + authorization.expires_seconds)},
            {"ServerTime", iso8601(now)}}}};
}

std::optional<AuthFailure> check_time(const Authorization& authorization, std::int64_t now) {
  const auto text = amz_date(authorization.time);
  if (authorization.scope.date != text.substr(0, 8))
    return bad_scope(AuthFault::kScopeDate, authorization.place,
                     "Invalid credential date. Date is not the same as X-Amz-Date.");
  if (authorization.place == Authorization::Place::kQuery) {
    if (now > authorization.time + authorization.expires_seconds) return expired(authorization, now);
    if (authorization.time - now <= kClockSkewSeconds) return std::nullopt;
    return AuthFailure{AuthFault::kSkewed, {403, "AccessDenied", "Request is not valid yet", {}}};
  }
  if (std::abs(authorization.time - now) <= kClockSkewSeconds) return std::nullopt;
  return AuthFailure{AuthFault::kSkewed,
                     {403,
                      "RequestTimeTooSkewed",
                      "The difference between the request time and the current time is too large.",
                      {{"RequestTime", text},
                       {"ServerTime", iso8601(now)},
                       {"MaxAllowedSkewMilliseconds", std::to_string(kClockSkewSeconds * 1000)}}}};
}

bool is_sha256(std::string_view text) { return text.size() == 64 && unhex(text).has_value(); }

// What an S3 request says of its body's hash. In the query it need not be said: then nothing is said.
std::optional<std::string> given_content_hash(const HttpRequest& request, Authorization::Place place) {
  if (const auto header = request.header(kContentHash)) return std::string(*header);
  if (place == Authorization::Place::kHeader) return std::nullopt;
  const auto query = decode_query(request.query());
  for (const auto& [name, value] : query.value_or(QueryParameters()))
    if (equal_ignoring_case(name, kContentHash)) return value;
  return std::string(kUnsignedPayload);
}

// Before it is compared with the body.
std::optional<AuthFailure> check_content_hash_form(const std::optional<std::string>& value) {
  if (!value)
    return AuthFailure{AuthFault::kContentHash,
                       invalid_request("Missing required header for this request: x-amz-content-sha256")};
  constexpr std::array<std::string_view, 6> kKeywords = {kUnsignedPayload,
                                                         "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
                                                         "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
                                                         "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
                                                         "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD",
                                                         "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER"};
  if (is_sha256(*value) || std::find(kKeywords.begin(), kKeywords.end(), *value) != kKeywords.end())
    return std::nullopt;
  std::string message = "x-amz-content-sha256 must be ";
  for (std::size_t i = 0; i < kKeywords.size(); ++i) message += (i == 0 ? "" : ", ") + std::string(kKeywords[i]);
  return AuthFailure{AuthFault::kContentHash,
                     invalid_argument(message + " or a valid sha256 value.", std::string(kContentHash), *value)};
}

std::optional<AuthFailure> check_content_hash(const std::string& value, std::string_view computed) {
  if (!is_sha256(value) || equal_ignoring_case(value, computed)) return std::nullopt;
  return AuthFailure{AuthFault::kContentHash,
                     {400,
                      "XAmzContentSHA256Mismatch",
                      "The provided 'x-amz-content-sha256' header does not match what was computed.",
                      {{"ClientComputedContentSHA256", value}, {"S3ComputedContentSHA256", std::string(computed)}}}};
}

// Host and every x-amz-* must be under the signature: X-Amz-Target alone decides what a request does.
std::optional<AuthFailure> check_signed_headers(const HttpRequest& request, const std::vector<std::string>& names) {
  std::vector<std::string> needed = {"host"}, missing;
  for (const auto& header : request.headers)
    if (auto name = lower_case(header.name); name.starts_with("x-amz-")) needed.push_back(std::move(name));
  for (auto& name : needed)
    if (std::find(names.begin(), names.end(), name) == names.end()) missing.push_back(std::move(name));
  if (missing.empty()) return std::nullopt;
  return AuthFailure{AuthFault::kUnsignedHeaders,
                     {403,
                      "AccessDenied",
                      "There were headers present in the request which were not signed",
                      {{"HeadersNotSigned", joined(missing, ',')}}}};
}

std::string bytes_in_hex(std::string_view text) {
  std::string out;
  for (const auto byte : as_bytes(text)) out += (out.empty() ? "" : " ") + hex({&byte, 1});
  return out;
}

AuthFailure does_not_match(const Authorization& authorization, const std::string& to_sign,
                           const std::string& canonical) {
  return {AuthFault::kWrongSignature,
          {403,
           "SignatureDoesNotMatch",
           "The request signature we calculated does not match the signature you provided. Check your key and signing "
           "method.",
           {{"AWSAccessKeyId", authorization.access_key_id},
            {"StringToSign", to_sign},
            {"SignatureProvided", authorization.signature},
            {"StringToSignBytes", bytes_in_hex(to_sign)},
            {"CanonicalRequest", canonical},
            {"CanonicalRequestBytes", bytes_in_hex(canonical)}}}};
}

}  // namespace

Verified verify_signature(const HttpRequest& request, const SigningScope& scope, const Credentials& credentials,
                          std::int64_t now_ns) {
  const auto read = read_authorization(request, scope.service);
  if (const auto* failure = std::get_if<AuthFailure>(&read)) return *failure;
  const auto& authorization = std::get<Authorization>(read);
  if (auto failure = check_scope(authorization, scope)) return *failure;

  auto key = credentials.find(authorization.access_key_id);
  if (key == nullptr)
    return AuthFailure{AuthFault::kUnknownKey,
                       {403,
                        "InvalidAccessKeyId",
                        "The AWS Access Key Id you provided does not exist in our records.",
                        {{"AWSAccessKeyId", authorization.access_key_id}}}};
  if (auto failure = check_time(authorization, now_ns / kNsPerSecond)) return *failure;

  const bool is_s3 = is_s3_service(scope.service);
  const auto computed_hash = hex(sha256(as_bytes(request.body)));
  const auto payload_hash = is_s3 ? given_content_hash(request, authorization.place) : computed_hash;
  if (is_s3)
    if (auto failure = check_content_hash_form(payload_hash)) return *failure;
  if (auto failure = check_signed_headers(request, authorization.signed_headers)) return *failure;

  const auto canonical = canonical_request(request, scope.service, authorization.signed_headers, *payload_hash);
  if (!canonical)
    return AuthFailure{AuthFault::kBadTarget,
                       {400, "InvalidURI", "Couldn't parse the specified URI.", {{"URI", request.target}}}};
  const auto to_sign = string_to_sign(amz_date(authorization.time), authorization.scope, *canonical);
  const auto expected = signature(key->secret.view(), authorization.scope, to_sign);
  if (!equal_constant_time(as_bytes(expected), as_bytes(authorization.signature)))
    return does_not_match(authorization, to_sign, *canonical);
  if (is_s3)
    if (auto failure = check_content_hash(*payload_hash, computed_hash)) return *failure;
  return key;
}

std::vector<HttpHeader> sign(const HttpRequest& request, const AccessKey& key, std::string_view service,
                             std::string_view region, std::int64_t now_ns) {
  assert(request.header("host"));
  HttpRequest dated = request;
  std::vector<HttpHeader> added = {{"X-Amz-Date", amz_date(now_ns / kNsPerSecond)}};
  const auto payload_hash = hex(sha256(as_bytes(request.body)));
  if (is_s3_service(service)) added.push_back({"X-Amz-Content-Sha256", payload_hash});
  dated.headers.insert(dated.headers.end(), added.begin(), added.end());

  std::vector<std::string> names;
  for (const auto& header : dated.headers) {
    auto name = lower_case(header.name);
    if (name == "host" || name == "content-type" || name == "content-md5" || name.starts_with("x-amz-"))
      names.push_back(std::move(name));
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());

  const auto canonical = canonical_request(dated, service, names, payload_hash);
  assert(canonical);
  const CredentialScope scope{added[0].value.substr(0, 8), std::string(region), std::string(service)};
  const auto to_sign = string_to_sign(added[0].value, scope, *canonical);
  added.push_back({"Authorization", std::string(kSigningAlgorithm) + " Credential=" + key.id + "/" + scope.str() +
                                        ", SignedHeaders=" + joined(names, ';') +
                                        ", Signature=" + signature(key.secret.view(), scope, to_sign)});
  return added;
}

}  // namespace coffer
