#include "iam/condition.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstring>
#include <ctime>

#include "base/clock.h"
#include "base/encoding.h"
#include "iam/pattern.h"

namespace coffer {
namespace {

using Operator = ConditionOperator;

struct OperatorName {
  std::string_view name;
  Operator test;
};
constexpr std::array kOperators = {
    OperatorName{"StringEquals", Operator::kStringEquals},
    OperatorName{"StringNotEquals", Operator::kStringNotEquals},
    OperatorName{"StringEqualsIgnoreCase", Operator::kStringEqualsIgnoreCase},
    OperatorName{"StringNotEqualsIgnoreCase", Operator::kStringNotEqualsIgnoreCase},
    OperatorName{"StringLike", Operator::kStringLike},
    OperatorName{"StringNotLike", Operator::kStringNotLike},
    OperatorName{"NumericEquals", Operator::kNumericEquals},
    OperatorName{"NumericNotEquals", Operator::kNumericNotEquals},
    OperatorName{"NumericLessThan", Operator::kNumericLessThan},
    OperatorName{"NumericLessThanEquals", Operator::kNumericLessThanEquals},
    OperatorName{"NumericGreaterThan", Operator::kNumericGreaterThan},
    OperatorName{"NumericGreaterThanEquals", Operator::kNumericGreaterThanEquals},
    OperatorName{"DateEquals", Operator::kDateEquals},
    OperatorName{"DateNotEquals", Operator::kDateNotEquals},
    OperatorName{"DateLessThan", Operator::kDateLessThan},
    OperatorName{"DateLessThanEquals", Operator::kDateLessThanEquals},
    OperatorName{"DateGreaterThan", Operator::kDateGreaterThan},
    OperatorName{"DateGreaterThanEquals", Operator::kDateGreaterThanEquals},
    OperatorName{"Bool", Operator::kBool},
    OperatorName{"BinaryEquals", Operator::kBinaryEquals},
    OperatorName{"IpAddress", Operator::kIpAddress},
    OperatorName{"NotIpAddress", Operator::kNotIpAddress},
    OperatorName{"ArnEquals", Operator::kArnEquals},
    OperatorName{"ArnLike", Operator::kArnLike},
    OperatorName{"ArnNotEquals", Operator::kArnNotEquals},
    OperatorName{"ArnNotLike", Operator::kArnNotLike},
    OperatorName{"Null", Operator::kNull},
};

// What an operator compares, and whether it holds where the comparison does not.
enum class Family { kString, kStringIgnoringCase, kPattern, kNumber, kDate, kBool, kBinary, kAddress, kArn, kNull };
struct Nature {
  Family family;
  bool negated = false;
};

Nature nature_of(Operator test) {
  switch (test) {
    case Operator::kStringEquals: return {Family::kString};
    case Operator::kStringNotEquals: return {Family::kString, true};
    case Operator::kStringEqualsIgnoreCase: return {Family::kStringIgnoringCase};
    case Operator::kStringNotEqualsIgnoreCase: return {Family::kStringIgnoringCase, true};
    case Operator::kStringLike: return {Family::kPattern};
    case Operator::kStringNotLike: return {Family::kPattern, true};
    case Operator::kNumericNotEquals: return {Family::kNumber, true};
    case Operator::kNumericEquals:
    case Operator::kNumericLessThan:
    case Operator::kNumericLessThanEquals:
    case Operator::kNumericGreaterThan:
    case Operator::kNumericGreaterThanEquals: return {Family::kNumber};
    case Operator::kDateNotEquals: return {Family::kDate, true};
    case Operator::kDateEquals:
    case Operator::kDateLessThan:
    case Operator::kDateLessThanEquals:
    case Operator::kDateGreaterThan:
    case Operator::kDateGreaterThanEquals: return {Family::kDate};
    case Operator::kBool: return {Family::kBool};
    case Operator::kBinaryEquals: return {Family::kBinary};
    case Operator::kIpAddress: return {Family::kAddress};
    case Operator::kNotIpAddress: return {Family::kAddress, true};
    case Operator::kArnEquals:
    case Operator::kArnLike: return {Family::kArn};
    case Operator::kArnNotEquals:
    case Operator::kArnNotLike: return {Family::kArn, true};
    case Operator::kNull: return {Family::kNull};
  }
  return {Family::kNull};
}

std::optional<double> parse_number(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

// An address, or a range in CIDR notation, as 16 bytes and the number of leading bits that count.
struct AddressRange {
  std::array<std::uint8_t, 16> bytes{};
  unsigned bits = 128;
};

std::optional<AddressRange> parse_range(std::string_view text) {
  const auto slash = text.find('/');
  const std::string address(text.substr(0, slash));
  AddressRange range;
  const bool four = address.find(':') == std::string::npos;
  constexpr unsigned kMappedBits = 96;
  if (four) {
    range.bytes[10] = range.bytes[11] = 0xff;  // ::ffff:a.b.c.d
    if (inet_pton(AF_INET, address.c_str(), range.bytes.data() + 12) != 1) return std::nullopt;
  } else if (inet_pton(AF_INET6, address.c_str(), range.bytes.data()) != 1) {
    return std::nullopt;
  }
  if (slash == std::string_view::npos) return range;
  unsigned bits = 0;
  const auto prefix = text.substr(slash + 1);
  const auto [end, error] = std::from_chars(prefix.data(), prefix.data() + prefix.size(), bits);
  if (error != std::errc() || end != prefix.data() + prefix.size() || bits > (four ? 32U : 128U)) return std::nullopt;
  range.bits = four ? bits + kMappedBits : bits;
  return range;
}

bool is_in_range(const AddressRange& range, const AddressRange& address) {
  for (unsigned bit = 0; bit < range.bits; ++bit) {
    const unsigned mask = 0x80U >> (bit % 8);
    if ((range.bytes[bit / 8] & mask) != (address.bytes[bit / 8] & mask)) return false;
  }
  return true;
}

// Of numbers and of dates.
template <class Number>
bool compare(Operator test, Number said, Number wanted) {
  switch (test) {
    case Operator::kNumericLessThan:
    case Operator::kDateLessThan: return said < wanted;
    case Operator::kNumericLessThanEquals:
    case Operator::kDateLessThanEquals: return said <= wanted;
    case Operator::kNumericGreaterThan:
    case Operator::kDateGreaterThan: return said > wanted;
    case Operator::kNumericGreaterThanEquals:
    case Operator::kDateGreaterThanEquals: return said >= wanted;
    default: return said == wanted;
  }
}

// One value of the request against one of the policy, before any negation.
bool agrees(Operator test, Family family, std::string_view said, std::string_view wanted) {
  switch (family) {
    case Family::kString:
    case Family::kBinary: return said == wanted;
    case Family::kStringIgnoringCase:
    case Family::kBool: return lower(said) == lower(wanted);
    case Family::kPattern: return matches_pattern(wanted, said);
    case Family::kArn: return matches_arn(wanted, said);
    case Family::kNumber: {
      const auto left = parse_number(said), right = parse_number(wanted);
      return left && right && compare(test, *left, *right);
    }
    case Family::kDate: {
      const auto left = parse_policy_date(said), right = parse_policy_date(wanted);
      return left && right && compare(test, *left, *right);
    }
    case Family::kAddress: {
      const auto range = parse_range(wanted), address = parse_range(said);
      return range && address && is_in_range(*range, *address);
    }
    case Family::kNull: return false;
  }
  return false;
}

// --- the keys AWS documents, but those of KMS that no call here would bring: a Deny that waits for one would be in vain ---

constexpr std::string_view kGlobalKeys[] = {
    "aws:assumedroot",          "aws:calledvia",          "aws:calledviafirst",      "aws:calledvialast",
    "aws:chatbotsourcearn",     "aws:currenttime",        "aws:ec2instancesourceprivateipv4",
    "aws:ec2instancesourcevpc", "aws:epochtime",          "aws:federatedprovider",   "aws:isvpceaccount",
    "aws:multifactorauthage",   "aws:multifactorauthpresent",
    "aws:principalaccount",     "aws:principalarn",       "aws:principalisawsservice",
    "aws:principalorgid",       "aws:principalorgpaths",  "aws:principalservicename",
    "aws:principalservicenameslist",                      "aws:principaltype",       "aws:referer",
    "aws:requestedregion",      "aws:resourceaccount",    "aws:resourceorgid",       "aws:resourceorgpaths",
    "aws:securetransport",      "aws:signinsessionarn",   "aws:sourceaccount",       "aws:sourcearn",
    "aws:sourceidentity",       "aws:sourceip",           "aws:sourceorgid",         "aws:sourceorgpaths",
    "aws:sourcevpc",            "aws:sourcevpcarn",       "aws:sourcevpce",          "aws:tagkeys",
    "aws:tokenissuetime",       "aws:useragent",          "aws:userid",              "aws:username",
    "aws:viaawsservice",        "aws:vpceaccount",        "aws:vpceorgid",           "aws:vpcsourceip"};
constexpr std::string_view kGlobalPrefixes[] = {"aws:principaltag/", "aws:requesttag/",
                                                             "aws:resourcetag/"};

constexpr std::string_view kS3Keys[] = {
    "s3:accessgrantsinstancearn",
    "s3:accesspointnetworkorigin",
    "s3:authtype",
    "s3:dataaccesspointaccount",
    "s3:dataaccesspointarn",
    "s3:delimiter",
    "s3:if-match",
    "s3:if-none-match",
    "s3:inventoryaccessibleoptionalfields",
    "s3:jobsuspendedcause",
    "s3:locationconstraint",
    "s3:max-keys",
    "s3:object-lock-legal-hold",
    "s3:object-lock-mode",
    "s3:object-lock-remaining-retention-days",
    "s3:object-lock-retain-until-date",
    "s3:objectcreationoperation",
    "s3:prefix",
    "s3:requestobjecttagkeys",
    "s3:resourceaccount",
    "s3:signatureage",
    "s3:signatureversion",
    "s3:tlsversion",
    "s3:versionid",
    "s3:x-amz-acl",
    "s3:x-amz-bucket-namespace",
    "s3:x-amz-content-sha256",
    "s3:x-amz-copy-source",
    "s3:x-amz-grant-full-control",
    "s3:x-amz-grant-read",
    "s3:x-amz-grant-read-acp",
    "s3:x-amz-grant-write",
    "s3:x-amz-grant-write-acp",
    "s3:x-amz-metadata-directive",
    "s3:x-amz-object-ownership",
    "s3:x-amz-server-side-encryption",
    "s3:x-amz-server-side-encryption-aws-kms-key-id",
    "s3:x-amz-server-side-encryption-bucket-key-enabled",
    "s3:x-amz-server-side-encryption-customer-algorithm",
    "s3:x-amz-storage-class",
    "s3:x-amz-website-redirect-location",
    "s3express:allaccessrestrictedtolocalzonegroup",
    "s3express:sessionmode",
    "s3express:x-amz-server-side-encryption"};
constexpr std::string_view kMoreS3ExpressKeys[] = {
    "s3express:authtype",        "s3express:locationname",
    "s3express:resourceaccount", "s3express:signatureage",
    "s3express:signatureversion", "s3express:tlsversion",
    "s3express:x-amz-content-sha256", "s3express:x-amz-server-side-encryption-aws-kms-key-id"};
constexpr std::string_view kS3Prefixes[] = {"s3:existingobjecttag/", "s3:requestobjecttag/"};

constexpr std::string_view kKmsKeys[] = {
    "kms:bypasspolicylockoutsafetycheck",
    "kms:calleraccount",
    "kms:customermasterkeyspec",
    "kms:customermasterkeyusage",
    "kms:encryptionalgorithm",
    "kms:encryptioncontextkeys",
    "kms:grantconstrainttype",
    "kms:granteeprincipal",
    "kms:grantisforawsresource",
    "kms:grantoperations",
    "kms:keyorigin",
    "kms:keyspec",
    "kms:keyusage",
    "kms:multiregion",
    "kms:requestalias",
    "kms:retiringprincipal",
    "kms:rotationperiodindays",
    "kms:schedulekeydeletionpendingwindowindays",
    "kms:viaservice"};
constexpr std::string_view kKmsPrefixes[] = {"kms:encryptioncontext:"};

template <class List>
bool has(const List& names, std::string_view name) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}
template <class List>
bool begins_one(const List& prefixes, std::string_view name) {
  return std::any_of(std::begin(prefixes), std::end(prefixes),
                     [&](auto prefix) { return name.size() > prefix.size() && name.starts_with(prefix); });
}

// The value between ${ and }: a key, and what to say where the request does not.
struct Variable {
  std::string key;
  std::optional<std::string_view> otherwise;
};

std::optional<Variable> parse_variable(std::string_view inner) {
  const auto comma = inner.find(',');
  Variable variable{lower(inner.substr(0, comma)), std::nullopt};
  while (variable.key.ends_with(' ')) variable.key.pop_back();
  if (variable.key.empty()) return std::nullopt;
  if (comma == std::string_view::npos) return variable;
  auto rest = inner.substr(comma + 1);
  while (rest.starts_with(' ')) rest.remove_prefix(1);
  while (rest.ends_with(' ')) rest.remove_suffix(1);
  if (rest.size() < 2 || rest.front() != '\'' || rest.back() != '\'') return std::nullopt;
  variable.otherwise = rest.substr(1, rest.size() - 2);
  return variable;
}

bool is_escape(std::string_view inner) { return inner == "*" || inner == "?" || inner == "$"; }

}  // namespace

// --- the context ---

void PolicyContext::add(std::string_view key, std::string value) { values_[lower(key)].push_back(std::move(value)); }

const std::vector<std::string>* PolicyContext::find(std::string_view lower_case_key) const {
  const auto found = values_.find(lower_case_key);
  return found == values_.end() ? nullptr : &found->second;
}

void add_caller(PolicyContext& context, const Principal& caller, std::int64_t now_ns) {
  context.add("aws:PrincipalArn", caller.arn);
  context.add("aws:PrincipalAccount", caller.account.str());
  constexpr std::string_view kUser = ":user/";
  const auto user = caller.arn.find(kUser);
  const bool is_root = caller == Principal::root_of(caller.account);
  context.add("aws:PrincipalIsAWSService", "false");
  context.add("aws:PrincipalType", is_root ? "Account" : user != std::string::npos ? "User" : "AssumedRole");
  if (user != std::string::npos) {
    const auto path = caller.arn.rfind('/');
    context.add("aws:username", caller.arn.substr(path + 1));
  }
  const std::time_t seconds = now_ns / kNsPerSecond;
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &utc);
  context.add("aws:CurrentTime", text.data());
  context.add("aws:EpochTime", std::to_string(seconds));
}

