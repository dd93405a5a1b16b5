#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "admin/control.h"
#include "admin/json_rpc.h"

namespace coffer {

// What several of KMS's operations have in their requests and answers (KMS API reference; botocore kms/2014-11-01).

inline constexpr JsonMembers::Sizes kKeyIdSizes{1, 2048};
inline constexpr JsonMembers::Sizes kAliasSizes{1, 256};
inline constexpr JsonMembers::Sizes kDescriptionSizes{0, 8192};
inline constexpr JsonMembers::Sizes kBlobSizes{1, 6144};
inline constexpr JsonMembers::Sizes kMarkerSizes{1, 1024};

double epoch_seconds(std::int64_t ns);  // KMS's times are seconds, with what is left as a fraction

nlohmann::json key_metadata(const KeyMetadata& key);

// One JSON object with a secret as its last member, Plaintext. The whole is written into memory that does not grow, so
// that no copy stays behind.
std::string with_plaintext(const nlohmann::json& members, const SecretBytes& plaintext);

// Who calls, and the members that say how. What this KMS does not do is refused, never passed over.
KmsCall take_call(JsonMembers& members, KmsCall caller);

EncryptionContext take_context(JsonMembers& members, const char* name);

JsonAnswer nothing_or(const Status& status);

// The page of `all`, in its order, behind a marker, with Truncated and NextMarker as KMS has them. name: tells the
// items apart. A marker that names none of them begins at the first whose name is greater.
template <class T, class Name, class Print>
nlohmann::json page_of(std::vector<T> all, const char* member, std::size_t limit,
                       const std::optional<std::string>& marker, Name name, Print print) {
  std::sort(all.begin(), all.end(), [&](const T& a, const T& b) { return name(a) < name(b); });
  nlohmann::json out = {{member, nlohmann::json::array()}, {"Truncated", false}};
  auto& items = out[member];
  std::string last;
  for (const auto& item : all) {
    if (marker && name(item) <= *marker) continue;
    if (items.size() == limit) {
      out["Truncated"] = true;
      out["NextMarker"] = last;
      break;
    }
    items.push_back(print(item));
    last = name(item);
  }
  return out;
}

}  // namespace coffer
