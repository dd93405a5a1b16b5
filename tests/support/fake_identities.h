#pragma once

#include <map>
#include <memory>
#include <string>

#include "iam/decision.h"

namespace coffer {

// Identity policies by ARN. condition: the JSON of a statement's Condition.
class FakeIdentities final : public Identities {
 public:
  IdentityPolicies policies_of(const Principal& principal) const override {
    const auto found = policies.find(principal.arn);
    return found == policies.end() ? IdentityPolicies() : found->second;
  }
  void allow(const Principal& principal, const std::string& action, const std::string& condition = "") {
    add(principal, "Allow", action, condition);
  }
  void deny(const Principal& principal, const std::string& action, const std::string& condition = "") {
    add(principal, "Deny", action, condition);
  }

  std::map<std::string, IdentityPolicies> policies;

 private:
  void add(const Principal& principal, const std::string& effect, const std::string& action,
           const std::string& condition) {
    const auto text = R"({"Statement":{"Effect":")" + effect + R"(","Action":")" + action + R"(","Resource":"*")" +
                      (condition.empty() ? "" : ",\"Condition\":" + condition) + "}}";
    policies[principal.arn].push_back(
        std::make_shared<const Policy>(parse_policy(text, PolicyKind::kIdentity).value()));
  }
};

}  // namespace coffer
