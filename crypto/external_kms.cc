#include "crypto/external_kms.h"

#include <openssl/evp.h>

#include <algorithm>
#include <cassert>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/encoding.h"
#include "base/external_kms_limits.h"
#include "base/wire.h"
#include "crypto/encryption_context.h"
#include "crypto/kms_answer.h"
#include "crypto/kms_breaker.h"

namespace coffer {
namespace {

using nlohmann::json;

// The local KMS's blobs begin with 1.
constexpr std::uint8_t kExternalBlobVersion = 2;

Error away(std::string what) { return {Code::kKmsAway, "the external KMS " + std::move(what)}; }

// --- blobs: whose key, and what the KMS calls CiphertextBlob ---

struct ExternalBlob {
  std::string key_arn;
  BytesView theirs;
};

std::optional<ExternalBlob> parse_external_blob(BytesView bytes) {
  WireReader reader(bytes);
  const std::uint8_t version = reader.u8();
  ExternalBlob blob;
  blob.key_arn = reader.text16();
  blob.theirs = reader.raw(reader.left());
  if (!reader.ok() || version != kExternalBlobVersion || blob.theirs.empty()) return std::nullopt;
  return blob;
}

Bytes encode_external_blob(std::string_view key_arn, BytesView theirs) {
  WireWriter writer;
  writer.u8(kExternalBlobVersion).text16(key_arn).raw(theirs);
  return std::move(writer).take();
}

// --- names: an ARN says which region to sign for ---

Result<std::string> region_of(std::string_view arn) {
  const auto parts = parse_kms_arn(arn);
  const auto region = Region::parse(parts ? parts->region : "");
  if (!region.ok() || arn.size() > kKmsArnSizeMax)
    return Error{Code::kKeyMissing, "the external KMS's keys are named by ARN, as arn:aws:kms:REGION:ACCOUNT:key/ID"};
  return region->str();
}

bool is_key_arn(std::string_view text) {
  const auto parts = parse_kms_arn(text);
  return parts && parts->resource.starts_with("key/") && region_of(text).ok() && AccountId::parse(parts->account).ok();
}

// --- refusals, as the local KMS would have said it ---

std::optional<Code> refusal_code(const KmsRefusal& refusal) {
  const std::string_view type = refusal.type;
  if (type == "NotFoundException") return Code::kKeyMissing;
  if (type == "DisabledException") return Code::kKeyDisabled;
  if (type == "KMSInvalidStateException") {
    const bool imports = refusal.message.find("pending import") != std::string::npos;
    return imports ? Code::kKeyPendingImport : Code::kKeyPendingDeletion;
  }
  if (type == "InvalidCiphertextException") return Code::kInvalidCiphertext;
  if (type == "IncorrectKeyException") return Code::kIncorrectKey;
  if (type == "InvalidKeyUsageException") return Code::kWrongKeyUsage;
  if (type == "UnsupportedOperationException") return Code::kUnsupported;
  if (type == "InvalidGrantTokenException" || type == "ValidationException") return Code::kInvalidArgument;
  // Whom it does not know it does not serve: the credentials are wrong, or are over.
  for (const std::string_view denied :
       {"AccessDeniedException", "AccessDenied", "UnrecognizedClientException", "InvalidClientTokenId",
        "InvalidSignatureException", "SignatureDoesNotMatch", "IncompleteSignatureException", "IncompleteSignature",
        "MissingAuthenticationTokenException", "MissingAuthenticationToken", "ExpiredTokenException",
        "NotAuthorizedException", "OptInRequired"}) {
    if (type == denied) return Code::kKeyDenied;
  }
  return std::nullopt;
}

// Answers that another attempt may better.
bool passes(int status, const std::optional<KmsRefusal>& refusal) {
  if (status >= 500 || status == 429) return true;
  if (!refusal) return false;
  for (const std::string_view type :
       {"ThrottlingException", "Throttling", "TooManyRequestsException", "RequestLimitExceeded",
        "LimitExceededException", "DependencyTimeoutException", "KMSInternalException", "KeyUnavailableException",
        "ServiceUnavailableException"}) {
    if (refusal->type == type) return true;
  }
  return false;
}

// Of the key, not of one blob or one caller's way to ask: everything under it ends.
bool ends_key(Code code) {
  return code == Code::kKeyMissing || code == Code::kKeyDisabled || code == Code::kKeyPendingDeletion ||
         code == Code::kKeyPendingImport;
}

Error to_error(Code code, const KmsRefusal& refusal) {
  if (code == Code::kInvalidCiphertext) return {code, ""};
  return {code, refusal.message.empty() ? "the external KMS says " + refusal.type : refusal.message};
}

// --- requests ---

// KMS's JSON has Unicode alone: bytes of a name that are none become U+FFFD, the same each time.
std::string print(const json& request) {
  return request.dump(/*indent=*/-1, ' ', /*ensure_ascii=*/false, json::error_handler_t::replace);
}

json context_json(const EncryptionContext& context) {
  json out = json::object();
  for (const auto& [name, value] : context) out[name] = value;
  return out;
}

// A request that may hold a key: `into` is as long as it gets, and is wiped by whoever has it.
BytesView with_plaintext(const json& request, const Key& key, MutableBytes into) {
  constexpr std::string_view kBegin = "{\"Plaintext\":\"", kEnd = "\",";
  const std::string rest = print(request);
  assert(rest.size() > 2 && kBegin.size() + kKeyBase64Size + 1 + kEnd.size() + rest.size() <= into.size());
  auto* at = std::copy(kBegin.begin(), kBegin.end(), into.data());
  at += EVP_EncodeBlock(at, key.view().data(), static_cast<int>(Key::kSize));  // and a NUL, written over
  at = std::copy(kEnd.begin(), kEnd.end(), at);
  at = std::copy(rest.begin() + 1, rest.end(), at);
  return BytesView(into.data(), static_cast<std::size_t>(at - into.data()));
}

}  // namespace

struct ExternalKms::State {
  State(KmsTransport& transport_in, const Clock& clock_in, Log log_in, Pause pause_in)
      : transport(transport_in),
        clock(clock_in),
        log(std::move(log_in)),
        pause(std::move(pause_in)),
        breaker(clock_in) {}

