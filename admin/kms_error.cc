#include "admin/kms_error.h"

namespace coffer {

JsonError to_kms(const Error& error) {
  const auto answer = [&](const char* type) { return JsonError{400, type, error.message}; };
  switch (error.code) {
    case Code::kNotFound:
    case Code::kKeyMissing: return answer("NotFoundException");
    case Code::kKeyDisabled: return answer("DisabledException");
    case Code::kKeyPendingDeletion:
    case Code::kKeyPendingImport:
    case Code::kKeyPinned:
    case Code::kKeyState: return answer("KMSInvalidStateException");
    case Code::kKeyDenied:
    case Code::kAccessDenied:
    case Code::kNotPermitted: return answer("AccessDeniedException");
    case Code::kInvalidCiphertext: return {400, "InvalidCiphertextException", std::nullopt};
    case Code::kWrongKeyUsage: return answer("InvalidKeyUsageException");
    case Code::kIncorrectKey: return answer("IncorrectKeyException");
    case Code::kWrongMaterial: return answer("IncorrectKeyMaterialException");
    case Code::kInvalidImportToken: return answer("InvalidImportTokenException");
    case Code::kExpiredImportToken: return answer("ExpiredImportTokenException");
    case Code::kInvalidTag: return answer("TagException");
    case Code::kDryRun: return answer("DryRunOperationException");
    case Code::kExists: return answer("AlreadyExistsException");
    case Code::kInvalidArgument:
    case Code::kInvalidAliasName:
    case Code::kNameTooLong:
    case Code::kOutOfRange: return answer("ValidationException");
    case Code::kLimit: return answer("LimitExceededException");
    case Code::kUnsupported: return answer("UnsupportedOperationException");
    case Code::kKmsAway: return {503, "DependencyTimeoutException", error.message};
    case Code::kBusy: return answer("ConflictException");
    case Code::kNoSpace:
    case Code::kIo:
    case Code::kReadOnly:
    case Code::kDamaged:
    case Code::kPoisoned: return {500, "KMSInternalException", error.message};
    // Words of the file system and of the programs: not the KMS's.
    case Code::kInvalidBucketName:
    case Code::kNoSuchBucket:
    case Code::kNotEmpty:
    case Code::kNotDirectory:
    case Code::kIsDirectory:
    case Code::kFileTooLarge:
    case Code::kTooManyLinks:
    case Code::kCrossesBuckets:
    case Code::kNoAttribute:
    case Code::kWrongUnlock:
    case Code::kNoUnlock:
    case Code::kNoStore:
    case Code::kInUse:
    case Code::kTooOld: break;
  }
  return {500, "KMSInternalException", "The request was rejected because an internal exception occurred."};
}

JsonError to_json_error(const AuthFailure& failure) {
  const auto incomplete = [&] { return JsonError{400, "IncompleteSignatureException", failure.answer.message}; };
  const auto invalid = [](std::string message) {
    return JsonError{400, "InvalidSignatureException", std::move(message)};
  };
  switch (failure.fault) {
    case AuthFault::kAnonymous: return {400, "MissingAuthenticationTokenException", "Missing Authentication Token"};
    case AuthFault::kUnknownKey:
    case AuthFault::kSessionToken:
      return {400, "UnrecognizedClientException", "The security token included in the request is invalid."};
    case AuthFault::kWrongSignature:
      return invalid(
          "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access "
          "Key and signing method. Consult the service documentation for details.");
    case AuthFault::kWrongRegion: return invalid("Credential should be scoped to a valid region.");
    case AuthFault::kWrongService: return invalid("Credential should be scoped to correct service.");
    case AuthFault::kScopeDate:
    case AuthFault::kSkewed: return invalid(failure.answer.message);
    case AuthFault::kNoDate:
    case AuthFault::kMalformed:
    case AuthFault::kOldSignature:
    case AuthFault::kContentHash:
    case AuthFault::kUnsignedHeaders:
    case AuthFault::kPresigned:
    case AuthFault::kBadTarget: return incomplete();
  }
  return incomplete();
}

}  // namespace coffer
