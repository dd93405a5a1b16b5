#include "admin/s3_error.h"

#include "base/limits.h"

namespace coffer {

S3Error malformed_xml() {
  return {400,
          "MalformedXML",
          "The XML you provided was not well-formed or did not validate against our published schema",
          {}};
}

S3Error access_denied() { return {403, "AccessDenied", "Access Denied", {}}; }

S3Error no_such_bucket(std::string_view bucket) {
  return {404, "NoSuchBucket", "The specified bucket does not exist", {{"BucketName", std::string(bucket)}}};
}

S3Error invalid_bucket_name(std::string_view bucket) {
  return {400, "InvalidBucketName", "The specified bucket is not valid.", {{"BucketName", std::string(bucket)}}};
}

S3Error invalid_request(std::string message) { return {400, "InvalidRequest", std::move(message), {}}; }

S3Error invalid_argument(std::string message, std::string argument, std::string value) {
  return {400,
          "InvalidArgument",
          std::move(message),
          {{"ArgumentName", std::move(argument)}, {"ArgumentValue", std::move(value)}}};
}

S3Error not_implemented(std::string message) { return {501, "NotImplemented", std::move(message), {}}; }

S3Error method_not_allowed(std::string_view method, std::string_view resource_type) {
  return {405,
          "MethodNotAllowed",
          "The specified method is not allowed against this resource.",
          {{"Method", std::string(method)}, {"ResourceType", std::string(resource_type)}}};
}

S3Error message_too_long() {
  return {400,
          "MaxMessageLengthExceeded",
          "Your request was too big.",
          {{"MaxMessageLengthBytes", std::to_string(kBodySizeMax)}}};
}

S3Error internal_error() { return {500, "InternalError", "We encountered an internal error. Please try again.", {}}; }

S3Error to_s3(const Error& error, std::string_view bucket) {
  const auto answer = [&](int status, std::string_view code) {
    return S3Error{status, std::string(code), error.message, {}};
  };
  const auto about_bucket = [&](int status, std::string_view code, std::string_view message) {
    return S3Error{status, std::string(code), std::string(message), {{"BucketName", std::string(bucket)}}};
  };
  switch (error.code) {
    case Code::kInvalidArgument:
    case Code::kInvalidAliasName:
    case Code::kNameTooLong:
    case Code::kOutOfRange: return answer(400, "InvalidArgument");
    case Code::kInvalidBucketName: return invalid_bucket_name(bucket);
    case Code::kNoSuchBucket: return no_such_bucket(bucket);
    case Code::kNotFound: return {404, "NoSuchKey", "The specified key does not exist.", {}};
    case Code::kExists:
      return about_bucket(409, "BucketAlreadyExists",
                          "The requested bucket name is not available. The bucket namespace is shared by all users of "
                          "the system. Please select a different name and try again.");
    case Code::kNotEmpty: return about_bucket(409, "BucketNotEmpty", "The bucket you tried to delete is not empty");
    case Code::kNotDirectory:
    case Code::kIsDirectory:
    case Code::kCrossesBuckets:
    case Code::kNoAttribute:
    case Code::kTooManyLinks:
    case Code::kKeyPinned: return answer(400, "InvalidRequest");
    case Code::kFileTooLarge: return answer(400, "EntityTooLarge");
    case Code::kNotPermitted:
    case Code::kAccessDenied:
    case Code::kReadOnly:
    case Code::kKeyDenied: return answer(403, "AccessDenied");
    case Code::kBusy: return answer(409, "OperationAborted");
    case Code::kUnsupported: return answer(501, "NotImplemented");
    case Code::kLimit: return answer(400, "LimitExceeded");
    // KMS's own names behind KMS. (S3.md KMS-30..32: the prefix doubles where the name has it)
    case Code::kKeyMissing: return answer(400, "KMS.NotFoundException");
    case Code::kKeyDisabled: return answer(400, "KMS.DisabledException");
    case Code::kKeyPendingDeletion:
    case Code::kKeyPendingImport:
    case Code::kKeyState: return answer(400, "KMS.KMSInvalidStateException");
    case Code::kInvalidCiphertext: return answer(400, "KMS.InvalidCiphertextException");
    case Code::kWrongKeyUsage: return answer(400, "KMS.InvalidKeyUsageException");
    case Code::kIncorrectKey: return answer(400, "KMS.IncorrectKeyException");
    case Code::kKmsAway: return answer(503, "KMS.DependencyTimeoutException");
    case Code::kNoSpace:
    case Code::kIo:
    case Code::kDamaged:
    case Code::kPoisoned: return answer(500, "InternalError");
    // Not met by a running server; the programs' own.
    case Code::kWrongMaterial:
    case Code::kInvalidImportToken:
    case Code::kExpiredImportToken:
    case Code::kInvalidTag:
    case Code::kDryRun:
    case Code::kWrongUnlock:
    case Code::kNoUnlock:
    case Code::kNoStore:
    case Code::kInUse:
    case Code::kTooOld: return internal_error();
  }
  return internal_error();
}

}  // namespace coffer