void add_request(PolicyContext& context, const Region& region, const AccountId& resource_account, CalledBy called_by,
                 std::string_view user_agent) {
  context.add("aws:RequestedRegion", region.str());
  context.add("aws:ResourceAccount", resource_account.str());
  context.add("aws:SecureTransport", "true");  // a Unix socket, or loopback: nothing leaves the machine
  context.add("aws:ViaAWSService", called_by == CalledBy::kService ? "true" : "false");
  if (!user_agent.empty()) context.add("aws:UserAgent", std::string(user_agent));
}

// --- reading ---

std::optional<Condition> parse_condition_operator(std::string_view name) {
  Condition condition;
  constexpr std::string_view kAll = "ForAllValues:", kAny = "ForAnyValue:", kIfExists = "IfExists";
  if (name.starts_with(kAll)) {
    condition.quantifier = Quantifier::kForAllValues;
    name.remove_prefix(kAll.size());
  } else if (name.starts_with(kAny)) {
    condition.quantifier = Quantifier::kForAnyValue;
    name.remove_prefix(kAny.size());
  }
  if (name.ends_with(kIfExists)) {
    condition.if_exists = true;
    name.remove_suffix(kIfExists.size());
  }
  for (const auto& known : kOperators) {
    if (known.name != name) continue;
    condition.test = known.test;
    // Null asks whether the key exists: it is never left out, and there is nothing to count.
    const bool plain = condition.quantifier == Quantifier::kNone && !condition.if_exists;
    if (known.test == Operator::kNull && !plain) return std::nullopt;
    return condition;
  }
  return std::nullopt;
}

