#include "store/store_state.h"

// Buckets and their default encryption.
namespace coffer {

Result<Bucket> Store::State::bucket_of(InodeNumber ino) {
  {
    std::lock_guard lock(buckets_mutex);
    if (const auto known = buckets.find(ino); known != buckets.end()) return known->second;
  }
  std::lock_guard lock(catalog.mutex());
  return bucket_locked(ino);
}

Result<Bucket> Store::State::bucket_locked(InodeNumber ino) {
  COFFER_ASSIGN(const auto bucket, catalog.bucket(ino));
  std::lock_guard lock(buckets_mutex);
  buckets.insert_or_assign(ino, bucket);
  return bucket;
}

Result<Inode> Store::State::make_bucket(const BucketName& name, const NewInode& attributes, bool refer) {
  COFFER_TRY(ready());
  COFFER_TRY(claim_pages(1, RoomFor::kGrowing));
  COFFER_ASSIGN(auto inode, new_inode(FileKind::kDirectory, attributes));
  inode.bucket = inode.ino;
  SseRule rule = SseRule::unconfigured(name);
  if (new_buckets_block_sse_c && !name.is_directory_bucket()) rule.blocked = {BlockedEncryption::kSseC};
  const Bucket bucket{inode.ino, name, acting(attributes.as).account, inode.ctime_ns, std::move(rule), 1};
  const auto make = [&]() -> Result<Inode> {
    Gate::Pass pass(gate);
    std::lock_guard lock(catalog.mutex());
    COFFER_ASSIGN(const auto root, directory_locked(kRootInode));
    COFFER_TRY(reserve_pages_locked(kNamePages));
    return add_child_locked(root, name.str(), inode, attributes, refer,
                            [&] { return catalog.insert_bucket(bucket); });
  };
  COFFER_ASSIGN(inode, with_room(make));
  COFFER_TRY(durable_commit());
  return inode;
}

Result<Bucket> Store::create_bucket(const BucketName& name, const NewInode& attributes) {
  COFFER_ASSIGN(const auto inode, state_->make_bucket(name, attributes, /*refer=*/false));
  return state_->bucket_of(inode.ino);
}

Status Store::delete_bucket(const BucketName& name) {
  COFFER_TRY(find_bucket(name));
  return remove_directory(kRootInode, name.str());
}

Result<Bucket> Store::find_bucket(const BucketName& name) {
  std::lock_guard lock(state_->catalog.mutex());
  return state_->catalog.bucket(name);
}

Result<std::optional<std::string>> Store::bucket_policy(const BucketName& name) {
  std::lock_guard lock(state_->catalog.mutex());
  COFFER_ASSIGN(const auto bucket, state_->catalog.bucket(name));
  return state_->catalog.bucket_policy(bucket.ino);
}

Status Store::put_bucket_policy(const BucketName& name, std::string_view text) {
  auto& s = *state_;
  COFFER_TRY(s.ready());
  const auto put = [&]() -> Status {
    Gate::Pass pass(s.gate);
    std::lock_guard lock(s.catalog.mutex());
    COFFER_ASSIGN(const auto bucket, s.catalog.bucket(name));
    COFFER_TRY(s.reserve_pages_locked(kPolicyPages));
    Catalog::Savepoint savepoint(s.catalog);
    COFFER_TRY(text.empty() ? s.catalog.remove_bucket_policy(bucket.ino)
                            : s.catalog.put_bucket_policy(bucket.ino, text));
    COFFER_TRY(savepoint.keep());
    s.touch();
    return {};
  };
  COFFER_TRY(s.with_room(put));
  return s.durable_commit();
}

Result<std::vector<Bucket>> Store::list_buckets() {
  std::lock_guard lock(state_->catalog.mutex());
  return state_->catalog.buckets();
}

Status Store::put_rule(const BucketName& name, const SseRule& rule, const std::optional<std::string>& pin) {
  auto& s = *state_;
  COFFER_TRY(s.ready());
  COFFER_TRY(s.keyring.serves(rule.algorithm));
  COFFER_TRY(s.claim_pages(1, RoomFor::kReplacing));
  const auto put = [&]() -> Status {
    Gate::Pass pass(s.gate);
    std::lock_guard lock(s.catalog.mutex());
    COFFER_ASSIGN(const auto bucket, s.catalog.bucket(name));
    if (pin && bucket.pinned_key && *pin != *bucket.pinned_key)
      return Error{Code::kKeyPinned, "This directory bucket has the customer managed key " + *bucket.pinned_key +
                                         " for its lifetime. Copy the data to a new bucket to use another key."};
    const bool pins = pin && !bucket.pinned_key;
    if (bucket.rule == rule && !pins) return {};
    COFFER_TRY(s.reserve_pages_locked(kNamePages));
    COFFER_TRY(s.catalog.update_rule(bucket.ino, rule, bucket.rule_version + 1, pins ? pin : bucket.pinned_key));
    COFFER_TRY(s.bucket_locked(bucket.ino));
    s.touch();
    return {};
  };
  COFFER_TRY(s.with_room(put));
  {
    std::lock_guard lock(s.reseal_mutex);
    s.postponed.clear();
  }
  return s.durable_commit();
}

Status Store::reset_rule(const BucketName& name) { return put_rule(name, SseRule::unconfigured(name)); }

void Store::block_sse_c_in_new_buckets() { state_->new_buckets_block_sse_c = true; }

void Store::State::note_modified(OpenObject& object) {
  const auto bucket = bucket_of(inodes.read(object.inode()).bucket);
  if (!bucket || object.queued_for == bucket->rule_version) return;
  if (object.current().rule_version == bucket->rule_version && !object.seals_run_out()) return;
  std::lock_guard lock(catalog.mutex());
  // If it fails the write is no less written; the next one tries again.
  if (checked(catalog.enqueue_reseal(object.ino()))) object.queued_for = bucket->rule_version;
}

}  // namespace coffer
