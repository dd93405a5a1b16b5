#include "base/result.h"

namespace coffer {

std::string_view code_name(Code code) {
  switch (code) {
    case Code::kInvalidArgument: return "invalid argument";
    case Code::kInvalidBucketName: return "invalid bucket name";
    case Code::kInvalidAliasName: return "invalid alias name";
    case Code::kNotFound: return "not found";
    case Code::kNoSuchBucket: return "no such bucket";
    case Code::kExists: return "exists";
    case Code::kNotEmpty: return "not empty";
    case Code::kNotDirectory: return "not a directory";
    case Code::kIsDirectory: return "is a directory";
    case Code::kNameTooLong: return "name too long";
    case Code::kFileTooLarge: return "file too large";
    case Code::kTooManyLinks: return "too many links";
    case Code::kNoSpace: return "no space";
    case Code::kIo: return "input/output error";
    case Code::kNotPermitted: return "not permitted";
    case Code::kAccessDenied: return "access denied";
    case Code::kCrossesBuckets: return "crosses buckets";
    case Code::kReadOnly: return "read-only";
    case Code::kBusy: return "busy";
    case Code::kNoAttribute: return "no such attribute";
    case Code::kOutOfRange: return "out of range";
    case Code::kUnsupported: return "unsupported";
    case Code::kDamaged: return "damaged";
    case Code::kKeyMissing: return "key missing";
    case Code::kKeyDisabled: return "key disabled";
    case Code::kKeyPendingDeletion: return "key pending deletion";
    case Code::kKeyPendingImport: return "key pending import";
    case Code::kKeyDenied: return "key denied";
    case Code::kKeyPinned: return "key pinned";
    case Code::kKeyState: return "key state";
    case Code::kInvalidCiphertext: return "invalid ciphertext";
    case Code::kWrongKeyUsage: return "wrong key usage";
    case Code::kIncorrectKey: return "incorrect key";
    case Code::kWrongMaterial: return "wrong key material";
    case Code::kInvalidImportToken: return "invalid import token";
    case Code::kExpiredImportToken: return "expired import token";
    case Code::kInvalidTag: return "invalid tag";
    case Code::kDryRun: return "dry run";
    case Code::kKmsAway: return "KMS away";
    case Code::kWrongUnlock: return "wrong passphrase or key file";
    case Code::kNoUnlock: return "nothing to unlock with";
    case Code::kNoStore: return "no store";
    case Code::kInUse: return "in use";
    case Code::kTooOld: return "too old";
    case Code::kPoisoned: return "poisoned";
    case Code::kLimit: return "limit reached";
  }
  return "unknown";
}

}  // namespace coffer
