#include "cli/wire_error.h"

#include <array>
#include <pugixml.hpp>
#include <string>

#include "cli/json.h"

namespace coffer {
namespace {

constexpr std::string_view kShowBuckets = "`coffer bucket list` names the buckets there are";
constexpr std::string_view kShowKeys = "`coffer kms list-keys` and `coffer kms list-aliases` name the keys there are";
constexpr std::string_view kCheckCredentials =
    "check the access key in STORE/credentials, or name another with --credentials";

// Refusals whose name tells their kind and the next step. KMS's names come with "KMS." before them when S3 passes them
// on.
struct KnownRefusal {
  std::string_view name;
  Code code;
  std::string_view next;
};
constexpr std::array kKnownRefusals = {
    KnownRefusal{"NoSuchBucket", Code::kNoSuchBucket, kShowBuckets},
    KnownRefusal{"NoSuchKey", Code::kNotFound, "check the object's name"},
    KnownRefusal{"NotFoundException", Code::kNotFound, kShowKeys},
    KnownRefusal{"AccessDenied", Code::kAccessDenied, kCheckCredentials},
    KnownRefusal{"AccessDeniedException", Code::kKeyDenied, kCheckCredentials},
    KnownRefusal{"SignatureDoesNotMatch", Code::kAccessDenied, kCheckCredentials},
    KnownRefusal{"InvalidAccessKeyId", Code::kAccessDenied, kCheckCredentials},
    KnownRefusal{"IncompleteSignatureException", Code::kAccessDenied, kCheckCredentials},
    KnownRefusal{"InvalidSignatureException", Code::kAccessDenied, kCheckCredentials},
    KnownRefusal{"MissingAuthenticationTokenException", Code::kAccessDenied, kCheckCredentials},
    KnownRefusal{"UnrecognizedClientException", Code::kAccessDenied, kCheckCredentials},
    KnownRefusal{"RequestTimeTooSkewed", Code::kAccessDenied, "check this machine's clock"},
    KnownRefusal{"DisabledException", Code::kKeyDisabled, "`coffer kms enable-key KEY` lets it serve again"},
    KnownRefusal{"KMSInvalidStateException", Code::kKeyState, "`coffer kms describe-key KEY` shows its state"},
    KnownRefusal{"BucketNotEmpty", Code::kNotEmpty, "remove what is in it first"},
    KnownRefusal{"BucketAlreadyOwnedByYou", Code::kExists, "use it as it is, or choose another name"},
    KnownRefusal{"BucketAlreadyExists", Code::kExists, "choose another name"},
    KnownRefusal{"AlreadyExistsException", Code::kExists, "choose another name"},
    KnownRefusal{"InvalidBucketName", Code::kInvalidBucketName,
                 "use 3 to 63 lower-case letters, digits, dots and hyphens"},
    KnownRefusal{"InvalidAliasNameException", Code::kInvalidAliasName, "use alias/ and letters, digits, / _ -"},
    KnownRefusal{"MalformedXML", Code::kNotPermitted,
                 "compare it with what `coffer encryption get` prints, or use --sse"},
    KnownRefusal{"LimitExceededException", Code::kLimit, "use the keys there are"},
    KnownRefusal{"LimitExceeded", Code::kLimit, "use what there is"},
};

std::string_view without_prefix(std::string_view name) {
  constexpr std::string_view kKms = "KMS.";
  if (name.starts_with(kKms)) name.remove_prefix(kKms.size());
  return name;
}

Code code_of_status(int status) {
  if (status == 403) return Code::kAccessDenied;
  if (status == 404) return Code::kNotFound;
  return status >= 500 ? Code::kIo : Code::kNotPermitted;
}

std::string without_controls(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  }
  return text;
}

Error refusal(int status, std::string_view name, std::string_view message) {
  Code code = code_of_status(status);
  std::string_view next = status >= 500 ? "the daemon's log says more" : "see `coffer --help`";
  for (const auto& known : kKnownRefusals) {
    if (known.name != without_prefix(name)) continue;
    code = known.code;
    next = known.next;
  }
  // One name of KMS's for two states; only one of them makes objects unreadable.
  if (code == Code::kKeyState && message.ends_with("is pending deletion.")) {
    code = Code::kKeyPendingDeletion;
    next = "`coffer kms cancel-key-deletion KEY` keeps it";
  }
  if (code == Code::kKeyState && message.ends_with("is pending import.")) {
    code = Code::kKeyPendingImport;
    next = "its key material must be imported again (ImportKeyMaterial)";
  }
  std::string text(name);
  if (!message.empty()) text += ": " + std::string(message);
  while (text.ends_with('.')) text.pop_back();
  return {code, without_controls(text) + ": " + std::string(next)};
}

}  // namespace

Error s3_refusal(int status, std::string_view body) {
  pugi::xml_document document;
  const bool readable = document.load_buffer(body.data(), body.size(), pugi::parse_default).status == pugi::status_ok;
  const auto error = document.child("Error");
  if (!readable || !error) return refusal(status, "HTTP status " + std::to_string(status), "");
  return refusal(status, error.child_value("Code"), error.child_value("Message"));
}

Error json_refusal(int status, std::string_view body) {
  const auto json = parse_json(body);
  const std::string type = json.ok() ? text_at(*json, "__type") : "";
  if (type.empty()) return s3_refusal(status, body);  // refused before it was told that this is KMS
  std::string message = text_at(*json, "message");
  if (message.empty()) message = text_at(*json, "Message");
  const auto hash = type.find('#');  // AWS may write a namespace before the name
  return refusal(status, hash == std::string::npos ? type : type.substr(hash + 1), message);
}

Error named_refusal(std::string_view name, std::string_view message) { return refusal(400, name, message); }

}  // namespace coffer