  // What a key last opened, to ask about it again.
  struct Served {
    Bytes blob;
    EncryptionContext context;
    std::int64_t asked_ns = 0;
    bool since_end = true;  // it served after forget()
    bool ending = false;
  };

  KmsTransport& transport;
  const Clock& clock;
  const Log log;
  const Pause pause;
  KmsBreaker breaker;

  mutable std::mutex mutex;  // guards all below
  Condition condition;
  std::map<std::string, Served, std::less<>> served;                // by key ARN
  std::map<std::string, std::string, std::less<>> keys_of_aliases;  // by alias ARN

  // --- calling ---

  using Take = std::function<Status(const KmsAnswer&)>;

  // Asks until there is an answer or kExternalCallMs are over. `take` reads it; what it cannot read is no answer.
  Status call(std::string_view operation, std::string_view region, BytesView body, const Take& take) {
    COFFER_ASSIGN(const KmsBreaker::Leave leave, begin());
    const Status done =
        attempt(operation, region, body, take, leave == KmsBreaker::Leave::kTry ? 1 : kExternalAttempts);
    end(done);
    return done;
  }

  Result<KmsBreaker::Leave> begin() {
    {
      const std::lock_guard lock(mutex);
      ++condition.calls;
      if (condition.under_way >= kExternalCallsMax) {
        ++condition.failures;
        return away("has " + std::to_string(kExternalCallsMax) + " calls waiting: try again");
      }
      ++condition.under_way;
    }
    const KmsBreaker::Leave leave = breaker.ask();
    if (leave != KmsBreaker::Leave::kNo) return leave;
    const std::lock_guard lock(mutex);
    --condition.under_way;
    ++condition.failures;
    return Error{Code::kKmsAway, condition.last_failure};
  }

  void end(const Status& done) {
    const bool failed = !done.ok() && done.code() == Code::kKmsAway;
    {
      const std::lock_guard lock(mutex);
      --condition.under_way;
      condition.state = failed ? Condition::State::kAway : Condition::State::kAnswers;
      if (failed) {
        ++condition.failures;
        condition.last_failure = done.error().message;
      }
    }
    const bool news = failed ? breaker.failed() : breaker.answered();
    if (!news) return;
    if (failed) log(LogLevel::kWarning, done.error().message + ": what needs it fails until it answers");
    if (!failed) log(LogLevel::kInfo, "the external KMS answers again");
  }

  Status attempt(std::string_view operation, std::string_view region, BytesView body, const Take& take, int attempts) {
    const std::int64_t end_ns = clock.monotonic_ns() + kExternalCallMs * 1'000'000;
    LockedPages pages(kExternalAnswerMax);
    for (std::int64_t backoff_ms = kExternalBackoffMs;; backoff_ms *= 2) {
      const std::int64_t left_ms = (end_ns - clock.monotonic_ns()) / 1'000'000;
      bool again = false;
      Status done = once({operation, region, body, std::min(left_ms, kExternalAttemptMs)}, pages.span(), take, again);
      if (!again || --attempts == 0) return done;
      const std::int64_t rest_ms = backoff_ms + clock.monotonic_ns() / 1000 % backoff_ms;  // not all at the same moment
      if ((end_ns - clock.monotonic_ns()) / 1'000'000 <= rest_ms) return done;
      pause(rest_ms);
    }
  }

