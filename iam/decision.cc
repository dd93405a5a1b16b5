#include "iam/decision.h"

#include <algorithm>

#include "iam/pattern.h"

namespace coffer {
namespace {

// How a statement's list of principals takes the caller in.
enum class Named { kNot, kByAccount, kByName };

Named named_by(const PolicyPrincipal& principal, const Principal& caller) {
  switch (principal.kind) {
    case PolicyPrincipal::Kind::kAnyone: return Named::kByName;
    case PolicyPrincipal::Kind::kAccount:
      if (principal.text != caller.account.str()) return Named::kNot;
      return is_account_root(caller) ? Named::kByName : Named::kByAccount;
    case PolicyPrincipal::Kind::kArn: return principal.text == caller.arn ? Named::kByName : Named::kNot;
    case PolicyPrincipal::Kind::kOther: return Named::kNot;
  }
  return Named::kNot;
}

Named named_by(const PolicyList<PolicyPrincipal>& principals, const Principal& caller) {
  auto named = Named::kNot;
  for (const auto& principal : principals.items) named = std::max(named, named_by(principal, caller));
  if (!principals.all_but) return named;
  // Whoever is named by an account alone is not excepted: IAM wants the user's own ARN there.
  return named == Named::kByName ? Named::kNot : Named::kByName;
}

bool names_action(const PolicyList<std::string>& actions, const std::string& lower_case_action) {
  const bool listed = std::any_of(actions.items.begin(), actions.items.end(),
                                  [&](const auto& pattern) { return matches_pattern(pattern, lower_case_action); });
  return listed != actions.all_but;
}

bool names_resource(const Policy& policy, const PolicyList<std::string>& resources, const PolicyRequest& request) {
  const bool listed = std::any_of(resources.items.begin(), resources.items.end(), [&](const auto& text) {
    if (!policy.has_variables) return matches_pattern(compile_pattern(text), request.resource);
    const auto pattern = fill_in(text, request.context, Wildcards::kCompiled);
    return pattern && matches_pattern(*pattern, request.resource);
  });
  return listed != resources.all_but;
}

bool applies(const Policy& policy, const Statement& statement, const PolicyRequest& request,
             const std::string& lower_case_action) {
  return names_action(statement.actions, lower_case_action) &&
         names_resource(policy, statement.resources, request) &&
         std::all_of(statement.conditions.begin(), statement.conditions.end(), [&](const Condition& condition) {
           return holds(condition, request.context, policy.has_variables);
         });
}

bool identity_allows(const PolicyRequest& request, const PolicyAnswer& identity) {
  return is_account_root(request.caller) || identity.by_name;
}

}  // namespace

bool is_account_root(const Principal& caller) { return caller == Principal::root_of(caller.account); }

PolicyAnswer ask(const Policy& policy, const PolicyRequest& request) {
  PolicyAnswer answer;
  const auto action = lower(request.action);
  for (const Statement& statement : policy.statements) {
    const auto named = named_by(statement.principals, request.caller);
    if (named == Named::kNot || !applies(policy, statement, request, action)) continue;
    if (statement.effect == Effect::kDeny) answer.denied = true;
    if (statement.effect == Effect::kAllow && named == Named::kByName) answer.by_name = true;
    if (statement.effect == Effect::kAllow && named == Named::kByAccount) answer.by_account = true;
  }
  return answer;
}

PolicyAnswer ask(const IdentityPolicies& policies, const PolicyRequest& request) {
  PolicyAnswer answer;
  const auto action = lower(request.action);
  for (const auto& policy : policies) {
    for (const Statement& statement : policy->statements) {
      if (!applies(*policy, statement, request, action)) continue;
      (statement.effect == Effect::kDeny ? answer.denied : answer.by_name) = true;
    }
  }
  return answer;
}

Verdict decide(const PolicyRequest& request, const IdentityPolicies& identity) {
  const auto own = ask(identity, request);
  if (own.denied) return Verdict::kDeniedByIdentity;
  return identity_allows(request, own) ? Verdict::kAllowed : Verdict::kNotByIdentity;
}

Verdict decide_bucket(const PolicyRequest& request, const AccountId& owner, const IdentityPolicies& identity,
                      const Policy* policy, bool directory) {
  const auto own = ask(identity, request);
  if (own.denied) return Verdict::kDeniedByIdentity;
  const auto bucket = policy == nullptr ? PolicyAnswer{} : ask(*policy, request);
  if (bucket.denied) return Verdict::kDeniedByResource;
  const bool home = request.caller.account == owner;
  const bool identity_says_so = identity_allows(request, own);
  if (directory) {
    if (!home) return Verdict::kNotByResource;
    return identity_says_so ? Verdict::kAllowed : Verdict::kNotByIdentity;
  }
  if (home) return identity_says_so || bucket.by_name ? Verdict::kAllowed : Verdict::kNotByIdentity;
  if (!bucket.by_name && !bucket.by_account) return Verdict::kNotByResource;
  return identity_says_so ? Verdict::kAllowed : Verdict::kNotByIdentity;
}

Verdict decide_key(const PolicyRequest& request, const AccountId& owner, const IdentityPolicies& identity,
                   const Policy& policy, bool granted) {
  const auto own = ask(identity, request);
  if (own.denied) return Verdict::kDeniedByIdentity;
  const auto key = ask(policy, request);
  if (key.denied) return Verdict::kDeniedByResource;
  if (granted) return Verdict::kAllowed;
  const bool identity_says_so = identity_allows(request, own);
  if (request.caller.account == owner && key.by_name) return Verdict::kAllowed;
  if (!key.by_name && !key.by_account) return Verdict::kNotByResource;
  return identity_says_so ? Verdict::kAllowed : Verdict::kNotByIdentity;
}

std::string refusal(Verdict verdict, const PolicyRequest& request, Resource written) {
  const std::string quote = written == Resource::kInQuotes ? "\"" : "";
  const std::string who = "User: " + request.caller.arn + " is not authorized to perform: " + std::string(request.action);
  const std::string what = who + " on resource: " + quote + request.resource + quote;
  const std::string action(request.action);
  switch (verdict) {
    case Verdict::kAllowed: return {};
    case Verdict::kDeniedByIdentity: return what + " with an explicit deny in an identity-based policy";
    case Verdict::kDeniedByResource: return what + " with an explicit deny in a resource-based policy";
    case Verdict::kNotByIdentity: return what + " because no identity-based policy allows the " + action + " action";
    case Verdict::kNotByResource: return what + " because no resource-based policy allows the " + action + " action";
  }
  return who;
}

}  // namespace coffer
