#include "store/catalog_state.h"

// Buckets with their rules, and the reseal queue.
namespace coffer {
namespace {

// In the order the rule lists them.
Bytes encode_blocked(const std::vector<BlockedEncryption>& blocked) {
  Bytes encoded;
  for (auto kind : blocked) encoded.push_back(kind == BlockedEncryption::kSseC ? 1 : 2);
  return encoded;
}

std::vector<BlockedEncryption> blocked_at(Query& row, int column) {
  std::vector<BlockedEncryption> blocked;
  for (auto byte : row.blob(column)) {
    if (byte != 1 && byte != 2) row.unsound();
    blocked.push_back(byte == 1 ? BlockedEncryption::kSseC : BlockedEncryption::kNone);
  }
  return blocked;
}

SseRule rule_at(Query& row, int first) {
  SseRule rule;
  auto algorithm = parse_sse(row.text(first));
  if (algorithm)
    rule.algorithm = *algorithm;
  else
    row.unsound();
  if (!row.is_null(first + 1)) rule.kms_key = row.text(first + 1);
  rule.bucket_key_enabled = row.number(first + 2, 1) == 1;
  rule.blocked = blocked_at(row, first + 3);
  return rule;
}

Result<std::optional<Catalog::Resealing>> resealing_at(Query&& row) {
  COFFER_ASSIGN(bool found, row.step());
  if (!found) return std::optional<Catalog::Resealing>();
  const Catalog::Resealing entry{row.number(0, kInodeMax), static_cast<std::uint32_t>(row.number(1, UINT32_MAX))};
  COFFER_TRY(row.sound());
  return std::optional(entry);
}

}  // namespace

// Of the columns ino, name, owner, created, algorithm, kms_key, bucket_key, blocked, rule_version, pinned_key.
Result<Bucket> bucket_at(Query& row) {
  auto name = BucketName::parse(row.text(1));
  auto owner = AccountId::parse(row.text(2));
  if (!name || !owner) return Error{Code::kDamaged, "the catalog holds a bucket without a valid name or owner"};
  Bucket bucket{row.number(0, kInodeMax), *name, *owner, row.signed_number(3), rule_at(row, 4), row.number(8)};
  if (!row.is_null(9)) bucket.pinned_key = row.text(9);
  COFFER_TRY(row.sound());
  return bucket;
}

Result<Bucket> Catalog::bucket(InodeNumber ino) {
  auto row = state_->query(
      "SELECT ino, name, owner, created, algorithm, kms_key, bucket_key, blocked, rule_version, pinned_key FROM buckets WHERE ino "
      "= ?1",
      ino);
  COFFER_ASSIGN(bool found, row.step());
  if (!found) return Error{Code::kNoSuchBucket, "The specified bucket does not exist"};
  return bucket_at(row);
}

Result<Bucket> Catalog::bucket(const BucketName& name) {
  auto row = state_->query(
      "SELECT ino, name, owner, created, algorithm, kms_key, bucket_key, blocked, rule_version, pinned_key FROM buckets WHERE name "
      "= ?1",
      name.str());
  COFFER_ASSIGN(bool found, row.step());
  if (!found) return Error{Code::kNoSuchBucket, "The specified bucket does not exist"};
  return bucket_at(row);
}

Result<std::vector<Bucket>> Catalog::buckets() {
  auto rows = state_->query(
      "SELECT ino, name, owner, created, algorithm, kms_key, bucket_key, blocked, rule_version, pinned_key FROM buckets ORDER BY "
      "name");
  std::vector<Bucket> buckets;
  while (true) {
    COFFER_ASSIGN(bool found, rows.step());
    if (!found) return buckets;
    COFFER_ASSIGN(auto bucket, bucket_at(rows));
    buckets.push_back(std::move(bucket));
  }
}

Status Catalog::insert_bucket(const Bucket& b) {
  auto blocked = encode_blocked(b.rule.blocked);
  return state_
      ->query(
          "INSERT INTO buckets(ino, name, owner, created, algorithm, kms_key, bucket_key, blocked, rule_version,"
          " pinned_key) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
          b.ino, b.name.str(), b.owner.str(), b.created_ns, sse_name(b.rule.algorithm), b.rule.kms_key,
          b.rule.bucket_key_enabled, blocked, b.rule_version, b.pinned_key)
      .run();
}

Status Catalog::update_rule(InodeNumber bucket, const SseRule& rule, std::uint64_t rule_version,
                            const std::optional<std::string>& pinned_key) {
  auto blocked = encode_blocked(rule.blocked);
  auto query = state_->query(
      "UPDATE buckets SET algorithm = ?2, kms_key = ?3, bucket_key = ?4, blocked = ?5, rule_version = ?6,"
      " pinned_key = ?7 WHERE ino = ?1",
      bucket, sse_name(rule.algorithm), rule.kms_key, rule.bucket_key_enabled, blocked, rule_version, pinned_key);
  COFFER_TRY(query.run());
  if (query.changes() == 0) return Error{Code::kNoSuchBucket, "The specified bucket does not exist"};
  return {};
}

Status Catalog::remove_bucket(InodeNumber bucket) {
  auto query = state_->query("DELETE FROM buckets WHERE ino = ?1", bucket);
  COFFER_TRY(query.run());
  if (query.changes() == 0) return Error{Code::kNoSuchBucket, "The specified bucket does not exist"};
  return remove_bucket_policy(bucket);
}

// --- the reseal queue: the greatest place is served first ---

Status Catalog::enqueue_reseal(InodeNumber ino, std::uint32_t leaving) {
  return state_
      ->query(
          "INSERT INTO reseal(ino, place, leaving)"
          " VALUES(?1, (SELECT coalesce(max(place), 0) + 1 FROM reseal), ?2)"
          " ON CONFLICT(ino) DO UPDATE SET place = excluded.place, leaving = max(leaving, excluded.leaving)",
          ino, leaving)
      .run();
}

Result<std::optional<Catalog::Resealing>> Catalog::next_reseal() {
  return resealing_at(state_->query("SELECT ino, leaving FROM reseal ORDER BY place DESC LIMIT 1"));
}

Result<std::optional<Catalog::Resealing>> Catalog::resealing(InodeNumber ino) {
  return resealing_at(state_->query("SELECT ino, leaving FROM reseal WHERE ino = ?1", ino));
}

Result<std::vector<Catalog::Resealing>> Catalog::reseal_queue() {
  auto rows = state_->query("SELECT ino, leaving FROM reseal ORDER BY place");
  std::vector<Resealing> queue;
  while (true) {
    COFFER_ASSIGN(bool found, rows.step());
    if (!found) return queue;
    queue.push_back({rows.number(0, kInodeMax), static_cast<std::uint32_t>(rows.number(1, UINT32_MAX))});
    COFFER_TRY(rows.sound());
  }
}

Status Catalog::dequeue_reseal(InodeNumber ino) {
  return state_->query("DELETE FROM reseal WHERE ino = ?1", ino).run();
}

Status Catalog::postpone_reseal(InodeNumber ino) {
  return state_->query("UPDATE reseal SET place = (SELECT min(place) - 1 FROM reseal) WHERE ino = ?1", ino).run();
}

Result<std::uint64_t> Catalog::reseal_count() {
  auto row = state_->query("SELECT count(*) FROM reseal");
  COFFER_ASSIGN(bool found, row.step());
  auto count = found ? row.number(0) : 0;
  COFFER_TRY(row.sound());
  return count;
}

Result<bool> Catalog::reseal_pending(InodeNumber ino) {
  return state_->query("SELECT 1 FROM reseal WHERE ino = ?1", ino).step();
}

}  // namespace coffer
