#include "iam/policy.h"

#include <algorithm>

#include "base/policy_limits.h"
#include "iam/condition.h"
#include "iam/pattern.h"
#include "iam/strict_json.h"

namespace coffer {
namespace {

using nlohmann::json;

Error malformed(std::string message) { return {Code::kInvalidArgument, std::move(message)}; }
Error missing_field(const char* name) { return malformed("Missing required field " + std::string(name)); }
Error invalid_syntax() { return malformed("Invalid policy syntax."); }

std::size_t size_max(PolicyKind kind) {
  switch (kind) {
    case PolicyKind::kIdentity: return kIdentityPolicySizeMax;
    case PolicyKind::kBucket: return kBucketPolicySizeMax;
    case PolicyKind::kKey: return kKeyPolicySizeMax;
  }
  return 0;
}

// One text, or a list of some. Conditions' values may be numbers and truth values too.
enum class Texts { kStrings, kScalars };
std::optional<std::vector<std::string>> texts_of(const json& value, Texts allowed) {
  std::vector<std::string> out;
  const auto take = [&](const json& item) {
    const bool scalar = item.is_boolean() || item.is_number();
    if (!item.is_string() && !(scalar && allowed == Texts::kScalars)) return false;
    out.push_back(item.is_string() ? item.get<std::string>() : item.dump());
    return true;
  };
  if (!value.is_array()) {
    if (!take(value)) return std::nullopt;
    return out;
  }
  if (value.empty() || value.size() > kPolicyValuesMax) return std::nullopt;
  for (const json& item : value)
    if (!take(item)) return std::nullopt;
  return out;
}

bool is_account(std::string_view text) { return AccountId::parse(text).ok(); }

// arn:aws:iam::ACCOUNT:root, :user/NAME, :role/NAME, or arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION.
std::optional<PolicyPrincipal> parse_arn_principal(const std::string& text) {
  for (const std::string_view prefix : {"arn:aws:iam::", "arn:aws:sts::"}) {
    if (!text.starts_with(prefix)) continue;
    const auto colon = text.find(':', prefix.size());
    if (colon == std::string::npos || !is_account(text.substr(prefix.size(), colon - prefix.size())))
      return std::nullopt;
    const auto account = text.substr(prefix.size(), colon - prefix.size());
    const auto resource = std::string_view(text).substr(colon + 1);
    if (resource == "root") return PolicyPrincipal{PolicyPrincipal::Kind::kAccount, account};
    constexpr std::string_view kKinds[] = {"user/", "role/", "assumed-role/", "federated-user/"};
    const bool known = std::any_of(std::begin(kKinds), std::end(kKinds), [&](std::string_view kind) {
      return resource.starts_with(kind) && resource.size() > kind.size();
    });
    // A wildcard within a principal's ARN is none to IAM.
    if (!known || text.find_first_of("*?") != std::string::npos) return std::nullopt;
    return PolicyPrincipal{PolicyPrincipal::Kind::kArn, text};
  }
  return std::nullopt;
}

std::optional<PolicyPrincipal> parse_aws_principal(const std::string& text) {
  if (text == "*") return PolicyPrincipal{PolicyPrincipal::Kind::kAnyone, ""};
  if (is_account(text)) return PolicyPrincipal{PolicyPrincipal::Kind::kAccount, text};
  return parse_arn_principal(text);
}

Result<std::vector<PolicyPrincipal>> parse_principals(const json& value) {
  const auto invalid = malformed("Invalid principal in policy");
  std::vector<PolicyPrincipal> out;
  if (value.is_string()) {
    if (value.get<std::string>() != "*") return invalid;
    out.push_back({PolicyPrincipal::Kind::kAnyone, ""});
    return out;
  }
  if (!value.is_object() || value.empty()) return invalid;
  for (const auto& [type, names] : value.items()) {
    const auto texts = texts_of(names, Texts::kStrings);
    const bool other = type == "Service" || type == "Federated" || type == "CanonicalUser";
    if (!texts || (type != "AWS" && !other)) return invalid;
    for (const auto& text : *texts) {
      if (other) {
        if (text.empty()) return invalid;
        out.push_back({PolicyPrincipal::Kind::kOther, text});
        continue;
      }
      auto principal = parse_aws_principal(text);
      if (!principal) return invalid;
      out.push_back(*std::move(principal));
    }
  }
  return out;
}

bool is_action(std::string_view action, PolicyKind kind) {
  if (action == "*") return true;
  const auto colon = action.find(':');
  if (colon == std::string_view::npos || colon == 0 || colon + 1 == action.size()) return false;
  const auto service = lower(action.substr(0, colon));
  const auto name = action.substr(colon + 1);
  const auto is_letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '*' || c == '?';
  };
  if (!std::all_of(name.begin(), name.end(), is_letter)) return false;
  switch (kind) {
    case PolicyKind::kBucket: return service == "s3" || service == "s3express";
    case PolicyKind::kKey: return service == "kms";
    case PolicyKind::kIdentity:
      return std::all_of(service.begin(), service.end(),
                         [&](char c) { return (is_letter(c) || c == '-') && c != '*' && c != '?'; });
  }
  return false;
}

// A bucket's policy is about it and what is in it, and nothing else.
bool is_resource(std::string_view resource, PolicyKind kind, std::string_view bucket_arn) {
  switch (kind) {
    case PolicyKind::kBucket:
      return resource == bucket_arn || (resource.starts_with(bucket_arn) && (resource[bucket_arn.size()] == '/' || resource[bucket_arn.size()] == '*'));
    case PolicyKind::kKey: return resource == "*" || resource.starts_with("arn:aws:kms:");
    case PolicyKind::kIdentity:
      return resource == "*" || (resource.starts_with("arn:") && std::count(resource.begin(), resource.end(), ':') >= 2);
  }
  return false;
}

Result<std::vector<Condition>> parse_conditions(const json& value, PolicyKind kind, bool has_variables) {
  std::vector<Condition> out;
  if (!value.is_object()) return invalid_syntax();
  for (const auto& [name, tests] : value.items()) {
    const auto parsed = parse_condition_operator(name);
    if (!parsed) return malformed("Invalid Condition type : " + name);
    if (!tests.is_object() || tests.empty()) return invalid_syntax();
    for (const auto& [key, values] : tests.items()) {
      Condition condition = *parsed;
      condition.key = lower(key);
      if (!is_condition_key(condition.key, kind)) return malformed("Policy has an invalid condition key");
      auto texts = texts_of(values, Texts::kScalars);
      if (!texts) return invalid_syntax();
      for (const auto& text : *texts) {
        const bool variable = has_variables && text.find("${") != std::string::npos;
        if (variable ? !has_sound_variables(text) : !is_condition_value(condition, text))
          return malformed("Invalid condition value for " + name + ": " + text);
      }
      condition.values = *std::move(texts);
      out.push_back(std::move(condition));
    }
  }
  return out;
}

struct StatementReader {
  const json& object;
  PolicyKind kind;
  std::string_view bucket_arn;
  bool has_variables;

