#include "base/kms_key.h"

namespace coffer {

std::string_view key_state_name(KeyState state) {
  switch (state) {
    case KeyState::kEnabled: return "Enabled";
    case KeyState::kDisabled: return "Disabled";
    case KeyState::kPendingDeletion: return "PendingDeletion";
  }
  return "";
}

}  // namespace coffer
