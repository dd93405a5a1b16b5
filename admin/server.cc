#include "admin/server.h"

#include <sys/random.h>

#include <array>

#include "admin/audit_calls.h"
#include "admin/kms_error.h"
#include "admin/s3_xml.h"
#include "admin/session.h"
#include "base/audit_limits.h"
#include "base/encoding.h"

namespace coffer {
namespace {

constexpr std::string_view kSessionHeader = "x-amz-s3session-token";
constexpr std::string_view kTargetHeader = "x-amz-target";
constexpr std::string_view kKmsPrefix = "TrentService.";
constexpr std::string_view kCofferPrefix = "Coffer.";
constexpr std::string_view kUnknownOperation = "UnknownOperation";

// Names for a request that its sender can quote; nothing depends on them.
template <std::size_t N>
std::array<std::uint8_t, N> random_bytes() {
  std::array<std::uint8_t, N> bytes{};
  static_assert(N <= 256);  // then getrandom is never short
  if (getrandom(bytes.data(), bytes.size(), 0) < 0) bytes.fill(0);
  return bytes;
}

std::string request_id() {  // 16 upper-case letters and digits, as S3's
  constexpr std::string_view kAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
  std::string id;
  for (const auto byte : random_bytes<16>()) id += kAlphabet[byte % kAlphabet.size()];
  return id;
}

std::string request_uuid() {  // version 4, as KMS's
  auto bytes = random_bytes<16>();
  bytes[6] = static_cast<std::uint8_t>((bytes[6] & 0x0f) | 0x40);
  bytes[8] = static_cast<std::uint8_t>((bytes[8] & 0x3f) | 0x80);
  auto text = hex(bytes);
  for (const std::size_t at : {8U, 13U, 18U, 23U}) text.insert(at, "-");
  return text;
}

// Headers that decide what a request means or whose it is: said twice, they could be read in two ways.
std::optional<S3Error> check_single_headers(const HttpRequest& request) {
  for (const auto* name :
       {"host", "authorization", "date", "x-amz-date", "x-amz-content-sha256", "x-amz-target", "content-length",
        "content-md5", "x-amz-expected-bucket-owner", "x-amz-sdk-checksum-algorithm", "x-amz-s3session-token",
        "transfer-encoding"}) {
    if (request.header_count(name) > 1)
      return invalid_request("The " + std::string(name) + " header must be given once.");
  }
  if (request.header("content-length") && request.header("transfer-encoding"))
    return invalid_request("Content-Length and Transfer-Encoding must not both be given.");
  return std::nullopt;
}

std::optional<S3Error> check_framing(const HttpRequest& request) {
  if (request.body_state == HttpRequest::Body::kTooLarge) return message_too_long();
  return check_single_headers(request);
}

HttpResponse s3_response(const HttpRequest& request, S3Result<HttpResponse> result) {
  const auto id = request_id();
  const auto host_id = base64(random_bytes<48>());
  HttpResponse response;
  if (auto* served = std::get_if<HttpResponse>(&result)) {
    response = std::move(*served);
  } else {
    const auto& error = std::get<S3Error>(result);
    response = {error.status, {{"Content-Type", "application/xml"}}, error_document(error, id, host_id)};
  }
  if (request.method == "HEAD") response.body.clear();  // ERR-02
  response.headers.push_back({"x-amz-request-id", id});
  response.headers.push_back({"x-amz-id-2", host_id});
  return response;
}

HttpResponse json_response(JsonAnswer answer) {
  HttpResponse response;
  if (auto* error = std::get_if<JsonError>(&answer)) {
    response = {error->status, {}, error_body(*error)};
  } else {
    response.body = std::move(std::get<std::string>(answer));
  }
  response.headers = {{"Content-Type", "application/x-amz-json-1.1"}, {"x-amzn-RequestId", request_uuid()}};
  return response;
}

std::string_view known_method(std::string_view method) {
  for (const std::string_view known : {"GET", "PUT", "POST", "HEAD", "DELETE"})
    if (method == known) return known;
  return "-";
}

// Also where the rest of the name is none: its refusal says more than one of the signature.
bool names_directory_bucket(const S3Target& target) { return target.bucket.ends_with("--x-s3"); }

// What a request says of CreateSession's token, in a header or, signed there, in the query.
std::optional<std::string> session_token(const HttpRequest& request, const S3Target& target) {
  if (const auto header = request.header(kSessionHeader)) return std::string(*header);
  for (const auto& [name, value] : target.query)
    if (equal_ignoring_case(name, kSessionHeader)) return value;
  return std::nullopt;
}

// Of a request whose signature holds: whether it is signed as one for directory buckets.
bool signed_for_express(const HttpRequest& request) {
  const auto read = read_authorization(request, "s3");
  const auto* authorization = std::get_if<Authorization>(&read);
  return authorization != nullptr && authorization->scope.service == "s3express";
}

S3Error bad_session() {
  return {403, "InvalidToken", "The provided token is malformed, has expired, or is of another store.", {}};
}

// A request that is signed in the query may have x-amz-* headers there too, where SDKs put them; the parameters that
// sign it have done their work. Nothing may be said in both places.
std::optional<S3Error> lift_headers(HttpRequest& request, S3Target& target) {
  if (request.header("authorization")) return std::nullopt;
  QueryParameters rest;
  for (auto& [name, value] : target.query) {
    if (is_signing_parameter(name)) continue;
    if (!lower_case(name).starts_with("x-amz-")) {
      rest.emplace_back(std::move(name), std::move(value));
    } else if (request.header(name)) {
      return invalid_request("The " + lower_case(name) + " header must be given once.");
    } else {
      request.headers.push_back({std::move(name), std::move(value)});
    }
  }
  target.query = std::move(rest);
  return std::nullopt;
}

}  // namespace

Server::Server(Realm realm, const Controls& controls, const Credentials& credentials, const Clock& clock, Log log)
    : realm_(std::move(realm)),
      buckets_(controls.buckets),
      s3_(realm_, controls.buckets, controls.policies, controls.access, clock),
      kms_(controls.kms, realm_),
      coffer_(controls.buckets, controls.kms.keys, controls.kms.data_keys, controls.mount, controls.unlock,
              controls.audit, controls.access),
      iam_(controls.users, controls.access),
      credentials_(credentials),
      clock_(clock),
      log_(std::move(log)),
      audit_(controls.audit) {}

HttpResponse Server::handle(const HttpRequest& request) {
  try {
    const auto target = request.header(kTargetHeader);
    auto outcome = target ? serve_json(request, *target) : serve_s3(request);
    audit(request, outcome);
    log(request, outcome);
    return std::move(outcome.response);
  } catch (...) {  // no memory, or a library's own mistake: nothing of ours throws
    return {500, {}, ""};
  }
}

Server::Outcome Server::serve_s3(const HttpRequest& request) {
  Outcome outcome;
  const auto answer = [&](S3Result<HttpResponse> result) -> Outcome {
    if (const auto* error = std::get_if<S3Error>(&result)) {
      outcome.error_code = error->code;
      outcome.error_message = error->message;
    }
    outcome.response = s3_response(request, std::move(result));
    return std::move(outcome);
  };
  if (auto error = check_framing(request)) return answer(*error);
  auto target = parse_s3_target(request);
  if (const auto* error = std::get_if<S3Error>(&target)) return answer(*error);
  auto& named = std::get<S3Target>(target);

  std::optional<Session> session;
  if (const auto token = session_token(request, named)) {
    session = open_session(*token, credentials_, clock_.wall_ns() / 1'000'000'000);
    if (!session) return answer(bad_session());
  }
  std::optional<SessionKey> session_key;
  if (session) session_key.emplace(*session);
  const Credentials& credentials = session ? static_cast<const Credentials&>(*session_key) : credentials_;
  const SigningScope scope{"s3", realm_.region.str(), named.bucket.empty() || names_directory_bucket(named)};
  const auto verified = verify_signature(request, scope, credentials, clock_.wall_ns());
  if (const auto* failure = std::get_if<AuthFailure>(&verified)) return answer(failure->answer);
  const auto& key = *std::get<std::shared_ptr<const AccessKey>>(verified);
  outcome.access_key_id = key.id;
  outcome.caller = key.principal;

  auto lifted = request;
  if (auto error = lift_headers(lifted, named)) return answer(*error);
  const bool directories = named.host == S3Target::Host::kControl || signed_for_express(request);
  const auto operation = s3_operation(named, request.method, directories);
  if (const auto* error = std::get_if<S3Error>(&operation)) return answer(*error);
  outcome.operation = operation_name(std::get<S3Operation>(operation));
  outcome.bucket_owner = bucket_owner(named.bucket, key.principal);  // before it may be deleted
  return answer(s3_.serve(std::get<S3Operation>(operation), named, lifted, {key, session ? &*session : nullptr}));
}

std::optional<AccountId> Server::bucket_owner(std::string_view bucket, const Principal& caller) {
  const auto name = BucketName::parse(bucket);
  if (!name.ok()) return std::nullopt;
  const auto found = buckets_.find_bucket(*name);
  return found.ok() ? found->owner : caller.account;
}

Server::Outcome Server::serve_json(const HttpRequest& request, std::string_view target) {
  Outcome outcome;
  const auto answer = [&](JsonAnswer result) -> Outcome {
    if (const auto* error = std::get_if<JsonError>(&result)) {
      outcome.error_code = audit_error_code(error->type);
      outcome.error_message = error->message.value_or("");
    }
    outcome.response = json_response(std::move(result));
    return std::move(outcome);
  };
  if (auto error = check_framing(request)) return answer(JsonError{error->status, error->code, error->message});
  const bool ours = target.starts_with(kCofferPrefix);
  const SigningScope scope{ours ? "coffer" : "kms", realm_.region.str()};
  const auto verified = verify_signature(request, scope, credentials_, clock_.wall_ns());
  if (const auto* failure = std::get_if<AuthFailure>(&verified)) return answer(to_json_error(*failure));
  const auto& key = *std::get<std::shared_ptr<const AccessKey>>(verified);
  outcome.access_key_id = key.id;
  outcome.caller = key.principal;

  const auto prefix = ours ? kCofferPrefix : kKmsPrefix;
  if (request.method != "POST" || !target.starts_with(prefix)) return answer(unknown_operation());
  const auto operation = target.substr(prefix.size());
  const bool iam = ours && IamApi::knows(operation);
  if (!iam && !(ours ? CofferApi::knows(operation) : KmsApi::knows(operation))) return answer(unknown_operation());
  outcome.operation = operation;  // one of our own names: safe to log
  if (ours && CofferApi::is_local(operation) && !request.peer_uid)
    return answer(JsonError{403, "AccessDenied", "This operation is served on the Unix socket alone"});
  const auto agent = request.header("user-agent").value_or("");
  if (iam) return answer(iam_.serve(operation, request.body, key.principal, agent));
  if (ours) return answer(coffer_.serve(operation, request.body, key.principal, agent));
  return answer(kms_.serve(operation, request.body, {.caller = key.principal, .user_agent = std::string(agent)}));
}

bool Server::records_stranger(std::uint64_t& passed_over) {
  const std::lock_guard lock(strangers_mutex_);
  const std::int64_t now = clock_.monotonic_ns();
  if (now - strangers_since_ns_ >= 60'000'000'000 || strangers_since_ns_ == 0) {
    strangers_since_ns_ = now;
    strangers_recorded_ = 0;
  }
  if (strangers_recorded_ == kAuditStrangersPerMinute) {
    ++strangers_passed_over_;
    return false;
  }
  ++strangers_recorded_;
  passed_over = std::exchange(strangers_passed_over_, 0);
  return true;
}

void Server::audit(const HttpRequest& request, const Outcome& outcome) {
  AuditCall call;
  call.time_ns = clock_.wall_ns();
  call.caller = outcome.caller;
  if (outcome.caller) call.access_key_id = outcome.access_key_id;
  call.address = request.peer_uid ? "local" : "127.0.0.1";
  call.agent = request.header("user-agent").value_or("");
  call.error_code = outcome.error_code;
  call.error_message = outcome.error_message;
  auto additional = nlohmann::ordered_json::object();
  if (request.peer_uid) additional["peerUid"] = *request.peer_uid;
  for (const auto& header : outcome.response.headers)
    if (equal_ignoring_case(header.name, "x-amz-request-id") || equal_ignoring_case(header.name, "x-amzn-requestid"))
      call.request_id = header.value;

  if (const auto target = request.header(kTargetHeader)) {
    const bool ours = target->starts_with(kCofferPrefix);
    const auto prefix = ours ? kCofferPrefix : kKmsPrefix;
    auto operation = target->starts_with(prefix) ? target->substr(prefix.size()) : std::string_view();
    const bool iam = ours && IamApi::knows(operation);
    if (!iam && !(ours ? CofferApi::knows(operation) : KmsApi::knows(operation))) operation = kUnknownOperation;
    if (iam) {
      tell_iam_request(call, operation, request.body);
    } else if (ours) {
      const bool changes = tell_coffer_request(call, operation, request.body);
      if (!changes && outcome.error_code.empty()) return;
    } else {
      tell_kms_request(call, operation, request.body);
      if (outcome.error_code.empty()) tell_kms_answer(call, operation, outcome.response.body);
    }
  } else {
    const auto target_read = parse_s3_target(request);
    const auto* s3_target = std::get_if<S3Target>(&target_read);
    const bool directories = s3_target != nullptr && s3_target->host == S3Target::Host::kControl;
    const auto operation = s3_target != nullptr ? s3_operation(*s3_target, request.method, directories)
                                                : S3Result<S3Operation>(invalid_request(""));
    const auto* known = std::get_if<S3Operation>(&operation);
    call.name = outcome.operation != "-" ? outcome.operation : known != nullptr ? operation_name(*known) : kUnknownOperation;
    call.source = kAuditS3;
    call.bucket_owner = outcome.bucket_owner;
    if (s3_target != nullptr) tell_s3_request(call, *s3_target, request, realm_);
  }
  if (!outcome.caller) {
    std::uint64_t passed_over = 0;
    if (!records_stranger(passed_over)) return;
    if (passed_over > 0) additional["unrecordedBefore"] = passed_over;
  }
  if (!additional.empty()) call.additional = std::move(additional);
  audit_.record(audit_record(call, realm_));
}

// Neither targets nor headers are written: they may name objects, or hold what a stranger wants in the log.
void Server::log(const HttpRequest& request, const Outcome& outcome) const {
  std::string line = "admin: ";
  line.append(known_method(request.method)).append(" ");
  line.append(outcome.operation).append(" ").append(std::to_string(outcome.response.status));
  line.append(" key=").append(outcome.access_key_id);
  line.append(" uid=").append(request.peer_uid ? std::to_string(*request.peer_uid) : "-");
  log_(LogLevel::kInfo, line);
}

}  // namespace coffer
