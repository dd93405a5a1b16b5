#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/names.h"
#include "iam/policy.h"

namespace coffer {

// What a request says that conditions and variables ask about, by key. Keys that are not in it are absent: tests say
// what that means to each operator.
class PolicyContext {
 public:
  void add(std::string_view key, std::string value);
  const std::vector<std::string>* find(std::string_view lower_case_key) const;

 private:
  std::map<std::string, std::vector<std::string>, std::less<>> values_;
};

// aws:PrincipalArn, aws:PrincipalAccount, aws:PrincipalIsAWSService, aws:PrincipalType, aws:username, aws:CurrentTime,
// aws:EpochTime.
void add_caller(PolicyContext& context, const Principal& caller, std::int64_t now_ns);

// aws:RequestedRegion, aws:ResourceAccount (whose the resource is, or would be), aws:SecureTransport, aws:ViaAWSService
// and, where the request says one, aws:UserAgent.
enum class CalledBy { kCaller, kService };  // kService: S3 calls the KMS for the caller
void add_request(PolicyContext& context, const Region& region, const AccountId& resource_account, CalledBy called_by,
                 std::string_view user_agent);

// The operator's name, as StringEquals or ForAnyValue:StringLikeIfExists, with key and values still empty.
std::optional<Condition> parse_condition_operator(std::string_view name);
// Whether the operator can read the value: a number, a date, true or false, an address, base64.
bool is_condition_value(const Condition& condition, std::string_view value);
// Whether requests may have such a key at all: one of aws:, s3:, s3express: or kms:, as AWS documents them.
bool is_condition_key(std::string_view lower_case_key, PolicyKind kind);

bool holds(const Condition& condition, const PolicyContext& context, bool has_variables);

// ${key}, ${key, 'else'}, ${*}, ${?} and ${$} filled in. Nothing where the request does not say it, or says several
// things: then the text matches nothing. kCompiled: the text's own wildcards become those of iam/pattern.h.
enum class Wildcards { kLiteral, kCompiled };
std::optional<std::string> fill_in(std::string_view text, const PolicyContext& context, Wildcards wildcards);
bool has_sound_variables(std::string_view text);  // each ${ ends, and names something

std::optional<std::int64_t> parse_policy_date(std::string_view text);  // ISO 8601 or seconds; seconds since 1970

}  // namespace coffer