bool is_condition_value(const Condition& condition, std::string_view value) {
  switch (nature_of(condition.test).family) {
    case Family::kNumber: return parse_number(value).has_value();
    case Family::kDate: return parse_policy_date(value).has_value();
    case Family::kBool:
    case Family::kNull: return lower(value) == "true" || lower(value) == "false";
    case Family::kBinary: return unbase64(value).has_value();
    case Family::kAddress: return parse_range(value).has_value();
    case Family::kArn: return value == "*" || std::count(value.begin(), value.end(), ':') >= 5 || value.starts_with("${");
    case Family::kString:
    case Family::kStringIgnoringCase:
    case Family::kPattern: return true;
  }
  return false;
}

bool is_condition_key(std::string_view key, PolicyKind kind) {
  if (has(kGlobalKeys, key) || begins_one(kGlobalPrefixes, key)) return true;
  const bool s3 = has(kS3Keys, key) || has(kMoreS3ExpressKeys, key) || begins_one(kS3Prefixes, key);
  const bool kms = has(kKmsKeys, key) || begins_one(kKmsPrefixes, key);
  switch (kind) {
    case PolicyKind::kBucket: return s3;
    case PolicyKind::kKey: return kms;
    // Whoever has policies for AWS as well may say more of other services in them.
    case PolicyKind::kIdentity:
      if (key.starts_with("aws:") || key.starts_with("s3:") || key.starts_with("s3express:") || key.starts_with("kms:"))
        return s3 || kms;
      return key.find(':') != std::string_view::npos && !key.starts_with(':') && !key.ends_with(':');
  }
  return false;
}

