#pragma once

#include <cstddef>

// Limits of users and policies, with their reasons: as base/limits.h, apart from it because few files need them.
namespace coffer {

inline constexpr std::size_t kBucketPolicySizeMax = 20 * 1024;    // S3
inline constexpr std::size_t kKeyPolicySizeMax = 32 * 1024;       // KMS: PutKeyPolicy
inline constexpr std::size_t kIdentityPolicySizeMax = 10 * 1024;  // IAM: 2 to 10 KiB, by kind of principal
inline constexpr int kPolicyDepthMax = 8;                         // JSON of a policy has 5
inline constexpr std::size_t kPolicyStatementsMax = 200;          // those that fit its size
inline constexpr std::size_t kPolicyValuesMax = 1024;             // of one list: these too
inline constexpr std::size_t kUsersMax = 5000;                    // IAM: per account; here of all, held in memory
inline constexpr std::size_t kUserNameSizeMax = 64;               // IAM
inline constexpr std::size_t kUserKeysMax = 2;                    // IAM: access keys of one user
inline constexpr std::size_t kUserPoliciesMax = 10;               // as many as IAM attaches; each decision reads them all
inline constexpr std::size_t kPolicyNameSizeMax = 128;            // IAM
inline constexpr std::size_t kKeyGrantsMax = 200;                 // KMS: 50,000; each decision may read them all
inline constexpr std::size_t kGrantPairsMax = 8, kGrantValueSizeMax = 384;  // KMS: of a grant's constraint
inline constexpr std::size_t kGrantNameSizeMax = 256;             // KMS
inline constexpr std::size_t kUidMapSizeMax = 1024 * 1024;        // some ten thousand lines

}  // namespace coffer
