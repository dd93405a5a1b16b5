#include "cli/offline_store.h"

namespace coffer {
namespace {

Result<InodeNumber> walk(Catalog& catalog, const ObjectName& name) {
  COFFER_ASSIGN(const Bucket bucket, catalog.bucket(name.bucket));
  InodeNumber at = bucket.ino;
  std::string_view rest = name.key;
  while (!rest.empty()) {
    const auto slash = rest.find('/');
    const auto part = rest.substr(0, slash);
    rest.remove_prefix(slash == std::string_view::npos ? rest.size() : slash + 1);
    if (part.empty()) continue;
    COFFER_ASSIGN(const DirectoryEntry entry, catalog.find_name(at, part));
    at = entry.ino;
  }
  return at;
}

}  // namespace

Result<ObjectName> parse_object_name(std::string_view text) {
  const auto slash = text.find('/');
  const auto bucket = BucketName::parse(text.substr(0, slash));
  if (!bucket.ok() || slash == std::string_view::npos || slash + 1 == text.size()) {
    return Error{Code::kInvalidArgument, std::string(text) + " names no object: write BUCKET/KEY"};
  }
  return ObjectName{*bucket, std::string(text.substr(slash + 1))};
}

Result<std::unique_ptr<OpenedStore>> open_offline(const std::string& store, const UnlockFlags& unlock,
                                                  const Clock& clock, std::vector<Damage>* repair) {
  COFFER_ASSIGN(const UnlockSecret secret, find_unlock(store, unlock));
  auto opened = OpenedStore::open(store, secret, clock, {.repair = repair});
  if (!opened.ok() && opened.code() == Code::kInUse) {
    return Error{Code::kInUse, store + " is in use: unmount it first (`coffer status` lists mounts)"};
  }
  return opened;
}

Result<Principal> owner_of(OpenedStore& store) {
  const std::lock_guard lock(store.catalog->mutex());
  COFFER_ASSIGN(const Realm realm, store.catalog->realm());
  return Principal::root_of(realm.account);
}

Result<InodeNumber> find_object(OpenedStore& store, const ObjectName& name) {
  const std::lock_guard lock(store.catalog->mutex());
  auto found = walk(*store.catalog, name);
  if (found.ok() || (found.code() != Code::kNoSuchBucket && found.code() != Code::kNotFound)) return found;
  return Error{found.code(), "no object " + name.bucket.str() + "/" + name.key +
                                 " is in this store: check the names of bucket and object"};
}

}  // namespace coffer
