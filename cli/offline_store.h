#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "store/opened_store.h"
#include "store/unlock_source.h"

namespace coffer {

// BUCKET/KEY taken apart.
struct ObjectName {
  BucketName bucket;
  std::string key;
};
Result<ObjectName> parse_object_name(std::string_view text);  // kInvalidArgument

// An unmounted store, unlocked as the flags say. kInUse when a daemon has it.
Result<std::unique_ptr<OpenedStore>> open_offline(const std::string& store, const UnlockFlags& unlock,
                                                  const Clock& clock, std::vector<Damage>* repair = nullptr);

// Whom the offline commands ask the keys as: the store's owner.
Result<Principal> owner_of(OpenedStore& store);

// The object's inode. kNoSuchBucket, kNotFound.
Result<InodeNumber> find_object(OpenedStore& store, const ObjectName& name);

}  // namespace coffer