  const json* find(const char* name) const {
    const auto found = object.find(name);
    return found == object.end() ? nullptr : &*found;
  }

  // NAME or NotNAME, exactly one of them.
  struct Either {
    const json* value = nullptr;
    bool all_but = false;
  };
  Result<Either> either(const char* name, const char* all_but_name, bool required) const {
    const auto* listed = find(name);
    const auto* all_but = find(all_but_name);
    if (listed != nullptr && all_but != nullptr) return invalid_syntax();
    if (listed == nullptr && all_but == nullptr && required) return missing_field(name);
    return Either{listed != nullptr ? listed : all_but, all_but != nullptr};
  }

  Status check_names() const {
    constexpr std::string_view kKnown[] = {"Sid",       "Effect",   "Principal",   "NotPrincipal", "Action",
                                           "NotAction", "Resource", "NotResource", "Condition"};
    for (const auto& [name, value] : object.items())
      if (std::find(std::begin(kKnown), std::end(kKnown), name) == std::end(kKnown))
        return malformed("Unknown field " + name);
    return {};
  }

  Result<Effect> effect() const {
    const auto* value = find("Effect");
    if (value == nullptr) return missing_field("Effect");
    if (*value == "Allow") return Effect::kAllow;
    if (*value == "Deny") return Effect::kDeny;
    return malformed("Invalid effect: " + (value->is_string() ? value->get<std::string>() : value->dump()));
  }

