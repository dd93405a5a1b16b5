#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/kms_key.h"

namespace coffer {

// What CreateGrant is asked for: a principal may do some operations with a key, whatever its policy leaves unsaid.
struct NewGrant {
  std::string name;                      // empty: none
  std::string grantee, retiring;         // ARNs; retiring may be empty
  std::vector<std::string> operations;   // Decrypt, GenerateDataKey ...
  // What the encryption context must be, or must hold; empty: anything.
  EncryptionContext equals = {}, subset = {};
  bool operator==(const NewGrant&) const = default;
};

struct KeyGrant {
  std::string grant_id;  // 64 hex digits
  std::string token;     // hex; whoever may retire the grant may name it so
  std::int64_t created_ns = 0;  // wall clock
  NewGrant terms;
};

struct ListedGrant {
  std::string key_arn;
  AccountId key_account;
  KeyGrant grant;
};

}  // namespace coffer
