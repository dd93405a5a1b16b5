#pragma once

#include <functional>
#include <mutex>

#include "admin/control.h"
#include "crypto/key_schedule.h"
#include "store/catalog.h"
#include "store/disk.h"

namespace coffer {

// The unlock slots of a mounted store. Whoever changes them makes the next file, with a secret that this process never
// sees, and shows by its proof that it has the root key.
class StoreUnlockControl final : public UnlockControl {
 public:
  // make_durable: a durable commit of everything answered so far.
  StoreUnlockControl(Disk& disk, Catalog& catalog, const KeySchedule& keys, std::function<Status()> make_durable)
      : disk_(disk), catalog_(catalog), keys_(keys), make_durable_(std::move(make_durable)) {}

  Status change_slots(std::string_view keyslots, BytesView proof) override;

 private:
  Disk& disk_;
  Catalog& catalog_;
  const KeySchedule& keys_;
  const std::function<Status()> make_durable_;
  std::mutex mutex_;  // one change at a time
};

}  // namespace coffer
