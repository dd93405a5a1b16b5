#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/names.h"
#include "iam/condition.h"
#include "iam/policy.h"

namespace coffer {

// Whether a caller may do something (IAM User Guide, "Policy evaluation logic"; KMS Developer Guide, "Determining access
// to keys"). An explicit Deny anywhere decides; then an Allow of whoever has a say; otherwise nothing is allowed.

struct PolicyRequest {
  const Principal& caller;
  std::string_view action;  // s3:PutEncryptionConfiguration
  std::string resource;     // its ARN, or * where the action has none
  const PolicyContext& context;
};

using IdentityPolicies = std::vector<std::shared_ptr<const Policy>>;

// The policies of whoever may call: a user's own, those of nobody for a name that is no user's. An account's root has
// none, and may do everything that its account may.
class Identities {
 public:
  virtual ~Identities() = default;
  virtual IdentityPolicies policies_of(const Principal& principal) const = 0;
};

bool is_account_root(const Principal& caller);

// What one policy says to a request. by_name: an Allow names the caller, or everybody. by_account: one names the caller's
// account, which may pass it on to its users by their policies.
struct PolicyAnswer {
  bool denied = false, by_name = false, by_account = false;
};
PolicyAnswer ask(const Policy& policy, const PolicyRequest& request);           // of a resource
PolicyAnswer ask(const IdentityPolicies& policies, const PolicyRequest& request);  // by_name where one allows it

enum class Verdict { kAllowed, kDeniedByIdentity, kDeniedByResource, kNotByIdentity, kNotByResource };

// What has no policy of its own (s3:CreateBucket, kms:CreateKey): the caller's own account, by identity alone.
Verdict decide(const PolicyRequest& request, const IdentityPolicies& identity);

// A bucket, with a policy or without: in its own account one of both suffices, across accounts both must allow it.
// A directory bucket's policy can only deny, and its account is the only one let in.
Verdict decide_bucket(const PolicyRequest& request, const AccountId& owner, const IdentityPolicies& identity,
                      const Policy* policy, bool directory);

// A KMS key: its policy says who has a say, and users' policies count only where it names their account. granted: a
// grant allows it.
Verdict decide_key(const PolicyRequest& request, const AccountId& owner, const IdentityPolicies& identity,
                   const Policy& policy, bool granted);

// IAM's words for a refusal. quotes: as S3 writes the resource.
enum class Resource { kPlain, kInQuotes };
std::string refusal(Verdict verdict, const PolicyRequest& request, Resource written);

}  // namespace coffer
