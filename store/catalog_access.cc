#include "base/policy_limits.h"
#include "base/wire.h"
#include "store/catalog_state.h"

// Users, and the policies of buckets and keys: single values with names of their own (docs/FORMAT.md, "Policies"). The
// first of them makes the store one of format 2, which versions that would not heed them refuse.
namespace coffer {
namespace {

constexpr std::string_view kUsers = "user:", kBucketPolicies = "policy.bucket:", kKeyPolicies = "policy.key:",
                           kKeyGrants = "grants.key:";
constexpr std::uint8_t kAccessVersion = 1;
// A user's row with ten policies in overflow pages, and the splits above.
constexpr std::uint32_t kSaveUserPages = 64;

std::string named(std::string_view prefix, std::string_view rest) { return std::string(prefix).append(rest); }
std::string user_name(const AccountId& account, std::string_view name) {
  return named(kUsers, account.str() + "/" + std::string(name));
}

Bytes encode_user(const UserRecord& user) {
  WireWriter out;
  out.u8(kAccessVersion).text16(user.account.str()).text16(user.name).u64(static_cast<std::uint64_t>(user.created_ns));
  out.u8(static_cast<std::uint8_t>(user.keys.size()));
  for (const UserKey& key : user.keys)
    out.text16(key.id).blob16(key.secret->view()).u8(key.active ? 1 : 0).u64(static_cast<std::uint64_t>(key.created_ns));
  out.u8(static_cast<std::uint8_t>(user.policies.size()));
  for (const auto& [name, text] : user.policies) out.text16(name).blob32(as_bytes(text));
  return std::move(out).take();
}

Result<UserRecord> decode_user(BytesView encoded) {
  const Error damaged{Code::kDamaged, "the catalog holds a user that cannot be read"};
  WireReader in(encoded);
  const auto version = in.u8();
  const auto account = AccountId::parse(in.text16());
  if (version != kAccessVersion || !account.ok()) return damaged;
  UserRecord user{*account, std::string(in.text16()), 0};
  user.created_ns = static_cast<std::int64_t>(in.u64());
  for (int left = in.u8(); left > 0 && in.ok(); --left) {
    UserKey key;
    key.id = in.text16();
    key.secret = std::make_shared<const SecretBytes>(in.blob16());
    key.active = in.u8() == 1;
    key.created_ns = static_cast<std::int64_t>(in.u64());
    user.keys.push_back(std::move(key));
  }
  for (int left = in.u8(); left > 0 && in.ok(); --left) {
    std::string name(in.text16());
    user.policies.emplace(std::move(name), as_text(in.blob32()));
  }
  if (!in.done()) return damaged;
  return user;
}

void put_context(WireWriter& out, const EncryptionContext& context) {
  out.u16(static_cast<std::uint16_t>(context.size()));
  for (const auto& [name, value] : context) out.text16(name).text16(value);
}

EncryptionContext take_context(WireReader& in) {
  EncryptionContext context;
  for (int left = in.u16(); left > 0 && in.ok(); --left) {
    std::string name(in.text16());
    context.emplace(std::move(name), in.text16());
  }
  return context;
}

Bytes encode_grants(const std::vector<KeyGrant>& grants) {
  WireWriter out;
  out.u8(kAccessVersion).u32(static_cast<std::uint32_t>(grants.size()));
  for (const KeyGrant& grant : grants) {
    const NewGrant& terms = grant.terms;
    out.text16(grant.grant_id).text16(grant.token).u64(static_cast<std::uint64_t>(grant.created_ns));
    out.text16(terms.name).text16(terms.grantee).text16(terms.retiring);
    out.u8(static_cast<std::uint8_t>(terms.operations.size()));
    for (const auto& operation : terms.operations) out.text16(operation);
    put_context(out, terms.equals);
    put_context(out, terms.subset);
  }
  return std::move(out).take();
}

Result<std::vector<KeyGrant>> decode_grants(BytesView encoded) {
  WireReader in(encoded);
  const auto version = in.u8();
  std::vector<KeyGrant> grants;
  for (std::uint32_t left = in.u32(); left > 0 && in.ok(); --left) {
    KeyGrant grant;
    grant.grant_id = in.text16();
    grant.token = in.text16();
    grant.created_ns = static_cast<std::int64_t>(in.u64());
    grant.terms.name = in.text16();
    grant.terms.grantee = in.text16();
    grant.terms.retiring = in.text16();
    for (int operations = in.u8(); operations > 0 && in.ok(); --operations)
      grant.terms.operations.emplace_back(in.text16());
    grant.terms.equals = take_context(in);
    grant.terms.subset = take_context(in);
    grants.push_back(std::move(grant));
  }
  if (!in.done() || version != kAccessVersion)
    return Error{Code::kDamaged, "the catalog holds grants that cannot be read"};
  return grants;
}

}  // namespace

Status Catalog::put_access(const std::string& name, BytesView value) {
  COFFER_TRY(raise_format(*this, kFormatOfPolicies));
  return set_blob(name, value);
}

// What is as it was costs no room: on a full disk a key with a policy is disabled like any other.
Result<std::vector<Catalog::AccessChange>> Catalog::key_access_changes(const KmsKeyRecord& record) {
  constexpr std::size_t kTreePages = 8;  // the leaf, its neighbours and the splits above
  const auto& id = record.metadata.key_id;
  const auto policy = as_bytes(record.policy);
  std::vector<AccessChange> changes;
  changes.push_back({named(kKeyPolicies, id), Bytes(policy.begin(), policy.end()), 0});
  changes.push_back({named(kKeyGrants, id), record.grants.empty() ? Bytes() : encode_grants(record.grants), 0});
  for (auto change = changes.begin(); change != changes.end();) {
    COFFER_ASSIGN(const auto before, blob(change->name));
    if (before.value_or(Bytes()) == change->value) {
      change = changes.erase(change);
    } else {
      const auto bytes = change->value.size() + before.value_or(Bytes()).size();
      change->pages_max = static_cast<std::uint32_t>(bytes / kPageSize + kTreePages);
      ++change;
    }
  }
  return changes;
}

Status Catalog::take_key_access(KmsKeyRecord& record) {
  const auto& id = record.metadata.key_id;
  COFFER_ASSIGN(const auto policy, blob(named(kKeyPolicies, id)));
  if (policy) record.policy = as_text(*policy);
  COFFER_ASSIGN(const auto grants, blob(named(kKeyGrants, id)));
  if (grants) {
    COFFER_ASSIGN(record.grants, decode_grants(*grants));
  }
  return {};
}

Result<std::optional<std::string>> Catalog::bucket_policy(InodeNumber bucket) {
  COFFER_ASSIGN(const auto found, blob(named(kBucketPolicies, std::to_string(bucket))));
  return found ? std::optional(std::string(as_text(*found))) : std::nullopt;
}

Status Catalog::put_bucket_policy(InodeNumber bucket, std::string_view text) {
  return put_access(named(kBucketPolicies, std::to_string(bucket)), as_bytes(text));
}

Status Catalog::remove_bucket_policy(InodeNumber bucket) {
  return remove_blob(named(kBucketPolicies, std::to_string(bucket)));
}

Result<std::vector<UserRecord>> Catalog::load_users() {
  std::lock_guard lock(state_->mutex);
  auto rows = state_->query("SELECT value FROM meta WHERE name >= 'user:' AND name < 'user;' ORDER BY name");
  std::vector<UserRecord> users;
  while (true) {
    COFFER_ASSIGN(bool found, rows.step());
    if (!found) return users;
    COFFER_ASSIGN(auto user, decode_user(rows.blob(0)));
    COFFER_TRY(rows.sound());
    users.push_back(std::move(user));
  }
}

Status Catalog::save_user(const UserRecord& user) {
  std::lock_guard lock(state_->mutex);
  COFFER_TRY(state_->database->reserve(kSaveUserPages));
  Bytes encoded = encode_user(user);
  Savepoint savepoint(*this);
  auto saved = put_access(user_name(user.account, user.name), encoded);
  wipe(encoded);
  COFFER_TRY(std::move(saved));
  return savepoint.keep();
}

Status Catalog::remove_user(const AccountId& account, std::string_view name) {
  std::lock_guard lock(state_->mutex);
  COFFER_TRY(state_->database->reserve(kSaveUserPages));
  return remove_blob(user_name(account, name));
}

}  // namespace coffer