std::optional<std::int64_t> parse_policy_date(std::string_view text) {
  std::int64_t seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error == std::errc() && end == text.data() + text.size()) return seconds;
  // YYYY-MM-DD, YYYY-MM-DDThh:mmZ, YYYY-MM-DDThh:mm:ssZ, with a fraction or an offset in place of Z.
  std::tm utc{};
  const std::string owned(text);
  const char* rest = nullptr;
  for (const char* form : {"%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d"}) {
    utc = {};
    rest = strptime(owned.c_str(), form, &utc);
    if (rest != nullptr) break;
  }
  if (rest == nullptr) return std::nullopt;
  const std::int64_t base = timegm(&utc);
  std::string_view left(rest);
  if (left.starts_with('.')) {
    left.remove_prefix(1);
    const auto digits = std::min(left.find_first_not_of("0123456789"), left.size());
    if (digits == 0) return std::nullopt;
    left.remove_prefix(digits);
  }
  const bool date_alone = owned.find('T') == std::string::npos;
  if (left.empty()) return date_alone ? std::optional(base) : std::nullopt;
  if (left == "Z") return base;
  int hours = 0, minutes = 0;
  if (left.size() != 6 || (left[0] != '+' && left[0] != '-') || left[3] != ':') return std::nullopt;
  if (std::from_chars(left.data() + 1, left.data() + 3, hours).ptr != left.data() + 3) return std::nullopt;
  if (std::from_chars(left.data() + 4, left.data() + 6, minutes).ptr != left.data() + 6) return std::nullopt;
  const std::int64_t offset = (hours * 60 + minutes) * 60;
  return left[0] == '+' ? base - offset : base + offset;
}