  Status once(const KmsTransport::Request& request, MutableBytes into, const Take& take, bool& again) {
    const auto got = transport.post(request, into);
    again = !got.ok();
    if (!got.ok()) return got.error();
    const MutableBytes body = into.first(got->size);
    if (got->status == 200) {
      const auto answer = KmsAnswer::parse(body);
      return answer ? take(*answer) : Status(away("answered something that is no JSON object"));
    }
    const auto refusal = parse_kms_refusal(body);
    again = passes(got->status, refusal);
    if (again) return away("answers " + std::to_string(got->status) + (refusal ? " " + refusal->type : ""));
    if (got->status >= 300 && got->status < 400) return away("answers with a redirection: give the endpoint itself");
    const auto code = refusal ? refusal_code(*refusal) : std::nullopt;
    if (code) return to_error(*code, *refusal);
    return away("answers " + std::to_string(got->status) + (refusal ? " " + refusal->type : "") +
                ", which no KMS answers to this: look at the endpoint");
  }

  // --- what serves ---

  void serves(const std::string& key_arn, BytesView blob, const EncryptionContext& context) {
    const std::lock_guard lock(mutex);
    Served& key = served[key_arn];
    key.blob = to_bytes(blob);
    key.context = context;
    key.asked_ns = clock.monotonic_ns();
    key.since_end = true;
    std::size_t lasting = 0;
    auto oldest = served.end();
    for (auto it = served.begin(); it != served.end(); ++it) {
      if (it->second.ending) continue;
      ++lasting;
      if (oldest == served.end() || it->second.asked_ns < oldest->second.asked_ns) oldest = it;
    }
    if (lasting > kExternalKeysWatched) oldest->second.ending = true;
  }

  void refused(std::string_view key_arn) {
    const std::lock_guard lock(mutex);
    const auto found = served.find(key_arn);
    if (found != served.end()) found->second.ending = true;
  }

  void keep_name(std::string_view name, const std::string& key_arn) {
    if (name == key_arn) return;
    const std::lock_guard lock(mutex);
    if (keys_of_aliases.size() >= kExternalNamesKept) keys_of_aliases.clear();
    keys_of_aliases.insert_or_assign(std::string(name), key_arn);
  }

  // The KeyId of an answer to a call that named `key`, and the blob in it with that in front.
  Status take_blob(const KmsAnswer& answer, std::string_view key, std::string& key_arn, Bytes& blob) {
    const std::string_view said = answer.text("KeyId");
    const auto theirs = answer.bytes("CiphertextBlob");
    if (!is_key_arn(said) || (is_key_arn(key) && said != key))
      return away("answered for another key than it was asked for");
    if (!theirs) return away("answered without a CiphertextBlob");
    key_arn = said;
    blob = encode_external_blob(key_arn, *theirs);
    if (blob.size() > kKmsBlobMax) return away("answered with a CiphertextBlob that is too long");
    return {};
  }

