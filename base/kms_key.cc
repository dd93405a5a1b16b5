#include "base/kms_key.h"

namespace coffer {

std::string_view key_state_name(KeyState state) {
  switch (state) {
    case KeyState::kEnabled: return "Enabled";
    case KeyState::kDisabled: return "Disabled";
    case KeyState::kPendingDeletion: return "PendingDeletion";
    case KeyState::kPendingImport: return "PendingImport";
  }
  return "";
}

std::string_view key_origin_name(KeyOrigin origin) {
  switch (origin) {
    case KeyOrigin::kAwsKms: return "AWS_KMS";
    case KeyOrigin::kExternal: return "EXTERNAL";
  }
  return "";
}

}  // namespace coffer