  Status read_principals(Statement& out) const {
    COFFER_ASSIGN(const Either who, either("Principal", "NotPrincipal", kind != PolicyKind::kIdentity));
    if (who.value == nullptr) return {};
    if (kind == PolicyKind::kIdentity) return malformed("Policy document should not specify a principal.");
    out.principals.all_but = who.all_but;
    COFFER_ASSIGN(out.principals.items, parse_principals(*who.value));
    return {};
  }

  Status read_actions(Statement& out) const {
    COFFER_ASSIGN(const Either what, either("Action", "NotAction", true));
    const auto texts = texts_of(*what.value, Texts::kStrings);
    if (!texts) return malformed("Policy has invalid action");
    out.actions.all_but = what.all_but;
    for (const auto& text : *texts) {
      if (!is_action(text, kind)) return malformed("Policy has invalid action");
      out.actions.items.push_back(compile_pattern(lower(text)));
    }
    return {};
  }

  Status read_resources(Statement& out) const {
    COFFER_ASSIGN(const Either what, either("Resource", "NotResource", true));
    auto texts = texts_of(*what.value, Texts::kStrings);
    if (!texts) return malformed("Policy has invalid resource");
    for (const auto& text : *texts)
      if (!is_resource(text, kind, bucket_arn) || (has_variables && !has_sound_variables(text)))
        return malformed("Policy has invalid resource");
    out.resources = {what.all_but, *std::move(texts)};
    return {};
  }

  Result<Statement> read() const {
    COFFER_TRY(check_names());
    Statement out;
    if (const auto* sid = find("Sid")) {
      if (!sid->is_string()) return invalid_syntax();
      out.sid = sid->get<std::string>();
    }
    COFFER_ASSIGN(out.effect, effect());
    COFFER_TRY(read_principals(out));
    COFFER_TRY(read_actions(out));
    COFFER_TRY(read_resources(out));
    if (const auto* conditions = find("Condition")) {
      COFFER_ASSIGN(out.conditions, parse_conditions(*conditions, kind, has_variables));
    }
    return out;
  }
};

}  // namespace

Result<Policy> parse_policy(std::string_view text, PolicyKind kind, std::string_view bucket_arn) {
  if (text.size() > size_max(kind))
    return malformed("The policy has more than " + std::to_string(size_max(kind)) + " bytes");
  const auto document = parse_strict_json(text, kPolicyDepthMax);
  if (!document) return malformed("Policies must be valid JSON and the first byte must be '{'");
  Policy policy;
  const json* statements = nullptr;
  for (const auto& [name, value] : document->items()) {
    if (name == "Version") {
      if (value != "2012-10-17" && value != "2008-10-17")
        return malformed("The policy must contain a valid version string");
      policy.has_variables = value == "2012-10-17";
    } else if (name == "Id") {
      if (!value.is_string()) return invalid_syntax();
    } else if (name == "Statement") {
      statements = &value;
    } else {
      return malformed("Unknown field " + name);
    }
  }
  if (statements == nullptr) return missing_field("Statement");
  const auto add = [&](const json& object) -> Status {
    if (!object.is_object()) return invalid_syntax();
    COFFER_ASSIGN(auto statement, (StatementReader{object, kind, bucket_arn, policy.has_variables}.read()));
    policy.statements.push_back(std::move(statement));
    return {};
  };
  if (statements->is_object()) {
    COFFER_TRY(add(*statements));
    return policy;
  }
  if (!statements->is_array() || statements->empty() || statements->size() > kPolicyStatementsMax)
    return invalid_syntax();
  for (const json& object : *statements) COFFER_TRY(add(object));
  return policy;
}

}  // namespace coffer