  Result<Key> open(const ExternalBlob& blob, const EncryptionContext& context) {
    COFFER_ASSIGN(const std::string region, region_of(blob.key_arn));
    const std::string body = print({{"KeyId", blob.key_arn},
                                    {"CiphertextBlob", base64(blob.theirs)},
                                    {"EncryptionContext", context_json(context)}});
    std::optional<Key> key;
    const Status done = call("Decrypt", region, as_bytes(body), [&](const KmsAnswer& answer) -> Status {
      if (answer.text("KeyId") != blob.key_arn) return away("answered for another key than it was asked for");
      key = answer.key("Plaintext");
      return key ? Status() : Status(away("answered with a Plaintext that is not a key of 256 bits"));
    });
    if (!done.ok()) return done.error();
    return *std::move(key);
  }
};

ExternalKms::ExternalKms(KmsTransport& transport, const Clock& clock, Log log, Pause pause)
    : state_(std::make_unique<State>(transport, clock, std::move(log), std::move(pause))) {}

ExternalKms::~ExternalKms() = default;

bool ExternalKms::made(BytesView blob) { return !blob.empty() && blob[0] == kExternalBlobVersion; }

Result<DataKey> ExternalKms::generate_data_key(std::string_view key, const EncryptionContext& context,
                                               const Principal&) {
  COFFER_TRY(check_context(context));
  COFFER_ASSIGN(const std::string region, region_of(key));
  const std::string body =
      print({{"KeyId", key}, {"KeySpec", "AES_256"}, {"EncryptionContext", context_json(context)}});
  std::optional<Key> plaintext;
  std::string key_arn;
  Bytes blob;
  const Status done = state_->call("GenerateDataKey", region, as_bytes(body), [&](const KmsAnswer& answer) -> Status {
    COFFER_TRY(state_->take_blob(answer, key, key_arn, blob));
    plaintext = answer.key("Plaintext");
    return plaintext ? Status() : Status(away("answered with a Plaintext that is not a key of 256 bits"));
  });
  if (!done.ok()) {
    if (ends_key(done.code())) state_->refused(key);
    return done.error();
  }
  state_->keep_name(key, key_arn);
  state_->serves(key_arn, blob, context);
  return DataKey{*std::move(plaintext), std::move(blob), std::move(key_arn)};
}

Result<WrappedDataKey> ExternalKms::encrypt(std::string_view key, const Key& data_key, const EncryptionContext& context,
                                            const Principal&) {
  COFFER_TRY(check_context(context));
  COFFER_ASSIGN(const std::string region, region_of(key));
  LockedPages pages(2 * kExternalAnswerMax + 6 * kContextSizeMax);  // a byte of the context is six in JSON at most
  const BytesView body =
      with_plaintext({{"KeyId", key}, {"EncryptionContext", context_json(context)}}, data_key, pages.span());
  std::string key_arn;
  Bytes blob;
  const Status done = state_->call(
      "Encrypt", region, body, [&](const KmsAnswer& answer) { return state_->take_blob(answer, key, key_arn, blob); });
  if (!done.ok()) {
    if (ends_key(done.code())) state_->refused(key);
    return done.error();
  }
  state_->keep_name(key, key_arn);
  state_->serves(key_arn, blob, context);
  return WrappedDataKey{std::move(blob), std::move(key_arn)};
}

Result<Key> ExternalKms::decrypt(BytesView bytes, const EncryptionContext& context, const Principal&) {
  COFFER_TRY(check_context(context));
  const auto blob = parse_external_blob(bytes);
  if (!blob) return Error{Code::kInvalidCiphertext, ""};
  auto key = state_->open(*blob, context);
  if (key.ok()) state_->serves(blob->key_arn, bytes, context);
  if (!key.ok() && ends_key(key.code())) state_->refused(blob->key_arn);
  return key;
}

Status ExternalKms::usable(std::string_view, const EncryptionContext&, const Principal&) const { return {}; }

std::string ExternalKms::key_arn_of(BytesView bytes) const {
  const auto blob = parse_external_blob(bytes);
  return blob ? blob->key_arn : "";
}

bool ExternalKms::is_current(BytesView bytes, std::string_view key, const Principal&) const {
  const auto blob = parse_external_blob(bytes);
  if (!blob) return false;
  if (blob->key_arn == key) return true;
  const std::lock_guard lock(state_->mutex);
  const auto known = state_->keys_of_aliases.find(key);
  return known != state_->keys_of_aliases.end() && known->second == blob->key_arn;
}

void ExternalKms::check_keys() {
  const std::int64_t due_ns = state_->clock.monotonic_ns() - kExternalCheckSeconds * 1'000'000'000;
  std::vector<std::pair<std::string, State::Served>> due;
  {
    const std::lock_guard lock(state_->mutex);
    for (const auto& [arn, key] : state_->served)
      if (!key.ending && key.asked_ns <= due_ns) due.emplace_back(arn, key);
  }
  for (const auto& [arn, key] : due) {
    const auto blob = parse_external_blob(key.blob);
    assert(blob);
    const auto opened = state_->open(*blob, key.context);
    const std::lock_guard lock(state_->mutex);
    const auto found = state_->served.find(arn);
    if (found == state_->served.end()) continue;
    if (opened.ok()) found->second.asked_ns = state_->clock.monotonic_ns();
    // While it is away nobody has said no: what is in memory goes on.
    if (!opened.ok() && opened.code() == Code::kKmsAway) return;
    if (!opened.ok()) found->second.ending = true;
  }
}

std::vector<std::string> ExternalKms::ending_keys() const {
  const std::lock_guard lock(state_->mutex);
  std::vector<std::string> out;
  for (const auto& [arn, key] : state_->served)
    if (key.ending) out.push_back(arn);
  return out;
}

// A call that was under way while the key ended may have left something: it is asked about once more.
void ExternalKms::forget(const std::string& key_arn) {
  const std::lock_guard lock(state_->mutex);
  const auto found = state_->served.find(key_arn);
  if (found == state_->served.end()) return;
  State::Served& key = found->second;
  if (!key.since_end) {
    state_->served.erase(found);
    return;
  }
  key.since_end = key.ending = false;
  key.asked_ns = state_->clock.monotonic_ns();
}

ExternalKms::Condition ExternalKms::condition() const {
  const std::lock_guard lock(state_->mutex);
  return state_->condition;
}

}  // namespace coffer
