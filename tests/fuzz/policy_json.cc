#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/policy_limits.h"
#include "iam/decision.h"
#include "tests/fuzz/fuzz.h"

// Policies. An input's first byte says whose it is, the rest is the document: what is taken is decided the same however
// its statements are ordered, no Deny can be outvoted, and nothing but an Allow lets anybody in.
namespace coffer {
namespace {

constexpr std::string_view kBucketArn = "arn:aws:s3:::docs";

bool same(const PolicyAnswer& a, const PolicyAnswer& b) {
  return a.denied == b.denied && a.by_name == b.by_name && a.by_account == b.by_account;
}

Policy with_effect(Policy policy, Effect effect) {
  for (auto& statement : policy.statements) statement.effect = effect;
  return policy;
}

Statement deny_everything(PolicyKind kind) {
  const auto text = std::string(R"({"Statement":{"Effect":"Deny","Action":"*","Resource":)") +
                    (kind == PolicyKind::kBucket ? R"("arn:aws:s3:::docs","Principal":"*"}})"
                     : kind == PolicyKind::kKey  ? R"("*","Principal":"*"}})"
                                                 : R"("*"}})");
  const auto policy = parse_policy(text, kind, kBucketArn);
  claim(policy.ok(), "a policy that denies everything is one");
  return policy->statements[0];
}

void ask_it(const Policy& policy, PolicyKind kind, const PolicyRequest& request) {
  const auto answer = ask(policy, request);
  auto reversed = policy;
  std::reverse(reversed.statements.begin(), reversed.statements.end());
  claim(same(ask(reversed, request), answer), "the order of statements decides nothing");
  auto doubled = policy;
  doubled.statements.insert(doubled.statements.end(), policy.statements.begin(), policy.statements.end());
  claim(same(ask(doubled, request), answer), "a statement said twice says nothing more");
  const auto denying = ask(with_effect(policy, Effect::kDeny), request);
  claim(!denying.by_name && !denying.by_account, "a policy without an Allow allows nothing");
  claim(!ask(with_effect(policy, Effect::kAllow), request).denied, "a policy without a Deny denies nothing");

  auto closed = policy;
  closed.statements.push_back(deny_everything(kind));
  const auto owner = *AccountId::parse("000000000000");
  const IdentityPolicies mine = {std::make_shared<const Policy>(closed)};
  if (kind == PolicyKind::kIdentity) claim(decide(request, mine) != Verdict::kAllowed, "a Deny of a user's decides");
  if (kind == PolicyKind::kBucket)
    claim(decide_bucket(request, owner, {}, &closed, /*directory=*/false) != Verdict::kAllowed,
          "a Deny of a bucket's decides");
  if (kind == PolicyKind::kKey)
    claim(decide_key(request, owner, {}, closed, /*granted=*/true) != Verdict::kAllowed, "a Deny of a key's decides");
}

void try_it(std::string_view input) {
  if (input.empty()) return;
  constexpr PolicyKind kKinds[] = {PolicyKind::kIdentity, PolicyKind::kBucket, PolicyKind::kKey};
  constexpr std::size_t kSizes[] = {kIdentityPolicySizeMax, kBucketPolicySizeMax, kKeyPolicySizeMax};
  const auto which = static_cast<unsigned char>(input[0]) % 3U;
  const auto kind = kKinds[which];
  const auto text = input.substr(1);
  const auto policy = parse_policy(text, kind, kBucketArn);
  if (!policy.ok()) {
    claim(policy.error().code == Code::kInvalidArgument && !policy.error().message.empty(), "a refusal says why");
    return;
  }
  claim(text.size() <= kSizes[which] && policy->statements.size() <= kPolicyStatementsMax, "sizes are bounded");
  const auto printed = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  claim(printed.is_object(), "a policy is JSON");
  const auto again = parse_policy(printed.dump(), kind, kBucketArn);
  claim(!again.ok() || again->statements.size() == policy->statements.size(),
        "a policy reads as it was before it was printed");

  PolicyContext context;
  const Principal user{*AccountId::parse("000000000000"), "arn:aws:iam::000000000000:user/alice"};
  add_caller(context, user, 1'767'225'600'000'000'000);
  context.add("s3:x-amz-acl", "private");
  context.add("aws:sourceip", "127.0.0.1");
  context.add("kms:encryptioncontext:aws:s3:arn", "arn:aws:s3:::docs/object");
  for (const std::string_view action : {"s3:PutEncryptionConfiguration", "kms:Decrypt"}) {
    if (kind == (action[0] == 's' ? PolicyKind::kKey : PolicyKind::kBucket)) continue;
    const PolicyRequest request{user, action, action[0] == 's' ? std::string(kBucketArn) : "*", context};
    ask_it(*policy, kind, request);
  }
}

}  // namespace
}  // namespace coffer

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  coffer::try_it(coffer::fuzz_text(data, size));
  return 0;
}