// --- variables ---

bool has_sound_variables(std::string_view text) {
  while (true) {
    const auto begin = text.find("${");
    if (begin == std::string_view::npos) return true;
    const auto end = text.find('}', begin);
    if (end == std::string_view::npos) return false;
    const auto inner = text.substr(begin + 2, end - begin - 2);
    if (!is_escape(inner) && !parse_variable(inner)) return false;
    text.remove_prefix(end + 1);
  }
}

std::optional<std::string> fill_in(std::string_view text, const PolicyContext& context, Wildcards wildcards) {
  const auto own = [&](std::string_view part) {
    return wildcards == Wildcards::kCompiled ? compile_pattern(part) : std::string(part);
  };
  std::string out;
  while (true) {
    const auto begin = text.find("${");
    out += own(text.substr(0, begin));
    if (begin == std::string_view::npos) return out;
    const auto end = text.find('}', begin);
    if (end == std::string_view::npos) return std::nullopt;
    const auto inner = text.substr(begin + 2, end - begin - 2);
    text.remove_prefix(end + 1);
    if (is_escape(inner)) {
      out += inner;
      continue;
    }
    const auto variable = parse_variable(inner);
    if (!variable) return std::nullopt;
    const auto* said = context.find(variable->key);
    if (said != nullptr && said->size() == 1) {
      // No text of a request has them; what is none is no text.
      if (said->front().find_first_of(std::string{kMany, kOne}) != std::string::npos) return std::nullopt;
      out += said->front();
    } else if (said == nullptr && variable->otherwise) {
      out += *variable->otherwise;
    } else {
      return std::nullopt;
    }
  }
}

