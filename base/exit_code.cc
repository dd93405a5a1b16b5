#include "base/exit_code.h"

namespace coffer {

int exit_code(Code code) {
  switch (code) {
    case Code::kInvalidArgument:
    case Code::kIsDirectory:
    case Code::kNotDirectory: return kExitUsage;

    case Code::kDamaged: return kExitDamaged;

    case Code::kAccessDenied:
    case Code::kKeyMissing:
    case Code::kKeyDisabled:
    case Code::kKeyPendingDeletion:
    case Code::kKeyPendingImport:
    case Code::kKeyDenied:
    case Code::kKmsAway:
    case Code::kWrongUnlock:
    case Code::kNoUnlock: return kExitKey;

    case Code::kNotFound:
    case Code::kNoSuchBucket:
    case Code::kNoStore: return kExitMissing;

    case Code::kInvalidBucketName:
    case Code::kInvalidAliasName:
    case Code::kExists:
    case Code::kNotEmpty:
    case Code::kNameTooLong:
    case Code::kFileTooLarge:
    case Code::kTooManyLinks:
    case Code::kNoSpace:
    case Code::kIo:
    case Code::kNotPermitted:
    case Code::kCrossesBuckets:
    case Code::kReadOnly:
    case Code::kBusy:
    case Code::kNoAttribute:
    case Code::kOutOfRange:
    case Code::kUnsupported:
    case Code::kKeyPinned:
    case Code::kKeyState:
    case Code::kInvalidCiphertext:
    case Code::kWrongKeyUsage:
    case Code::kIncorrectKey:
    case Code::kWrongMaterial:
    case Code::kInvalidImportToken:
    case Code::kExpiredImportToken:
    case Code::kInvalidTag:
    case Code::kDryRun:
    case Code::kInUse:
    case Code::kTooOld:
    case Code::kPoisoned:
    case Code::kLimit: return kExitFailed;
  }
  return kExitFailed;
}

}  // namespace coffer
