#include "admin/sigv4.h"

#include <algorithm>
#include <array>
#include <cassert>

#include "admin/canonical_request.h"
#include "admin/digest.h"
#include "admin/timestamps.h"
#include "base/encoding.h"
#include "base/limits.h"

namespace coffer {
namespace {

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";
constexpr std::string_view kTerminator = "aws4_request";
constexpr std::string_view kContentHash = "x-amz-content-sha256";
constexpr std::string_view kUnsignedPayload = "UNSIGNED-PAYLOAD";
constexpr std::int64_t kNsPerSecond = 1'000'000'000;

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (std::size_t end; (end = text.find(separator)) != std::string_view::npos; text.remove_prefix(end + 1))
    parts.push_back(text.substr(0, end));
  parts.push_back(text);
  return parts;
}

std::string joined(const std::vector<std::string>& names, char separator) {
  std::string out;
  for (const auto& name : names) out += (out.empty() ? "" : std::string(1, separator)) + name;
  return out;
}

// ---- the signature ----

struct CredentialScope {
  std::string date, region, service;
  std::string str() const { return date + "/" + region + "/" + service + "/" + std::string(kTerminator); }
};

std::string string_to_sign(std::string_view date, const CredentialScope& scope, std::string_view canonical) {
  return std::string(kAlgorithm) + "\n" + std::string(date) + "\n" + scope.str() + "\n" +
         hex(sha256(as_bytes(canonical)));
}

std::string signature(BytesView secret, const CredentialScope& scope, std::string_view text) {
  SecretBytes first(secret.size() + 4);
  const auto prefix = as_bytes("AWS4");
  std::copy(prefix.begin(), prefix.end(), first.span().begin());
  std::copy(secret.begin(), secret.end(), first.span().begin() + 4);
  auto key = hmac_sha256(first.view(), as_bytes(scope.date));
  for (const std::string_view part : {std::string_view(scope.region), std::string_view(scope.service), kTerminator}) {
    auto next = hmac_sha256(key, as_bytes(part));
    key.swap(next);
    wipe(next);
  }
  const auto out = hex(hmac_sha256(key, as_bytes(text)));
  wipe(key);
  return out;
}

// ---- what the Authorization header says ----

struct Authorization {
  std::string access_key_id, signature;
  CredentialScope scope;
  std::vector<std::string> signed_headers;
};

AuthFailure malformed(std::string what) {
  return {AuthFault::kMalformed,
          {400, "AuthorizationHeaderMalformed", "The authorization header is malformed; " + std::move(what), {}}};
}

AuthFailure bad_authorization(std::string message, std::string_view value) {
  return {AuthFault::kMalformed, invalid_argument(std::move(message), "Authorization", std::string(value))};
}

std::optional<AuthFailure> take_credential(std::string_view value, Authorization& into) {
  auto parts = split(value, '/');
  if (parts.size() < 5 || parts.back() != kTerminator)
    return malformed("the Credential is mal-formed; expecting \"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\".");
  const auto n = parts.size();
  into.scope = {std::string(parts[n - 4]), std::string(parts[n - 3]), std::string(parts[n - 2])};
  std::size_t id_size = value.size() - into.scope.str().size() - 1;  // an id may hold slashes
  into.access_key_id = value.substr(0, id_size);
  return std::nullopt;
}

std::variant<Authorization, AuthFailure> parse_authorization(std::string_view header) {
  const auto space = header.find(' ');
  if (space == std::string_view::npos)
    return bad_authorization("Authorization header is invalid -- one and only one ' ' (space) required.", header);
  const auto scheme = header.substr(0, space);
  if (scheme == "AWS")
    return AuthFailure{AuthFault::kOldSignature,
                       invalid_request("The authorization mechanism you have provided is not supported. Please use "
                                       "AWS4-HMAC-SHA256.")};
  if (scheme != kAlgorithm) return bad_authorization("Unsupported Authorization Type", header);

  Authorization authorization;
  unsigned seen = 0;
  for (auto part : split(header.substr(space + 1), ',')) {
    part = trim(part);
    const auto equals = part.find('=');
    const auto name = part.substr(0, equals);
    const auto value = equals == std::string_view::npos ? std::string_view() : part.substr(equals + 1);
    const unsigned bit = name == "Credential" ? 1 : name == "SignedHeaders" ? 2 : name == "Signature" ? 4 : 0;
    if (bit == 0 || (seen & bit) != 0 || value.empty())
      return malformed("the authorization component \"" + std::string(part) + "\" is malformed.");
    seen |= bit;
    if (bit == 1)
      if (auto failure = take_credential(value, authorization)) return *failure;
    if (bit == 2)
      for (const auto signed_name : split(value, ';')) authorization.signed_headers.emplace_back(signed_name);
    if (bit == 4) authorization.signature = value;
  }
  if (seen != 7)
    return malformed(
        "the authorization header requires three components: Credential, SignedHeaders, and "
        "Signature.");
  return authorization;
}

// ---- the checks, each one row of AUTH ----

struct RequestTime {
  std::int64_t seconds = 0;
  std::string text;  // as amz_date()
};

std::optional<RequestTime> request_time(const HttpRequest& request) {
  auto text = request.header("x-amz-date");
  if (!text) text = request.header("date");
  if (!text) return std::nullopt;
  auto seconds = parse_amz_date(trim(*text));
  if (!seconds) seconds = parse_http_date(trim(*text));
  if (!seconds) return std::nullopt;
  return RequestTime{*seconds, amz_date(*seconds)};
}

std::optional<AuthFailure> check_scope(const CredentialScope& given, const SigningScope& wanted) {
  const bool service_fits = given.service == wanted.service || (wanted.s3express && given.service == "s3express");
  if (!service_fits) {
    auto failure = malformed("incorrect service \"" + given.service + "\". This endpoint belongs to \"" +
                             std::string(wanted.service) + "\".");
    failure.fault = AuthFault::kWrongService;
    return failure;
  }
  if (given.region != wanted.region) {
    auto failure =
        malformed("the region '" + given.region + "' is wrong; expecting '" + std::string(wanted.region) + "'");
    failure.fault = AuthFault::kWrongRegion;
    failure.answer.extras = {{"Region", std::string(wanted.region)}};
    return failure;
  }
  return std::nullopt;
}

std::optional<AuthFailure> check_time(const RequestTime& time, const CredentialScope& scope, std::int64_t now) {
  if (scope.date != time.text.substr(0, 8)) {
    auto failure = malformed("Invalid credential date. Date is not the same as X-Amz-Date.");
    failure.fault = AuthFault::kScopeDate;
    return failure;
  }
  if (std::abs(time.seconds - now) <= kClockSkewSeconds) return std::nullopt;
  return AuthFailure{AuthFault::kSkewed,
                     {403,
                      "RequestTimeTooSkewed",
                      "The difference between the request time and the current time is too large.",
                      {{"RequestTime", time.text},
                       {"ServerTime", iso8601(now)},
                       {"MaxAllowedSkewMilliseconds", std::to_string(kClockSkewSeconds * 1000)}}}};
}

bool is_sha256(std::string_view text) { return text.size() == 64 && unhex(text).has_value(); }

// x-amz-content-sha256, before it is compared with the body.
std::optional<AuthFailure> check_content_hash_form(const HttpRequest& request) {
  const auto value = request.header(kContentHash);
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
  return AuthFailure{AuthFault::kContentHash, invalid_argument(message + " or a valid sha256 value.",
                                                               std::string(kContentHash), std::string(*value))};
}

std::optional<AuthFailure> check_content_hash(const HttpRequest& request, std::string_view computed) {
  const auto value = *request.header(kContentHash);
  if (!is_sha256(value) || equal_ignoring_case(value, computed)) return std::nullopt;
  return AuthFailure{
      AuthFault::kContentHash,
      {400,
       "XAmzContentSHA256Mismatch",
       "The provided 'x-amz-content-sha256' header does not match what was computed.",
       {{"ClientComputedContentSHA256", std::string(value)}, {"S3ComputedContentSHA256", std::string(computed)}}}};
}

// Host and every x-amz-* must be under the signature: X-Amz-Target alone decides what a request does.
std::optional<AuthFailure> check_signed_headers(const HttpRequest& request, const std::vector<std::string>& names) {
  std::vector<std::string> missing;
  for (const auto& header : request.headers) {
    auto name = lower_case(header.name);
    if (name != "host" && !name.starts_with("x-amz-")) continue;
    if (std::find(names.begin(), names.end(), name) == names.end()) missing.push_back(std::move(name));
  }
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

bool signed_in_query(std::string_view query) {
  for (const auto part : split(query, '&')) {
    const auto name = part.substr(0, part.find('='));
    if (equal_ignoring_case(name, "x-amz-signature") || equal_ignoring_case(name, "x-amz-algorithm")) return true;
  }
  return false;
}

// Requests without anything to check.
std::optional<AuthFailure> check_presence(const HttpRequest& request) {
  if (!request.header("authorization")) {
    if (!signed_in_query(request.query())) return AuthFailure{AuthFault::kAnonymous, access_denied()};
    return AuthFailure{AuthFault::kPresigned,
                       invalid_request("Requests signed in the query are not served here. Sign in the Authorization "
                                       "header.")};
  }
  if (request.header("x-amz-security-token"))
    return AuthFailure{AuthFault::kSessionToken,
                       {400, "InvalidToken", "The provided token is malformed or otherwise invalid.", {}}};
  return std::nullopt;
}

}  // namespace

Verified verify_signature(const HttpRequest& request, const SigningScope& scope, const Credentials& credentials,
                          std::int64_t now_ns) {
  if (auto failure = check_presence(request)) return *failure;
  const auto time = request_time(request);
  if (!time)
    return AuthFailure{AuthFault::kNoDate,
                       {403, "AccessDenied", "AWS authentication requires a valid Date or x-amz-date header.", {}}};
  auto parsed = parse_authorization(*request.header("authorization"));
  if (auto* failure = std::get_if<AuthFailure>(&parsed)) return *failure;
  const auto& authorization = std::get<Authorization>(parsed);
  if (auto failure = check_scope(authorization.scope, scope)) return *failure;

  const auto* key = credentials.find(authorization.access_key_id);
  if (key == nullptr)
    return AuthFailure{AuthFault::kUnknownKey,
                       {403,
                        "InvalidAccessKeyId",
                        "The AWS Access Key Id you provided does not exist in our records.",
                        {{"AWSAccessKeyId", authorization.access_key_id}}}};
  if (auto failure = check_time(*time, authorization.scope, now_ns / kNsPerSecond)) return *failure;
  if (is_s3_service(scope.service))
    if (auto failure = check_content_hash_form(request)) return *failure;
  if (auto failure = check_signed_headers(request, authorization.signed_headers)) return *failure;

  const auto computed_hash = hex(sha256(as_bytes(request.body)));
  const auto payload_hash = is_s3_service(scope.service) ? std::string(*request.header(kContentHash)) : computed_hash;
  const auto canonical = canonical_request(request, scope.service, authorization.signed_headers, payload_hash);
  if (!canonical)
    return AuthFailure{AuthFault::kBadTarget,
                       {400, "InvalidURI", "Couldn't parse the specified URI.", {{"URI", request.target}}}};
  const auto to_sign = string_to_sign(time->text, authorization.scope, *canonical);
  const auto expected = signature(key->secret.view(), authorization.scope, to_sign);
  if (!equal_constant_time(as_bytes(expected), as_bytes(authorization.signature)))
    return does_not_match(authorization, to_sign, *canonical);
  if (is_s3_service(scope.service))
    if (auto failure = check_content_hash(request, computed_hash)) return *failure;
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
  added.push_back({"Authorization", std::string(kAlgorithm) + " Credential=" + key.id + "/" + scope.str() +
                                        ", SignedHeaders=" + joined(names, ';') +
                                        ", Signature=" + signature(key.secret.view(), scope, to_sign)});
  return added;
}

}  // namespace coffer