// --- asking ---

bool holds(const Condition& condition, const PolicyContext& context, bool has_variables) {
  const auto* said = context.find(condition.key);
  const auto [family, negated] = nature_of(condition.test);
  if (family == Family::kNull) {
    const std::string_view wanted = said == nullptr ? "true" : "false";
    return std::any_of(condition.values.begin(), condition.values.end(),
                       [&](const auto& value) { return lower(value) == wanted; });
  }
  if (said == nullptr) {
    if (condition.if_exists || condition.quantifier == Quantifier::kForAllValues) return true;
    return negated && condition.quantifier == Quantifier::kNone;
  }

  const bool patterns = family == Family::kPattern || family == Family::kArn;
  std::vector<std::string> wanted;
  for (const auto& value : condition.values) {
    const auto wildcards = patterns ? Wildcards::kCompiled : Wildcards::kLiteral;
    if (has_variables) {
      if (auto filled = fill_in(value, context, wildcards)) wanted.push_back(*std::move(filled));
    } else {
      wanted.push_back(patterns ? compile_pattern(value) : value);
    }
  }
  const auto one_holds = [&, family = family, negated = negated](const std::string& value) {
    const bool agreed = std::any_of(wanted.begin(), wanted.end(), [&](const auto& one) {
      return agrees(condition.test, family, value, one);
    });
    return agreed != negated;
  };
  // A key with one value is the same to all of them; one with several and no quantifier agrees where one value does.
  if (condition.quantifier == Quantifier::kForAllValues) return std::all_of(said->begin(), said->end(), one_holds);
  if (condition.quantifier == Quantifier::kForAnyValue) return std::any_of(said->begin(), said->end(), one_holds);
  if (negated) return std::all_of(said->begin(), said->end(), one_holds);
  return std::any_of(said->begin(), said->end(), one_holds);
}

}  // namespace coffer
