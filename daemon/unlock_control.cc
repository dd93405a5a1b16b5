#include "daemon/unlock_control.h"

#include "store/key_slots.h"

namespace coffer {

Status StoreUnlockControl::change_slots(std::string_view keyslots, BytesView proof) {
  const auto next = UnlockSlots::parse(keyslots);
  if (!next.ok() || next->store_id() != keys_.store_id())
    return Error{Code::kInvalidArgument, "these are not unlock slots of this store"};
  const std::lock_guard lock(mutex_);
  COFFER_ASSIGN(const UnlockSlots now, read_key_slots(disk_));
  if (!equal_constant_time(BytesView(now.change_proof(keys_, *next)), proof))
    return Error{Code::kAccessDenied, "the proof does not fit: the slots were changed meanwhile, or the root key is another"};
  return change_key_slots(catalog_, disk_, now, *next, make_durable_);
}

}  // namespace coffer
