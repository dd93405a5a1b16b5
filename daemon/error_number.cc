#include "daemon/error_number.h"

#include <cerrno>

namespace coffer {

int error_number(Code code) {
  switch (code) {
    case Code::kInvalidArgument: return EINVAL;
    case Code::kInvalidBucketName: return EINVAL;
    case Code::kInvalidAliasName: return EINVAL;
    case Code::kNotFound: return ENOENT;
    case Code::kNoSuchBucket: return ENOENT;
    case Code::kExists: return EEXIST;
    case Code::kNotEmpty: return ENOTEMPTY;
    case Code::kNotDirectory: return ENOTDIR;
    case Code::kIsDirectory: return EISDIR;
    case Code::kNameTooLong: return ENAMETOOLONG;
    case Code::kFileTooLarge: return EFBIG;
    case Code::kTooManyLinks: return EMLINK;
    case Code::kNoSpace: return ENOSPC;
    case Code::kIo: return EIO;
    case Code::kNotPermitted: return EPERM;
    case Code::kAccessDenied: return EACCES;
    case Code::kCrossesBuckets: return EXDEV;
    case Code::kReadOnly: return EROFS;
    case Code::kBusy: return EBUSY;
    case Code::kNoAttribute: return ENODATA;
    case Code::kOutOfRange: return ERANGE;
    case Code::kUnsupported: return EOPNOTSUPP;
    case Code::kDamaged: return EBADMSG;
    case Code::kKeyMissing: return ENOKEY;
    case Code::kKeyDisabled: return EKEYREVOKED;
    case Code::kKeyPendingDeletion: return EKEYREVOKED;
    case Code::kKeyPendingImport: return EKEYREVOKED;
    case Code::kKeyDenied: return EACCES;
    case Code::kKeyPinned: return EPERM;
    case Code::kKeyState: return EKEYREVOKED;
    case Code::kInvalidCiphertext: return EBADMSG;
    case Code::kWrongKeyUsage: return EOPNOTSUPP;
    case Code::kIncorrectKey: return EBADMSG;
    case Code::kWrongMaterial: return EINVAL;
    case Code::kInvalidImportToken: return EINVAL;
    case Code::kExpiredImportToken: return EINVAL;
    case Code::kInvalidTag: return EINVAL;
    case Code::kDryRun: return ECANCELED;
    case Code::kKmsAway: return ETIMEDOUT;
    case Code::kWrongUnlock: return EACCES;
    case Code::kNoUnlock: return EACCES;
    case Code::kNoStore: return ENOENT;
    case Code::kInUse: return EBUSY;
    case Code::kTooOld: return ESTALE;
    case Code::kPoisoned: return EIO;
    case Code::kLimit: return ENOSPC;
  }
  return EIO;
}

}  // namespace coffer
