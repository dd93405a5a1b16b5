#include "admin/authorization.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "admin/canonical_request.h"
#include "admin/timestamps.h"
#include "base/limits.h"
#include "base/server_limits.h"

namespace coffer {
namespace {

constexpr std::string_view kExpectedCredential = "\"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\"";

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (std::size_t end; (end = text.find(separator)) != std::string_view::npos; text.remove_prefix(end + 1))
    parts.push_back(text.substr(0, end));
  parts.push_back(text);
  return parts;
}

AuthFailure malformed_header(std::string what) {
  return {AuthFault::kMalformed,
          {400, "AuthorizationHeaderMalformed", "The authorization header is malformed; " + std::move(what), {}}};
}

AuthFailure bad_authorization(std::string message, std::string_view value) {
  return {AuthFault::kMalformed, invalid_argument(std::move(message), "Authorization", std::string(value))};
}

AuthFailure bad_parameters(std::string message) {
  return {AuthFault::kMalformed, {400, "AuthorizationQueryParametersError", std::move(message), {}}};
}

AuthFailure old_signature() {
  return {AuthFault::kOldSignature,
          invalid_request("The authorization mechanism you have provided is not supported. Please use "
                          "AWS4-HMAC-SHA256.")};
}

AuthFailure bad_token() {
  return {AuthFault::kSessionToken, {400, "InvalidToken", "The provided token is malformed or otherwise invalid.", {}}};
}

// Whether it has the shape of ID/DATE/REGION/SERVICE/aws4_request; an id may hold slashes.
bool take_credential(std::string_view value, Authorization& into) {
  const auto parts = split(value, '/');
  const auto n = parts.size();
  if (n < 5 || parts.back() != kScopeTerminator) return false;
  into.scope = {std::string(parts[n - 4]), std::string(parts[n - 3]), std::string(parts[n - 2])};
  into.access_key_id = value.substr(0, value.size() - into.scope.str().size() - 1);
  return !into.access_key_id.empty();
}

// Each once, and no more than a request may have: the text that is signed has every header they name.
bool take_signed_headers(std::string_view value, Authorization& into) {
  for (const auto name : split(value, ';')) into.signed_headers.emplace_back(name);
  std::vector<std::string_view> sorted(into.signed_headers.begin(), into.signed_headers.end());
  std::sort(sorted.begin(), sorted.end());
  return sorted.size() <= kHeadersMax && std::adjacent_find(sorted.begin(), sorted.end()) == sorted.end();
}

// ---- in the header ----

std::optional<AuthFailure> take_component(std::string_view part, Authorization& into, unsigned& seen) {
  const auto equals = part.find('=');
  const auto name = part.substr(0, equals);
  const auto value = equals == std::string_view::npos ? std::string_view() : part.substr(equals + 1);
  const unsigned bit = name == "Credential" ? 1 : name == "SignedHeaders" ? 2 : name == "Signature" ? 4 : 0;
  if (bit == 0 || (seen & bit) != 0 || value.empty())
    return malformed_header("the authorization component \"" + std::string(part) + "\" is malformed.");
  seen |= bit;
  if (bit == 1 && !take_credential(value, into))
    return malformed_header("the Credential is mal-formed; expecting " + std::string(kExpectedCredential) + ".");
  if (bit == 2 && !take_signed_headers(value, into))
    return malformed_header("SignedHeaders must name at most " + std::to_string(kHeadersMax) + " headers, each once.");
  if (bit == 4) into.signature = value;
  return std::nullopt;
}

std::variant<Authorization, AuthFailure> parse_header(std::string_view header) {
  const auto space = header.find(' ');
  if (space == std::string_view::npos)
    return bad_authorization("Authorization header is invalid -- one and only one ' ' (space) required.", header);
  const auto scheme = header.substr(0, space);
  if (scheme == "AWS") return old_signature();
  if (scheme != kSigningAlgorithm) return bad_authorization("Unsupported Authorization Type", header);

  Authorization authorization;
  unsigned seen = 0;
  for (const auto part : split(header.substr(space + 1), ','))
    if (auto failure = take_component(trim(part), authorization, seen)) return *failure;
  if (seen != 7)
    return malformed_header(
        "the authorization header requires three components: Credential, SignedHeaders, and "
        "Signature.");
  return authorization;
}

std::optional<std::int64_t> header_time(const HttpRequest& request) {
  auto text = request.header("x-amz-date");
  if (!text) text = request.header("date");
  if (!text) return std::nullopt;
  const auto seconds = parse_amz_date(trim(*text));
  return seconds ? seconds : parse_http_date(trim(*text));
}

std::variant<Authorization, AuthFailure> read_header(const HttpRequest& request) {
  const auto time = header_time(request);
  if (!time)
    return AuthFailure{AuthFault::kNoDate,
                       {403, "AccessDenied", "AWS authentication requires a valid Date or x-amz-date header.", {}}};
  auto parsed = parse_header(*request.header("authorization"));
  if (auto* authorization = std::get_if<Authorization>(&parsed)) authorization->time = *time;
  return parsed;
}

// ---- in the query ----

constexpr std::array<std::string_view, 6> kSigningParameters = {
    "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature", "X-Amz-Date", "X-Amz-SignedHeaders", "X-Amz-Expires"};

// The parameters above in their order; nothing where one is missing, or there twice.
std::optional<std::array<std::string_view, 6>> signing_values(const QueryParameters& query) {
  std::array<std::string_view, 6> values;
  for (std::size_t i = 0; i < values.size(); ++i) {
    std::size_t count = 0;
    for (const auto& [name, value] : query) {
      if (name != kSigningParameters[i]) continue;
      values[i] = value;
      ++count;
    }
    if (count != 1 || values[i].empty()) return std::nullopt;
  }
  return values;
}

std::optional<AuthFailure> take_expiry(std::string_view text, Authorization& into) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), into.expires_seconds);
  if (error == std::errc::result_out_of_range && !text.starts_with('-')) into.expires_seconds = INT64_MAX;
  const bool number =
      (error == std::errc() || error == std::errc::result_out_of_range) && end == text.data() + text.size();
  if (!number) return bad_parameters("X-Amz-Expires should be a number");
  if (text.starts_with('-')) return bad_parameters("X-Amz-Expires must be non-negative");
  if (into.expires_seconds <= kPresignedSecondsMax) return std::nullopt;
  return bad_parameters(
      "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 "
      "seconds");
}

