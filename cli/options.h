#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "cli/endpoint.h"
#include "store/unlock_source.h"

namespace coffer {

// What a command line asks for, one type per kind of command; checked for form, not yet for sense.

struct HelpOptions {
  std::string text;  // --help or --version
};

struct InitOptions {
  std::string store, account_id = "000000000000", region = "us-east-1";
  UnlockFlags unlock;
};

struct MountOptions {
  std::string store, dir;
  bool foreground = false;
  UnlockFlags unlock;
  std::vector<std::string> daemon_flags;  // for cofferd as they stand: -o, --admin-socket, --listen ...
};

struct UnmountOptions {
  std::string dir;
};

struct SyncOptions {
  std::string dir;
};

struct StatusOptions {
  std::optional<std::string> dir;
  EndpointChoice endpoint;
  bool json = false;
};

struct BucketOptions {
  enum class Verb { kCreate, kList, kDelete };
  Verb verb = Verb::kList;
  std::string bucket;
  EndpointChoice endpoint;
  bool json = false;
};

struct EncryptionOptions {
  enum class Verb { kPut, kGet, kDelete };
  Verb verb = Verb::kGet;
  std::string bucket;
  std::optional<std::string> file, sse, key;  // put: a file, or an algorithm
  bool bucket_key = false;
  EndpointChoice endpoint;
  bool json = false;
};

struct KmsOptions {
  enum class Verb {
    kCreateKey,
    kListKeys,
    kListAliases,
    kStats,
    kDescribeKey,
    kEnableKey,
    kDisableKey,
    kRotateKey,
    kEnableKeyRotation,
    kDisableKeyRotation,
    kGetKeyRotationStatus,
    kListKeyRotations,
    kUpdateKeyDescription,
    kTagResource,
    kUntagResource,
    kListResourceTags,
    kImportKeyMaterial,
    kDeleteImportedKeyMaterial,
    kScheduleKeyDeletion,
    kCancelKeyDeletion,
    kGetKeyPolicy,
    kPutKeyPolicy,
    kListGrants,
    kCreateAlias,
    kUpdateAlias,
    kDeleteAlias,
    kCheckBucket
  };
  Verb verb = Verb::kListKeys;
  std::string key, description, alias, bucket, file;
  std::vector<std::string> tags;  // NAME=VALUE, or NAME to take away
  int days = 30;                  // until a deletion
  int period = 365;               // days between rotations
  std::optional<int> valid_days;  // of imported material
  bool external = false;          // create-key: its material is imported
  EndpointChoice endpoint;
  bool json = false;
};

// Users and policies.
struct AccessOptions {
  enum class Verb {
    kCreateUser,
    kListUsers,
    kDeleteUser,
    kCreateKey,
    kListKeys,
    kDeleteKey,
    kPutPolicy,
    kGetPolicy,
    kListPolicies,
    kDeletePolicy
  };
  Verb verb = Verb::kListUsers;
  std::string user, access_key, file;
  std::string policy = "default";      // the name of a user's policy
  std::optional<std::string> account;  // else the caller's
  std::optional<std::string> bucket;   // whose policy it is, in place of a user
  EndpointChoice endpoint;
  bool json = false;
};

struct InspectOptions {
  std::string place;                  // a path in a mount, or a store
  std::optional<std::string> object;  // BUCKET/KEY, with a store
  UnlockFlags unlock;
  EndpointChoice endpoint;
  bool json = false;
};

struct CatOptions {
  std::string store, object;
  UnlockFlags unlock;
};

struct FsckOptions {
  std::string store;
  UnlockFlags unlock;
  bool repair = false;
  bool json = false;
};

struct ResealOptions {
  std::string place;  // DIR/BUCKET[/PREFIX]
  bool data = false;  // under new data keys, due or not
  EndpointChoice endpoint;
  bool json = false;
};

struct ScrubOptions {
  std::string dir;
  std::optional<int> rate_mib;
  bool restart = false;  // from the beginning, wherever an earlier one was
  EndpointChoice endpoint;
  bool json = false;
};

struct AuditOptions {
  enum class Verb { kShow, kExport, kVerify };
  Verb verb = Verb::kShow;
  std::optional<std::string> store;  // unmounted; else a daemon answers
  std::optional<std::size_t> last;   // so many records alone
  bool follow = false;
  UnlockFlags unlock;
  EndpointChoice endpoint;
  bool json = false;
};

struct UnlockListOptions {
  std::string store;
  UnlockFlags unlock;
  bool json = false;
};

// What is to open the store from now on.
struct NewSecrets {
  std::optional<std::string> passphrase_file, key_file;
  bool recovery = false;
};

struct UnlockAddOptions {
  std::string store;
  UnlockFlags unlock;
  NewSecrets secrets;
};

struct UnlockRemoveOptions {
  std::string store, slot;
  UnlockFlags unlock;
};

struct UnlockRekeyOptions {
  std::string store;
  UnlockFlags unlock;
  NewSecrets secrets;
};

using Command =
    std::variant<HelpOptions, InitOptions, MountOptions, UnmountOptions, SyncOptions, StatusOptions, BucketOptions,
                 EncryptionOptions, KmsOptions, AccessOptions, InspectOptions, CatOptions, FsckOptions, ResealOptions,
                 ScrubOptions, AuditOptions, UnlockListOptions, UnlockAddOptions, UnlockRemoveOptions, UnlockRekeyOptions>;

}  // namespace coffer