std::variant<Authorization, AuthFailure> read_query(const QueryParameters& query) {
  const auto values = signing_values(query);
  if (!values)
    return bad_parameters(
        "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, "
        "X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.");
  const auto& [algorithm, credential, signature, date, signed_headers, expires] = *values;
  if (algorithm != kSigningAlgorithm)
    return bad_parameters("X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256 and AWS4-ECDSA-P256-SHA256\"");

  Authorization authorization;
  authorization.place = Authorization::Place::kQuery;
  if (!take_credential(credential, authorization))
    return bad_parameters("Error parsing the X-Amz-Credential parameter; the Credential is mal-formed; expecting " +
                          std::string(kExpectedCredential) + ".");
  const auto time = parse_amz_date(date);
  if (!time) return bad_parameters("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"");
  authorization.time = *time;
  authorization.signature = signature;
  if (!take_signed_headers(signed_headers, authorization))
    return bad_parameters("X-Amz-SignedHeaders must name at most " + std::to_string(kHeadersMax) +
                          " headers, each once.");
  if (auto failure = take_expiry(expires, authorization)) return *failure;
  return authorization;
}

}  // namespace

std::string CredentialScope::str() const {
  return date + "/" + region + "/" + service + "/" + std::string(kScopeTerminator);
}

bool is_signing_parameter(std::string_view name) {
  return std::find(kSigningParameters.begin(), kSigningParameters.end(), name) != kSigningParameters.end();
}

AuthFailure bad_scope(AuthFault fault, Authorization::Place place, const std::string& what) {
  auto failure = place == Authorization::Place::kHeader
                     ? malformed_header(what)
                     : bad_parameters("Error parsing the X-Amz-Credential parameter; " + what);
  failure.fault = fault;
  return failure;
}

std::variant<Authorization, AuthFailure> read_authorization(const HttpRequest& request, std::string_view service) {
  const auto query = decode_query(request.query());
  if (!query)
    return AuthFailure{AuthFault::kBadTarget,
                       {400, "InvalidURI", "Couldn't parse the specified URI.", {{"URI", request.target}}}};
  const auto has = [&](auto is_it) {
    return std::any_of(query->begin(), query->end(), [&](const auto& parameter) { return is_it(parameter.first); });
  };
  const bool in_query = has(is_signing_parameter);
  const bool old_in_query = has([](std::string_view name) { return name == "Signature" || name == "AWSAccessKeyId"; });
  const auto header = request.header("authorization");
  if (header && (in_query || old_in_query))
    return bad_authorization(
        "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter "
        "or the Authorization header should be specified",
        *header);
  if (request.header("x-amz-security-token") ||
      has([](std::string_view name) { return name == "X-Amz-Security-Token"; }))
    return bad_token();
  if (header) return read_header(request);
  if (old_in_query) return old_signature();
  if (!in_query) return AuthFailure{AuthFault::kAnonymous, access_denied()};
  if (!is_s3_service(service))
    return AuthFailure{AuthFault::kPresigned,
                       invalid_request("Requests signed in the query are not served here. Sign in the Authorization "
                                       "header.")};
  return read_query(*query);
}

}  // namespace coffer
